//! A small spectrum of one model pixel.

use super::axis::Axis;
use crate::report::numbers::{coordinate as c, escape, with_unit};
use std::fmt::Write;

/// Model brightness against channel.
#[derive(Debug)]
pub(crate) struct Spectrum<'a> {
    /// Brightness, Jy/pixel; `None` is left blank.
    pub(crate) values: &'a [Option<f64>],
    /// Channel of the first value.
    pub(crate) first: usize,
    /// Channel that is pointed out.
    pub(crate) marked: usize,
    /// Text for those who cannot see it.
    pub(crate) alt: &'a str,
}

const WIDTH: f64 = 180.0;
const HEIGHT: f64 = 64.0;

/// Draws a bar per channel; `None` without any value.
pub(crate) fn draw(spec: &Spectrum<'_>) -> Option<String> {
    let Spectrum { values, first, marked, alt } = *spec;
    let finite = || values.iter().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((0f64, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if !high.is_finite() || values.is_empty() {
        return None;
    }
    let axis = Axis::new(low, high.max(0.0), false);
    let step = WIDTH / values.len() as f64;
    let y_at = |v: f64| 4.0 + (1.0 - axis.place(v)) * (HEIGHT - 20.0);
    let mut svg = format!(
        r#"<svg class="spectrum" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}"><path class="grid" d="M0 {1}H{WIDTH}"/>"#,
        escape(alt),
        c(y_at(0.0))
    );
    for (i, v) in values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))) {
        let (y0, y1) = (y_at(v.max(0.0)), y_at(v.min(0.0)));
        let _ = write!(
            svg,
            r#"<rect class="bar{}" x="{}" y="{}" width="{}" height="{}"><title>channel {}: {}</title></rect>"#,
            if i + first == marked { " pointed" } else { "" },
            c(i as f64 * step + 0.1 * step),
            c(y0),
            c(0.8 * step),
            c((y1 - y0).max(0.4)),
            first + i,
            with_unit(v, "Jy/pixel")
        );
    }
    let _ = write!(
        svg,
        r#"<text x="1" y="{y}">{first}</text><text x="{WIDTH}" y="{y}" text-anchor="end">{}</text></svg>"#,
        first + values.len() - 1,
        y = c(HEIGHT - 3.0)
    );
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spectrum_points_out_its_channel() {
        let values = [Some(0.0), Some(1e-3), None, Some(-2e-4)];
        let svg = draw(&Spectrum { values: &values, first: 10, marked: 11, alt: "x" }).unwrap();
        assert_eq!(svg.matches("class=\"bar pointed\"").count(), 1);
        assert!(svg.contains("channel 11: 1\u{a0}mJy/pixel"), "{svg}");
        assert_eq!(draw(&Spectrum { values: &[None], first: 0, marked: 0, alt: "x" }), None);
    }
}
