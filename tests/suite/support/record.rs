//! A made-up campaign with its files: what a record looks like after four rounds, of one measurement set, a cube, or
//! several sets.

use cleanloop::calibrator::SolutionTable;
use cleanloop::calibrator::options::{CalMode, GainType, TermKind};
use cleanloop::campaign::events::Step;
use cleanloop::campaign::record::{
    CampaignRecord, ChannelRecord, CommandRecord, ConfettiRecord, CycleRecord, DatasetRecord, DecisionRecord, Level,
    MaskMethod, MaskOrigin, MaskRecord, MessageRecord, RoundRecord, RuleRecord, StartRecord, State, TermRecord,
    ToolVersion, Verdict,
};
use cleanloop::campaign::rules::acceptance::{Next, Relaxation, Rule};
use cleanloop::campaign::rules::schedule::{Limit, Weighed};
use cleanloop::campaign::rules::start_model::{StartKind, StartTrial};
use cleanloop::image::{Header, PixelType, PlaneWriter, write_plane};
use cleanloop::imager::{Products, StopReason};
use cleanloop::quality::confetti;
use cleanloop::quality::metrics::{ImageMetrics, RoundFiles, of_files};
use cleanloop::quality::solutions::{AntennaSolutions, DelayStats, Difference, GainSeries, SolutionStats, TermStats};
use ndarray::Array2;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Side of the made-up images, pixels.
const SIDE: usize = 300;
const PIXEL_DEG: f64 = 1.2 / 3600.0;
const BEAM_PIXELS: (f64, f64) = (5.0, 4.2);
/// Sources: x, y, flux in Jy, width in beams.
const SOURCES: [(f64, f64, f64, f64); 7] = [
    (150.0, 148.0, 1.1, 1.0),
    (60.0, 210.0, 0.35, 1.0),
    (231.0, 77.0, 0.2, 1.3),
    (205.0, 236.0, 0.12, 4.0),
    (42.0, 58.0, 0.08, 1.0),
    (120.0, 36.0, 0.04, 1.0),
    (266.0, 171.0, 0.03, 1.0),
];

/// A small generator of numbers: the same pictures on every machine.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as f64 + 0.5) / (1u64 << 31) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Noise with the correlation of a beam, of unit standard deviation.
fn noise(seed: u64) -> Array2<f64> {
    let mut random = Random(seed);
    let mut plane = Array2::from_shape_fn((SIDE, SIDE), |_| random.normal());
    for _ in 0..2 {
        for axis in [0, 1] {
            let old = plane.clone();
            for ((y, x), v) in plane.indexed_iter_mut() {
                let at = |o: isize| {
                    let (y, x) = if axis == 0 { (y as isize + o, x as isize) } else { (y as isize, x as isize + o) };
                    old[(y.clamp(0, SIDE as isize - 1) as usize, x.clamp(0, SIDE as isize - 1) as usize)]
                };
                *v = (-1..=1).map(at).sum::<f64>() / 3.0;
            }
        }
    }
    let sigma = (plane.iter().map(|v| v * v).sum::<f64>() / plane.len() as f64).sqrt();
    plane / sigma
}

/// Artefacts that calibration errors leave around the brightest source, of peak 1.
fn spokes(seed: u64) -> Array2<f64> {
    let mut random = Random(seed);
    let phases: Vec<f64> = (0..9).map(|_| random.uniform() * std::f64::consts::TAU).collect();
    Array2::from_shape_fn((SIDE, SIDE), |(y, x)| {
        let (dx, dy) = (x as f64 - SOURCES[0].0, y as f64 - SOURCES[0].1);
        let (r, angle) = (dx.hypot(dy), dy.atan2(dx));
        let waves: f64 = phases.iter().enumerate().map(|(i, p)| ((i + 1) as f64 * angle + r * 0.21 + p).sin()).sum();
        waves / 9.0 * (r / 6.0).min(1.0) * (-r / 60.0).exp()
    })
}

fn gaussian(x: f64, y: f64, (sx, sy, flux, width): (f64, f64, f64, f64)) -> f64 {
    let (a, b) = (BEAM_PIXELS.0 * width / 2.3548, BEAM_PIXELS.1 * width / 2.3548);
    flux / (width * width) * (-0.5 * (((x - sx) / b).powi(2) + ((y - sy) / a).powi(2))).exp()
}

fn header() -> Header {
    let mut header = Header::default();
    for (key, value) in [
        ("CRPIX1", SIDE as f64 / 2.0 + 1.0),
        ("CRPIX2", SIDE as f64 / 2.0 + 1.0),
        ("CRVAL1", 180.0),
        ("CRVAL2", 40.0),
        ("CDELT1", -PIXEL_DEG),
        ("CDELT2", PIXEL_DEG),
        ("BMAJ", BEAM_PIXELS.0 * PIXEL_DEG),
        ("BMIN", BEAM_PIXELS.1 * PIXEL_DEG),
        ("BPA", 0.0),
        ("CRVAL3", 1.4e9),
        ("CRPIX3", 1.0),
        ("CDELT3", 1e6),
    ] {
        header.set_f64(key, value);
    }
    header.set_str("CTYPE1", "RA---SIN");
    header.set_str("CTYPE2", "DEC--SIN");
    header.set_str("CTYPE3", "FREQ");
    header.set_str("BUNIT", "JY/BEAM");
    header
}

/// How good a made-up round is.
#[derive(Clone, Copy)]
struct Quality {
    noise: f64,
    artefacts: f64,
    mask_level: f64,
    cleaned: f64,
}

struct Planes {
    image: Array2<f32>,
    residual: Array2<f32>,
    model: Array2<f32>,
    mask: Array2<f32>,
}

fn planes(quality: Quality, seed: u64) -> Planes {
    let (noise, spokes) = (noise(seed), spokes(seed + 99));
    let sky = |y: usize, x: usize| SOURCES.iter().map(|s| gaussian(x as f64, y as f64, *s)).sum::<f64>();
    let mut image = Array2::zeros((SIDE, SIDE));
    let mut residual = image.clone();
    let mut model = image.clone();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let rest = quality.noise * noise[(y, x)] + quality.artefacts * spokes[(y, x)];
            let sky = sky(y, x);
            residual[(y, x)] = (rest + (1.0 - quality.cleaned) * sky) as f32;
            image[(y, x)] = (rest + sky) as f32;
        }
    }
    for s in SOURCES.iter().filter(|s| s.2 > 4.0 * quality.noise) {
        let side = (s.3 * 2.0) as usize;
        for (oy, ox) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
            let at = (s.1 as usize + oy * 2 - side, s.0 as usize + ox * 2 - side);
            model[at] = (s.2 * quality.cleaned / (side * side) as f64) as f32;
        }
    }
    model[(20, 280)] = -0.002;
    let mask = image.mapv(|v| if f64::from(v) > quality.mask_level { 1.0 } else { 0.0 });
    Planes { image, residual, model, mask }
}

fn write_fits(path: &Path, plane: &Array2<f32>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_plane(path, plane.view(), PixelType::F32, &header(), 4).unwrap();
}

fn write_cube(path: &Path, planes: &[&Array2<f32>]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        PlaneWriter::create(path, &[SIDE, SIDE, planes.len(), 1], PixelType::F32, &header(), false).unwrap();
    for (i, plane) in planes.iter().enumerate() {
        writer.write_plane(i, plane.view()).unwrap();
    }
    writer.finish().unwrap();
}

/// Solutions of one term, drawn at 30 s or more.
fn solutions(seed: u64, term: &TermRecord, flagged: f64) -> SolutionStats {
    let mut random = Random(seed);
    let interval_s = term.solint.trim_end_matches('s').parse().map_or(7200.0, |s: f64| s.max(30.0));
    let count = (7200.0 / interval_s) as usize;
    let (amplitudes, is_delay) = (term.kind.amplitudes(), term.kind == TermKind::Delay);
    let mut antennas = Vec::new();
    for a in 0..27 {
        let hopeless = a == 13;
        let mut series = Vec::new();
        for polarisation in ["R", "L"] {
            let mut s = GainSeries { polarisation: polarisation.into(), ..Default::default() };
            let mut phase = 40.0 * random.normal();
            for i in 0..count {
                phase = phase * 0.97 + 9.0 * random.normal();
                let is_flagged = random.uniform() < if hopeless { 0.7 } else { flagged };
                s.time_s.push(60_370.0 * 86_400.0 + 27_327.0 + i as f64 * interval_s);
                s.phase_deg.push((!is_flagged || i % 2 == 0).then_some((phase + 180.0).rem_euclid(360.0) - 180.0));
                s.amplitude.push(Some(if amplitudes { 1.0 + 0.05 * random.normal() } else { 1.0 }));
                s.flagged.push(is_flagged);
                if is_delay {
                    s.delay_ns.push(Some(1.5 * random.normal()));
                }
            }
            series.push(s);
        }
        let bad = series.iter().flat_map(|s| &s.flagged).filter(|f| **f).count() as f64;
        antennas.push(AntennaSolutions {
            name: format!("ea{:02}", a + 1),
            flagged_fraction: bad / (2 * count) as f64,
            median_snr: Some(30.0 + 10.0 * random.uniform()),
            series,
        });
    }
    let fraction = antennas.iter().map(|a| a.flagged_fraction).sum::<f64>() / antennas.len() as f64;
    SolutionStats {
        solutions: 27 * 2 * count,
        flagged_fraction: fraction,
        median_snr: Some(34.5),
        phase_scatter_deg: Some(31.2),
        amplitude_scatter: amplitudes.then_some(0.05),
        terms: vec![TermStats {
            term: term.term.clone(),
            kind: term.kind,
            solint: term.solint.clone(),
            solutions: 27 * 2 * count,
            flagged_fraction: fraction,
            median_snr: (!is_delay).then_some(34.5),
            phase_scatter_deg: (!is_delay).then_some(31.2),
            amplitude_scatter: amplitudes.then_some(0.05),
            polarisation_difference: (!is_delay).then_some(Difference { measured_deg: 3.4, expected_deg: 1.6 }),
            window_difference: None,
            delay_ns: is_delay.then_some(DelayStats { median_abs_ns: 1.02, error_ns: Some(0.06) }),
        }],
        antennas,
        identity_gains: Vec::new(),
    }
}

/// A solve of a made-up chain.
fn term(kind: TermKind, solint: &str) -> TermRecord {
    TermRecord {
        term: kind.name().into(),
        kind,
        solint: solint.into(),
        calmode: if kind.amplitudes() { CalMode::Ap } else { CalMode::P },
        gaintype: if kind == TermKind::Delay { GainType::K } else { GainType::G },
        reuse: false,
    }
}

/// What was not chosen where the last chain was.
fn weighed() -> Vec<Weighed> {
    [
        ("phase 5s", "the S/N would be 2.1 per antenna, 3 is wanted"),
        ("phase 30s + gains 10s", "tried: rejected, the dynamic range changed by -58.6 %"),
    ]
    .map(|(what, why_not)| Weighed { what: what.into(), why_not: why_not.into() })
    .to_vec()
}

/// A first image that was doubted, and a point that was the better start.
fn start() -> StartRecord {
    let trial = |model, flagged_fraction, snr| StartTrial {
        model,
        solint: "inf".into(),
        flagged_fraction,
        median_snr: Some(snr),
    };
    StartRecord {
        doubt: "its S/N is 8.7, below 10".into(),
        trials: vec![trial(StartKind::Point, 0.0, 39.0), trial(StartKind::Image, 0.02, 6.0)],
        chosen: Some(0),
    }
}

fn decision(verdict: Verdict, summary: &str, next: Next, rules: &[(Rule, &str, bool)]) -> DecisionRecord {
    DecisionRecord {
        verdict,
        summary: summary.into(),
        next,
        rules: rules
            .iter()
            .map(|(rule, text, kept)| RuleRecord {
                rule: *rule,
                text: (*text).into(),
                kept: *kept,
                warning: false,
                value: Some(1.0),
                limit: None,
            })
            .collect(),
    }
}

fn cycles(folder: &Path, at: &str, quality: Quality, seed: u64) -> Vec<CycleRecord> {
    (0..5)
        .map(|i| {
            let cleaned = 1.0 - 0.5f64.powi(i as i32) * (1.0 - quality.cleaned).max(0.3);
            let p = planes(Quality { cleaned, mask_level: quality.mask_level * (5 - i) as f64 / 2.0, ..quality }, seed);
            let (residual, mask) = (format!("{at}/cycles/{i}/residual.fits"), format!("{at}/cycles/{i}/mask.fits"));
            write_fits(&folder.join(&residual), &p.residual);
            write_fits(&folder.join(&mask), &p.mask);
            let peak = f64::from(p.residual.iter().copied().fold(0f32, f32::max));
            let pixels = p.mask.iter().filter(|v| **v != 0.0).count() as u64;
            CycleRecord {
                cycle: i,
                residual: Some(residual.into()),
                mask: Some(mask.into()),
                peak: Some(peak),
                peak_in_mask: Some(peak * 0.9),
                rms: Some(quality.noise * (1.0 + 1.0 / (i + 1) as f64)),
                threshold: Some(peak * 0.3),
                masked_pixels: Some(pixels),
                added: Some(pixels / 3),
                removed: Some(i as u64),
                mask_why: "seeds of 6 sigma".into(),
                model_flux: Some(1.7 * cleaned),
                iterations: Some(800 * (i as u64 + 1)),
                stopped: (i == 4).then_some(StopReason::NSigma),
                seconds: Some(3.2),
                channels: Vec::new(),
                confetti: Vec::new(),
            }
        })
        .collect()
}

/// A record and the bytes of its files.
type Made = (DatasetRecord, Vec<(PathBuf, Vec<u8>)>);

/// The made-up measurement set, made once for all tests.
static FIELD: LazyLock<Made> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let record = make_dataset(folder.path(), "field");
    let mut files = Vec::new();
    let mut folders = vec![folder.path().to_path_buf()];
    while let Some(inside) = folders.pop() {
        for entry in std::fs::read_dir(inside).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((path.strip_prefix(folder.path()).unwrap().to_path_buf(), std::fs::read(&path).unwrap()));
            }
        }
    }
    (record, files)
});

/// One measurement set with four rounds; the last was rejected once. All sets share the files of the first.
pub(crate) fn dataset(folder: &Path, name: &str, rms_factor: f64) -> DatasetRecord {
    let (record, files) = &*FIELD;
    for (path, bytes) in files {
        let path = folder.join(path);
        if !path.exists() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
    }
    let mut record = DatasetRecord { name: name.into(), ..record.clone() };
    for metrics in record.rounds.iter_mut().filter_map(|r| r.metrics.as_mut()) {
        metrics.rms *= rms_factor;
        metrics.noise *= rms_factor;
        metrics.dynamic_range /= rms_factor;
    }
    record
}

fn products(path: impl Fn(&str) -> PathBuf) -> Products {
    Products {
        image: path("image.fits"),
        residual: path("residual.fits"),
        model: path("model.fits"),
        psf: path("psf.fits"),
        dirty: None,
        pb: None,
        pbcor: None,
        channels: Vec::new(),
    }
}

fn metrics(path: impl Fn(&str) -> PathBuf, islands: Option<PathBuf>) -> ImageMetrics {
    of_files(&RoundFiles {
        image: path("image.fits"),
        residual: Some(path("residual.fits")),
        model: Some(path("model.fits")),
        mask: Some(path("mask.fits")),
        islands,
        ..RoundFiles::default()
    })
    .unwrap()
}

fn mask(path: PathBuf, source: PathBuf, pixels: u64) -> MaskRecord {
    MaskRecord {
        path,
        method: MaskMethod::Flint,
        origin: MaskOrigin::Image,
        source: Some(source),
        options: [("flood_fill_positive_seed_clip".to_string(), "1.4".to_string())].into_iter().collect(),
        numbers: [("seed level (Jy/beam)".to_string(), 0.0123)].into_iter().collect(),
        pixels,
        islands: Some(7),
        added: Some(120),
        removed: Some(14),
        why: "the negative peaks fell, so the clip went deeper".into(),
    }
}

fn decision_of(round: usize, attempt: usize) -> DecisionRecord {
    match (round, attempt) {
        (0, _) => decision(
            Verdict::Accepted,
            "accepted: first image: there is nothing to compare it with",
            Next::Continue,
            &[(Rule::Finite, "every pixel is a number", true)],
        ),
        (3, 1) => decision(
            Verdict::Rejected,
            "rejected: noise rose by 140 % (limit 5 %); 25 % of the solutions are flagged",
            Next::RetryRelaxed { changes: vec![Relaxation::LongerInterval { factor: 2.0 }] },
            &[
                (Rule::Rms, "the noise rose from 1.2 to 2.9 mJy/beam, by 140 % (limit 5 %)", false),
                (Rule::BeamArea, "the beam has the same area", true),
            ],
        ),
        _ => decision(
            Verdict::Accepted,
            "accepted: dynamic range rose, noise fell",
            Next::Continue,
            &[(Rule::DynamicRange, "the dynamic range rose", true), (Rule::Rms, "the noise fell", true)],
        ),
    }
}

fn commands(at: &str) -> Vec<CommandRecord> {
    vec![
        CommandRecord {
            step: Step::Image,
            words: ["wsclean", "-size", "1280", "1280", "-weight", "briggs", "0", "-name", "a name"]
                .map(String::from)
                .to_vec(),
            seconds: Some(212.0),
            log: Some(format!("{at}/logs/image.log").into()),
            status: Some(0),
        },
        CommandRecord {
            step: Step::Solve,
            words: vec!["gaincal".into()],
            seconds: None,
            log: Some("gone.log".into()),
            status: None,
        },
    ]
}

fn flagged_antenna(at: jiff::Timestamp) -> MessageRecord {
    MessageRecord {
        at: Some(at),
        level: Level::Warning,
        text: "antenna ea14: 70 % of its solutions are flagged; it gets identity gains".into(),
    }
}

/// Number of the attempt, its chain, and how good its image is.
type Attempt = (usize, Vec<TermRecord>, Quality);

fn attempts() -> [Attempt; 5] {
    use TermKind::{Delay, Gains, Phase};
    [
        (1, vec![], Quality { noise: 3.8e-3, artefacts: 0.05, mask_level: 0.05, cleaned: 0.93 }),
        (1, vec![term(Phase, "180s")], Quality { noise: 1.8e-3, artefacts: 0.012, mask_level: 0.02, cleaned: 0.97 }),
        (1, vec![term(Phase, "60s")], Quality { noise: 1.2e-3, artefacts: 0.006, mask_level: 0.01, cleaned: 0.98 }),
        (1, vec![term(Gains, "10s")], Quality { noise: 2.9e-3, artefacts: 0.05, mask_level: 0.008, cleaned: 0.98 }),
        (
            2,
            vec![term(Delay, "inf"), term(Phase, "30s"), term(Gains, "120s")],
            Quality { noise: 0.95e-3, artefacts: 0.002, mask_level: 0.006, cleaned: 0.985 },
        ),
    ]
}

fn make_dataset(folder: &Path, name: &str) -> DatasetRecord {
    let mut rounds: Vec<RoundRecord> = Vec::new();
    let mut earlier_mask: Option<PathBuf> = None;
    for (i, (attempt, chain, quality)) in attempts().into_iter().enumerate() {
        let round = i.min(3);
        let at = format!("{name}/round-{round:02}-{attempt}");
        let p = planes(quality, 7 + i as u64);
        let path = |file: &str| PathBuf::from(format!("{at}/image/{file}"));
        for (file, plane) in
            [("image.fits", &p.image), ("residual.fits", &p.residual), ("model.fits", &p.model), ("mask.fits", &p.mask)]
        {
            write_fits(&folder.join(path(file)), plane);
        }
        std::fs::create_dir_all(folder.join(&at).join("logs")).unwrap();
        std::fs::write(folder.join(&at).join("logs/image.log"), "wsclean's own words\n").unwrap();
        let metrics = metrics(|file| folder.join(path(file)), earlier_mask.as_ref().map(|m| folder.join(m)));
        let rejected = (round, attempt) == (3, 1);
        let flagged = if rejected { 0.25 } else { 0.02 };
        let stats = chain.iter().map(|term| solutions(i as u64, term, flagged)).collect::<Vec<_>>();
        let started =
            "2026-03-01T22:00:00Z".parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_mins(10 * i as i64);
        rounds.push(RoundRecord {
            round,
            attempt,
            state: State::Done,
            started: Some(started),
            finished: Some(started + jiff::SignedDuration::from_secs(400 + 13 * i as i64)),
            data_column: if round == 0 { "DATA" } else { "CORRECTED_DATA" }.into(),
            calibrator: if round == 0 { String::new() } else { "casa".into() },
            solint: chain.first().map(|t| t.solint.clone()),
            calmode: chain.first().map(|t| t.calmode),
            solint_why: chain.first().map(|t| format!("{} reaches a S/N of 5 a solution on 26 baselines", t.solint)),
            weighed: if chain.len() > 1 { weighed() } else { Vec::new() },
            solutions: (!stats.is_empty()).then(|| SolutionStats::of_chain(stats)),
            tables: chain
                .iter()
                .map(|t| SolutionTable {
                    path: format!("{at}/calibration/r{round}.{}", t.term).into(),
                    channels: None,
                    spectral_window: None,
                    term: t.term.clone(),
                })
                .collect(),
            chain,
            mask: (round > 0).then(|| {
                let source = format!("{name}/round-{:02}-1/image/image.fits", round - 1).into();
                mask(path("mask.fits"), source, metrics.masked_pixels.unwrap())
            }),
            imager: "wsclean".into(),
            products: Some(products(path)),
            cycles: if round == 1 || round == 2 { cycles(folder, &at, quality, 7 + i as u64) } else { Vec::new() },
            stopped: Some(StopReason::NSigma),
            decision: Some(decision_of(round, attempt)),
            commands: commands(&at),
            messages: if rejected { vec![flagged_antenna(started)] } else { Vec::new() },
            metrics: Some(metrics),
            ..Default::default()
        });
        earlier_mask = Some(path("mask.fits"));
    }
    DatasetRecord {
        name: name.into(),
        sources: vec![format!("/data/{name}.ms").into()],
        folder: name.into(),
        facts: [("telescope", "VLA"), ("antennas", "27"), ("channels", "16 of 2 MHz at 1.412 GHz"), ("time", "2 h")]
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .into_iter()
            .collect(),
        theoretical_noise_jy: Some(0.8e-3),
        state: State::Done,
        planned_rounds: 4,
        start: Some(start()),
        best: Some(4),
        best_why: "round 3 has the highest dynamic range of the 4 accepted rounds".into(),
        apply_line: Some("applycal(vis='other.ms', gaintable=['round-03/calibration/r3.g'])".into()),
        limit: Some(Limit::NoGain),
        rounds,
        messages: Vec::new(),
    }
}

pub(crate) fn campaign(datasets: Vec<DatasetRecord>) -> CampaignRecord {
    CampaignRecord {
        config: "version: 0.2\ncampaign: {name: field, rounds: 3}  # <b>not markup</b>\n".into(),
        config_path: Some("field.yaml".into()),
        command_line: ["cleanloop", "run", "field.yaml"].map(String::from).to_vec(),
        tools: [("wsclean", "3.1.0"), ("casatasks", "6.7.0.31")]
            .map(|(name, version)| ToolVersion { name: name.into(), version: version.into() })
            .to_vec(),
        started: Some("2026-03-01T22:00:00Z".parse().unwrap()),
        finished: Some("2026-03-01T22:50:00Z".parse().unwrap()),
        updated: Some("2026-03-01T22:50:00Z".parse().unwrap()),
        state: State::Done,
        datasets,
        ..CampaignRecord::new("field <1> & more")
    }
}

fn cube_cycle(i: usize, channels: usize, path: impl Fn(&str) -> PathBuf) -> CycleRecord {
    CycleRecord {
        cycle: i,
        residual: Some(path("residual.fits")),
        mask: Some(path("mask.fits")),
        peak: Some(1.0 / (i + 1) as f64),
        rms: Some(2e-3),
        masked_pixels: Some(900 + 100 * i as u64),
        channels: (0..channels)
            .map(|c| ChannelRecord {
                peak: Some((1.0 + c as f64) / (i + 1) as f64),
                peak_in_mask: None,
                rms: Some(2e-3 + 1e-4 * c as f64),
                threshold: Some(0.01),
                masked_pixels: Some(100 * (c as u64 + i as u64)),
                model_flux: Some(0.1 * (i * c) as f64),
                iterations: Some(10 * c as u64),
                stopped: (i > c).then_some(StopReason::Threshold),
            })
            .collect(),
        ..Default::default()
    }
}

fn confetti() -> ConfettiRecord {
    ConfettiRecord {
        pixel: [120, 36],
        channel: 5,
        cycle: Some(2),
        verdict: confetti::ConfettiVerdict::Confetti,
        score: 8.25,
        flux: 0.02,
        isolation: Some(14.0),
        pedestal: Some(0.8),
        support: Some(0.4),
        spectrum: vec![Some(0.0), Some(1e-3), Some(0.02), None, Some(-1e-3)],
        spectrum_first: 3,
        action: "vetoed for the following cycles".into(),
        picture: None,
    }
}

/// A cube of eight channels cleaned in four cycles, with confetti.
pub(crate) fn cube(folder: &Path) -> DatasetRecord {
    let channels = 8;
    let all: Vec<Planes> = (0..channels)
        .map(|c| {
            let line = (-0.5 * ((c as f64 - 3.5) / 1.3f64).powi(2)).exp();
            let mut p =
                planes(Quality { noise: 2e-3, artefacts: 2e-3, mask_level: 0.02, cleaned: 0.97 }, 40 + c as u64);
            p.image *= line as f32;
            p.model *= line as f32;
            p
        })
        .collect();
    let path = |file: &str| PathBuf::from(format!("cube/image/{file}"));
    type Of = fn(&Planes) -> &Array2<f32>;
    let files: [(&str, Of); 4] = [
        ("image.fits", |p| &p.image),
        ("residual.fits", |p| &p.residual),
        ("model.fits", |p| &p.model),
        ("mask.fits", |p| &p.mask),
    ];
    for (file, of) in files {
        write_cube(&folder.join(path(file)), &all.iter().map(of).collect::<Vec<_>>());
    }
    let metrics = metrics(|file| folder.join(path(file)), None);
    let round = RoundRecord {
        attempt: 1,
        state: State::Done,
        imager: "tclean".into(),
        products: Some(products(path)),
        mask: Some(MaskRecord {
            path: path("mask.fits"),
            method: MaskMethod::Multithresh,
            pixels: 1234,
            ..Default::default()
        }),
        metrics: Some(metrics),
        cycles: (0..4).map(|cycle| cube_cycle(cycle, channels, path)).collect(),
        decision: Some(decision(Verdict::Converged, "converged: nothing more to gain", Next::Stop, &[])),
        confetti: vec![confetti()],
        ..Default::default()
    };
    DatasetRecord {
        name: "cube".into(),
        state: State::Converged,
        rounds: vec![round],
        best: Some(0),
        ..Default::default()
    }
}

/// Several measurement sets: one noisy, one failed.
pub(crate) fn survey(folder: &Path) -> CampaignRecord {
    let mut all: Vec<DatasetRecord> =
        (0..4).map(|i| dataset(folder, &format!("beam{i:02}"), if i == 2 { 3.0 } else { 1.0 })).collect();
    all[3].state = State::Failed;
    all[3].best = None;
    all[3].rounds.truncate(1);
    all[3].rounds[0].decision = None;
    all[3].rounds[0].state = State::Failed;
    all[3].messages.push(MessageRecord {
        level: Level::Error,
        text: "wsclean ended with status 1: no space left".into(),
        at: None,
    });
    all.push(cube(folder));
    campaign(all)
}
