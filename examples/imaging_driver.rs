//! Images one measurement set with wsclean and a mask of one's own before each major cycle, from Rust.
//!
//! ```sh
//! cargo run --example imaging_driver -- field.ms 1280 1.2asec out
//! ```
//!
//! The loop is the library's; what this example brings is a [`CycleMasks`]: how a mask is made from a residual.

use cleanloop::campaign::file::StopOptions;
use cleanloop::image::{FitsImage, PixelType, write_plane};
use cleanloop::imager::wsclean::{WscleanImager, WscleanOptions};
use cleanloop::imager::{Guarded, ImagerContext, ImagingJob, Residual, StopLimits};
use cleanloop::kernels::order_statistics::median_and_mad;
use cleanloop::major_cycle::{self, CycleMask, CycleMasks, CycleReport, MaskMoment, Measures, StopRules};
use cleanloop::quality::residual::{measure, model_fluxes};
use cleanloop::{Error, Result};
use ndarray::{Array2, s};
use std::path::{Path, PathBuf};

/// Pixels above this many times the residual's noise are cleaned from then on.
const SIGMA: f64 = 7.0;
/// So are the pixels this near to them.
const MARGIN: usize = 2;

/// A mask that only grows: all pixels that ever stood out, with a margin.
struct GrowingMask {
    folder: PathBuf,
    mask: Option<Array2<u8>>,
}

impl CycleMasks for GrowingMask {
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        let mut file = FitsImage::open(&residual.residual)?;
        let plane = file.read_plane(0, 0)?;
        let values = plane.as_slice().expect("planes are contiguous");
        let noise = median_and_mad(values, |i| values[i].is_finite()).map_or(0.0, |m| m.sigma());
        // After an interruption this value is new: the mask before is in its file.
        if let (None, Some(previous)) = (&self.mask, moment.previous) {
            self.mask = Some(FitsImage::open(&previous.path)?.read_plane(0, 0)?.mapv(|v| u8::from(v > 0.0)));
        }
        let before = self.mask.take().unwrap_or_else(|| Array2::zeros(plane.dim()));
        let mut mask = before.clone();
        let (ny, nx) = plane.dim();
        for ((y, x), _) in plane.indexed_iter().filter(|(_, v)| f64::from(**v) > SIGMA * noise) {
            let (y0, x0) = (y.saturating_sub(MARGIN), x.saturating_sub(MARGIN));
            mask.slice_mut(s![y0..(y + MARGIN + 1).min(ny), x0..(x + MARGIN + 1).min(nx)]).fill(1);
        }
        let count = |mask: &Array2<u8>| mask.iter().filter(|m| **m > 0).count() as u64;
        let path = self.folder.join(format!("mask-{:03}.fits", moment.cycle));
        write_plane(&path, mask.view(), PixelType::U8, file.header(), 4)?;
        let pixels = count(&mask);
        let added = pixels - count(&before);
        self.mask = Some(mask);
        Ok(CycleMask { path, pixels, added, removed: 0, ..CycleMask::default() })
    }
}

/// Images `data` into `folder`; goes on with what an interrupted call left there.
pub(crate) fn image(data: &Path, size: u64, scale: &str, folder: &Path) -> Result<CycleReport> {
    let options = WscleanOptions {
        size,
        scale: scale.to_owned(),
        weight: "briggs 0".into(),
        mgain: 0.8,
        channels_out: 1,
        local_rms: false,
        ..WscleanOptions::default()
    };
    let job = ImagingJob {
        measurement_sets: vec![data.to_owned()],
        data_column: "DATA".into(),
        folder: folder.join("image"),
        log: folder.join("imager.log"),
        threads: std::thread::available_parallelism().map_or(1, Into::into),
        memory_gb: None,
        update_model: false,
        facets: None,
    };
    let limits = StopLimits {
        threshold_jy: None,
        nsigma: Some(4.0),
        iterations: 100_000,
        major_cycles: 6,
        independent_channels: false,
    };
    // A fresh mask for every major cycle, until it changes by less than a hundredth of its pixels.
    let rules = StopRules::new(&StopOptions::default(), &limits, 1, 0.01);
    let to = job.folder.clone();
    // Torn down when it goes, whatever happens.
    let mut imager = Guarded::new(Box::new(WscleanImager::new(job, options, ImagerContext::default())));
    imager.setup()?;
    let mut masks = GrowingMask { folder: folder.to_owned(), mask: None };
    let cycles = imager.cycles().expect("wsclean cleans by cycles");
    major_cycle::run(cycles, &mut masks, Measures { residual: &measure, flux: &model_fluxes }, &rules, &to)
}

#[allow(dead_code)] // The test of this example calls `image`.
fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, size, scale, folder] = &arguments[..] else {
        return Err(Error::bad_input("usage: imaging_driver MEASUREMENT_SET SIZE SCALE FOLDER"));
    };
    let size = size.parse().map_err(Error::bad_input)?;
    let report = image(Path::new(data), size, scale, Path::new(folder))?;
    for cycle in &report.cycles {
        println!(
            "cycle {}: peak {:.3e} Jy/beam, noise {:.3e}, {} pixels masked",
            cycle.cycle,
            cycle.peak.unwrap_or(f64::NAN),
            cycle.rms.unwrap_or(f64::NAN),
            cycle.masked_pixels.unwrap_or_default()
        );
    }
    println!("ended: {:?}; {}", report.stopped, report.products.image.display());
    Ok(())
}
