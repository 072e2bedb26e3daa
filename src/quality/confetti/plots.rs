//! A picture of a candidate: model, image and dirty cube in three channels, and the spectra through the pixel.

use super::Cutouts;
use base64::Engine as _;
use image::{ImageEncoder as _, codecs::png::PngEncoder};
use ndarray::Array2;
use plotters::prelude::*;
use std::fmt::Write as _;

/// Names of the cubes, as the rows of panels and in the legend.
const CUBES: [&str; 3] = ["model, Jy/pixel", "image, Jy/beam", "dirty, Jy/beam"];
const COLOURS: [RGBColor; 3] = [RGBColor(200, 60, 30), RGBColor(30, 90, 180), RGBColor(110, 110, 110)];
/// Sides in pixels of the picture.
const WIDTH: u32 = 640;
const PANEL: u32 = 190;
const GAP: u32 = 10;
const TITLE: u32 = 62;
/// Characters of a line of the reason.
const LINE: usize = 95;
const ROW_TITLE: u32 = 20;
const SPECTRUM: u32 = 260;

/// Draws one candidate as SVG: for each cube that is there a row of three channels (one brightness scale a row,
/// grey where there is no data), then the spectra.
///
/// # Errors
/// The drawing library's words.
pub fn draw(cutouts: &Cutouts) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let rows: Vec<usize> = (0..3).filter(|&cube| cutouts.panels[cube].iter().any(Option::is_some)).collect();
    let panels_end = TITLE + rows.len() as u32 * (PANEL + ROW_TITLE + GAP);
    let height = panels_end + SPECTRUM;
    let c = &cutouts.candidate;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&WHITE).map_err(words)?;
        draw_spectrum(&root.margin(panels_end, 0, 0, 0), cutouts)?;
        root.present().map_err(words)?;
    }
    let mut over = String::new();
    let _ = write!(
        over,
        "<g font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\"><text x=\"{GAP}\" y=\"18\" font-size=\"15\">\
         {} at x {} y {}, channel {} (score {:.2})</text>",
        c.verdict, c.pixel[0], c.pixel[1], c.channel, c.score
    );
    for (line, text) in lines(&c.why).iter().enumerate() {
        let _ = write!(over, "<text x=\"{GAP}\" y=\"{}\">{text}</text>", 36 + 17 * line);
    }
    for (row, &cube) in rows.iter().enumerate() {
        let top = TITLE + row as u32 * (PANEL + ROW_TITLE + GAP);
        let panels = &cutouts.panels[cube];
        let (low, high) = scale(cutouts, cube);
        let _ = write!(over, "<text x=\"{GAP}\" y=\"{}\">{} ({low:.2e} to {high:.2e})</text>", top + 14, CUBES[cube],);
        for (column, panel) in panels.iter().enumerate() {
            let x = GAP + column as u32 * (PANEL + GAP);
            let y = top + ROW_TITLE;
            let (middle, words) = (x + PANEL / 2, channel_words(c.channel, column, panel.is_some()));
            let (at, colour) = if panel.is_some() { (y + PANEL - 6, "#fff") } else { (y + PANEL / 2, "#888") };
            let label =
                format!("<text x=\"{middle}\" y=\"{at}\" text-anchor=\"middle\" fill=\"{colour}\">{words}</text>");
            if let Some(panel) = panel {
                let png = base64::engine::general_purpose::STANDARD.encode(png(panel, low, high)?);
                let _ = write!(
                    over,
                    "<image x=\"{x}\" y=\"{y}\" width=\"{PANEL}\" height=\"{PANEL}\" preserveAspectRatio=\"none\" \
                     style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{png}\"/>"
                );
            }
            let _ = write!(
                over,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{PANEL}\" height=\"{PANEL}\" fill=\"none\" stroke=\"#888\"/>{label}"
            );
        }
    }
    over.push_str("</g>");
    let end = svg.rfind("</svg>").ok_or("the drawing has no end")?;
    svg.insert_str(end, &over);
    Ok(svg)
}

/// The text in lines of at most about [`LINE`] characters, broken between words.
fn lines(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            last.push_str(word);
        } else if last.len() + 1 + word.len() <= LINE {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_string());
        }
    }
    lines
}

fn words(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// Brightness scale of a cube's panels. Image and dirty cube share one: a source that only the image has stands out.
fn scale(cutouts: &Cutouts, cube: usize) -> (f32, f32) {
    let together = if cube == 0 { 0..1 } else { 1..3 };
    let panels = || cutouts.panels[together.clone()].iter().flatten().flatten();
    let values = panels().flat_map(|p| p.iter().copied()).filter(|v| v.is_finite());
    values.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
}

/// Title of the panel in `column` (0 before, 1 here, 2 after).
fn channel_words(channel: usize, column: usize, is_there: bool) -> String {
    match (channel + column).checked_sub(1) {
        Some(number) if is_there => format!("channel {number}"),
        Some(number) => format!("no data in channel {number}"),
        None => "no channel before".into(),
    }
}

/// One panel as PNG: north (the last row) up, a square root scale from `low` to `high`.
fn png(panel: &Array2<f32>, low: f32, high: f32) -> Result<Vec<u8>, image::ImageError> {
    let (ny, nx) = panel.dim();
    let span = if high > low { high - low } else { 1.0 };
    let mut rgb = Vec::with_capacity(3 * ny * nx);
    for row in panel.rows().into_iter().rev() {
        for &v in row {
            if v.is_finite() {
                let colour = colorous::VIRIDIS.eval_continuous(f64::from((v - low) / span).clamp(0.0, 1.0).sqrt());
                rgb.extend_from_slice(&[colour.r, colour.g, colour.b]);
            } else {
                rgb.extend_from_slice(&[160, 160, 160]);
            }
        }
    }
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes).write_image(&rgb, nx as u32, ny as u32, image::ExtendedColorType::Rgb8)?;
    Ok(bytes)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw_spectrum(area: &Area<'_>, cutouts: &Cutouts) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let first = cutouts.first_channel;
    let n = cutouts.spectra[0].len().max(1);
    let finite = || cutouts.spectra.iter().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = finite().fold((0f32, f32::MIN_POSITIVE), |(l, h), v| (l.min(v), h.max(v)));
    let pad = 0.08 * (high - low);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(34)
        .y_label_area_size(70)
        .build_cartesian_2d(first as f32 - 0.5..(first + n) as f32 - 0.5, low - pad..high + pad)
        .map_err(words)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(6)
        .x_desc("channel")
        .x_label_formatter(&|v| format!("{v:.0}"))
        .y_label_formatter(&|v| format!("{v:.2e}"))
        .draw()
        .map_err(words)?;
    for (cube, spectrum) in cutouts.spectra.iter().enumerate().filter(|(_, s)| !s.is_empty()) {
        // Steps: a channel is as wide as it is.
        let points: Vec<(f32, f32)> = spectrum
            .iter()
            .enumerate()
            .filter(|(_, v)| v.is_finite())
            .flat_map(|(i, &v)| [((first + i) as f32 - 0.5, v), ((first + i) as f32 + 0.5, v)])
            .collect();
        let colour = COLOURS[cube];
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))
            .map_err(words)?
            .label(CUBES[cube])
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .draw()
        .map_err(words)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_are_named_and_image_and_dirty_share_a_scale() {
        assert_eq!(channel_words(5, 0, true), "channel 4");
        assert_eq!(channel_words(0, 0, false), "no channel before");
        assert_eq!(channel_words(5, 2, false), "no data in channel 6");
        let panel = |v: f32| [None, Some(Array2::from_elem((2, 2), v)), None];
        let candidate = crate::quality::confetti::Candidate {
            channel: 0,
            pixel: [0, 0],
            flux: 1.0,
            noise: 1.0,
            isolation: 1.0,
            pedestal: 0.0,
            claim: 1.0,
            image_excess: None,
            dirty_excess: None,
            support: None,
            missing_sigma: None,
            score: 0.0,
            verdict: crate::quality::confetti::ConfettiVerdict::Confetti,
            why: String::new(),
        };
        let cutouts = Cutouts {
            candidate,
            corner: [0, 0],
            panels: [panel(9.0), panel(3.0), panel(-1.0)],
            first_channel: 0,
            spectra: [vec![1.0], Vec::new(), Vec::new()],
        };
        assert_eq!([0, 1, 2].map(|cube| scale(&cutouts, cube)), [(9.0, 9.0), (-1.0, 3.0), (-1.0, 3.0)]);
        let svg = draw(&cutouts).unwrap();
        assert!(svg.matches("<image").count() == 3 && svg.contains(">channel 0<"), "{svg}");
    }

    #[test]
    fn long_reasons_are_broken_between_words() {
        let text = "190.1 times brighter than the neighbouring channels, ".repeat(3);
        let broken = lines(text.trim_end());
        assert_eq!(broken.len(), 2);
        assert!(broken.iter().all(|l| l.len() <= LINE));
        assert_eq!(broken.join(" "), text.trim_end());
    }
}
