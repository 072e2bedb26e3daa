//! The gain solutions of a round.

use crate::calibrator::SolutionTable;
use crate::campaign::record::{MemberRecord, RoundRecord};
use crate::quality::solutions::{Difference, SolutionStats, TermStats};
use crate::report::draw::CHART_COLOURS;
use crate::report::draw::gains::{self, AntennaPlot, GainPlots};
use crate::report::numbers::{capital, grouped, percent, significant, time};
use crate::report::widgets::Fact;
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::words;
use serde::Serialize;
use std::path::Path;

/// Phase-only solutions have amplitudes of one but for rounding.
const NO_SCATTER: f64 = 1e-5;

/// The solutions of a round.
#[derive(Debug, Default, Serialize)]
pub(super) struct SolutionsView {
    why: String,
    facts: Vec<Fact>,
    weighed: Vec<Fact>,
    terms: Table,
    /// A row for each of several measurement sets.
    by_set: Table,
    /// The solutions of the only measurement set, or of each of several.
    sets: Vec<SetView>,
}

/// The solutions of a measurement set, antenna by antenna.
#[derive(Debug, Default, Serialize)]
struct SetView {
    /// Empty where there is one.
    name: String,
    facts: Vec<Fact>,
    antennas: Table,
    plots: Vec<TermPlots>,
    note: String,
    legend: Vec<PolarisationKey>,
}

/// The plots of one term.
#[derive(Debug, Default, Serialize)]
struct TermPlots {
    title: String,
    antennas: Vec<AntennaPlot>,
}

/// The colour of a polarisation.
#[derive(Debug, Default, Serialize)]
struct PolarisationKey {
    /// Number of the colour in the style sheet.
    colour: usize,
    name: String,
}

/// `None` for a round without solutions.
pub(super) fn view(folder: &Path, round: &RoundRecord) -> Option<SolutionsView> {
    let stats = full_statistics(folder, round.solutions.as_ref(), round.solutions_file.as_deref());
    let stats = stats.filter(|s| !s.are_unknown())?;
    let sets = match &round.members[..] {
        [] => vec![set_view("", &round.tables, &stats)],
        members => members.iter().filter_map(|member| member_view(folder, member)).collect(),
    };
    Some(SolutionsView {
        why: round.solint_why.as_deref().map(capital).unwrap_or_default(),
        facts: facts(round, &stats),
        weighed: round.weighed.iter().map(|w| Fact::new(capital(&w.what), &w.why_not)).collect(),
        terms: terms(&stats),
        by_set: by_set(&round.members),
        sets,
    })
}

/// The solutions of one measurement set of several.
fn member_view(folder: &Path, member: &MemberRecord) -> Option<SetView> {
    let stats = full_statistics(folder, member.solutions.as_ref(), member.solutions_file.as_deref())?;
    let known = [
        Fact::known("own intervals", (!member.chain.is_empty()).then(|| words::solves(&member.chain))),
        Fact::known("tables applied", Some(table_names(&member.tables))),
        Fact::known("too weak", member.weak.clone()),
        Fact::known("identity gains", identity_gains(&stats)),
    ];
    let facts = known.into_iter().flatten().collect();
    Some(SetView { facts, ..set_view(&member.name, &member.tables, &stats) })
}

fn set_view(name: &str, tables: &[SolutionTable], stats: &SolutionStats) -> SetView {
    let (thinned, plots) = plots(tables, stats);
    let mut note = mjd_time(start_s(stats)).map_or_else(String::new, |t| format!("Time runs from {t}."));
    if thinned {
        note.push_str(" Long series are thinned out evenly.");
    }
    SetView { name: name.into(), facts: Vec::new(), antennas: antennas(stats), plots, note, legend: legend(stats) }
}

/// Statistics of each of several measurement sets.
fn by_set(members: &[MemberRecord]) -> Table {
    let headings = vec![
        Heading::words("Measurement set"),
        Heading::number("Solutions", ""),
        Heading::number("Flagged", ""),
        Heading::number("Median S/N", ""),
        Heading::number("Phase scatter", "").explained("about each antenna's mean, median over antennas"),
        Heading::number("Amplitude scatter", "").explained("relative, about each antenna's mean, median over antennas"),
        Heading::words("Counted"),
    ];
    let row = |member: &MemberRecord| {
        let stats = member.solutions.as_ref();
        let counted = match (&member.weak, member.left_out) {
            (None, _) => "yes",
            (Some(_), false) => "no, too weak",
            (Some(_), true) => "no, too weak; not imaged",
        };
        Row {
            class: if member.weak.is_some() { "trouble".into() } else { String::new() },
            cells: vec![
                Cell::text(&member.name),
                Cell::count(stats.map(|s| s.solutions as u64)),
                Cell::number(stats.map(|s| s.flagged_fraction), percent),
                Cell::number(stats.and_then(|s| s.median_snr), |v| significant(v, 3)),
                Cell::number(stats.and_then(|s| s.phase_scatter_deg), |v| format!("{}°", significant(v, 3))),
                Cell::number(stats.and_then(|s| s.amplitude_scatter).filter(|s| *s > NO_SCATTER), percent),
                Cell::text(counted),
            ],
        }
    };
    let rows = members.iter().map(row).collect();
    Table { caption: "Solutions by measurement set".into(), sortable: false, headings, rows }.without_empty_columns()
}

/// Plots for each term, and whether long series were thinned out.
fn plots(tables: &[SolutionTable], stats: &SolutionStats) -> (bool, Vec<TermPlots>) {
    let names: Vec<&str> = stats.terms.iter().map(|t| t.term.as_str()).collect();
    let parts = match names[..] {
        [] | [_] => vec![(String::new(), stats.clone())],
        _ => names.iter().map(|name| (format!("{}: ", capital(name)), of_term(tables, stats, name))).collect(),
    };
    let mut any_thinned = false;
    let mut all = Vec::new();
    for (prefix, part) in parts {
        let GainPlots { thinned, shown, plots } = gains::draw(&part);
        any_thinned |= thinned;
        let shown = if prefix.is_empty() { shown } else { shown.to_lowercase() };
        if !plots.is_empty() {
            all.push(TermPlots { title: format!("{prefix}{shown} against time"), antennas: plots });
        }
    }
    (any_thinned, all)
}

/// The antennas with the series of one term alone.
fn of_term(tables: &[SolutionTable], stats: &SolutionStats, term: &str) -> SolutionStats {
    let mut part = stats.clone();
    for antenna in &mut part.antennas {
        antenna.series.retain(|s| tables.get(s.table).is_some_and(|table| table.term == term));
        let flags = || antenna.series.iter().flat_map(|s| &s.flagged);
        let all = flags().count();
        antenna.flagged_fraction = flags().filter(|f| **f).count() as f64 / all.max(1) as f64;
        antenna.median_snr = None;
    }
    part.antennas.retain(|antenna| !antenna.series.is_empty());
    part
}

/// Statistics of each term of a chain; without rows for a single solve, whose facts say it all.
fn terms(stats: &SolutionStats) -> Table {
    let headings = vec![
        Heading::words("Term"),
        Heading::words("Interval"),
        Heading::number("Solutions", ""),
        Heading::number("Flagged", ""),
        Heading::number("Median S/N", ""),
        Heading::number("Phase scatter", "").explained("about each antenna's mean, median over antennas"),
        Heading::number("Amplitude scatter", "").explained("relative, about each antenna's mean, median over antennas"),
        Heading::words("Polarisations differ by").explained("median; in brackets: what noise alone gives"),
        Heading::words("Windows differ by").explained("median; in brackets: what noise alone gives"),
        Heading::words("Delays").explained("median of their absolute values, and the error of one"),
    ];
    let degrees = |v: f64| format!("{}°", significant(v, 3));
    let difference = |d: Option<Difference>| {
        d.map_or_else(String::new, |d| format!("{} ({})", degrees(d.measured_deg), degrees(d.expected_deg)))
    };
    let row = |t: &TermStats| {
        let delay = t.delay_ns.map(|d| {
            let error = d.error_ns.map(|e| format!(" ± {}", significant(e, 2))).unwrap_or_default();
            format!("{}{error} ns", significant(d.median_abs_ns, 3))
        });
        Row::plain(vec![
            Cell::text(&t.term),
            Cell::text(&t.solint),
            Cell::count(Some(t.solutions as u64)),
            Cell::number(Some(t.flagged_fraction), percent),
            Cell::number(t.median_snr, |v| significant(v, 3)),
            Cell::number(t.phase_scatter_deg, degrees),
            Cell::number(t.amplitude_scatter.filter(|s| *s > NO_SCATTER), percent),
            Cell::text(difference(t.polarisation_difference)),
            Cell::text(difference(t.window_difference)),
            Cell::text(delay.unwrap_or_default()),
        ])
    };
    let rows = if stats.terms.len() > 1 { stats.terms.iter().map(row).collect() } else { Vec::new() };
    Table { caption: "Solutions by term".into(), sortable: false, headings, rows }.without_empty_columns()
}

/// Statistics with the series for plots, from the record or the file that it names.
fn full_statistics(folder: &Path, recorded: Option<&SolutionStats>, file: Option<&Path>) -> Option<SolutionStats> {
    let from_file = || {
        let text = std::fs::read(folder.join(file?)).ok()?;
        serde_json::from_slice::<SolutionStats>(&text).ok()
    };
    let has_series = |s: &SolutionStats| s.antennas.iter().any(|a| !a.series.is_empty());
    match recorded {
        Some(stats) if has_series(stats) => Some(stats.clone()),
        Some(stats) => from_file().or_else(|| Some(stats.clone())),
        None => from_file(),
    }
}

/// Names of tables, with the channels that they are for.
fn table_names(tables: &[SolutionTable]) -> String {
    let name = |t: &SolutionTable| {
        let name = t.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match t.channels {
            Some((first, last)) => format!("{name} (channels {first}–{last})"),
            None => name,
        }
    };
    tables.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn facts(round: &RoundRecord, stats: &SolutionStats) -> Vec<Fact> {
    // Of several measurement sets, each has its own.
    let one = round.members.is_empty();
    let amplitude_scatter = stats.amplitude_scatter.filter(|s| *s > NO_SCATTER);
    let known = [
        Fact::known("interval", round.solint.clone()),
        Fact::known("mode", round.calmode.map(|mode| mode.name().to_string())),
        Fact::known("solutions", Some(grouped(stats.solutions as u64))),
        Fact::known("flagged", Some(percent(stats.flagged_fraction))),
        Fact::known("median S/N", stats.median_snr.map(|v| significant(v, 3))),
        Fact::known("phase scatter", stats.phase_scatter_deg.map(|v| format!("{}°", significant(v, 3)))),
        Fact::known("amplitude scatter", amplitude_scatter.map(percent)),
        Fact::known("tables applied", one.then(|| table_names(&round.tables))),
        Fact::known("identity gains", identity_gains(stats).filter(|_| one)),
    ];
    known.into_iter().flatten().collect()
}

/// Antennas that get no correction, with the reasons.
fn identity_gains(stats: &SolutionStats) -> Option<String> {
    let names: Vec<String> = stats.identity_gains.iter().map(|a| format!("{} ({})", a.name, a.why)).collect();
    (!names.is_empty()).then(|| names.join("; "))
}

fn antennas(stats: &SolutionStats) -> Table {
    let headings = vec![Heading::words("Antenna"), Heading::number("Flagged", ""), Heading::number("Median S/N", "")];
    let rows = stats.antennas.iter().map(|a| Row {
        class: if a.flagged_fraction > gains::TROUBLED_ANTENNA { "trouble".into() } else { String::new() },
        cells: vec![
            Cell::text(&a.name),
            Cell::number(Some(a.flagged_fraction), percent),
            Cell::number(a.median_snr, |v| significant(v, 3)),
        ],
    });
    let rows = rows.collect();
    Table { caption: "Solutions by antenna".into(), sortable: true, headings, rows }
}

/// Polarisations in the order in which they first appear.
fn legend(stats: &SolutionStats) -> Vec<PolarisationKey> {
    let mut names: Vec<&str> = Vec::new();
    for series in stats.antennas.iter().flat_map(|a| &a.series) {
        if !names.contains(&series.polarisation.as_str()) && !series.polarisation.is_empty() {
            names.push(&series.polarisation);
        }
    }
    let key = |(i, name): (usize, &str)| PolarisationKey { colour: i % CHART_COLOURS, name: name.into() };
    names.into_iter().enumerate().map(key).collect()
}

/// Time of the first solution, seconds of the modified Julian date; infinite without any.
fn start_s(stats: &SolutionStats) -> f64 {
    let times = stats.antennas.iter().flat_map(|a| &a.series).flat_map(|s| s.time_s.iter().copied());
    times.filter(|t| t.is_finite()).fold(f64::INFINITY, f64::min)
}

/// Modified Julian date in seconds as a time.
fn mjd_time(seconds: f64) -> Option<String> {
    /// The Unix epoch as a modified Julian date, seconds.
    const UNIX_EPOCH_MJD_S: f64 = 40_587.0 * 86_400.0;
    let t = jiff::Timestamp::from_second((seconds.is_finite().then_some(seconds)? - UNIX_EPOCH_MJD_S).round() as i64);
    Some(time(Some(t.ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrator::options::GaincalOptions;
    use crate::campaign::record::TermRecord;

    #[test]
    fn several_measurement_sets_have_a_row_and_antennas_each() {
        let longer = || {
            let options = GaincalOptions { solint: "240s".into(), ..GaincalOptions::default() };
            TermRecord::of_chain(&[options]).remove(0)
        };
        let stats = |solutions| SolutionStats {
            solutions,
            antennas: vec![crate::quality::solutions::AntennaSolutions { name: "ea01".into(), ..Default::default() }],
            ..SolutionStats::default()
        };
        let member = |name: &str, weak: Option<&str>| MemberRecord {
            name: name.into(),
            solutions: Some(stats(10)),
            weak: weak.map(str::to_owned),
            chain: if weak.is_some() { vec![longer()] } else { Vec::new() },
            ..MemberRecord::default()
        };
        let one = RoundRecord { solutions: Some(stats(20)), ..RoundRecord::default() };
        let alone = view(Path::new("."), &one).expect("solutions");
        assert_eq!((alone.sets.len(), alone.by_set.rows.len(), alone.sets[0].name.as_str()), (1, 0, ""));
        let members = vec![member("night1", None), member("night2", Some("90 % flagged"))];
        let several = view(Path::new("."), &RoundRecord { members, ..one }).expect("solutions");
        assert_eq!((several.sets.len(), several.by_set.rows.len()), (2, 2));
        let page = serde_json::to_string(&several).expect("JSON");
        assert!(page.contains("no, too weak") && page.contains("90 % flagged") && page.contains("night1"), "{page}");
        assert_eq!(page.matches("p 240s").count(), 1, "{page}");
    }

    #[test]
    fn times_of_tables_are_dates() {
        assert_eq!(mjd_time(60_370.0 * 86_400.0).as_deref(), Some("2024-03-01 00:00:00 UTC"));
        assert_eq!(mjd_time(f64::INFINITY), None);
    }
}
