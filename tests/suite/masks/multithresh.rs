//! Auto-multithresh against masks that CASA made, call by call.

use crate::support::references;
use cleanloop::image::psf::sidelobe_level;
use cleanloop::image::{Beam, FitsImage, PixelBeam};
use cleanloop::kernels::bitmask::BitMask;
use cleanloop::masking::multithresh::{Call, ChannelMaskState, MultithreshOptions, PlaneMasker, PlaneSummary, Scratch};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Every case there is: the full set where it is found, and the selection in the repository.
fn cases() -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::iter::once(references::selected("multithresh"))
        .chain(references::full("casa"))
        .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()))
        .filter(|path| path.join("case.json").is_file())
        .collect();
    cases.sort();
    cases
}

struct Case {
    folder: PathBuf,
    json: Value,
    options: MultithreshOptions,
    beam: PixelBeam,
    level: f32,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("case.json")).unwrap()).unwrap();
        let number = |v: &Value| v.as_f64().unwrap();
        let common = &json["common_beam"];
        let beam = Beam {
            major_deg: number(&common["bmaj_arcsec"]) / 3600.0,
            minor_deg: number(&common["bmin_arcsec"]) / 3600.0,
            pa_deg: number(&common["bpa_deg"]),
        };
        Self {
            folder: folder.to_path_buf(),
            options: serde_json::from_value(json["parameters"].clone()).unwrap(),
            beam: beam.in_pixels(number(&json["cell_arcsec"]) / 3600.0),
            level: number(&json["psf_sidelobe_level"]) as f32,
            json,
        }
    }

    fn image(&self, name: &str) -> Option<FitsImage> {
        let path = self.folder.join(name);
        path.is_file().then(|| FitsImage::open(path).unwrap())
    }

    /// Planes of a file, row by row; one plane serves all channels.
    fn planes(&self, name: &str, channels: usize, keep: impl Fn(f32) -> bool) -> Option<Vec<BitMask>> {
        let mut image = self.image(name)?;
        let (ny, nx) = image.plane_shape();
        Some(
            (0..channels)
                .map(|c| {
                    let plane = image.read_plane(0, c.min(image.channels() - 1)).unwrap();
                    BitMask::from_plane(ny, nx, plane.as_slice().unwrap(), &keep)
                })
                .collect(),
        )
    }
}

/// The figure as CASA prints it: six significant digits.
fn agrees(name: &str, ours: f64, golden: &Value) {
    let Some(golden) = golden.as_f64() else { return };
    // A unit of the sixth digit: CASA's own rounding of the printed number, half a unit, and f32 before it.
    let unit = if golden == 0.0 { 1e-12 } else { 10f64.powf(golden.abs().log10().floor() - 5.0) };
    assert!((ours - golden).abs() <= 0.501 * unit, "{name}: {ours} instead of {golden}");
}

fn compare(summary: &PlaneSummary, golden: &Value) {
    for (name, ours) in [("median", summary.median), ("rms", summary.rms), ("peak", Some(f64::from(summary.peak)))] {
        agrees(name, ours.unwrap_or(f64::NAN), &golden[name]);
    }
    agrees("thresh_value", summary.thresh_value.map_or(f64::NAN, f64::from), &golden["thresh_value"]);
    assert_eq!(summary.thresh_type.to_string(), golden["thresh_type"].as_str().unwrap());
    for (name, ours) in [
        ("n_reg", summary.n_reg),
        ("n_pruned", summary.n_pruned),
        ("n_grow", summary.n_grow),
        ("n_grow_pruned", summary.n_grow_pruned),
        ("n_neg_pix", summary.n_neg_pix),
        ("mask_pixels", summary.mask_pixels),
    ] {
        assert_eq!(ours as f64, golden[name].as_f64().unwrap(), "{name}");
    }
    assert_eq!(summary.skip, golden["skip"].as_bool().unwrap(), "skip");
    assert_eq!(summary.masking, golden["masking"].as_bool().unwrap(), "masking");
}

#[test]
fn the_sidelobe_level_is_casas() {
    let mut compared = 0;
    for folder in cases() {
        let case = Case::read(&folder);
        let Some(mut psf) = case.image("psf.fits.gz") else { continue };
        let number = |v: &Value| v.as_f64().unwrap();
        let beams: Vec<Beam> = case.json["beams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| Beam {
                major_deg: number(&b["bmaj_arcsec"]) / 3600.0,
                minor_deg: number(&b["bmin_arcsec"]) / 3600.0,
                pa_deg: number(&b["bpa_deg"]),
            })
            .collect();
        let level = sidelobe_level(&mut psf, &beams).unwrap();
        let units = level.to_bits().abs_diff(case.level.to_bits());
        assert!(units <= 1, "{}: {level} instead of {}", folder.display(), case.level);
        compared += 1;
    }
    assert!(compared > 4);
}

#[test]
fn every_mask_flag_and_figure_is_casas() {
    let cases = cases();
    assert!(!cases.is_empty(), "tests/data/multithresh is part of the repository");
    let mut planes = 0;
    for folder in cases {
        let case = Case::read(&folder);
        let masker = PlaneMasker::new(&case.options, case.beam).unwrap();
        let shape = case.image("residual_cycle0.fits.gz").unwrap();
        let ((ny, nx), channels) = (shape.plane_shape(), shape.channels());
        let limit = case.options.pbmask;
        let valid = case
            .planes("pb.fits.gz", channels, |v| v > limit)
            .filter(|_| limit > 0.0)
            .or_else(|| case.planes("pixelmask.fits.gz", channels, |v| v != 0.0));
        let mut states = match case.planes("mask_initial.fits.gz", channels, |v| v != 0.0) {
            Some(masks) => masks.into_iter().map(ChannelMaskState::with_mask).collect(),
            None => vec![ChannelMaskState::new(ny, nx); channels],
        };
        let mut scratch = Scratch::default();
        for cycle in case.json["cycles"].as_array().unwrap() {
            let mut residual = case.image(cycle["residual_file"].as_str().unwrap()).unwrap();
            let masks = case.planes(cycle["mask_file"].as_str().unwrap(), channels, |v| v != 0.0).unwrap();
            let call = Call {
                sidelobe_level: case.level,
                iterdone: cycle["iterdone"].as_u64().unwrap(),
                threshold_reached: cycle["threshold_reached"].as_bool().unwrap(),
                first_plane_full: states[0].mask.is_full(),
            };
            for channel in 0..channels {
                let at = format!("{} cycle {} channel {channel}", folder.display(), cycle["cycle"]);
                let plane = residual.read_plane(0, channel).unwrap();
                let valid = valid.as_ref().map(|v| &v[channel]);
                let (state, summary) = masker.update(plane.view(), valid, &call, &states[channel], &mut scratch);
                let differing: u32 =
                    state.mask.words().iter().zip(masks[channel].words()).map(|(a, b)| (a ^ b).count_ones()).sum();
                println!("{at}: {differing} of {} differ; {summary:?}", masks[channel].count());
                assert_eq!(differing, 0, "{at}: pixels differ");
                compare(&summary, &cycle["channels"][channel]);
                states[channel] = state;
                planes += 1;
            }
        }
    }
    assert!(planes > 10);
}
