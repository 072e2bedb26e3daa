//! Confetti in simulated cubes: a small interferometer observes narrow, resolved and extended lines, a multi-scale
//! CLEAN models them, and confetti is put into the models. Everything is deterministic.

use crate::support::words::said;
use assert_cmd::Command;
use cleanloop::image::{Header, PixelBeam, PixelType, PlaneWriter};
use cleanloop::quality::confetti::{Candidate, ConfettiOptions, ConfettiVerdict, judge_cube};
use ndarray::{Array2, ArrayView2, s};
use rayon::prelude::*;
use std::f64::consts::{LN_2, PI};

/// Side of the image, pixels; channels of the cube; FWHM of the beam, pixels.
const SIDE: usize = 80;
const CHANNELS: usize = 12;
const FWHM: f64 = 4.0;
/// FWHM of the scales of CLEAN, pixels, and how they are preferred.
const SCALES: [f64; 3] = [0.0, 5.0, 12.0];
const SCALE_BIAS: [f64; 3] = [1.0, 0.9, 0.8];

/// splitmix64, and normal numbers by Box and Muller.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (2.0 * PI * self.uniform()).cos()
    }
}

/// A Gaussian on the sky (a point when its FWHM is 0), position in pixels from the centre.
#[derive(Clone, Copy)]
struct Source {
    x: f64,
    y: f64,
    fwhm: f64,
    flux: f64,
}

/// Spatial frequencies, cycles a pixel.
struct Array {
    uv: Vec<(f64, f64)>,
}

impl Array {
    /// 20 antennas, seven hour angles, a source at declination 40 degrees.
    fn new(random: &mut Random) -> Self {
        let spread = 0.3748 / FWHM / 2f64.sqrt();
        let antennas: Vec<(f64, f64)> = (0..20).map(|_| (spread * random.normal(), spread * random.normal())).collect();
        let mut uv = Vec::new();
        for (i, a) in antennas.iter().enumerate() {
            for b in &antennas[..i] {
                let (east, north) = (a.0 - b.0, a.1 - b.1);
                for hour in -3..=3 {
                    let (sin, cos) = (f64::from(hour) * 0.26).sin_cos();
                    let point = (east * cos + north * sin, (-east * sin + north * cos) * 0.9);
                    if point.0.hypot(point.1) < 0.45 {
                        uv.push(point);
                    }
                }
            }
        }
        Self { uv }
    }

    fn taper(&self, k: usize, fwhm: f64) -> f64 {
        let (u, v) = self.uv[k];
        (-PI * PI * fwhm * fwhm * (u * u + v * v) / (4.0 * LN_2)).exp()
    }

    fn visibilities(&self, sources: &[Source], noise: f64, random: &mut Random) -> Vec<(f64, f64)> {
        let sigma = noise * (self.uv.len() as f64).sqrt();
        (0..self.uv.len())
            .map(|k| {
                let (u, v) = self.uv[k];
                let (mut re, mut im) = (sigma * random.normal(), sigma * random.normal());
                for s in sources {
                    let flux = s.flux * self.taper(k, s.fwhm);
                    let (sin, cos) = (-2.0 * PI * (u * s.x + v * s.y)).sin_cos();
                    re += flux * cos;
                    im += flux * sin;
                }
                (re, im)
            })
            .collect()
    }

    /// Mean of Re(V exp(2 pi i (u x + v y))) with a Gaussian taper, on `side` pixels whose centre is `side / 2`.
    fn image(&self, visibilities: &[(f64, f64)], fwhm_squared: f64, side: usize) -> Array2<f64> {
        let centre = (side / 2) as f64;
        let mut image = Array2::<f64>::zeros((side, side));
        let mut columns = vec![(0.0, 0.0); side];
        for (k, &(re, im)) in visibilities.iter().enumerate() {
            let (u, v) = self.uv[k];
            let weight = self.taper(k, fwhm_squared.sqrt()) / self.uv.len() as f64;
            for (x, c) in columns.iter_mut().enumerate() {
                let (sin, cos) = (2.0 * PI * u * (x as f64 - centre)).sin_cos();
                *c = (weight * (re * cos - im * sin), weight * (re * sin + im * cos));
            }
            for (y, mut row) in image.rows_mut().into_iter().enumerate() {
                let (sin, cos) = (2.0 * PI * v * (y as f64 - centre)).sin_cos();
                for (pixel, c) in row.iter_mut().zip(&columns) {
                    *pixel += c.0 * cos - c.1 * sin;
                }
            }
        }
        image
    }
}

/// Sampled Gaussian of unit sum on a square image, centred on a pixel; a point for FWHM 0.
fn gaussian(fwhm: f64, side: usize, (y0, x0): (usize, usize)) -> Array2<f64> {
    let mut kernel = Array2::from_shape_fn((side, side), |(y, x)| {
        let squared = (y as f64 - y0 as f64).powi(2) + (x as f64 - x0 as f64).powi(2);
        if fwhm == 0.0 { f64::from(squared == 0.0) } else { (-4.0 * LN_2 * squared / (fwhm * fwhm)).exp() }
    });
    let sum = kernel.sum();
    kernel.mapv_inplace(|v| v / sum);
    kernel
}

/// Multi-scale CLEAN (Cornwell 2008): model and residual of one channel.
fn clean(
    array: &Array,
    responses: &[[Array2<f64>; 3]; 3],
    visibilities: &[(f64, f64)],
    mask: &Array2<bool>,
    threshold: f64,
) -> (Array2<f64>, Array2<f64>) {
    let mut residuals = SCALES.map(|s| array.image(visibilities, s * s, SIDE));
    let kernels = SCALES.map(|s| gaussian(s, 2 * SIDE, (SIDE, SIDE)));
    let mut model = Array2::<f64>::zeros((SIDE, SIDE));
    for _ in 0..600 {
        let mut best = (0, (0, 0), 0.0, 0.0);
        for (s, residual) in residuals.iter().enumerate() {
            let own = responses[s][s][(SIDE, SIDE)];
            for (p, &v) in residual.indexed_iter() {
                if !mask[p] {
                    continue;
                }
                let score = v.abs() * SCALE_BIAS[s] / own.sqrt();
                if score > best.2 {
                    best = (s, p, score, v / own);
                }
            }
        }
        let (s, (y0, x0), score, amplitude) = best;
        if score < threshold {
            break;
        }
        let step = 0.15 * amplitude;
        model.scaled_add(step, &kernels[s].slice(s![SIDE - y0..2 * SIDE - y0, SIDE - x0..2 * SIDE - x0]));
        for (j, residual) in residuals.iter_mut().enumerate() {
            let response = responses[s][j].slice(s![SIDE - y0..2 * SIDE - y0, SIDE - x0..2 * SIDE - x0]);
            residual.scaled_add(-step, &response);
        }
    }
    let [residual, ..] = residuals;
    (model, residual)
}

/// A simulated observation with its truth.
struct Simulation {
    model: Vec<Array2<f32>>,
    image: Vec<Array2<f32>>,
    residual: Vec<Array2<f32>>,
    dirty: Vec<Array2<f32>>,
    /// Channel and `[x, y]` of what was injected.
    confetti: Vec<(usize, [usize; 2])>,
    /// Genuine sources of one channel.
    narrow: Vec<(usize, [usize; 2])>,
}

fn pixel_of(s: &Source) -> [usize; 2] {
    [s.x, s.y].map(|v| (v + (SIDE / 2) as f64).round() as usize)
}

/// Puts confetti anywhere, in the empty field as well as on the extended source, apart from the other sources.
fn add_confetti(count: usize, result: &mut Simulation, models: &mut [Array2<f64>], random: &mut Random) {
    for i in 0..count {
        let (channel, [x, y]) = loop {
            let channel = (random.uniform() * CHANNELS as f64) as usize;
            let p @ [x, y] = [0; 2].map(|_: usize| random.between(6.0, SIDE as f64 - 6.0) as usize);
            let others = result.narrow.iter().chain(&result.confetti).map(|o| o.1);
            let apart = |[a, b]: [usize; 2]| (a as f64 - x as f64).hypot(b as f64 - y as f64) > 3.0 * FWHM;
            if others.into_iter().all(apart) {
                break (channel, p);
            }
        };
        let flux = random.between(8.0, 60.0);
        let cancelled = if i % 2 == 0 { 1.0 } else { random.between(0.5, 0.9) };
        let patch = gaussian(random.between(0.9, 1.4) * FWHM, SIDE, (y, x));
        models[channel].scaled_add(-cancelled * flux, &patch);
        models[channel][(y, x)] = flux;
        result.confetti.push((channel, [x, y]));
    }
}

/// The residual with the model's pixels as restoring beams on it.
fn restored(model: &Array2<f64>, residual: &Array2<f32>) -> Array2<f32> {
    let mut image = residual.clone();
    for ((y, x), &v) in model.indexed_iter().filter(|(_, v)| **v != 0.0) {
        let reach = (2.0 * FWHM) as usize;
        for py in y.saturating_sub(reach)..(y + reach + 1).min(SIDE) {
            for px in x.saturating_sub(reach)..(x + reach + 1).min(SIDE) {
                let squared = (py as f64 - y as f64).powi(2) + (px as f64 - x as f64).powi(2);
                image[(py, px)] += (v * (-4.0 * LN_2 * squared / (FWHM * FWHM)).exp()) as f32;
            }
        }
    }
    image
}

/// Noise of 1. Line widths: one channel (4 sources of 8 to 60), resolved (4, of 10 to 80), an extended source whose
/// extent changes with the channel; then `confetti` pixels of 8 to 60 that their patch cancels in part or in full.
fn simulate(seed: u64, confetti: usize) -> Simulation {
    let mut random = Random(seed);
    let array = Array::new(&mut random);
    let unit = vec![(1.0, 0.0); array.uv.len()];
    let responses = SCALES.map(|a| SCALES.map(|b| array.image(&unit, a * a + b * b, 2 * SIDE)));
    let mut channels: Vec<Vec<Source>> = vec![Vec::new(); CHANNELS];
    let mut taken: Vec<(f64, f64)> = Vec::new();
    let mut place = |random: &mut Random| loop {
        let (x, y) = (random.between(-32.0, 32.0), random.between(-32.0, 32.0));
        // Apart from one another, and from the middle of the extended source.
        if x.hypot(y) > 14.0 && taken.iter().all(|t| (t.0 - x).hypot(t.1 - y) > 2.5 * FWHM) {
            taken.push((x, y));
            return (x, y);
        }
    };
    let mut narrow = Vec::new();
    for _ in 0..4 {
        let (x, y) = place(&mut random);
        let channel = (random.uniform() * CHANNELS as f64) as usize;
        let source = Source { x, y, fwhm: 0.0, flux: random.between(8.0, 60.0) };
        narrow.push((channel, pixel_of(&source)));
        channels[channel].push(source);
    }
    for _ in 0..4 {
        let (x, y) = place(&mut random);
        let (centre, width) = (random.between(2.0, 9.0), random.between(2.5, 4.0));
        let flux = random.between(10.0, 80.0);
        for (c, sources) in channels.iter_mut().enumerate() {
            let line = (-4.0 * LN_2 * ((c as f64 - centre) / width).powi(2)).exp();
            sources.push(Source { x, y, fwhm: 0.0, flux: flux * line });
        }
    }
    for (c, sources) in channels.iter_mut().enumerate().filter(|(c, _)| (3..9).contains(c)) {
        let shift = c as f64 - 5.5;
        sources.push(Source { x: 1.5 * shift, y: -shift, fwhm: 16.0 - shift.abs(), flux: 500.0 });
        sources.push(Source { x: 3.0 - shift, y: 2.0, fwhm: 6.0, flux: 120.0 });
        sources.push(Source { x: -4.0, y: 3.0 + 0.5 * shift, fwhm: 0.0, flux: 30.0 });
    }
    let mut result = Simulation {
        model: Vec::new(),
        image: Vec::new(),
        residual: Vec::new(),
        dirty: Vec::new(),
        confetti: Vec::new(),
        narrow,
    };
    let mut models = Vec::new();
    for sources in &channels {
        let visibilities = array.visibilities(sources, 1.0, &mut random);
        let mask = Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
            let (x, y) = (x as f64 - (SIDE / 2) as f64, y as f64 - (SIDE / 2) as f64);
            sources.iter().any(|s| (s.x - x).hypot(s.y - y) < 1.5 * FWHM + s.fwhm)
        });
        let (model, residual) = clean(&array, &responses, &visibilities, &mask, 3.0);
        result.dirty.push(array.image(&visibilities, 0.0, SIDE).mapv(|v| v as f32));
        result.residual.push(residual.mapv(|v| v as f32));
        models.push(model);
    }
    add_confetti(confetti, &mut result, &mut models, &mut random);
    for (model, residual) in models.into_iter().zip(&result.residual) {
        result.image.push(restored(&model, residual));
        result.model.push(model.mapv(|v| v as f32));
    }
    result
}

#[derive(Debug, Default)]
struct Tally {
    injected: usize,
    found: usize,
    false_alarms: Vec<Candidate>,
    missed: Vec<String>,
    genuine: usize,
    genuine_judged_real: usize,
    genuine_vetoed: usize,
}

impl Tally {
    fn precision(&self) -> f64 {
        self.found as f64 / (self.found + self.false_alarms.len()) as f64
    }

    fn recall(&self) -> f64 {
        self.found as f64 / self.injected as f64
    }

    fn add(&mut self, simulation: &Simulation, candidates: &[Candidate]) {
        let near = |c: &Candidate, (channel, [x, y]): (usize, [usize; 2])| {
            c.channel == channel && c.pixel[0].abs_diff(x) <= 2 && c.pixel[1].abs_diff(y) <= 2
        };
        for &place in &simulation.confetti {
            self.injected += 1;
            if candidates.iter().any(|c| near(c, place) && c.verdict == ConfettiVerdict::Confetti) {
                self.found += 1;
            } else {
                self.missed.push(format!("{place:?}: {:?}", candidates.iter().find(|c| near(c, place))));
            }
        }
        for &place in &simulation.narrow {
            let Some(c) = candidates.iter().find(|c| near(c, place)) else { continue };
            self.genuine += 1;
            self.genuine_judged_real += usize::from(c.verdict == ConfettiVerdict::Real);
            self.genuine_vetoed += usize::from(c.verdict == ConfettiVerdict::Confetti);
        }
        let alarms = candidates.iter().filter(|c| c.verdict == ConfettiVerdict::Confetti);
        self.false_alarms.extend(alarms.filter(|c| !simulation.confetti.iter().any(|&place| near(c, place))).cloned());
    }
}

fn views(cube: &[Array2<f32>]) -> Vec<ArrayView2<'_, f32>> {
    cube.iter().map(|p| p.view()).collect()
}

fn judge(simulation: &Simulation, with_dirty: bool) -> Vec<Candidate> {
    let dirty = views(&simulation.dirty);
    judge_cube(
        &views(&simulation.model),
        &[1.0; CHANNELS],
        None,
        with_dirty.then_some(&dirty[..]),
        PixelBeam { major: FWHM, minor: FWHM, pa_deg: 0.0 },
        &ConfettiOptions::default(),
    )
}

#[test]
#[ignore = "large: half a minute of simulated cubes"]
fn precision_and_recall_on_simulated_cubes() {
    let judged: Vec<_> = (1..=5u64)
        .into_par_iter()
        .map(|seed| {
            let simulation = simulate(seed, 8);
            let candidates = [judge(&simulation, true), judge(&simulation, false)];
            (simulation, candidates)
        })
        .collect();
    for (i, name) in ["with the dirty cube", "from the model alone"].into_iter().enumerate() {
        let mut tally = Tally::default();
        for (simulation, candidates) in &judged {
            tally.add(simulation, &candidates[i]);
        }
        println!(
            "{name}: precision {:.3}, recall {:.3}; {} genuine: {} real, {} vetoed; missed {:#?}, false alarms {:#?}",
            tally.precision(),
            tally.recall(),
            tally.genuine,
            tally.genuine_judged_real,
            tally.genuine_vetoed,
            tally.missed,
            tally.false_alarms
        );
        assert!(tally.genuine >= 15, "the genuine narrow sources are candidates: {}", tally.genuine);
        assert_eq!(tally.genuine_vetoed, 0, "{name}");
        assert!(tally.recall() >= 0.95, "{name}: recall {}", tally.recall());
        assert!(tally.precision() >= 0.95, "{name}: precision {}", tally.precision());
        // From the model alone a genuine narrow source can only be suspicious; with data nearly all are cleared.
        assert!(i == 1 || tally.genuine_judged_real * 4 >= tally.genuine * 3, "{}", tally.genuine_judged_real);
    }
}

/// Writes cubes `[channel][y, x]` with frequency as the third axis.
fn write_cube(path: &std::path::Path, planes: &[Array2<f32>], with_beam: bool) {
    let (ny, nx) = planes[0].dim();
    let mut header = Header::default();
    header.set_str("CTYPE3", "FREQ");
    header.set_f64("CDELT1", -1e-3);
    header.set_f64("CDELT2", 1e-3);
    if with_beam {
        header.set_f64("BMAJ", 4e-3);
        header.set_f64("BMIN", 4e-3);
    }
    let mut writer = PlaneWriter::create(path, &[nx, ny, planes.len()], PixelType::F32, &header, false).unwrap();
    for (i, plane) in planes.iter().enumerate() {
        writer.write_plane(i, plane.view()).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
fn finished_cubes_give_table_json_regions_and_plots() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut random = Random(9);
    let mut noise = || Array2::from_shape_simple_fn((40, 44), || random.normal() as f32 * 1e-3);
    let residual: Vec<_> = (0..7).map(|_| noise()).collect();
    let mut model = vec![Array2::<f32>::zeros((40, 44)); 7];
    let mut dirty = residual.clone();
    // Confetti at x 12, y 20 in channel 4; a genuine narrow line at x 30, y 10 in channel 2.
    model[4].slice_mut(s![18..23, 10..15]).fill(-0.8e-3);
    model[4][(20, 12)] = 0.02;
    model[2][(10, 30)] = 0.03;
    dirty[2][(10, 30)] = 0.03;
    let image: Vec<_> = model.iter().zip(&residual).map(|(m, r)| m + r).collect();
    write_cube(&path("model.fits"), &model, false);
    write_cube(&path("residual.fits"), &residual, false);
    write_cube(&path("image.fits"), &image, true);
    write_cube(&path("dirty.fits"), &dirty, false);
    let run = |more: &[&str]| {
        let mut command = Command::cargo_bin("cleanloop").unwrap();
        command.current_dir(folder.path()).args(["confetti", "model.fits"]).args(more).assert()
    };
    let cubes = ["--residual", "residual.fits", "--image", "image.fits", "--dirty", "dirty.fits"];
    let json = |more: &[&str]| -> serde_json::Value {
        let output = run(&[&cubes[..], &["--json"], more].concat()).success().get_output().stdout.clone();
        serde_json::from_slice(&output).unwrap()
    };
    let report = json(&["--all", "--regions", "out.reg", "--plots", "plots"]);
    assert_eq!(report["counts"], serde_json::json!({"confetti": 1, "suspicious": 0, "real": 1}));
    let [real, confetti] = [&report["candidates"][0], &report["candidates"][1]];
    assert_eq!((&real["verdict"], &real["channel"]), (&"real".into(), &2.into()));
    assert_eq!((&confetti["verdict"], &confetti["pixel"]), (&"confetti".into(), &serde_json::json!([12, 20])));
    assert!((confetti["pedestal"].as_f64().unwrap() - 0.96).abs() < 1e-3);
    assert!((confetti["noise"].as_f64().unwrap() - 1e-3).abs() < 1e-4);
    let regions = std::fs::read_to_string(path("out.reg")).unwrap();
    assert!(regions.contains("circle(13,21,4.00) # color=red text={confetti ch 4}"), "{regions}");
    let plots: Vec<_> = std::fs::read_dir(path("plots")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(plots, [path("plots").join("confetti-ch00004-x00012-y00020.svg")]);
    let svg = std::fs::read_to_string(&plots[0]).unwrap();
    assert_eq!(svg.matches("<image ").count(), 9, "three channels of three cubes");
    assert!((3..=5).all(|channel| svg.contains(&format!("channel {channel}"))) && svg.contains("<polyline"));
    assert_eq!(json(&[])["candidates"].as_array().unwrap().len(), 1, "real ones only on demand");

    let before = std::fs::read(path("dirty.fits")).unwrap();
    write_cube(&path("short.fits"), &residual[..3], false);
    let all: String = [
        &cubes[..],
        &[],
        &["--noise", "1e-3"],
        &["--noise", "1e-3", "--beam", "4"],
        &["--residual", "residual.fits", "--pedestal-radius", "3"],
        &[&cubes[..], &["--regions", "dirty.fits"]].concat(),
        &[&cubes[..], &["--regions", "none/r.reg"]].concat(),
        &["--residual", "short.fits"],
    ]
    .into_iter()
    .map(|more| format!("$ confetti model.fits {}\n{}\n", more.join(" "), said(run(more).get_output(), folder.path())))
    .collect();
    insta::assert_snapshot!(all);
    assert_eq!(std::fs::read(path("dirty.fits")).unwrap(), before);
}

#[test]
#[ignore = "large: half a minute of simulated cubes"]
fn streaming_gives_what_memory_gives_for_any_number_of_threads() {
    use cleanloop::quality::confetti::{ConfettiFiles, of_files};
    let simulation = simulate(11, 6);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, cube) in [("model", &simulation.model), ("dirty", &simulation.dirty)] {
        write_cube(&path(name), cube, true);
    }
    let files = ConfettiFiles {
        model: path("model"),
        dirty: Some(path("dirty")),
        noise: Some(1.0),
        ..ConfettiFiles::default()
    };
    let of_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| of_files(&files, &ConfettiOptions::default()).unwrap())
    };
    let (one, five) = (of_threads(1), of_threads(5));
    assert_eq!(one, five);
    let memory = judge(&simulation, true);
    let key = |c: &Candidate| (c.channel, c.pixel, c.verdict);
    assert_eq!(one.candidates.iter().map(key).collect::<Vec<_>>(), memory.iter().map(key).collect::<Vec<_>>());
    assert!(one.counts.confetti >= 5);
    let spectrum = &one.cutouts[0].spectra[0];
    let c = &one.cutouts[0].candidate;
    assert_eq!(f64::from(spectrum[c.channel - one.cutouts[0].first_channel]), c.flux);
}
