//! Makes the pictures of docs/masking.md from golden images: `cargo run --example mask_pictures [FOLDER]`.
//!
//! Each picture has three panels: the image, seeds (yellow) on the floor (blue), and the mask's outline on the image.

use cleanloop::image::{FitsImage, PixelBeam};
use cleanloop::masking::flint::mac::{MacOptions, mac_seeds};
use cleanloop::masking::flint::seeds::{SeedsAndFloor, rows_of, snr_seeds};
use cleanloop::masking::{MaskBits, MaskingOptions, make_mask, to_signal};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use ndarray::{Array2, s};
use std::path::{Path, PathBuf};

/// Screen pixels per image pixel.
const ZOOM: usize = 2;
/// Screen pixels between panels.
const GAP: usize = 6;
/// Steps of grey: fewer than the eye tells apart make small files.
const GREY_STEP: u8 = 8;
/// Colours of the outlines of scales 0, 1, 2, ...
const OUTLINES: [[u8; 3]; 4] = [[255, 70, 60], [255, 200, 0], [90, 220, 90], [80, 170, 255]];

/// An image, its maps and its beam.
struct Field {
    image: Array2<f32>,
    maps: Option<(Array2<f32>, Array2<f32>)>,
    beam: Option<PixelBeam>,
}

impl Field {
    fn read(folder: &Path, name: &str, with_maps: bool) -> Self {
        let open =
            |suffix: &str| FitsImage::open(folder.join(format!("{name}{suffix}.fits.gz"))).expect("golden image");
        let plane = |suffix: &str| open(suffix).read_plane(0, 0).expect("golden image");
        let image = open("");
        let beam = image.beam().map(|b| b.in_pixels(image.pixel_deg().expect("square pixels")));
        Self { image: plane(""), maps: with_maps.then(|| (plane("_bkg"), plane("_rms"))), beam }
    }

    fn mask(&self, options: &MaskingOptions) -> MaskBits {
        let (background, rms) = self.maps.as_ref().map(|(b, r)| (b.view(), r.view())).unzip();
        make_mask(self.image.view(), background, rms, self.beam.as_ref(), options).expect("good options").mask
    }

    fn seeds(&self, options: &MaskingOptions) -> SeedsAndFloor {
        match (&self.maps, options.flood_fill_use_mac) {
            (Some((background, rms)), false) => {
                let mut signal = self.image.clone();
                to_signal(&mut signal, background.view(), rms.view()).expect("same shapes");
                let (seed, flood) = (options.flood_fill_positive_seed_clip, options.flood_fill_positive_flood_clip);
                let Ok(clipped) = snr_seeds(signal.dim(), &rows_of(signal.view()), seed, flood, &[]);
                clipped.found
            }
            _ => mac_seeds(self.image.view(), &MacOptions::from(options)),
        }
    }

    /// Three panels of the `side` x `side` pixels from `(y, x)` on.
    fn picture(&self, path: PathBuf, options: &MaskingOptions, (y, x): (usize, usize), side: usize) {
        let cut = s![y..y + side, x..x + side];
        let grey = stretched(&self.image);
        let found = self.seeds(options);
        let mask = self.mask(options);
        let wide = side * ZOOM;
        let mut picture = RgbImage::from_pixel((3 * wide + 2 * GAP) as u32, wide as u32, Rgb([255, 255, 255]));
        let mut panel = |number: usize, colour: &dyn Fn(usize, usize) -> [u8; 3]| {
            for j in 0..wide {
                for i in 0..wide {
                    // FITS rows count upwards.
                    let at = ((number * (wide + GAP) + i) as u32, (wide - 1 - j) as u32);
                    picture.put_pixel(at.0, at.1, Rgb(colour(j, i)));
                }
            }
        };
        let shades = grey.slice(cut);
        let shade = |j: usize, i: usize| [shades[[j / ZOOM, i / ZOOM]]; 3];
        panel(0, &shade);
        let (seeds, floor) = (found.seeds.to_bools(), found.floor.to_bools());
        let (seeds, floor) = (seeds.slice(cut), floor.slice(cut));
        panel(1, &|j, i| match (seeds[[j / ZOOM, i / ZOOM]], floor[[j / ZOOM, i / ZOOM]]) {
            (true, _) => [255, 214, 60],
            (_, true) => [60, 110, 200],
            _ => shade(j, i).map(|v| v / 4),
        });
        let planes: Vec<Array2<bool>> = (0..options.bits()).map(|n| mask.plane(n).slice(cut).to_owned()).collect();
        panel(2, &|j, i| {
            let edge = |plane: &Array2<bool>| {
                let inside = |j: usize, i: usize| plane.get((j / ZOOM, i / ZOOM)).copied().unwrap_or(false);
                inside(j, i)
                    && !(inside(j + 1, i) && inside(j, i + 1) && j > 0 && i > 0 && inside(j - 1, i) && inside(j, i - 1))
            };
            planes.iter().rposition(edge).map_or_else(|| shade(j, i), |n| OUTLINES[n % OUTLINES.len()])
        });
        let file = std::fs::File::create(&path).expect("the folder can be written");
        PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::NoFilter)
            .write_image(&picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
            .expect("the folder can be written");
        println!("{}: {} pixels masked in the whole image", path.display(), mask.masked_pixels());
    }
}

/// Shades of grey, inverse hyperbolic sine above the noise.
fn stretched(image: &Array2<f32>) -> Array2<u8> {
    let mut sorted: Vec<f32> = image.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f32::total_cmp);
    let sigma = (sorted[sorted.len() / 2] - sorted[sorted.len() * 16 / 100]).max(f32::MIN_POSITIVE);
    let scale = |v: f32| (v / (3.0 * sigma)).asinh();
    let (low, high) = (scale(-4.0 * sigma), scale(60.0 * sigma));
    image.mapv(|v| (255.0 * ((scale(v) - low) / (high - low)).clamp(0.0, 1.0)) as u8 / GREY_STEP * GREY_STEP)
}

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = std::env::args().nth(1).map_or_else(|| here.join("docs/img"), PathBuf::from);
    let inputs = here.join("tests/data/golden/flint/inputs");
    let quiet = Field::read(&inputs, "sim_a", true);
    let bright = Field::read(&inputs, "sim_b", false);
    let flood = MaskingOptions { flood_fill: true, ..MaskingOptions::default() };
    let mac = MaskingOptions {
        flood_fill_use_mac: true,
        flood_fill_positive_seed_clip: 1.2,
        flood_fill_positive_flood_clip: 0.8,
        ..flood.clone()
    };
    let whole = |field: &Field| field.image.nrows().min(field.image.ncols());
    let draw = |field: &Field, name: &str, options: &MaskingOptions| {
        let side = whole(field).min(200);
        let corner = ((field.image.nrows() - side) / 2, (field.image.ncols() - side) / 2);
        field.picture(out.join(format!("mask-{name}.png")), options, corner, side);
    };
    draw(&quiet, "snr", &flood);
    let islands = MaskingOptions { grow_low_snr_island: true, grow_low_snr_island_size: 120, ..flood.clone() };
    draw(&quiet, "low-snr-islands", &islands);
    draw(&quiet, "mac-of-snr-field", &mac);
    draw(&bright, "mac", &mac);
    let small = MaskingOptions { flood_fill_use_mac_box_size: 31, ..mac.clone() };
    draw(&bright, "mac-small-box", &small);
    let adaptive = MaskingOptions {
        flood_fill_use_mac_adaptive_max_depth: Some(4),
        flood_fill_use_mac_adaptive_skew_delta: 0.025,
        ..small
    };
    draw(&bright, "mac-adaptive", &adaptive);
    let scales = Some(vec![0, 8, 16, 32]);
    let eroded = MaskingOptions {
        beam_shape_erode: true,
        beam_shape_erode_scales: scales.clone(),
        flood_fill_positive_flood_clip: 0.6,
        ..mac.clone()
    };
    draw(&bright, "erosion", &eroded);
    let first = MaskingOptions {
        convolve_first: true,
        beam_shape_erode_scales: scales,
        flood_fill_positive_seed_clip: 1.02,
        flood_fill_positive_flood_clip: 0.15,
        ..mac
    };
    draw(&bright, "convolve-first", &first);
}
