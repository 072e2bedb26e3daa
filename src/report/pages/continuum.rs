//! The continuum that was subtracted: spectra of the visibilities, with the line-free channels marked.

use crate::campaign::record::{CampaignRecord, ContinuumRecord};
use crate::measurement_set::continuum::{ContinuumSpectrum, FitSpec};
use crate::report::draw::Figure;
use crate::report::draw::chart::{self, Curve, Mark, Series};
use crate::report::widgets::FigureView;
use serde::Serialize;

/// Most points of a spectrum; with more channels a point stands for several.
const POINTS: usize = 256;

/// The continuum of one measurement set.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct ContinuumView {
    /// The measurement set.
    pub(crate) name: String,
    /// The channels that it was fitted to, in CASA's words.
    pub(crate) fitspec: String,
    /// How they were chosen.
    pub(crate) about: String,
    /// Spectra.
    pub(crate) spectra: Vec<FigureView>,
}

/// The continuum of all measurement sets of a record.
pub(crate) fn of_record(record: &CampaignRecord) -> Vec<ContinuumView> {
    record.continuum.iter().map(view).collect()
}

fn view(record: &ContinuumRecord) -> ContinuumView {
    let spectra = &record.fit.spectra;
    let lines: usize = spectra.iter().map(|spectrum| spectrum.line_channels().len()).sum();
    ContinuumView {
        name: record.name.clone(),
        fitspec: match &record.fit.fitspec {
            FitSpec::Channels(words) if words.is_empty() => "all channels".to_owned(),
            FitSpec::Channels(words) => words.clone(),
            FitSpec::ByField(map) => serde_json::to_string(map).unwrap_or_default(),
        },
        about: match (spectra.is_empty(), lines) {
            (true, _) => "These channels were given.".to_owned(),
            (false, 0) => "No channel stands out.".to_owned(),
            (false, 1) => "One channel stands out and was left out.".to_owned(),
            (false, lines) => format!("{lines} channels stand out and were left out."),
        },
        spectra: spectra.iter().flat_map(of_window).collect(),
    }
}

/// The two spectra of a window: before the fit, and after that of the first pass.
fn of_window(spectrum: &ContinuumSpectrum) -> Vec<FigureView> {
    let lines = spectrum.line_channels();
    let size = spectrum.amplitudes_jy.len().div_ceil(POINTS).max(1);
    let first = |point: usize| point * size;
    let points = spectrum.amplitudes_jy.len().div_ceil(size);
    let x: Vec<String> = (0..points).map(|point| first(point).to_string()).collect();
    let with_line = |point: usize| lines.iter().any(|line| line / size == point);
    let marks: Vec<Mark> = (0..points).map(|point| if with_line(point) { Mark::Bad } else { Mark::Good }).collect();
    let several = if size > 1 { format!(" Each point is the highest of {size} channels.") } else { String::new() };
    let draw = |title: &str, values: &[Option<f64>], caption: &str| {
        let highest = |values: &[Option<f64>]| values.iter().flatten().copied().reduce(f64::max);
        let values = values.chunks(size).map(highest).collect();
        let series = vec![Series { name: "median amplitude", colour: 0, values }];
        let (x, marks) = (&x[..], &marks[..]);
        let svg = chart::curve(&Curve { title, x_name: "channel", x, marks, series, unit: "Jy", joined: true })?;
        let caption = format!("{caption}{several}");
        Some(FigureView::new(title, &Figure { svg, caption }))
    };
    let name = |what: &str| format!("Window {}: {what}", spectrum.window);
    let marked = "Dots on the line: line-free channels. Hollow: channels with lines, left out of the fit.";
    let before = draw(&name("median amplitude of the visibilities"), &spectrum.amplitudes_jy, marked);
    let after = "The same without the continuum of the first pass, in which lines no longer hide.";
    [before, draw(&name("what a first fit leaves"), &spectrum.residuals_jy, after)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement_set::continuum::ContinuumFit;

    fn record(channels: usize, line_free: &[(usize, usize)]) -> ContinuumRecord {
        let spectrum = ContinuumSpectrum {
            window: 3,
            frequencies_hz: vec![1e9; channels],
            amplitudes_jy: vec![Some(1.0); channels],
            residuals_jy: vec![Some(0.1); channels],
            line_free: line_free.to_vec(),
        };
        let fit = ContinuumFit { fitspec: FitSpec::Channels("3:0~4".into()), spectra: vec![spectrum] };
        ContinuumRecord { name: "a".into(), fit }
    }

    #[test]
    fn channels_with_lines_are_hollow() {
        let view = view(&record(8, &[(0, 4)]));
        assert_eq!((view.spectra.len(), &*view.fitspec), (2, "3:0~4"));
        assert_eq!(view.about, "3 channels stand out and were left out.");
        let svg = serde_json::to_value(&view.spectra[0]).unwrap()["svg"].as_str().unwrap().to_owned();
        assert_eq!((svg.matches("class=\"bad").count(), svg.matches("class=\"dot").count()), (3, 5), "{svg}");
    }

    #[test]
    fn thousands_of_channels_are_few_points() {
        let view = view(&record(8000, &[(0, 3999), (4001, 7999)]));
        let first = serde_json::to_value(&view.spectra[0]).unwrap();
        let svg = first["svg"].as_str().unwrap();
        assert_eq!((svg.matches("<circle").count(), svg.matches("class=\"bad").count()), (250, 1));
        assert!(first["caption"].as_str().unwrap().ends_with("the highest of 32 channels."), "{first}");
    }
}
