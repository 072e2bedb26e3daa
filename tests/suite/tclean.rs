//! tclean, step by step, with our masks: the same as one plain call with CASA's own automasks.

use crate::real;
use cleanloop::casa::Casa;
use cleanloop::image::FitsImage;
use cleanloop::imager::tclean::{TcleanImager, TcleanOptions};
use cleanloop::imager::{Imager, ImagingJob, MinorControls, StopReason, Surroundings};
use cleanloop::masking::multithresh::{CycleInputs, MultithreshOptions, run_cycle};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Cycles after which a loop that should have ended is given up.
const TOO_MANY: usize = 30;

fn options(value: &Value) -> TcleanOptions {
    serde_json::from_value(value.clone()).expect("valid options")
}

fn job(ms: &Path, folder: &Path, update_model: bool) -> ImagingJob {
    ImagingJob {
        measurement_sets: vec![ms.to_owned()],
        data_column: "DATA".into(),
        folder: folder.to_owned(),
        log: folder.with_extension("log"),
        threads: 1,
        memory_gb: None,
        update_model,
    }
}

fn imager(casa: &Casa, job: ImagingJob, value: &Value) -> TcleanImager {
    TcleanImager::new(job, options(value), casa.clone(), Surroundings::default()).expect("an imager")
}

/// All planes of an image; NaN as a value of its own, so that images can be compared.
fn pixels(path: &Path) -> Vec<u32> {
    let mut image = FitsImage::open(path).expect("an image");
    let (polarisations, channels) = (image.polarisations(), image.channels());
    let mut all = Vec::new();
    for polarisation in 0..polarisations {
        for channel in 0..channels {
            let plane = image.read_plane(polarisation, channel).expect("a plane");
            all.extend(plane.iter().map(|v| if v.is_nan() { u32::MAX } else { (v + 0.0).to_bits() }));
        }
    }
    all
}

/// The plain call; returns the masks of its minor cycles.
fn plain(casa: &Casa, ms: &Path, base: &Path, imaging: &Value, automask: &MultithreshOptions) -> Vec<PathBuf> {
    let mut params = Value::Object(options(imaging).parameters());
    let map = params.as_object_mut().expect("an object");
    let Value::Object(masks) = serde_json::to_value(automask).expect("JSON") else { panic!("an object") };
    map.extend(masks);
    map.extend([
        ("vis".to_owned(), json!(ms)),
        ("datacolumn".to_owned(), json!("data")),
        ("imagename".to_owned(), json!(base)),
        ("usemask".to_owned(), json!("auto-multithresh")),
    ]);
    casa.call::<Value>("tclean", params, None).expect("tclean");
    (1..TOO_MANY)
        .map(|n| base.with_extension(format!("autothresh{n}")))
        .take_while(|mask| mask.exists())
        .map(|mask| exported(casa, &mask))
        .collect()
}

fn exported(casa: &Casa, image: &Path) -> PathBuf {
    let path = PathBuf::from(format!("{}.fits", image.display()));
    casa.call::<Value>("export_image", json!({"image": image, "path": path}), None).expect("exported");
    path
}

/// Runs the loop with our masks beside the plain call, and compares masks, model, residual and image.
fn same_as_plain(casa: &Casa, ms: &Path, folder: &Path, imaging: &Value, automask: &MultithreshOptions) -> usize {
    let base = folder.join("plain");
    let theirs = plain(casa, ms, &base, imaging, automask);
    let mut imager = imager(casa, job(ms, &folder.join("loop"), false), imaging);
    imager.setup().expect("set up");
    imager.make_psf().expect("a PSF");
    let pb = imager.make_pb().expect("a primary beam");
    assert!(pb.is_some_and(|p| p.exists()));
    let mut residual = imager.run_major_cycle(true).expect("a dirty image");
    let (mut threshold_reached, mut cycle) = (false, 0);
    let stopped = loop {
        let mask = folder.join(format!("mask-{cycle}.fits"));
        let inputs = CycleInputs {
            residual: residual.residual.clone(),
            psf: Some(residual.psf.clone()),
            pb: residual.pb.clone(),
            pixelmask: residual.pixel_mask.clone(),
            threshold_reached,
            iterdone: Some(imager.iterations()),
            ..CycleInputs::default()
        };
        run_cycle(&inputs, automask, &folder.join("state"), &mask).expect("a mask");
        let controls = MinorControls {
            iterations_left: options(imaging).niter.saturating_sub(imager.iterations()),
            threshold_jy: options(imaging).threshold_jy().expect("a threshold"),
            major_iterations: 1,
            last: false,
            channels: Vec::new(),
        };
        let minor = imager.run_minor_cycle(Some(&mask), &controls).expect("a minor cycle");
        if let Some(reason) = minor.stopped {
            break reason;
        }
        assert!(cycle < theirs.len(), "tclean ended after {} cycles", theirs.len());
        assert_eq!(pixels(&mask), pixels(&theirs[cycle]), "mask of cycle {cycle}");
        threshold_reached = minor.threshold_reached;
        residual = imager.run_major_cycle(false).expect("a residual");
        cycle += 1;
    };
    assert_eq!(cycle, theirs.len(), "as many cycles as tclean");
    assert_eq!(imager.completed_cycles(), cycle);
    assert!(matches!(stopped, StopReason::Threshold | StopReason::Iterations | StopReason::NoNewFlux), "{stopped:?}");
    let products = imager.restore().expect("restored");
    let pbcor = imager.pbcor().expect("corrected");
    imager.teardown();
    for (ours, kind) in [(&products.model, "model"), (&products.residual, "residual"), (&products.image, "image")] {
        let theirs = exported(casa, &base.with_extension(kind));
        assert_eq!(pixels(ours), pixels(&theirs), "{kind}");
    }
    assert!(pbcor.is_some_and(|p| p.exists()) && products.dirty.is_some_and(|p| p.exists()));
    cycle
}

#[test]
fn continuum_masks_and_image_equal_those_of_a_plain_call() {
    let Some(casa) = real::casa() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::field(&casa, folder.path(), &json!({"duration_s": 900, "phase_rms_deg": 10, "sources": 8}));
    let imaging = json!({
        "imsize": 320, "cell": "1.5arcsec", "weighting": "briggs", "robust": 0, "niter": 600, "threshold": "20mJy",
        "pblimit": -0.2, "cycleniter": 150,
    });
    let automask = MultithreshOptions { sidelobethreshold: 2.0, noisethreshold: 4.25, ..Default::default() };
    let cycles = same_as_plain(&casa, &field.ms, folder.path(), &imaging, &automask);
    assert!(cycles >= 3, "{cycles} cycles: the masks must have had a chance to grow");
}

#[test]
fn cube_masks_and_image_equal_those_of_a_plain_call() {
    let Some(casa) = real::casa() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let simulation = json!({"preset": "line-cube", "duration_s": 600, "channels": 8, "antennas": 30});
    let field = real::field(&casa, folder.path(), &simulation);
    let imaging = json!({
        "imsize": 160, "cell": "0.4arcsec", "specmode": "cube", "weighting": "briggs", "robust": 0.5,
        "niter": 3000, "threshold": "4mJy", "pblimit": 0.2, "cycleniter": 150, "interpolation": "nearest",
    });
    let automask = MultithreshOptions {
        sidelobethreshold: 2.0,
        noisethreshold: 4.25,
        negativethreshold: 7.0,
        minpercentchange: 1.0,
        fastnoise: false,
        ..Default::default()
    };
    let cycles = same_as_plain(&casa, &field.ms, folder.path(), &imaging, &automask);
    assert!(cycles >= 2, "{cycles} cycles");
}

#[test]
fn an_imaging_in_one_go_leaves_its_model_and_can_be_resumed_and_rolled_back() {
    let Some(casa) = real::casa() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let data = cleanloop::measurement_set::checksum(&casa, &field.ms, "DATA").expect("a checksum");
    let imaging = json!({"imsize": 200, "cell": "2arcsec", "niter": 60, "weighting": "briggs", "cycleniter": 20});
    let mut whole = imager(&casa, job(&field.ms, &folder.path().join("whole"), true), &imaging);
    let products = whole.image_once(None).expect("an image");
    let model = || cleanloop::measurement_set::checksum(&casa, &field.ms, "MODEL_DATA").expect("a checksum");
    let written = model();
    assert!(!cleanloop::measurement_set::model_is_empty(&casa, &field.ms).expect("a column"));
    assert_eq!(cleanloop::measurement_set::checksum(&casa, &field.ms, "DATA").expect("a checksum"), data);
    assert!(FitsImage::open(&products.residual).expect("a residual").beam().is_some());

    // Another model in between, then that of the earlier imaging again.
    casa.call::<Value>("copy_column", json!({"ms": field.ms, "source": "DATA", "target": "MODEL_DATA"}), None)
        .expect("copied");
    whole.predict(&products.model).expect("predicted");
    assert_eq!(model(), written, "bit for bit");

    // The same by single steps, with the worker killed after the second cycle.
    let stepwise = || imager(&casa, job(&field.ms, &folder.path().join("steps"), false), &imaging);
    let run = |imager: &mut TcleanImager, most: usize| {
        let mut cycles = 0;
        while cycles < most {
            let left = 60u64.saturating_sub(imager.iterations());
            let controls = MinorControls {
                iterations_left: left,
                threshold_jy: 0.0,
                major_iterations: 1,
                last: false,
                channels: Vec::new(),
            };
            if imager.run_minor_cycle(None, &controls).expect("a minor cycle").stopped.is_some() {
                break;
            }
            imager.run_major_cycle(false).expect("a residual");
            cycles += 1;
        }
    };
    let mut first = stepwise();
    first.setup().expect("set up");
    first.make_psf().expect("a PSF");
    first.make_pb().expect("a beam");
    first.run_major_cycle(true).expect("a dirty image");
    run(&mut first, 2);
    assert_eq!(first.completed_cycles(), 2);
    let pid = nix::unistd::Pid::from_raw(casa.pid().expect("it runs") as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
    drop(first);
    let mut second = stepwise();
    second.setup().expect("set up");
    assert_eq!((second.completed_cycles(), second.iterations() > 0), (2, true));
    second.make_psf().expect("the PSF is there");
    second.make_pb().expect("a beam");
    second.run_major_cycle(true).expect("the residual of the second cycle's model");
    run(&mut second, 10);
    let resumed = second.restore().expect("restored");
    assert_eq!(pixels(&resumed.image), pixels(&products.image), "as if it had not been interrupted");
    let last = second.completed_cycles();
    second.roll_back(last - 1).expect("gone back");
    assert_eq!(second.completed_cycles(), last - 1);
    let before = second.restore().expect("restored");
    assert_ne!(pixels(&before.image), pixels(&products.image));
}

#[test]
fn what_cannot_be_imaged_is_told() {
    let Some(casa) = real::casa() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let imaging = json!({"imsize": 64, "cell": "2arcsec", "niter": 10});
    let mut wrong = job(&field.ms, &folder.path().join("a"), false);
    wrong.data_column = "CORRECTED_DATA".into();
    let error = imager(&casa, wrong, &imaging).setup().expect_err("no such column").to_string();
    assert!(error.contains("has no column CORRECTED_DATA (data columns: DATA)"), "{error}");

    let unknown = json!({"imsize": 64, "extra": {"nonsense": 1}});
    let error = imager(&casa, job(&field.ms, &folder.path().join("b"), false), &unknown).setup().expect_err("unknown");
    assert_eq!(error.to_string(), "tclean has no parameter nonsense");

    let mut small = imager(&casa, job(&field.ms, &folder.path().join("c"), false), &imaging);
    let write = |name: &str, side: usize, value: u8| {
        let path = folder.path().join(name);
        let plane = ndarray::Array2::from_elem((side, side), value);
        let header = cleanloop::image::Header::default();
        cleanloop::image::write_plane(&path, plane.view(), cleanloop::image::MaskType::U8, &header, 4)
            .expect("written");
        path
    };
    let mask = write("mask.fits", 32, 1);
    let error = small.image_once(Some(&mask)).expect_err("another size").to_string();
    assert!(error.contains("has 32 x 32 pixels, 1 channels; the image has 64 x 64 pixels, 1 channels"), "{error}");
    let empty = write("empty.fits", 64, 0);
    let mut nothing = imager(&casa, job(&field.ms, &folder.path().join("d"), true), &imaging);
    let products = nothing.image_once(Some(&empty)).expect("an image without components");
    assert!(pixels(&products.model).iter().all(|&v| v == 0));
    assert!(cleanloop::measurement_set::model_is_empty(&casa, &field.ms).expect("a column"));
    assert_eq!(nothing.has_converged().expect("a verdict"), Some(StopReason::EmptyMask));
}
