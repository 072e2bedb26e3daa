//! wsclean for real, on a small simulated measurement set: ordinary runs, chains of calls, cubes, and what goes wrong.

use crate::support::running::{PATIENCE, wait_until};
use crate::support::words::inner;
use crate::support::{real, simulated};
use cleanloop::ExitStatus;
use cleanloop::image::{FitsImage, Header, PixelType, write_plane};
use cleanloop::imager::wsclean::{WscleanError, WscleanImager, WscleanOptions};
use cleanloop::imager::{CycleImager, Imager, ImagerContext, ImagingJob, MinorControls, NoiseThreshold, StopReason};
use cleanloop::process::ProcessError;
use ndarray::{Array2, ArrayD, Axis, Ix2};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Side of the test images, pixels.
const SIZE: usize = 512;

/// A working folder with a measurement set of its own.
struct StepContext {
    folder: tempfile::TempDir,
    data: PathBuf,
}

impl StepContext {
    fn new() -> Self {
        real::require("wsclean");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let data = folder.path().join("field.ms");
        cleanloop::measurement_set::copy(simulated::field(), &data).expect("a copy of the data");
        Self { folder, data }
    }

    fn job(&self, name: &str) -> ImagingJob {
        let folder = self.folder.path().join(name);
        ImagingJob {
            measurement_sets: vec![self.data.clone()],
            data_column: "DATA".into(),
            log: self.folder.path().join(format!("{name}.log")),
            folder,
            threads: 2,
            memory_gb: None,
            update_model: true,
            facets: None,
        }
    }

    fn imager(&self, name: &str, changes: serde_json::Value) -> WscleanImager {
        WscleanImager::new(self.job(name), options(changes), ImagerContext::default())
    }

    /// A mask of discs around the brightest pixels of an image.
    fn mask(&self, image: &Path, level: f32, name: &str) -> PathBuf {
        let plane = plane(image);
        let mut mask = Array2::<u8>::zeros(plane.dim());
        for ((y, x), _) in plane.indexed_iter().filter(|(_, v)| **v > level) {
            for dy in -4_isize..=4 {
                for dx in -4_isize..=4 {
                    let (y, x) = (y.saturating_add_signed(dy), x.saturating_add_signed(dx));
                    if y < SIZE && x < SIZE {
                        mask[[y, x]] = 1;
                    }
                }
            }
        }
        assert!(mask.iter().any(|m| *m == 1), "something is above {level}");
        let path = self.folder.path().join(name);
        write_plane(&path, mask.view(), PixelType::U8, &Header::default(), 2).expect("a mask");
        path
    }
}

fn options(changes: serde_json::Value) -> WscleanOptions {
    let mut all = json!({
        "size": SIZE, "scale": "2asec", "weight": "briggs 0", "niter": 20000, "nmiter": 4, "mgain": 0.8,
        "channels_out": 1, "join_channels": false, "local_rms": false, "auto_mask": null, "auto_threshold": null,
        "threshold": 0.01,
    });
    let (all_map, changes) = (all.as_object_mut().expect("a map"), changes);
    all_map.extend(changes.as_object().expect("a map").clone());
    serde_json::from_value(all).expect("options")
}

fn plane(path: &Path) -> Array2<f32> {
    FitsImage::open(path).and_then(|mut i| i.read_plane(0, 0)).unwrap_or_else(|e| panic!("{e}"))
}

fn cube(path: &Path) -> ArrayD<f32> {
    let mut image = FitsImage::open(path).unwrap_or_else(|e| panic!("{e}"));
    let planes: Vec<ArrayD<f32>> =
        (0..image.channels()).map(|c| image.read_plane(0, c).expect("a plane").into_dyn()).collect();
    let views: Vec<_> = planes.iter().map(|p| p.view()).collect();
    ndarray::stack(Axis(0), &views).expect("planes of one size")
}

fn rms(a: &Array2<f32>) -> f64 {
    (a.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

/// The same but for the rounding of sums that threads make in any order.
fn assert_same(a: &Array2<f32>, b: &Array2<f32>, what: &str) {
    let (difference, whole) = (rms(&(a - b)), rms(a));
    assert!(difference <= 1e-4 * whole, "{what}: they differ by {difference}, the rms is {whole}");
}

fn sum(a: &Array2<f32>) -> f64 {
    a.iter().map(|v| f64::from(*v)).sum()
}

fn controls(iterations_left: u64, last: bool) -> MinorControls {
    MinorControls {
        iterations_left,
        threshold_jy: 0.01,
        follows_noise: None,
        major_iterations: 1,
        last,
        channels: Vec::new(),
    }
}

/// Dirty image of a column, and its mask.
fn dirty(bench: &StepContext, name: &str, column: &str) -> Array2<f32> {
    let mut job = bench.job(name);
    job.data_column = column.into();
    job.update_model = false;
    let mut imager = WscleanImager::new(job, options(json!({})), ImagerContext::default());
    imager.setup().expect("set up");
    imager.make_psf().expect("PSF and dirty image");
    plane(&imager.residual().expect("the dirty image").residual)
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn an_ordinary_run_cleans_inside_its_mask_and_a_model_can_be_put_back() {
    let bench = StepContext::new();
    let mut imager = bench.imager("r0", json!({}));
    imager.setup().expect("set up");
    let first = imager.image_once(None).expect("an image");
    imager.teardown();
    let files: Vec<_> = std::fs::read_dir(bench.folder.path().join("r0")).expect("the folder").flatten().collect();
    let mut names: Vec<_> = files.iter().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, ["dirty.fits", "image.fits", "model.fits", "psf.fits", "residual.fits"]);
    assert!(rms(&plane(&first.residual)) < 0.5 * rms(&plane(first.dirty.as_ref().expect("a dirty image"))));

    let predicted = dirty(&bench, "m1", "MODEL_DATA");
    let mask = bench.mask(&first.image, 0.5, "mask.fits");
    let second = bench.imager("r1", json!({})).image_once(Some(&mask)).expect("an image inside the mask");
    let (model, mask) = (plane(&second.model), plane(&mask));
    assert!(model.iter().any(|v| *v != 0.0));
    assert!(model.iter().zip(&mask).all(|(m, inside)| *m == 0.0 || *inside == 1.0), "nothing outside of the mask");
    let other = dirty(&bench, "m2", "MODEL_DATA");
    assert!(rms(&(&other - &predicted)) > 0.01 * rms(&predicted), "the second model is another one");
    bench.imager("r0", json!({})).predict(&first.model).expect("the first model is put back");
    assert_same(&dirty(&bench, "m3", "MODEL_DATA"), &predicted, "MODEL_DATA of the first model");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn joined_channels_give_the_whole_band_and_every_channel() {
    let bench = StepContext::new();
    let mut imager = bench.imager("r0", json!({"channels_out": 2, "join_channels": true, "nmiter": 1}));
    let products = imager.image_once(None).expect("images");
    assert_eq!(products.channels.len(), 2);
    let [a, b] = [&products.channels[0], &products.channels[1]].map(|c| plane(&c.model));
    let mean = (&a + &b) / 2.0;
    assert!(rms(&(&mean - &plane(&products.model))) < 0.01 * rms(&mean), "the whole band is the mean of its channels");
    let predicted = dirty(&bench, "m1", "MODEL_DATA");
    imager.predict(&products.model).expect("the channels' models are put back");
    assert_same(&dirty(&bench, "m2", "MODEL_DATA"), &predicted, "MODEL_DATA of all channels");
}

/// The chain on `bench` with one fixed mask, as an ordinary run with nmiter 4 would go.
fn chain(imager: &mut WscleanImager, mask: &Path, until: usize) -> u64 {
    imager.setup().expect("set up");
    imager.make_psf().expect("PSF and dirty image");
    let mut done = 0;
    while imager.completed_cycles() < until {
        let last = imager.completed_cycles() + 1 == until;
        let cycle = imager.clean(Some(mask), &controls(20000 - done, last)).expect("a cycle");
        assert_eq!(cycle.major_iterations, 1);
        done += cycle.iterations;
        imager.residual().expect("a residual");
    }
    done
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_chain_of_cycles_equals_one_ordinary_run() {
    let bench = StepContext::new();
    let mask = {
        let mut imager = bench.imager("first", json!({"nmiter": 1}));
        let image = imager.image_once(None).expect("an image").image;
        bench.mask(&image, 0.08, "mask.fits")
    };
    let ordinary = bench.imager("ordinary", json!({})).image_once(Some(&mask)).expect("the ordinary run");
    let ordinary_model_data = dirty(&bench, "m1", "MODEL_DATA");
    let mut imager = bench.imager("chain", json!({}));
    chain(&mut imager, &mask, 4);
    let chained = imager.restore().expect("the chain's images");
    imager.teardown();
    assert!(!bench.folder.path().join("chain/.wsclean").exists(), "nothing unfinished is left");

    let noise = rms(&plane(&ordinary.residual));
    let difference = rms(&(&plane(&ordinary.image) - &plane(&chained.image)));
    assert!(difference < 0.05 * noise, "images differ by {difference} Jy/beam, the residual's rms is {noise}");
    let (a, b) = (sum(&plane(&ordinary.model)), sum(&plane(&chained.model)));
    assert!((a - b).abs() < 0.002 * a, "model fluxes {a} and {b} Jy");
    let (a, b) = (noise, rms(&plane(&chained.residual)));
    assert!((a - b).abs() < 0.002 * a, "residuals of {a} and {b} Jy/beam");
    assert_same(&plane(&ordinary.psf), &plane(&chained.psf), "PSFs");
    let chained_model_data = dirty(&bench, "m2", "MODEL_DATA");
    let (difference, whole) = (rms(&(&ordinary_model_data - &chained_model_data)), rms(&ordinary_model_data));
    assert!(difference < 0.01 * whole, "MODEL_DATA holds the chain's model");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_first_mask_that_is_there_needs_one_call_less() {
    let bench = StepContext::new();
    let image = bench.imager("first", json!({"nmiter": 1})).image_once(None).expect("an image").image;
    let mask = bench.mask(&image, 0.08, "mask.fits");
    let two = MinorControls {
        follows_noise: Some(NoiseThreshold { nsigma: 3.0, least_jy: Some(0.001) }),
        major_iterations: 2,
        ..controls(20000, false)
    };
    let mut imager = bench.imager("chain", json!({}));
    imager.setup().expect("set up");
    imager.make_psf().expect("PSF and dirty image");
    let dirty = imager.residual().expect("the dirty image");
    let chained = imager.clean(Some(&mask), &two).expect("a cycle");
    let expected = imager.residual().expect("a residual");

    let mut at_once = bench.imager("at-once", json!({}));
    at_once.setup().expect("set up");
    let begun = at_once.begin_inside(&mask, &two).expect("a cycle").expect("it can");
    assert_eq!((at_once.completed_cycles(), at_once.lines_run().len()), (1, 1));
    let line = at_once.lines_run()[0].join(" ");
    assert!(line.contains("-auto-threshold 3 -threshold 0.001") && line.contains("-nmiter 2"), "{line}");
    assert_eq!(begun.minor.major_iterations, chained.major_iterations);
    assert_same(&plane(&begun.dirty.residual), &plane(&dirty.residual), "dirty images");
    assert_same(&plane(&begun.dirty.psf), &plane(&dirty.psf), "PSFs");
    let found = at_once.residual().expect("a residual");
    let noise = rms(&plane(&expected.residual));
    assert!(rms(&(&plane(&found.residual) - &plane(&expected.residual))) < 0.05 * noise);
    // A later run that does not know of it is told the same, without another call.
    let state = bench.folder.path().join("at-once/.wsclean/cycle-0001/state.json");
    let written = std::fs::metadata(&state).and_then(|m| m.modified()).expect("the cycle's state");
    drop(at_once);
    let mut again = bench.imager("at-once", json!({}));
    again.setup().expect("set up");
    assert_eq!(again.begin_inside(&mask, &two).expect("a cycle"), Some(begun));
    assert_eq!(std::fs::metadata(&state).and_then(|m| m.modified()).expect("the cycle's state"), written);
    // It goes on like any chain, and a second call leaves its model in the data.
    let before = plane(&again.residual().expect("a residual").residual);
    again.clean(Some(&mask), &MinorControls { iterations_left: 5000, ..two.clone() }).expect("a cycle");
    let after = plane(&again.residual().expect("a residual").residual);
    assert!(rms(&after) < rms(&before));
    let (data, model) = (self::dirty(&bench, "d", "DATA"), self::dirty(&bench, "m", "MODEL_DATA"));
    assert!(rms(&(&(&data - &model) - &after)) < 0.01 * rms(&after), "MODEL_DATA is that of the second call");

    // What an earlier run left of the start alone is made again, and a mask without flux leaves the start.
    let mut other = bench.imager("other", json!({}));
    other.setup().expect("set up");
    other.make_psf().expect("PSF and dirty image");
    assert!(other.begin_inside(&mask, &two).expect("a cycle").is_some());
    let empty = bench.folder.path().join("empty.fits");
    write_plane(&empty, Array2::<u8>::zeros((SIZE, SIZE)).view(), PixelType::U8, &Header::default(), 2)
        .expect("a mask");
    let mut nothing = bench.imager("nothing", json!({}));
    nothing.setup().expect("set up");
    assert_eq!(nothing.begin_inside(&empty, &two).expect("no failure"), None);
    assert_eq!(nothing.completed_cycles(), 0);
    assert_same(
        &plane(&nothing.residual().expect("the dirty image").residual),
        &plane(&dirty.residual),
        "dirty images",
    );
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn an_interrupted_chain_goes_on_and_ends_the_same() {
    let bench = StepContext::new();
    let image = bench.imager("first", json!({"nmiter": 1})).image_once(None).expect("an image").image;
    let mask = bench.mask(&image, 0.08, "mask.fits");
    let mut whole = bench.imager("whole", json!({}));
    chain(&mut whole, &mask, 3);
    let expected = whole.restore().expect("images");

    let mut cut = bench.imager("cut", json!({}));
    chain(&mut cut, &mask, 2);
    drop(cut);
    // What a kill in the third cycle leaves.
    let scratch = bench.folder.path().join("cut/.wsclean");
    std::fs::create_dir_all(scratch.join("cycle.new/all")).expect("made");
    std::fs::write(scratch.join("cycle.new/all/w-model.fits"), "half").expect("written");
    std::fs::create_dir_all(scratch.join("tmp.abc")).expect("made");

    let mut again = bench.imager("cut", json!({}));
    again.setup().expect("set up");
    assert_eq!(again.completed_cycles(), 2);
    assert!(!scratch.join("cycle.new").exists() && !scratch.join("tmp.abc").exists());
    chain(&mut again, &mask, 3);
    let found = again.restore().expect("images");
    for (a, b) in [(&expected.image, &found.image), (&expected.model, &found.model)] {
        assert_same(&plane(a), &plane(b), "after an interruption");
    }

    // Other options: what is there is of no use.
    let mut other = bench.imager("cut", json!({"mgain": 0.7}));
    other.setup().expect("set up");
    assert_eq!(other.completed_cycles(), 0);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_chain_reverts_to_an_earlier_cycle() {
    let bench = StepContext::new();
    let image = bench.imager("first", json!({"nmiter": 1})).image_once(None).expect("an image").image;
    let mask = bench.mask(&image, 0.08, "mask.fits");
    let mut imager = bench.imager("chain", json!({}));
    chain(&mut imager, &mask, 1);
    let one = plane(&imager.residual().expect("a residual").residual);
    chain(&mut imager, &mask, 3);
    assert_ne!(plane(&imager.residual().expect("a residual").residual), one);
    imager.roll_back(1).expect("back");
    assert_eq!(imager.completed_cycles(), 1);
    let products = imager.restore().expect("images");
    assert_eq!(plane(&products.residual), one);
    assert!(imager.roll_back(2).is_err(), "later cycles are forgotten");
    // MODEL_DATA follows: data minus model is the residual.
    let (data, model) = (dirty(&bench, "d", "DATA"), dirty(&bench, "m", "MODEL_DATA"));
    assert!(rms(&(&(&data - &model) - &one)) < 0.01 * rms(&one));
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn an_empty_mask_leaves_an_empty_model() {
    let bench = StepContext::new();
    let mask = bench.folder.path().join("empty.fits");
    write_plane(&mask, Array2::<u8>::zeros((SIZE, SIZE)).view(), PixelType::U8, &Header::default(), 2).expect("a mask");
    let mut imager = bench.imager("r0", json!({}));
    imager.setup().expect("set up");
    imager.make_psf().expect("PSF");
    let cycle = imager.clean(Some(&mask), &controls(1000, true)).expect("a cycle");
    assert_eq!((cycle.iterations, cycle.stopped), (0, Some(StopReason::EmptyMask)));
    let products = imager.restore().expect("images");
    assert_eq!(rms(&plane(&products.model)), 0.0);
    // Before any cycle the state is the dirty image.
    imager.roll_back(0).expect("back to the start");
    let products = imager.restore().expect("images");
    assert_eq!(rms(&plane(&products.model)), 0.0);
    assert_eq!(plane(&products.image), plane(products.dirty.as_ref().expect("a dirty image")));
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn a_cube_has_a_mask_and_a_stop_for_each_channel() {
    let bench = StepContext::new();
    let cube_options = json!({"channels_out": 4, "join_channels": false});
    let mut imager = bench.imager("cube", cube_options.clone());
    imager.setup().expect("set up");
    imager.make_psf().expect("PSFs");
    let first = imager.residual().expect("dirty images");
    let planes = cube(&first.residual);
    assert_eq!(planes.shape(), [4, SIZE, SIZE]);
    // Channel 0 may be cleaned nowhere, the others around their peaks, each in a place of its own.
    let mask = bench.folder.path().join("cube-mask.fits");
    let mut header = Header::default();
    header.set_str("CTYPE3", "FREQ");
    let axes = [SIZE, SIZE, 4];
    let mut writer =
        cleanloop::image::PlaneWriter::create(&mask, &axes, PixelType::U8, &header, false).expect("a mask cube");
    for channel in 0..4 {
        let plane = planes.index_axis(Axis(0), channel).into_dimensionality::<Ix2>().expect("a plane").to_owned();
        let level = if channel == 0 { f32::INFINITY } else { 0.2 * channel as f32 };
        writer.write_plane(channel, plane.mapv(|v| u8::from(v > level)).view()).expect("written");
    }
    writer.finish().expect("a mask cube");
    let mut controls = controls(300, false);
    let channel = |active, threshold_jy| cleanloop::imager::ChannelControls {
        active,
        iterations_left: 300,
        threshold_jy,
        major_iterations: 1,
    };
    controls.channels = vec![channel(true, 0.01), channel(true, 0.01), channel(true, 0.6), channel(false, 0.01)];
    let cycle = imager.clean(Some(&mask), &controls).expect("a cycle");
    assert_eq!(cycle.channels.len(), 4);
    assert_eq!(cycle.channels[0].stopped, Some(StopReason::EmptyMask));
    assert!(cycle.channels[2].threshold_reached && cycle.channels[2].stopped == Some(StopReason::Threshold));
    assert!(cycle.channels[1].iterations > 0 && cycle.channels[3].iterations == 0);
    let products = imager.restore().expect("images");
    imager.teardown();
    let (model, mask) = (cube(&products.model), cube(&mask));
    assert!(model.iter().zip(&mask).all(|(m, inside)| *m == 0.0 || *inside != 0.0), "each channel inside its own mask");
    let flux: Vec<f32> = (0..4).map(|c| model.index_axis(Axis(0), c).sum()).collect();
    assert!(flux[0] == 0.0 && flux[1] > 0.0 && flux[2] > 0.0 && flux[3] == 0.0, "{flux:?}");
    assert_eq!(products.channels.len(), 4);
    assert_eq!(cube(&products.image).shape(), [4, SIZE, SIZE]);
    assert!(dirty(&bench, "m", "MODEL_DATA").iter().any(|v| v.abs() > 0.01), "the channels' models are in the data");

    // One long call with the same mask cube: also one process per channel with this version.
    let mut once = bench.imager("once", cube_options);
    let products = once.image_once(Some(&bench.folder.path().join("cube-mask.fits"))).expect("images");
    let model = cube(&products.model);
    assert!(model.iter().zip(&mask).all(|(m, inside)| *m == 0.0 || *inside != 0.0));
    assert!(model.index_axis(Axis(0), 3).sum() > 0.0);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn bad_input_is_refused_before_anything_runs() {
    let bench = StepContext::new();
    let refused = |name: &str, job: ImagingJob, changes: serde_json::Value| {
        let mut imager = WscleanImager::new(job, options(changes), ImagerContext::default());
        let error = imager.setup().expect_err(name);
        assert_eq!(error.exit_status(), ExitStatus::BadInput, "{name}: {error}");
        error
    };
    let job = bench.job("x");
    let mut missing = job.clone();
    missing.measurement_sets = vec!["/no/such.ms".into()];
    let error = refused("no MS", missing, json!({}));
    let WscleanError::NoMeasurementSet { path, exists: false } = inner(&error) else { panic!("{error:?}") };
    assert_eq!(path, Path::new("/no/such.ms"));
    let mut column = job.clone();
    column.data_column = "CORRECTED_DATA".into();
    let error = refused("no column", column, json!({}));
    assert!(matches!(inner(&error), WscleanError::NoColumn { column, .. } if column == "CORRECTED_DATA"), "{error:?}");
    let error = refused("unknown option", job.clone(), json!({"extra": {"magic": 3}}));
    let WscleanError::UnknownOptions { options, .. } = inner(&error) else { panic!("{error:?}") };
    assert_eq!(options.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["extra.magic"]);
    refused("nothing to clean with", job.clone(), json!({"niter": 0}));

    let small = bench.folder.path().join("small.fits");
    write_plane(&small, Array2::<u8>::ones((10, 20)).view(), PixelType::U8, &Header::default(), 2).expect("a mask");
    let error = bench.imager("x", json!({})).image_once(Some(&small)).expect_err("a mask of another size");
    let WscleanError::MaskSize { path, found_x: 20, found_y: 10, size: 512 } = inner(&error) else {
        panic!("{error:?}")
    };
    assert_eq!(path, &small);
    assert_eq!(error.exit_status(), ExitStatus::BadInput);
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn failures_of_the_program_are_external_and_say_why() {
    let bench = StepContext::new();
    let mut absent = ImagerContext { executable: vec!["wsclean-that-is-not-there".into()], ..Default::default() };
    let mut imager = WscleanImager::new(bench.job("x"), options(json!({})), absent.clone());
    assert_eq!(imager.capabilities().program, "wsclean (not found)");
    assert_eq!(imager.command_lines(None).len(), 1, "a plan can be shown all the same");
    let error = imager.setup().expect_err("absent");
    assert_eq!(error.exit_status(), ExitStatus::External);
    let ProcessError::NotFound { program, hint } = inner(&error) else { panic!("{error:?}") };
    assert_eq!(program, "wsclean-that-is-not-there");
    assert_eq!(hint, cleanloop::imager::wsclean::INSTALL_HINT);
    absent.executable = vec!["echo".into(), "hello".into()];
    let error = WscleanImager::new(bench.job("x"), options(json!({})), absent).setup().expect_err("echo");
    assert!(matches!(inner(&error), WscleanError::NotWsclean { said, .. } if said == "hello"), "{error:?}");

    // A value that only wsclean itself can judge.
    let error = bench.imager("x", json!({"weight": "heavy"})).setup().expect_err("no such weighting");
    assert_eq!(error.exit_status(), ExitStatus::External);
    let WscleanError::Failed { reason, command, log } = inner(&error) else { panic!("{error:?}") };
    assert!(!reason.is_empty() && command.starts_with("wsclean ") && log.ends_with("x.log"), "{error:?}");
}

#[test]
#[ignore = "needs wsclean and CASA"]
fn limits_and_interruptions_stop_it_and_leave_no_products() {
    let bench = StepContext::new();
    let slow = json!({"size": 6000, "threshold": 0.0001, "niter": 10_000_000, "nmiter": 100});
    let attempt = |context: ImagerContext| {
        let started = Instant::now();
        let mut imager = WscleanImager::new(bench.job("slow"), options(slow.clone()), context);
        let error = imager.image_once(None).expect_err("it is stopped");
        imager.teardown();
        assert!(started.elapsed() < Duration::from_secs(60));
        assert_eq!(std::fs::read_dir(bench.folder.path().join("slow")).expect("the folder").count(), 0);
        error
    };
    let mut context = ImagerContext::default();
    context.limits.time = Some(Duration::from_secs(1));
    let error = attempt(context);
    let second = Duration::from_secs(1);
    assert!(matches!(inner(&error), ProcessError::TimedOut { limit, .. } if *limit == second), "{error:?}");

    let mut context = ImagerContext::default();
    context.limits.silence = Some(Duration::from_millis(200));
    let error = attempt(context);
    let limit_of_silence = Duration::from_millis(200);
    let ProcessError::Stalled { limit, .. } = inner(&error) else { panic!("{error:?}") };
    assert_eq!(*limit, limit_of_silence);

    let token = Arc::new(AtomicBool::new(false));
    let context = ImagerContext { cancel: Some(Arc::clone(&token)), ..Default::default() };
    let log = bench.folder.path().join("slow.log");
    std::fs::remove_file(&log).expect("the log of the attempts before");
    std::thread::spawn(move || {
        wait_until("a word of wsclean", PATIENCE, || log.metadata().is_ok_and(|m| m.len() > 0));
        token.store(true, Ordering::Relaxed);
    });
    assert_eq!(attempt(context).exit_status(), ExitStatus::Interrupted);
}
