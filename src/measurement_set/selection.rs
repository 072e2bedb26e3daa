//! The part of a measurement set that is worked on: one field, some windows and channels, averaged.

use super::{Field, MsSummary, SpectralWindow};
use crate::Result;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{Smearing, Split};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Intent of the scans of a target.
const TARGET_INTENT: &str = "OBSERVE_TARGET";

/// Windows by number, each with its first and last channel where not all are wanted; empty: all windows.
pub type Windows = Vec<(usize, Option<(usize, usize)>)>;

/// A part of a measurement set, perhaps averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataPart {
    /// Number of the field; `None`: all.
    pub field: Option<usize>,
    /// The windows.
    pub windows: Windows,
    /// Length of a bin in time, s.
    pub time_s: Option<f64>,
    /// Channels of a bin.
    pub channels: usize,
}

impl Default for DataPart {
    fn default() -> Self {
        Self { field: None, windows: Windows::new(), time_s: None, channels: 1 }
    }
}

/// Reads windows as they are written: `0,2:4~60`, `0~3`; `*` or nothing: all.
///
/// # Errors
/// What cannot be read, in words.
pub(crate) fn windows_of(text: &str) -> std::result::Result<Windows, String> {
    let mut windows = Windows::new();
    for word in text.split(',').map(str::trim).filter(|word| !matches!(*word, "" | "*")) {
        let (numbers, channels) = word.split_once(':').map_or((word, None), |(w, c)| (w, Some(c)));
        let (first, last) = range_of(numbers).ok_or_else(|| format!("`{numbers}` is not the number of a window"))?;
        let channels = match channels {
            None => None,
            Some(written) => Some(range_of(written).ok_or_else(|| format!("`{written}` is not a range of channels"))?),
        };
        for window in first..=last {
            if windows.iter().any(|(other, _)| *other == window) {
                return Err(format!("window {window} is named twice"));
            }
            windows.push((window, channels));
        }
    }
    windows.sort_unstable();
    Ok(windows)
}

/// `4~60`, or one number.
fn range_of(text: &str) -> Option<(usize, usize)> {
    let (first, last) = text.split_once('~').unwrap_or((text, text));
    let range = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

/// The number of the field with this name or number.
///
/// # Errors
/// No such field with data, or several of that name: in words, with those that there are.
pub(crate) fn field_named(fields: &[Field], name: &str) -> std::result::Result<usize, String> {
    let named: Vec<usize> = observed(fields).filter(|(_, f)| f.name == name).map(|(k, _)| k).collect();
    let numbered = || name.parse::<usize>().ok().filter(|k| fields.get(*k).is_some_and(|f| f.observed));
    match (named.as_slice(), numbered()) {
        ([only], _) => Ok(*only),
        ([], Some(number)) => Ok(number),
        ([], None) => Err(format!("there is no field `{name}` with data; {}", in_words(fields))),
        (several, _) => Err(format!(
            "the fields {} are all called `{name}`: name one by its number",
            several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
    }
}

/// The field to image where none is named; `None`: there is but one.
///
/// # Errors
/// Several that might be meant: in words, with those that there are.
pub(crate) fn target_field(fields: &[Field]) -> std::result::Result<Option<usize>, String> {
    if observed(fields).count() < 2 {
        return Ok(None);
    }
    let is_target = |field: &Field| field.intents.iter().any(|intent| intent.starts_with(TARGET_INTENT));
    let targets: Vec<usize> = observed(fields).filter(|(_, field)| is_target(field)).map(|(k, _)| k).collect();
    match targets.as_slice() {
        [only] => Ok(Some(*only)),
        _ => Err(format!("it holds several fields, and it is not clear which to image; {}", in_words(fields))),
    }
}

/// Fields with data, by number.
fn observed(fields: &[Field]) -> impl Iterator<Item = (usize, &Field)> {
    fields.iter().enumerate().filter(|(_, field)| field.observed)
}

fn in_words(fields: &[Field]) -> String {
    let all = observed(fields).map(|(number, field)| {
        let flagged = 100.0 * (1.0 - field.unflagged_fraction);
        let intents = field.intents.iter().map(|i| i.split('#').next().unwrap_or_default());
        let mut intents: Vec<&str> = intents.filter(|i| !i.is_empty()).collect();
        intents.dedup();
        let intents = if intents.is_empty() { String::new() } else { format!(", {}", intents.join(" ")) };
        format!("{number} = {} ({} rows, {flagged:.0} % flagged{intents})", field.name, field.rows)
    });
    format!("it has {}", all.collect::<Vec<_>>().join("; "))
}

impl MsSummary {
    /// As [`field_named`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn field_named(&self, name: &str) -> std::result::Result<usize, String> {
        field_named(&self.fields, name)
    }

    /// As [`target_field`].
    ///
    /// # Errors
    /// As there.
    pub(crate) fn target_field(&self) -> std::result::Result<Option<usize>, String> {
        target_field(&self.fields)
    }

    /// Fields with data, by number.
    pub(crate) fn observed_fields(&self) -> impl Iterator<Item = (usize, &Field)> {
        observed(&self.fields)
    }

    /// The windows that have data of the field (of the only one with data); none where that is all of them, or none is known.
    pub(crate) fn windows_with_data(&self, field: Option<usize>) -> Windows {
        let field =
            field.and_then(|number| self.fields.get(number)).or_else(|| self.fields.iter().find(|f| f.observed));
        let used = field.map(|f| f.windows.as_slice()).unwrap_or_default();
        let all = used.len() == self.spectral_windows.len();
        if all { Windows::new() } else { used.iter().map(|window| (*window, None)).collect() }
    }

    /// Windows and channels are there.
    ///
    /// # Errors
    /// The first that is not, in words, with what there is.
    pub(crate) fn check_windows(&self, windows: &Windows) -> std::result::Result<(), String> {
        let all = &self.spectral_windows;
        for (window, channels) in windows {
            let Some(there) = all.get(*window) else {
                let words: Vec<String> =
                    all.iter().enumerate().map(|(k, w)| format!("{k} ({})", channels_in_words(w))).collect();
                return Err(format!("there is no window {window}; it has {}", words.join(", ")));
            };
            if let Some((_, last)) = channels.filter(|(_, last)| *last >= there.frequencies_hz.len()) {
                return Err(format!("window {window} has no channel {last}: it has {}", channels_in_words(there)));
            }
        }
        Ok(())
    }
}

fn channels_in_words(window: &SpectralWindow) -> String {
    match window.frequencies_hz.len() {
        1 => "1 channel".to_owned(),
        count => format!("channels 0 to {}", count - 1),
    }
}

impl DataPart {
    /// It is all of the data, as they are.
    pub fn is_all(&self) -> bool {
        self.field.is_none() && self.windows.is_empty() && !self.averages()
    }

    fn averages(&self) -> bool {
        self.time_s.is_some() || self.channels > 1
    }

    /// First and last channel of each window that is used, by number.
    pub(crate) fn ranges(&self, summary: &MsSummary) -> Vec<(usize, usize, usize)> {
        let whole = |window: usize| summary.spectral_windows[window].frequencies_hz.len().saturating_sub(1);
        if self.windows.is_empty() {
            return (0..summary.spectral_windows.len()).map(|window| (window, 0, whole(window))).collect();
        }
        let range = |(window, channels): &(usize, Option<(usize, usize)>)| {
            let (first, last) = channels.unwrap_or((0, whole(*window)));
            (*window, first, last)
        };
        self.windows.iter().map(range).collect()
    }

    /// Part of the data that is left, as an estimate of the copy's size.
    #[allow(clippy::cast_precision_loss)] // Counts, far below 2^53.
    pub(crate) fn share(&self, summary: &MsSummary) -> f64 {
        let rows = match self.field.and_then(|k| summary.fields.get(k)) {
            Some(field) if summary.rows > 0 => field.rows as f64 / summary.rows as f64,
            _ => 1.0,
        };
        let all: usize = summary.spectral_windows.iter().map(|w| w.frequencies_hz.len()).sum();
        let used: usize = self.ranges(summary).iter().map(|(_, first, last)| last + 1 - first).sum();
        let channels = if all > 0 { used as f64 / all as f64 } else { 1.0 };
        let times = self.time_s.map_or(1.0, |bin| (bin / summary.integration_s).max(1.0));
        rows * channels / self.channels.max(1) as f64 / times
    }

    /// Channels that averaging leaves out as they do not fill a bin: window, and how many of them.
    pub(crate) fn left_out(&self, summary: &MsSummary) -> Vec<(usize, usize)> {
        let bin = self.channels.max(1);
        let of = |(window, first, last): (usize, usize, usize)| {
            let used = last + 1 - first;
            (window, if used < bin { 0 } else { used % bin })
        };
        self.ranges(summary).into_iter().map(of).filter(|(_, count)| *count > 0).collect()
    }

    /// The windows in CASA's words.
    pub(crate) fn spw(&self) -> String {
        let word = |(window, channels): &(usize, Option<(usize, usize)>)| match channels {
            None => window.to_string(),
            Some((first, last)) => format!("{window}:{first}~{last}"),
        };
        self.windows.iter().map(word).collect::<Vec<_>>().join(",")
    }

    /// Copies the part to `output`, where `column` becomes `DATA`. Fields and windows are numbered anew there.
    ///
    /// # Errors
    /// No such column, nothing left, CASA's failure.
    pub(crate) fn copy(&self, casa: &Casa, from: &Path, column: &str, output: &Path, log: &Path) -> Result<()> {
        let request = Split {
            ms: from.to_path_buf(),
            output: output.to_path_buf(),
            column: column.to_owned(),
            fields: self.field.into_iter().collect(),
            spw: self.spw(),
            time_s: self.time_s,
            channels: self.channels.max(1),
        };
        casa.ask(&request, Some(log))
    }

    /// Part of a point source's flux that the averaging takes away at `radius_rad` from the phase centre; 0 without any.
    ///
    /// # Errors
    /// CASA's failure.
    pub(crate) fn smearing(&self, casa: &Casa, ms: &Path, summary: &MsSummary, radius_rad: f64) -> Result<f64> {
        if self.averages() {
            self.smearing_by_bins(casa, ms, summary, (radius_rad, self.channels > 1))
        } else {
            Ok(0.0)
        }
    }

    /// As [`DataPart::smearing`], where single channels count as bins, too.
    ///
    /// # Errors
    /// CASA's failure.
    pub(crate) fn smearing_of_bins(&self, casa: &Casa, ms: &Path, summary: &MsSummary, radius_rad: f64) -> Result<f64> {
        self.smearing_by_bins(casa, ms, summary, (radius_rad, true))
    }

    #[allow(clippy::cast_precision_loss)] // Channels, far below 2^53.
    fn smearing_by_bins(
        &self,
        casa: &Casa,
        ms: &Path,
        summary: &MsSummary,
        (radius_rad, in_frequency): (f64, bool),
    ) -> Result<f64> {
        let ranges = self.ranges(summary);
        let windows = || ranges.iter().map(|(window, ..)| &summary.spectral_windows[*window]);
        let frequency_hz = windows().flat_map(|w| w.frequencies_hz.iter().copied()).fold(0.0, f64::max);
        let widest = ranges.iter().map(|(window, first, last)| {
            let bin = self.channels.max(1).min(last + 1 - first);
            summary.spectral_windows[*window].channel_width_hz * bin as f64
        });
        let bandwidth_hz = if in_frequency { widest.fold(0.0, f64::max) } else { 0.0 };
        let time_s = self.time_s.unwrap_or(0.0);
        casa.ask(
            &Smearing { ms: ms.to_path_buf(), field: self.field, radius_rad, frequency_hz, bandwidth_hz, time_s },
            None,
        )
    }
}

/// Copies calibrated data, `CORRECTED_DATA` of some fields (none: all), to a measurement set of their own, as its `DATA`.
///
/// # Errors
/// No such column, CASA's failure.
pub(crate) fn split_corrected(casa: &Casa, from: &Path, fields: Vec<usize>, output: &Path, log: &Path) -> Result<()> {
    let request = Split {
        ms: from.to_path_buf(),
        output: output.to_path_buf(),
        column: "CORRECTED_DATA".to_owned(),
        fields,
        spw: String::new(),
        time_s: None,
        channels: 1,
    };
    casa.ask(&request, Some(log))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", vec![])]
    #[case("*", vec![])]
    #[case("3", vec![(3, None)])]
    #[case("2:4~60, 0", vec![(0, None), (2, Some((4, 60)))])]
    #[case("1~2:5", vec![(1, Some((5, 5))), (2, Some((5, 5)))])]
    fn windows_are_read(#[case] text: &str, #[case] windows: Windows) {
        assert_eq!(windows_of(text), Ok(windows));
    }

    #[rstest]
    #[case("a", "`a` is not the number of a window")]
    #[case("0:1~2;5~6", "`1~2;5~6` is not a range of channels")]
    #[case("0:9~2", "`9~2` is not a range of channels")]
    #[case("0,0~1", "window 0 is named twice")]
    #[case("0:1.4~1.5GHz", "`1.4~1.5GHz` is not a range of channels")]
    fn what_is_no_window_is_said(#[case] text: &str, #[case] why: &str) {
        assert_eq!(windows_of(text), Err(why.to_owned()));
    }

    fn summary() -> MsSummary {
        let field = |name: &str, rows: u64, unflagged_fraction: f64, intent: &str| Field {
            name: name.to_owned(),
            ra_deg: 0.0,
            dec_deg: 0.0,
            observed: rows > 0,
            rows,
            windows: if rows > 0 { vec![1] } else { Vec::new() },
            unflagged_fraction,
            intents: vec![intent.to_owned()],
        };
        let window = |channels: usize| SpectralWindow {
            name: String::new(),
            frequencies_hz: vec![1e9; channels],
            channel_width_hz: 1e6,
        };
        MsSummary {
            rows: 40,
            integration_s: 5.0,
            fields: vec![
                field("J1", 10, 0.0, "CALIBRATE_PHASE#ON_SOURCE"),
                field("N1", 30, 0.5, "OBSERVE_TARGET#ON_SOURCE"),
                field("unused", 0, 0.0, ""),
            ],
            spectral_windows: vec![window(64), window(1)],
            ..MsSummary::default()
        }
    }

    #[test]
    fn fields_are_found_by_name_and_number() {
        let s = summary();
        assert_eq!((s.field_named("N1"), s.field_named("0")), (Ok(1), Ok(0)));
        let missing = s.field_named("2").expect_err("no data");
        insta::assert_snapshot!(missing, @"there is no field `2` with data; it has 0 = J1 (10 rows, 100 % flagged, CALIBRATE_PHASE); 1 = N1 (30 rows, 50 % flagged, OBSERVE_TARGET)");
        let mut twice = summary();
        twice.fields[0].name = "N1".to_owned();
        insta::assert_snapshot!(twice.field_named("N1").expect_err("two"), @"the fields 0, 1 are all called `N1`: name one by its number");
    }

    #[test]
    fn the_target_is_chosen_by_its_intent_or_not_at_all() {
        let mut s = summary();
        assert_eq!(s.target_field(), Ok(Some(1)));
        s.fields[1].intents.clear();
        insta::assert_snapshot!(s.target_field().expect_err("unclear"), @"it holds several fields, and it is not clear which to image; it has 0 = J1 (10 rows, 100 % flagged, CALIBRATE_PHASE); 1 = N1 (30 rows, 50 % flagged)");
        s.fields[0].observed = false;
        assert_eq!(s.target_field(), Ok(None));
    }

    #[test]
    fn windows_and_channels_must_be_there() {
        let s = summary();
        assert_eq!(s.windows_with_data(Some(0)), [(1, None)]);
        assert_eq!(MsSummary::default().windows_with_data(None), []);
        let said = |text: &str| s.check_windows(&windows_of(text).expect("read"));
        assert_eq!(said("0:4~63,1"), Ok(()));
        insta::assert_snapshot!(said("2").expect_err("none"), @"there is no window 2; it has 0 (channels 0 to 63), 1 (1 channel)");
        insta::assert_snapshot!(said("0:4~64").expect_err("none"), @"window 0 has no channel 64: it has channels 0 to 63");
    }

    #[test]
    fn a_part_knows_its_size() {
        let s = summary();
        let part = DataPart { field: Some(1), windows: vec![(0, Some((4, 60)))], time_s: Some(10.0), channels: 8 };
        assert!(!part.is_all() && DataPart::default().is_all());
        assert_eq!(part.spw(), "0:4~60");
        assert_eq!(part.left_out(&s), [(0, 1)]);
        let share = 0.75 * 57.0 / 65.0 / 8.0 / 2.0;
        assert!((part.share(&s) - share).abs() < 1e-12);
    }
}
