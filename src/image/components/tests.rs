//! Components on grids.

use super::*;
use crate::image::Header;

/// A grid of `nx` x `ny` pixels of one arcsecond around 10h, +30.
fn grid(folder: &Path, name: &str, nx: usize, ny: usize) -> PathBuf {
    let mut header = Header::default();
    for (axis, kind, value, pixel, step) in
        [(1, "RA---SIN", 150.0, nx / 2 + 1, -1.0 / 3600.0), (2, "DEC--SIN", 30.0, ny / 2 + 1, 1.0 / 3600.0)]
    {
        header.set_str(&format!("CTYPE{axis}"), kind);
        header.set_f64(&format!("CRVAL{axis}"), value);
        header.set_f64(&format!("CRPIX{axis}"), pixel as f64);
        header.set_f64(&format!("CDELT{axis}"), step);
    }
    let path = folder.join(name);
    let plane = Array2::<f32>::zeros((ny, nx));
    crate::image::write_plane(&path, plane.view(), PixelType::F32, &header, 4).expect("written");
    path
}

fn plane(path: &Path) -> Array2<f32> {
    FitsImage::open(path).expect("an image").read_plane(0, 0).expect("a plane")
}

#[test]
fn a_point_lies_at_the_phase_centre_of_every_channel() {
    let folder = tempfile::tempdir().expect("folder");
    let like = grid(folder.path(), "model.fits", 64, 48);
    for name in ["model-0000.fits", "model.tt1.fits", "model-U.fits"] {
        grid(folder.path(), name, 64, 48);
    }
    grid(folder.path(), "image.fits", 64, 48);
    let to = folder.path().join("start");
    std::fs::create_dir(&to).expect("made");
    let point = at_centre(&like, 2.5).expect("a centre");
    let model = write_like(&[point], &like, &to).expect("written");
    assert_eq!(model, to.join("model.fits"));
    for name in ["model.fits", "model-0000.fits"] {
        let found = plane(&to.join(name));
        assert_eq!((found[(24, 32)], found.sum()), (2.5, 2.5), "{name}");
    }
    for name in ["model.tt1.fits", "model-U.fits"] {
        assert_eq!(plane(&to.join(name)).sum(), 0.0, "{name}");
    }
    assert!(!to.join("image.fits").exists());
}

#[test]
fn a_model_on_another_grid_keeps_its_fluxes_and_places() {
    let folder = tempfile::tempdir().expect("folder");
    let small = grid(folder.path(), "small.fits", 32, 32);
    let header = FitsImage::open(&small).expect("an image").header().clone();
    let mut values = Array2::<f32>::zeros((32, 32));
    (values[(16, 20)], values[(10, 16)]) = (1.0, 0.5);
    crate::image::write_plane(&small, values.view(), PixelType::F32, &header, 4).expect("written");
    let like = grid(folder.path(), "model.fits", 64, 64);
    let to = folder.path().join("start");
    std::fs::create_dir(&to).expect("made");
    let model = write_like(&read_model(&small).expect("components"), &like, &to).expect("written");
    let found = plane(&model);
    assert_eq!((found[(32, 36)], found[(26, 32)], found.sum()), (1.0, 0.5, 1.5));
}

#[test]
fn gaussians_keep_flux_and_orientation() {
    let folder = tempfile::tempdir().expect("folder");
    let like = grid(folder.path(), "model.fits", 64, 64);
    let to = folder.path().join("start");
    std::fs::create_dir(&to).expect("made");
    // Long in the direction of right ascension.
    let shape = Beam { major_deg: 10.0 / 3600.0, minor_deg: 4.0 / 3600.0, pa_deg: 90.0 };
    let gaussian = Component { shape: Some(shape), ..at_centre(&like, 3.0).expect("a centre") };
    let found = plane(&write_like(&[gaussian], &like, &to).expect("written"));
    assert!((found.sum() - 3.0).abs() < 1e-4);
    assert!(found[(32, 37)] > 2.0 * found[(37, 32)]);
    assert!((found[(32, 37)] / found[(32, 32)] - 0.5).abs() < 0.02, "half of the peak at half of the width");
}

#[test]
fn components_beside_the_image_are_no_model() {
    let folder = tempfile::tempdir().expect("folder");
    let like = grid(folder.path(), "model.fits", 16, 16);
    let position = SkyPosition { lon_deg: 160.0, lat_deg: 30.0 };
    let error =
        write_like(&[Component { position, flux: 1.0, shape: None }], &like, folder.path()).expect_err("beside");
    assert!(error.to_string().contains("none of the 1 components"), "{error}");
}
