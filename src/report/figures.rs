//! The figures of a round, made from its files and kept beside the report, so that renewing it after each round draws
//! only what is new. Figures outlive their files: what a disk budget removed can still be looked at.

use super::map::{self, Figure, Plane, Style, What, Window};
use super::numbers::with_unit;
use super::raster::Scale;
use crate::campaign::record::{CycleRecord, DatasetRecord, RoundRecord};
use crate::image::{FitsImage, ImageError};
use crate::kernels::order_statistics::median_and_mad;
use crate::util::fs::write_atomically;
use ndarray::Array2;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// Changes whenever figures are drawn differently, so that kept ones are drawn anew.
const DRAWING: u32 = 3;
/// Longest side of the pictures on a round's page, pixels.
const LARGE: usize = 900;
/// Of the pictures that blink on the overview.
const MEDIUM: usize = 600;
/// Of the pictures in lists.
const SMALL: usize = 320;
/// Residuals are drawn between plus and minus this many times the noise.
pub const RESIDUAL_SIGMAS: f64 = 6.0;
/// Images start this many times the noise below zero, and turn from linear to logarithmic at twice the noise.
const IMAGE_LOW_SIGMAS: f64 = 3.0;
const IMAGE_SOFT_SIGMAS: f64 = 2.0;
/// The model's scale turns from linear to logarithmic at this fraction of its peak.
const MODEL_SOFT: f64 = 0.003;
/// Side of the close-up, beams; and its limits, pixels.
const ZOOM_BEAMS: f64 = 24.0;
const ZOOM_PIXELS: (usize, usize) = (48, 200);
const HZ_PER_MHZ: f64 = 1e6;
/// Most channels of a cube that are shown side by side.
const MAX_CHANNEL_MAPS: usize = 16;

/// Keeps finished figures under names.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    force: bool,
}

#[derive(Serialize, Deserialize)]
struct Kept<T> {
    key: String,
    made: T,
}

impl Store {
    /// In `folder`, which is made when needed; `force` draws everything anew.
    pub fn new(folder: PathBuf, force: bool) -> Self {
        Self { folder, force }
    }

    /// What was kept under `name`, if it was made from the same `files` (size and time of change) and `parameters`, or
    /// if files are gone; else what `make` makes, which is then kept.
    pub fn get<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        files: &[Option<&Path>],
        parameters: &impl Serialize,
        make: impl FnOnce() -> T,
    ) -> T {
        let path = self.folder.join(format!("{name}.json"));
        let (key, complete) = key(files, parameters);
        let kept = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Kept<T>>(&text).ok());
        if let Some(kept) = kept.filter(|k| !complete || (k.key == key && !self.force)) {
            return kept.made;
        }
        let kept = Kept { key, made: make() };
        // A figure that cannot be kept is drawn again next time: no reason to fail.
        if let Ok(text) = serde_json::to_vec(&kept)
            && std::fs::create_dir_all(&self.folder).is_ok()
            && let Err(e) = write_atomically(&path, &text)
        {
            tracing::debug!("figure not kept: {e}");
        }
        kept.made
    }
}

/// A digest of what a figure depends on, and whether all the files are there.
fn key(files: &[Option<&Path>], parameters: &impl Serialize) -> (String, bool) {
    let mut digest = Sha256::new();
    digest.update(DRAWING.to_le_bytes());
    digest.update(serde_json::to_vec(parameters).unwrap_or_default());
    let mut complete = true;
    for path in files.iter().flatten() {
        digest.update(path.as_os_str().as_encoded_bytes());
        match std::fs::metadata(path) {
            Ok(m) => {
                let time =
                    m.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).map_or(0, |d| d.as_nanos());
                digest.update(m.len().to_le_bytes());
                digest.update(time.to_le_bytes());
            }
            Err(_) => complete = false,
        }
    }
    (digest.finalize().iter().map(|b| format!("{b:02x}")).collect(), complete)
}

/// Without its caption, for the small maps that only lead to the large ones.
fn bare(figure: Figure) -> Figure {
    Figure { caption: String::new(), ..figure }
}

/// The figures of one attempt at a round.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoundFigures {
    /// Restored image, residual and model with the mask's outline; large.
    pub image: Option<Figure>,
    /// See `image`.
    pub residual: Option<Figure>,
    /// See `image`.
    pub model: Option<Figure>,
    /// The same without axes, small.
    pub small: Vec<(String, Figure)>,
    /// Close-ups round the peak.
    pub zoom_image: Option<Figure>,
    /// See `zoom_image`.
    pub zoom_residual: Option<Figure>,
    /// What the mask gained, kept and lost.
    pub mask_change: Option<Figure>,
    /// Image and residual of the last accepted round before, on this round's scale.
    pub before_image: Option<Figure>,
    /// See `before_image`.
    pub before_residual: Option<Figure>,
    /// Channels of a cube, with their numbers.
    pub channels: Vec<(usize, Figure)>,
    /// Peak's position and beam, in words.
    pub facts: Vec<(String, String)>,
    /// Files that could not be drawn, and why.
    pub problems: Vec<String>,
}

/// What decides the colours of image and residual.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Noise, Jy/beam.
    pub rms: f64,
    /// Peak, Jy/beam.
    pub peak: f64,
    /// Channel that is shown.
    pub channel: usize,
}

impl Levels {
    fn image(self) -> Scale {
        let rms = self.rms.max(f64::MIN_POSITIVE);
        Scale::Asinh { low: -IMAGE_LOW_SIGMAS * rms, high: self.peak.max(10.0 * rms), soft: IMAGE_SOFT_SIGMAS * rms }
    }

    fn residual(self) -> Scale {
        let high = RESIDUAL_SIGMAS * self.rms.max(f64::MIN_POSITIVE);
        Scale::Linear { low: -high, high }
    }
}

/// Levels of a round from its metrics, or measured on its image where it has none.
pub fn levels(folder: &Path, round: &RoundRecord) -> Option<Levels> {
    if let Some(m) = round.metrics.as_ref().filter(|m| m.rms > 0.0 && m.peak > 0.0) {
        return Some(Levels { rms: m.rms, peak: m.peak, channel: m.peak_channel });
    }
    let products = round.products.as_ref()?;
    let plane = Plane::read(&folder.join(&products.image), 0).ok()?;
    Some(measure(&plane.pixels))
}

fn measure(pixels: &Array2<f32>) -> Levels {
    let flat = pixels.as_slice().expect("read in standard layout");
    let rms = median_and_mad(flat, |i| flat[i] != 0.0).map_or(0.0, |s| s.sigma());
    let peak = flat.iter().copied().filter(|v| v.is_finite()).fold(0f32, f32::max);
    Levels { rms, peak: f64::from(peak), channel: 0 }
}

/// Name of an attempt in files and links: `round-02`, or `round-02-attempt-2`.
pub fn page_name(round: &RoundRecord) -> String {
    if round.attempt > 1 {
        format!("round-{:02}-attempt-{}", round.round, round.attempt)
    } else {
        format!("round-{:02}", round.round)
    }
}

/// Words for an attempt: `round 2`, or `round 2, attempt 2`.
pub fn round_words(round: &RoundRecord) -> String {
    if round.attempt > 1 {
        format!("round {}, attempt {}", round.round, round.attempt)
    } else {
        format!("round {}", round.round)
    }
}

/// All figures of attempt `index` of `dataset`; paths of the record are relative to `folder`.
pub fn of_round(store: &Store, folder: &Path, dataset: &DatasetRecord, index: usize) -> RoundFigures {
    let round = &dataset.rounds[index];
    let Some(products) = &round.products else { return RoundFigures::default() };
    let at = |path: &Path| folder.join(path);
    let (image, residual, model) = (at(&products.image), at(&products.residual), at(&products.model));
    let mask = round.mask.as_ref().map(|m| at(&m.path));
    let before = dataset.accepted_before(index).filter(|b| b.products.is_some());
    let before_products = before.and_then(|b| b.products.as_ref());
    let before_image = before_products.map(|p| at(&p.image));
    let before_residual = before_products.map(|p| at(&p.residual));
    let before_mask = before.and_then(|b| b.mask.as_ref()).map(|m| at(&m.path));
    let numbers = round.metrics.as_ref().map(|m| (m.rms, m.peak, m.peak_pixel, m.peak_channel));
    let files =
        [Some(&image), Some(&residual), Some(&model), mask.as_ref(), before_image.as_ref(), before_residual.as_ref()];
    let files = files.map(|f| f.map(PathBuf::as_path));
    store.get(&page_name(round), &files, &(numbers, before.map(page_name), &before_mask), || {
        let mut out = RoundFigures::default();
        let Some(levels) = levels(folder, round) else {
            out.problems.push(format!("{} cannot be drawn: no finite pixel, or not readable", image.display()));
            return out;
        };
        let words = round_words(round);
        let mask = mask.as_ref().and_then(|path| out.read(map::read_mask(path, levels.channel)));
        let before_mask = before_mask.as_ref().and_then(|path| map::read_mask(path, levels.channel).ok());
        let peak_pixel = round.metrics.as_ref().map(|m| m.peak_pixel);
        // One plane in memory after the other: images may be large.
        if let Some(plane) = out.read(Plane::read(&image, levels.channel)) {
            out.draw_image(&plane, levels, mask.as_ref(), before_mask.as_ref(), peak_pixel, &words);
        }
        if let Some(plane) = out.read(Plane::read(&residual, levels.channel)) {
            let style = Style {
                what: What::Residual,
                scale: levels.residual(),
                max_side: LARGE,
                window: plane.window(),
                mask: mask.as_ref(),
                axes: true,
                alt: &format!("Residual of {words}"),
            };
            out.residual = Some(map::draw(&plane, &style));
            out.small.push((
                "residual".into(),
                bare(map::draw(&plane, &Style { max_side: SMALL, axes: false, ..style.clone() })),
            ));
            if let Some([x, y]) = peak_pixel {
                let window = zoom_window(&plane, x, y);
                let alt = format!("Close-up of the residual of {words} round the peak of the image");
                out.zoom_residual = Some(map::draw(&plane, &Style { window, alt: &alt, ..style }));
            }
        }
        if let Some(plane) = out.read(Plane::read(&model, levels.channel)) {
            let high = plane.pixels.iter().filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()));
            let high = if high > 0.0 { f64::from(high) } else { levels.rms };
            let style = Style {
                what: What::Model,
                scale: Scale::Asinh { low: -high, high, soft: MODEL_SOFT * high },
                max_side: LARGE,
                window: plane.window(),
                mask: mask.as_ref(),
                axes: true,
                alt: &format!("CLEAN model of {words}"),
            };
            out.model = Some(map::draw(&plane, &style));
            out.small.push(("model".into(), bare(map::draw(&plane, &Style { max_side: SMALL, axes: false, ..style }))));
        }
        drop(mask);
        if let Some(b) = before {
            let words = round_words(b);
            let mask = before_mask.as_ref();
            out.before_image = before_image
                .as_ref()
                .and_then(|path| frame(path, What::Image, levels, mask, LARGE, &format!("Restored image of {words}")));
            out.before_residual = before_residual
                .as_ref()
                .and_then(|path| frame(path, What::Residual, levels, mask, LARGE, &format!("Residual of {words}")));
        }
        let separate: Vec<PathBuf> = products.channels.iter().map(|c| at(&c.image)).collect();
        out.channels = channel_maps(&image, &separate, round.mask.as_ref().map(|m| at(&m.path)).as_deref(), levels);
        out
    })
}

impl RoundFigures {
    /// The value, or a note of the problem.
    fn read<T>(&mut self, result: Result<T, ImageError>) -> Option<T> {
        result.map_err(|e| self.problems.push(e.to_string())).ok()
    }

    fn draw_image(
        &mut self,
        plane: &Plane,
        levels: Levels,
        mask: Option<&Array2<bool>>,
        before_mask: Option<&Array2<bool>>,
        peak_pixel: Option<[usize; 2]>,
        words: &str,
    ) {
        let style = Style {
            what: What::Image,
            scale: levels.image(),
            max_side: LARGE,
            window: plane.window(),
            mask,
            axes: true,
            alt: &format!("Restored image of {words}, peak {}", with_unit(levels.peak, "Jy/beam")),
        };
        self.image = Some(map::draw(plane, &style));
        self.small
            .push(("image".into(), bare(map::draw(plane, &Style { max_side: SMALL, axes: false, ..style.clone() }))));
        if let Some(words) = &plane.beam_words {
            self.facts.push(("beam".into(), words.clone()));
        }
        if let Some(hz) = plane.frequency_hz.filter(|f| *f > 0.0) {
            let mhz = super::numbers::significant(hz / HZ_PER_MHZ, 7);
            self.facts.push(("frequency".into(), format!("{mhz} MHz")));
        }
        if let Some([x, y]) = peak_pixel {
            let place =
                plane.position(x, y).map_or_else(|| format!("pixel {x}, {y}"), |p| format!("{p} (pixel {x}, {y})"));
            self.facts.push(("peak at".into(), place));
            let alt = format!("Close-up of the image of {words} round its peak");
            let window = zoom_window(plane, x, y);
            self.zoom_image = Some(map::draw(plane, &Style { window, alt: &alt, ..style }));
        }
        if let Some(mask) = mask {
            let alt = format!("Mask of {words} against the last accepted round's: added, kept and removed pixels");
            self.mask_change = map::draw_mask_change(plane, levels.image(), before_mask, mask, MEDIUM, &alt);
        }
    }
}

fn zoom_window(plane: &Plane, x: usize, y: usize) -> Window {
    let (ny, nx) = plane.pixels.dim();
    let side = plane.beam.map_or(ZOOM_PIXELS.1, |b| (ZOOM_BEAMS * b.major).round() as usize);
    Window::around(x.min(nx - 1), y.min(ny - 1), side.clamp(ZOOM_PIXELS.0, ZOOM_PIXELS.1), (ny, nx))
}

fn frame(
    path: &Path,
    what: What,
    levels: Levels,
    mask: Option<&Array2<bool>>,
    max_side: usize,
    alt: &str,
) -> Option<Figure> {
    let plane = Plane::read(path, levels.channel).ok()?;
    let scale = if what == What::Image { levels.image() } else { levels.residual() };
    Some(map::draw(&plane, &Style { what, scale, max_side, window: plane.window(), mask, axes: true, alt }))
}

/// Channels of a cube, or those beside an image of the whole band (`separate`), side by side on one scale; nothing for
/// a plane alone.
fn channel_maps(image: &Path, separate: &[PathBuf], mask: Option<&Path>, levels: Levels) -> Vec<(usize, Figure)> {
    let Ok(planes) = FitsImage::open(image).map(|f| f.channels()) else { return Vec::new() };
    let count = planes.max(separate.len());
    if count < 2 {
        return Vec::new();
    }
    let shown = count.min(MAX_CHANNEL_MAPS);
    (0..shown)
        .filter_map(|i| {
            let channel = if shown > 1 { i * (count - 1) / (shown - 1) } else { 0 };
            let plane = match separate.get(channel) {
                Some(path) if planes < 2 => Plane::read(path, 0).ok()?,
                _ => Plane::read(image, channel).ok()?,
            };
            let mask = mask.and_then(|path| map::read_mask(path, channel).ok());
            let alt = format!("Channel {channel}");
            let style = Style {
                what: What::Image,
                scale: levels.image(),
                max_side: SMALL / 2,
                window: plane.window(),
                mask: mask.as_ref(),
                axes: false,
                alt: &alt,
            };
            Some((channel, map::draw(&plane, &style)))
        })
        .collect()
}

/// Image and residual of an attempt on a scale that all attempts share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlinkFrames {
    /// Restored image.
    pub image: Option<Figure>,
    /// Residual.
    pub residual: Option<Figure>,
}

/// The frames of one attempt for the overview.
pub fn blink(store: &Store, folder: &Path, round: &RoundRecord, shared: Levels) -> BlinkFrames {
    let Some(products) = &round.products else { return BlinkFrames::default() };
    let (image, residual) = (folder.join(&products.image), folder.join(&products.residual));
    let mask = round.mask.as_ref().map(|m| folder.join(&m.path));
    let files = [Some(image.as_path()), Some(residual.as_path()), mask.as_deref()];
    store.get(&format!("{}-blink", page_name(round)), &files, &shared, || {
        let words = round_words(round);
        let mask = mask.as_ref().and_then(|path| map::read_mask(path, shared.channel).ok());
        let draw = |path: &Path, what, alt: String| frame(path, what, shared, mask.as_ref(), MEDIUM, &alt);
        BlinkFrames {
            image: draw(&image, What::Image, format!("Restored image of {words}")),
            residual: draw(&residual, What::Residual, format!("Residual of {words}")),
        }
    })
}

/// Which accepted round first had each pixel of the last accepted round's mask.
pub fn mask_history(store: &Store, folder: &Path, rounds: &[&RoundRecord], levels: Levels) -> Option<Figure> {
    let image = folder.join(&rounds.last()?.products.as_ref()?.image);
    let masks: Vec<PathBuf> = rounds.iter().filter_map(|r| Some(folder.join(&r.mask.as_ref()?.path))).collect();
    let mut files = vec![Some(image.as_path())];
    files.extend(masks.iter().map(|m| Some(m.as_path())));
    store.get("mask-history", &files, &levels, || {
        let plane = Plane::read(&image, levels.channel).ok()?;
        let planes = masks.iter().map(|m| map::read_mask(m, levels.channel).ok()).collect::<Option<Vec<_>>>()?;
        map::draw_mask_history(&plane, levels.image(), &planes, MEDIUM, "Mask by the round that first had each pixel")
    })
}

/// The residual of one major cycle with its mask, small.
pub fn of_cycle(
    store: &Store,
    folder: &Path,
    round: &RoundRecord,
    cycle: &CycleRecord,
    levels: Levels,
) -> Option<Figure> {
    let residual = folder.join(cycle.residual.as_ref()?);
    let mask = cycle.mask.as_ref().map(|m| folder.join(m));
    let name = format!("{}-cycle-{:03}", page_name(round), cycle.cycle);
    store.get(&name, &[Some(residual.as_path()), mask.as_deref()], &levels, || {
        let plane = Plane::read(&residual, levels.channel).ok()?;
        let mask = mask.as_ref().and_then(|path| map::read_mask(path, levels.channel).ok());
        let alt = format!("Residual and mask of major cycle {}", cycle.cycle);
        let style = Style {
            what: What::Residual,
            scale: levels.residual(),
            max_side: SMALL,
            window: plane.window(),
            mask: mask.as_ref(),
            axes: false,
            alt: &alt,
        };
        Some(map::draw(&plane, &style))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_kept_until_their_files_change_and_outlive_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.fits");
        std::fs::write(&file, "one").unwrap();
        let get = |store: &Store, made: &str| store.get("name", &[Some(file.as_path()), None], &1, || made.to_string());
        let store = Store::new(folder.path().join("kept"), false);
        assert_eq!(get(&store, "first"), "first");
        assert_eq!(get(&store, "second"), "first");
        std::fs::write(&file, "another").unwrap();
        assert_eq!(get(&store, "third"), "third");
        let forced = Store::new(folder.path().join("kept"), true);
        assert_eq!(get(&forced, "fourth"), "fourth");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(get(&forced, "fifth"), "fourth", "the file is gone: the kept figure is all there is");
    }
}
