//! Times auto-multithresh on planes in memory: `automask_planes --size N RESIDUAL...` reads one raw little-endian
//! float32 plane per call and prints a JSON list of seconds (best of some runs) and masked pixels, call by call.
//! Run by benches/automask.py; a plane is one thread's work.

use cleanloop::image::PixelBeam;
use cleanloop::masking::multithresh::{Call, ChannelMaskState, PlaneMasker, Preset, Scratch};
use ndarray::Array2;
use std::time::Instant;

/// Runs through all calls; the fastest of each call counts.
const RUNS: usize = 7;
/// The beam of benches/automask.py, pixels and degrees.
const BEAM: PixelBeam = PixelBeam { major: 6.0, minor: 4.2, pa_deg: -37.0 };
/// Its sidelobe level.
const LEVEL: f32 = 0.1;

fn main() {
    let arguments: Vec<String> = std::env::args().skip_while(|a| a != "--size").skip(1).collect();
    // `cargo bench` without arguments: one small plane of waves.
    let size: usize = arguments.first().map_or(256, |n| n.parse().expect("--size takes a number"));
    let mut planes: Vec<Array2<f32>> = arguments.iter().skip(1).map(|path| read(path, size)).collect();
    if planes.is_empty() {
        planes.push(Array2::from_shape_fn((size, size), |(y, x)| (0.1 * y as f32).sin() * (0.07 * x as f32).cos()));
    }
    let masker = PlaneMasker::new(&Preset::Alma12mCompact.options(), BEAM).expect("sensible");
    let mut best = vec![f64::INFINITY; planes.len()];
    let mut pixels = vec![0; planes.len()];
    let mut scratch = Scratch::default();
    for _ in 0..RUNS {
        let mut state = ChannelMaskState::new(size, size);
        for (i, plane) in planes.iter().enumerate() {
            let call = Call { iterdone: i as u64, ..Call::first(LEVEL) };
            let start = Instant::now();
            let (next, summary) = masker.update(plane.view(), None, &call, &state, &mut scratch);
            best[i] = best[i].min(start.elapsed().as_secs_f64());
            pixels[i] = summary.mask_pixels;
            state = next;
        }
    }
    println!("{}", serde_json::json!({ "seconds": best, "mask_pixels": pixels }));
}

fn read(path: &str, size: usize) -> Array2<f32> {
    let bytes = std::fs::read(path).expect(path);
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four bytes"))).collect();
    Array2::from_shape_vec((size, size), values).expect("size x size pixels")
}
