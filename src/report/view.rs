//! What the templates are filled with: the record's numbers as words, tables and figures.

use super::chart::{self, Curve, Heat, Mark, Series};
use super::figures::{self, RoundFigures, Store, page_name, round_words};
use super::map::{CHANGE_COLOURS, Figure, history_colour};
use super::numbers::{Unit, capital, duration, grouped, percent, significant, with_unit};
use super::trouble::Trouble;
use crate::campaign::record::{
    CampaignRecord, CommandRecord, CycleRecord, DatasetRecord, Level, MaskRecord, MessageRecord, RoundRecord, State,
    Verdict,
};
use crate::imager::StopReason;
use crate::quality::metrics::ImageMetrics;
use crate::quality::solutions::SolutionStats;
use crate::util::shell;
use indexmap::IndexMap;
use ndarray::Array2;
use serde::Serialize;
use std::path::{Component, Path, PathBuf};

const ARCSEC_PER_DEG: f64 = 3600.0;
/// Relative changes below this are rounding.
const NO_CHANGE: f64 = 5e-5;
/// Phase-only solutions have amplitudes of one but for rounding.
const NO_SCATTER: f64 = 1e-5;

/// One cell of a table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Cell {
    /// What people read.
    pub text: String,
    /// The number behind it, unrounded, for sorting and for tests.
    pub value: Option<f64>,
    /// Style class.
    pub class: String,
    /// Where it leads.
    pub href: String,
    /// Text shown on hovering.
    pub title: String,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn number(value: Option<f64>, words: impl Fn(f64) -> String) -> Self {
        match value.filter(|v| v.is_finite()) {
            Some(v) => Self { text: words(v), value: Some(v), class: "number".into(), ..Self::default() },
            None => Self { text: "–".into(), class: "number none".into(), ..Self::default() },
        }
    }
}

/// Heading of a column.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Heading {
    /// Its name.
    pub text: String,
    /// Unit, if the cells have none.
    pub unit: String,
    /// Explanation shown on hovering.
    pub title: String,
    /// Numbers: aligned to the right.
    pub number: bool,
}

/// A row; its first cell is its heading.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// Style class.
    pub class: String,
    /// Cells.
    pub cells: Vec<Cell>,
}

/// A table.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Table {
    /// Said by screen readers, shown above.
    pub caption: String,
    /// Clicking on a heading sorts.
    pub sortable: bool,
    /// Headings.
    pub headings: Vec<Heading>,
    /// Rows.
    pub rows: Vec<Row>,
}

impl Table {
    /// Columns in which no row has anything are left out.
    fn without_empty_columns(mut self) -> Self {
        let filled: Vec<bool> = (0..self.headings.len())
            .map(|c| self.rows.iter().any(|r| r.cells.get(c).is_some_and(|c| !matches!(c.text.as_str(), "–" | ""))))
            .collect();
        let mut keep = filled.iter();
        self.headings.retain(|_| *keep.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut keep = filled.iter();
            row.cells.retain(|_| *keep.next().unwrap_or(&true));
        }
        self
    }
}

/// A large number at the top of a page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Card {
    pub label: String,
    pub value: String,
    pub note: String,
}

/// A figure in a page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FigureView {
    pub title: String,
    pub svg: String,
    pub caption: String,
}

impl FigureView {
    fn new(title: impl Into<String>, figure: &Figure) -> Self {
        Self { title: title.into(), svg: figure.svg.clone(), caption: figure.caption.clone() }
    }
}

/// One frame of the overview's blink comparison.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FrameView {
    pub label: String,
    pub verdict: String,
    pub checked: bool,
    pub image: String,
    pub residual: String,
}

/// A map with the last accepted round's on the same scale, to blink.
#[derive(Debug, Clone, Default, Serialize)]
pub struct BlinkView {
    pub title: String,
    pub svg: String,
    pub caption: String,
    pub before: String,
    pub before_words: String,
}

/// One entry of a legend.
#[derive(Debug, Clone, Default, Serialize)]
pub struct LegendView {
    pub colour: String,
    pub text: String,
}

/// Command, as shown under "what was run".
#[derive(Debug, Clone, Default, Serialize)]
pub struct CommandView {
    pub step: String,
    pub line: String,
    pub note: String,
    pub log: String,
    pub log_href: String,
    pub failed: bool,
}

/// A message with its class.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MessageView {
    pub class: String,
    pub at: String,
    pub text: String,
}

/// One rule of a decision.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RuleView {
    pub name: String,
    pub text: String,
    pub kept: bool,
}

/// A verdict.
#[derive(Debug, Clone, Default, Serialize)]
pub struct VerdictView {
    /// `accepted`, `rejected`, ... or the round's state.
    pub word: String,
    pub class: String,
    pub summary: String,
    pub next: String,
    pub rules: Vec<RuleView>,
}

/// A round in the dataset's page.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoundBrief {
    pub title: String,
    pub href: String,
    pub setting: String,
    pub verdict: VerdictView,
    pub best: bool,
    pub small: Vec<FigureView>,
}

/// Everything about the campaign that each page shows.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CampaignView {
    pub name: String,
    pub program: String,
    pub state: String,
    pub state_class: String,
    pub started: String,
    pub finished: String,
    pub updated: String,
    pub elapsed: String,
    pub tools: Vec<(String, String)>,
    pub command_line: String,
    pub config: String,
    pub config_path: String,
    pub messages: Vec<MessageView>,
    pub running: bool,
}

/// The page of a dataset.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DatasetView {
    pub name: String,
    pub state: String,
    pub state_class: String,
    pub cards: Vec<Card>,
    pub best_why: String,
    pub facts: Vec<(String, String)>,
    pub trouble: Vec<String>,
    pub rounds_table: Table,
    pub rounds: Vec<RoundBrief>,
    pub frames: Vec<FrameView>,
    pub frames_note: String,
    pub curves: Vec<FigureView>,
    pub mask_history: Option<FigureView>,
    pub mask_history_legend: Vec<LegendView>,
    pub mask_table: Table,
    pub messages: Vec<MessageView>,
    pub apply_line: String,
}

/// The page of an attempt at a round.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RoundView {
    pub title: String,
    pub best: bool,
    pub verdict: VerdictView,
    pub cards: Vec<Card>,
    pub facts: Vec<(String, String)>,
    pub maps: Vec<BlinkView>,
    pub zooms: Vec<FigureView>,
    pub problems: Vec<String>,
    pub metrics: Table,
    pub mask: Option<MaskView>,
    pub cycles: Vec<FigureView>,
    pub cycles_note: String,
    /// Why the cycles' masks are as they are: number and words.
    pub cycle_reasons: Vec<(usize, String)>,
    pub cycle_curves: Vec<FigureView>,
    pub cycle_table: Table,
    pub heats: Vec<FigureView>,
    pub channel_ends: Table,
    pub channels: Vec<FigureView>,
    pub channel_curves: Vec<FigureView>,
    pub solutions: Option<SolutionsView>,
    pub confetti: Vec<ConfettiView>,
    pub commands: Vec<CommandView>,
    pub messages: Vec<MessageView>,
    pub previous: String,
    pub previous_title: String,
    pub next: String,
    pub next_title: String,
}

/// How the mask was made, and what changed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MaskView {
    pub why: String,
    pub facts: Vec<(String, String)>,
    pub change: Option<FigureView>,
    pub legend: Vec<LegendView>,
}

/// Gain solutions.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SolutionsView {
    pub why: String,
    pub facts: Vec<(String, String)>,
    pub antennas: Table,
    pub plots: Vec<chart::AntennaPlot>,
    pub shown: String,
    pub note: String,
    pub legend: Vec<(usize, String)>,
}

/// A model pixel that was judged.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ConfettiView {
    pub title: String,
    pub class: String,
    pub facts: Vec<(String, String)>,
    pub spectrum: String,
    pub picture: String,
}

/// A dataset in the overview of many.
#[derive(Debug, Clone, Default, Serialize)]
pub struct OverviewView {
    pub cards: Vec<Card>,
    pub table: Table,
    pub curves: Vec<FigureView>,
}

fn flux(value: f64) -> String {
    with_unit(value, "Jy/beam")
}

fn facts(pairs: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Vec<(String, String)> {
    pairs.into_iter().filter_map(|(k, v)| Some((k.to_string(), v.filter(|v| !v.is_empty())?))).collect()
}

fn state_class(state: State) -> &'static str {
    match state {
        State::Done | State::Converged => "good",
        State::Diverged | State::Failed => "bad",
        State::Interrupted => "warn",
        State::Waiting | State::Running => "quiet",
    }
}

fn time(at: Option<jiff::Timestamp>) -> String {
    at.map_or_else(String::new, |t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn messages(list: &[MessageRecord]) -> Vec<MessageView> {
    let mut list: Vec<&MessageRecord> = list.iter().collect();
    list.sort_by_key(|m| (std::cmp::Reverse(m.level), m.at));
    list.into_iter()
        .map(|m| MessageView {
            class: match m.level {
                Level::Info => "quiet",
                Level::Warning => "warn",
                Level::Error => "bad",
            }
            .into(),
            at: time(m.at),
            text: m.text.clone(),
        })
        .collect()
}

/// The part of the campaign that each page shows.
pub fn campaign(record: &CampaignRecord) -> CampaignView {
    let end = record.finished.or(record.updated);
    let elapsed = match (record.started, end) {
        (Some(a), Some(b)) => duration(b.duration_since(a).as_secs_f64()),
        _ => String::new(),
    };
    CampaignView {
        name: record.name.clone(),
        program: record.program.clone(),
        state: record.state.word().into(),
        state_class: state_class(record.state).into(),
        started: time(record.started),
        finished: time(record.finished),
        updated: time(record.updated),
        elapsed,
        tools: record.tools.iter().map(|t| (t.name.clone(), t.version.clone())).collect(),
        command_line: shell::line(&record.command_line),
        config: record.config.clone(),
        config_path: record.config_path.as_ref().map(|p| p.display().to_string()).unwrap_or_default(),
        messages: messages(&record.messages),
        running: !record.state.is_final(),
    }
}

fn verdict(round: &RoundRecord) -> VerdictView {
    let Some(decision) = &round.decision else {
        return VerdictView {
            word: round.state.word().into(),
            class: state_class(round.state).into(),
            ..VerdictView::default()
        };
    };
    let class = match decision.verdict {
        Verdict::Accepted | Verdict::Converged => "good",
        Verdict::Rejected => "warn",
        Verdict::Diverged => "bad",
    };
    let word = decision.verdict.word();
    VerdictView {
        word: word.into(),
        class: class.into(),
        // The summary may begin with the verdict itself, which is shown beside it.
        summary: arrows(decision.summary.strip_prefix(&format!("{word}: ")).unwrap_or(&decision.summary)),
        next: decision.next.clone(),
        rules: decision
            .rules
            .iter()
            .map(|r| {
                let name = r.name.replace(['-', '_'], " ");
                // The words may begin with the rule's name, which stands before them.
                let text = arrows(r.text.strip_prefix(&name).unwrap_or(&r.text).trim_start());
                RuleView { name, text, kept: r.kept }
            })
            .collect(),
    }
}

/// From plain text to print.
fn arrows(text: &str) -> String {
    text.replace(" -> ", " → ")
}

/// `phase, every 60 s` and the like.
fn setting(round: &RoundRecord) -> String {
    let mode = match round.calmode.as_deref() {
        Some("p") => "phase",
        Some("a") => "amplitude",
        Some("ap") => "amplitude and phase",
        Some(other) => other,
        None => "",
    };
    match (mode, round.solint.as_deref()) {
        ("", None) => "no calibration".into(),
        ("", Some(interval)) => format!("every {interval}"),
        (mode, None) => mode.into(),
        (mode, Some(interval)) => format!("{mode}, {interval}"),
    }
}

/// `p 60s` and the like, in the calibrator's own words.
fn short_setting(round: &RoundRecord) -> String {
    let words: Vec<&str> = [round.calmode.as_deref(), round.solint.as_deref()].into_iter().flatten().collect();
    if words.is_empty() { "–".into() } else { words.join(" ") }
}

fn metrics_of(round: &RoundRecord) -> Option<&ImageMetrics> {
    round.metrics.as_ref()
}

fn stop_words(reason: &StopReason) -> String {
    match reason {
        StopReason::Threshold => "the threshold was reached".into(),
        StopReason::NSigma => "n sigma of the noise was reached".into(),
        StopReason::Iterations => "the iteration limit was reached".into(),
        StopReason::MajorCycles => "the limit of major cycles was reached".into(),
        StopReason::NoNewFlux => "a cycle added no flux".into(),
        StopReason::EmptyMask => "the mask was empty".into(),
        StopReason::Diverged => "peak or noise rose; the last good cycle was taken".into(),
        StopReason::Other(words) => words.clone(),
        #[allow(unreachable_patterns)]
        _ => "another reason".into(),
    }
}

/// The number of a round that curves and tables share.
fn label(round: &RoundRecord) -> String {
    if round.attempt > 1 { format!("{}.{}", round.round, round.attempt) } else { round.round.to_string() }
}

type Getter = fn(&RoundRecord) -> Option<f64>;

/// Quantities of the rounds' table and curves: name, unit without prefix, explanation, value.
const QUANTITIES: [(&str, &str, &str, Getter); 9] = [
    ("Noise (rms)", "Jy/beam", "robust noise of the residual outside the mask", |r| Some(metrics_of(r)?.rms)),
    ("Dynamic range", "", "peak of the image over the noise", |r| Some(metrics_of(r)?.dynamic_range)),
    ("Near-field S/N", "", "peak over the noise in an annulus round it", |r| metrics_of(r)?.near_field_snr),
    ("Peak", "Jy/beam", "brightest pixel of the image", |r| Some(metrics_of(r)?.peak)),
    ("Negative peak", "Jy/beam", "most negative pixel of the image", |r| Some(metrics_of(r)?.minimum)),
    ("Masked pixels", "", "pixels inside the clean mask", |r| {
        metrics_of(r)
            .and_then(|m| m.masked_pixels)
            .or(r.mask.as_ref().map(|m| m.pixels).filter(|n| *n > 0))
            .map(|n| n as f64)
    }),
    ("Model flux", "Jy", "sum of the CLEAN components", |r| Some(metrics_of(r)?.model?.total_flux)),
    ("Flux outside", "Jy", "sum of |components| outside the islands of earlier rounds", |r| {
        metrics_of(r)?.model?.outside_flux
    }),
    ("Flagged solutions", "%", "gain solutions that are flagged", |r| {
        Some(100.0 * r.solutions.as_ref().filter(|s| s.solutions > 0 || s.flagged_fraction > 0.0)?.flagged_fraction)
    }),
];

fn mark(dataset: &DatasetRecord, index: usize) -> Mark {
    let round = &dataset.rounds[index];
    if dataset.best == Some(index) {
        Mark::Best
    } else if round.decision.is_some() && !round.is_accepted() {
        Mark::Bad
    } else {
        Mark::Good
    }
}

fn round_curves(dataset: &DatasetRecord) -> Vec<FigureView> {
    let x: Vec<String> = dataset.rounds.iter().map(label).collect();
    let marks: Vec<Mark> = (0..dataset.rounds.len()).map(|i| mark(dataset, i)).collect();
    QUANTITIES
        .iter()
        .filter_map(|(name, unit, title, get)| {
            let values: Vec<Option<f64>> = dataset.rounds.iter().map(get).collect();
            let series = vec![Series { name, colour: 0, values }];
            let svg = chart::curve(&Curve {
                title: name,
                x_name: "round",
                x: &x,
                marks: &marks,
                series,
                unit,
                joined: true,
            })?;
            Some(FigureView { title: (*name).into(), svg, caption: (*title).into() })
        })
        .collect()
}

fn rounds_table(dataset: &DatasetRecord) -> Table {
    let rounds = &dataset.rounds;
    let mut headings = vec![
        Heading { text: "Round".into(), ..Heading::default() },
        Heading { text: "Verdict".into(), ..Heading::default() },
        Heading { text: "Calibration".into(), ..Heading::default() },
    ];
    let mut units = Vec::new();
    for (name, unit, title, get) in QUANTITIES {
        let largest = rounds.iter().filter_map(get).fold(0f64, |m, v| m.max(v.abs()));
        let shown = Unit::for_values(unit, largest);
        headings.push(Heading { text: name.into(), unit: shown.name.clone(), title: title.into(), number: true });
        units.push(shown);
    }
    headings.extend([
        Heading { text: "Beam".into(), unit: "″".into(), title: "restoring beam, full widths".into(), number: true },
        Heading {
            text: "Cycles".into(),
            title: "major cycles that were driven one by one".into(),
            number: true,
            ..Heading::default()
        },
        Heading { text: "Time".into(), title: "wall time of the round".into(), number: true, ..Heading::default() },
    ]);
    let rows = rounds.iter().enumerate().map(|(i, round)| {
        let v = verdict(round);
        let best = dataset.best == Some(i);
        let mut cells = vec![
            Cell {
                text: if best { format!("{} ★", label(round)) } else { label(round) },
                value: Some(round.round as f64),
                href: format!("{}.html", page_name(round)),
                title: if best { "the best accepted round".into() } else { String::new() },
                ..Cell::default()
            },
            Cell { text: v.word, class: format!("verdict {}", v.class), title: v.summary, ..Cell::default() },
            Cell { title: setting(round), ..Cell::text(short_setting(round)) },
        ];
        for ((_, _, _, get), unit) in QUANTITIES.iter().zip(&units) {
            cells.push(Cell::number(get(round), |value| {
                if unit.name.is_empty() && value.fract() == 0.0 && value >= 0.0 {
                    grouped(value as u64)
                } else {
                    unit.number(value)
                }
            }));
        }
        let beam = metrics_of(round).and_then(|m| m.beam);
        cells.push(match beam {
            Some(b) => Cell {
                text: format!(
                    "{} × {}",
                    significant(b.major_deg * ARCSEC_PER_DEG, 3),
                    significant(b.minor_deg * ARCSEC_PER_DEG, 3)
                ),
                value: Some(b.major_deg * b.minor_deg),
                class: "number".into(),
                ..Cell::default()
            },
            None => Cell::number(None, |_| String::new()),
        });
        let cycles = (!round.cycles.is_empty()).then_some(round.cycles.len() as f64);
        cells.push(Cell::number(cycles, |n| grouped(n as u64)));
        cells.push(Cell::number(round.seconds(), duration));
        Row { class: if best { "best".into() } else { String::new() }, cells }
    });
    let rows = rows.collect();
    Table { caption: "All rounds".into(), sortable: false, headings, rows }.without_empty_columns()
}

fn cards(metrics: &ImageMetrics, first: Option<&ImageMetrics>) -> Vec<Card> {
    let against = |now: f64, then: Option<f64>| match then.filter(|t| *t > 0.0 && now > 0.0) {
        Some(then) => format!("{} × round 0", significant(now / then, 3)),
        None => String::new(),
    };
    let mut cards = vec![
        Card {
            label: "Dynamic range".into(),
            value: significant(metrics.dynamic_range, 4),
            note: against(metrics.dynamic_range, first.map(|f| f.dynamic_range)),
        },
        Card {
            label: "Noise (rms)".into(),
            value: flux(metrics.rms),
            note: against(metrics.rms, first.map(|f| f.rms)),
        },
        Card { label: "Peak".into(), value: flux(metrics.peak), note: against(metrics.peak, first.map(|f| f.peak)) },
        Card {
            label: "Negative peak".into(),
            value: flux(metrics.minimum),
            note: format!("{} of the peak", percent(metrics.negative_ratio)),
        },
    ];
    if let Some(model) = metrics.model {
        cards.push(Card {
            label: "Model flux".into(),
            value: with_unit(model.total_flux, "Jy"),
            note: format!("{} components", grouped(model.components)),
        });
    }
    if let Some(n) = metrics.masked_pixels {
        cards.push(Card {
            label: "Masked".into(),
            value: format!("{} px", grouped(n)),
            note: metrics.masked_fraction.map(percent).unwrap_or_default(),
        });
    }
    cards
}

fn legend(entries: impl IntoIterator<Item = ([u8; 3], String)>) -> Vec<LegendView> {
    entries
        .into_iter()
        .map(|([r, g, b], text)| LegendView { colour: format!("#{r:02x}{g:02x}{b:02x}"), text })
        .collect()
}

/// The page of a dataset, with the figures of its rounds.
pub fn dataset(
    store: &Store,
    folder: &Path,
    dataset: &DatasetRecord,
    drawn: &[RoundFigures],
    trouble: &Trouble,
) -> DatasetView {
    let best = dataset.best_round();
    let first = dataset.rounds.first().and_then(metrics_of);
    let shown = best.or_else(|| dataset.rounds.iter().rev().find(|r| r.metrics.is_some()));
    let mut head = vec![Card {
        label: "Best round".into(),
        value: best.map_or("none yet".into(), label),
        note: best.map(setting).unwrap_or_default(),
    }];
    if let Some(m) = shown.and_then(metrics_of) {
        head.extend(cards(m, first.filter(|_| shown.is_some_and(|r| r.round > 0))));
    }
    let rounds = dataset.rounds.iter().enumerate().map(|(i, round)| RoundBrief {
        title: capital(&round_words(round)),
        href: format!("{}.html", page_name(round)),
        setting: setting(round),
        verdict: verdict(round),
        best: dataset.best == Some(i),
        small: drawn.get(i).map_or_else(Vec::new, |f| {
            f.small.iter().map(|(name, figure)| FigureView::new(capital(name), figure)).collect()
        }),
    });
    let rounds = rounds.collect();
    let (frames, frames_note) = frames(store, folder, dataset);
    let (mask_history, mask_history_legend) = mask_history(store, folder, dataset);
    let mut about: Vec<(String, String)> = dataset.facts.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    let sources: Vec<String> = dataset.sources.iter().map(|p| p.display().to_string()).collect();
    about.insert(0, ("measurement set".into(), sources.join(", ")));
    about.retain(|(_, v)| !v.is_empty());
    DatasetView {
        name: dataset.name.clone(),
        state: dataset.state.word().into(),
        state_class: state_class(dataset.state).into(),
        cards: head,
        best_why: capital(&dataset.best_why),
        facts: about,
        trouble: trouble.reasons.clone(),
        rounds_table: rounds_table(dataset),
        rounds,
        frames,
        frames_note,
        curves: round_curves(dataset),
        mask_history,
        mask_history_legend,
        mask_table: mask_table(dataset),
        messages: messages(&dataset.messages),
        apply_line: dataset.apply_line.clone().unwrap_or_default(),
    }
}

fn frames(store: &Store, folder: &Path, dataset: &DatasetRecord) -> (Vec<FrameView>, String) {
    let drawable: Vec<&RoundRecord> = dataset.rounds.iter().filter(|r| r.products.is_some()).collect();
    let reference = dataset
        .best_round()
        .or_else(|| drawable.iter().rev().find(|r| r.is_accepted()).copied())
        .or(drawable.last().copied());
    let Some((reference, levels)) = reference.and_then(|r| Some((r, figures::levels(folder, r)?))) else {
        return (Vec::new(), String::new());
    };
    let frames: Vec<FrameView> = drawable
        .iter()
        .map(|round| {
            let made = figures::blink(store, folder, round, levels);
            let svg = |f: Option<Figure>| f.map(|f| f.svg).unwrap_or_default();
            FrameView {
                label: capital(&round_words(round)),
                verdict: verdict(round).word,
                checked: std::ptr::eq(*round, reference),
                image: svg(made.image),
                residual: svg(made.residual),
            }
        })
        .filter(|f| !f.image.is_empty())
        .collect();
    let note = format!("All on the scale of {}.", round_words(reference));
    (if frames.len() > 1 { frames } else { Vec::new() }, note)
}

fn mask_history(store: &Store, folder: &Path, dataset: &DatasetRecord) -> (Option<FigureView>, Vec<LegendView>) {
    let masked: Vec<&RoundRecord> =
        dataset.rounds.iter().filter(|r| r.is_accepted() && r.mask.is_some() && r.products.is_some()).collect();
    let Some(levels) = masked.last().and_then(|r| figures::levels(folder, r)) else {
        return (None, Vec::new());
    };
    if masked.len() < 2 {
        return (None, Vec::new());
    }
    let figure = figures::mask_history(store, folder, &masked, levels);
    let entries = legend(
        masked
            .iter()
            .enumerate()
            .map(|(i, r)| (history_colour(i, masked.len()), format!("first in {}", round_words(r)))),
    );
    (figure.map(|f| FigureView::new("Mask by the round that added each pixel", &f)), entries)
}

fn mask_table(dataset: &DatasetRecord) -> Table {
    let names = ["Round", "Method", "Pixels", "Islands", "Added", "Removed", "Why"];
    let headings = names.iter().enumerate().map(|(i, name)| Heading {
        text: (*name).into(),
        number: (2..6).contains(&i),
        ..Heading::default()
    });
    let rows = dataset.rounds.iter().filter_map(|round| {
        let mask = round.mask.as_ref()?;
        let count = |n: Option<u64>| Cell::number(n.map(|n| n as f64), |n| grouped(n as u64));
        let pixels = Some(mask.pixels).filter(|n| *n > 0).or(metrics_of(round).and_then(|m| m.masked_pixels));
        Some(Row {
            class: String::new(),
            cells: vec![
                Cell { href: format!("{}.html", page_name(round)), ..Cell::text(label(round)) },
                Cell::text(&mask.method),
                count(pixels),
                count(mask.islands),
                count(mask.added),
                count(mask.removed),
                Cell::text(&mask.why),
            ],
        })
    });
    let (headings, rows) = (headings.collect(), rows.collect());
    Table { caption: "Masks of the rounds".into(), sortable: false, headings, rows }.without_empty_columns()
}

/// The page of attempt `index` of `dataset`; `page` is the folder of the page.
pub fn round(
    store: &Store,
    folder: &Path,
    page: &Path,
    dataset: &DatasetRecord,
    index: usize,
    drawn: &RoundFigures,
) -> RoundView {
    let round = &dataset.rounds[index];
    let before = dataset.accepted_before(index);
    let before_words = before.map(round_words).unwrap_or_default();
    let blink = |title: &str, now: &Option<Figure>, then: &Option<Figure>| {
        let now = now.as_ref()?;
        Some(BlinkView {
            title: title.into(),
            svg: now.svg.clone(),
            caption: now.caption.clone(),
            before: then.as_ref().map(|f| f.svg.clone()).unwrap_or_default(),
            before_words: before_words.clone(),
        })
    };
    let maps = [
        blink("Restored image", &drawn.image, &drawn.before_image),
        blink("Residual", &drawn.residual, &drawn.before_residual),
        blink("CLEAN model", &drawn.model, &None),
    ];
    let zooms = [
        drawn.zoom_image.as_ref().map(|f| FigureView::new("Image round its peak", f)),
        drawn.zoom_residual.as_ref().map(|f| FigureView::new("Residual there", f)),
    ];
    let mut about = facts([
        ("calibration", Some(setting(round))),
        ("calibrator", Some(round.calibrator.clone())),
        ("imager", Some(round.imager.clone())),
        ("column imaged", Some(round.data_column.clone())),
        ("started", Some(time(round.started))),
        ("took", round.seconds().map(duration)),
        ("cleaning ended", round.stopped.as_ref().map(stop_words)),
    ]);
    about.extend(drawn.facts.iter().cloned());
    let (cycles, cycles_note) = cycle_maps(store, folder, round);
    let neighbour = |i: Option<usize>| {
        let r = i.and_then(|i| dataset.rounds.get(i));
        (
            r.map(|r| format!("{}.html", page_name(r))).unwrap_or_default(),
            r.map(|r| capital(&round_words(r))).unwrap_or_default(),
        )
    };
    let ((previous, previous_title), (next, next_title)) =
        (neighbour(index.checked_sub(1)), neighbour(Some(index + 1)));
    RoundView {
        title: capital(&round_words(round)),
        best: dataset.best == Some(index),
        verdict: verdict(round),
        cards: metrics_of(round)
            .map_or_else(Vec::new, |m| cards(m, dataset.rounds.first().filter(|_| index > 0).and_then(metrics_of))),
        facts: about,
        maps: maps.into_iter().flatten().collect(),
        zooms: zooms.into_iter().flatten().collect(),
        problems: drawn.problems.clone(),
        metrics: comparison(round, before),
        mask: round.mask.as_ref().map(|m| mask_view(m, drawn, before.is_some_and(|b| b.mask.is_some()))),
        cycles,
        cycles_note,
        cycle_reasons: cycle_reasons(round),
        cycle_curves: cycle_curves(round),
        cycle_table: cycle_table(round),
        heats: heats(round),
        channel_ends: channel_ends(round),
        channels: drawn.channels.iter().map(|(n, f)| FigureView::new(format!("channel {n}"), f)).collect(),
        channel_curves: channel_curves(round),
        solutions: solutions(folder, round),
        confetti: confetti(folder, round),
        commands: commands(folder, page, &round.commands),
        messages: messages(&round.messages),
        previous,
        previous_title,
        next,
        next_title,
    }
}

/// All numbers of a round beside those of the last accepted one.
fn comparison(round: &RoundRecord, before: Option<&RoundRecord>) -> Table {
    let mut headings = vec![Heading { text: "Quantity".into(), ..Heading::default() }];
    if let Some(b) = before {
        headings.push(Heading { text: capital(&round_words(b)), number: true, ..Heading::default() });
    }
    headings.push(Heading { text: capital(&round_words(round)), number: true, ..Heading::default() });
    if before.is_some() {
        headings.push(Heading { text: "Change".into(), number: true, ..Heading::default() });
    }
    let more: [(&str, &str, &str, Getter); 5] = [
        ("Near-field noise", "Jy/beam", "noise in an annulus round the peak", |r| metrics_of(r)?.near_field_rms),
        ("Masked fraction", "%", "masked pixels over valid pixels", |r| Some(100.0 * metrics_of(r)?.masked_fraction?)),
        ("Components", "", "model pixels that are not 0", |r| Some(metrics_of(r)?.model?.components as f64)),
        ("Negative components", "%", "negative flux over all |flux| of the model", |r| {
            Some(100.0 * metrics_of(r)?.model?.negative_fraction)
        }),
        ("Beam area", "arcsec²", "solid angle of the restoring beam", |r| metrics_of(r)?.beam_area_arcsec2),
    ];
    let rows = QUANTITIES.iter().chain(&more).filter_map(|(name, unit, title, get)| {
        let now = get(round);
        let then = before.and_then(get);
        if now.is_none() && then.is_none() {
            return None;
        }
        let shown = Unit::for_values(unit, now.or(then).unwrap_or(0.0));
        let words = |v: f64| format!("{} {}", shown.number(v), shown.name).trim().to_string();
        let mut cells = vec![Cell { title: (*title).into(), ..Cell::text(*name) }];
        if before.is_some() {
            cells.push(Cell::number(then, words));
        }
        cells.push(Cell::number(now, words));
        if before.is_some() {
            let change = now.zip(then).filter(|(_, t)| *t != 0.0).map(|(n, t)| n / t - 1.0);
            cells.push(Cell::number(change, |c| match c {
                c if c.abs() < NO_CHANGE => "0 %".into(),
                c => format!("{}{}", if c > 0.0 { "+" } else { "" }, percent(c)),
            }));
        }
        Some(Row { class: String::new(), cells })
    });
    let rows = rows.collect();
    Table { caption: "Numbers of the round".into(), sortable: false, headings, rows }
}

fn mask_view(mask: &MaskRecord, drawn: &RoundFigures, has_before: bool) -> MaskView {
    let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut about = facts([
        ("method", Some(mask.method.clone())),
        ("made from", mask.source.as_ref().map(name)),
        ("file", Some(name(&mask.path))),
        ("pixels", Some(mask.pixels).filter(|n| *n > 0).map(grouped)),
        ("islands", mask.islands.map(grouped)),
        ("added", mask.added.map(grouped)),
        ("removed", mask.removed.map(grouped)),
    ]);
    about.extend(mask.options.iter().map(|(k, v)| (k.clone(), v.clone())));
    about.extend(mask.numbers.iter().map(|(k, v)| (k.clone(), significant(*v, 4))));
    let change = drawn.mask_change.as_ref();
    let entries = CHANGE_COLOURS
        .iter()
        .filter(|(kind, _)| has_before || *kind == "added")
        .map(|(kind, colour)| (*colour, if has_before { (*kind).to_string() } else { "masked".to_string() }));
    MaskView {
        why: capital(&mask.why),
        facts: about,
        legend: if change.is_some() { legend(entries) } else { Vec::new() },
        change: change.map(|f| {
            FigureView::new(if has_before { "Against the last accepted round's mask" } else { "The mask" }, f)
        }),
    }
}

/// Why each cycle's mask is as it is; a mask that the cycle before had already needs no other reason.
fn cycle_reasons(round: &RoundRecord) -> Vec<(usize, String)> {
    let changed = |c: &&CycleRecord| !c.mask_why.is_empty() && (c.cycle == 0 || c.added > Some(0));
    round.cycles.iter().filter(changed).map(|c| (c.cycle, capital(&c.mask_why))).collect()
}

fn cycle_maps(store: &Store, folder: &Path, round: &RoundRecord) -> (Vec<FigureView>, String) {
    // One scale for all cycles, that of the cleanest residual, so that they can be compared.
    let rms = round.cycles.iter().filter_map(|c| c.rms).filter(|r| *r > 0.0).fold(f64::INFINITY, f64::min);
    let rms = if rms.is_finite() { Some(rms) } else { metrics_of(round).map(|m| m.rms) };
    let Some(rms) = rms.filter(|r| *r > 0.0) else { return (Vec::new(), String::new()) };
    let channel = metrics_of(round).map_or(0, |m| m.peak_channel);
    let levels = figures::Levels { rms, peak: rms, channel };
    let maps = round.cycles.iter().filter_map(|cycle| {
        let figure = figures::of_cycle(store, folder, round, cycle, levels)?;
        let mut words = Vec::new();
        words.extend(cycle.peak.map(|p| format!("peak {}", flux(p))));
        words.extend(cycle.masked_pixels.map(|n| format!("{} px masked", grouped(n))));
        Some(FigureView { title: format!("Cycle {}", cycle.cycle), svg: figure.svg, caption: words.join(", ") })
    });
    let maps: Vec<FigureView> = maps.collect();
    let mut note = format!("All from −{0} to +{0}.", flux(figures::RESIDUAL_SIGMAS * rms));
    if round.cycles.iter().any(|c| !c.channels.is_empty()) {
        note.push_str(&format!(" Channel {channel} of the cube."));
    }
    (maps, note)
}

fn cycle_curves(round: &RoundRecord) -> Vec<FigureView> {
    if round.cycles.len() < 2 {
        return Vec::new();
    }
    let x: Vec<String> = round.cycles.iter().map(|c| c.cycle.to_string()).collect();
    type Of = fn(&CycleRecord) -> Option<f64>;
    let draw = |title: &str, unit: &str, list: &[(&'static str, Of)]| {
        let series: Vec<Series<'_>> = list
            .iter()
            .enumerate()
            .map(|(colour, (name, of))| Series { name, colour, values: round.cycles.iter().map(of).collect() })
            .filter(|s| s.values.iter().any(Option::is_some))
            .collect();
        let svg = chart::curve(&Curve { title, x_name: "major cycle", x: &x, marks: &[], series, unit, joined: true })?;
        Some(FigureView { title: title.into(), svg, caption: String::new() })
    };
    [
        draw(
            "Residual",
            "Jy/beam",
            &[
                ("peak", |c| c.peak),
                ("in mask", |c| c.peak_in_mask),
                ("threshold", |c| c.threshold),
                ("rms", |c| c.rms),
            ],
        ),
        draw("Masked pixels", "", &[("masked pixels", |c| c.masked_pixels.map(|n| n as f64))]),
        draw("Model flux", "Jy", &[("model flux", |c| c.model_flux)]),
        draw("Minor iterations", "", &[("iterations", |c| c.iterations.map(|n| n as f64))]),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn cycle_table(round: &RoundRecord) -> Table {
    let cycles = &round.cycles;
    let largest = |of: fn(&CycleRecord) -> Option<f64>, unit| {
        Unit::for_values(unit, cycles.iter().filter_map(of).fold(0f64, |m, v| m.max(v.abs())))
    };
    let (peak, rms, flux) =
        (largest(|c| c.peak, "Jy/beam"), largest(|c| c.rms, "Jy/beam"), largest(|c| c.model_flux, "Jy"));
    let heading =
        |text: &str, unit: &str| Heading { text: text.into(), unit: unit.into(), number: true, ..Heading::default() };
    let headings = vec![
        Heading { text: "Cycle".into(), ..Heading::default() },
        heading("Peak", &peak.name),
        heading("Peak in mask", &peak.name),
        heading("rms", &rms.name),
        heading("Threshold", &peak.name),
        heading("Masked", "px"),
        heading("Added", "px"),
        heading("Removed", "px"),
        heading("Model flux", &flux.name),
        heading("Iterations", ""),
        heading("Time", ""),
        Heading { text: "Ended".into(), ..Heading::default() },
    ];
    let rows = cycles.iter().map(|c| {
        let count = |n: Option<u64>| Cell::number(n.map(|n| n as f64), |n| grouped(n as u64));
        Row {
            class: String::new(),
            cells: vec![
                Cell::text(c.cycle.to_string()),
                Cell::number(c.peak, |v| peak.number(v)),
                Cell::number(c.peak_in_mask, |v| peak.number(v)),
                Cell::number(c.rms, |v| rms.number(v)),
                Cell::number(c.threshold, |v| peak.number(v)),
                count(c.masked_pixels),
                count(c.added),
                count(c.removed),
                Cell::number(c.model_flux, |v| flux.number(v)),
                count(c.iterations),
                Cell::number(c.seconds, duration),
                Cell::text(c.stopped.as_ref().map(stop_words).unwrap_or_default()),
            ],
        }
    });
    let rows = rows.collect();
    Table { caption: "Major cycles".into(), sortable: false, headings, rows }.without_empty_columns()
}

fn heats(round: &RoundRecord) -> Vec<FigureView> {
    let columns = round.cycles.iter().map(|c| c.channels.len()).max().unwrap_or(0);
    if columns < 2 {
        return Vec::new();
    }
    let rows: Vec<String> = round.cycles.iter().map(|c| c.cycle.to_string()).collect();
    type Of = fn(&crate::campaign::record::ChannelRecord) -> Option<f64>;
    let shown: [(&str, &str, Of); 6] = [
        ("Peak of the residual", "Jy/beam", |c| c.peak),
        ("Noise of the residual", "Jy/beam", |c| c.rms),
        ("Threshold", "Jy/beam", |c| c.threshold),
        ("Masked pixels", "", |c| c.masked_pixels.map(|n| n as f64)),
        ("Model flux", "Jy", |c| c.model_flux),
        ("Minor iterations", "", |c| c.iterations.map(|n| n as f64)),
    ];
    let done =
        Array2::from_shape_fn((rows.len(), columns), |(y, x)| round.cycles[y].channels.get(x).is_some_and(|c| c.done));
    shown
        .iter()
        .filter_map(|(title, unit, of)| {
            let values =
                Array2::from_shape_fn((rows.len(), columns), |(y, x)| round.cycles[y].channels.get(x).and_then(of));
            let svg = chart::heat(&Heat { title, values, done: done.clone(), rows: &rows, unit })?;
            Some(FigureView { title: (*title).into(), svg, caption: String::new() })
        })
        .collect()
}

/// When and why each channel of a cube was done, and what it took.
fn channel_ends(round: &RoundRecord) -> Table {
    let columns = round.cycles.iter().map(|c| c.channels.len()).max().unwrap_or(0);
    let of =
        |channel: usize| round.cycles.iter().filter_map(move |c| c.channels.get(channel).map(|now| (c.cycle, now)));
    let last_flux = |channel: usize| of(channel).filter_map(|(_, c)| c.model_flux).next_back();
    let largest = (0..columns).filter_map(last_flux).fold(0f64, |m, v| m.max(v.abs()));
    let flux = Unit::for_values("Jy", largest);
    let heading =
        |text: &str, unit: &str| Heading { text: text.into(), unit: unit.into(), number: true, ..Heading::default() };
    let headings = vec![
        heading("Channel", ""),
        heading("Done before cycle", ""),
        Heading { text: "Because".into(), ..Heading::default() },
        heading("Iterations", ""),
        heading("Model flux", &flux.name),
    ];
    let row = |channel: usize| {
        let done = of(channel).find(|(_, c)| c.done);
        let why = done.and_then(|(_, c)| c.stopped.as_ref()).map(stop_words);
        let iterations: u64 = of(channel).filter_map(|(_, c)| c.iterations).sum();
        let cells = vec![
            Cell::number(Some(channel as f64), |n| n.to_string()),
            Cell::number(done.map(|(cycle, _)| cycle as f64), |n| n.to_string()),
            Cell::text(why.unwrap_or_else(|| "cleaned to the end".into())),
            Cell::number(Some(iterations as f64), |n| grouped(n as u64)),
            Cell::number(last_flux(channel), |v| flux.number(v)),
        ];
        Row { class: String::new(), cells }
    };
    let rows = (0..columns).map(row).collect();
    Table { caption: "When each channel was done".into(), sortable: true, headings, rows }.without_empty_columns()
}

/// Final metrics of a cube against channel.
fn channel_curves(round: &RoundRecord) -> Vec<FigureView> {
    let Some(metrics) = metrics_of(round).filter(|m| m.channels.len() > 1) else { return Vec::new() };
    let x: Vec<String> = (0..metrics.channels.len()).map(|i| i.to_string()).collect();
    type Of = fn(&ImageMetrics) -> Option<f64>;
    let shown: [(&str, &str, Of); 4] = [
        ("Noise (rms)", "Jy/beam", |m| Some(m.rms)),
        ("Peak", "Jy/beam", |m| Some(m.peak)),
        ("Masked pixels", "", |m| m.masked_pixels.map(|n| n as f64)),
        ("Model flux", "Jy", |m| Some(m.model?.total_flux)),
    ];
    shown
        .iter()
        .filter_map(|(title, unit, of)| {
            let series = vec![Series { name: title, colour: 0, values: metrics.channels.iter().map(of).collect() }];
            let svg = chart::curve(&Curve { title, x_name: "channel", x: &x, marks: &[], series, unit, joined: true })?;
            Some(FigureView { title: (*title).into(), svg, caption: String::new() })
        })
        .collect()
}

/// Statistics with the series for plots, from the record or the file that it names.
fn full_statistics(folder: &Path, round: &RoundRecord) -> Option<SolutionStats> {
    let from_file = || {
        let text = std::fs::read(folder.join(round.solutions_file.as_ref()?)).ok()?;
        serde_json::from_slice::<SolutionStats>(&text).ok()
    };
    let has_series = |s: &SolutionStats| s.antennas.iter().any(|a| !a.series.is_empty());
    match &round.solutions {
        Some(stats) if has_series(stats) => Some(stats.clone()),
        Some(stats) => from_file().or_else(|| Some(stats.clone())),
        None => from_file(),
    }
}

fn solutions(folder: &Path, round: &RoundRecord) -> Option<SolutionsView> {
    let stats = full_statistics(folder, round).filter(|s| !s.are_unknown())?;
    let tables: Vec<String> = round
        .tables
        .iter()
        .map(|t| {
            let name = t.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            match t.channels {
                Some((first, last)) => format!("{name} (channels {first}–{last})"),
                None => name,
            }
        })
        .collect();
    let about = facts([
        ("interval", round.solint.clone()),
        ("mode", round.calmode.clone()),
        ("solutions", Some(grouped(stats.solutions as u64))),
        ("flagged", Some(percent(stats.flagged_fraction))),
        ("median S/N", stats.median_snr.map(|v| significant(v, 3))),
        ("phase scatter", stats.phase_scatter_deg.map(|v| format!("{}°", significant(v, 3)))),
        ("amplitude scatter", stats.amplitude_scatter.filter(|s| *s > NO_SCATTER).map(percent)),
        ("tables applied", Some(tables.join(", "))),
        ("passed uncorrected", uncorrected(&stats)),
    ]);
    let chart::GainPlots { thinned, shown, plots } = chart::gains(&stats);
    let names = ["Antenna", "Flagged", "Median S/N"];
    let headings = names
        .iter()
        .enumerate()
        .map(|(i, name)| Heading { text: (*name).into(), number: i > 0, ..Heading::default() })
        .collect();
    let rows = stats
        .antennas
        .iter()
        .map(|a| Row {
            class: if a.flagged_fraction > chart::TROUBLED_ANTENNA { "trouble".into() } else { String::new() },
            cells: vec![
                Cell::text(&a.name),
                Cell::number(Some(a.flagged_fraction), percent),
                Cell::number(a.median_snr, |v| significant(v, 3)),
            ],
        })
        .collect();
    let mut polarisations: Vec<String> = Vec::new();
    for series in stats.antennas.iter().flat_map(|a| &a.series) {
        if !polarisations.contains(&series.polarisation) && !series.polarisation.is_empty() {
            polarisations.push(series.polarisation.clone());
        }
    }
    let start = stats
        .antennas
        .iter()
        .flat_map(|a| &a.series)
        .flat_map(|s| s.time_s.iter().copied())
        .filter(|t| t.is_finite())
        .fold(f64::INFINITY, f64::min);
    let mut note = mjd_time(start).map_or_else(String::new, |t| format!("Time runs from {t}."));
    if thinned {
        note.push_str(" Long series are thinned out evenly.");
    }
    Some(SolutionsView {
        why: round.solint_why.as_deref().map(capital).unwrap_or_default(),
        facts: about,
        antennas: Table { caption: "Solutions by antenna".into(), sortable: true, headings, rows },
        plots,
        shown,
        note,
        legend: polarisations.into_iter().enumerate().map(|(i, p)| (i % 6, p)).collect(),
    })
}

/// Antennas that get no correction, with the reasons.
fn uncorrected(stats: &SolutionStats) -> Option<String> {
    let names: Vec<String> = stats.uncorrected.iter().map(|a| format!("{} ({})", a.name, a.why)).collect();
    (!names.is_empty()).then(|| names.join("; "))
}

/// Modified Julian date in seconds as a time.
fn mjd_time(seconds: f64) -> Option<String> {
    /// The Unix epoch as a modified Julian date, seconds.
    const UNIX_EPOCH_MJD_S: f64 = 40_587.0 * 86_400.0;
    let t = jiff::Timestamp::from_second((seconds.is_finite().then_some(seconds)? - UNIX_EPOCH_MJD_S).round() as i64);
    Some(time(Some(t.ok()?)))
}

fn confetti(folder: &Path, round: &RoundRecord) -> Vec<ConfettiView> {
    round
        .confetti
        .iter()
        .map(|c| ConfettiView {
            title: format!("Pixel {}, {}, channel {}", c.pixel[0], c.pixel[1], c.channel),
            class: match c.verdict.as_str() {
                "confetti" => "bad",
                "suspicious" => "warn",
                _ => "good",
            }
            .into(),
            facts: facts([
                ("verdict", Some(c.verdict.clone())),
                ("score", Some(significant(c.score, 3))),
                ("model", Some(with_unit(c.flux, "Jy/pixel"))),
                ("against its neighbours", c.isolation.map(|v| format!("{} ×", significant(v, 3)))),
                ("negative round it", c.pedestal.map(percent)),
                ("support by the data", c.support.map(|v| format!("{} σ", significant(v, 3)))),
                ("found in cycle", c.cycle.map(|n| n.to_string())),
                ("what was done", Some(c.action.clone())),
            ]),
            spectrum: chart::spectrum(
                &c.spectrum,
                c.spectrum_first,
                c.channel,
                &format!("Model against channel at pixel {}, {}", c.pixel[0], c.pixel[1]),
            )
            .unwrap_or_default(),
            picture: c
                .picture
                .as_ref()
                .and_then(|p| std::fs::read_to_string(folder.join(p)).ok())
                .map(|svg| {
                    let words = format!(
                        "Model and dirty cube round pixel {}, {}, channel {}",
                        c.pixel[0], c.pixel[1], c.channel
                    );
                    let start = format!("<svg role=\"img\" aria-label=\"{words}\" ");
                    svg[svg.find("<svg").unwrap_or(0)..].replacen("<svg ", &start, 1)
                })
                .unwrap_or_default(),
        })
        .collect()
}

fn commands(folder: &Path, page: &Path, list: &[CommandRecord]) -> Vec<CommandView> {
    list.iter()
        .map(|c| {
            let log = c.log.as_ref().map(|l| folder.join(l));
            CommandView {
                step: c.step.clone(),
                line: shell::line(&c.words),
                note: [c.seconds.map(duration), c.status.filter(|s| *s != 0).map(|s| format!("exit status {s}"))]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(", "),
                log: log
                    .as_ref()
                    .and_then(|l| l.file_name())
                    .map(|n| n.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                log_href: log.filter(|l| l.is_file()).and_then(|l| relative(page, &l)).unwrap_or_default(),
                failed: c.status.is_some_and(|s| s != 0),
            }
        })
        .collect()
}

/// The way from the folder `from` to `to` as a link; `None` when one is absolute and the other is not.
pub fn relative(from: &Path, to: &Path) -> Option<String> {
    let (from, to) = (std::path::absolute(from).ok()?, std::path::absolute(to).ok()?);
    let (a, b): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let common = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    // Only the root in common: the files lie elsewhere, and a link would break as soon as the folder is moved.
    if common < 2 {
        return None;
    }
    let up = a[common..].iter().map(|_| "..".to_string());
    let down = b[common..].iter().map(|c| encode(&c.as_os_str().to_string_lossy()));
    Some(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// A path component as a part of a link.
fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'+' | b',' | b'=' => {
                (b as char).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// One row of the overview.
#[derive(Debug)]
pub struct OverviewEntry<'a> {
    pub dataset: &'a DatasetRecord,
    pub trouble: &'a Trouble,
    pub href: String,
}

/// The overview of many datasets, in the order of `entries` (most trouble first).
pub fn overview(entries: &[OverviewEntry<'_>]) -> OverviewView {
    let mut states: IndexMap<&str, usize> = IndexMap::new();
    for e in entries {
        *states.entry(e.dataset.state.word()).or_default() += 1;
    }
    let mut cards = vec![Card { label: "Datasets".into(), value: entries.len().to_string(), note: String::new() }];
    cards.extend(states.iter().map(|(word, n)| Card {
        label: capital(word),
        value: n.to_string(),
        note: String::new(),
    }));
    let troubled = entries.iter().filter(|e| e.trouble.score > 0.0).count();
    cards.push(Card { label: "With trouble".into(), value: troubled.to_string(), note: String::new() });
    let best = |e: &OverviewEntry<'_>| e.dataset.best_round().and_then(|r| r.metrics.clone());
    let first = |e: &OverviewEntry<'_>| e.dataset.rounds.first().and_then(|r| r.metrics.clone());
    let largest = entries.iter().filter_map(best).fold(0f64, |m, b| m.max(b.rms));
    let rms_unit = Unit::for_values("Jy/beam", largest);
    let heading = |text: &str, unit: &str, title: &str| Heading {
        text: text.into(),
        unit: unit.into(),
        title: title.into(),
        number: true,
    };
    let words = |text: &str| Heading { text: text.into(), ..Heading::default() };
    let headings = vec![
        words("Dataset"),
        words("State"),
        heading("Trouble", "", "the higher, the sooner someone should look; docs/report.md has the rules"),
        words("Why"),
        words("Rounds"),
        heading("Best", "", "best accepted round"),
        heading("Noise (rms)", &rms_unit.name, "of the best round"),
        heading("Dynamic range", "", "of the best round"),
        heading("Gain", "×", "dynamic range of the best round over that of round 0"),
        heading("Flagged", "%", "gain solutions of the best round"),
        heading("Time", "", "wall time of all rounds"),
    ];
    let rows = entries.iter().map(|e| {
        let (best_metrics, first_metrics) = (best(e), first(e));
        let gain = best_metrics
            .as_ref()
            .zip(first_metrics.as_ref())
            .filter(|(_, f)| f.dynamic_range > 0.0)
            .map(|(b, f)| b.dynamic_range / f.dynamic_range);
        let flagged = e.dataset.best_round().and_then(|r| r.solutions.as_ref()).map(|s| s.flagged_fraction * 100.0);
        let seconds: Vec<f64> = e.dataset.rounds.iter().filter_map(RoundRecord::seconds).collect();
        let chain: String = e.dataset.rounds.iter().map(chain_sign).collect();
        Row {
            class: String::new(),
            cells: vec![
                Cell { href: e.href.clone(), ..Cell::text(&e.dataset.name) },
                Cell {
                    class: format!("verdict {}", state_class(e.dataset.state)),
                    ..Cell::text(e.dataset.state.word())
                },
                Cell::number(Some(e.trouble.score), |v| significant(v, 3)),
                Cell { class: "wide".into(), ..Cell::text(e.trouble.reasons.join("; ")) },
                Cell {
                    class: "chain".into(),
                    title: "✓ accepted, ✗ rejected, ! diverged or failed, … under way".into(),
                    value: Some(e.dataset.rounds.len() as f64),
                    ..Cell::text(chain)
                },
                Cell::number(e.dataset.best_round().map(|r| r.round as f64), |v| format!("{v}")),
                Cell::number(best_metrics.as_ref().map(|m| m.rms), |v| rms_unit.number(v)),
                Cell::number(best_metrics.as_ref().map(|m| m.dynamic_range), |v| significant(v, 4)),
                Cell::number(gain, |v| significant(v, 3)),
                Cell::number(flagged, |v| significant(v, 2)),
                Cell::number((!seconds.is_empty()).then(|| seconds.iter().sum()), duration),
            ],
        }
    });
    let rows = rows.collect();
    let table = Table { caption: "All datasets, most trouble first".into(), sortable: true, headings, rows };
    OverviewView { cards, table, curves: overview_curves(entries) }
}

fn chain_sign(round: &RoundRecord) -> char {
    match round.decision.as_ref().map(|d| d.verdict) {
        Some(Verdict::Accepted | Verdict::Converged) => '✓',
        Some(Verdict::Rejected) => '✗',
        Some(Verdict::Diverged) => '!',
        None if round.state == State::Failed => '!',
        None => '…',
    }
}

/// Noise and dynamic range of the best round over the datasets by name: a bad beam stands out.
fn overview_curves(entries: &[OverviewEntry<'_>]) -> Vec<FigureView> {
    let mut sorted: Vec<&DatasetRecord> = entries.iter().map(|e| e.dataset).collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    if sorted.len() < 3 {
        return Vec::new();
    }
    let x: Vec<String> = sorted.iter().map(|d| d.name.clone()).collect();
    // Names are long: their place in the order is enough on the axis; tooltips have the name.
    let of = |title: &str, unit: &str, get: fn(&ImageMetrics) -> f64| {
        let values = sorted.iter().map(|d| d.best_round().and_then(metrics_of).map(get)).collect();
        let series = vec![Series { name: title, colour: 0, values }];
        let svg = chart::curve(&Curve { title, x_name: "dataset", x: &x, marks: &[], series, unit, joined: false })?;
        Some(FigureView { title: format!("{title} of the best round"), svg, caption: "datasets by name".into() })
    };
    [of("Noise (rms)", "Jy/beam", |m| m.rms), of("Dynamic range", "", |m| m.dynamic_range)]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/c/report", "/c/round-01/logs/a b.log", Some("../round-01/logs/a%20b.log"))]
    #[case("/c/report/beam00", "/c/x.log", Some("../../x.log"))]
    #[case("/c/report", "/elsewhere/x.log", None)]
    fn links_are_relative(#[case] from: &str, #[case] to: &str, #[case] link: Option<&str>) {
        assert_eq!(relative(Path::new(from), Path::new(to)).as_deref(), link);
    }

    #[test]
    fn times_of_tables_are_dates() {
        assert_eq!(mjd_time(60_370.0 * 86_400.0).as_deref(), Some("2024-03-01 00:00:00 UTC"));
        assert_eq!(mjd_time(f64::INFINITY), None);
    }

    #[test]
    fn empty_columns_disappear() {
        let heading = |t: &str| Heading { text: t.into(), ..Heading::default() };
        let row = |cells: [&str; 3]| Row { class: String::new(), cells: cells.map(Cell::text).to_vec() };
        let headings = ["a", "b", "c"].map(heading).to_vec();
        let table = Table { headings, rows: vec![row(["1", "–", ""]), row(["2", "–", "x"])], ..Table::default() };
        let table = table.without_empty_columns();
        assert_eq!(table.headings.iter().map(|h| h.text.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(table.rows[1].cells[1].text, "x");
    }
}
