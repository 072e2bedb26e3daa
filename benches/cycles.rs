//! Measures what a mask before every major cycle costs: `benches/run_cycles.sh` runs it.
//!
//! Each way is one after the other in turn, again and again, so that a busy machine disturbs all of them alike; ratios
//! are taken within a turn. Processor time is that of this process and of all that it started.

use cleanloop::image::{FitsImage, Header, PixelType, write_plane};
use cleanloop::imager::wsclean::{WscleanImager, WscleanOptions};
use cleanloop::imager::{Imager, ImagerContext, ImagingJob, Residual, StopLimits};
use cleanloop::kernels::order_statistics::{median, median_and_mad};
use cleanloop::major_cycle::{self, CycleMask, CycleMasks, MaskMoment, Measures, StopRules};
use cleanloop::quality::residual::{measure, model_fluxes};
use cleanloop::{Error, Result};
use ndarray::Array2;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Masks pixels above this many sigma of the residual's noise, and all that was masked before.
const SIGMA: f64 = 8.0;
/// Masked pixels around each of them: a beam is about three pixels wide.
const MARGIN: usize = 2;
/// Threshold in units of the noise, deep enough that the major cycles decide.
const STOP_SIGMA: f64 = 1.0;
/// Clock ticks of a second in `/proc/self/stat`, on every Linux.
const TICKS: f64 = 100.0;

struct Growing {
    folder: PathBuf,
    mask: Option<Array2<u8>>,
}

impl CycleMasks for Growing {
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        let plane = FitsImage::open(&residual.residual)?.read_plane(0, 0)?;
        let values = plane.as_slice().expect("planes are contiguous");
        let noise = median_and_mad(values, |i| values[i].is_finite()).map_or(0.0, |m| m.sigma());
        let before = self.mask.take().unwrap_or_else(|| Array2::zeros(plane.dim()));
        let mut mask = before.clone();
        let (ny, nx) = plane.dim();
        for ((y, x), _) in plane.indexed_iter().filter(|(_, v)| f64::from(**v) > SIGMA * noise) {
            let (top, left) = (y.saturating_sub(MARGIN), x.saturating_sub(MARGIN));
            mask.slice_mut(ndarray::s![top..(y + MARGIN + 1).min(ny), left..(x + MARGIN + 1).min(nx)]).fill(1);
        }
        let count = |a: &Array2<u8>| a.iter().map(|v| u64::from(*v)).sum::<u64>();
        let path = self.folder.join(format!("mask-{}.fits", moment.cycle));
        write_plane(&path, mask.view(), PixelType::U8, &Header::default(), 2)?;
        let pixels = count(&mask);
        let added = pixels - count(&before);
        self.mask = Some(mask);
        Ok(CycleMask { path, pixels, added, removed: 0, ..CycleMask::default() })
    }
}

/// Seconds of processor time of this process and of its children that ended.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold spaces; utime, stime, cutime and cstime are fields 14 to 17 of the whole.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    fields.filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / TICKS
}

/// A way of imaging, and how it went in each turn.
struct Way {
    name: &'static str,
    /// `every` and `freeze_change`; `None`: one ordinary run.
    chain: Option<(usize, f64)>,
    wall: Vec<f64>,
    processor: Vec<f64>,
    calls: usize,
    folder: PathBuf,
}

/// The ways that are compared. The first chain comes first: the ordinary run gets the mask that it ends with, for the
/// same depth.
fn ways(folder: &Path) -> [Way; 5] {
    let way = |name: &'static str, chain: Option<(usize, f64)>| Way {
        name,
        chain,
        wall: Vec::new(),
        processor: Vec::new(),
        calls: 1,
        folder: folder.join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
    };
    [
        way("every: 1, freeze_change: 0", Some((1, 0.0))),
        way("one ordinary run", None),
        way("every: 1, freeze_change: 0.01", Some((1, 0.01))),
        way("every: 2, freeze_change: 0.01", Some((2, 0.01))),
        way("every: 3, freeze_change: 0.01", Some((3, 0.01))),
    ]
}

fn plane(path: &Path) -> Result<Array2<f32>> {
    Ok(FitsImage::open(path)?.read_plane(0, 0)?)
}

fn noise(plane: &Array2<f32>) -> f64 {
    let values = plane.as_slice().expect("planes are contiguous");
    median_and_mad(values, |i| values[i].is_finite()).map_or(0.0, |m| m.sigma())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [data, size, scale, cycles, gridder, turns] = &arguments[..] else {
        return Err(Error::bad_input("usage: cycles MEASUREMENT_SET SIZE SCALE CYCLES GRIDDER TURNS"));
    };
    let number = |text: &str| text.parse::<u64>().map_err(Error::bad_input);
    let (size, cycles, turns) = (number(size)?, number(cycles)?, number(turns)?);
    let folder = tempfile::tempdir_in(".").map_err(Error::internal)?;
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
        gridder: Some(gridder.clone()),
        ..WscleanOptions::default()
    };
    let imager = |to: &Path| {
        let job = ImagingJob {
            measurement_sets: vec![Path::new(data).to_owned()],
            data_column: "DATA".into(),
            folder: to.to_owned(),
            log: to.with_extension("log"),
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            memory_gb: None,
            update_model: true,
            facets: None,
        };
        WscleanImager::new(job, options.clone(), ImagerContext::default())
    };
    let mut ways = ways(folder.path());
    let mut last_mask = None;
    for _ in 0..turns {
        for way in &mut ways {
            let _ = std::fs::remove_dir_all(&way.folder);
            let (started, processor) = (Instant::now(), processor_seconds());
            let mut imager = imager(&way.folder);
            imager.setup()?;
            match way.chain {
                None => drop(imager.image_once(last_mask.as_deref())?),
                Some((every, freeze_change)) => {
                    let rules = StopRules {
                        limits: StopLimits {
                            threshold_jy: None,
                            nsigma: Some(STOP_SIGMA),
                            iterations: options.niter,
                            major_cycles: cycles as usize,
                            independent_channels: false,
                        },
                        every,
                        freeze_change,
                        least_new_flux: 0.0,
                        peak_growth: 10.0,
                        rms_growth: 10.0,
                        may_clean_nothing: false,
                    };
                    let mut masks = Growing { folder: way.folder.clone(), mask: None };
                    let measures = Measures { residual: &measure, flux: &model_fluxes };
                    let report = major_cycle::run(&mut imager, &mut masks, measures, &rules, &way.folder)?;
                    way.calls = report.cycles.len();
                    if last_mask.is_none() {
                        last_mask = report.mask.map(|m| m.path).map(|path| {
                            let kept = folder.path().join("last-mask.fits");
                            std::fs::copy(&path, &kept).map(|_| kept).unwrap_or(path)
                        });
                    }
                }
            }
            imager.teardown();
            way.wall.push(started.elapsed().as_secs_f64());
            way.processor.push(processor_seconds() - processor);
        }
    }
    println!("\n### {size} x {size}, {gridder}, {cycles} major cycles ({turns} turns; medians)\n");
    print_table(&ways)
}

/// Prints times, and the noise, peak and flux that each way ends with.
fn print_table(ways: &[Way]) -> Result<()> {
    println!("| way | calls | wall s | ratio | cpu s | ratio | noise Jy/b | peak Jy/b | flux Jy | differs |");
    println!("{}|", "|---".repeat(10));
    let reference = plane(&ways[0].folder.join("image.fits"))?;
    let (ordinary_wall, ordinary_processor) = (ways[1].wall.clone(), ways[1].processor.clone());
    for way in ways {
        let middle = |values: &[f64]| median(&mut values.to_vec()).unwrap_or(f64::NAN);
        let ratio = |values: &[f64], of: &[f64]| middle(&values.iter().zip(of).map(|(a, b)| a / b).collect::<Vec<_>>());
        let residual = plane(&way.folder.join("residual.fits"))?;
        let sigma = noise(&residual);
        let peak = residual.iter().filter(|v| v.is_finite()).fold(0f32, |m, v| m.max(v.abs()));
        let flux: f64 = model_fluxes(&way.folder.join("model.fits"))?.iter().sum();
        let difference = &plane(&way.folder.join("image.fits"))? - &reference;
        let squares: f64 = difference.iter().filter(|v| v.is_finite()).map(|v| f64::from(*v).powi(2)).sum();
        let differs = (squares / difference.len() as f64).sqrt() / sigma;
        println!(
            "| {} | {} | {:.1} | {:.2} | {:.1} | {:.2} | {sigma:.3e} | {peak:.3e} | {flux:.4} | {differs:.3} |",
            way.name,
            way.calls,
            middle(&way.wall),
            ratio(&way.wall, &ordinary_wall),
            middle(&way.processor),
            ratio(&way.processor, &ordinary_processor),
        );
    }
    Ok(())
}
