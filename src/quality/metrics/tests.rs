use super::*;
use crate::image::{Beam, Header, ImageError, PixelType, PlaneWriter};
use crate::util::testing::{inner, words};
use ndarray::{Array2, array};
use std::path::Path;

/// Deterministic noise of unit variance: the sum of twelve uniform numbers less six.
fn noise(shape: (usize, usize), mut state: u64) -> Array2<f32> {
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    Array2::from_shape_simple_fn(shape, || (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
}

fn beam(fwhm_pixels: f64) -> BeamOnPixels {
    let beam = Beam { major_deg: fwhm_pixels / 3600.0, minor_deg: fwhm_pixels / 3600.0, pa_deg: 0.0 };
    BeamOnPixels { beam, pixel_deg: 1.0 / 3600.0 }
}

#[test]
fn noise_is_taken_outside_the_mask_and_from_the_residual() {
    let residual = noise((200, 200), 1);
    let mut image = residual.clone();
    let mut mask = Array2::zeros((200, 200));
    for y in 50..100 {
        for x in 20..180 {
            image[(y, x)] += 50.0;
            mask[(y, x)] = 1.0;
        }
    }
    image[(75, 90)] = 500.0;
    image[(10, 150)] = -25.0;
    let arrays = PlaneArrays { mask: Some(mask.view()), ..PlaneArrays::of_image(image.view()) };
    let m = of_plane(&arrays, None);
    assert!((m.rms - 1.0).abs() < 0.03, "{}", m.rms);
    assert_eq!((m.peak, m.peak_pixel), (500.0, [90, 75]));
    assert_eq!((m.minimum, m.minimum_pixel, m.negative_ratio), (-25.0, [150, 10], 0.05));
    assert_eq!((m.masked_pixels, m.masked_fraction), (Some(8000), Some(0.2)));
    assert_eq!((m.dynamic_range, m.snr), (500.0 / m.noise, 500.0 / m.rms));
    let doubled = &residual * 2.0;
    let m = of_plane(&PlaneArrays { residual: Some(doubled.view()), ..arrays }, None);
    assert!((m.rms - 2.0).abs() < 0.06, "the residual is preferred: {}", m.rms);
}

/// The safe noise with something added to plain noise, over that without it.
fn noise_with(change: impl Fn(&mut Array2<f32>)) -> (f64, f64) {
    let plain = noise((300, 300), 7);
    let mut changed = plain.clone();
    change(&mut changed);
    let of = |image: &Array2<f32>| of_plane(&PlaneArrays::of_image(image.view()), Some(beam(3.0)));
    let (before, after) = (of(&plain), of(&changed));
    assert!((before.noise / before.standard_deviation - 1.0).abs() < 0.01, "{before:?}");
    (after.noise / before.noise, after.standard_deviation / before.standard_deviation)
}

#[test]
fn single_bad_regions_do_not_decide_the_noise() {
    let stripe = |rows: std::ops::Range<usize>| {
        move |image: &mut Array2<f32>| {
            for y in rows.clone() {
                image.row_mut(y).iter_mut().enumerate().for_each(|(x, v)| *v += if x % 2 == 0 { 6.0 } else { -6.0 });
            }
        }
    };
    for (safe, plain) in [
        noise_with(|image| image[(77, 210)] = 400.0),
        noise_with(stripe(0..6)),
        noise_with(stripe(294..300)),
        noise_with(stripe(146..152)),
        noise_with(|image| image.slice_mut(ndarray::s![100..106, 50..56]).fill(30.0)),
    ] {
        assert!((1.0..1.05).contains(&safe) && plain > 1.15, "{safe} {plain}");
    }
}

#[test]
fn artefacts_around_a_source_count_in_full() {
    // Noise that falls with the distance from a source, as the errors around it do.
    let (safe, plain) = noise_with(|image| {
        for ((y, x), v) in image.indexed_iter_mut() {
            *v *= 1.0 + 8.0 * (-(y as f32 - 150.0).hypot(x as f32 - 150.0) / 25.0).exp();
        }
    });
    assert!(plain > 1.3 && safe / plain > 0.97, "{safe} {plain}");
}

#[test]
fn the_near_field_is_where_the_artefacts_are() {
    let mut image = noise((300, 300), 2);
    for y in 100..200 {
        for x in 100..200 {
            image[(y, x)] *= 5.0;
        }
    }
    image[(150, 150)] = 1000.0;
    let m = of_plane(&PlaneArrays::of_image(image.view()), Some(beam(3.0)));
    let near = m.near_field_rms.unwrap();
    assert!((near / 5.0 - 1.0).abs() < 0.05, "{near}");
    assert!(m.rms < 1.3);
    // A ninth of the pixels has five times the noise: sqrt(8/9 + 25/9), and the source itself.
    let expected = (8.0 / 9.0 + 25.0 / 9.0 + 1e6 / 9e4f64).sqrt();
    assert!((m.standard_deviation / expected - 1.0).abs() < 0.03, "{}", m.standard_deviation);
    assert_eq!(m.near_field_snr.unwrap(), 1000.0 / near);
    let area = std::f64::consts::PI * 9.0 / (4.0 * std::f64::consts::LN_2);
    assert!((m.beam_area_arcsec2.unwrap() - area).abs() < 1e-9);
}

#[test]
fn model_flux_is_sorted_by_islands_and_sign() {
    let model = array![[2.0f32, -0.5, 0.0], [0.0, 1.0, -0.5]];
    let islands = array![[1.0f32, 1.0, 0.0], [0.0, 0.0, 0.0]];
    let m = of_model(model.view(), Some(islands.view()));
    assert_eq!((m.total_flux, m.inside_flux, m.outside_flux), (2.0, Some(1.5), Some(1.5)));
    assert_eq!((m.components, m.negative_fraction, m.peak), (4, 0.25, 2.0));
    assert_eq!(of_model(model.view(), None).inside_flux, None);
}

#[test]
fn what_is_not_finite_is_flagged_and_nan_borders_are_not() {
    let mut image = noise((20, 20), 3);
    image[(0, 0)] = f32::NAN;
    let ok = of_plane(&PlaneArrays::of_image(image.view()), None);
    assert!(!ok.non_finite);
    assert_eq!(ok.valid_pixels, 399);
    let model = Array2::from_elem((20, 20), f32::NAN);
    let arrays = PlaneArrays { model: Some(model.view()), ..PlaneArrays::of_image(image.view()) };
    assert!(of_plane(&arrays, None).non_finite);
    image[(5, 5)] = f32::INFINITY;
    assert!(of_plane(&PlaneArrays::of_image(image.view()), None).non_finite);
    let empty = of_plane(&PlaneArrays::of_image(model.view()), None);
    assert!(empty.non_finite && empty.rms == 0.0 && empty.dynamic_range == 0.0);
    let json = serde_json::to_string(&empty).unwrap();
    assert_eq!(serde_json::from_str::<ImageMetrics>(&json).unwrap(), empty);
}

#[test]
fn unimaged_zeros_are_no_noise() {
    let mut image = noise((100, 100), 4);
    image.slice_mut(ndarray::s![..80, ..]).fill(0.0);
    let m = of_plane(&PlaneArrays::of_image(image.view()), None);
    assert!((m.rms - 1.0).abs() < 0.06, "{}", m.rms);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let image = noise((257, 301), 5);
    let arrays =
        PlaneArrays { model: Some(image.view()), mask: Some(image.view()), ..PlaneArrays::of_image(image.view()) };
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| of_plane(&arrays, Some(beam(4.0))))
    };
    assert_eq!(of(1), of(3));
}

fn write_cube(path: &Path, planes: &[Array2<f32>]) {
    let (ny, nx) = planes[0].dim();
    let mut header = Header::default();
    header.set_str("CTYPE3", "FREQ");
    header.set_f64("CDELT1", -1.0 / 3600.0);
    header.set_f64("CDELT2", 1.0 / 3600.0);
    header.set_f64("BMAJ", 3.0 / 3600.0);
    header.set_f64("BMIN", 2.0 / 3600.0);
    let mut writer = PlaneWriter::create(path, &[nx, ny, planes.len()], PixelType::F32, &header, false).unwrap();
    for (i, plane) in planes.iter().enumerate() {
        writer.write_plane(i, plane.view()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn cubes_stream_into_channels_and_an_overall() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut planes: Vec<Array2<f32>> = (0..5).map(|c| noise((64, 64), 10 + c) * (c + 1) as f32).collect();
    planes[3][(10, 20)] = 300.0;
    planes[1].fill(f32::NAN);
    write_cube(&path("image.fits"), &planes);
    let models: Vec<Array2<f32>> = (0..5)
        .map(|c| Array2::from_shape_fn((64, 64), |(y, x)| if y == c && x < 4 { -1.0 + x as f32 } else { 0. }))
        .collect();
    write_cube(&path("model.fits"), &models);
    write_cube(&path("mask.fits"), &[Array2::from_elem((64, 64), 0.0)]);
    let files = RoundFiles {
        image: path("image.fits"),
        model: Some(path("model.fits")),
        mask: Some(path("mask.fits")),
        ..RoundFiles::default()
    };
    let m = of_files(&files).unwrap();
    assert_eq!(m.channels.len(), 5);
    assert_eq!((m.peak, m.peak_channel, m.peak_pixel), (300.0, 3, [20, 10]));
    assert!((3.0..4.2).contains(&m.rms), "median of about 1, 3, 4 and 5: {}", m.rms);
    let model = m.model.unwrap();
    // Each channel has -1, 0, 1, 2.
    assert_eq!((model.total_flux, model.components), (10.0, 15));
    assert!((model.negative_fraction - 0.25).abs() < 1e-12);
    assert!(!m.non_finite, "one blank channel is no failure");
    write_cube(&path("short.fits"), &planes[..2]);
    let error = of_files(&RoundFiles { residual: Some(path("short.fits")), ..files }).unwrap_err();
    let ImageError::Unsuitable { path, reason } = inner(&error) else { panic!("{error:?}") };
    assert!(path.ends_with("short.fits"), "{error}");
    insta::assert_snapshot!(words(reason, folder.path()), @"has 2 channels, but <folder>/image.fits has 5: both must have the same number");
}
