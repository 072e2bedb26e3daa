//! The major cycles of a round.

use crate::campaign::record::{CycleRecord, RoundRecord};
use crate::report::draw::chart::{self, Curve, Series};
use crate::report::figures;
use crate::report::numbers::{Unit, capital, duration, flux, grouped};
use crate::report::pages::DatasetWriter;
use crate::report::quantities::metrics_of;
use crate::report::widgets::FigureView;
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::words;
use serde::Serialize;

/// The major cycles.
#[derive(Debug, Default, Serialize)]
pub(super) struct CyclesView {
    maps: Vec<FigureView>,
    note: String,
    reasons: Vec<MaskReason>,
    curves: Vec<FigureView>,
    table: Table,
}

/// Why the mask of a cycle is as it is.
#[derive(Debug, Default, Serialize)]
struct MaskReason {
    cycle: usize,
    why: String,
}

/// One number of a cycle.
type Of = fn(&CycleRecord) -> Option<f64>;

pub(super) fn view(writer: &DatasetWriter<'_>, round: &RoundRecord) -> CyclesView {
    let (curves, table, reasons) = (curves(round), table(round), reasons(round));
    let Some(levels) = levels(round) else {
        return CyclesView { curves, table, reasons, ..CyclesView::default() };
    };
    let mut note = format!("All from −{0} to +{0}.", flux(figures::RESIDUAL_SIGMAS * levels.rms));
    if round.cycles.iter().any(|c| !c.channels.is_empty()) {
        note.push_str(&format!(" Channel {} of the cube.", levels.channel));
    }
    let maps = round.cycles.iter().filter_map(|cycle| {
        let figure = figures::of_cycle(writer.store, writer.folder, round, cycle, levels)?;
        let peak = cycle.peak.map(|p| format!("peak {}", flux(p)));
        let masked = cycle.masked_pixels.map(|n| format!("{} px masked", grouped(n)));
        let caption = [peak, masked].into_iter().flatten().collect::<Vec<_>>().join(", ");
        Some(FigureView { title: format!("Cycle {}", cycle.cycle), svg: figure.svg, caption })
    });
    CyclesView { maps: maps.collect(), note, reasons, curves, table }
}

/// One scale for all cycles, that of the cleanest residual, so that they can be compared.
fn levels(round: &RoundRecord) -> Option<figures::Levels> {
    let lowest = round.cycles.iter().filter_map(|c| c.rms).filter(|r| *r > 0.0).fold(f64::INFINITY, f64::min);
    let rms = if lowest.is_finite() { Some(lowest) } else { metrics_of(round).map(|m| m.rms) };
    let rms = rms.filter(|r| *r > 0.0)?;
    Some(figures::Levels { rms, peak: rms, channel: metrics_of(round).map_or(0, |m| m.peak_channel) })
}

/// A mask that the cycle before had already needs no other reason.
fn reasons(round: &RoundRecord) -> Vec<MaskReason> {
    let changed = |c: &&CycleRecord| !c.mask_why.is_empty() && (c.cycle == 0 || c.added > Some(0));
    let reason = |c: &CycleRecord| MaskReason { cycle: c.cycle, why: capital(&c.mask_why) };
    round.cycles.iter().filter(changed).map(reason).collect()
}

fn curves(round: &RoundRecord) -> Vec<FigureView> {
    if round.cycles.len() < 2 {
        return Vec::new();
    }
    let x: Vec<String> = round.cycles.iter().map(|c| c.cycle.to_string()).collect();
    let draw = |title: &str, unit: &str, list: &[(&'static str, Of)]| {
        let series: Vec<Series<'_>> = list
            .iter()
            .enumerate()
            .map(|(colour, (name, of))| Series { name, colour, values: round.cycles.iter().map(of).collect() })
            .filter(|s| s.values.iter().any(Option::is_some))
            .collect();
        let svg = chart::curve(&Curve { title, x_name: "major cycle", x: &x, marks: &[], series, unit, joined: true })?;
        Some(FigureView::bare(title, svg))
    };
    let residual: [(&str, Of); 4] =
        [("peak", |c| c.peak), ("in mask", |c| c.peak_in_mask), ("threshold", |c| c.threshold), ("rms", |c| c.rms)];
    let all = [
        draw("Residual", "Jy/beam", &residual),
        draw("Masked pixels", "", &[("masked pixels", |c| c.masked_pixels.map(|n| n as f64))]),
        draw("Model flux", "Jy", &[("model flux", |c| c.model_flux)]),
        draw("Minor iterations", "", &[("iterations", |c| c.iterations.map(|n| n as f64))]),
    ];
    all.into_iter().flatten().collect()
}

fn table(round: &RoundRecord) -> Table {
    let cycles = &round.cycles;
    let largest = |of: Of, unit| Unit::for_values(unit, cycles.iter().filter_map(of).fold(0f64, |m, v| m.max(v.abs())));
    let peak = largest(|c| c.peak, "Jy/beam");
    let rms = largest(|c| c.rms, "Jy/beam");
    let model = largest(|c| c.model_flux, "Jy");
    let headings = vec![
        Heading::words("Cycle"),
        Heading::number("Peak", &peak.name),
        Heading::number("Peak in mask", &peak.name),
        Heading::number("rms", &rms.name),
        Heading::number("Threshold", &peak.name),
        Heading::number("Masked", "px"),
        Heading::number("Added", "px"),
        Heading::number("Removed", "px"),
        Heading::number("Model flux", &model.name),
        Heading::number("Iterations", ""),
        Heading::number("Time", ""),
        Heading::words("Ended"),
    ];
    let rows = cycles.iter().map(|c| {
        Row::plain(vec![
            Cell::text(c.cycle.to_string()),
            Cell::number(c.peak, |v| peak.number(v)),
            Cell::number(c.peak_in_mask, |v| peak.number(v)),
            Cell::number(c.rms, |v| rms.number(v)),
            Cell::number(c.threshold, |v| peak.number(v)),
            Cell::count(c.masked_pixels),
            Cell::count(c.added),
            Cell::count(c.removed),
            Cell::number(c.model_flux, |v| model.number(v)),
            Cell::count(c.iterations),
            Cell::number(c.seconds, duration),
            Cell::text(c.stopped.as_ref().map(words::stop_reason).unwrap_or_default()),
        ])
    });
    let rows = rows.collect();
    Table { caption: "Major cycles".into(), sortable: false, headings, rows }.without_empty_columns()
}
