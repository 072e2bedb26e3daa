//! Times the mask kernels alone, in memory: `mask_kernels --fits IMAGE` prints a JSON object of seconds (best of some).
//! `mask_kernels --residual RESIDUAL PSF DIRTY` times whole automatic masks instead, from files to a file: of the dirty image
//! as if it were restored, and of the residual, whose PSF's levels are made before, as in the cycles of a round.
//! Run by benches/masks.py; the number of threads comes from RAYON_NUM_THREADS.

use cleanloop::image::{FitsImage, PixelBeam};
use cleanloop::kernels::{
    Connectivity, beam_footprint, box_count, fill_holes_bits, footprint_erosion, geodesic_dilation_bits, label,
    rolling_minimum,
};
use cleanloop::masking::flint::convolve_first::smooth_to_scale;
use cleanloop::masking::flint::mac::{MacOptions, mac_seeds};
use cleanloop::masking::maker::{AutomaticInputs, MaskRequest, make, sidelobes};
use cleanloop::masking::{MaskMethod, MaskRecipe, MaskingOptions};
use cleanloop::util::huge_pages::HugePages;
use ndarray::Array2;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

/// As in the program.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// Runs of each kernel; the fastest counts.
const RUNS: usize = 5;

fn main() {
    let files: Vec<String> = std::env::args().skip_while(|a| a != "--residual").skip(1).collect();
    if let [residual, psf, dirty] = &files[..] {
        return automatic(Path::new(residual), Path::new(psf), Path::new(dirty));
    }
    let mut words = std::env::args().skip_while(|a| a != "--fits").skip(1);
    // `cargo bench` without arguments: a small image of waves.
    let mut read = None;
    let image = match words.next() {
        Some(path) => {
            let (image, seconds) = best(|| FitsImage::open(&path).unwrap().read_plane(0, 0).unwrap());
            read = Some(seconds);
            image
        }
        None => Array2::from_shape_fn((512, 512), |(y, x)| (0.1 * y as f32).sin() * (0.07 * x as f32).cos()),
    };
    let mut table = serde_json::Map::new();
    let mut add = |name: &str, seconds: f64| table.insert(name.into(), seconds.into());
    if let Some(seconds) = read {
        add("read the file", seconds);
    }
    for n in [15, 75, 400] {
        add(&format!("rolling minimum, box {n}"), best(|| rolling_minimum(image.view(), n)).1);
    }
    for n in [75, 400] {
        add(&format!("box count, box {n}"), best(|| box_count(image.view(), n, |&v: &f32| v > 0.0)).1);
    }
    let options = MaskingOptions {
        flood_fill_positive_seed_clip: 1.2,
        flood_fill_positive_flood_clip: 0.8,
        ..MaskingOptions::default()
    };
    let (found, seconds) = best(|| mac_seeds(image.view(), &MacOptions::from(&options)));
    add("minimum absolute clip, box 75", seconds);
    let grow = || {
        let mut mask = found.seeds.clone();
        geodesic_dilation_bits(&mut mask, &found.floor, Connectivity::Eight, Some(1000));
        mask
    };
    let (mask, seconds) = best(grow);
    let mask = mask.to_bools();
    add("geodesic dilation", seconds);
    let floor_bools = found.floor.to_bools();
    add("label", best(|| label(floor_bools.view(), Connectivity::Eight)).1);
    let fill = || {
        let mut floor = found.floor.clone();
        fill_holes_bits(&mut floor);
        floor
    };
    add("fill holes", best(fill).1);
    let beam = PixelBeam { major: 6.8, minor: 4.9, pa_deg: 0.0 };
    for scale in [0.0, 32.0, 256.0] {
        let footprint = beam_footprint(&beam, 0.6, scale);
        let name = format!("erosion, scale {scale}");
        add(&name, best(|| footprint_erosion(mask.view(), footprint.view())).1);
    }
    for scale in [8, 32, 128] {
        add(&format!("opening and smoothing, scale {scale}"), best(|| smooth_to_scale(image.view(), scale)).1);
    }
    println!("{}", serde_json::Value::Object(table));
}

/// Whole automatic masks.
fn automatic(residual: &Path, psf: &Path, dirty: &Path) {
    let recipe = MaskRecipe { method: MaskMethod::Auto, ..MaskRecipe::default() };
    let output = std::env::temp_dir().join(format!("mask_kernels-{}.fits", std::process::id()));
    let (levels, of_psf) = best(|| sidelobes(psf, residual, &recipe.auto).unwrap());
    let restored = MaskRequest::new(dirty, &recipe, &output);
    let cycle = AutomaticInputs { sidelobes: Some(&levels), uncleaned: Some(dirty), ..AutomaticInputs::default() };
    let cycle = MaskRequest { automatic: cycle, ..MaskRequest::new(residual, &recipe, &output) };
    let mut table = serde_json::Map::new();
    table.insert("levels of the PSF".into(), of_psf.into());
    table.insert("restored image".into(), best(|| make(&restored).unwrap()).1.into());
    table.insert("residual, levels known".into(), best(|| make(&cycle).unwrap()).1.into());
    let _ = std::fs::remove_file(&output);
    println!("{}", serde_json::Value::Object(table));
}

/// The result and the seconds of the fastest of some runs.
fn best<T>(mut work: impl FnMut() -> T) -> (T, f64) {
    let mut fastest = f64::INFINITY;
    let mut result = None;
    for _ in 0..RUNS {
        drop(result.take());
        let begin = Instant::now();
        result = Some(black_box(work()));
        fastest = fastest.min(begin.elapsed().as_secs_f64());
    }
    (result.expect("at least one run"), fastest)
}
