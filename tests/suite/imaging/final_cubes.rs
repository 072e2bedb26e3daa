//! Cubes in groups of channels with the real wsclean and tclean: pixel for pixel those of one job.

use crate::support::{real, simulated};
use assert_cmd::Command;
use cleanloop::campaign::record::CampaignRecord;
use cleanloop::image::FitsImage;
use cleanloop::measurement_set::copy;
use std::fs;
use std::path::Path;

/// Channels of the cubes; the data have 26.
const CHANNELS: usize = 24;

fn campaign(imager: &str, options: &str, imagings: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy(simulated::wide_line_cube(), &folder.path().join("line.ms")).expect("a copy of the data");
    let text = format!(
        "version: 0.2\ncampaign:\n  name: cube\n  measurement_sets: [line.ms]\n  output: out\n  rounds: 0\n  \
         imager: {imager}\n  calibrator: none\n  mask: none\n  resources: {{threads: 1}}\n  final_imaging:\n{imagings}\
         defaults: {{{options}}}\nselfcal: {{0: {{}}}}\n"
    );
    fs::write(folder.path().join("campaign.yaml"), text).expect("written");
    folder
}

fn run(folder: &Path) -> CampaignRecord {
    let output = Command::cargo_bin("cleanloop")
        .expect("the binary is built")
        .current_dir(folder)
        .args(["run", "campaign.yaml", "--quiet"])
        .output()
        .expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    CampaignRecord::load(&folder.join("out")).expect("a record")
}

/// Bits of all pixels of a product, channel by channel.
fn pixels(folder: &Path, imaging: &str, product: &str) -> Vec<Vec<u32>> {
    let path = folder.join("out/final").join(imaging).join(format!("{product}.fits"));
    let mut cube = FitsImage::open(&path).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(cube.channels(), CHANNELS, "{}", path.display());
    (0..CHANNELS).map(|channel| cube.read_plane(0, channel).unwrap().iter().map(|v| v.to_bits()).collect()).collect()
}

fn assert_same(folder: &Path, whole: &str, imagings: &[&str], products: &[&str]) {
    for product in products {
        let expected = pixels(folder, whole, product);
        assert!(expected.iter().flatten().any(|bits| f32::from_bits(*bits) != 0.0), "{product} is not empty");
        for imaging in imagings {
            let groups = pixels(folder, imaging, product);
            let differ: Vec<usize> = (0..CHANNELS).filter(|channel| groups[*channel] != expected[*channel]).collect();
            assert!(differ.is_empty(), "{product} of {imaging} differs in channels {differ:?}");
            let spectral = |imaging: &str| {
                let path = folder.join("out/final").join(imaging).join(format!("{product}.fits"));
                let header = FitsImage::open(path).unwrap().header().clone();
                ["CRVAL3", "CDELT3"].map(|key| header.get_f64(key).expect("a spectral axis"))
            };
            let (here, there) = (spectral(imaging), spectral(whole));
            assert!((here[0] - there[0]).abs() < 1.0 && (here[1] / there[1] - 1.0).abs() < 1e-6, "{here:?} {there:?}");
        }
    }
}

/// 26 channels of data in 24 of the cube: the last of each dozen has two.
#[test]
#[ignore = "needs wsclean and CASA"]
fn groups_of_wsclean_are_the_cube_of_one_job() {
    real::require("wsclean");
    let options = "wsclean: {size: 64, scale: 0.3asec, weight: briggs 0.5, niter: 200, mgain: 0.7, auto_threshold: 3, \
                   auto_mask: null, local_rms: false, channels_out: 1, join_channels: false, gridder: wstacking, \
                   abs_mem: 1, beam_fitting_size: null}";
    let plain = "wsclean: {channels_out: 24, auto_threshold: 1}, mask: none";
    // Masks of the residuals between the cycles. Channels without the line stop early, and masks settle in some.
    let masked = "wsclean: {channels_out: 24}, mask: auto, stop: {major_cycles: 4}";
    let imagings = format!(
        "    plain: {{{plain}}}\n    fives: {{{plain}, channels_per_job: 5}}\n    \
         masked: {{{masked}}}\n    masked-1: {{{masked}, channels_per_job: 1}}\n    \
         masked-5: {{{masked}, channels_per_job: 5}}\n    masked-24: {{{masked}, channels_per_job: 24}}\n"
    );
    let folder = campaign("wsclean", options, &imagings);
    run(folder.path());
    assert_same(folder.path(), "plain", &["fives"], &["image", "residual", "model", "psf"]);
    let products = ["image", "residual", "model", "psf", "mask"];
    assert_same(folder.path(), "masked", &["masked-1", "masked-5", "masked-24"], &products);
}

/// A cube in LSRK whose channels are wider than those of the data and begin between two of them. Cleaned cubes depend on how
/// CASA ends its cycles (docs/final-imaging.md): this one is not cleaned.
#[test]
#[ignore = "needs CASA"]
fn groups_of_tclean_lie_on_the_grid_of_one_job() {
    let options = "tclean: {imsize: 64, cell: 0.3arcsec, weighting: briggs, robust: 0.5, niter: 200, threshold: 8mJy}";
    let cube = "tclean: {specmode: cube, nchan: 24, start: 100.0006GHz, width: 2.06MHz, outframe: LSRK, niter: 0}, \
                mask: none";
    let imagings = format!("    whole: {{{cube}}}\n    fives: {{{cube}, channels_per_job: 5}}\n");
    let folder = campaign("casa", options, &imagings);
    run(folder.path());
    assert_same(folder.path(), "whole", &["fives"], &["image", "residual", "psf", "pb"]);
}
