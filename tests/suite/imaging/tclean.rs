//! tclean, step by step, with our masks: the same as one plain call with CASA's own automasks.

use crate::support::real;
use crate::support::running::{Running, wait_until};
use crate::support::words::without_folder;
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::image::FitsImage;
use cleanloop::imager::tclean::{TcleanImager, TcleanOptions};
use cleanloop::imager::{
    ChannelControls, ChannelRevert, CycleImager, Imager, ImagerContext, ImagingJob, MinorControls, StopReason,
};
use cleanloop::masking::multithresh::{CycleInputs, MultithreshOptions, run_cycle};
use cleanloop::measurement_set::copy_column;
use cleanloop::programs::casa::Casa;
use cleanloop::programs::casa::requests::{ExportImage, Tclean};
use rstest::rstest;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Cycles after which a loop that should have ended is given up.
const TOO_MANY: usize = 30;

fn options(value: &Value) -> TcleanOptions {
    serde_json::from_value(value.clone()).expect("valid options")
}

pub(crate) fn job(ms: &Path, folder: &Path, update_model: bool) -> ImagingJob {
    ImagingJob {
        measurement_sets: vec![ms.to_owned()],
        data_column: "DATA".into(),
        folder: folder.to_owned(),
        log: folder.with_extension("log"),
        threads: 1,
        memory_gb: None,
        update_model,
        facets: None,
    }
}

fn imager(casa: &Casa, job: ImagingJob, value: &Value) -> TcleanImager {
    TcleanImager::new(job, options(value), casa.clone(), ImagerContext::default()).expect("an imager")
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
    let mut map = options(imaging).parameters();
    let Value::Object(masks) = serde_json::to_value(automask).expect("JSON") else { panic!("an object") };
    map.extend(masks);
    map.extend([
        ("vis".to_owned(), json!(ms)),
        ("datacolumn".to_owned(), json!("data")),
        ("imagename".to_owned(), json!(base)),
        ("usemask".to_owned(), json!("auto-multithresh")),
    ]);
    casa.ask(&Tclean { parameters: map }, None).expect("tclean");
    (1..TOO_MANY)
        .map(|n| base.with_extension(format!("autothresh{n}")))
        .take_while(|mask| mask.exists())
        .map(|mask| exported(casa, &mask))
        .collect()
}

fn exported(casa: &Casa, image: &Path) -> PathBuf {
    let path = PathBuf::from(format!("{}.fits", image.display()));
    casa.ask(&ExportImage { image: image.to_owned(), path: path.clone() }, None).expect("exported");
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
    let mut residual = imager.residual().expect("a dirty image");
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
            follows_noise: None,
            major_iterations: 1,
            last: false,
            channels: Vec::new(),
        };
        let minor = imager.clean(Some(&mask), &controls).expect("a minor cycle");
        if let Some(reason) = minor.stopped {
            break reason;
        }
        assert!(cycle < theirs.len(), "tclean ended after {} cycles", theirs.len());
        assert_eq!(pixels(&mask), pixels(&theirs[cycle]), "mask of cycle {cycle}");
        threshold_reached = minor.threshold_reached;
        residual = imager.residual().expect("a residual");
        cycle += 1;
    };
    assert_eq!(cycle, theirs.len(), "as many cycles as tclean");
    assert_eq!(imager.completed_cycles(), cycle);
    assert!(matches!(stopped, StopReason::Threshold | StopReason::Iterations | StopReason::NoNewFlux), "{stopped:?}");
    let products = imager.restore().expect("restored");
    imager.teardown();
    for (ours, kind) in [(&products.model, "model"), (&products.residual, "residual"), (&products.image, "image")] {
        let theirs = exported(casa, &base.with_extension(kind));
        assert_eq!(pixels(ours), pixels(&theirs), "{kind}");
    }
    assert!(products.pbcor.is_some_and(|p| p.exists()) && products.dirty.is_some_and(|p| p.exists()));
    cycle
}

#[test]
#[ignore = "needs CASA"]
fn continuum_masks_and_image_equal_those_of_a_plain_call() {
    let casa = real::casa();
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
#[ignore = "needs CASA"]
fn cube_masks_and_image_equal_those_of_a_plain_call() {
    let casa = real::casa();
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
#[ignore = "needs CASA"]
fn an_imaging_in_one_go_leaves_its_model_and_can_be_resumed_and_rolled_back() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let data = cleanloop::measurement_set::checksum(&casa, &field.ms, "DATA").expect("a checksum");
    // A level without a unit is in Jy; it ends the loop before the iterations do.
    let level = json!({"imsize": 200, "cell": "2arcsec", "niter": 600, "weighting": "briggs", "threshold": 0.5});
    let mut shallow = imager(&casa, job(&field.ms, &folder.path().join("shallow"), false), &level);
    let peak =
        |residual: &Path| cleanloop::quality::residual::measure(residual, None, None).expect("measured").overall.peak;
    let reached = peak(&shallow.image_once(None).expect("an image").residual);
    assert_eq!(shallow.stopped(), Some(&StopReason::Threshold));
    assert!(reached <= 0.5 && reached > 0.3, "{reached}");
    let imaging = json!({"imsize": 200, "cell": "2arcsec", "niter": 60, "weighting": "briggs", "cycleniter": 20});
    let mut whole = imager(&casa, job(&field.ms, &folder.path().join("whole"), true), &imaging);
    let products = whole.image_once(None).expect("an image");
    let model = || cleanloop::measurement_set::checksum(&casa, &field.ms, "MODEL_DATA").expect("a checksum");
    let written = model();
    assert!(!cleanloop::measurement_set::model_is_empty(&casa, &field.ms).expect("a column"));
    assert_eq!(cleanloop::measurement_set::checksum(&casa, &field.ms, "DATA").expect("a checksum"), data);
    assert!(FitsImage::open(&products.residual).expect("a residual").beam().is_some());

    // Another model in between, then that of the earlier imaging again.
    copy_column(&casa, &field.ms, "DATA", "MODEL_DATA").expect("copied");
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
                follows_noise: None,
                major_iterations: 1,
                last: false,
                channels: Vec::new(),
            };
            if imager.clean(None, &controls).expect("a minor cycle").stopped.is_some() {
                break;
            }
            imager.residual().expect("a residual");
            cycles += 1;
        }
    };
    let mut first = stepwise();
    first.setup().expect("set up");
    first.make_psf().expect("a PSF");
    first.make_pb().expect("a beam");
    first.residual().expect("a dirty image");
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
    second.residual().expect("the residual of the second cycle's model");
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
#[ignore = "needs CASA"]
fn what_cannot_be_imaged_is_told() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    let imaging = json!({"imsize": 64, "cell": "2arcsec", "niter": 10});
    let mut wrong = job(&field.ms, &folder.path().join("a"), false);
    wrong.data_column = "CORRECTED_DATA".into();
    let error = imager(&casa, wrong, &imaging).setup().expect_err("no such column").to_string();
    insta::assert_snapshot!("a_missing_column", without_folder(&error, folder.path()));

    let unknown = json!({"imsize": 64, "extra": {"nonsense": 1}});
    let error = imager(&casa, job(&field.ms, &folder.path().join("b"), false), &unknown).setup().expect_err("unknown");
    assert_eq!(error.to_string(), "tclean has no parameter nonsense");

    let mut small = imager(&casa, job(&field.ms, &folder.path().join("c"), false), &imaging);
    let write = |name: &str, side: usize, value: u8| {
        let path = folder.path().join(name);
        let plane = ndarray::Array2::from_elem((side, side), value);
        let header = cleanloop::image::Header::default();
        cleanloop::image::write_plane(&path, plane.view(), cleanloop::image::PixelType::U8, &header, 4)
            .expect("written");
        path
    };
    let mask = write("mask.fits", 32, 1);
    let error = small.image_once(Some(&mask)).expect_err("another size").to_string();
    insta::assert_snapshot!("a_mask_of_another_size", without_folder(&error, folder.path()));
    let empty = write("empty.fits", 64, 0);
    let mut nothing = imager(&casa, job(&field.ms, &folder.path().join("d"), true), &imaging);
    let products = nothing.image_once(Some(&empty)).expect("an image without components");
    assert!(pixels(&products.model).iter().all(|&v| v == 0));
    assert!(cleanloop::measurement_set::model_is_empty(&casa, &field.ms).expect("a column"));
    assert_eq!(nothing.stopped(), Some(&StopReason::EmptyMask));
}

/// Every deconvolver, continuum and cube, with a mask of ours: the same images as one plain call with the same mask.
#[rstest]
#[case::clark(json!({"deconvolver": "clark"}))]
#[case::multiscale(json!({"deconvolver": "multiscale", "scales": [0, 4]}))]
#[case::mtmfs(json!({"deconvolver": "mtmfs", "scales": [0, 4]}))]
#[case::cube_of_clark(json!({"deconvolver": "clark", "specmode": "cube"}))]
#[case::cube_of_multiscale(json!({"deconvolver": "multiscale", "scales": [0, 4], "specmode": "cube"}))]
#[case::mosaic(json!({"gridder": "mosaic"}))]
#[case::wproject(json!({"gridder": "wproject", "wprojplanes": 8}))]
#[case::cube_of_wproject(json!({"gridder": "wproject", "wprojplanes": 8, "specmode": "cube"}))]
#[ignore = "needs CASA"]
fn a_mask_that_is_handed_over_is_used_as_by_a_plain_call(#[case] changes: Value) {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let mosaic = changes["gridder"] == "mosaic";
    let sets: Vec<PathBuf> =
        if mosaic { pointings(&casa, folder.path()) } else { vec![real::tiny(&casa, folder.path()).ms] };
    let mut imaging = json!({"imsize": 96, "cell": "2arcsec", "niter": 40, "weighting": "briggs", "cycleniter": 20});
    if mosaic {
        // Between the pointings, wide enough for the primary beams to be seen.
        let centre = "J2000 12h00m00.0 +40d00m00.0";
        imaging = json!({"imsize": 64, "cell": "30arcsec", "niter": 20, "cycleniter": 10, "maxpsffraction": 0.1,
                         "phasecenter": centre});
    }
    imaging.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    let side = imaging["imsize"].as_u64().expect("a number") as usize;
    let (low, high) = (side / 4, 3 * side / 4);
    let base = folder.path().join("plain");
    let mut parameters = options(&imaging).parameters();
    parameters.extend([
        ("vis".to_owned(), json!(sets)),
        ("datacolumn".to_owned(), json!("data")),
        ("imagename".to_owned(), json!(base)),
        ("usemask".to_owned(), json!("user")),
        ("pbcor".to_owned(), json!(true)),
        ("mask".to_owned(), json!(format!("box[[{low}pix,{low}pix],[{high}pix,{high}pix]]"))),
    ]);
    casa.ask(&Tclean { parameters }, None).expect("tclean");

    let mask = folder.path().join("mask.fits");
    let inside = |i: usize| i >= low && i <= high;
    let plane = ndarray::Array2::from_shape_fn((side, side), |(y, x)| u8::from(inside(y) && inside(x)));
    let header = cleanloop::image::Header::default();
    cleanloop::image::write_plane(&mask, plane.view(), cleanloop::image::PixelType::U8, &header, 4).expect("written");
    let mut job = job(&sets[0], &folder.path().join("ours"), false);
    job.measurement_sets.clone_from(&sets);
    let mut ours = imager(&casa, job, &imaging);
    let products = ours.image_once(Some(&mask)).expect("an image");
    let term = if imaging["deconvolver"] == "mtmfs" { ".tt0" } else { "" };
    let pb = products.pb.as_ref().expect("a primary beam");
    for (ours, kind) in
        [(&products.model, "model"), (&products.residual, "residual"), (&products.image, "image"), (pb, "pb")]
    {
        let theirs = exported(&casa, &base.with_extension(format!("{kind}{term}")));
        assert!(pixels(ours) == pixels(&theirs), "{kind}");
    }
    if term.is_empty() {
        // (CASA corrects no mtmfs image for the beam.)
        let pbcor = products.pbcor.as_ref().expect("an image divided by it");
        assert!(pixels(pbcor) == pixels(&exported(&casa, &base.with_extension("image.pbcor"))), "pbcor");
        let read = |path: &Path| FitsImage::open(path).and_then(|mut i| i.read_plane(0, 0)).expect("a plane");
        let (beam, image, corrected) = (read(pb), read(&products.image), read(pbcor));
        let valid = || beam.iter().zip(&image).zip(&corrected).filter(|((b, _), c)| **b > 0.2 && c.is_finite());
        assert!(valid().count() > 100);
        assert!(valid().all(|((b, i), c)| (c * b - i).abs() <= 1e-5 * i.abs().max(1e-3)));
        assert!(!mosaic || beam.iter().any(|b| *b < 0.5), "the beam is seen");
    }
    assert!(pixels(&products.model).iter().any(|&v| v != 0));
    assert_eq!(products.model.with_file_name("alpha.fits").exists(), term == ".tt0");
}

/// Two pointings, nine arcminutes apart.
fn pointings(casa: &Casa, folder: &Path) -> Vec<PathBuf> {
    [-270.0, 270.0]
        .iter()
        .map(|east| {
            let at = folder.join(format!("pointing{east}"));
            std::fs::create_dir(&at).expect("made");
            real::field(casa, &at, &json!({"antennas": 9, "duration_s": 60, "pointing_arcsec": [east, 0.0]})).ms
        })
        .collect()
}

/// One channel goes back by a cycle, another to the beginning; the others stay. The same after the worker was lost.
#[test]
#[ignore = "needs CASA"]
fn channels_go_back_by_themselves() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let simulation = json!({"preset": "line-cube", "duration_s": 600, "channels": 8, "antennas": 30});
    let field = real::field(&casa, folder.path(), &simulation);
    let imaging = json!({
        "imsize": 96, "cell": "0.5arcsec", "specmode": "cube", "weighting": "briggs", "niter": 5000, "cycleniter": 10,
        "interpolation": "nearest", "cyclefactor": 0.1,
    });
    let mut first = imager(&casa, job(&field.ms, &folder.path().join("cube"), false), &imaging);
    first.setup().expect("set up");
    first.make_psf().expect("a PSF");
    first.make_pb().expect("a beam");
    let planes = |path: &Path| {
        let mut image = FitsImage::open(path).expect("an image");
        (0..8).map(|k| image.read_plane(0, k).expect("a plane")).collect::<Vec<_>>()
    };
    let controls = MinorControls {
        iterations_left: 5000,
        threshold_jy: 0.0,
        follows_noise: None,
        major_iterations: 1,
        last: false,
        channels: Vec::new(),
    };
    let mut states = vec![(Vec::new(), planes(&first.residual().expect("a residual").residual))];
    for _ in 0..3 {
        first.clean(None, &controls).expect("a minor cycle");
        let made = first.residual().expect("a residual");
        states.push((planes(&made.model.expect("a model")), planes(&made.residual)));
    }
    assert!(states[3].0[4] != states[1].0[4] && states[3].0[3] != states[2].0[3]);
    let back = [ChannelRevert { channel: 4, cycle: 1 }, ChannelRevert { channel: 3, cycle: 0 }];
    let check = |imager: &mut TcleanImager| {
        assert_eq!(imager.completed_cycles(), 3);
        let made = imager.residual().expect("a residual");
        let (model, residual) = (planes(&made.model.expect("a model")), planes(&made.residual));
        for k in 0..8 {
            let cycle = back.iter().find(|b| b.channel == k).map_or(3, |b| b.cycle);
            match cycle {
                0 => assert!(model[k].iter().all(|v| *v == 0.0)),
                n => assert!(model[k] == states[n].0[k], "model of channel {k}"),
            }
            let expected = &states[cycle].1[k];
            let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
            let worst = expected.iter().zip(&residual[k]).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(worst <= 1e-4 * scale, "residual of channel {k}: {worst} of {scale}");
        }
    };
    assert!(first.revert_channels(&back).expect("gone back"));
    check(&mut first);
    let pid = nix::unistd::Pid::from_raw(casa.pid().expect("it runs") as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("killed");
    drop(first);
    let mut second = imager(&casa, job(&field.ms, &folder.path().join("cube"), false), &imaging);
    second.setup().expect("set up");
    // Asked again, it is the same.
    assert!(second.revert_channels(&back).expect("gone back"));
    check(&mut second);
    second.clean(None, &controls).expect("a minor cycle");
    second.residual().expect("a residual");
    assert_eq!(second.completed_cycles(), 4);
    let mut continuum = imager(&casa, job(&field.ms, &folder.path().join("plane"), false), &json!({"imsize": 32}));
    assert!(!continuum.revert_channels(&back).expect("asked"), "there are no channels");
}

#[test]
#[ignore = "needs CASA"]
fn channels_have_levels_of_their_own_and_those_that_are_done_are_left_alone() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let simulation = json!({"preset": "line-cube", "duration_s": 600, "channels": 8, "antennas": 30});
    let field = real::field(&casa, folder.path(), &simulation);
    let imaging = json!({
        "imsize": 96, "cell": "0.5arcsec", "specmode": "cube", "weighting": "briggs", "niter": 5000,
        "interpolation": "nearest", "cyclefactor": 0.1,
    });
    let mut imager = imager(&casa, job(&field.ms, &folder.path().join("cube"), false), &imaging);
    imager.setup().expect("set up");
    imager.make_psf().expect("a PSF");
    imager.make_pb().expect("a beam");
    let dirty = imager.residual().expect("a residual");
    let peaks = |residual: &Path| -> Vec<f64> {
        let state = cleanloop::quality::residual::measure(residual, None, None).expect("measured");
        state.channels.iter().map(|c| c.peak).collect()
    };
    let before = peaks(&dirty.residual);
    let (iterations_left, major_iterations) = (5000, 1);
    let controls = |active: fn(usize) -> bool, part: f64| MinorControls {
        iterations_left,
        threshold_jy: 0.0,
        follows_noise: None,
        major_iterations,
        last: false,
        channels: before
            .iter()
            .enumerate()
            .map(|(k, peak)| (active(k), part * peak))
            .map(|(active, threshold_jy)| ChannelControls { active, iterations_left, threshold_jy, major_iterations })
            .collect(),
    };
    let planes = |model: &Path| {
        let mut image = FitsImage::open(model).expect("a model");
        (0..8).map(|k| image.read_plane(0, k).expect("a plane")).collect::<Vec<_>>()
    };
    let even = imager.clean(None, &controls(|k| k % 2 == 0, 0.8)).expect("a minor cycle");
    let residual = imager.residual().expect("a residual");
    let after = peaks(&residual.residual);
    let first = planes(&residual.model.expect("a model"));
    assert_eq!(even.channels.len(), 8);
    let lowest = even.cycle_threshold_jy.expect("a level");
    let mut own_levels = 0;
    for k in 0..8 {
        let channel = &even.channels[k];
        let level = channel.cycle_threshold_jy;
        assert_eq!(level.is_some(), k % 2 == 0, "channel {k}");
        // A channel that is fainter than the cycle's level has its turn in a later cycle.
        let cleaned = level.is_some_and(|level| before[k] > level);
        assert_eq!(channel.iterations > 0, cleaned, "channel {k}: {channel:?}, peak {}", before[k]);
        assert_eq!(first[k].iter().any(|&v| v != 0.0), cleaned, "channel {k}");
        if let Some(level) = level.filter(|_| 0.8 * before[k] > 1.01 * lowest) {
            // Down to its own level, and hardly below: the last component takes a tenth.
            assert!((0.78..0.801).contains(&(level / before[k])), "channel {k}: {level} of {}", before[k]);
            assert!((0.6..0.9).contains(&(after[k] / before[k])), "channel {k}: {} -> {}", before[k], after[k]);
            assert!(channel.threshold_reached);
            own_levels += 1;
        }
        if !cleaned {
            assert!((after[k] / before[k] - 1.0).abs() < 1e-4, "channel {k}: {} -> {}", before[k], after[k]);
        }
    }
    assert!(own_levels >= 2, "{:?}", even.channels);
    let odd = imager.clean(None, &controls(|k| k % 2 == 1, 0.8)).expect("a minor cycle");
    let model = imager.residual().expect("a residual").model.expect("a model");
    let second = planes(&model);
    for k in 0..8 {
        assert!(k % 2 == 1 || odd.channels[k].iterations == 0, "channel {k}");
        assert_eq!(first[k] == second[k], odd.channels[k].iterations == 0, "the model of channel {k}");
    }
    assert!(odd.iterations > 0);
    // Limits hold over all calls, and a level that is already reached ends it.
    let few = MinorControls { iterations_left: 3, channels: Vec::new(), ..controls(|_| true, 0.0) };
    // (CASA gives each channel all iterations that are left.)
    let done = imager.clean(None, &few).expect("a minor cycle");
    assert!((3..=24).contains(&done.iterations) && done.channels.iter().all(|c| c.iterations <= 3), "{done:?}");
    imager.residual().expect("a residual");
    let high = MinorControls { threshold_jy: 10.0, channels: Vec::new(), ..controls(|_| true, 0.0) };
    let end = imager.clean(None, &high).expect("a minor cycle");
    assert_eq!((end.iterations, end.stopped), (0, Some(StopReason::Threshold)));
    // Back to the beginning: no model, and the dirty image again.
    imager.roll_back(0).expect("gone back");
    let again = imager.residual().expect("a residual");
    assert_eq!((peaks(&again.residual), again.model, imager.iterations()), (before.clone(), None, 0));
}

const CAMPAIGN: &str = "
version: 0.2
campaign: {name: small, measurement_sets: [field.ms], output: out, rounds: 0, imager: casa, calibrator: none,
           mask: {method: multithresh, cadence: cycle, freeze_change: 0}, stop: {least_new_flux: 0},
           resources: {threads: 1}}
defaults:
  tclean: {imsize: 200, cell: 2arcsec, weighting: briggs, robust: 0, niter: 200, cycleniter: 40, threshold: 20mJy}
  automask: {sidelobethreshold: 1.0, noisethreshold: 4.25}
selfcal:
  0: {}
";

fn cleanloop() -> std::process::Command {
    std::process::Command::new(env!("CARGO_BIN_EXE_cleanloop"))
}

/// Runs `campaign.yaml` in a folder to its end.
fn succeed(folder: &Path) -> CampaignRecord {
    let output = cleanloop().current_dir(folder).args(["run", "campaign.yaml"]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    CampaignRecord::load(&folder.join("out")).expect("a record")
}

/// The whole loop, from the campaign file: as one plain call with CASA's own automask; and again with a SIGKILL in the
/// middle.
#[test]
#[ignore = "needs CASA"]
fn a_campaign_ends_with_the_image_of_a_plain_call_even_when_killed() {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::tiny(&casa, folder.path());
    std::fs::write(folder.path().join("campaign.yaml"), CAMPAIGN).expect("written");
    let imaging = json!({"imsize": 200, "cell": "2arcsec", "weighting": "briggs", "robust": 0, "niter": 200,
                         "cycleniter": 40, "threshold": "20mJy"});
    let automask = MultithreshOptions { sidelobethreshold: 1.0, noisethreshold: 4.25, ..Default::default() };
    let base = folder.path().join("plain");
    let theirs = plain(&casa, &field.ms, &base, &imaging, &automask);
    let expected = |kind: &str| pixels(&exported(&casa, &base.with_extension(kind)));

    let record = succeed(folder.path());
    let round = &record.datasets[0].rounds[0];
    assert_eq!(round.cycles.iter().filter(|c| c.iterations.is_some()).count(), theirs.len(), "{:?}", round.stopped);
    assert_eq!(round.stopped, Some(StopReason::Iterations));
    for (cycle, theirs) in round.cycles.iter().zip(&theirs) {
        assert!(pixels(cycle.mask.as_ref().expect("a mask")) == pixels(theirs), "mask of cycle {}", cycle.cycle);
    }
    let last = folder.path().join("out/final");
    for kind in ["image", "residual", "model"] {
        assert!(pixels(&last.join(format!("{kind}.fits"))) == expected(kind), "{kind}");
    }
    assert!(last.join("pb.fits").exists() && last.join("image.pbcor.fits").exists());
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).expect("a folder");
        entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    };
    let left = names(folder.path());
    assert!(!left.iter().any(|n| n.starts_with("TempLattice") || n.ends_with(".log")), "{left:?}");
    let image = names(&folder.path().join("out/round-00/image"));
    assert!(!image.iter().any(|n| n.starts_with("cycle-") || n == ".scratch"), "{image:?}");

    // The same with a SIGKILL after the second complete cycle.
    std::fs::remove_dir_all(folder.path().join("out")).expect("removed");
    let mut run = Running::start(folder.path(), &["run", "campaign.yaml"]);
    let second = folder.path().join("out/round-00/image/casa/cycles/0002");
    run.wait_until("its second cycle", || second.exists());
    run.kill();
    let record = succeed(folder.path());
    let cycles = &record.datasets[0].rounds[0].cycles;
    assert_eq!(cycles.iter().filter(|c| c.iterations.is_some()).count(), theirs.len());
    for kind in ["image", "residual", "model"] {
        assert!(pixels(&last.join(format!("{kind}.fits"))) == expected(kind), "{kind} after a SIGKILL");
    }
}

/// tclean, gaincal and applycal in one worker, with a mask of ours in it: the image becomes better, and DATA stay.
#[rstest]
#[case::every_cycle("method: both, cadence: cycle, every: 2")]
#[case::once_a_round("method: flint, cadence: round")]
#[ignore = "needs CASA"]
fn a_campaign_with_calibration_improves_the_image(#[case] mask: &str) {
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let field = real::field(&casa, folder.path(), &json!({"antennas": 15, "duration_s": 1200}));
    let data = cleanloop::measurement_set::checksum(&casa, &field.ms, "DATA").expect("a checksum");
    let campaign = format!(
        "
version: 0.2
campaign: {{name: small, measurement_sets: [field.ms], output: out, rounds: 2, imager: casa, calibrator: casa,
           mask: {{{mask}, rounds: 1}}, stop: {{nsigma: 3}}, resources: {{threads: 1}}}}
defaults:
  tclean: {{imsize: 400, cell: 3arcsec, weighting: briggs, robust: 0, niter: 600, cycleniter: 150, nsigma: 3}}
  automask: {{sidelobethreshold: 1.5, noisethreshold: 5.0}}
  gaincal: {{gaintype: T, uvrange: ''}}
  masking: {{flood_fill: true, flood_fill_use_mac: true, flood_fill_use_mac_box_size: 100,
            flood_fill_positive_seed_clip: 1.3, flood_fill_positive_flood_clip: 0.8}}
selfcal:
  0: {{}}
  1: {{gaincal: {{solint: 120s, calmode: p}}}}
  2: {{gaincal: {{solint: 60s, calmode: p}}}}
"
    );
    std::fs::write(folder.path().join("campaign.yaml"), campaign).expect("written");
    let record = succeed(folder.path());
    let rounds = &record.datasets[0].rounds;
    let ranges: Vec<f64> = rounds.iter().map(|r| r.metrics.as_ref().expect("metrics").dynamic_range).collect();
    assert!(ranges.len() == 3 && ranges[1] > ranges[0] && ranges[2] > ranges[1], "{ranges:?}");
    for ms in [field.ms.clone(), folder.path().join("out/data/field.ms")] {
        assert_eq!(cleanloop::measurement_set::checksum(&casa, &ms, "DATA").expect("a checksum"), data);
    }
    // Nothing was cleaned outside the last mask.
    let last = &rounds[2];
    let masked = pixels(&last.mask.as_ref().expect("a mask").path);
    let model = pixels(&last.products.as_ref().expect("products").model);
    let (inside, outside): (Vec<_>, Vec<_>) = model.iter().zip(&masked).partition(|(_, m)| **m != 0);
    assert!(inside.iter().any(|(v, _)| **v != 0));
    assert!(outside.iter().all(|(v, _)| **v == 0), "components outside the mask");
    if mask.contains("cycle") {
        assert!(last.cycles.iter().all(|c| c.residual.as_ref().is_none_or(|r| r.exists())));
        assert!(last.cycles.iter().any(|c| c.model_flux.is_some_and(|f| f > 0.0)));
    }
}

/// CASA's parallel imager through a whole campaign: continuum with calibration, SIGKILL and resumption; a cube.
fn parallel(ms: &str, output: &str, parallel: bool, more: &str) -> String {
    format!(
        "
version: 0.2
campaign: {{name: small, measurement_sets: [{ms}], output: {output}, imager: casa, resources: {{threads: 2}},
           {more}}}
defaults:
  tclean: {{parallel: {parallel}, niter: 200, cycleniter: 40, weighting: briggs, robust: 0, threshold: 5mJy}}
  automask: {{sidelobethreshold: 1.0, noisethreshold: 4.25}}
  gaincal: {{gaintype: T, uvrange: ''}}
"
    )
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("written");
}

fn run_campaign(folder: &Path, file: &str) -> CampaignRecord {
    let output = cleanloop().current_dir(folder).args(["run", file]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    CampaignRecord::load(&folder.join(file.trim_end_matches(".yaml"))).expect("a record")
}

/// Greatest difference of two images, as part of the greatest value of the second.
fn difference(a: &Path, b: &Path) -> f64 {
    let read = |path: &Path| FitsImage::open(path).and_then(|mut i| i.read_plane(0, 0)).expect("a plane");
    let (a, b) = (read(a), read(b));
    let highest = b.iter().filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()));
    let worst = a.iter().zip(&b).filter(|(a, b)| a.is_finite() || b.is_finite()).fold(0f32, |m, (a, b)| {
        let d = (a - b).abs();
        if d.is_nan() { f32::INFINITY } else { m.max(d) }
    });
    f64::from(worst / highest)
}

/// Processes whose command line names this folder or that descend from it.
fn processes_of_mpi() -> Vec<u32> {
    let environment =
        cleanloop::programs::setup::Environment::ready(cleanloop::programs::setup::Kind::Mpi).expect("set up");
    let root = environment.root.to_string_lossy().into_owned();
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    entries
        .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&words).contains(&root)
        })
        .collect()
}

#[test]
#[ignore = "needs CASA with MPI"]
fn casas_parallel_imager_drives_a_campaign() {
    real::mpi();
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    real::tiny(&casa, path);
    drop(casa);
    let more = "rounds: 1, calibrator: casa, mask: {method: multithresh, cadence: cycle, freeze_change: 0},
           stop: {least_new_flux: 0}";
    let size = "tclean: {imsize: 200, cell: 2arcsec}";
    let rounds = format!("selfcal:\n  0: {{{size}}}\n  1: {{{size}, gaincal: {{solint: 300s, calmode: p}}}}\n");
    for (name, on) in [("alone", false), ("together", true)] {
        write(path, &format!("{name}.yaml"), &(parallel("field.ms", name, on, more) + &rounds));
    }
    // What runs is shown before.
    let plan = cleanloop().current_dir(path).args(["plan", "together.yaml"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    for words in ["bin/mpirun", "-n 3", "cleanloop_worker", "parallel=True"] {
        assert!(text.contains(words), "{words} in {text}");
    }

    let alone = run_campaign(path, "alone.yaml");
    // Killed after its second cycle; no process stays behind.
    let before = processes_of_mpi();
    let mut run = Running::start(path, &["run", "together.yaml"]);
    let second = path.join("together/round-00/image/casa/cycles/0002");
    run.wait_until("its second cycle", || second.exists());
    // Those of another test may have ended meanwhile.
    let own = processes_of_mpi().iter().filter(|pid| !before.contains(pid)).count();
    assert!(own >= 4, "mpirun and three processes, found {own}");
    run.kill();
    wait_until("the end of all processes", Duration::from_secs(60), || {
        processes_of_mpi().iter().all(|pid| before.contains(pid))
    });
    let together = run_campaign(path, "together.yaml");
    let (a, b) = (&alone.datasets[0].rounds, &together.datasets[0].rounds);
    assert_eq!((a.len(), b.len()), (2, 2));
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.stopped, b.stopped);
        let (a, b) = (a.metrics.as_ref().expect("metrics").rms, b.metrics.as_ref().expect("metrics").rms);
        assert!((a / b - 1.0).abs() < 0.02, "{a} {b}");
    }
    // The partial images are added in another order: rounding, and what cleaning makes of it.
    let first = |name: &str| path.join(format!("{name}/round-00/image/image.fits"));
    let d = difference(&first("together"), &first("alone"));
    assert!(d < 0.05, "{d}");
    // As if it had not been killed.
    let more = "rounds: 0, calibrator: none, mask: {method: multithresh, cadence: cycle, freeze_change: 0},
           stop: {least_new_flux: 0}";
    write(path, "whole.yaml", &(parallel("field.ms", "whole", true, more) + &format!("selfcal:\n  0: {{{size}}}\n")));
    run_campaign(path, "whole.yaml");
    let d = difference(&first("together"), &first("whole"));
    assert!(d < 1e-5, "{d}");
    let left: Vec<_> = std::fs::read_dir(path).expect("a folder").flatten().map(|e| e.file_name()).collect();
    assert!(
        left.iter().all(|n| !n.to_string_lossy().contains("workdirectory") && !n.to_string_lossy().contains(".log")),
        "{left:?}"
    );
}

#[test]
#[ignore = "needs CASA with MPI"]
fn casas_parallel_imager_makes_the_same_cube() {
    real::mpi();
    let casa = real::casa();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let simulation = json!({"preset": "line-cube", "duration_s": 600, "channels": 8, "antennas": 30});
    real::field(&casa, path, &simulation);
    drop(casa);
    let more = "rounds: 0, calibrator: none, mask: {method: multithresh, cadence: cycle, every: 2}, stop: {nsigma: 4, major_cycles: 4}";
    let size = "selfcal:\n  0: {tclean: {imsize: 96, cell: 0.5arcsec, specmode: cube, interpolation: nearest}}\n";
    for (name, on) in [("alone", false), ("together", true)] {
        write(path, &format!("{name}.yaml"), &(parallel("field.ms", name, on, more) + size));
    }
    let (alone, together) = (run_campaign(path, "alone.yaml"), run_campaign(path, "together.yaml"));
    let cycles = |r: &CampaignRecord| -> Vec<_> {
        r.datasets[0].rounds[0].cycles.iter().map(|c| (c.iterations, c.masked_pixels, c.added)).collect()
    };
    assert_eq!(cycles(&alone), cycles(&together));
    // With `every: 2` each second cycle has the mask of the one before.
    let added: Vec<_> = cycles(&alone).iter().map(|c| c.2).collect();
    assert_eq!(added[1], Some(0), "{added:?}");
    for kind in ["image", "residual", "model", "mask"] {
        let of = |name: &str| pixels(&path.join(format!("{name}/final/{kind}.fits")));
        assert!(of("alone") == of("together"), "{kind}");
    }
}
