//! The page of a measurement set.

use super::{CampaignView, DatasetWriter, Page};
use crate::campaign::record::{DatasetRecord, RoundRecord, StartRecord, StartTrial};
use crate::report::draw::Figure;
use crate::report::draw::chart::{self, Curve, Mark, Series};
use crate::report::draw::course::{self, Course, CoursePoint};
use crate::report::draw::map::history_colour;
use crate::report::figures::{self, RoundFigures, page_name};
use crate::report::numbers::{Unit, capital, duration, grouped, significant};
use crate::report::quantities::{self, metrics_of};
use crate::report::trouble::Trouble;
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::widgets::verdict::VerdictView;
use crate::report::widgets::{self, Card, Fact, FigureView, LegendEntry, MessageView, cards};
use crate::report::words;
use serde::Serialize;

const ARCSEC_PER_DEG: f64 = 3600.0;

/// The page of a measurement set with the campaign around it.
#[derive(Debug, Serialize)]
pub(crate) struct DatasetPage<'a> {
    campaign: &'a CampaignView,
    many: bool,
    dataset: DatasetView,
}

impl Page for DatasetPage<'_> {
    const TEMPLATE: &'static str = "dataset.html";
}

/// A measurement set.
#[derive(Debug, Default, Serialize)]
struct DatasetView {
    name: String,
    state: String,
    state_class: String,
    cards: Vec<Card>,
    best_why: String,
    end: String,
    course: Option<FigureView>,
    facts: Vec<Fact>,
    trouble: Vec<String>,
    rounds_table: Table,
    rounds: Vec<RoundBrief>,
    frames: Frames,
    curves: Vec<FigureView>,
    mask_history: Option<MaskHistory>,
    mask_table: Table,
    messages: Vec<MessageView>,
    apply_line: String,
    start: Option<StartView>,
}

/// How the model was chosen that the first calibration started from.
#[derive(Debug, Default, Serialize)]
struct StartView {
    doubt: String,
    trials: Vec<StartTrialView>,
    note: String,
}

/// A first solve that was tried.
#[derive(Debug, Default, Serialize)]
struct StartTrialView {
    text: String,
    chosen: bool,
}

/// One attempt at a round in short.
#[derive(Debug, Default, Serialize)]
struct RoundBrief {
    title: String,
    href: String,
    setting: String,
    verdict: VerdictView,
    best: bool,
    small: Vec<FigureView>,
}

/// The blink comparison of all attempts.
#[derive(Debug, Default, Serialize)]
struct Frames {
    list: Vec<FrameView>,
    note: String,
}

/// One frame of the blink comparison.
#[derive(Debug, Default, Serialize)]
struct FrameView {
    label: String,
    verdict: String,
    checked: bool,
    image: String,
    residual: String,
}

/// The mask by the round that added each pixel.
#[derive(Debug, Default, Serialize)]
struct MaskHistory {
    figure: FigureView,
    legend: Vec<LegendEntry>,
}

impl<'a> DatasetPage<'a> {
    /// The page of `dataset`; `drawn` has the figures of its rounds.
    pub(crate) fn new(
        writer: &DatasetWriter<'a>,
        dataset: &DatasetRecord,
        drawn: &[RoundFigures],
        trouble: &Trouble,
    ) -> Self {
        let view = DatasetView {
            name: dataset.name.clone(),
            state: words::state(dataset.state).into(),
            state_class: words::state_class(dataset.state).into(),
            cards: head(dataset),
            best_why: capital(&dataset.best_why),
            end: capital(&words::end(dataset)),
            course: course_figure(dataset),
            facts: facts(dataset),
            trouble: trouble.reasons.clone(),
            rounds_table: rounds_table(dataset),
            rounds: briefs(dataset, drawn),
            frames: frames(writer, dataset),
            curves: curves(dataset),
            mask_history: mask_history(writer, dataset),
            mask_table: mask_table(dataset),
            messages: widgets::messages(&dataset.messages),
            apply_line: dataset.apply_line.clone().unwrap_or_default(),
            start: dataset.start.as_ref().map(start),
        };
        Self { campaign: writer.campaign, many: writer.many, dataset: view }
    }
}

/// Cards of the best round, or of the latest one that was measured.
fn head(dataset: &DatasetRecord) -> Vec<Card> {
    let best = dataset.best_round();
    let first = dataset.rounds.first().and_then(metrics_of);
    let shown = best.or_else(|| dataset.rounds.iter().rev().find(|r| r.metrics.is_some()));
    let mut head = vec![
        Card::new("Best round", best.map_or("none yet".into(), words::label))
            .noted(best.map(words::setting).unwrap_or_default()),
    ];
    if let Some(m) = shown.and_then(metrics_of) {
        head.extend(cards::of_metrics(m, first.filter(|_| shown.is_some_and(|r| r.round > 0))));
    }
    head
}

fn facts(dataset: &DatasetRecord) -> Vec<Fact> {
    let sources: Vec<String> = dataset.sources.iter().map(|p| p.display().to_string()).collect();
    let others = dataset.facts.iter().map(|(name, value)| Fact::new(name, value));
    let label = if sources.len() == 1 { "measurement set" } else { "measurement sets" };
    let all = std::iter::once(Fact::new(label, sources.join(", "))).chain(others);
    all.filter(|f| !f.value.is_empty()).collect()
}

fn briefs(dataset: &DatasetRecord, drawn: &[RoundFigures]) -> Vec<RoundBrief> {
    let small = |index: usize| {
        let small = drawn.get(index).map_or(&[][..], |f| &f.small);
        small.iter().map(|s| FigureView::new(&s.title, &s.figure)).collect()
    };
    let brief = |(i, round): (usize, &RoundRecord)| RoundBrief {
        title: words::round_title(round),
        href: format!("{}.html", page_name(round)),
        setting: words::setting(round),
        verdict: VerdictView::of(dataset, i),
        best: dataset.best == Some(i),
        small: small(i),
    };
    dataset.rounds.iter().enumerate().map(brief).collect()
}

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

fn start(record: &StartRecord) -> StartView {
    let trial = |(i, trial): (usize, &StartTrial)| StartTrialView {
        text: capital(&trial.to_string()),
        chosen: record.chosen == Some(i),
    };
    let note = if record.chosen.is_none() { "None of them is good enough to calibrate on." } else { "" };
    StartView {
        doubt: format!("The first image was not trusted as a model: {}.", record.doubt),
        trials: record.trials.iter().enumerate().map(trial).collect(),
        note: note.into(),
    }
}

/// The course of a measurement set's attempts.
pub(super) fn course_of(dataset: &DatasetRecord) -> Course {
    let point = |(i, round): (usize, &RoundRecord)| CoursePoint {
        number: words::label(round),
        chain: words::short_setting(round),
        value: metrics_of(round).map(|m| m.dynamic_range),
        mark: mark(dataset, i),
        verdict: VerdictView::new(round).word,
    };
    let shown = dataset.best_round().or_else(|| dataset.rounds.iter().rev().find(|r| r.is_accepted()));
    let peak = shown.and_then(metrics_of).map(|m| m.peak);
    let limit = peak.zip(dataset.theoretical_noise_jy).map(|(peak, noise)| peak / noise);
    Course {
        points: dataset.rounds.iter().enumerate().map(point).collect(),
        limit: limit.filter(|l| l.is_finite() && *l > 0.0),
    }
}

/// The course of attempts that have been compared.
fn course_figure(dataset: &DatasetRecord) -> Option<FigureView> {
    let shown = course_of(dataset);
    let mut caption = String::from(
        "Peak over the noise of the residual outside the mask. Large dot: the product. Hollow: rejected; the line \
         leaves it out.",
    );
    if shown.limit.is_some() {
        caption.push_str(" Dashed: the peak over the theoretical noise with natural weighting.");
    }
    let svg = course::course(&shown).filter(|_| dataset.rounds.len() > 1)?;
    Some(FigureView { title: "Dynamic range, attempt by attempt".into(), svg, caption })
}

/// A curve from round to round for each quantity that has values.
fn curves(dataset: &DatasetRecord) -> Vec<FigureView> {
    let x: Vec<String> = dataset.rounds.iter().map(words::label).collect();
    let marks: Vec<Mark> = (0..dataset.rounds.len()).map(|i| mark(dataset, i)).collect();
    let draw = |q: &quantities::Quantity| {
        let series = vec![Series { name: q.name, colour: 0, values: dataset.rounds.iter().map(q.of).collect() }];
        let curve = Curve { title: q.name, x_name: "round", x: &x, marks: &marks, series, unit: q.unit, joined: true };
        Some(FigureView { title: q.name.into(), svg: chart::curve(&curve)?, caption: q.explanation.into() })
    };
    quantities::MAIN.iter().filter_map(draw).collect()
}

fn rounds_table(dataset: &DatasetRecord) -> Table {
    let rounds = &dataset.rounds;
    let units: Vec<Unit> = quantities::MAIN
        .iter()
        .map(|q| Unit::for_values(q.unit, rounds.iter().filter_map(q.of).fold(0f64, |m, v| m.max(v.abs()))))
        .collect();
    let mut headings = vec![Heading::words("Round"), Heading::words("Verdict"), Heading::words("Calibration")];
    headings.extend(
        quantities::MAIN
            .iter()
            .zip(&units)
            .map(|(q, unit)| Heading::number(q.name, &unit.name).explained(q.explanation)),
    );
    headings.extend([
        Heading::number("Beam", "″").explained("restoring beam, full widths"),
        Heading::number("Cycles", "").explained("major cycles that were driven one by one"),
        Heading::number("Time", "").explained("wall time of the round"),
    ]);
    let rows = rounds.iter().enumerate().map(|(i, round)| rounds_row(round, dataset.best == Some(i), &units)).collect();
    Table { caption: "All rounds".into(), sortable: false, headings, rows }.without_empty_columns()
}

fn rounds_row(round: &RoundRecord, best: bool, units: &[Unit]) -> Row {
    let v = VerdictView::new(round);
    let label = words::label(round);
    let mut cells = vec![
        Cell {
            text: if best { format!("{label} ★") } else { label },
            value: Some(round.round as f64),
            href: format!("{}.html", page_name(round)),
            title: if best { "the best accepted round".into() } else { String::new() },
            ..Cell::default()
        },
        Cell { text: v.word, class: format!("verdict {}", v.class), title: v.summary, ..Cell::default() },
        Cell { title: words::setting(round), ..Cell::text(words::short_setting(round)) },
    ];
    cells.extend(quantities::MAIN.iter().zip(units).map(|(q, unit)| {
        Cell::number((q.of)(round), |value| {
            let is_count = unit.name.is_empty() && value.fract() == 0.0 && value >= 0.0;
            if is_count { grouped(value as u64) } else { unit.number(value) }
        })
    }));
    cells.push(beam_cell(round));
    cells.push(Cell::count((!round.cycles.is_empty()).then_some(round.cycles.len() as u64)));
    cells.push(Cell::number(round.seconds(), duration));
    Row { class: if best { "best".into() } else { String::new() }, cells }
}

/// Full widths of the restoring beam, arcseconds; sorted by area.
fn beam_cell(round: &RoundRecord) -> Cell {
    let Some(b) = metrics_of(round).and_then(|m| m.beam) else { return Cell::number(None, |_| String::new()) };
    let arcsec = |deg: f64| significant(deg * ARCSEC_PER_DEG, 3);
    Cell {
        text: format!("{} × {}", arcsec(b.major_deg), arcsec(b.minor_deg)),
        value: Some(b.major_deg * b.minor_deg),
        class: "number".into(),
        ..Cell::default()
    }
}

fn frames(writer: &DatasetWriter<'_>, dataset: &DatasetRecord) -> Frames {
    let drawable: Vec<&RoundRecord> = dataset.rounds.iter().filter(|r| r.products.is_some()).collect();
    let reference = dataset
        .best_round()
        .or_else(|| drawable.iter().rev().find(|r| r.is_accepted()).copied())
        .or(drawable.last().copied());
    let Some((reference, levels)) = reference.and_then(|r| Some((r, figures::levels(writer.folder, r)?))) else {
        return Frames::default();
    };
    let frame = |round: &&RoundRecord| {
        let drawn = figures::blink(writer.store, writer.folder, round, levels);
        let svg = |f: Option<Figure>| f.map(|f| f.svg).unwrap_or_default();
        FrameView {
            label: words::round_title(round),
            verdict: VerdictView::new(round).word,
            checked: std::ptr::eq(*round, reference),
            image: svg(drawn.image),
            residual: svg(drawn.residual),
        }
    };
    let list: Vec<FrameView> = drawable.iter().map(frame).filter(|f| !f.image.is_empty()).collect();
    let note = format!("All on the scale of {}.", words::round(reference));
    Frames { list: if list.len() > 1 { list } else { Vec::new() }, note }
}

fn mask_history(writer: &DatasetWriter<'_>, dataset: &DatasetRecord) -> Option<MaskHistory> {
    let masked: Vec<&RoundRecord> =
        dataset.rounds.iter().filter(|r| r.is_accepted() && r.mask.is_some() && r.products.is_some()).collect();
    let levels = masked.last().and_then(|r| figures::levels(writer.folder, r))?;
    if masked.len() < 2 {
        return None;
    }
    let figure = figures::mask_history(writer.store, writer.folder, &masked, levels)?;
    let entry = |(i, r): (usize, &&RoundRecord)| {
        LegendEntry::new(history_colour(i, masked.len()), format!("first in {}", words::round(r)))
    };
    let legend = masked.iter().enumerate().map(entry).collect();
    Some(MaskHistory { figure: FigureView::new("Mask by the round that added each pixel", &figure), legend })
}

fn mask_table(dataset: &DatasetRecord) -> Table {
    let headings = vec![
        Heading::words("Round"),
        Heading::words("Method"),
        Heading::number("Pixels", ""),
        Heading::number("Islands", ""),
        Heading::number("Added", ""),
        Heading::number("Removed", ""),
        Heading::words("Why"),
    ];
    let rows = dataset.rounds.iter().filter_map(|round| {
        let mask = round.mask.as_ref()?;
        let pixels = Some(mask.pixels).filter(|n| *n > 0).or(metrics_of(round).and_then(|m| m.masked_pixels));
        Some(Row::plain(vec![
            Cell { href: format!("{}.html", page_name(round)), ..Cell::text(words::label(round)) },
            Cell::text(words::mask(mask)),
            Cell::count(pixels),
            Cell::count(mask.islands),
            Cell::count(mask.added),
            Cell::count(mask.removed),
            Cell::text(&mask.why),
        ]))
    });
    let rows = rows.collect();
    Table { caption: "Masks of the rounds".into(), sortable: false, headings, rows }.without_empty_columns()
}
