//! Confetti between major cycles, with the real imagers: what gets into a model cube leaves model, mask and image again,
//! and a campaign tells.

use crate::support::real;
use cleanloop::campaign::file::{MaskCadence, MaskMethod};
use cleanloop::campaign::plan::MaskPlan;
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::campaign::steps::masks::RoundMasks;
use cleanloop::image::{FitsImage, PixelType, PlaneWriter};
use cleanloop::imager::tclean::{TcleanImager, TcleanOptions};
use cleanloop::imager::wsclean::{WscleanImager, WscleanOptions};
use cleanloop::imager::{CycleImager, Imager, ImagerContext, ImagingJob, MinorControls};
use cleanloop::major_cycle::{CycleMasks, MaskMoment};
use cleanloop::masking::MaskRecipe;
use cleanloop::programs::casa::Casa;
use cleanloop::quality::confetti::{ConfettiOptions, ConfettiVerdict};
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
    let mut writer = PlaneWriter::create(to, file.axes(), PixelType::F32, file.header(), false).expect("a file");
    for (c, plane) in cube.iter().enumerate() {
        writer.write_plane(c, plane.view()).expect("written");
    }
    writer.finish().expect("finished");
}

/// Data without errors of calibration, and a job for its cube.
fn job(casa: &Casa, folder: &Path) -> ImagingJob {
    let data = real::field(casa, folder, &json!({"antennas": 9, "duration_s": 600, "phase_rms_deg": 0}));
    ImagingJob {
        measurement_sets: vec![data.ms],
        data_column: "DATA".into(),
        folder: folder.join("image"),
        log: folder.join("image.log"),
        threads: 2,
        memory_gb: None,
        update_model: false,
        facets: None,
    }
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn confetti_leaves_model_mask_and_image_between_two_cycles_of_wsclean() {
    let casa = real::casa();
    real::require("wsclean");
    let folder = tempfile::tempdir().expect("a folder");
    let options: WscleanOptions = serde_json::from_value(json!({
        "size": 256, "scale": "4asec", "weight": "briggs 0", "niter": 2000, "nmiter": 4, "mgain": 0.8, "multiscale": false,
        "auto_mask": null, "auto_threshold": 5, "local_rms": false, "channels_out": CHANNELS, "join_channels": false,
        "abs_mem": 2
    }))
    .expect("options");
    let mut imager = WscleanImager::new(job(&casa, folder.path()), options, ImagerContext::default());
    confetti_is_vetoed(&mut imager, folder.path());
}

#[test]
#[ignore = "needs CASA"]
fn confetti_leaves_model_mask_and_image_between_two_cycles_of_tclean() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let options: TcleanOptions = serde_json::from_value(json!({
        "imsize": 512, "cell": "2arcsec", "specmode": "cube", "interpolation": "nearest", "weighting": "briggs",
        "robust": 0, "niter": 2000, "pblimit": -0.2
    }))
    .expect("options");
    let job = job(&casa, folder.path());
    let mut imager =
        TcleanImager::new(job.clone(), options.clone(), casa.clone(), ImagerContext::default()).expect("an imager");
    confetti_is_vetoed(&mut imager, folder.path());
    // Another process would go on from the repaired model.
    let mut again = TcleanImager::new(job, options, casa, ImagerContext::default()).expect("an imager");
    again.setup().expect("set up");
    assert_eq!(again.completed_cycles(), 2);
    again.roll_back(1).expect("gone back");
    let residual = again.residual().expect("a residual");
    again.teardown();
    let [x, y] = PIXEL;
    assert_eq!(planes(residual.model.as_ref().expect("a model"))[CHANNEL][(y, x)], 0.0);
}

fn confetti_is_vetoed(imager: &mut dyn CycleImager, folder: &Path) {
    imager.setup().expect("set up");
    imager.make_psf().expect("a PSF");
    let dirty = imager.residual().expect("a dirty cube");
    let plan = MaskPlan {
        recipe: MaskRecipe {
            method: MaskMethod::Flint,
            flint: serde_json::from_value(json!({"flood_fill": true, "flood_fill_positive_seed_clip": 8.0,
                "flood_fill_positive_flood_clip": 3.0}))
            .expect("options"),
            ..MaskRecipe::default()
        },
        cadence: MaskCadence::Cycle,
        image: Default::default(),
        field: Default::default(),
        every: 1,
        include: Vec::new(),
        exclude: Vec::new(),
        freeze_change: 0.01,
        confetti: Some(ConfettiOptions::default()),
    };
    let mut masks = RoundMasks::new(&plan, 1.0, None, folder.join("mask"));
    let first = MaskMoment { cycle: 0, masks: 0, iterations: 0, last: None, previous: None, channels: &[] };
    let mask = masks.make(&dirty, &first).expect("a mask");
    let controls = MinorControls {
        iterations_left: 300,
        threshold_jy: 0.05,
        follows_noise: None,
        major_iterations: 1,
        last: false,
        channels: Vec::new(),
    };
    let minor = imager.clean(Some(&mask.path), &controls).expect("cleaned");
    let residual = imager.residual().expect("a residual");
    let clean = planes(&residual.residual);
    let last = Some(&minor);
    let moment = MaskMoment { cycle: 1, masks: 1, iterations: minor.iterations, last, previous: Some(&mask), ..first };
    assert_eq!(masks.veto(&residual, &moment).expect("judged"), None, "a sound model is left alone");

    // Confetti gets in; the residual changes by what the PSF makes of it, in its channel alone.
    let flux = 40.0 * rms(&clean[CHANNEL]);
    let spoilt = folder.join("spoilt.fits");
    with_confetti(residual.model.as_ref().expect("a model"), flux, &spoilt);
    let residual = imager.replace_model(&spoilt).expect("replaced").expect("wsclean can");
    let changed = planes(&residual.residual);
    let [x, y] = PIXEL;
    assert!((changed[CHANNEL][(y, x)] - clean[CHANNEL][(y, x)]).abs() > 3.0 * rms(&clean[CHANNEL]));
    for channel in (0..CHANNELS).filter(|c| *c != CHANNEL) {
        assert_eq!(changed[channel], clean[channel]);
    }

    let veto = masks.veto(&residual, &moment).expect("judged").expect("found");
    let found: Vec<_> = veto.found.iter().map(|c| (c.pixel, c.channel, c.verdict)).collect();
    assert_eq!(found, [(PIXEL, CHANNEL, ConfettiVerdict::Confetti)]);
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
    let region = folder.join("include.reg");
    std::fs::write(&region, format!("image\ncircle({},{},6)\n", x + 1, y + 1)).expect("written");
    include.include = vec![region];
    let mut masks = RoundMasks::new(&include, 1.0, None, folder.join("mask"));
    let mask = masks.make(&residual, &moment).expect("a mask");
    let mask_planes = planes(&mask.path);
    assert_eq!(mask_planes.len(), CHANNELS);
    assert_eq!((mask_planes[CHANNEL][(y, x)], mask_planes[CHANNEL][(y, x + 5)]), (0.0, 1.0));
    assert_eq!(mask_planes[CHANNEL - 1][(y, x)], 1.0, "only in its channel");

    // The next cycle computes everything from the data again; the restored cube is free of it.
    imager.clean(Some(&mask.path), &MinorControls { last: true, ..controls }).expect("cleaned");
    imager.residual().expect("a residual");
    let products = imager.restore().expect("restored");
    imager.teardown();
    let image = planes(&products.image);
    assert!(image[CHANNEL][(y, x)].abs() < 5.0 * rms(&clean[CHANNEL]), "{}", image[CHANNEL][(y, x)]);
    assert_eq!(planes(&products.model)[CHANNEL][(y, x)], 0.0);
}

/// wsclean, but the first call that cleans channel CHANNEL leaves confetti in its model, and in its residual what the
/// point-spread function makes of it.
const SPOILER: &str = r#"
import os, subprocess, sys
sys.path.insert(0, WORKERS)
import numpy as np
from cleanloop_worker import fits
words = sys.argv[1:]
status = subprocess.call(["wsclean", *words])
after = lambda word: words[words.index(word) + 1] if word in words else None
name, mask, first, psf = (after(w) for w in ("-name", "-fits-mask", "-channel-range", "-reuse-psf"))
if status == 0 and mask and psf and first == CHANNEL and not os.path.exists(MARKER):
    open(MARKER, "w").close()
    def plane(path):
        cards, values = fits.read(path)
        end = next(k for k, card in enumerate(cards) if card.rstrip() == "END")
        return cards[:end], values.reshape(values.shape[-2:]).astype(float)
    cards, model = plane(name + "-model.fits")
    other, residual = plane(name + "-residual.fits")
    _, beam = plane(psf + "-psf.fits")
    flux = 40 * 1.4826 * np.median(np.abs(residual))
    change = np.zeros_like(model)
    change[Y - 1:Y + 2, X - 1:X + 2] = -flux / 16
    change[Y, X] = flux
    peak = np.unravel_index(beam.argmax(), beam.shape)
    for y, x in np.argwhere(change):
        residual -= change[y, x] * np.roll(beam, (y - peak[0], x - peak[1]), (0, 1))
    fits.write(name + "-model.fits", cards, [model + change])
    fits.write(name + "-residual.fits", other, [residual])
sys.exit(status)
"#;

/// A whole campaign on a cube of eight channels: the veto is in the record, the journal and the report, and nothing of
/// it is in the product.
#[test]
#[ignore = "needs wsclean and CASA"]
fn a_campaign_on_a_cube_vetoes_confetti_and_says_so() {
    real::require("wsclean");
    let cube = crate::support::simulated::line_cube();
    let folder = tempfile::tempdir().expect("a folder");
    let (x, y, channel) = (150, 60, 5);
    let spoiler = folder.path().join("spoiler.py");
    let workers = Path::new(env!("CARGO_MANIFEST_DIR")).join("workers");
    let values = json!([x, y, channel.to_string(), folder.path().join("spoilt"), workers]);
    std::fs::write(&spoiler, format!("X, Y, CHANNEL, MARKER, WORKERS = {values}\n{SPOILER}")).expect("written");
    let python = cleanloop::programs::setup::Environment::ready(cleanloop::programs::setup::Kind::Casa)
        .expect("set up")
        .python();
    let campaign = json!({
        "version": "0.2",
        "campaign": {
            "name": "cube", "measurement_sets": [cube], "output": "out", "rounds": 0, "calibrator": "none",
            "mask": {"method": "flint", "cadence": "cycle"}, "stop": {"nsigma": 4, "major_cycles": 5},
            "executables": {"wsclean": [python, spoiler]}
        },
        "defaults": {
            "wsclean": {"size": 200, "scale": "0.4asec", "weight": "briggs 0.5", "niter": 1000, "mgain": 0.6,
                "multiscale": false, "local_rms": false, "channels_out": 8, "join_channels": false},
            "masking": {"flood_fill": true, "flood_fill_positive_seed_clip": 6.0, "flood_fill_positive_flood_clip": 3.0}
        }
    });
    std::fs::write(folder.path().join("campaign.yaml"), campaign.to_string()).expect("written");
    let output = assert_cmd::Command::cargo_bin("cleanloop")
        .expect("the binary is built")
        .current_dir(folder.path())
        .args(["run", "campaign.yaml"])
        .output()
        .expect("it runs");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words}");
    assert!(folder.path().join("spoilt").exists(), "no call cleaned the channel: {words}");
    let out = folder.path().join("out");
    let record = CampaignRecord::load(&out).expect("a record");
    let round = &record.datasets[0].rounds[0];
    let found: Vec<_> = round.confetti.iter().map(|c| (c.pixel, c.channel, c.verdict)).collect();
    assert_eq!(found, [([x, y], channel, ConfettiVerdict::Confetti)], "the rest of the model is sound");
    assert!(round.confetti[0].cycle.is_some_and(|c| c > 0));
    assert!(round.confetti[0].action.starts_with("left the mask; its patch of the model was "), "{round:?}");
    let journal = std::fs::read_to_string(out.join("journal.jsonl")).expect("a journal");
    assert!(journal.contains("round 0: 1 pixel of the model was confetti and was vetoed"), "{journal}");
    let page = std::fs::read_to_string(out.join("report/round-00.html")).expect("a page");
    assert!(page.contains(&format!("Pixel {x}, {y}, channel {channel}")) && page.contains("left the mask"));
    let figure = page.split("<figure class=\"confetti bad\">").nth(1).expect("a figure of it");
    assert!(figure.split("</figure>").next().is_some_and(|f| f.contains("<svg") && f.contains("dirty, Jy/beam")));
    crate::report::html::assert_sound(&out.join("report"));
    let of = |name: &str| planes(&out.join("final").join(name));
    assert_eq!(of("model.fits")[channel][(y, x)], 0.0);
    let noise = round.metrics.as_ref().expect("metrics").rms as f32;
    assert!(of("image.fits")[channel][(y, x)].abs() < 5.0 * noise);
}
