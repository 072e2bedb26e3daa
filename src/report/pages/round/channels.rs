//! The channels of a cube: against cycles, and in the restored cube.

use crate::campaign::record::{ChannelRecord, RoundRecord};
use crate::quality::metrics::ImageMetrics;
use crate::report::draw::chart::{self, Curve, Series};
use crate::report::draw::heat::{self, Heat};
use crate::report::figures::{ChannelFigure, RoundFigures};
use crate::report::numbers::{Unit, grouped};
use crate::report::quantities::metrics_of;
use crate::report::widgets::FigureView;
use crate::report::widgets::table::{Cell, Heading, Row, Table};
use crate::report::words;
use ndarray::Array2;
use serde::Serialize;

/// The channels.
#[derive(Debug, Default, Serialize)]
pub(super) struct ChannelsView {
    heats: Vec<FigureView>,
    ends: Table,
    curves: Vec<FigureView>,
    maps: Vec<FigureView>,
}

pub(super) fn view(round: &RoundRecord, drawn: &RoundFigures) -> ChannelsView {
    let map = |c: &ChannelFigure| FigureView::new(format!("channel {}", c.channel), &c.figure);
    ChannelsView {
        heats: heats(round),
        ends: ends(round),
        curves: curves(round),
        maps: drawn.channels.iter().map(map).collect(),
    }
}

/// Number of channels that the cycles have records of.
fn count(round: &RoundRecord) -> usize {
    round.cycles.iter().map(|c| c.channels.len()).max().unwrap_or(0)
}

/// Heat maps of channels against cycles.
fn heats(round: &RoundRecord) -> Vec<FigureView> {
    let columns = count(round);
    if columns < 2 {
        return Vec::new();
    }
    type Of = fn(&ChannelRecord) -> Option<f64>;
    let shown: [(&str, &str, Of); 6] = [
        ("Peak of the residual", "Jy/beam", |c| c.peak),
        ("Noise of the residual", "Jy/beam", |c| c.rms),
        ("Threshold", "Jy/beam", |c| c.threshold),
        ("Masked pixels", "", |c| c.masked_pixels.map(|n| n as f64)),
        ("Model flux", "Jy", |c| c.model_flux),
        ("Minor iterations", "", |c| c.iterations.map(|n| n as f64)),
    ];
    let rows: Vec<String> = round.cycles.iter().map(|c| c.cycle.to_string()).collect();
    let shape = (rows.len(), columns);
    let stopped =
        Array2::from_shape_fn(shape, |(y, x)| round.cycles[y].channels.get(x).is_some_and(|c| c.stopped.is_some()));
    let draw = |(title, unit, of): &(&str, &str, Of)| {
        let values = Array2::from_shape_fn(shape, |(y, x)| round.cycles[y].channels.get(x).and_then(of));
        let svg = heat::draw(&Heat { title, values, stopped: &stopped, rows: &rows, unit })?;
        Some(FigureView::bare(title, svg))
    };
    shown.iter().filter_map(draw).collect()
}

/// When and why each channel of a cube converged, and its cost.
fn ends(round: &RoundRecord) -> Table {
    let columns = count(round);
    let of =
        |channel: usize| round.cycles.iter().filter_map(move |c| c.channels.get(channel).map(|now| (c.cycle, now)));
    let last_flux = |channel: usize| of(channel).filter_map(|(_, c)| c.model_flux).next_back();
    let flux = Unit::for_values("Jy", (0..columns).filter_map(last_flux).fold(0f64, |m, v| m.max(v.abs())));
    let headings = vec![
        Heading::number("Channel", ""),
        Heading::number("Converged before cycle", ""),
        Heading::words("Because"),
        Heading::number("Iterations", ""),
        Heading::number("Model flux", &flux.name),
    ];
    let row = |channel: usize| {
        let stopped = of(channel).find(|(_, c)| c.stopped.is_some());
        let why = stopped.and_then(|(_, c)| c.stopped.as_ref()).map(words::stop_reason);
        let iterations: u64 = of(channel).filter_map(|(_, c)| c.iterations).sum();
        Row::plain(vec![
            Cell::number(Some(channel as f64), |n| n.to_string()),
            Cell::number(stopped.map(|(cycle, _)| cycle as f64), |n| n.to_string()),
            Cell::text(why.unwrap_or_else(|| "cleaned to the end".into())),
            Cell::number(Some(iterations as f64), |n| grouped(n as u64)),
            Cell::number(last_flux(channel), |v| flux.number(v)),
        ])
    };
    let rows = (0..columns).map(row).collect();
    Table { caption: "When each channel converged".into(), sortable: true, headings, rows }.without_empty_columns()
}

/// Final metrics of a cube against channel.
fn curves(round: &RoundRecord) -> Vec<FigureView> {
    let Some(metrics) = metrics_of(round).filter(|m| m.channels.len() > 1) else { return Vec::new() };
    let x: Vec<String> = (0..metrics.channels.len()).map(|i| i.to_string()).collect();
    type Of = fn(&ImageMetrics) -> Option<f64>;
    let shown: [(&str, &str, Of); 4] = [
        ("Noise (rms)", "Jy/beam", |m| Some(m.rms)),
        ("Peak", "Jy/beam", |m| Some(m.peak)),
        ("Masked pixels", "", |m| m.masked_pixels.map(|n| n as f64)),
        ("Model flux", "Jy", |m| Some(m.model?.total_flux)),
    ];
    let draw = |(title, unit, of): &(&str, &str, Of)| {
        let series = vec![Series { name: title, colour: 0, values: metrics.channels.iter().map(of).collect() }];
        let svg = chart::curve(&Curve { title, x_name: "channel", x: &x, marks: &[], series, unit, joined: true })?;
        Some(FigureView::bare(title, svg))
    };
    shown.iter().filter_map(draw).collect()
}
