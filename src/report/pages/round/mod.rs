//! The page of one attempt at a round.

mod channels;
mod commands;
mod confetti;
mod cycles;
mod facets;
mod mask;
mod solutions;

use super::{CampaignView, DatasetWriter, Page};
use crate::campaign::record::{DatasetRecord, RoundRecord};
use crate::report::draw::Figure;
use crate::report::figures::{RoundFigures, page_name};
use crate::report::numbers::{Unit, duration, percent, time};
use crate::report::quantities::{self, Quantity, metrics_of};
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::widgets::verdict::VerdictView;
use crate::report::widgets::{self, Card, Fact, FigureView, MessageView, cards};
use crate::report::words;
use serde::Serialize;

/// Relative changes below this are rounding.
const NO_CHANGE: f64 = 5e-5;

/// The page of an attempt with the campaign around it.
#[derive(Debug, Serialize)]
pub(crate) struct RoundPage<'a> {
    campaign: &'a CampaignView,
    many: bool,
    /// Name of the measurement set.
    dataset: String,
    round: RoundView,
}

impl Page for RoundPage<'_> {
    const TEMPLATE: &'static str = "round.html";
}

/// An attempt at a round.
#[derive(Debug, Default, Serialize)]
struct RoundView {
    title: String,
    best: bool,
    verdict: VerdictView,
    cards: Vec<Card>,
    facts: Vec<Fact>,
    maps: Vec<BlinkView>,
    zooms: Vec<FigureView>,
    problems: Vec<String>,
    metrics: Table,
    mask: Option<mask::MaskView>,
    cycles: cycles::CyclesView,
    channels: channels::ChannelsView,
    facets: Option<facets::FacetsView>,
    solutions: Option<solutions::SolutionsView>,
    confetti: Vec<confetti::ConfettiView>,
    commands: Vec<commands::CommandView>,
    messages: Vec<MessageView>,
    previous: Option<Neighbour>,
    next: Option<Neighbour>,
}

/// A map with that of the last accepted round on the same scale, to blink.
#[derive(Debug, Default, Serialize)]
struct BlinkView {
    title: String,
    svg: String,
    caption: String,
    before: String,
    before_words: String,
}

/// The attempt before or after.
#[derive(Debug, Serialize)]
struct Neighbour {
    href: String,
    title: String,
}

impl Neighbour {
    fn new(round: &RoundRecord) -> Self {
        Self { href: format!("{}.html", page_name(round)), title: words::round_title(round) }
    }
}

/// An attempt at a round with its measurement set and its figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundSource<'a> {
    /// The measurement set.
    pub(crate) dataset: &'a DatasetRecord,
    /// Index of the attempt in the set's rounds.
    pub(crate) index: usize,
    /// Its figures.
    pub(crate) figures: &'a RoundFigures,
}

impl<'a> RoundPage<'a> {
    /// The page of the attempt in `source`.
    pub(crate) fn new(writer: &DatasetWriter<'a>, source: &RoundSource<'_>) -> Self {
        let RoundSource { dataset, index, figures: drawn } = *source;
        let round = &dataset.rounds[index];
        let before = dataset.accepted_before(index);
        let first = dataset.rounds.first().filter(|_| index > 0).and_then(metrics_of);
        let zooms = [
            drawn.zoom_image.as_ref().map(|f| FigureView::new("Image around its peak", f)),
            drawn.zoom_residual.as_ref().map(|f| FigureView::new("Residual there", f)),
        ];
        let view = RoundView {
            title: words::round_title(round),
            best: dataset.best == Some(index),
            verdict: VerdictView::of(dataset, index),
            cards: metrics_of(round).map_or_else(Vec::new, |m| cards::of_metrics(m, first)),
            facts: facts(round, drawn),
            maps: maps(drawn, before),
            zooms: zooms.into_iter().flatten().collect(),
            problems: drawn.problems.clone(),
            metrics: comparison(round, before),
            mask: round.mask.as_ref().map(|m| mask::view(m, drawn, before.is_some_and(|b| b.mask.is_some()))),
            cycles: cycles::view(writer, round),
            channels: channels::view(round, drawn),
            facets: round.facets.as_ref().map(|facets| facets::view(writer.folder, facets, drawn)),
            solutions: solutions::view(writer.folder, round),
            confetti: confetti::view(writer.folder, round),
            commands: commands::view(writer, &round.commands),
            messages: widgets::messages(&round.messages),
            previous: index.checked_sub(1).map(|i| Neighbour::new(&dataset.rounds[i])),
            next: dataset.rounds.get(index + 1).map(Neighbour::new),
        };
        Self { campaign: writer.campaign, many: writer.many, dataset: dataset.name.clone(), round: view }
    }
}

fn facts(round: &RoundRecord, drawn: &RoundFigures) -> Vec<Fact> {
    let known = [
        Fact::known("calibration", Some(words::setting(round))),
        Fact::known("calibrator", Some(round.calibrator.clone())),
        Fact::known("imager", Some(round.imager.clone())),
        Fact::known("column imaged", Some(round.data_column.clone())),
        Fact::known("started", Some(time(round.started))),
        Fact::known("took", round.seconds().map(duration)),
        Fact::known("cleaning ended", round.stopped.as_ref().map(words::stop_reason)),
    ];
    known.into_iter().flatten().chain(drawn.facts.iter().cloned()).collect()
}

fn maps(drawn: &RoundFigures, before: Option<&RoundRecord>) -> Vec<BlinkView> {
    let before_words = before.map(words::round).unwrap_or_default();
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
    maps.into_iter().flatten().collect()
}

/// All numbers of a round beside those of the last accepted one.
fn comparison(round: &RoundRecord, before: Option<&RoundRecord>) -> Table {
    let mut headings = vec![Heading::words("Quantity")];
    headings.extend(before.map(|b| Heading::number(words::round_title(b), "")));
    headings.push(Heading::number(words::round_title(round), ""));
    headings.extend(before.map(|_| Heading::number("Change", "")));
    let all = quantities::MAIN.iter().chain(&quantities::DETAILED);
    let rows = all.filter_map(|quantity| comparison_row(quantity, round, before)).collect();
    Table { caption: "Numbers of the round".into(), sortable: false, headings, rows }
}

/// `None` where neither round has the quantity.
fn comparison_row(quantity: &Quantity, round: &RoundRecord, before: Option<&RoundRecord>) -> Option<Row> {
    let now = (quantity.of)(round);
    let then = before.and_then(quantity.of);
    let unit = Unit::for_values(quantity.unit, now.or(then)?);
    let in_unit = |v: f64| format!("{} {}", unit.number(v), unit.name).trim().to_string();
    let mut cells = vec![Cell { title: quantity.explanation.into(), ..Cell::text(quantity.name) }];
    if before.is_some() {
        cells.push(Cell::number(then, in_unit));
    }
    cells.push(Cell::number(now, in_unit));
    if before.is_some() {
        let change = now.zip(then).filter(|(_, t)| *t != 0.0).map(|(n, t)| n / t - 1.0);
        cells.push(Cell::number(change, |c| match c {
            c if c.abs() < NO_CHANGE => "0 %".into(),
            c => format!("{}{}", if c > 0.0 { "+" } else { "" }, percent(c)),
        }));
    }
    Some(Row::plain(cells))
}
