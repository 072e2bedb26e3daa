//! From facts to problems.

use super::{Fault, MsFacts, Place, Problem, Severity, Tally};

/// Fewest antennas to solve for gains with: amplitudes close over four.
const FEWEST_ANTENNAS: usize = 4;
/// `INTERVAL` and the spacing of the times differ by more than this factor.
const SAME_INTERVAL: f64 = 1.5;
/// A part is to blame for NaN where more than this part of its unflagged data is no number.
const TO_BLAME: f64 = 0.9;
/// Columns of visibilities.
const VISIBILITIES: [&str; 4] = ["DATA", "CORRECTED_DATA", "MODEL_DATA", "FLOAT_DATA"];

/// What a measurement set is to be used for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purpose {
    /// Gains are solved for.
    pub calibrates: bool,
    /// CASA's tasks or QuartiCal open it, not wsclean alone.
    pub casa: bool,
    /// wsclean makes images of Stokes I, for which it wants both parallel hands.
    pub stokes_i: bool,
    /// It is written itself, not a working copy.
    pub written: bool,
    /// Visibilities that are compressed with Dysco are decompressed in a working copy.
    pub decompresses: bool,
    /// Numbers of the fields that are used; `None`: all.
    pub fields: Option<Vec<usize>>,
    /// Numbers of the spectral windows that are used; `None`: all.
    pub windows: Option<Vec<usize>>,
}

impl Default for Purpose {
    /// A self-calibration of everything, on a copy.
    fn default() -> Self {
        Self {
            calibrates: true,
            casa: true,
            stokes_i: false,
            written: false,
            decompresses: false,
            fields: None,
            windows: None,
        }
    }
}

/// What is wrong with a measurement set that is used for `purpose`: errors, then warnings, then notes.
pub fn problems(facts: &MsFacts, purpose: &Purpose) -> Vec<Problem> {
    let mut found = files(facts, purpose);
    // What comes after is not known where the data cannot be read.
    if facts.foreign_manager.is_none() && !found.iter().any(|p| p.severity == Severity::Error) {
        found.extend(contents(facts, purpose));
    }
    found.sort_by_key(|p| p.severity);
    found
}

/// What the tables themselves lack.
fn files(facts: &MsFacts, purpose: &Purpose) -> Vec<Problem> {
    let mut found = Vec::new();
    if let Some(manager) = &facts.foreign_manager {
        let fault = Fault::StorageManager { manager: manager.clone() };
        let decompressed = purpose.decompresses && fault.is_dysco();
        return vec![Problem::new(if decompressed { Severity::Note } else { Severity::Error }, fault)];
    }
    let mut error = |fault| found.push(Problem::new(Severity::Error, fault));
    let averaged = facts.averaged_by_baseline || facts.windows.iter().any(|w| w.shapes.len() > 1);
    if averaged {
        let shapes = facts.windows.iter().flat_map(|w| w.shapes.clone()).collect();
        error(Fault::AveragedByBaseline { shapes });
    }
    if facts.uvw_not_finite > 0 {
        error(Fault::UvwNotFinite { rows: facts.uvw_not_finite });
    }
    // What an absent or strange table leads to is no fault of its own.
    for part in facts.unreadable.iter().filter(|_| !averaged) {
        error(Fault::Unreadable { what: part.what.clone(), why: part.why.clone() });
    }
    if facts.rows == 0 && facts.unreadable.is_empty() {
        error(Fault::NoRows);
    } else if !facts.columns.is_empty() && !facts.has_column(&facts.column) {
        let there = VISIBILITIES.iter().filter(|c| facts.has_column(c)).map(|c| (*c).to_owned()).collect();
        error(Fault::NoColumn { column: facts.column.clone(), there });
    }
    if !facts.missing_subtables.is_empty() {
        let severity = if purpose.casa { Severity::Error } else { Severity::Warning };
        found.push(Problem::new(severity, Fault::MissingSubtables { names: facts.missing_subtables.clone() }));
    }
    if purpose.written && !facts.writable {
        found.push(Problem::new(Severity::Error, Fault::ReadOnly));
    }
    found
}

/// What is wrong with the data.
fn contents(facts: &MsFacts, purpose: &Purpose) -> Vec<Problem> {
    if facts.visibilities.all == 0 {
        return vec![Problem::new(Severity::Error, Fault::NoBaselines)];
    }
    let mut found = Vec::new();
    if facts.uvw_zero > 0 && facts.longest_baseline_m == 0.0 {
        found.push(Problem::new(Severity::Error, Fault::UvwZero));
    }
    found.extend(lost(facts, purpose));
    let usable: Vec<String> =
        facts.used_antennas().filter(|(_, a)| a.visibilities.usable > 0).map(|(_, a)| a.name.clone()).collect();
    if (1..FEWEST_ANTENNAS).contains(&usable.len()) {
        let severity = if purpose.calibrates { Severity::Error } else { Severity::Warning };
        found.push(Problem::new(severity, Fault::FewAntennas { names: usable }));
    }
    found.extend(surprises(facts, purpose));
    found
}

/// Flags, weights and NaN that leave nothing of something.
fn lost(facts: &MsFacts, purpose: &Purpose) -> Vec<Problem> {
    let whole = facts.visibilities;
    let everything = match whole {
        Tally { usable: 1.., .. } => None,
        Tally { unflagged: 0, .. } => Some(Fault::Flagged { place: Place::Everything }),
        Tally { finite: 0, .. } => {
            Some(Fault::NotFinite { place: Some(Place::Everything), visibilities: whole.unflagged })
        }
        _ => Some(Fault::NoWeights { place: Place::Everything }),
    };
    if let Some(fault) = everything {
        return vec![Problem::new(Severity::Error, fault)];
    }
    let groups = groups(facts, purpose);
    let mut found = Vec::new();
    for Group { parts, place } in &groups {
        // Where nothing of the selection is left it cannot be worked with.
        let nothing = parts.iter().all(|(_, t)| t.usable == 0);
        let severity = if nothing { Severity::Error } else { Severity::Warning };
        let flagged = names(parts, |t| t.unflagged == 0);
        if !flagged.is_empty() {
            found.push(Problem::new(severity, Fault::Flagged { place: place(flagged) }));
        }
        let weightless = names(parts, |t| t.finite > 0 && t.usable == 0);
        if !weightless.is_empty() {
            found.push(Problem::new(severity, Fault::NoWeights { place: place(weightless) }));
        }
    }
    found.extend(not_finite(facts, &groups, purpose));
    found
}

/// NaN in unflagged data: those of cross hands harm neither images of Stokes I nor solutions.
fn not_finite(facts: &MsFacts, groups: &[Group], purpose: &Purpose) -> Vec<Problem> {
    let bad = |t: &Tally| t.unflagged - t.finite;
    let crossed = facts.correlations.iter().filter(|c| is_cross_hand(&c.name) && bad(&c.visibilities) > 0);
    let names: Vec<String> = crossed.clone().map(|c| c.name.clone()).collect();
    let of_cross_hands: u64 = crossed.map(|c| bad(&c.visibilities)).sum();
    let rest = bad(&facts.visibilities).saturating_sub(of_cross_hands);
    let mut found = Vec::new();
    if rest > 0 {
        let severity = if purpose.written { Severity::Error } else { Severity::Warning };
        found.push(Problem::new(severity, Fault::NotFinite { place: blamed(groups), visibilities: rest }));
    }
    if of_cross_hands > 0 && rest == 0 {
        let place = Some(Place::Correlations(names));
        found.push(Problem::new(Severity::Note, Fault::NotFinite { place, visibilities: of_cross_hands }));
    }
    found
}

/// Whether a correlation is one of two different receptors, e.g. `RL`.
fn is_cross_hand(name: &str) -> bool {
    let mut letters = name.chars();
    matches!((letters.next(), letters.next()), (Some(a), Some(b)) if a != b)
}

/// Parts of a measurement set of one kind, with their names.
struct Group {
    parts: Vec<(String, Tally)>,
    place: fn(Vec<String>) -> Place,
}

/// The parts that are looked at.
fn groups(facts: &MsFacts, purpose: &Purpose) -> [Group; 4] {
    let chosen = |selection: &Option<Vec<usize>>, k: usize| selection.as_ref().is_none_or(|s| s.contains(&k));
    let fields = facts.observed_fields().filter(|(k, _)| chosen(&purpose.fields, *k));
    let windows = facts.used_windows().filter(|(k, _)| chosen(&purpose.windows, *k));
    let antennas = facts.used_antennas().map(|(_, a)| (a.name.clone(), a.visibilities));
    let correlations = facts.correlations.iter().map(|c| (c.name.clone(), c.visibilities));
    [
        Group { parts: fields.map(|(k, f)| (numbered(k, &f.name), f.visibilities)).collect(), place: Place::Fields },
        Group { parts: windows.map(|(k, w)| (numbered(k, &w.name), w.visibilities)).collect(), place: Place::Windows },
        Group { parts: antennas.collect(), place: Place::Antennas },
        Group { parts: correlations.collect(), place: Place::Correlations },
    ]
}

/// Names of the parts of which this holds.
fn names(parts: &[(String, Tally)], choose: impl Fn(&Tally) -> bool) -> Vec<String> {
    parts.iter().filter(|(_, t)| choose(t)).map(|(name, _)| name.clone()).collect()
}

/// What NaN belong to: some parts of one kind that have hardly anything else.
fn blamed(groups: &[Group]) -> Option<Place> {
    groups.iter().find_map(|Group { parts, place }| {
        let spoilt = names(parts, |t| (t.unflagged - t.finite) as f64 > TO_BLAME * t.unflagged as f64);
        (!spoilt.is_empty() && spoilt.len() < parts.len()).then(|| place(spoilt))
    })
}

/// What can be worked with, but may surprise.
fn surprises(facts: &MsFacts, purpose: &Purpose) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |severity, fault| found.push(Problem::new(severity, fault));
    let observed: Vec<String> = facts.observed_fields().map(|(k, f)| numbered(k, &f.name)).collect();
    if observed.len() > 1 && purpose.fields.is_none() {
        add(Severity::Warning, Fault::SeveralFields { names: observed });
    }
    let single: Vec<_> = facts.used_windows().filter(|(_, w)| w.correlations.len() == 1).collect();
    if let Some((_, first)) = single.first() {
        let name = first.correlations[0].clone();
        let windows = single.iter().map(|(k, w)| numbered(*k, &w.name)).collect();
        let impossible = purpose.stokes_i && single.len() == facts.used_windows().count();
        let severity = if impossible { Severity::Error } else { Severity::Warning };
        add(severity, Fault::OneCorrelation { windows, name });
    }
    let ratio = facts.spacing_s / facts.interval_s;
    if facts.spacing_s > 0.0 && !(1.0 / SAME_INTERVAL..=SAME_INTERVAL).contains(&ratio) {
        add(Severity::Note, Fault::Interval { spacing_s: facts.spacing_s, interval_s: facts.interval_s });
    }
    let named = |choose: &dyn Fn(&super::WindowFacts) -> bool| -> Vec<String> {
        facts.windows.iter().enumerate().filter(|(_, w)| choose(w)).map(|(k, w)| numbered(k, &w.name)).collect()
    };
    let descending = named(&|w| w.rows > 0 && w.descending);
    if !descending.is_empty() {
        add(Severity::Note, Fault::Descending { windows: descending });
    }
    let undescribed = named(&|w| !w.described);
    if !undescribed.is_empty() {
        add(Severity::Note, Fault::Undescribed { windows: undescribed });
    }
    let mut counts: Vec<u64> = facts.used_windows().map(|(_, w)| w.channels).collect();
    counts.sort_unstable();
    counts.dedup();
    if counts.len() > 1 {
        add(Severity::Note, Fault::ChannelCounts { counts });
    }
    let names = number_names(facts);
    if !names.is_empty() {
        add(Severity::Note, Fault::NumberNames { names });
    }
    let alike = |name: &str| name.is_empty() || facts.used_antennas().filter(|(_, a)| a.name == name).count() > 1;
    let same = facts.used_antennas().filter(|(_, a)| alike(&a.name));
    let numbers: Vec<String> = same.map(|(k, _)| k.to_string()).collect();
    if !numbers.is_empty() {
        add(Severity::Warning, Fault::SameNames { numbers });
    }
    found
}

/// Names of antennas with data that are numbers of other rows of `ANTENNA`.
fn number_names(facts: &MsFacts) -> Vec<String> {
    let others = |k: usize, name: &str| name.parse::<usize>().is_ok_and(|n| n != k && n < facts.antennas.len());
    facts.used_antennas().filter(|(k, a)| others(*k, &a.name)).map(|(_, a)| a.name.clone()).collect()
}

/// A number and, if there is one, a name.
fn numbered(number: usize, name: &str) -> String {
    if name.is_empty() || name == "none" { number.to_string() } else { format!("{number} ({name})") }
}
