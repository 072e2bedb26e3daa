//! Maps of a cube that was put together from groups of channels.

use super::levels::measure;
use super::{MEDIUM, SMALL, Store};
use crate::campaign::record::CubeRecord;
use crate::image::FitsImage;
use crate::report::draw::Figure;
use crate::report::draw::map::{self, Content, Style};
use crate::report::draw::plane::{Plane, read_mask};
use crate::report::draw::raster::ColourScale;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Most channels that are shown: more than fit on a page tell no more.
const MAX_CHANNELS: usize = 36;
const HZ_PER_MHZ: f64 = 1e6;

/// The maps of a cube, each with its title.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct CubeFigures {
    /// Of all channels together.
    pub(crate) maps: Vec<(String, Figure)>,
    /// Of some channels, evenly spread, on one scale.
    pub(crate) channels: Vec<(String, Figure)>,
}

/// The maps of a cube; those that cannot be read are left out.
pub(crate) fn of_cube(store: &Store, folder: &Path, cube: &CubeRecord) -> CubeFigures {
    let [image, moment0, peak] = [&cube.image, &cube.moment0, &cube.peak].map(|path| folder.join(path));
    let mask = cube.mask.as_ref().map(|path| folder.join(path));
    let files = [Some(image.as_path()), Some(moment0.as_path()), Some(peak.as_path())];
    store.get(&format!("cube-{}", cube.name), &files, &cube.channels, || {
        let sum = Content::Sum(unit_of_sum(&moment0));
        let whole =
            [("Sum over the channels (moment 0)", &moment0, sum), ("Brightest channel (peak)", &peak, Content::Image)];
        CubeFigures {
            maps: whole
                .iter()
                .filter_map(|(title, path, content)| Some(((*title).to_owned(), whole_map(path, *content, title)?)))
                .collect(),
            channels: channel_maps(&image, &peak, mask.as_deref()).unwrap_or_default(),
        }
    })
}

/// The unit of moment 0, by the axis that was summed over.
fn unit_of_sum(moment0: &Path) -> &'static str {
    let unit = FitsImage::open(moment0).ok().and_then(|image| image.header().get("BUNIT")).unwrap_or_default();
    [("Hz", "Jy/beam Hz"), ("km/s", "Jy/beam km/s"), ("m/s", "Jy/beam m/s")]
        .into_iter()
        .find(|(ending, _)| unit.ends_with(&format!(".{ending}")))
        .map_or("Jy/beam × channel width", |(_, unit)| unit)
}

fn whole_map(path: &Path, content: Content, title: &str) -> Option<Figure> {
    let plane = Plane::read(path, 0).ok()?;
    let scale = measure(&plane.pixels).image();
    Some(draw(&plane, content, (scale, None), (MEDIUM, true), title))
}

fn draw(
    plane: &Plane,
    content: Content,
    (scale, mask): (ColourScale, Option<&ndarray::Array2<bool>>),
    (max_side, axes): (usize, bool),
    alt: &str,
) -> Figure {
    let style = Style { content, scale, max_side, window: plane.window(), mask, axes, alt };
    map::draw(plane, &style)
}

/// Channels evenly spread over the cube, on the scale of the brightest of all.
fn channel_maps(image: &Path, peak: &Path, mask: Option<&Path>) -> Option<Vec<(String, Figure)>> {
    let channels = FitsImage::open(image).ok()?.channels();
    let shown = channels.min(MAX_CHANNELS);
    let mut levels = measure(&Plane::read(image, channels / 2).ok()?.pixels);
    levels.peak = measure(&Plane::read(peak, 0).ok()?.pixels).peak;
    let one = |index: usize| {
        let channel = if shown < 2 { 0 } else { index * (channels - 1) / (shown - 1) };
        let plane = Plane::read(image, channel).ok()?;
        let mask = mask.and_then(|path| read_mask(path, channel).ok());
        let title = match plane.frequency_hz {
            Some(hz) => format!("{channel}: {:.4} MHz", hz / HZ_PER_MHZ),
            None => channel.to_string(),
        };
        let figure = draw(
            &plane,
            Content::Image,
            (levels.image(), mask.as_ref()),
            (SMALL / 2, false),
            &format!("Channel {title}"),
        );
        Some((title, figure))
    };
    Some((0..shown).filter_map(one).collect())
}
