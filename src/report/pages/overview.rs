//! The overview of a campaign with many measurement sets.

use super::dataset::course_of;
use super::{CampaignView, Page};
use crate::campaign::record::{DatasetRecord, RoundRecord};
use crate::quality::metrics::ImageMetrics;
use crate::report::draw::chart::{self, Curve, Series};
use crate::report::draw::course;
use crate::report::numbers::{Unit, capital, duration, significant};
use crate::report::quantities::metrics_of;
use crate::report::trouble::Trouble;
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::widgets::{Card, FigureView};
use crate::report::words;
use indexmap::IndexMap;
use serde::Serialize;

/// Fewest measurement sets that are compared in curves.
const MIN_FOR_CURVES: usize = 3;

/// The overview with the campaign around it.
#[derive(Debug, Serialize)]
pub(crate) struct OverviewPage<'a> {
    campaign: &'a CampaignView,
    overview: Overview,
}

impl Page for OverviewPage<'_> {
    const TEMPLATE: &'static str = "overview.html";
}

/// All measurement sets of a campaign.
#[derive(Debug, Default, Serialize)]
struct Overview {
    /// What is listed.
    what: &'static str,
    /// Title of the curves.
    across: &'static str,
    cards: Vec<Card>,
    table: Table,
    curves: Vec<FigureView>,
    courses: Vec<CourseView>,
}

/// The course of one measurement set, small.
#[derive(Debug, Default, Serialize)]
struct CourseView {
    name: String,
    href: String,
    svg: String,
}

/// One measurement set in the overview.
#[derive(Debug)]
pub(crate) struct OverviewEntry<'a> {
    /// Its record.
    pub(crate) dataset: &'a DatasetRecord,
    /// Reasons to look at it.
    pub(crate) trouble: &'a Trouble,
    /// Link to its page.
    pub(crate) href: String,
}

impl OverviewEntry<'_> {
    fn best(&self) -> Option<&ImageMetrics> {
        self.dataset.best_round().and_then(metrics_of)
    }

    fn first(&self) -> Option<&ImageMetrics> {
        self.dataset.rounds.first().and_then(metrics_of)
    }
}

impl<'a> OverviewPage<'a> {
    /// The measurement sets in the order of `entries` (most trouble first).
    pub(crate) fn new(campaign: &'a CampaignView, entries: &[OverviewEntry<'_>]) -> Self {
        let groups = entries.iter().all(|entry| is_group(&entry.dataset.name));
        let words = if groups { GROUPS } else { MEASUREMENT_SETS };
        let overview = Overview {
            what: words.many,
            across: words.across,
            cards: cards(entries, words),
            table: table(entries, words),
            curves: curves(entries, words),
            courses: courses(entries),
        };
        Self { campaign, overview }
    }
}

/// What the entries are called.
#[derive(Debug, Clone, Copy)]
struct Words {
    one: &'static str,
    many: &'static str,
    on_axis: &'static str,
    across: &'static str,
    by_name: &'static str,
    caption: &'static str,
}

const MEASUREMENT_SETS: Words = Words {
    one: "Measurement set",
    many: "Measurement sets",
    on_axis: "measurement set",
    across: "Across the measurement sets",
    by_name: "measurement sets by name",
    caption: "All measurement sets, most trouble first",
};

const GROUPS: Words = Words {
    one: "Group of channels",
    many: "Groups of channels",
    on_axis: "group of channels",
    across: "Across the groups of channels",
    by_name: "groups by their channels",
    caption: "All groups of channels, most trouble first",
};

/// The name is that of a group of a cube's channels, or of a channel that was imaged again.
fn is_group(name: &str) -> bool {
    let number = |text: &str| text.len() >= 5 && text.bytes().all(|b| b.is_ascii_digit());
    let group = name.rsplit_once("channels-").and_then(|(_, rest)| rest.split_once('-'));
    let again = name.rsplit_once("channel-").and_then(|(_, rest)| rest.strip_suffix("-again"));
    group.is_some_and(|(first, last)| number(first) && number(last)) || again.is_some_and(number)
}

fn cards(entries: &[OverviewEntry<'_>], words: Words) -> Vec<Card> {
    let mut states: IndexMap<&str, usize> = IndexMap::new();
    for e in entries {
        *states.entry(words::state(e.dataset.state)).or_default() += 1;
    }
    let mut cards = vec![Card::new(words.many, entries.len().to_string())];
    cards.extend(states.iter().map(|(word, n)| Card::new(capital(word), n.to_string())));
    let troubled = entries.iter().filter(|e| e.trouble.score > 0.0).count();
    cards.push(Card::new("With trouble", troubled.to_string()));
    cards
}

fn table(entries: &[OverviewEntry<'_>], words: Words) -> Table {
    let largest = entries.iter().filter_map(OverviewEntry::best).fold(0f64, |m, b| m.max(b.rms));
    let rms_unit = Unit::for_values("Jy/beam", largest);
    let headings = vec![
        Heading::words(words.one),
        Heading::words("State"),
        Heading::number("Trouble", "")
            .explained("the higher, the sooner someone should look; docs/report.md has the rules"),
        Heading::words("Why"),
        Heading::words("Rounds"),
        Heading::number("Best", "").explained("best accepted round"),
        Heading::number("Noise (rms)", &rms_unit.name).explained("of the best round"),
        Heading::number("Dynamic range", "").explained("of the best round"),
        Heading::number("Gain", "×").explained("dynamic range of the best round over that of round 0"),
        Heading::number("Flagged", "%").explained("gain solutions of the best round"),
        Heading::number("Time", "").explained("wall time of all rounds"),
    ];
    let explained = entries.iter().any(|e| !e.trouble.reasons.is_empty());
    let rows = entries.iter().map(|e| row(e, explained, &rms_unit)).collect();
    Table { caption: words.caption.into(), sortable: true, headings, rows }
}

fn row(e: &OverviewEntry<'_>, explained: bool, rms_unit: &Unit) -> Row {
    let (best, first) = (e.best(), e.first());
    let gain = best.zip(first).filter(|(_, f)| f.dynamic_range > 0.0).map(|(b, f)| b.dynamic_range / f.dynamic_range);
    let flagged = e.dataset.best_round().and_then(|r| r.solutions.as_ref()).map(|s| s.flagged_fraction * 100.0);
    let seconds: Vec<f64> = e.dataset.rounds.iter().filter_map(RoundRecord::seconds).collect();
    let state = e.dataset.state;
    Row::plain(vec![
        Cell { href: e.href.clone(), ..Cell::text(&e.dataset.name) },
        Cell { class: format!("verdict {}", words::state_class(state)), ..Cell::text(words::state(state)) },
        Cell::number(Some(e.trouble.score), |v| significant(v, 3)),
        Cell {
            class: if explained { "wide".into() } else { String::new() },
            ..Cell::text(e.trouble.reasons.join("; "))
        },
        Cell {
            class: "chain".into(),
            title: words::SIGNS.into(),
            value: Some(e.dataset.rounds.len() as f64),
            ..Cell::text(e.dataset.rounds.iter().map(words::sign).collect::<String>())
        },
        Cell::number(e.dataset.best_round().map(|r| r.round as f64), |v| format!("{v}")),
        Cell::number(best.map(|m| m.rms), |v| rms_unit.number(v)),
        Cell::number(best.map(|m| m.dynamic_range), |v| significant(v, 4)),
        Cell::number(gain, |v| significant(v, 3)),
        Cell::number(flagged, |v| significant(v, 2)),
        Cell::number((!seconds.is_empty()).then(|| seconds.iter().sum()), duration),
    ])
}

/// The courses of measurement sets with several attempts.
fn courses(entries: &[OverviewEntry<'_>]) -> Vec<CourseView> {
    let several = entries.iter().filter(|e| e.dataset.rounds.len() > 1);
    let one = |e: &OverviewEntry<'_>| {
        let svg = course::small(&course_of(e.dataset))?;
        Some(CourseView { name: e.dataset.name.clone(), href: e.href.clone(), svg })
    };
    several.filter_map(one).collect()
}

/// Noise and dynamic range of the best round against measurement sets by name: a bad beam stands out.
fn curves(entries: &[OverviewEntry<'_>], words: Words) -> Vec<FigureView> {
    let mut sorted: Vec<&OverviewEntry<'_>> = entries.iter().collect();
    sorted.sort_by(|a, b| a.dataset.name.cmp(&b.dataset.name));
    if sorted.len() < MIN_FOR_CURVES {
        return Vec::new();
    }
    let x: Vec<String> = sorted.iter().map(|e| e.dataset.name.clone()).collect();
    let of = |title: &str, unit: &str, get: fn(&ImageMetrics) -> f64| {
        let values = sorted.iter().map(|e| e.best().map(get)).collect();
        let series = vec![Series { name: title, colour: 0, values }];
        let svg =
            chart::curve(&Curve { title, x_name: words.on_axis, x: &x, marks: &[], series, unit, joined: false })?;
        Some(FigureView { title: format!("{title} of the best round"), svg, caption: words.by_name.into() })
    };
    [of("Noise (rms)", "Jy/beam", |m| m.rms), of("Dynamic range", "", |m| m.dynamic_range)]
        .into_iter()
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::is_group;

    #[test]
    fn groups_are_told_by_their_names() {
        assert!(["channels-00000-00011", "b01-channels-00064-00127", "channel-00004-again"].into_iter().all(is_group));
        assert!(!["channels", "field", "channels-a-b", "b01"].into_iter().any(is_group));
    }
}
