//! Masks put together, tidied up, and listed island by island.

use super::regions::Region;
use crate::image::{CelestialWcs, Frame, SkyPosition};
use crate::kernels::{Connectivity, binary_dilation, fill_holes, label, remove_small_islands};
use ndarray::{Array2, ArrayView2, Zip};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rule that combines several masks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Pixels masked in any.
    #[default]
    Union,
    /// Pixels masked in all.
    Intersection,
    /// Pixels masked in the first and in none of the others.
    Difference,
}

impl Operation {
    /// Takes the next mask into `mask` (both `[y, x]`).
    ///
    /// # Panics
    /// When the shapes differ.
    pub fn apply(self, mask: &mut Array2<bool>, next: ArrayView2<'_, bool>) {
        let rule: fn(bool, bool) -> bool = match self {
            Self::Union => |a, b| a | b,
            Self::Intersection => |a, b| a & b,
            Self::Difference => |a, b| a & !b,
        };
        Zip::from(mask).and(next).par_for_each(|a, &b| *a = rule(*a, b));
    }
}

/// Steps that tidy up a mask after masks and regions were put together, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[command(next_help_heading = "Tidying up (in this order)")]
pub struct TidyOptions {
    /// Fill holes: unmasked pixels that are enclosed by masked ones (holes are 4-connected).
    #[arg(long)]
    pub fill_holes: bool,

    /// Remove islands (8-connected) with fewer pixels than this.
    #[arg(long, value_name = "PIXELS")]
    pub minimum_size: Option<usize>,

    /// Dilate by this many pixels (3 x 3 square, once a pixel).
    #[arg(long, value_name = "PIXELS")]
    pub dilate: Option<usize>,

    /// Invert: what was masked is not, and the other way round.
    #[arg(long)]
    pub invert: bool,
}

impl TidyOptions {
    /// Applies them to a mask, `[y, x]`.
    pub fn apply(&self, mask: &mut Array2<bool>) {
        if self.fill_holes {
            fill_holes(mask);
        }
        if let Some(least) = self.minimum_size {
            remove_small_islands(mask, least, Connectivity::Eight);
        }
        if let Some(pixels) = self.dilate {
            *mask = binary_dilation(mask.view(), Connectivity::Eight, pixels);
        }
        if self.invert {
            mask.par_mapv_inplace(|m| !m);
        }
    }
}

/// Keeps, or drops, the islands (8-connected) that share a pixel with `probe`.
///
/// ```text
/// mask # # . #    probe . # . .    keep # # . .    drop . . . #
///      . . . #          . . # .         . . . .         . . . #
/// ```
pub fn select_islands(mask: &mut Array2<bool>, probe: ArrayView2<'_, bool>, keep: bool) {
    let islands = label(mask.view(), Connectivity::Eight);
    let mut touched = vec![false; islands.count() + 1];
    Zip::from(&islands.labels).and(probe).for_each(|&l, &p| touched[l as usize] |= p);
    Zip::from(mask).and(&islands.labels).for_each(|m, &l| *m &= touched[l as usize] == keep);
}

/// Regions that may only take away: a pixel is false where an included region (or the image, if there is none) less
/// the excluded ones covers it.
///
/// # Errors
/// As [`super::regions::rasterise`].
pub fn veto(
    mask: &mut Array2<bool>,
    regions: &[Region],
    wcs: Option<&CelestialWcs>,
) -> Result<(), super::regions::RegionError> {
    let vetoed = super::regions::rasterise(regions, wcs, mask.dim())?;
    Operation::Difference.apply(mask, vetoed.view());
    Ok(())
}

/// An island of a mask. Pixel coordinates are 0-based.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Island {
    /// Number, from 1, in the raster order of first pixels.
    pub number: usize,
    /// Number of pixels.
    pub pixels: usize,
    /// Mean position of its pixels.
    pub x: f64,
    /// Mean position of its pixels.
    pub y: f64,
    /// Right ascension of that position, degrees (in the image's frame; ICRS for a galactic one).
    pub ra_deg: Option<f64>,
    /// Declination of that position, degrees.
    pub dec_deg: Option<f64>,
    /// First and last column.
    pub columns: [usize; 2],
    /// First and last row.
    pub rows: [usize; 2],
    /// Brightest pixel of the image, in its unit (Jy/beam).
    pub peak: Option<f64>,
    /// Column and row of that pixel.
    pub peak_pixel: Option<[usize; 2]>,
    /// Sum of the image's pixels over the beam's area (Jy).
    pub flux: Option<f64>,
}

/// Lists the islands (8-connected) of a mask, with the image's peak and integrated flux in each.
///
/// `beam_area` is in pixels; without it there is no flux. Pixels of the image that are not finite do not count.
pub fn islands(
    mask: ArrayView2<'_, bool>,
    image: Option<ArrayView2<'_, f32>>,
    beam_area: Option<f64>,
    wcs: Option<&CelestialWcs>,
) -> Vec<Island> {
    #[derive(Clone)]
    struct Sums {
        count: usize,
        x: f64,
        y: f64,
        columns: [usize; 2],
        rows: [usize; 2],
        flux: f64,
        peak: Option<(f32, [usize; 2])>,
    }
    let islands = label(mask, Connectivity::Eight);
    let blank =
        Sums { count: 0, x: 0.0, y: 0.0, columns: [usize::MAX, 0], rows: [usize::MAX, 0], flux: 0.0, peak: None };
    let mut sums = vec![blank; islands.count()];
    for ((y, x), &number) in islands.labels.indexed_iter().filter(|(_, l)| **l > 0) {
        let island = &mut sums[number as usize - 1];
        island.count += 1;
        island.x += x as f64;
        island.y += y as f64;
        island.columns = [island.columns[0].min(x), island.columns[1].max(x)];
        island.rows = [island.rows[0].min(y), island.rows[1].max(y)];
        if let Some(v) = image.as_ref().map(|i| i[[y, x]]).filter(|v| v.is_finite()) {
            island.flux += f64::from(v);
            if island.peak.is_none_or(|(best, _)| v > best) {
                island.peak = Some((v, [x, y]));
            }
        }
    }
    sums.into_par_iter()
        .enumerate()
        .map(|(i, s)| {
            let (x, y) = (s.x / s.count as f64, s.y / s.count as f64);
            let sky: Option<SkyPosition> = wcs.and_then(|w| {
                let position = w.pixel_to_sky(x, y)?;
                Some(if w.frame() == Frame::Galactic {
                    position.in_frame(Frame::Galactic, Frame::Icrs)
                } else {
                    position
                })
            });
            Island {
                number: i + 1,
                pixels: s.count,
                x,
                y,
                ra_deg: sky.map(|p| p.lon_deg),
                dec_deg: sky.map(|p| p.lat_deg),
                columns: s.columns,
                rows: s.rows,
                peak: s.peak.map(|p| f64::from(p.0)),
                peak_pixel: s.peak.map(|p| p.1),
                flux: s.peak.and(beam_area).map(|area| s.flux / area),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::picture::{draw, mask};
    use ndarray::array;
    use rstest::rstest;

    #[rstest]
    #[case(Operation::Union, [".###"])]
    #[case(Operation::Intersection, ["..#."])]
    #[case(Operation::Difference, [".#.."])]
    fn two_masks_become_one(#[case] operation: Operation, #[case] expected: [&str; 1]) {
        let mut a = mask(&[".##."]);
        operation.apply(&mut a, mask(&["..##"]).view());
        assert_eq!(draw(a.view()), expected);
    }

    #[test]
    fn tidying_goes_in_its_order() {
        let rows = ["###....", "#.#...#", "###...."];
        let tidy = |options: TidyOptions| {
            let mut m = mask(&rows);
            options.apply(&mut m);
            draw(m.view())
        };
        let base = TidyOptions::default();
        assert_eq!(tidy(base.clone()), rows);
        // The hole counts for the size: 9 pixels, not 8.
        let filled = TidyOptions { fill_holes: true, minimum_size: Some(9), ..base.clone() };
        assert_eq!(tidy(filled.clone()), ["###....", "###....", "###...."]);
        assert_eq!(tidy(TidyOptions { minimum_size: Some(9), ..base }), [".......", ".......", "......."]);
        // Removed before dilation, inverted last.
        let all = TidyOptions { dilate: Some(2), invert: true, ..filled };
        assert_eq!(tidy(all), [".....##", ".....##", ".....##"]);
    }

    #[test]
    fn islands_are_kept_or_dropped_whole() {
        let (rows, probe) = (["##.#", "...#"], mask(&[".#..", "..#."]));
        let select = |keep| {
            let mut m = mask(&rows);
            select_islands(&mut m, probe.view(), keep);
            draw(m.view())
        };
        assert_eq!(select(true), ["##..", "...."]);
        assert_eq!(select(false), ["...#", "...#"]);
    }

    #[test]
    fn islands_are_measured() {
        let m = mask(&["##..#", "....#"]);
        let image = array![[1f32, 3., 9., 9., f32::NAN], [9., 9., 9., 9., -2.]];
        let list = islands(m.view(), Some(image.view()), Some(2.0), None);
        assert_eq!(list.len(), 2);
        let (a, b) = (&list[0], &list[1]);
        assert_eq!((a.number, a.pixels, a.x, a.y, a.columns, a.rows), (1, 2, 0.5, 0.0, [0, 1], [0, 0]));
        assert_eq!((a.peak, a.peak_pixel, a.flux, a.ra_deg), (Some(3.0), Some([1, 0]), Some(2.0), None));
        assert_eq!((b.pixels, b.x, b.y, b.peak, b.flux), (2, 4.0, 0.5, Some(-2.0), Some(-1.0)));
        let bare = islands(m.view(), None, Some(2.0), None);
        assert_eq!((bare[0].peak, bare[0].flux), (None, None));
    }

    #[test]
    fn a_veto_only_takes_away() {
        let regions = crate::masking::regions::parse("image\nbox(1,1,3,9)", std::path::Path::new("a.reg")).unwrap();
        let mut m = mask(&[".###", "####"]);
        veto(&mut m, &regions, None).unwrap();
        assert_eq!(draw(m.view()), ["..##", "..##"]);
    }
}
