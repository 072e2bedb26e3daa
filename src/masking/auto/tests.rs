use super::extended::UNCERTAIN;
use super::vetting::{Surroundings, box_side, check};
use super::*;
use crate::kernels::bitmask::BitMask;
use crate::kernels::rolling_maximum_at;
use crate::kernels::rows::{Extremum, Greatest, RowsFrom};
use crate::masking::make_mask;
use islands::MaskIslands;
use ndarray::Array2;
use rstest::rstest;

const BEAM: PixelBeam = PixelBeam { major: 3.0, minor: 3.0, pa_deg: 0.0 };

/// Deterministic noise of unit variance, smoothed by nothing.
fn noise(side: usize, mut state: u64) -> Array2<f32> {
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    Array2::from_shape_simple_fn((side, side), || (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
}

fn add_source(image: &mut Array2<f32>, (y0, x0): (usize, usize), peak: f32, fwhm: f32) {
    for ((y, x), v) in image.indexed_iter_mut() {
        let squared = (y as f32 - y0 as f32).powi(2) + (x as f32 - x0 as f32).powi(2);
        *v += peak * (-4.0 * std::f32::consts::LN_2 * squared / (fwhm * fwhm)).exp();
    }
}

fn state(ratio: f64, excess: f64) -> ImageState {
    ImageState {
        peak: 1.0,
        minimum: -ratio,
        rms: 1e-3,
        negative_ratio: ratio,
        negative_excess: excess,
        fwhm: 3.0,
        beam_area: 10.0,
    }
}

#[rstest]
// Ratio and excess, then box, seed and flood: the ends of the schedule tuned by hand, and between them.
#[case::worst(0.2, 6.0, 300, 1.6, 1.0)]
#[case::nearly_clean(0.004, 3.0, 150, 1.1, 0.7)]
#[case::between(0.0158, 6.0, 225, 1.35, 0.85)]
#[case::faint_field_of_noise(0.2, 1.25, 158, 1.128, 0.717)]
fn levels_follow_the_negatives(
    #[case] ratio: f64,
    #[case] excess: f64,
    #[case] side: usize,
    #[case] seed: f64,
    #[case] flood: f64,
) {
    let choice = choose(&MaskingOptions::default(), &state(ratio, excess), 1.0, &AutoMaskOptions::default());
    let m = &choice.masking;
    assert!(m.flood_fill && m.flood_fill_use_mac);
    assert!(m.flood_fill_use_mac_box_size.abs_diff(side) <= 1, "{m:?}");
    assert!((m.flood_fill_positive_seed_clip - seed).abs() < 2e-3, "{m:?}");
    assert!((m.flood_fill_positive_flood_clip - flood).abs() < 2e-3, "{m:?}");
}

#[test]
fn without_artefacts_local_noise_decides_and_caution_raises_it() {
    let base = MaskingOptions { beam_shape_erode: true, ..MaskingOptions::default() };
    let options = AutoMaskOptions::default();
    let choice = choose(&base, &state(0.03, 1.1), 1.3, &options);
    assert!(!choice.masking.flood_fill_use_mac && choice.masking.beam_shape_erode);
    assert!((choice.masking.flood_fill_positive_seed_clip - 6.5).abs() < 1e-12);
    insta::assert_snapshot!(choice.why, @"the most negative pixel is 3.00 % of the peak and 1.1 times what noise would make: no artefacts, so seeds are 6.50 and growth 2.60 times the local noise");
}

#[test]
fn noise_alone_has_no_excess() {
    let measured = measure(noise(300, 3).view(), Some(&BEAM)).unwrap();
    assert!((0.8..1.2).contains(&measured.negative_excess), "{measured:?}");
    assert_eq!(measure(Array2::from_elem((9, 9), f32::NAN).view(), None), None);
    assert_eq!(measure(Array2::from_elem((9, 9), -1.0).view(), None), None);
}

/// A source of 1000 in unit noise at the middle of 240 pixels.
fn field() -> Array2<f32> {
    let mut image = noise(240, 7);
    add_source(&mut image, (120, 120), 1000.0, 3.0);
    image
}

fn is_masked(mask: &AutoMask, p: (usize, usize)) -> bool {
    mask.mask.any()[p]
}

fn inputs(image: &Array2<f32>) -> AutoInputs<'_> {
    AutoInputs { image: image.view(), beam: Some(&BEAM), sidelobes: None, uncleaned: None, last: None, left: 0.0 }
}

fn settings<'a>(base: &'a MaskingOptions, noise: &'a NoiseOptions, limits: &'a AutoMaskOptions) -> AutoSettings<'a> {
    AutoSettings { base, noise, caution: 1.0, limits }
}

fn make_of<'a>(image: &'a Array2<f32>, last: Option<LastRound<'a>>) -> AutoMask {
    let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
    make(&AutoInputs { last, ..inputs(image) }, &settings(&base, &noise, &AutoMaskOptions::default())).unwrap()
}

/// The mask without islands that are not believed, and these; `uncleaned` has the bright sources when `image` is a residual.
fn checked(
    mask: &MaskBits,
    image: &Array2<f32>,
    uncleaned: Option<&Array2<f32>>,
    state: &ImageState,
    extended: &Array2<bool>,
    options: &AutoMaskOptions,
) -> (MaskBits, Vec<RemovedIsland>) {
    let mut mask = mask.clone();
    let islands = MaskIslands::of(&mask.any_bits(), image.view());
    let bright = uncleaned.unwrap_or(image);
    let reach = box_side(2.0 * options.vetting.beside_reach, state);
    let bright = bright.view();
    let bright_from = |next| RowsFrom { image: &bright, next, nan: Greatest::NEUTRAL };
    let brightest = rolling_maximum_at(bright_from, reach, BitMask::full(image.nrows(), image.ncols()));
    let surroundings = Surroundings { image: image.view(), brightest: &brightest, state };
    let extended = BitMask::from_bools(extended.view());
    let removed = check(&mut mask, &islands, &surroundings, None, &extended, options);
    (mask, removed)
}

#[test]
fn artefacts_paired_with_negatives_are_not_believed_and_sources_are() {
    let mut image = field();
    // Phase errors: odd about the source. Amplitude errors: a ring of both signs.
    add_source(&mut image, (120, 150), 60.0, 3.0);
    add_source(&mut image, (120, 90), -50.0, 3.0);
    add_source(&mut image, (160, 120), 55.0, 3.0);
    add_source(&mut image, (148, 148), -52.0, 3.0);
    // Sources, near and far.
    add_source(&mut image, (100, 140), 60.0, 3.0);
    add_source(&mut image, (30, 200), 90.0, 3.0);
    let options = MaskingOptions { base_snr_clip: 10.0, ..MaskingOptions::default() };
    let zero = Array2::zeros(image.dim());
    let one = Array2::ones(image.dim());
    let mask = make_mask(image.view(), Some(zero.view()), Some(one.view()), None, &options).unwrap().mask;
    let state = measure(image.view(), Some(&BEAM)).unwrap();
    let nothing = Array2::from_elem(image.dim(), false);
    let options = AutoMaskOptions {
        vetting: VettingOptions { beside_ratio: f64::INFINITY, ..VettingOptions::default() },
        ..AutoMaskOptions::default()
    };
    let check_with = |mask: &MaskBits, extended: &Array2<bool>| checked(mask, &image, None, &state, extended, &options);
    let (_, removed) = check_with(&mask, &nothing);
    assert_eq!(removed.len(), 2);
    let mut extended = nothing.clone();
    extended[(160, 120)] = true;
    let (_, removed) = check_with(&mask, &extended);
    assert_eq!(removed.len(), 1, "what is extended emission, too, is not paired");
    let (checked, removed) = check_with(&mask, &nothing);
    let places: Vec<[usize; 2]> = removed.iter().map(|r| r.pixel).collect();
    assert_eq!(places, [[150, 120], [120, 160]]);
    insta::assert_snapshot!(removed[0].why, @"mirrored at the source of 9.994e2 at x 120 y 120 there is a negative of 83 % of it");
    insta::assert_snapshot!(removed[1].why, @"at the same distance from the source of 9.994e2 at x 120 y 120 there is a negative of 96 % of it");
    let kept = checked.any();
    assert!(kept[(100, 140)] && kept[(30, 200)] && kept[(120, 120)]);
    assert!(!kept[(120, 150)] && !kept[(160, 120)]);
}

#[test]
fn beside_a_bright_source_islands_must_be_clearer_than_elsewhere() {
    let mut image = field();
    // Both 1.5 times the deepest negative nearby; 13 and 47 beams from the bright source.
    for y in [160, 40] {
        let x = if y == 160 { 120 } else { 240 - 23 };
        add_source(&mut image, (y, x), 60.0, 3.0);
        add_source(&mut image, (y + 12, x), -40.0, 3.0);
    }
    let mask = Array2::from_shape_fn(image.dim(), |p: (usize, usize)| image[p] > 30.0 && p.0.abs_diff(120) > 10);
    let mut bits = MaskBits::empty(image.dim(), 1);
    bits.set(0, mask.view());
    let state = measure(image.view(), Some(&BEAM)).unwrap();
    let (nothing, options) = (Array2::from_elem(image.dim(), false), AutoMaskOptions::default());
    let places = |image: &Array2<f32>, uncleaned: Option<&Array2<f32>>| -> Vec<[usize; 2]> {
        let (_, removed) = checked(&bits, image, uncleaned, &state, &nothing, &options);
        removed.iter().map(|r| r.pixel).collect()
    };
    assert_eq!(places(&image, None), [[120, 160]]);
    // In a residual the bright source is gone; the image before cleaning still has it.
    let mut residual = image.clone();
    add_source(&mut residual, (120, 120), -1000.0, 3.0);
    assert_eq!(places(&residual, None), Vec::<[usize; 2]>::new());
    assert_eq!(places(&residual, Some(&image)), [[120, 160]]);
}

#[test]
fn compact_islands_far_from_the_worst_artefact_are_found() {
    let mut image = field();
    add_source(&mut image, (120, 150), -150.0, 3.0);
    add_source(&mut image, (20, 20), 60.0, 3.0);
    let made = make_of(&image, None);
    assert!(made.choice.masking.flood_fill_use_mac && is_masked(&made, (20, 20)), "{}", made.choice.why);
    assert!(made.compact > 0 && !made.hidden);
    let off = AutoMaskOptions {
        compact: CompactOptions { seed: 0.0, ..CompactOptions::default() },
        ..AutoMaskOptions::default()
    };
    let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
    let without = make(&inputs(&image), &settings(&base, &noise, &off)).unwrap();
    assert!(!is_masked(&without, (20, 20)), "the clip knows the deepest pixel of its large box only");
    // In a residual, a PSF with sidelobes of 10 % may have made it of the source of 1000.
    let mut psf = Array2::zeros((240, 240));
    add_source(&mut psf, (120, 120), 1.0, 3.0);
    add_source(&mut psf, (20, 20), 0.1, 3.0);
    let sidelobes = PsfSidelobes::of(psf.view(), &ExtendedOptions::default().scales, 3.0);
    let residual = AutoInputs { sidelobes: Some(&sidelobes), ..inputs(&image) };
    let hidden = make(&residual, &settings(&base, &noise, &AutoMaskOptions::default())).unwrap();
    assert!(hidden.hidden && !is_masked(&hidden, (20, 20)), "{}", hidden.choice.why);
}

#[test]
fn islands_are_no_sidelobes_of_the_brightest_pixel() {
    // Arms that reach 40 % of the peak, as a snapshot's PSF has them; they fall below its main lobe's edge first.
    let with_arms = |mut image: Array2<f32>, peak: f32| {
        for x in 0..240usize {
            let distance = x.abs_diff(120) as f32;
            image[(120, x)] += (if distance < 12.0 { 0.15 } else { 0.4 }) * peak;
        }
        // A grating lobe, an island of its own.
        add_source(&mut image, (60, 60), 0.6 * peak, 3.0);
        add_source(&mut image, (120, 120), peak, 3.0);
        image
    };
    let image = with_arms(noise(240, 5), 1000.0);
    let psf = with_arms(Array2::zeros((240, 240)), 1.0);
    let sidelobes = PsfSidelobes::of(psf.view(), &ExtendedOptions::default().scales, 3.0);
    let (base, noise, limits) = (MaskingOptions::default(), NoiseOptions::default(), AutoMaskOptions::default());
    let pixels = |sidelobes| {
        let made = make(&AutoInputs { sidelobes, ..inputs(&image) }, &settings(&base, &noise, &limits)).unwrap();
        assert!(is_masked(&made, (120, 120)), "{}", made.choice.why);
        (made.mask.masked_pixels(), is_masked(&made, (120, 200)))
    };
    let (restored, residual) = (pixels(None), pixels(Some(&sidelobes)));
    assert!(restored.1, "in a restored image the arm is emission");
    assert!(!residual.1 && residual.0 < 120, "{residual:?}");
}

#[test]
fn among_sidelobes_everywhere_the_brightest_pixel_is_an_island() {
    // Fringes of a few baselines: six tenths of the peak over the whole image.
    let fringes = |peak: f32| {
        Array2::from_shape_fn((240, 240), |(y, x)| {
            let (dy, dx) = (y as f32 - 120.0, x as f32 - 120.0);
            let envelope = (-(dx * dx + dy * dy) / 8_000.0).exp();
            peak * (0.6 * envelope * (0.55 * dx).cos() * (0.6 * dy).cos())
        })
    };
    let with_source = |mut image: Array2<f32>, peak: f32| {
        add_source(&mut image, (120, 120), 0.4 * peak, 3.0);
        image
    };
    let (base, noise_options, limits) =
        (MaskingOptions::default(), NoiseOptions::default(), AutoMaskOptions::default());
    let psf = with_source(fringes(1.0), 1.0);
    let sidelobes = PsfSidelobes::of(psf.view(), &limits.extended.scales, 3.0);
    assert!(sidelobes.highest > UNCERTAIN, "{}", sidelobes.highest);
    let masked = |image: &Array2<f32>| {
        let residual = AutoInputs { sidelobes: Some(&sidelobes), ..inputs(image) };
        make(&residual, &settings(&base, &noise_options, &limits)).unwrap()
    };
    // On a level that makes the negatives shallow.
    let made = masked(&(with_source(fringes(100.0), 100.0) + noise(240, 3) + 25.0));
    assert!(is_masked(&made, (120, 120)), "{}", made.choice.why);
    let is_near = |(y, x): (usize, usize)| y.abs_diff(120) < 8 && x.abs_diff(120) < 8;
    assert!(made.mask.any().indexed_iter().all(|(p, &m)| !m || is_near(p)), "{}", made.mask.masked_pixels());
    assert_eq!(masked(&noise(240, 3)).mask.masked_pixels(), 0, "noise alone is no source");
}

#[test]
fn sidelobes_of_what_was_left_are_no_islands_of_a_restored_image() {
    let mut image = field();
    add_source(&mut image, (40, 40), 60.0, 3.0);
    add_source(&mut image, (200, 40), 60.0, 3.0);
    let mut known = Array2::from_elem((240, 240), false);
    known[(200, 40)] = true;
    let last_image = image.clone();
    let last = Some(LastRound { image: last_image.view(), mask: known.view() });
    let (base, noise, limits) = (MaskingOptions::default(), NoiseOptions::default(), AutoMaskOptions::default());
    let masked = |left| {
        let made = make(&AutoInputs { last, left, ..inputs(&image) }, &settings(&base, &noise, &limits)).unwrap();
        [(40, 40), (200, 40), (120, 120)].map(|at| is_masked(&made, at))
    };
    assert_eq!(masked(0.0), [true, true, true]);
    assert_eq!(masked(100.0), [false, true, true]);
}

#[test]
fn new_islands_must_have_been_visible() {
    let last_image = field();
    let mut last_mask = Array2::from_elem((240, 240), false);
    last_mask[(120, 120)] = true;
    last_mask[(200, 40)] = true;
    let mut image = field();
    // Out of nothing; known from the last mask; too faint to have been seen in an image four times as noisy.
    add_source(&mut image, (40, 40), 60.0, 3.0);
    add_source(&mut image, (200, 40), 60.0, 3.0);
    let last = LastRound { image: last_image.view(), mask: last_mask.view() };
    let made = make_of(&image, Some(last));
    assert_eq!(made.removed.iter().map(|r| r.pixel).collect::<Vec<_>>(), [[40, 40]]);
    insta::assert_snapshot!(made.removed[0].why, @"new, though it would have stood out by 60.5 sigma in the last image, which shows 1.9");
    assert!(is_masked(&made, (200, 40)) && is_masked(&made, (120, 120)) && !is_masked(&made, (40, 40)));
    let noisy = field() * 20.0;
    let last = LastRound { image: noisy.view(), mask: last_mask.view() };
    assert!(is_masked(&make_of(&image, Some(last)), (40, 40)));
    assert!(is_masked(&make_of(&image, None), (40, 40)));
}

#[test]
fn faint_extended_emission_is_found() {
    let mut image = noise(240, 9);
    add_source(&mut image, (60, 60), 40.0, 3.0);
    add_source(&mut image, (150, 150), 3.5, 60.0);
    let made = make_of(&image, None);
    let masked = made.mask.any();
    let inside = (135..165).flat_map(|y| (135..165).map(move |x| (y, x))).filter(|&p| masked[p]).count();
    assert!(inside > 700, "{inside} of 900; {}", made.choice.why);
    assert!(masked[(60, 60)] && made.fraction < 0.2, "{}", made.fraction);
    assert!(made.extended.iter().any(|s| s.pixels > 0), "{:?}", made.extended);
    // Artefacts of a bright source do not hide it: its own scale decides.
    add_source(&mut image, (60, 60), 2000.0, 3.0);
    add_source(&mut image, (60, 75), -120.0, 3.0);
    let made = make_of(&image, None);
    assert!(made.choice.artefacts > 0.9 && made.mask.any()[(150, 150)], "{}", made.choice.why);
    let off = AutoMaskOptions {
        extended: ExtendedOptions { scales: Vec::new(), ..ExtendedOptions::default() },
        ..AutoMaskOptions::default()
    };
    let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
    let made = make(&inputs(&image), &settings(&base, &noise, &off)).unwrap();
    assert!(!made.mask.any()[(150, 150)] && made.extended.is_empty());
}

#[test]
fn too_large_masks_are_made_again_and_refused_in_the_end() {
    let mut image = noise(120, 5);
    add_source(&mut image, (60, 60), 400.0, 90.0);
    let (base, noise) = (MaskingOptions::default(), NoiseOptions::default());
    let strict = AutoMaskOptions {
        levels: LevelOptions { max_fraction: 0.02, ..LevelOptions::default() },
        ..AutoMaskOptions::default()
    };
    let result = make(&inputs(&image), &settings(&base, &noise, &strict));
    match result {
        Ok(made) => assert!(made.raised > 0 && made.fraction <= 0.02, "{} {}", made.raised, made.fraction),
        Err(e) => {
            assert!(
                matches!(e, AutoMaskError::TooMuch { allowed, raised: MOST_ATTEMPTS, .. } if allowed == 0.02),
                "{e:?}"
            );
        }
    }
    let nothing = AutoMaskOptions {
        levels: LevelOptions { max_fraction: 0.0, ..LevelOptions::default() },
        ..AutoMaskOptions::default()
    };
    let error = make(&inputs(&image), &settings(&base, &noise, &nothing)).unwrap_err();
    assert!(matches!(error, AutoMaskError::TooMuch { raised: MOST_ATTEMPTS, .. }), "{error}");
    insta::assert_snapshot!(AutoMaskError::TooMuch { fraction: 0.031, allowed: 0.02, raised: MOST_ATTEMPTS }, @"3.1 % of the image would be masked, 2.0 % are allowed, even with levels raised 5 times");
}
