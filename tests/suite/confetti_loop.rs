//! Confetti between major cycles, with the real wsclean: what gets into a model cube leaves model, mask and image again.

use crate::real;
use cleanloop::campaign::config::{MaskCadence, MaskCombine, MaskMethod};
use cleanloop::campaign::cycle::{CycleMasks, MaskMoment};
use cleanloop::campaign::plan::MaskPlan;
use cleanloop::campaign::round_masks::RoundMasks;
use cleanloop::image::{FitsImage, MaskType, PlaneWriter};
use cleanloop::imager::wsclean::{WscleanImager, WscleanOptions};
use cleanloop::imager::{Imager, ImagingJob, MinorControls, Surroundings};
use cleanloop::quality::confetti::ConfettiOptions;
use ndarray::Array2;
use serde_json::json;
use std::path::Path;

const CHANNELS: usize = 4;
/// `[x, y]`, far from all sources, and the channel.
const PIXEL: [usize; 2] = [40, 200];
const CHANNEL: usize = 2;

fn planes(path: &Path) -> Vec<Array2<f32>> {
    let mut file = FitsImage::open(path).expect("a cube");
    (0..file.channels()).map(|c| file.read_plane(0, c).expect("a plane")).collect()
}

fn rms(plane: &Array2<f32>) -> f32 {
    (plane.iter().map(|v| v * v).sum::<f32>() / plane.len() as f32).sqrt()
}

/// The model with a bright pixel in one channel, in a patch that takes its flux away again.
fn with_confetti(model: &Path, flux: f32, to: &Path) {
    let file = FitsImage::open(model).expect("a model");
    let mut cube = planes(model);
    let plane = &mut cube[CHANNEL];
    let [x, y] = PIXEL;
    plane.slice_mut(ndarray::s![y - 1..y + 2, x - 1..x + 2]).fill(-flux / 16.0);
    plane[(y, x)] = flux;
    let mut writer = PlaneWriter::create(to, file.axes(), MaskType::F32, file.header(), false).expect("a file");
    for (c, plane) in cube.iter().enumerate() {
        writer.write_plane(c, plane.view()).expect("written");
    }
    writer.finish().expect("finished");
}

#[test]
fn confetti_leaves_model_mask_and_image_between_two_cycles() {
    let Some(casa) = real::casa() else { return };
    let Some(()) = crate::simulated::require("wsclean") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let data = real::field(&casa, folder.path(), &json!({"antennas": 9, "duration_s": 600, "phase_rms_deg": 0}));
    let options: WscleanOptions = serde_json::from_value(json!({
        "size": 256, "scale": "4asec", "weight": "briggs 0", "niter": 2000, "nmiter": 4, "mgain": 0.8, "multiscale": false,
        "auto_mask": null, "auto_threshold": 5, "local_rms": false, "channels_out": CHANNELS, "join_channels": false,
        "abs_mem": 2
    }))
    .expect("options");
    let job = ImagingJob {
        measurement_sets: vec![data.ms.clone()],
        data_column: "DATA".into(),
        folder: folder.path().join("image"),
        log: folder.path().join("image.log"),
        threads: 2,
        memory_gb: None,
        update_model: false,
    };
    let mut imager = WscleanImager::new(job, options, Surroundings::default());
    imager.setup().expect("set up");
    imager.make_psf().expect("a PSF");
    let dirty = imager.run_major_cycle(true).expect("a dirty cube");
    let plan = MaskPlan {
        method: MaskMethod::Flint,
        cadence: MaskCadence::Cycle,
        image: Default::default(),
        field: Default::default(),
        every: 1,
        combine: MaskCombine::Union,
        masking: serde_json::from_value(json!({"flood_fill": true, "flood_fill_positive_seed_clip": 8.0,
            "flood_fill_positive_flood_clip": 3.0}))
        .expect("options"),
        auto: Default::default(),
        automask: Default::default(),
        noise: Default::default(),
        include: Vec::new(),
        exclude: Vec::new(),
        freeze_change: 0.01,
        confetti: Some(ConfettiOptions::default()),
    };
    let mut masks = RoundMasks::new(&plan, 1.0, None, folder.path().join("mask"));
    let first = MaskMoment { cycle: 0, iterations: 0, last: None, previous: None };
    let mask = masks.make(&dirty, &first).expect("a mask");
    let controls = MinorControls {
        iterations_left: 300,
        threshold_jy: 0.05,
        major_iterations: 1,
        last: false,
        channels: Vec::new(),
    };
    let minor = imager.run_minor_cycle(Some(&mask.path), &controls).expect("cleaned");
    let residual = imager.run_major_cycle(false).expect("a residual");
    let clean = planes(&residual.residual);
    let moment = MaskMoment { cycle: 1, iterations: minor.iterations, last: Some(&minor), previous: Some(&mask) };
    assert_eq!(masks.veto(&residual, &moment).expect("judged"), None, "a sound model is left alone");

    // Confetti gets in; the residual changes by what the PSF makes of it, in its channel alone.
    let flux = 40.0 * rms(&clean[CHANNEL]);
    let spoilt = folder.path().join("spoilt.fits");
    with_confetti(residual.model.as_ref().expect("a model"), flux, &spoilt);
    let residual = imager.replace_model(&spoilt).expect("replaced").expect("wsclean can");
    let changed = planes(&residual.residual);
    let [x, y] = PIXEL;
    assert!((changed[CHANNEL][(y, x)] - clean[CHANNEL][(y, x)]).abs() > 3.0 * rms(&clean[CHANNEL]));
    for channel in (0..CHANNELS).filter(|c| *c != CHANNEL) {
        assert_eq!(changed[channel], clean[channel]);
    }

    let veto = masks.veto(&residual, &moment).expect("judged").expect("found");
    let found: Vec<_> = veto.found.iter().map(|c| (c.pixel, c.channel, c.verdict.as_str())).collect();
    assert_eq!(found, [(PIXEL, CHANNEL, "confetti")]);
    let picture = veto.found[0].picture.as_ref().expect("a picture");
    assert!(std::fs::read_to_string(picture).expect("read").contains("<svg"));
    let residual = imager.replace_model(&veto.model).expect("replaced").expect("wsclean can");
    let model = planes(residual.model.as_ref().expect("a model"));
    assert_eq!(model[CHANNEL][(y, x)], 0.0);
    let repaired = planes(&residual.residual);
    let difference = &repaired[CHANNEL] - &clean[CHANNEL];
    assert!(rms(&difference) < 0.05 * rms(&clean[CHANNEL]), "{}", rms(&difference));
    assert_eq!(masks.veto(&residual, &moment).expect("judged"), None, "asked again, there is nothing");

    // The pixel stays out of the mask, whatever the residual shows there.
    let mut include = plan.clone();
    let region = folder.path().join("include.reg");
    std::fs::write(&region, format!("image\ncircle({},{},6)\n", x + 1, y + 1)).expect("written");
    include.include = vec![region];
    let mut masks = RoundMasks::new(&include, 1.0, None, folder.path().join("mask"));
    let mask = masks.make(&residual, &moment).expect("a mask");
    let mask_planes = planes(&mask.path);
    assert_eq!(mask_planes.len(), CHANNELS);
    assert_eq!((mask_planes[CHANNEL][(y, x)], mask_planes[CHANNEL][(y, x + 5)]), (0.0, 1.0));
    assert_eq!(mask_planes[CHANNEL - 1][(y, x)], 1.0, "only in its channel");

    // The next cycle computes everything from the data again; the restored cube is free of it.
    imager.run_minor_cycle(Some(&mask.path), &MinorControls { last: true, ..controls }).expect("cleaned");
    imager.run_major_cycle(false).expect("a residual");
    let products = imager.restore().expect("restored");
    imager.teardown();
    let image = planes(&products.image);
    assert!(image[CHANNEL][(y, x)].abs() < 5.0 * rms(&clean[CHANNEL]), "{}", image[CHANNEL][(y, x)]);
    assert_eq!(planes(&products.model)[CHANNEL][(y, x)], 0.0);
}
