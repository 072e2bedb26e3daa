//! Draws every stage of auto-multithresh for one plane: the pictures of docs/automask.md.
//!
//! `cargo run --release --example automask_pictures -- [FOLDER]`

use cleanloop::image::PixelBeam;
use cleanloop::kernels::bitmask::BitMask;
use cleanloop::kernels::row_runs::RowRuns;
use cleanloop::kernels::{Connectivity, remove_small_islands_bits};
use cleanloop::masking::multithresh::grow::grow;
use cleanloop::masking::multithresh::smooth::{SmoothBuffers, Smoother};
use cleanloop::masking::multithresh::{Call, ChannelMaskState, MultithreshOptions, PlaneMasker, Scratch, Thresholds};
use image::{Rgb, RgbImage};
use ndarray::Array2;
use std::path::Path;

const SIZE: usize = 160;
const BEAM: PixelBeam = PixelBeam { major: 7.0, minor: 4.5, pa_deg: 35.0 };
const LEVEL: f32 = 0.1;
/// Screen pixels for an image pixel.
const ZOOM: u32 = 2;

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs/img".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let options = MultithreshOptions {
        sidelobethreshold: 1.3,
        // Low, so that there is something to prune.
        noisethreshold: 2.7,
        negativethreshold: 6.0,
        fastnoise: false,
        ..MultithreshOptions::default()
    };
    let masker = PlaneMasker::new(&options, BEAM).expect("sensible");
    let smoother = Smoother::new(BEAM, 1.0);
    let smooth = |mask: &BitMask| {
        smoother.smooth_and_cut(&RowRuns::of(mask), options.cutthreshold, &mut SmoothBuffers::default())
    };
    let prune = |mask: &BitMask| {
        let mut pruned = mask.clone();
        remove_small_islands_bits(&mut pruned, masker.least_pixels().ceil() as usize, Connectivity::Four);
        pruned
    };
    let mut scratch = Scratch::default();

    // The first call.
    let first = sky(1.0);
    let start = ChannelMaskState::new(SIZE, SIZE);
    let (after_first, summary) = masker.update(first.view(), None, &Call::first(LEVEL), &start, &mut scratch);
    let thresholds = summary.thresholds.expect("measured");
    let cut = above(&first, thresholds.value);
    draw(folder, "automask_1_residual", &first, &[]);
    draw(folder, "automask_2_threshold", &first, &[(&cut, RED)]);
    let pruned = prune(&cut);
    draw(folder, "automask_3_pruned", &first, &[(&pruned, RED)]);
    let smoothed = smooth(&pruned);
    draw(folder, "automask_4_smoothed", &first, &[(&smoothed, RED)]);
    let negative = smooth(&below(&first, thresholds.negative));
    draw(folder, "automask_5_negative", &first, &[(&negative, BLUE)]);
    draw(folder, "automask_6_mask", &first, &[(&after_first.mask, GREEN)]);
    report("first call", &thresholds, summary.mask_pixels);

    // The second call: the bright emission was cleaned, the faint rest shows.
    let second = sky(0.3);
    let call = Call { iterdone: 1, ..Call::first(LEVEL) };
    let (after_second, summary) = masker.update(second.view(), None, &call, &after_first, &mut scratch);
    let thresholds = summary.thresholds.expect("measured");
    let low = above(&second, thresholds.low_noise);
    draw(folder, "automask_7_low_noise", &second, &[(&low, YELLOW), (&after_first.mask, GREEN)]);
    let grown = grow(&after_first.mask, &low, options.growiterations);
    draw(folder, "automask_8_grown", &second, &[(&prune(&grown), YELLOW)]);
    draw(folder, "automask_9_mask", &second, &[(&after_second.mask, GREEN)]);
    report("second call", &thresholds, summary.mask_pixels);
}

fn report(call: &str, thresholds: &Thresholds, pixels: usize) {
    println!("{call}: {} threshold {:.4}, {pixels} pixels masked", thresholds.kind, thresholds.value);
}

fn above(plane: &Array2<f32>, limit: f32) -> BitMask {
    BitMask::from_plane(SIZE, SIZE, plane.as_slice().expect("contiguous"), |v| v > limit)
}

fn below(plane: &Array2<f32>, limit: f32) -> BitMask {
    BitMask::from_plane(SIZE, SIZE, plane.as_slice().expect("contiguous"), |v| v < limit)
}

/// Beam-shaped noise of unit width, a jet, two sources, an absorption line against one; emission scaled by `factor`.
fn sky(factor: f32) -> Array2<f32> {
    let mut state = 20260401u64;
    let mut uniform = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let white = Array2::from_shape_simple_fn((SIZE, SIZE), || (0..12).map(|_| uniform()).sum::<f32>() - 6.0);
    let noise = Array2::from_shape_fn((SIZE, SIZE), |(y, x)| {
        let mut sum = 0.0;
        for (dy, dx, weight) in beam_weights() {
            let (y, x) = ((y as isize + dy).rem_euclid(SIZE as isize), (x as isize + dx).rem_euclid(SIZE as isize));
            sum += weight * white[[y as usize, x as usize]];
        }
        sum
    });
    let width = (noise.iter().map(|v| v * v).sum::<f32>() / noise.len() as f32).sqrt();
    Array2::from_shape_fn((SIZE, SIZE), |(y, x)| {
        let (y, x) = (y as f32, x as f32);
        let blob = |cy: f32, cx: f32, s: f32| (-((y - cy).powi(2) + (x - cx).powi(2)) / (2.0 * s * s)).exp();
        let jet: f32 =
            (0..40).map(|i| blob(60.0 + i as f32, 55.0 + 1.6 * i as f32, 4.0) * (1.0 - 0.022 * i as f32)).sum();
        let emission = 3.0 * jet + 22.0 * blob(115.0, 40.0, 3.0) + 9.0 * blob(30.0, 120.0, 3.0);
        noise[[y as usize, x as usize]] / width + factor * (emission - 12.0 * blob(35.0, 40.0, 3.5))
    })
}

fn beam_weights() -> Vec<(isize, isize, f32)> {
    let (sin, cos) = BEAM.pa_deg.to_radians().sin_cos();
    let mut weights = Vec::new();
    for dy in -8isize..=8 {
        for dx in -8isize..=8 {
            let u = (dy as f64 * cos - dx as f64 * sin) / BEAM.major;
            let v = (dx as f64 * cos + dy as f64 * sin) / BEAM.minor;
            weights.push((dy, dx, (-4.0 * std::f64::consts::LN_2 * (u * u + v * v)).exp() as f32));
        }
    }
    weights
}

type Colour = [u8; 3];
const RED: Colour = [226, 74, 51];
const BLUE: Colour = [60, 130, 220];
const GREEN: Colour = [70, 180, 90];
const YELLOW: Colour = [230, 180, 40];

/// The plane in grey, masks as half transparent colours with full outlines; north is up.
fn draw(folder: &Path, name: &str, plane: &Array2<f32>, masks: &[(&BitMask, Colour)]) {
    let side = SIZE as u32 * ZOOM;
    let picture = RgbImage::from_fn(side, side, |px, py| {
        let (x, y) = ((px / ZOOM) as usize, SIZE - 1 - (py / ZOOM) as usize);
        let grey = (40.0 + 14.0 * plane[[y, x]].clamp(-5.0, 15.0)).clamp(0.0, 255.0) as u8;
        let mut colour = [grey; 3];
        for (mask, tint) in masks {
            if !mask.get(y, x) {
                continue;
            }
            let edge = y == 0
                || x == 0
                || y + 1 == SIZE
                || x + 1 == SIZE
                || !(mask.get(y - 1, x) && mask.get(y + 1, x) && mask.get(y, x - 1) && mask.get(y, x + 1));
            let share = if edge { 100 } else { 35 };
            for (c, t) in colour.iter_mut().zip(tint) {
                *c = ((u32::from(*c) * (100 - share) + u32::from(*t) * share) / 100) as u8;
            }
        }
        Rgb(colour)
    });
    let path = folder.join(format!("{name}.png"));
    picture.save(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
