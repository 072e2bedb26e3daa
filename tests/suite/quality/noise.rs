//! Noise maps against those that BANE itself made.

use crate::support::references;
use cleanloop::image::FitsImage;
use cleanloop::noise::{NoiseMaps, NoiseOptions, estimate};
use ndarray::{Array2, s};
use std::path::Path;

fn plane(path: &Path) -> Array2<f32> {
    FitsImage::open(path).unwrap().read_plane(0, 0).unwrap()
}

fn maps(path: &Path) -> NoiseMaps {
    let image = FitsImage::open(path).unwrap();
    let beam = image.beam().map(|b| b.in_pixels(image.pixel_deg().unwrap()));
    estimate(plane(path).view(), beam, &NoiseOptions::default()).unwrap()
}

fn worst_relative_difference<'a>(
    ours: impl IntoIterator<Item = &'a f32>,
    theirs: impl IntoIterator<Item = &'a f32>,
) -> f64 {
    ours.into_iter()
        .zip(theirs)
        .map(|(&a, &b)| match (a.is_nan(), b.is_nan()) {
            (true, true) => 0.0,
            (false, false) => f64::from(((a - b) / b).abs()),
            _ => f64::INFINITY,
        })
        .fold(0.0, f64::max)
}

#[test]
fn bane_gives_the_maps_of_the_real_bane() {
    let selection = maps(&references::selected("flint/inputs/sim_a.fits.gz"));
    for (kind, ours) in [("bkg", &selection.background), ("rms", &selection.rms)] {
        // The selection keeps every eighth pixel of BANE's maps, from the fourth on.
        let theirs = plane(&references::selected(&format!("bane/sim_a_{kind}_every8.fits.gz")));
        let ours = ours.slice(s![3..;8, 3..;8]);
        assert_eq!(ours.dim(), theirs.dim());
        let worst = worst_relative_difference(ours, &theirs);
        assert!(worst < 1e-4, "{kind}: {worst:e}");
    }
    let (Some(bane), Some(flint)) = (references::full("bane"), references::full("flint")) else { return };
    for name in ["sim_a", "wsclean_r0"] {
        let made = maps(&flint.join(format!("inputs/{name}.fits.gz")));
        for (file, ours) in [("bkg.fits.gz", &made.background), ("rms.fits.gz", &made.rms)] {
            let worst = worst_relative_difference(ours, &plane(&bane.join(name).join(file)));
            assert!(worst < 1e-4, "{name} {file}: {worst:e}");
        }
    }
}
