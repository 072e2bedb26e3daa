//! The tables of `cleanloop inspect`, 80 columns wide.

use crate::measurement_set::inspection::{Fault, Inspection, MsFacts, Severity, SharedPointing, Tally};
use crate::report::numbers::{duration, significant, with_unit};
use crate::util::wrap::{self, Columns};
use std::fmt::Write;

/// Width of the text, and of its first column.
const WIDTH: usize = 80;
const LABEL: usize = 16;
/// Most fields or windows that are listed.
const MOST_ROWS: usize = 40;
/// Seconds from the Modified Julian Date's origin to 1970.
const MJD_OF_1970_S: f64 = 40_587.0 * 86_400.0;

/// All measurement sets, then what they share.
pub(super) fn text(sets: &[Inspection], pointings: &[SharedPointing]) -> String {
    let mut out = String::new();
    for (number, set) in sets.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        one(&mut out, set);
    }
    if sets.len() > 1 {
        shared(&mut out, sets, pointings);
    }
    // The spaces within numbers and units are for the web.
    out.replace(['\u{a0}', '\u{202f}'], " ")
}

fn one(out: &mut String, set: &Inspection) {
    let _ = writeln!(out, "{}\n", set.measurement_set.display());
    // Where the visibilities cannot be counted only the problems are of interest.
    if set.facts.visibilities.all > 0 {
        facts(out, set);
        lists(out, &set.facts);
        out.push('\n');
    }
    problems(out, set);
}

fn facts(out: &mut String, set: &Inspection) {
    let (f, expected) = (&set.facts, &set.expected);
    let telescope = if f.telescope.is_empty() { "unknown" } else { &f.telescope };
    let antennas = f.used_antennas().count();
    let dish = f.dish_diameter_m().map_or_else(String::new, |d| format!(", dishes of {} m", significant(d, 3)));
    line(out, "telescope", &format!("{telescope}{dish}"));
    let of = if antennas < f.antennas.len() { format!(" of {}", f.antennas.len()) } else { String::new() };
    line(out, "antennas", &format!("{antennas}{of} with data, {}", counted(f.baselines, "baseline")));
    line(
        out,
        "baselines",
        &format!(
            "{} to {}; {} to {}",
            with_unit(f.shortest_baseline_m, "m"),
            with_unit(f.longest_baseline_m, "m"),
            with_unit(f.shortest_baseline_wavelengths, "λ"),
            with_unit(f.longest_baseline_wavelengths, "λ")
        ),
    );
    line(out, "time", &format!("{} to {} UTC", moment(f.time_start_s), moment(f.time_end_s)));
    let on_source = duration(expected.on_source_s);
    let spaced = format!("{} s apart", significant(f.spacing_s, 3));
    let (integrations, scans) = (counted(f.integrations, "integration"), counted(f.scans.len() as u64, "scan"));
    line(out, "", &format!("{scans}, {integrations} {spaced}: {on_source} with data"));
    line(out, "columns", &columns(f));
    line(
        out,
        "weights",
        if f.weight_spectrum { "one for each channel (WEIGHT_SPECTRUM)" } else { "one for all channels" },
    );
    line(out, "flagged", &flagged(f.visibilities));
    if let Some(b) = &expected.beam {
        let axes = format!("{} by {}", angle(b.major_arcsec), angle(b.minor_arcsec));
        line(out, "beam", &format!("{axes} at {:.0}° (natural weighting, from the coverage)", b.angle_deg));
    }
    if let (Some(view), Some((low, _))) = (expected.field_of_view_deg, f.frequencies_hz()) {
        let words = format!("{} (FWHM of the primary beam at {})", angle(3600.0 * view), with_unit(low, "Hz"));
        line(out, "field of view", &words);
    }
    if let Some(noise) = expected.noise_jy {
        let origin = if expected.noise_measured { "from the scatter of the data" } else { "from the weights" };
        line(out, "noise", &format!("{} (natural weighting, {origin})", with_unit(noise, "Jy/beam")));
    }
}

/// Columns of visibilities with their storage managers.
fn columns(f: &MsFacts) -> String {
    let data = f.columns.iter().filter(|c| c.name.ends_with("DATA"));
    data.map(|c| format!("{} ({})", c.name, c.manager)).collect::<Vec<_>>().join(", ")
}

/// Fields, windows, correlations and antennas.
fn lists(out: &mut String, f: &MsFacts) {
    let row = |cells: [String; 6]| cells.to_vec();
    let fields = f.observed_fields().map(|(k, field)| {
        let place = field.ra_deg.zip(field.dec_deg).map_or_else(|| "?".into(), |(ra, dec)| sky(ra, dec));
        let (rows, times) = (field.rows.to_string(), field.integrations.to_string());
        row([k.to_string(), field.name.clone(), place, rows, times, percent(field.visibilities)])
    });
    table(out, &["field", "name", "phase centre", "rows", "times", "flagged"], fields.collect());
    for (k, field) in f.observed_fields().filter(|(_, field)| !field.intents.is_empty()) {
        line(out, &format!("intents of {k}"), &field.intents.join(", "));
    }
    let windows = f.used_windows().map(|(k, w)| {
        let centre = with_unit((w.lowest_hz + w.highest_hz) / 2.0, "Hz");
        let channels = format!("{} of {}", w.channels, with_unit(w.channel_width_hz, "Hz"));
        let name = if w.name == "none" { String::new() } else { w.name.clone() };
        row([k.to_string(), name, centre, channels, w.correlations.join(" "), percent(w.visibilities)])
    });
    table(out, &["window", "name", "centre", "channels", "correlations", "flagged"], windows.collect());
    let correlations = f.correlations.iter().map(|c| format!("{} {}", c.name, percent(c.visibilities)));
    out.push('\n');
    line(out, "by correlation", &correlations.collect::<Vec<_>>().join("   "));
    let antennas: Vec<String> =
        f.used_antennas().map(|(_, a)| format!("{} {}", a.name, percent(a.visibilities))).collect();
    grid(out, "by antenna", &antennas);
}

fn problems(out: &mut String, set: &Inspection) {
    if set.problems.is_empty() {
        let _ = writeln!(out, "no problems found");
    }
    for problem in &set.problems {
        let label = match problem.severity {
            Severity::Error => "ERROR",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        line(out, label, &problem.to_string());
    }
}

/// Which fields of several sets have one phase centre.
fn shared(out: &mut String, sets: &[Inspection], pointings: &[SharedPointing]) {
    let _ = writeln!(out, "\ntogether\n");
    for pointing in pointings {
        let names: Vec<String> = pointing.members.iter().map(|m| file_name(&sets[m.measurement_set])).collect();
        let apart = match pointing.separation_deg * 3600.0 {
            separation if separation < 0.001 => String::new(),
            separation => format!("; phase centres up to {} apart", angle(separation)),
        };
        let words = match names.len() {
            1 => format!("in {} alone", names[0]),
            _ => format!("in {}: one target{apart}", names.join(", ")),
        };
        line(out, &pointing.name, &words);
    }
    let bad: Vec<String> = sets.iter().filter(|s| s.problems.iter().any(is_error)).map(file_name).collect();
    if !bad.is_empty() {
        line(out, "refused", &bad.join(", "));
    }
}

fn is_error(problem: &crate::measurement_set::inspection::Problem) -> bool {
    problem.severity == Severity::Error && !matches!(problem.fault, Fault::ReadOnly)
}

fn file_name(set: &Inspection) -> String {
    set.measurement_set.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn percent(tally: Tally) -> String {
    format!("{:.1} %", 100.0 * tally.flagged())
}

fn flagged(tally: Tally) -> String {
    let lost = tally.unflagged - tally.usable;
    let without = match lost {
        0 => String::new(),
        _ => format!("; {:.1} % without a weight or no numbers", 100.0 * lost as f64 / tally.all.max(1) as f64),
    };
    format!(
        "{} of {}{without}",
        percent(tally),
        counted(tally.all, "visibility").replace("visibilitys", "visibilities")
    )
}

/// A time of the tables, without its fraction.
fn moment(mjd_s: f64) -> String {
    #[allow(clippy::cast_possible_truncation)] // Seconds since 1970.
    let second = (mjd_s - MJD_OF_1970_S).round() as i64;
    jiff::Timestamp::from_second(second).map_or_else(|_| "?".into(), |t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// An angle in the unit that suits it.
fn angle(arcsec: f64) -> String {
    match arcsec {
        a if a >= 3600.0 => format!("{}°", significant(a / 3600.0, 3)),
        a if a >= 60.0 => format!("{}′", significant(a / 60.0, 3)),
        a if a >= 0.1 => format!("{}″", significant(a, 3)),
        a if a >= 1e-4 => format!("{} mas", significant(a * 1e3, 3)),
        a => format!("{} µas", significant(a * 1e6, 3)),
    }
}

/// A position as hours and degrees.
fn sky(ra_deg: f64, dec_deg: f64) -> String {
    let tenths = (ra_deg / 15.0 * 36_000.0).round().rem_euclid(864_000.0);
    let (h, m, s) = ((tenths / 36_000.0).floor(), (tenths / 600.0).floor() % 60.0, tenths % 600.0 / 10.0);
    let seconds = (dec_deg.abs() * 3600.0).round();
    let (d, am, arcsec) = ((seconds / 3600.0).floor(), (seconds / 60.0).floor() % 60.0, seconds % 60.0);
    let sign = if dec_deg < 0.0 { '-' } else { '+' };
    format!("{h:02.0}:{m:02.0}:{s:04.1} {sign}{d:02.0}:{am:02.0}:{arcsec:02.0}")
}

/// Rows under their headings, numbers at the right.
fn table(out: &mut String, headings: &[&str; 6], rows: Vec<Vec<String>>) {
    let left = rows.len().saturating_sub(MOST_ROWS);
    let mut cells = vec![headings.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>()];
    cells.extend(rows.into_iter().take(MOST_ROWS));
    let longest = |c: usize| cells.iter().map(|row| row[c].chars().count()).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..headings.len()).map(longest).collect();
    // Long names make way.
    let over = (widths.iter().sum::<usize>() + 2 * (widths.len() - 1)).saturating_sub(WIDTH);
    widths[1] = widths[1].saturating_sub(over).max(4);
    out.push('\n');
    for row in &cells {
        let mut text = String::new();
        for (c, cell) in row.iter().enumerate() {
            let cell = shortened(cell, widths[c]);
            let width = widths[c];
            let to_the_right = matches!(c, 0 | 5) || matches!((headings[c], c), ("rows" | "times", _));
            let _ = match to_the_right {
                true => write!(text, "{cell:>width$}  "),
                false => write!(text, "{cell:<width$}  "),
            };
        }
        let _ = writeln!(out, "{}", text.trim_end());
    }
    if left > 0 {
        let _ = writeln!(out, "... and {left} more (all with --json)");
    }
}

/// A name that is too long loses its middle.
fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let (head, tail) = ((width - 1) / 2, width - 1 - (width - 1) / 2);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{start}…{end}")
}

/// Short texts in columns.
fn grid(out: &mut String, label: &str, cells: &[String]) {
    let width = cells.iter().map(|c| c.chars().count()).max().unwrap_or(0) + 3;
    let across = ((WIDTH - LABEL + 3) / width).max(1);
    for (number, row) in cells.chunks(across).enumerate() {
        let text: String = row.iter().map(|cell| format!("{cell:>w$}   ", w = width - 3)).collect();
        let _ = writeln!(out, "{:<LABEL$}{}", if number == 0 { label } else { "" }, text.trim_end());
    }
}

/// Label and text; further lines are indented.
fn line(out: &mut String, label: &str, text: &str) {
    let indent = LABEL.max(label.chars().count() + 2);
    wrap::labelled(out, label, text, Columns { indent, hanging: LABEL, width: WIDTH });
}
