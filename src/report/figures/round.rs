//! The figures of one attempt at a round.

use super::levels::{Levels, levels};
use super::{LARGE, MEDIUM, SMALL, Store, page_name};
use crate::campaign::record::{DatasetRecord, RoundRecord};
use crate::image::{FitsImage, ImageError};
use crate::imager::Products;
use crate::kernels::facets::nearest;
use crate::report::draw::Figure;
use crate::report::draw::map::{self, Background, Content, Style};
use crate::report::draw::plane::{Plane, Window, read_mask};
use crate::report::draw::raster::ColourScale;
use crate::report::numbers::{significant, with_unit};
use crate::report::widgets::Fact;
use crate::report::words;
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The model's scale turns from linear to logarithmic at this fraction of its peak.
const MODEL_SOFT: f64 = 0.003;
/// Side of the close-up, beams.
const ZOOM_BEAMS: f64 = 24.0;
/// Smallest and largest side of the close-up, pixels.
const MIN_ZOOM: usize = 48;
const MAX_ZOOM: usize = 200;
const HZ_PER_MHZ: f64 = 1e6;
/// Most channels of a cube that are shown side by side.
const MAX_CHANNEL_MAPS: usize = 16;
/// Radius of the mark of a direction, of the image's width.
const DIRECTION_MARK: f64 = 0.005;

/// The figures of an attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RoundFigures {
    /// Restored image with the mask's outline, large.
    pub(crate) image: Option<Figure>,
    /// Residual with the mask's outline, large.
    pub(crate) residual: Option<Figure>,
    /// Model with the mask's outline, large.
    pub(crate) model: Option<Figure>,
    /// The same without axes, small.
    pub(crate) small: Vec<SmallFigure>,
    /// Close-up of the image around its peak.
    pub(crate) zoom_image: Option<Figure>,
    /// Close-up of the residual at the same place.
    pub(crate) zoom_residual: Option<Figure>,
    /// Pixels that the mask gained, kept and lost.
    pub(crate) mask_change: Option<Figure>,
    /// Image of the last accepted round before, on this round's scale.
    pub(crate) before_image: Option<Figure>,
    /// Residual of the last accepted round before, on this round's scale.
    pub(crate) before_residual: Option<Figure>,
    /// The residual with the edges of the facets.
    pub(crate) facets: Option<Figure>,
    /// Channels of a cube.
    pub(crate) channels: Vec<ChannelFigure>,
    /// Beam, frequency and position of the peak.
    pub(crate) facts: Vec<Fact>,
    /// Files that could not be drawn, and why.
    pub(crate) problems: Vec<String>,
}

/// A small figure that leads to a large one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SmallFigure {
    /// Title.
    pub(crate) title: String,
    /// The figure, without a caption.
    pub(crate) figure: Figure,
}

/// The figure of a channel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChannelFigure {
    /// Channel, 0 first.
    pub(crate) channel: usize,
    /// The figure.
    pub(crate) figure: Figure,
}

/// The files of an attempt, and of the last accepted round before it.
struct Files {
    image: PathBuf,
    residual: PathBuf,
    model: PathBuf,
    mask: Option<PathBuf>,
    /// Images of single channels beside the image of the whole band.
    channels: Vec<PathBuf>,
    before_image: Option<PathBuf>,
    before_residual: Option<PathBuf>,
    before_mask: Option<PathBuf>,
}

impl Files {
    fn new(folder: &Path, products: &Products, round: &RoundRecord, before: Option<&RoundRecord>) -> Self {
        let at = |path: &Path| folder.join(path);
        let mask = |r: &RoundRecord| r.mask.as_ref().map(|m| at(&m.path));
        let before_products = before.and_then(|b| b.products.as_ref());
        Self {
            image: at(&products.image),
            residual: at(&products.residual),
            model: at(&products.model),
            mask: mask(round),
            channels: products.channels.iter().map(|c| at(&c.image)).collect(),
            before_image: before_products.map(|p| at(&p.image)),
            before_residual: before_products.map(|p| at(&p.residual)),
            before_mask: before.and_then(mask),
        }
    }

    /// Files that a kept figure is renewed for.
    fn watched(&self) -> [Option<&Path>; 6] {
        let own = [Some(&self.image), Some(&self.residual), Some(&self.model)];
        let [image, residual, model] = own.map(|f| f.map(PathBuf::as_path));
        let (mask, before_image) = (self.mask.as_deref(), self.before_image.as_deref());
        [image, residual, model, mask, before_image, self.before_residual.as_deref()]
    }
}

/// All figures of attempt `index` of `dataset`; paths of the record are relative to `folder`.
pub(crate) fn of_round(store: &Store, folder: &Path, dataset: &DatasetRecord, index: usize) -> RoundFigures {
    let round = &dataset.rounds[index];
    let Some(products) = &round.products else { return RoundFigures::default() };
    let before = dataset.accepted_before(index).filter(|b| b.products.is_some());
    let files = Files::new(folder, products, round, before);
    let numbers = round.metrics.as_ref().map(|m| (m.rms, m.peak, m.peak_pixel, m.peak_channel));
    let parameters = (numbers, before.map(page_name), &files.before_mask, round.facets.as_ref().map(|f| &f.directions));
    store.get(&page_name(round), &files.watched(), &parameters, || match levels(folder, round) {
        Some(levels) => {
            let peak_pixel = round.metrics.as_ref().map(|m| m.peak_pixel);
            let title = words::round(round);
            let directions = round.facets.iter().flat_map(|facets| &facets.directions).map(|d| d.pixel).collect();
            Drawing { files: &files, levels, peak_pixel, directions, title }.draw(before.map(words::round).as_deref())
        }
        None => {
            let problem = format!("{} cannot be drawn: no finite pixel, or not readable", files.image.display());
            RoundFigures { problems: vec![problem], ..RoundFigures::default() }
        }
    })
}

/// The files and levels that all figures of an attempt share.
struct Drawing<'a> {
    files: &'a Files,
    levels: Levels,
    /// `[x, y]` of the image's peak.
    peak_pixel: Option<[usize; 2]>,
    /// Pixels of the directions, `[x, y]`; empty without any.
    directions: Vec<[f64; 2]>,
    /// The attempt within a sentence.
    title: String,
}

impl Drawing<'_> {
    fn draw(&self, before: Option<&str>) -> RoundFigures {
        let mut out = RoundFigures::default();
        let channel = self.levels.channel;
        let mask = self.files.mask.as_ref().and_then(|path| out.read(read_mask(path, channel)));
        let before_mask = self.files.before_mask.as_ref().and_then(|path| read_mask(path, channel).ok());
        // One plane in memory after the other: images may be large.
        if let Some(plane) = out.read(Plane::read(&self.files.image, channel)) {
            self.image(&mut out, &plane, mask.as_ref());
            if let Some(mask) = &mask {
                out.mask_change = self.mask_change(&plane, before_mask.as_ref(), mask);
            }
        }
        if let Some(plane) = out.read(Plane::read(&self.files.residual, channel)) {
            self.residual(&mut out, &plane, mask.as_ref());
            out.facets = self.facets(&plane);
        }
        if let Some(plane) = out.read(Plane::read(&self.files.model, channel)) {
            self.model(&mut out, &plane, mask.as_ref());
        }
        drop(mask);
        if let Some(words) = before {
            let frame = PictureFrame { levels: self.levels, mask: before_mask.as_ref(), max_side: LARGE };
            let image = self.files.before_image.as_ref();
            out.before_image = image.and_then(|path| frame.image(path, &format!("Restored image of {words}")));
            let residual = self.files.before_residual.as_ref();
            out.before_residual = residual.and_then(|path| frame.residual(path, &format!("Residual of {words}")));
        }
        out.channels = self.channels();
        out
    }

    fn image(&self, out: &mut RoundFigures, plane: &Plane, mask: Option<&Array2<bool>>) {
        let words = &self.title;
        let alt = format!("Restored image of {words}, peak {}", with_unit(self.levels.peak, "Jy/beam"));
        let style = large(plane, Content::Image, self.levels.image(), mask, &alt);
        out.image = Some(map::draw(plane, &style));
        out.add_small("Image", plane, &style);
        out.facts.extend(plane.beam_words.as_ref().map(|words| Fact::new("beam", words)));
        if let Some(hz) = plane.frequency_hz.filter(|f| *f > 0.0) {
            out.facts.push(Fact::new("frequency", format!("{} MHz", significant(hz / HZ_PER_MHZ, 7))));
        }
        if let Some([x, y]) = self.peak_pixel {
            let pixel = format!("pixel {x}, {y}");
            let place = plane.position(x, y).map_or_else(|| pixel.clone(), |p| format!("{p} ({pixel})"));
            out.facts.push(Fact::new("peak at", place));
            let alt = format!("Close-up of the image of {words} around its peak");
            out.zoom_image = Some(map::draw(plane, &Style { window: zoom_window(plane, x, y), alt: &alt, ..style }));
        }
    }

    fn mask_change(&self, plane: &Plane, before: Option<&Array2<bool>>, mask: &Array2<bool>) -> Option<Figure> {
        let alt =
            format!("Mask of {} compared with the last accepted round's: added, kept and removed pixels", self.title);
        let background = Background { plane, scale: self.levels.image(), max_side: MEDIUM, alt: &alt };
        map::draw_mask_change(&background, before, mask)
    }

    fn residual(&self, out: &mut RoundFigures, plane: &Plane, mask: Option<&Array2<bool>>) {
        let alt = format!("Residual of {}", self.title);
        let style = large(plane, Content::Residual, self.levels.residual(), mask, &alt);
        out.residual = Some(map::draw(plane, &style));
        out.add_small("Residual", plane, &style);
        if let Some([x, y]) = self.peak_pixel {
            let alt = format!("Close-up of the residual of {} around the peak of the image", self.title);
            out.zoom_residual = Some(map::draw(plane, &Style { window: zoom_window(plane, x, y), alt: &alt, ..style }));
        }
    }

    /// The residual with the edges of the facets.
    fn facets(&self, plane: &Plane) -> Option<Figure> {
        if self.directions.is_empty() {
            return None;
        }
        let edges = facet_edges(&self.directions, plane.pixels.dim());
        let alt = format!("Facets of {} on its residual", self.title);
        let style = large(plane, Content::Residual, self.levels.residual(), Some(&edges), &alt);
        Some(map::draw(plane, &Style { max_side: MEDIUM, ..style }))
    }

    fn model(&self, out: &mut RoundFigures, plane: &Plane, mask: Option<&Array2<bool>>) {
        let high = plane.pixels.iter().filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()));
        let high = if high > 0.0 { f64::from(high) } else { self.levels.rms };
        let scale = ColourScale::Asinh { low: -high, high, soft: MODEL_SOFT * high };
        let alt = format!("CLEAN model of {}", self.title);
        let style = large(plane, Content::Model, scale, mask, &alt);
        out.model = Some(map::draw(plane, &style));
        out.add_small("Model", plane, &style);
    }

    /// Channels of a cube, or those beside an image of the whole band, side by side on one scale; nothing for a plane
    /// alone.
    fn channels(&self) -> Vec<ChannelFigure> {
        let separate = &self.files.channels;
        let Ok(planes) = FitsImage::open(&self.files.image).map(|f| f.channels()) else { return Vec::new() };
        let count = planes.max(separate.len());
        if count < 2 {
            return Vec::new();
        }
        let shown = count.min(MAX_CHANNEL_MAPS);
        let draw = |i: usize| {
            let channel = if shown > 1 { i * (count - 1) / (shown - 1) } else { 0 };
            let plane = match separate.get(channel) {
                Some(path) if planes < 2 => Plane::read(path, 0).ok()?,
                _ => Plane::read(&self.files.image, channel).ok()?,
            };
            let mask = self.files.mask.as_ref().and_then(|path| read_mask(path, channel).ok());
            let alt = format!("Channel {channel}");
            let style = large(&plane, Content::Image, self.levels.image(), mask.as_ref(), &alt);
            let figure = map::draw(&plane, &Style { max_side: SMALL / 2, axes: false, ..style });
            Some(ChannelFigure { channel, figure })
        };
        (0..shown).filter_map(draw).collect()
    }
}

impl RoundFigures {
    /// The value, or a note of the problem.
    fn read<T>(&mut self, result: Result<T, ImageError>) -> Option<T> {
        result.map_err(|e| self.problems.push(e.to_string())).ok()
    }

    /// The map in `style` once more, for lists: small, without axes and caption.
    fn add_small(&mut self, title: &str, plane: &Plane, style: &Style<'_>) {
        let figure = map::draw(plane, &Style { max_side: SMALL, axes: false, ..style.clone() });
        self.small.push(SmallFigure { title: title.into(), figure: Figure { caption: String::new(), ..figure } });
    }
}

/// The style of a large map of a whole plane.
fn large<'a>(
    plane: &Plane,
    content: Content,
    scale: ColourScale,
    mask: Option<&'a Array2<bool>>,
    alt: &'a str,
) -> Style<'a> {
    Style { content, scale, max_side: LARGE, window: plane.window(), mask, axes: true, alt }
}

/// Pixels at the edge of a facet, and around each direction.
fn facet_edges(directions: &[[f64; 2]], shape: (usize, usize)) -> Array2<bool> {
    let facet = |y: usize, x: usize| nearest(directions, [x as f64, y as f64]);
    let owners = Array2::from_shape_fn(shape, |(y, x)| facet(y, x));
    let (ny, nx) = shape;
    let radius = (ny.max(nx) as f64 * DIRECTION_MARK).max(1.0);
    Array2::from_shape_fn(shape, |(y, x)| {
        let own = owners[[y, x]];
        let edge = (x + 1 < nx && owners[[y, x + 1]] != own) || (y + 1 < ny && owners[[y + 1, x]] != own);
        let [dx, dy] = directions[own];
        edge || (x as f64 - dx).hypot(y as f64 - dy) <= radius
    })
}

fn zoom_window(plane: &Plane, x: usize, y: usize) -> Window {
    let (ny, nx) = plane.pixels.dim();
    let side = plane.beam.map_or(MAX_ZOOM, |b| (ZOOM_BEAMS * b.major).round() as usize);
    Window::around(x.min(nx - 1), y.min(ny - 1), side.clamp(MIN_ZOOM, MAX_ZOOM), (ny, nx))
}

/// One picture of a blink comparison.
#[derive(Debug)]
pub(super) struct PictureFrame<'a> {
    /// Levels that all frames share.
    pub(super) levels: Levels,
    /// Mask whose outline is drawn.
    pub(super) mask: Option<&'a Array2<bool>>,
    /// Longest side of the raster, pixels.
    pub(super) max_side: usize,
}

impl PictureFrame<'_> {
    /// The image at `path`; `None` where it cannot be read.
    pub(super) fn image(&self, path: &Path, alt: &str) -> Option<Figure> {
        self.draw(path, Content::Image, self.levels.image(), alt)
    }

    /// The residual at `path`; `None` where it cannot be read.
    pub(super) fn residual(&self, path: &Path, alt: &str) -> Option<Figure> {
        self.draw(path, Content::Residual, self.levels.residual(), alt)
    }

    fn draw(&self, path: &Path, content: Content, scale: ColourScale, alt: &str) -> Option<Figure> {
        let plane = Plane::read(path, self.levels.channel).ok()?;
        Some(map::draw(&plane, &Style { max_side: self.max_side, ..large(&plane, content, scale, self.mask, alt) }))
    }
}
