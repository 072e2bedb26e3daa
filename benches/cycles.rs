//! Measures what a mask before every major cycle costs: `benches/run_cycles.sh` runs it.
//!
//! It is also a small example of the library's driver: an imager, a mask maker, stop rules, the loop.

use cleanloop::Result;
use cleanloop::campaign::cycle::{self, CycleMask, CycleMasks, MaskMoment, Measures, StopRules};
use cleanloop::image::{FitsImage, Header, MaskType, write_plane};
use cleanloop::imager::wsclean::{WscleanImager, WscleanOptions};
use cleanloop::imager::{Imager, ImagingJob, Residual, Surroundings};
use cleanloop::kernels::order_statistics::median_and_mad;
use cleanloop::quality::residual::{measure, model_flux};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Masks pixels above this many sigma of the residual's noise, and all that was masked before.
const SIGMA: f64 = 8.0;
/// Stop level in noise sigma, deep enough that the major cycles decide.
const STOP_SIGMA: f64 = 1.0;

struct Growing {
    folder: PathBuf,
    mask: Option<ndarray::Array2<u8>>,
}

impl CycleMasks for Growing {
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        let plane = FitsImage::open(&residual.residual)?.read_plane(0, 0)?;
        let values = plane.as_slice().expect("planes are contiguous");
        let noise = median_and_mad(values, |i| values[i].is_finite()).map_or(0.0, |m| m.sigma());
        let found = plane.mapv(|v| u8::from(f64::from(v) > SIGMA * noise));
        let before = self.mask.take().unwrap_or_else(|| ndarray::Array2::zeros(plane.dim()));
        let count = |a: &ndarray::Array2<u8>| a.iter().map(|v| u64::from(*v)).sum::<u64>();
        let mask = &before | &found;
        let path = self.folder.join(format!("mask-{}.fits", moment.cycle));
        write_plane(&path, mask.view(), MaskType::U8, &Header::default(), 2)?;
        let pixels = count(&mask);
        let added = pixels - count(&before);
        self.mask = Some(mask);
        Ok(CycleMask { path, pixels, added, removed: 0, kept_residual: None })
    }
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [data, size, scale, cycles] = &arguments[..] else {
        return Err(cleanloop::Error::bad_input("usage: cycles MEASUREMENT_SET SIZE SCALE CYCLES"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(cleanloop::Error::bad_input);
    let (size, cycles) = (number(size)?, number(cycles)?);
    let folder = tempfile::tempdir_in(".").map_err(cleanloop::Error::internal)?;
    let options = WscleanOptions {
        size,
        scale: scale.clone(),
        weight: "briggs 0".into(),
        niter: 1_000_000,
        nmiter: cycles,
        mgain: 0.8,
        channels_out: 1,
        local_rms: false,
        auto_mask: None,
        auto_threshold: Some(STOP_SIGMA),
        ..WscleanOptions::default()
    };
    let imager = |name: &str| -> Result<(WscleanImager, PathBuf)> {
        let job = ImagingJob {
            measurement_sets: vec![Path::new(data).to_owned()],
            data_column: "DATA".into(),
            folder: folder.path().join(name),
            log: folder.path().join(format!("{name}.log")),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            memory_gb: None,
            update_model: true,
        };
        let folder = job.folder.clone();
        let mut imager = WscleanImager::new(job, options.clone(), Surroundings::default());
        imager.setup()?;
        Ok((imager, folder))
    };
    let chain = |name: &str, every: usize, freeze_change: f64| -> Result<(f64, f64, usize, PathBuf)> {
        let (mut imager, to) = imager(name)?;
        let rules = StopRules {
            threshold_jy: None,
            nsigma: Some(STOP_SIGMA),
            iterations: options.niter,
            major_cycles: cycles as usize,
            every,
            freeze_change,
            least_new_flux: 0.0,
            peak_growth: 10.0,
            rms_growth: 10.0,
        };
        let mut masks = Growing { folder: to.clone(), mask: None };
        let measures = Measures { residual: &measure, flux: &model_flux };
        let started = Instant::now();
        let report = cycle::run(&mut imager, &mut masks, measures, &rules, &to)?;
        let seconds = started.elapsed().as_secs_f64();
        imager.teardown();
        let last = report.cycles.last().and_then(|c| c.rms).unwrap_or(f64::NAN);
        Ok((seconds, last, report.cycles.len() - 1, report.mask.map(|m| m.path).unwrap_or_default()))
    };
    // The ordinary run gets the mask that the cycles end with: the same depth, the same work.
    let (every, rms, calls, mask) = chain("cycles", 1, 0.0)?;
    let started = Instant::now();
    imager("ordinary")?.0.image_once(Some(&mask))?;
    let ordinary = started.elapsed().as_secs_f64();
    println!("{size} x {size}, {cycles} major cycles");
    println!("{:32} {ordinary:7.1} s", "one ordinary run");
    println!("{:32} {every:7.1} s  x {:.2}  {calls} calls, rms {rms:.3e}", "a mask before each", every / ordinary);
    for (every, freeze_change) in [(2, 0.0), (1, 0.05), (2, 0.05)] {
        let name = format!("every: {every}, freeze_change: {freeze_change}");
        let (seconds, rms, calls, _) = chain(&name.replace([':', ' ', ','], "-"), every, freeze_change)?;
        println!("{name:32} {seconds:7.1} s  x {:.2}  {calls} calls, rms {rms:.3e}", seconds / ordinary);
    }
    Ok(())
}
