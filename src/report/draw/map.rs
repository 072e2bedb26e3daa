//! Maps of the sky.

use super::Figure;
use super::frame::{OutlineStyle, PlotFrame};
use super::plane::{Plane, Window};
use super::raster::{ColourScale, Colours, Picture, Reduce, fatten, reduce, reduce_mask};
use crate::report::words::{ADDED, KEPT, REMOVED};
use ndarray::{Array2, s};
use std::fmt::Write;

/// Windows of at most this many pixels across show each pixel as a square.
const MAX_SHARP_SIDE: usize = 240;
/// Colours of mask outlines: readable on the map's own colours.
const OUTLINE_ON_DARK: [u8; 3] = [0x3f, 0xe0, 0xff];

const OUTLINE_ON_LIGHT: [u8; 3] = [0x00, 0x8a, 0x3c];

/// Kind of pixels in a map; decides colours and how pixels are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// Restored image.
    Image,
    /// Residual.
    Residual,
    /// CLEAN components.
    Model,
    /// Sum over the channels of restored images, in this unit.
    Sum(&'static str),
}

impl Content {
    fn colours(self) -> Colours {
        match self {
            Self::Image | Self::Sum(_) => Colours::Inferno,
            Self::Residual => Colours::BlueRed,
            Self::Model => Colours::Signed,
        }
    }

    fn reduce(self) -> Reduce {
        match self {
            Self::Image | Self::Sum(_) => Reduce::Max,
            Self::Residual => Reduce::Mean,
            Self::Model => Reduce::Extreme,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Image | Self::Residual => "Jy/beam",
            Self::Model => "Jy/pixel",
            Self::Sum(unit) => unit,
        }
    }

    fn outline(self) -> OutlineStyle {
        if self == Self::Residual {
            OutlineStyle { colour: OUTLINE_ON_LIGHT, class: "mask on-light" }
        } else {
            OutlineStyle { colour: OUTLINE_ON_DARK, class: "mask on-dark" }
        }
    }

    /// The pixel that stands for several.
    fn dot(self) -> &'static str {
        match self {
            Self::Image | Self::Sum(_) => "brightest",
            Self::Residual => "mean",
            Self::Model => "most extreme",
        }
    }
}

/// Options of a map.
#[derive(Debug, Clone)]
pub(crate) struct Style<'a> {
    /// Kind of its pixels.
    pub(crate) content: Content,
    /// From values to colours.
    pub(crate) scale: ColourScale,
    /// Longest side of the raster, pixels.
    pub(crate) max_side: usize,
    /// Part of the plane.
    pub(crate) window: Window,
    /// Mask whose outline is drawn; same shape as the whole plane.
    pub(crate) mask: Option<&'a Array2<bool>>,
    /// With axes, beam and colour bar, or the map alone.
    pub(crate) axes: bool,
    /// Text for those who cannot see it.
    pub(crate) alt: &'a str,
}

/// How many pixels across become one, so that the longest side of `window` is at most `max_side`.
fn reduction(window: Window, max_side: usize) -> usize {
    window.nx.max(window.ny).div_ceil(max_side.max(1)).max(1)
}

/// Draws a map.
pub(crate) fn draw(plane: &Plane, style: &Style<'_>) -> Figure {
    let w = style.window;
    let region = s![w.y..w.y + w.ny, w.x..w.x + w.nx];
    let factor = reduction(w, style.max_side);
    let mut small = reduce(plane.pixels.slice(region), factor, style.content.reduce());
    if style.content == Content::Model {
        // A component is one pixel: make it at least three of the picture's, when those are tiny.
        small = fatten(small.view(), small.nrows().max(small.ncols()) / 250);
    }
    let picture = Picture::of_plane(small.view(), style.scale, style.content.colours());
    let frame = PlotFrame::new(w, style.axes);
    let mut svg = frame.open(style.alt);
    frame.clip_begin(&mut svg);
    frame.picture(&mut svg, &picture, factor, w.nx.max(w.ny) <= MAX_SHARP_SIDE);
    let mut note = "";
    if let Some(mask) = style.mask.filter(|m| m.dim() == plane.pixels.dim()) {
        let part = reduce_mask(mask.slice(region), factor);
        frame.outline(&mut svg, &part, factor, &style.content.outline());
    } else if style.mask.is_some() {
        note = " The mask has another size and is not drawn.";
    }
    svg.push_str("</svg>");
    if style.axes {
        frame.axes(&mut svg, plane);
        if let Some(beam) = &plane.beam {
            frame.beam(&mut svg, beam, plane.east_left);
        }
        frame.colour_bar(&mut svg, style.scale, style.content.colours(), style.content.unit());
    }
    svg.push_str("</svg>");
    let mut caption = String::new();
    if factor > 1 {
        let kind = style.content.dot();
        let _ = write!(caption, "Each dot is the {kind} of {factor} × {factor} pixels.");
    }
    caption.push_str(note);
    Figure { svg, caption: caption.trim().to_string() }
}

/// A quiet map on which masks are shown.
#[derive(Debug, Clone)]
pub(crate) struct Background<'a> {
    /// The plane.
    pub(crate) plane: &'a Plane,
    /// From values to shades of grey.
    pub(crate) scale: ColourScale,
    /// Longest side of the raster, pixels.
    pub(crate) max_side: usize,
    /// Text for those who cannot see it.
    pub(crate) alt: &'a str,
}

impl Background<'_> {
    fn factor(&self) -> usize {
        reduction(self.plane.window(), self.max_side)
    }

    /// The map in grey with further `colours`, and the palette's index of the first of them.
    fn picture(&self, colours: &[[u8; 3]]) -> Tinted {
        let quiet = reduce(self.plane.pixels.view(), self.factor(), Reduce::Max);
        let mut picture = Picture::of_plane(quiet.view(), self.scale, Colours::Grey);
        let base = picture.palette.len() as u8;
        // The transparent index moves behind the new colours.
        let transparent = base + colours.len() as u8;
        picture.pixels.iter_mut().filter(|p| **p == base).for_each(|p| *p = transparent);
        picture.palette.extend(colours);
        Tinted { picture, base }
    }

    fn figure(&self, picture: &Picture) -> Figure {
        let frame = PlotFrame::new(self.plane.window(), true);
        let mut svg = frame.open_without_bar(self.alt);
        frame.clip_begin(&mut svg);
        frame.picture(&mut svg, picture, self.factor(), false);
        svg.push_str("</svg>");
        frame.axes(&mut svg, self.plane);
        svg.push_str("</svg>");
        Figure { svg, caption: String::new() }
    }
}

/// A picture with additional colours.
struct Tinted {
    picture: Picture,
    /// Index of the first additional colour.
    base: u8,
}

impl Tinted {
    /// Gives pixel `(y, x)`, y upwards, the additional colour number `index`.
    fn set(&mut self, (y, x): (usize, usize), index: usize) {
        let place = (self.picture.height - 1 - y) * self.picture.width + x;
        self.picture.pixels[place] = self.base + index as u8;
    }
}

/// Shows which pixels a mask gained, kept and lost compared with an earlier one; `None` where sizes differ.
pub(crate) fn draw_mask_change(
    background: &Background<'_>,
    before: Option<&Array2<bool>>,
    after: &Array2<bool>,
) -> Option<Figure> {
    let shape = background.plane.pixels.dim();
    if after.dim() != shape || before.is_some_and(|b| b.dim() != shape) {
        return None;
    }
    let factor = background.factor();
    let mut tinted = background.picture(&[ADDED.colour, KEPT.colour, REMOVED.colour]);
    let (old, new) = (before.map(|b| reduce_mask(b.view(), factor)), reduce_mask(after.view(), factor));
    for (at, &now) in new.indexed_iter() {
        match (old.as_ref().is_some_and(|o| o[at]), now) {
            (false, true) => tinted.set(at, 0),
            (true, true) => tinted.set(at, 1),
            (true, false) => tinted.set(at, 2),
            (false, false) => {}
        }
    }
    Some(background.figure(&tinted.picture))
}

/// Shows which of several masks (in order) first had each pixel of the last one; `None` where sizes differ.
pub(crate) fn draw_mask_history(background: &Background<'_>, masks: &[Array2<bool>]) -> Option<Figure> {
    let last = masks.last()?;
    if masks.iter().any(|m| m.dim() != background.plane.pixels.dim()) {
        return None;
    }
    let factor = background.factor();
    let colours: Vec<_> = (0..masks.len()).map(|i| history_colour(i, masks.len())).collect();
    let mut tinted = background.picture(&colours);
    let small: Vec<_> = masks.iter().map(|m| reduce_mask(m.view(), factor)).collect();
    for (at, _) in reduce_mask(last.view(), factor).indexed_iter().filter(|(_, on)| **on) {
        tinted.set(at, small.iter().position(|m| m[at]).unwrap_or(masks.len() - 1));
    }
    Some(background.figure(&tinted.picture))
}

/// Colour of the mask number `index` of `count`.
pub(crate) fn history_colour(index: usize, count: usize) -> [u8; 3] {
    Colours::Viridis.at(if count < 2 { 0.3 } else { 0.15 + 0.8 * index as f64 / (count - 1) as f64 })
}
