//! `summary.json`: the report's numbers for machines.

use super::figures::page_name;
use super::trouble::Trouble;
use super::words;
use crate::calibrator::options::CalMode;
use crate::campaign::record::{CampaignRecord, DatasetRecord, RoundRecord, State, Verdict};
use crate::campaign::rules::schedule::Limit;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Version of the summary's format.
const FORMAT: u32 = 1;

/// The whole campaign. Fluxes are in Jy or Jy/beam, angles in degrees, times in seconds.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "cleanloop summary")]
pub(crate) struct RecordSummary<'a> {
    /// Version of this format.
    #[schemars(extend("const" = FORMAT))]
    format: u32,
    /// The campaign's name.
    name: &'a str,
    /// Program and version.
    program: &'a str,
    /// Where it stands.
    state: State,
    /// Start of the first run.
    started: Option<Timestamp>,
    /// End; `null` while it runs.
    finished: Option<Timestamp>,
    /// One entry per measurement set (or group of them that is imaged together).
    datasets: Vec<Dataset<'a>>,
}

/// One measurement set.
#[derive(Debug, Serialize, JsonSchema)]
struct Dataset<'a> {
    /// Short name, unique in the campaign.
    name: &'a str,
    /// Where it stands.
    state: State,
    /// Its page, relative to the report.
    page: String,
    /// How much it needs to be looked at: the sum of the weights of the reasons, 0 for not at all.
    trouble: f64,
    /// Why.
    trouble_reasons: &'a [String],
    /// Round of the product; `null`: none was accepted.
    best_round: Option<usize>,
    /// Attempt at that round, 1 first.
    best_attempt: Option<usize>,
    /// Why that one.
    best_why: &'a str,
    /// Theoretical noise of a natural image, Jy/beam.
    theoretical_noise: Option<f64>,
    /// Noise of the best image over the theoretical one.
    times_theoretical_noise: Option<f64>,
    /// The limit that an automatic schedule met.
    limit: Option<Limit>,
    /// Why it ended, in words.
    ended: String,
    /// All attempts at all rounds, in their order.
    rounds: Vec<Round<'a>>,
}

/// One attempt at one round.
#[derive(Debug, Serialize, JsonSchema)]
struct Round<'a> {
    /// Round, 0 first.
    round: usize,
    /// Attempt at this round, 1 first.
    attempt: usize,
    /// Its page, relative to the report.
    page: String,
    /// Where it stands.
    state: State,
    /// The verdict; `null`: it was not judged.
    verdict: Option<Verdict>,
    /// Why, in one sentence.
    why: Option<&'a str>,
    /// Solution interval, as given to the calibrator; of the first solve of a chain.
    solint: Option<&'a str>,
    /// Mode that was solved for.
    calmode: Option<&'a str>,
    /// Robust noise, Jy/beam.
    rms: Option<f64>,
    /// Peak, Jy/beam.
    peak: Option<f64>,
    /// Peak over noise.
    dynamic_range: Option<f64>,
    /// Peak over the noise near it.
    near_field_snr: Option<f64>,
    /// Minimum, Jy/beam.
    minimum: Option<f64>,
    /// FWHM of the restoring beam along its major axis.
    beam_major_deg: Option<f64>,
    /// FWHM of the restoring beam along its minor axis.
    beam_minor_deg: Option<f64>,
    /// Position angle of the beam's major axis.
    beam_pa_deg: Option<f64>,
    /// Pixels of the clean mask.
    masked_pixels: Option<u64>,
    /// Fraction of the pixels in the clean mask.
    masked_fraction: Option<f64>,
    /// Flux of the CLEAN model, Jy.
    model_flux: Option<f64>,
    /// Its flux outside known sources, Jy.
    model_flux_outside: Option<f64>,
    /// Negative over absolute flux of the model.
    negative_component_fraction: Option<f64>,
    /// Number of solutions.
    solutions: Option<usize>,
    /// Fraction of them that is flagged.
    flagged_fraction: Option<f64>,
    /// Median S/N of the solutions.
    solution_snr: Option<f64>,
    /// Scatter of phases from one solution to the next.
    phase_scatter_deg: Option<f64>,
    /// Scatter of amplitudes from one solution to the next, as a fraction.
    amplitude_scatter: Option<f64>,
    /// Major cycles that the campaign drove one by one.
    major_cycles: usize,
    /// Wall time.
    seconds: Option<f64>,
    /// The restored image.
    image: Option<&'a Path>,
    /// The clean mask.
    mask: Option<&'a Path>,
    /// The tables, in the order in which they are applied.
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
