//! The directions of a round that solves by direction.

use crate::calibrator::facets::{DirectionGains, FacetDirection, FacetGains};
use crate::campaign::record::{DirectionFault, FacetRecord, JudgedDirection};
use crate::quality::solutions::{AntennaSolutions, GainSeries, SolutionStats};
use crate::report::draw::gains::{self, AntennaPlot};
use crate::report::figures::RoundFigures;
use crate::report::numbers::{percent, significant, with_unit};
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::widgets::{Fact, FigureView};
use serde::Serialize;
use std::path::Path;

/// The directions of a round.
#[derive(Debug, Default, Serialize)]
pub(super) struct FacetsView {
    facts: Vec<Fact>,
    map: Option<FigureView>,
    directions: Table,
    plots: Vec<DirectionPlots>,
}

/// The solutions of one direction, antenna by antenna.
#[derive(Debug, Default, Serialize)]
struct DirectionPlots {
    title: String,
    antennas: Vec<AntennaPlot>,
}

pub(super) fn view(folder: &Path, facets: &FacetRecord, drawn: &RoundFigures) -> FacetsView {
    let gains: Vec<FacetGains> =
        facets.gains.iter().filter_map(|path| FacetGains::load(&folder.join(path)).ok()).collect();
    let images: Vec<String> = facets.images.iter().map(|range| significant(*range, 4)).collect();
    let facts = [
        Fact::known("solved for", Some(format!("{}, solint {}", facets.calmode.name(), facets.solint))),
        Fact::known("too faint for a direction", Some(facets.too_faint.to_string())),
        Fact::known("dynamic range of each image", Some(images.join(", ")).filter(|words| !words.is_empty())),
    ];
    FacetsView {
        facts: facts.into_iter().flatten().collect(),
        map: drawn.facets.as_ref().map(|figure| FigureView::new("Facets on the residual", figure)),
        directions: directions(facets, &gains),
        plots: gains.iter().enumerate().flat_map(|(set, of)| plots(of, (gains.len() > 1).then_some(set + 1))).collect(),
    }
}

fn directions(facets: &FacetRecord, gains: &[FacetGains]) -> Table {
    let headings = vec![
        Heading::words("Direction"),
        Heading::number("Right ascension", ""),
        Heading::number("Declination", ""),
        Heading::number("Flux", ""),
        Heading::number("Expected S/N", "").explained("of an antenna's solution in its interval"),
        Heading::words("Interval").explained("longer where the direction is too faint for that of the round"),
        Heading::number("Step of the phases", "")
            .explained("from one interval to the next, median; the largest of all sets"),
        Heading::number("Replaced", "")
            .explained("solutions that were no number or had no weight; the most of all measurement sets"),
        Heading::number("Noise before", "").explained("within 15 beams, outside of the masks"),
        Heading::number("Noise after", "").explained("with the new solutions"),
        Heading::number("Negative before", "").explained("the deepest within 15 beams, outside of the masks"),
        Heading::number("Negative after", "").explained("with the new solutions"),
        Heading::words("Solutions"),
    ];
    let row = |(number, direction): (usize, &FacetDirection)| {
        let own: Vec<&DirectionGains> = gains.iter().filter_map(|gains| gains.directions.get(number)).collect();
        let judged = facets.judged.get(number);
        direction_row((direction, &facets.solint), &own, judged)
    };
    let rows = facets.directions.iter().enumerate().map(row).collect();
    Table { caption: "Directions".into(), sortable: true, headings, rows }
}

fn direction_row(
    (direction, solint): (&FacetDirection, &str),
    gains: &[&DirectionGains],
    judged: Option<&JudgedDirection>,
) -> Row {
    let most = |value: fn(&DirectionGains) -> Option<f64>| gains.iter().filter_map(|own| value(own)).reduce(f64::max);
    let degrees = |value: f64| format!("{value:.4}°");
    let noise = |value: f64| with_unit(value, "Jy/beam");
    let back = judged.is_some_and(|judged| judged.put_back);
    // That of slower amplitudes comes after it.
    let of_phases = solint.split(',').next().unwrap_or_default();
    Row {
        class: if back { "trouble".into() } else { String::new() },
        cells: vec![
            Cell::text(&direction.name),
            Cell::number(Some(direction.ra_deg.rem_euclid(360.0)), degrees),
            Cell::number(Some(direction.dec_deg), degrees),
            Cell::number(Some(direction.flux_jy), |flux| with_unit(flux, "Jy")),
            Cell::number(Some(direction.snr), |snr| significant(snr, 3)),
            Cell::text(match direction.intervals {
                0 | 1 => of_phases.to_owned(),
                more => format!("{more} × {of_phases}"),
            }),
            Cell::number(most(|own| own.phase_step_deg), |step| format!("{}°", significant(step, 2))),
            Cell::number(most(|own| Some(own.bad_fraction)), percent),
            Cell::number(judged.map(|judged| judged.before.noise), noise),
            Cell::number(judged.map(|judged| judged.after.noise), noise),
            Cell::number(judged.map(|judged| judged.before.minimum), noise),
            Cell::number(judged.map(|judged| judged.after.minimum), noise),
            Cell::text(match judged.and_then(|judged| judged.fault) {
                Some(DirectionFault::Noise) => "the noise rose: the earlier ones",
                Some(DirectionFault::Negative) => "the negative is deeper: the earlier ones",
                None if back => "got worse: the earlier ones",
                None => "new",
            }),
        ],
    }
}

/// Plots of each direction of a measurement set, one of several by its number.
fn plots(gains: &FacetGains, set: Option<usize>) -> Vec<DirectionPlots> {
    let of_set = set.map_or_else(String::new, |number| format!(" of measurement set {number}"));
    let one = |direction: &DirectionGains| DirectionPlots {
        title: format!("{}{of_set}", direction.name),
        antennas: gains::draw(&as_statistics(gains, direction)).plots,
    };
    gains.directions.iter().map(one).collect()
}

/// The solutions of a direction in the form of those without directions.
fn as_statistics(gains: &FacetGains, direction: &DirectionGains) -> SolutionStats {
    let some = |values: Option<&Vec<f64>>, otherwise: f64| match values {
        Some(values) => values.iter().map(|value| Some(*value)).collect(),
        None => vec![Some(otherwise); gains.time_s.len()],
    };
    let antenna = |(number, name): (usize, &String)| AntennaSolutions {
        name: name.clone(),
        series: vec![GainSeries {
            time_s: gains.time_s.clone(),
            phase_deg: some(direction.phase_deg.get(number), 0.0),
            amplitude: some(direction.amplitude.get(number), 1.0),
            flagged: vec![false; gains.time_s.len()],
            ..GainSeries::default()
        }],
        ..AntennaSolutions::default()
    };
    SolutionStats { antennas: gains.antennas.iter().enumerate().map(antenna).collect(), ..SolutionStats::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrator::options::CalMode;
    use crate::imager::FacetFiles;
    use crate::quality::facets::FacetNoise;

    fn solved(bad_fraction: f64, step: f64) -> FacetGains {
        let one = |name: &str| DirectionGains {
            name: name.into(),
            ra_deg: 1.0,
            dec_deg: 2.0,
            bad_fraction,
            phase_step_deg: Some(step),
            amplitude_scatter: None,
            phase_deg: vec![vec![0.0, 0.0], vec![10.0, 20.0]],
            amplitude: Vec::new(),
        };
        FacetGains {
            time_s: vec![0.0, 60.0],
            antennas: vec!["a".into(), "b".into()],
            directions: vec![one("Dir0"), one("Dir1")],
        }
    }

    #[test]
    fn each_direction_has_a_row_and_plots_of_its_antennas() {
        let folder = tempfile::tempdir().expect("folder");
        for (name, gains) in [("gains-1.json", solved(0.0, 12.0)), ("gains-2.json", solved(0.25, 9.0))] {
            std::fs::write(folder.path().join(name), serde_json::to_vec(&gains).expect("JSON")).expect("written");
        }
        let direction =
            |name: &str| FacetDirection { name: name.into(), flux_jy: 1.5, snr: 40.0, ..Default::default() };
        let noise = |noise| FacetNoise { noise, minimum: -noise };
        let judged = |fault: Option<DirectionFault>| JudgedDirection {
            before: noise(1e-3),
            after: noise(2e-3),
            put_back: fault.is_some(),
            fault,
        };
        let record = FacetRecord {
            solint: "60s, amplitudes 300s".into(),
            calmode: CalMode::P,
            directions: vec![direction("Dir0"), FacetDirection { intervals: 4, ..direction("Dir1") }],
            too_faint: 3,
            files: FacetFiles::default(),
            gains: vec!["gains-1.json".into(), "gains-2.json".into()],
            judged: vec![judged(None), judged(Some(DirectionFault::Negative))],
            images: vec![1200.0],
        };
        let view = view(folder.path(), &record, &RoundFigures::default());
        let last: Vec<&str> = view.directions.rows.iter().map(|row| row.cells[12].text.as_str()).collect();
        assert_eq!(last, ["new", "the negative is deeper: the earlier ones"]);
        let negatives: Vec<&str> =
            view.directions.rows[1].cells[10..12].iter().map(|cell| cell.text.as_str()).collect();
        assert_eq!(negatives, ["−1\u{a0}mJy/beam", "−2\u{a0}mJy/beam"]);
        let intervals: Vec<&str> = view.directions.rows.iter().map(|row| row.cells[5].text.as_str()).collect();
        assert_eq!(intervals, ["60s", "4 × 60s"]);
        let texts: Vec<&str> = view.directions.rows[0].cells[6..8].iter().map(|cell| cell.text.as_str()).collect();
        assert_eq!(texts, ["12°", "25 %"], "the largest of both");
        let plots: Vec<_> = view.plots.iter().map(|plots| (plots.title.as_str(), plots.antennas.len())).collect();
        assert_eq!((plots.len(), plots[3]), (4, ("Dir1 of measurement set 2", 2)));
    }
}
