//! Maps as small pictures: made smaller, stretched, coloured, and packed as PNG with a palette.

use base64::Engine;
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// Colours of a palette; the last entry of a picture's palette is transparent: no data.
pub(crate) const LEVELS: usize = 96;

/// Rule by which several pixels become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduce {
    /// The brightest: faint point sources stay visible.
    Max,
    /// Their mean: diffuse structure in the noise stays visible.
    Mean,
    /// The one farthest from zero.
    Extreme,
}

/// A smaller `plane` (`[y, x]`): blocks of `factor` x `factor` pixels become one; NaN is left out.
///
/// ```text
/// 1 2 | 3          max, factor 2:   5 | 6
/// 4 5 | 6    ->                    ---+---
/// ----+---                          8 | 9
/// 7 8 | 9
/// ```
pub(crate) fn reduce(plane: ArrayView2<'_, f32>, factor: usize, how: Reduce) -> Array2<f32> {
    if factor <= 1 {
        return plane.to_owned();
    }
    let (ny, nx) = plane.dim();
    let (my, mx) = (ny.div_ceil(factor), nx.div_ceil(factor));
    let rows: Vec<Vec<f32>> = (0..my)
        .into_par_iter()
        .map(|by| {
            let rows = by * factor..((by + 1) * factor).min(ny);
            let mut best = vec![f32::NAN; mx];
            let mut sums = vec![(0f64, 0u32); if how == Reduce::Mean { mx } else { 0 }];
            for y in rows {
                for (x, &v) in plane.row(y).iter().enumerate() {
                    if v.is_nan() {
                        continue;
                    }
                    let b = &mut best[x / factor];
                    match how {
                        Reduce::Max => *b = b.max(v),
                        Reduce::Extreme if b.is_nan() || v.abs() > b.abs() => *b = v,
                        Reduce::Extreme => {}
                        Reduce::Mean => {
                            let s = &mut sums[x / factor];
                            s.0 += f64::from(v);
                            s.1 += 1;
                        }
                    }
                }
            }
            for (b, (sum, n)) in best.iter_mut().zip(sums) {
                if n > 0 {
                    *b = (sum / f64::from(n)) as f32;
                }
            }
            best
        })
        .collect();
    Array2::from_shape_vec((my, mx), rows.concat()).expect("my rows of mx pixels")
}

/// A smaller mask: a block is set when any of its pixels is.
pub(crate) fn reduce_mask(mask: ArrayView2<'_, bool>, factor: usize) -> Array2<bool> {
    let (ny, nx) = mask.dim();
    let factor = factor.max(1);
    let mut small = Array2::from_elem((ny.div_ceil(factor), nx.div_ceil(factor)), false);
    for (y, row) in mask.outer_iter().enumerate() {
        for (x, _) in row.iter().enumerate().filter(|(_, on)| **on) {
            small[(y / factor, x / factor)] = true;
        }
    }
    small
}

/// Each pixel becomes the one farthest from zero among its neighbours within `radius`: single components show.
pub(crate) fn fatten(plane: ArrayView2<'_, f32>, radius: usize) -> Array2<f32> {
    let (ny, nx) = plane.dim();
    let mut out = plane.to_owned();
    for ((y, x), &v) in plane.indexed_iter() {
        if v == 0.0 || v.is_nan() {
            continue;
        }
        for oy in y.saturating_sub(radius)..(y + radius + 1).min(ny) {
            for ox in x.saturating_sub(radius)..(x + radius + 1).min(nx) {
                let o = &mut out[(oy, ox)];
                if !o.is_nan() && v.abs() > o.abs() {
                    *o = v;
                }
            }
        }
    }
    out
}

/// From a value to a place on the colour bar.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum ColourScale {
    /// Linear from `low` (0) to `high` (1).
    Linear {
        /// Value at the lower end.
        low: f64,
        /// Value at the upper end.
        high: f64,
    },
    /// asinh(v / soft), linear within about `soft` of zero and logarithmic beyond.
    Asinh {
        /// Value at the lower end.
        low: f64,
        /// Value at the upper end.
        high: f64,
        /// Where linear turns to logarithmic; positive.
        soft: f64,
    },
}

impl ColourScale {
    /// Value at the lower and the upper end.
    pub(crate) fn ends(self) -> (f64, f64) {
        match self {
            Self::Linear { low, high } | Self::Asinh { low, high, .. } => (low, high),
        }
    }

    fn stretch(self, v: f64) -> f64 {
        match self {
            Self::Linear { .. } => v,
            Self::Asinh { soft, .. } => (v / soft).asinh(),
        }
    }

    /// The value that [`Self::stretch`] takes to `s`.
    fn unstretch(self, s: f64) -> f64 {
        match self {
            Self::Linear { .. } => s,
            Self::Asinh { soft, .. } => s.sinh() * soft,
        }
    }

    /// Place of `v` on the bar, clamped to 0..1.
    pub(crate) fn position(self, v: f64) -> f64 {
        let (low, high) = self.ends();
        let (a, b) = (self.stretch(low), self.stretch(high));
        if b > a { ((self.stretch(v) - a) / (b - a)).clamp(0.0, 1.0) } else { 0.5 }
    }

    /// The lowest value of each colour of a palette but the first, ascending: a pixel that is looked up in them needs no
    /// logarithm.
    fn steps(self) -> [f64; LEVELS - 1] {
        let (low, high) = self.ends();
        let (a, b) = (self.stretch(low), self.stretch(high));
        if b > a {
            std::array::from_fn(|i| self.unstretch(a + (i as f64 + 0.5) / (LEVELS - 1) as f64 * (b - a)))
        } else {
            // Whatever the value, it has the colour in the middle.
            std::array::from_fn(|i| if i < LEVELS / 2 { f64::NEG_INFINITY } else { f64::INFINITY })
        }
    }

    /// Values to be written at the bar, ascending, at least `apart` (in 0..1) from each other.
    pub(crate) fn ticks(self, apart: f64) -> Vec<f64> {
        let (low, high) = self.ends();
        let candidates = match self {
            Self::Linear { .. } => return crate::report::numbers::ticks(low, high, (1.0 / apart) as usize),
            Self::Asinh { .. } => {
                let top = low.abs().max(high.abs()).max(f64::MIN_POSITIVE).log10().ceil() as i32;
                let decades = (top - 7..=top).rev().map(|p| 10f64.powi(p));
                let steps = decades.flat_map(|d| [1.0, 5.0, 2.0].map(|m| m * d));
                std::iter::once(0.0).chain(steps.flat_map(|v| [v, -v])).collect::<Vec<_>>()
            }
        };
        let mut taken: Vec<(f64, f64)> = Vec::new();
        for v in candidates {
            let place = self.position(v);
            if (low..=high).contains(&v) && taken.iter().all(|(p, _)| (p - place).abs() >= apart) {
                taken.push((place, v));
            }
        }
        taken.sort_by(|a, b| a.0.total_cmp(&b.0));
        taken.into_iter().map(|(_, v)| v).collect()
    }
}

/// Which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Colours {
    /// Dark to bright: images.
    Inferno,
    /// Blue, white, red: residuals.
    BlueRed,
    /// Cyan, black, yellow: models with their negative components.
    Signed,
    /// Dark blue to yellow: heat maps and orders.
    Viridis,
    /// White to grey: a quiet background.
    Grey,
}

impl Colours {
    /// The colour at `t` in 0..1.
    pub(crate) fn at(self, t: f64) -> [u8; 3] {
        let t = t.clamp(0.0, 1.0);
        let c = match self {
            Self::Inferno => colorous::INFERNO.eval_continuous(t),
            Self::BlueRed => colorous::RED_BLUE.eval_continuous(1.0 - t),
            Self::Viridis => colorous::VIRIDIS.eval_continuous(t),
            Self::Grey => colorous::GREYS.eval_continuous(0.05 + 0.6 * t),
            Self::Signed if t >= 0.5 => colorous::INFERNO.eval_continuous((t - 0.5) * 2.0),
            Self::Signed => {
                // The mirror image of the bright half, in blue and cyan.
                let c = colorous::INFERNO.eval_continuous((0.5 - t) * 2.0);
                colorous::Color { r: c.b / 3, g: c.g.max(c.r / 2), b: c.r }
            }
        };
        [c.r, c.g, c.b]
    }

    /// All colours, low first.
    pub(crate) fn palette(self) -> Vec<[u8; 3]> {
        (0..LEVELS).map(|i| self.at(i as f64 / (LEVELS - 1) as f64)).collect()
    }
}

/// A picture with a palette, rows from the top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    /// Pixels across.
    pub(crate) width: usize,
    /// Pixels down.
    pub(crate) height: usize,
    /// Index into `palette` of each pixel; `palette.len()` is transparent.
    pub(crate) pixels: Vec<u8>,
    /// Colours.
    pub(crate) palette: Vec<[u8; 3]>,
}

impl Picture {
    /// `plane` (`[y, x]`, y upwards as on the sky) coloured; NaN becomes transparent.
    pub(crate) fn of_plane(plane: ArrayView2<'_, f32>, scale: ColourScale, colours: Colours) -> Self {
        let (height, width) = plane.dim();
        let steps = scale.steps();
        let mut pixels = vec![0u8; width * height];
        pixels.par_chunks_mut(width.max(1)).enumerate().for_each(|(row, line)| {
            for (pixel, &v) in line.iter_mut().zip(plane.row(height - 1 - row)) {
                let colour = if v.is_nan() { LEVELS } else { steps.partition_point(|step| *step <= f64::from(v)) };
                *pixel = colour as u8;
            }
        });
        Self { width, height, pixels, palette: colours.palette() }
    }

    /// All colours in one row, low first.
    pub(crate) fn colour_bar(colours: Colours) -> Self {
        let palette = colours.palette();
        Self { width: palette.len(), height: 1, pixels: (0..palette.len() as u8).collect(), palette }
    }

    /// Only the set pixels of `mask` (`[y, x]`, y upwards) that have an unset neighbour, in one colour.
    pub(crate) fn of_outline(mask: ArrayView2<'_, bool>, colour: [u8; 3]) -> Self {
        let (height, width) = mask.dim();
        let on = |y: isize, x: isize| {
            y >= 0 && x >= 0 && (y as usize) < height && (x as usize) < width && mask[(y as usize, x as usize)]
        };
        let mut pixels = vec![1u8; width * height];
        for ((y, x), _) in mask.indexed_iter().filter(|(_, on)| **on) {
            let (iy, ix) = (y as isize, x as isize);
            if !(on(iy - 1, ix) && on(iy + 1, ix) && on(iy, ix - 1) && on(iy, ix + 1)) {
                pixels[(height - 1 - y) * width + x] = 0;
            }
        }
        Self { width, height, pixels, palette: vec![colour] }
    }

    /// PNG bytes.
    pub(crate) fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width.max(1) as u32, self.height.max(1) as u32);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        let mut palette = self.palette.concat();
        palette.extend([255, 255, 255]);
        let mut alpha = vec![255u8; self.palette.len()];
        alpha.push(0);
        encoder.set_palette(palette);
        encoder.set_trns(alpha);
        // Noise has entropy and no repetitions: looking for them longer takes eight times as long and saves nothing.
        encoder.set_deflate_compression(png::DeflateCompression::Level(1));
        // Neighbouring indices of noise have little to do with each other: filters would only cost.
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header().expect("writing to memory");
        let empty = [self.palette.len() as u8];
        let pixels = if self.pixels.is_empty() { &empty[..] } else { &self.pixels };
        writer.write_image_data(pixels).expect("as many pixels as width x height");
        writer.finish().expect("writing to memory");
        bytes
    }

    /// As a `data:` address.
    pub(crate) fn data_uri(&self) -> String {
        format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(self.png()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// NaN compares as -99.
    fn numbers(plane: &Array2<f32>) -> Array2<f32> {
        plane.mapv(|v| if v.is_nan() { -99.0 } else { v })
    }

    #[test]
    fn blocks_become_pixels() {
        let plane = array![[1f32, 2., 3.], [4., -5., f32::NAN], [7., 9., f32::NAN]];
        let small = |how| numbers(&reduce(plane.view(), 2, how));
        assert_eq!(small(Reduce::Max), array![[4., 3.], [9., -99.]]);
        assert_eq!(small(Reduce::Extreme), array![[-5., 3.], [9., -99.]]);
        assert_eq!(small(Reduce::Mean), array![[0.5, 3.], [8., -99.]]);
        assert_eq!(numbers(&reduce(plane.view(), 1, Reduce::Mean)), numbers(&plane));
        let mask = array![[false, false, true], [false, false, false], [false, false, false]];
        assert_eq!(reduce_mask(mask.view(), 2), array![[false, true], [false, false]]);
    }

    #[test]
    fn single_components_grow() {
        let plane = array![[0f32, 0., 0., 0.], [0., -3., 0., 2.], [0., 0., 0., 0.]];
        assert_eq!(fatten(plane.view(), 1), array![[-3., -3., -3., 2.], [-3., -3., -3., 2.], [-3., -3., -3., 2.]]);
    }

    #[test]
    fn scales_run_from_0_to_1() {
        for scale in
            [ColourScale::Linear { low: -2.0, high: 2.0 }, ColourScale::Asinh { low: -1.0, high: 100.0, soft: 1.0 }]
        {
            let (low, high) = scale.ends();
            assert_eq!((scale.position(low), scale.position(high)), (0.0, 1.0));
            assert_eq!((scale.position(low - 1.0), scale.position(high * 2.0)), (0.0, 1.0));
            let ticks = scale.ticks(0.12);
            assert!(ticks.len() >= 4 && ticks.contains(&0.0), "{ticks:?}");
            assert!(ticks.windows(2).all(|w| w[0] < w[1]));
        }
        assert_eq!(ColourScale::Linear { low: 1.0, high: 1.0 }.position(1.0), 0.5);
    }

    #[rstest::rstest]
    #[case::linear(ColourScale::Linear { low: -2.0, high: 2.0 })]
    #[case::asinh(ColourScale::Asinh { low: -1.0, high: 100.0, soft: 1.0 })]
    #[case::of_one_value(ColourScale::Linear { low: 1.0, high: 1.0 })]
    fn a_pixel_has_the_colour_of_its_place_on_the_bar(#[case] scale: ColourScale) {
        let values = Array2::from_shape_fn((1, 997), |(_, x)| (x as f32 - 300.0) * 0.37);
        let picture = Picture::of_plane(values.view(), scale, Colours::Grey);
        for (&v, &pixel) in values.iter().zip(&picture.pixels) {
            let place = (scale.position(f64::from(v)) * (LEVELS - 1) as f64).round();
            assert_eq!(f64::from(pixel), place, "{v}");
        }
    }

    #[test]
    fn pictures_are_png_with_the_sky_upwards() {
        let plane = array![[0f32, 1.], [f32::NAN, 0.5]];
        let picture = Picture::of_plane(plane.view(), ColourScale::Linear { low: 0.0, high: 1.0 }, Colours::Viridis);
        assert_eq!(picture.pixels, [LEVELS as u8, 48, 0, LEVELS as u8 - 1], "the last row of the array is on top");
        let decoded = image::load_from_memory(&picture.png()).unwrap().to_rgba8();
        assert_eq!(decoded.dimensions(), (2, 2));
        assert_eq!(decoded.get_pixel(0, 0).0[3], 0, "no data is transparent");
        let [r, g, b] = Colours::Viridis.at(1.0);
        assert_eq!(decoded.get_pixel(1, 1).0, [r, g, b, 255]);
        assert!(picture.data_uri().starts_with("data:image/png;base64,iVBOR"));
    }

    #[test]
    fn signed_colours_are_dark_at_zero() {
        assert!(Colours::Signed.at(0.5).iter().all(|c| *c < 10));
        let ([r, _, b], [nr, _, nb]) = (Colours::Signed.at(0.9), Colours::Signed.at(0.1));
        assert!(r > b && nb > nr, "positive is warm, negative is cold");
    }
}
