//! Taking the continuum out of visibilities: a fit to line-free channels (CASA's `uvcontsub`), or a predicted model. The
//! line-free channels are given, or found in the spectrum of median amplitudes.

mod options;

pub use options::{FitMethod, FitSpec, UvcontsubOptions};

use crate::programs::casa::Casa;
use crate::programs::casa::requests::{ChannelAmplitudes, SubtractModel, Uvcontsub, WindowAmplitudes, WindowChannels};
use crate::quality::line_channels::{Side, standing_out};
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::path::Path;

/// Lowest order of the fit while lines are looked for: the spectral index of a continuum would hide them from a constant.
const SEARCH_ORDER: usize = 1;

/// The spectrum of a window in which line-free channels were looked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContinuumSpectrum {
    /// Number of the spectral window.
    pub window: usize,
    /// Centre of each channel, Hz.
    pub frequencies_hz: Vec<f64>,
    /// Median amplitude of the visibilities of each channel, Jy; `None`: it has no data.
    pub amplitudes_jy: Vec<Option<f64>>,
    /// The same once the continuum of the first pass is taken out, Jy.
    pub residuals_jy: Vec<Option<f64>>,
    /// The line-free channels: first and last of each range, 0 is the first of the window.
    pub line_free: Vec<(usize, usize)>,
}

impl ContinuumSpectrum {
    /// The channels with data that are not line-free.
    pub fn line_channels(&self) -> Vec<usize> {
        let free = |channel: usize| self.line_free.iter().any(|(first, last)| (*first..=*last).contains(&channel));
        (0..self.amplitudes_jy.len()).filter(|c| self.amplitudes_jy[*c].is_some() && !free(*c)).collect()
    }
}

/// What the continuum was fitted to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ContinuumFit {
    /// `fitspec` of uvcontsub: the channels, in CASA's words.
    pub fitspec: FitSpec,
    /// The spectra in which these channels were found; none where they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spectra: Vec<ContinuumSpectrum>,
}

/// The visibilities that the continuum is taken out of.
#[derive(Debug, Clone, Copy)]
pub struct LineData<'a> {
    /// The measurement set, which is only read.
    pub ms: &'a Path,
    /// `DATA` or `CORRECTED_DATA`.
    pub column: &'a str,
    /// Number of the field; `None`: all.
    pub field: Option<usize>,
}

/// Writes the data without their continuum to `DATA` of the new measurement set `to`: a polynomial is fitted to the
/// line-free channels of each visibility spectrum (CASA's `uvcontsub`). Channels to be found (`fitspec: auto`) are looked
/// for first.
///
/// # Errors
/// More than half of a window's channels stand out; options that CASA refuses; CASA's failure; an existing `to`.
pub fn subtract_continuum(
    casa: &Casa,
    data: &LineData<'_>,
    options: &UvcontsubOptions,
    to: &Path,
    log: &Path,
) -> Result<ContinuumFit> {
    let fit = if options.fitspec.is_auto() {
        let spectra = find_line_free(casa, data, options.fitorder)?;
        ContinuumFit { fitspec: FitSpec::Channels(words_of(&spectra)), spectra }
    } else {
        ContinuumFit { fitspec: options.fitspec.clone(), spectra: Vec::new() }
    };
    let used = UvcontsubOptions { fitspec: fit.fitspec.clone(), ..options.clone() };
    let Ok(Json::Object(parameters)) = serde_json::to_value(&used) else {
        return Err(Error::internal("the options of uvcontsub are no map"));
    };
    let request = Uvcontsub {
        ms: data.ms.to_path_buf(),
        column: data.column.to_owned(),
        field: data.field,
        output: to.to_path_buf(),
        parameters,
    };
    casa.ask(&request, Some(log))?;
    Ok(fit)
}

/// Finds the line-free channels of each spectral window, in two passes: channels whose median amplitude stands out are left
/// out of a fit of the continuum, and those whose median amplitude stands out once that fit is subtracted are lines. Lines
/// too faint for the first pass show in the second, as the continuum no longer hides them, and channels that the first
/// pass left out without need return.
///
/// # Errors
/// More than half of a window's channels stand out; CASA's failure.
pub fn find_line_free(casa: &Casa, data: &LineData<'_>, fitorder: usize) -> Result<Vec<ContinuumSpectrum>> {
    let order = fitorder.max(SEARCH_ORDER);
    let ask = |line_free: Vec<WindowChannels>| {
        let request = ChannelAmplitudes {
            ms: data.ms.to_path_buf(),
            column: data.column.to_owned(),
            field: data.field,
            line_free,
            fitorder: order,
        };
        casa.ask(&request, None)
    };
    let first: Vec<WindowAmplitudes> = ask(Vec::new())?;
    let mut quiet = Vec::with_capacity(first.len());
    for window in &first {
        let lines = standing_out(&window.amplitudes_jy, order, Side::Both);
        quiet.push(WindowChannels { window: window.window, channels: line_free_of(data, window, &lines)? });
    }
    let second = ask(quiet)?;
    let spectrum = |(first, second): (WindowAmplitudes, WindowAmplitudes)| {
        let lines = standing_out(&second.amplitudes_jy, 0, Side::Above);
        let free = line_free_of(data, &first, &lines)?;
        Ok(ContinuumSpectrum {
            window: first.window,
            frequencies_hz: first.frequencies_hz,
            amplitudes_jy: first.amplitudes_jy,
            residuals_jy: second.amplitudes_jy,
            line_free: ranges(&free),
        })
    };
    first.into_iter().zip(second).map(spectrum).collect()
}

/// The channels with data that are no lines.
fn line_free_of(data: &LineData<'_>, window: &WindowAmplitudes, lines: &[bool]) -> Result<Vec<usize>> {
    let known: Vec<usize> = (0..lines.len()).filter(|channel| window.amplitudes_jy[*channel].is_some()).collect();
    let free: Vec<usize> = known.iter().copied().filter(|channel| !lines[*channel]).collect();
    if 2 * free.len() < known.len() {
        return Err(Error::bad_input(format!(
            "{}: {} of the {} channels of window {} stand out: too many to tell lines from continuum. Name the line-free \
             channels, e.g. `uvcontsub: {{fitspec: '{}:0~20;40~63'}}`",
            data.ms.display(),
            known.len() - free.len(),
            known.len(),
            window.window,
            window.window
        )));
    }
    Ok(free)
}

/// Neighbouring channels as ranges: first and last.
fn ranges(channels: &[usize]) -> Vec<(usize, usize)> {
    channels.chunk_by(|a, b| a + 1 == *b).map(|run| (run[0], run[run.len() - 1])).collect()
}

/// Line-free channels in CASA's words: `0:0~9;15~23,1:0~63`.
fn words_of(spectra: &[ContinuumSpectrum]) -> String {
    let word = |(first, last): &(usize, usize)| format!("{first}~{last}");
    let window = |spectrum: &ContinuumSpectrum| {
        let words: Vec<String> = spectrum.line_free.iter().map(word).collect();
        format!("{}:{}", spectrum.window, words.join(";"))
    };
    spectra.iter().filter(|s| !s.line_free.is_empty()).map(window).collect::<Vec<_>>().join(",")
}

/// `CORRECTED_DATA` of a copy becomes its column `source` without `MODEL_DATA`. Only ever call it on a copy.
///
/// # Errors
/// A missing column; CASA's failure.
pub fn subtract_model(casa: &Casa, copy: &Path, source: &str) -> Result<()> {
    casa.ask(&SubtractModel { ms: copy.to_path_buf(), source: source.to_owned() }, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectrum(window: usize, channels: usize, line_free: &[(usize, usize)]) -> ContinuumSpectrum {
        ContinuumSpectrum {
            window,
            amplitudes_jy: vec![Some(1.0); channels],
            line_free: line_free.to_vec(),
            ..ContinuumSpectrum::default()
        }
    }

    #[test]
    fn line_free_channels_in_casas_words() {
        assert_eq!(ranges(&[0, 1, 2, 7, 9, 10]), [(0, 2), (7, 7), (9, 10)]);
        let spectra = [spectrum(0, 24, &[(0, 9), (15, 23)]), spectrum(1, 8, &[]), spectrum(3, 64, &[(0, 63)])];
        assert_eq!(words_of(&spectra), "0:0~9;15~23,3:0~63");
        assert_eq!(spectra[0].line_channels(), (10..15).collect::<Vec<_>>());
    }

    #[test]
    fn lines_in_most_channels_are_refused_with_the_remedy() {
        let data = LineData { ms: Path::new("/data/a.ms"), column: "DATA", field: None };
        let mut amplitudes_jy = vec![Some(1.0); 10];
        amplitudes_jy[0] = None;
        let window = WindowAmplitudes { window: 2, frequencies_hz: vec![1e9; 10], amplitudes_jy };
        let lines = |count: usize| (0..10).map(|channel| channel > 9 - count).collect::<Vec<bool>>();
        assert_eq!(line_free_of(&data, &window, &lines(4)).unwrap(), (1..6).collect::<Vec<_>>());
        let error = line_free_of(&data, &window, &lines(5)).unwrap_err();
        insta::assert_snapshot!(error, @"/data/a.ms: 5 of the 9 channels of window 2 stand out: too many to tell lines from continuum. Name the line-free channels, e.g. `uvcontsub: {fitspec: '2:0~20;40~63'}`");
    }
}
