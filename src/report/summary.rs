//! `summary.json`: the report's numbers for machines.

use super::figures::page_name;
use super::trouble::Trouble;
use super::words;
use crate::calibrator::options::CalMode;
use crate::campaign::record::{CampaignRecord, DatasetRecord, RoundRecord, State, Verdict};
use crate::campaign::rules::schedule::Limit;
use jiff::Timestamp;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Version of the summary's format.
const FORMAT: u32 = 1;

/// The whole campaign. Fluxes are in Jy or Jy/beam, angles in degrees, times in seconds.
#[derive(Debug, Serialize)]
pub(crate) struct RecordSummary<'a> {
    format: u32,
    name: &'a str,
    program: &'a str,
    state: State,
    started: Option<Timestamp>,
    finished: Option<Timestamp>,
    datasets: Vec<Dataset<'a>>,
}

#[derive(Debug, Serialize)]
struct Dataset<'a> {
    name: &'a str,
    state: State,
    page: String,
    trouble: f64,
    trouble_reasons: &'a [String],
    best_round: Option<usize>,
    best_attempt: Option<usize>,
    best_why: &'a str,
    theoretical_noise: Option<f64>,
    times_theoretical_noise: Option<f64>,
    limit: Option<Limit>,
    ended: String,
    rounds: Vec<Round<'a>>,
}

#[derive(Debug, Serialize)]
struct Round<'a> {
    round: usize,
    attempt: usize,
    page: String,
    state: State,
    verdict: Option<Verdict>,
    why: Option<&'a str>,
    solint: Option<&'a str>,
    calmode: Option<&'a str>,
    rms: Option<f64>,
    peak: Option<f64>,
    dynamic_range: Option<f64>,
    near_field_snr: Option<f64>,
    minimum: Option<f64>,
    beam_major_deg: Option<f64>,
    beam_minor_deg: Option<f64>,
    beam_pa_deg: Option<f64>,
    masked_pixels: Option<u64>,
    masked_fraction: Option<f64>,
    model_flux: Option<f64>,
    model_flux_outside: Option<f64>,
    negative_component_fraction: Option<f64>,
    solutions: Option<usize>,
    flagged_fraction: Option<f64>,
    solution_snr: Option<f64>,
    phase_scatter_deg: Option<f64>,
    amplitude_scatter: Option<f64>,
    major_cycles: usize,
    seconds: Option<f64>,
    image: Option<&'a Path>,
    mask: Option<&'a Path>,
    tables: Vec<&'a PathBuf>,
}

impl<'a> RecordSummary<'a> {
    /// `pages` are the folders of the datasets' pages below the report (empty for the report itself).
    pub(crate) fn new(record: &'a CampaignRecord, trouble: &'a [Trouble], pages: &[String]) -> Self {
        let datasets = record.datasets.iter().zip(trouble).zip(pages);
        Self {
            format: FORMAT,
            name: &record.name,
            program: &record.program,
            state: record.state,
            started: record.started,
            finished: record.finished,
            datasets: datasets.map(|((d, t), page)| Dataset::new(d, t, page)).collect(),
        }
    }
}

impl<'a> Dataset<'a> {
    fn new(dataset: &'a DatasetRecord, trouble: &'a Trouble, page: &str) -> Self {
        let inside = |name: &str| if page.is_empty() { name.to_string() } else { format!("{page}/{name}") };
        let best = dataset.best_round();
        Self {
            name: &dataset.name,
            state: dataset.state,
            page: inside("index.html"),
            trouble: trouble.score,
            trouble_reasons: &trouble.reasons,
            best_round: best.map(|r| r.round),
            best_attempt: best.map(|r| r.attempt),
            best_why: &dataset.best_why,
            theoretical_noise: dataset.theoretical_noise_jy,
            times_theoretical_noise: dataset.times_theoretical_noise(),
            limit: dataset.limit,
            ended: words::end(dataset),
            rounds: dataset.rounds.iter().map(|r| Round::new(r, inside(&format!("{}.html", page_name(r))))).collect(),
        }
    }
}

impl<'a> Round<'a> {
    fn new(r: &'a RoundRecord, page: String) -> Self {
        let m = r.metrics.as_ref();
        let model = m.and_then(|m| m.model);
        let s = r.solutions.as_ref();
        Self {
            round: r.round,
            attempt: r.attempt,
            page,
            state: r.state,
            verdict: r.decision.as_ref().map(|d| d.verdict),
            why: r.decision.as_ref().map(|d| d.summary.as_str()),
            solint: r.solint.as_deref(),
            calmode: r.calmode.map(CalMode::name),
            rms: m.map(|m| m.rms),
            peak: m.map(|m| m.peak),
            dynamic_range: m.map(|m| m.dynamic_range),
            near_field_snr: m.and_then(|m| m.near_field_snr),
            minimum: m.map(|m| m.minimum),
            beam_major_deg: m.and_then(|m| m.beam).map(|b| b.major_deg),
            beam_minor_deg: m.and_then(|m| m.beam).map(|b| b.minor_deg),
            beam_pa_deg: m.and_then(|m| m.beam).map(|b| b.pa_deg),
            masked_pixels: m.and_then(|m| m.masked_pixels),
            masked_fraction: m.and_then(|m| m.masked_fraction),
            model_flux: model.map(|m| m.total_flux),
            model_flux_outside: model.and_then(|m| m.outside_flux),
            negative_component_fraction: model.map(|m| m.negative_fraction),
            solutions: s.map(|s| s.solutions),
            flagged_fraction: s.map(|s| s.flagged_fraction),
            solution_snr: s.and_then(|s| s.median_snr),
            phase_scatter_deg: s.and_then(|s| s.phase_scatter_deg),
            amplitude_scatter: s.and_then(|s| s.amplitude_scatter),
            major_cycles: r.cycles.len(),
            seconds: r.seconds(),
            image: r.products.as_ref().map(|p| p.image.as_path()),
            mask: r.mask.as_ref().map(|m| m.path.as_path()),
            tables: r.tables.iter().map(|t| &t.path).collect(),
        }
    }
}
