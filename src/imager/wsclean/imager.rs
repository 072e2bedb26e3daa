//! The lifecycle of an imaging with wsclean: an ordinary run, or a chain of calls with a fresh mask for each.
//!
//! Everything happens in the folder `.wsclean` inside the job's folder: `start` holds PSF and dirty image, `cycle-0001`
//! and so on the state after each call. Each is made under another name and renamed when complete, so whatever is there
//! is whole, and an interrupted chain goes on from the last one.

use super::arguments::{self, Arguments};
use super::call::call;
use super::error::WscleanError;
use super::files::{self, PREFIX, REUSED};
use super::installed::Installed;
use super::log::{RunLog, Stop};
use super::{WscleanOptions, memory};
use crate::Result;
use crate::image::FitsImage;
use crate::imager::progress::{Progress, ProgressSink, silent};
use crate::imager::{
    Capabilities, ChannelControls, ChannelCycle, ChannelRevert, CycleImager, Imager, ImagerContext, ImagingJob,
    MinorControls, MinorCycle, PlannedCall, PlannedCycles, Products, Residual, StopReason,
};
use crate::measurement_set::has_column;
use crate::util::disk;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Folder inside the job's folder that holds everything unfinished.
const SCRATCH: &str = ".wsclean";
/// Cycles whose files are kept whole; older ones only while all together are smaller than [`KEEP_BYTES`].
const KEEP_CYCLES: usize = 3;
/// Bytes of cycles that may lie on the disk before old ones are thinned out.
const KEEP_BYTES: u64 = 2 << 30;
/// Images of the full size that one process holds in memory while it cleans, padding included.
const IMAGES_IN_MEMORY: f64 = 16.0;
/// Bytes of a pixel in wsclean's images, in memory and on disk.
const PIXEL_BYTES: f64 = 4.0;
/// How often the wait for several processes looks at the caller's token.
const TICK: Duration = Duration::from_millis(100);
/// What it says of primary beams.
const NO_BEAM: &str = "none: wsclean computes one only for the telescopes that EveryBeam knows, and cleanloop asks for none. \
                       Name a FITS image of it (`wsclean: {primary_beam: {image: FILE}}`), and the image is divided by it";
/// FITS files that a run leaves for each output channel: image, residual, model, psf, dirty.
const FILES_OF_A_RUN: f64 = 5.0;

/// One imaging by wsclean; see [`Imager`] for the order of its steps.
pub struct WscleanImager {
    job: ImagingJob,
    options: WscleanOptions,
    context: ImagerContext,
    installed: std::result::Result<Arc<Installed>, String>,
    start: Option<Start>,
    cycles: Vec<CycleState>,
    checked: bool,
    /// What an earlier run left was looked at: what is not part of the state may go.
    opened: bool,
    finished: bool,
}

/// What `start/state.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Start {
    /// Hash of everything that decides the images.
    identity: String,
    /// Channel range of each output channel of a cube; empty: one process images all.
    ranges: Vec<(u64, u64)>,
    /// The command line, for the record.
    #[serde(default)]
    line: Vec<String>,
}

/// What `cycle-NNNN/state.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CycleState {
    minor: MinorCycle,
    /// `MODEL_DATA` holds the model of this cycle.
    model_written: bool,
    /// The command line (of a cube, that of the first channel that was cleaned), for the record.
    #[serde(default)]
    line: Vec<String>,
}

/// One process of a chain: the whole image, or one channel of a cube.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lane {
    /// Sub-folder, and the number of the channel.
    pub(super) name: String,
    range: Option<(u64, u64)>,
}

impl WscleanImager {
    /// An imaging of `job`; nothing is run but wsclean's help, once for each executable.
    pub fn new(job: ImagingJob, options: WscleanOptions, mut context: ImagerContext) -> Self {
        if context.executable.is_empty() {
            context.executable = vec!["wsclean".to_owned()];
        }
        let installed = Installed::probe(&context.executable).map_err(|e| e.to_string());
        Self {
            job,
            options,
            context,
            installed,
            start: None,
            cycles: Vec::new(),
            checked: false,
            opened: false,
            finished: false,
        }
    }

    pub(super) fn executable(&self) -> &[String] {
        &self.context.executable
    }

    pub(super) fn scratch(&self) -> PathBuf {
        self.job.folder.join(SCRATCH)
    }

    pub(super) fn cycle_folder(&self, cycle: usize) -> PathBuf {
        self.scratch().join(format!("cycle-{cycle:04}"))
    }

    pub(super) fn start_folder(&self) -> PathBuf {
        self.scratch().join("start")
    }

    /// Folder of the present state: the last cycle, or the dirty images.
    pub(super) fn state_folder(&self) -> PathBuf {
        if self.cycles.is_empty() { self.start_folder() } else { self.cycle_folder(self.cycles.len()) }
    }

    pub(super) fn cycles_done(&self) -> usize {
        self.cycles.len()
    }

    /// Puts a whole folder in the place of the present cycle's.
    pub(super) fn put_in_place(&mut self, fresh: &Path) -> std::result::Result<(), WscleanError> {
        let Some(state) = self.cycles.last_mut() else { return Ok(()) };
        // MODEL_DATA may hold a later model: restoring will write this one.
        state.model_written = false;
        write_state(fresh, state)?;
        let (present, old) = (self.state_folder(), self.scratch().join("cycle.old"));
        files::remove_folder(&old)?;
        files::rename(&present, &old)?;
        files::rename(fresh, &present)?;
        files::remove_folder(&old)
    }

    fn is_cube(&self) -> bool {
        self.options.is_cube()
    }

    pub(super) fn lanes(&self) -> Vec<Lane> {
        let ranges = self.start.as_ref().map_or(&[][..], |s| &s.ranges);
        if ranges.is_empty() {
            return vec![Lane { name: "all".into(), range: None }];
        }
        ranges.iter().enumerate().map(|(i, r)| Lane { name: format!("{i:04}"), range: Some(*r) }).collect()
    }

    /// Everything that all calls of this job have in common.
    fn common(&self, threads: usize, memory_gb: Option<f64>) -> std::result::Result<Arguments, WscleanError> {
        let o = &self.options;
        let mut a = Arguments::default();
        a.push("j", &[threads.max(1)]);
        match memory_gb {
            Some(gb) => a.push("abs-mem", &[gb]),
            None => a.push("abs-mem", &[o.abs_mem]),
        }
        a.push("data-column", &[&self.job.data_column]);
        if let Some((first, end)) = o.interval {
            a.push("interval", &[first, end]);
        }
        a.append(arguments::imaging(o, self.installed.as_deref().ok())?);
        Ok(a)
    }

    /// One process for all output channels.
    fn whole(&self) -> std::result::Result<Arguments, WscleanError> {
        let mut a = self.common(self.job.threads, self.job.memory_gb)?;
        arguments::channels(&mut a, &self.options);
        if let Some((first, end)) = self.options.channel_range {
            a.push("channel-range", &[first, end]);
        }
        Ok(a)
    }

    fn line(&self, name: &Path, a: &Arguments) -> Vec<String> {
        let mut line = self.context.executable.clone();
        line.extend(["-name".to_owned(), name.to_string_lossy().into_owned()]);
        line.extend(a.words());
        line.extend(self.job.measurement_sets.iter().map(|m| m.to_string_lossy().into_owned()));
        line
    }

    /// The arguments of one ordinary run.
    fn ordinary(&self, mask: Option<&Path>) -> std::result::Result<Arguments, WscleanError> {
        let mut a = self.whole()?;
        let mask = self.mask_or_option(mask)?;
        arguments::stops(&mut a, &self.options, mask.is_some());
        if let Some(mask) = &mask {
            a.push("fits-mask", &[mask.display()]);
        }
        if !self.job.update_model {
            a.flag("no-update-model-required");
        }
        Ok(a)
    }

    /// The campaign's mask, or the one that the options name.
    fn mask_or_option(&self, mask: Option<&Path>) -> std::result::Result<Option<PathBuf>, WscleanError> {
        match (mask, &self.options.fits_mask) {
            (Some(mask), _) => Ok(Some(mask.to_owned())),
            (None, Some(path)) => arguments::expanded_path("fits_mask", path).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn start_arguments(&self, keep_model: bool) -> std::result::Result<Arguments, WscleanError> {
        let mut a = self.whole()?;
        a.push("niter", &[0]);
        a.flag("make-psf");
        // Only where there is no MODEL_DATA yet must this call make it: the cycles need the column.
        if keep_model {
            a.flag("no-update-model-required");
        }
        Ok(a)
    }

    pub(super) fn run(&self, line: Vec<String>) -> std::result::Result<RunLog, WscleanError> {
        call(line, &self.job.log, &self.context, &self.context.progress, None)
    }

    /// Folder for wsclean's reordered visibilities; it goes with the value.
    fn temporary(&self) -> std::result::Result<tempfile::TempDir, WscleanError> {
        let (base, prefix) = match &self.options.temp_dir {
            Some(path) => (arguments::expanded_path("temp_dir", path)?, memory::prefix()),
            None => match memory::folder(&self.job.measurement_sets, &self.context.executable) {
                Some(folder) => (folder, memory::prefix()),
                None => (self.scratch(), "tmp.".to_owned()),
            },
        };
        files::make_folder(&base)?;
        tempfile::Builder::new().prefix(&prefix).tempdir_in(&base).map_err(|reason| WscleanError::Files {
            path: base,
            action: "used for temporary files",
            reason,
        })
    }

    fn check_data(&self) -> std::result::Result<(), WscleanError> {
        for path in &self.job.measurement_sets {
            if !path.join("table.dat").is_file() {
                return Err(WscleanError::NoMeasurementSet { path: path.clone(), exists: path.exists() });
            }
            if has_column(path, &self.job.data_column) == Some(false) {
                return Err(WscleanError::NoColumn { path: path.clone(), column: self.job.data_column.clone() });
            }
        }
        Ok(())
    }

    fn check_disk(&self) -> std::result::Result<(), WscleanError> {
        let images = (self.options.channels_out.max(1) + 1) as f64 * FILES_OF_A_RUN;
        let image_bytes = images * (self.options.size as f64).powi(2) * PIXEL_BYTES;
        // While it runs, the last products and those under way are there together.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Not negative, far below 2^64.
        let needed = (2.0 * image_bytes) as u64;
        disk::check_room(&self.job.folder, needed, "wsclean's images", "choose another output")?;
        let temporary = self.temporary()?;
        let data: u64 = self.job.measurement_sets.iter().map(|m| disk::size_of(m)).sum();
        let cure = "name a larger folder in wsclean's option `temp_dir`";
        Ok(disk::check_room(temporary.path(), data, "wsclean's reordered visibilities", cure)?)
    }

    fn check_mask(&self, mask: &Path) -> std::result::Result<usize, WscleanError> {
        let image = FitsImage::open(mask)?;
        let (ny, nx) = image.plane_shape();
        if nx as u64 != self.options.size || ny as u64 != self.options.size {
            let (path, size) = (mask.to_owned(), self.options.size);
            return Err(WscleanError::MaskSize { path, found_x: nx, found_y: ny, size });
        }
        let planes = image.channels();
        let expected = if self.is_cube() { self.options.channels_out as usize } else { 1 };
        if planes != 1 && planes != expected {
            return Err(WscleanError::MaskPlanes { path: mask.to_owned(), found: planes, expected });
        }
        Ok(planes)
    }

    /// The calls of a chain, with words in capital letters for what only a run knows.
    pub(super) fn planned_cycles(&self, chain: &PlannedCycles) -> std::result::Result<Vec<PlannedCall>, WscleanError> {
        let cube = self.is_cube();
        let lane = if cube { "CHANNEL" } else { "all" };
        let start = self.start_folder().join(lane);
        let updates = self.job.update_model;
        let call = |what: String, name: &Path, a: &Arguments| PlannedCall { what, words: self.line(name, a) };
        let cycle = |cycle: usize, majors: &str, last: bool| -> std::result::Result<_, WscleanError> {
            let mut a = if cube {
                let mut a = self.common(self.share(self.options.channels_out as usize).1, self.job.memory_gb)?;
                a.push("channel-range", &["FIRST", "END"]);
                a
            } else {
                self.whole()?
            };
            let left = if cycle == 0 { chain.iterations.to_string() } else { "ITERATIONS_LEFT".to_owned() };
            a.push("niter", &[left]);
            a.push("nmiter", &[majors]);
            let level = chain.threshold_jy.map_or_else(|| "LEVEL".to_owned(), |jy| jy.to_string());
            a.push("threshold", &[level]);
            let mask = if cycle == 0 { "cycle-000.fits" } else { "cycle-NNN.fits" };
            let mask = if cube { self.scratch().join("cycle.new/mask-CHANNEL.fits") } else { chain.masks.join(mask) };
            a.push("fits-mask", &[mask.display()]);
            if cube || !(updates && last) {
                a.flag("no-update-model-required");
            }
            if cycle > 0 {
                a.flag("continue");
            }
            a.push("reuse-psf", &[start.join(PREFIX).display()]);
            a.push("beam-shape", &["BMAJ", "BMIN", "BPA"]);
            let folder = self.scratch().join("cycle.new").join(lane);
            a.push("reuse-dirty", &[folder.join(REUSED).display()]);
            Ok((folder.join(PREFIX), a))
        };
        let each = if cube { ", a process for each channel that is not done" } else { "" };
        let n = chain.every.min(chain.major_cycles);
        let mut calls = Vec::new();
        let a = self.start_arguments(!self.needs_model_column())?;
        calls.push(call("once: PSF and dirty image".into(), &self.scratch().join("start.new").join(PREFIX), &a));
        let (name, a) = cycle(0, &n.to_string(), n == chain.major_cycles)?;
        calls.push(call(format!("the first mask: {n} major cycle(s){each}"), &name, &a));
        if n < chain.major_cycles {
            let (name, a) = cycle(1, &n.to_string(), false)?;
            calls.push(call(format!("each further mask: {n} major cycle(s){each}"), &name, &a));
            let (name, a) = cycle(2, "MAJOR_CYCLES_LEFT", true)?;
            let what = "once the mask has settled, or few major cycles are left: the rest in one call";
            calls.push(call(format!("{what}{each}"), &name, &a));
        }
        if updates && cube {
            let mut a = self.common(self.job.threads, self.job.memory_gb)?;
            a.push("channels-out", &[self.options.channels_out]);
            a.flag("predict");
            let name = self.scratch().join("predict").join(PREFIX);
            calls.push(call("at the end: the models of all channels into MODEL_DATA".into(), &name, &a));
        }
        Ok(calls)
    }

    /// A measurement set has no `MODEL_DATA` yet, which the cycles need.
    fn needs_model_column(&self) -> bool {
        self.job.measurement_sets.iter().any(|m| has_column(m, "MODEL_DATA") != Some(true))
    }

    /// Hash of what decides the images of a chain: another value makes unfinished cycles worthless.
    fn identity(&self) -> std::result::Result<String, WscleanError> {
        let mut a = self.whole()?;
        a.remove("j");
        a.remove("abs-mem");
        let mut hash = Sha256::new();
        for word in self.line(Path::new(""), &a) {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        // The masks follow it.
        hash.update(format!("{:?}", self.options.primary_beam));
        Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Finds the state that an interrupted run left, and removes what is not whole.
    fn find_state(&mut self) -> std::result::Result<(), WscleanError> {
        (self.start, self.cycles) = (None, Vec::new());
        let scratch = self.scratch();
        let identity = self.identity()?;
        let start: Option<Start> = read_state(&self.start_folder());
        match start {
            Some(start) if start.identity == identity => self.start = Some(start),
            _ => return files::remove_folder(&scratch),
        }
        while let Some(state) = read_state(&self.cycle_folder(self.cycles.len() + 1)) {
            self.cycles.push(state);
        }
        self.forget_cycles_after(self.cycles.len())
    }

    /// Removes later cycles and everything else that is not part of the state.
    fn forget_cycles_after(&mut self, last: usize) -> std::result::Result<(), WscleanError> {
        self.cycles.truncate(last);
        let scratch = self.scratch();
        let fail = |reason| WscleanError::Files { path: scratch.clone(), action: "listed", reason };
        for entry in std::fs::read_dir(&scratch).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let number = path
                .file_name()
                .and_then(|n| n.to_str())
                .and_then(|n| n.strip_prefix("cycle-"))
                .and_then(|n| n.parse::<usize>().ok());
            let keep = path == self.start_folder() || number.is_some_and(|n| n <= last);
            if !keep {
                files::remove_folder(&path)?;
            }
        }
        Ok(())
    }

    fn make_start(&mut self) -> std::result::Result<(), WscleanError> {
        let under_way = self.scratch().join("start.new");
        files::fresh_folder(&under_way)?;
        let temporary = self.temporary()?;
        let mut a = self.start_arguments(!self.needs_model_column())?;
        a.push("temp-dir", &[temporary.path().display()]);
        let line = self.line(&under_way.join(PREFIX), &a);
        let log = self.run(line.clone())?;
        let ranges = if self.is_cube() { self.channel_ranges(&log)? } else { Vec::new() };
        let list = files::pieces(&under_way, PREFIX)?;
        let start = Start { identity: self.identity()?, ranges, line };
        self.start = Some(start.clone());
        for (index, lane) in self.lanes().iter().enumerate() {
            let folder = under_way.join(&lane.name);
            files::make_folder(&folder)?;
            for kind in ["psf", "dirty"] {
                let made = match lane.range {
                    None => files::link_pieces(&list, kind, &folder, PREFIX, kind)?,
                    Some(_) => {
                        let of_channel = list.iter().filter(|p| p.kind == kind && p.channel == Some(index));
                        let paths: Vec<_> = of_channel.map(|p| p.path.clone()).collect();
                        for path in &paths {
                            files::link(path, &folder.join(format!("{PREFIX}-{kind}.fits")))?;
                        }
                        paths.len()
                    }
                };
                if made == 0 {
                    self.start = None;
                    let path = folder.join(format!("{PREFIX}-{kind}.fits"));
                    return Err(WscleanError::NoProduct { path, log: self.job.log.clone() });
                }
            }
        }
        for piece in list {
            let _ = std::fs::remove_file(piece.path);
        }
        if self.is_cube() {
            for kind in ["psf", "dirty"] {
                self.assemble_lanes(&under_way, &under_way, kind, kind)?;
            }
        }
        write_state(&under_way, &start)?;
        files::rename(&under_way, &self.start_folder())
    }

    /// Channel ranges of the outputs, from the imaging table: wsclean divides the band in ascending frequency.
    fn channel_ranges(&self, log: &RunLog) -> std::result::Result<Vec<(u64, u64)>, WscleanError> {
        let expected = self.options.channels_out as usize;
        if log.output_channels.len() != expected {
            return Err(WscleanError::BadValue {
                option: "channels_out".into(),
                reason: format!(
                    "{expected} output channels were asked for, but wsclean's imaging table lists {}; see {}",
                    log.output_channels.len(),
                    self.job.log.display()
                ),
            });
        }
        let mut first = self.options.channel_range.map_or(0, |(a, _)| a);
        Ok(log
            .output_channels
            .iter()
            .map(|n| {
                let range = (first, first + n);
                first += n;
                range
            })
            .collect())
    }

    /// Puts the lanes' images of one kind together as `to/name.fits`.
    pub(super) fn assemble_lanes(
        &self,
        from: &Path,
        to: &Path,
        kind: &str,
        name: &str,
    ) -> std::result::Result<(), WscleanError> {
        let planes: Vec<_> =
            self.lanes().iter().map(|l| from.join(&l.name).join(format!("{PREFIX}-{kind}.fits"))).collect();
        files::assemble(&planes, &to.join(format!("{name}.fits")))
    }

    /// The file of this kind of the present state.
    fn state_file(&self, folder: &Path, kind: &str) -> std::result::Result<PathBuf, WscleanError> {
        if self.is_cube() {
            return Ok(folder.join(format!("{kind}.fits")));
        }
        let list = files::pieces(&folder.join("all"), PREFIX)?;
        let missing = || WscleanError::NoProduct {
            path: folder.join("all").join(format!("{PREFIX}-{kind}.fits")),
            log: self.job.log.clone(),
        };
        files::main_piece(&list, kind).map(|p| p.path.clone()).ok_or_else(missing)
    }

    fn present_residual(&self) -> std::result::Result<Residual, WscleanError> {
        let kind = if self.cycles.is_empty() { "dirty" } else { "residual" };
        Ok(Residual {
            residual: self.state_file(&self.state_folder(), kind)?,
            pixel_mask: None,
            pb: self.primary_beam()?,
            psf: self.state_file(&self.start_folder(), "psf")?,
            model: match self.cycles.len() {
                0 => None,
                _ => Some(self.state_file(&self.state_folder(), "model")?),
            },
        })
    }

    /// One call of one lane, from the present state into `folder`.
    fn cycle_of_lane(
        &self,
        lane: &Lane,
        folder: &Path,
        call_with: &LaneCall<'_>,
    ) -> std::result::Result<(RunLog, Vec<String>), WscleanError> {
        let from = self.state_folder().join(&lane.name);
        let start = self.start_folder().join(&lane.name);
        let to = folder.join(&lane.name);
        files::make_folder(&to)?;
        let before = files::pieces(&from, PREFIX)?;
        let goes_on = files::link_pieces(&before, "model", &to, PREFIX, "model")? > 0;
        let dirty = if goes_on { "residual" } else { "dirty" };
        files::link_pieces(&before, dirty, &to, REUSED, "dirty")?;
        let mut a = self.lane_arguments(lane, call_with)?;
        if goes_on {
            a.flag("continue");
        }
        a.push("reuse-psf", &[start.join(PREFIX).display()]);
        self.push_beam(&mut a, &start)?;
        a.push("reuse-dirty", &[to.join(REUSED).display()]);
        let temporary = self.temporary()?;
        a.push("temp-dir", &[temporary.path().display()]);
        let line = self.line(&to.join(PREFIX), &a);
        let log = call(line.clone(), &call_with.log, &self.context, &call_with.progress, call_with.cancel)?;
        // wsclean writes what it was given once more: only the start's files are needed.
        for piece in files::pieces(&to, PREFIX)?.iter().chain(&files::pieces(&to, REUSED)?) {
            if matches!(piece.kind.as_str(), "psf" | "dirty") {
                let _ = std::fs::remove_file(&piece.path);
            }
        }
        for kind in ["residual", "model", "image"] {
            if files::main_piece(&files::pieces(&to, PREFIX)?, kind).is_none() {
                let path = to.join(format!("{PREFIX}-{kind}.fits"));
                return Err(WscleanError::NoProduct { path, log: call_with.log.clone() });
            }
        }
        Ok((log, line))
    }

    /// The restoring beam of the first call: with `-reuse-psf`, wsclean 3.1 does not know the theoretical beam that its
    /// fit starts from, and `-beam-fitting-size` can make it fit a beam of one pixel.
    fn push_beam(&self, a: &mut Arguments, start: &Path) -> std::result::Result<(), WscleanError> {
        if ["beam-shape", "beam-size"].iter().any(|o| a.has(o)) {
            return Ok(());
        }
        let list = files::pieces(start, PREFIX)?;
        if let Some(beam) = files::main_piece(&list, "psf").and_then(|p| FitsImage::open(&p.path).ok()?.beam()) {
            a.push("beam-shape", &beam_words(&beam));
        }
        Ok(())
    }

    /// Restores the channels of a joined image, each with its own beam: the cycles gave all that of the whole band.
    fn restore_channels(&self, products: &Products) -> std::result::Result<(), WscleanError> {
        for channel in &products.channels {
            let beam = channel.psf.as_ref().and_then(|p| FitsImage::open(p).ok()?.beam());
            let (Some(beam), false) = (beam, self.options.extra.contains_key("beam-shape")) else { continue };
            let path = |p: &Path| p.to_string_lossy().into_owned();
            let restored = self.scratch().join("restored.fits");
            let mut line = self.context.executable.clone();
            line.extend(["-j".to_owned(), self.job.threads.max(1).to_string(), "-beam-shape".to_owned()]);
            line.extend(beam_words(&beam));
            line.extend(["-restore".to_owned(), path(&channel.residual), path(&channel.model), path(&restored)]);
            self.run(line)?;
            files::rename(&restored, &channel.image)?;
        }
        Ok(())
    }

    fn lane_arguments(&self, lane: &Lane, c: &LaneCall<'_>) -> std::result::Result<Arguments, WscleanError> {
        let mut a = match lane.range {
            None => self.whole()?,
            Some((first, end)) => {
                let mut a = self.common(c.threads, c.memory_gb)?;
                a.push("channel-range", &[first, end]);
                a
            }
        };
        match c.stops {
            Stops::Options => arguments::stops(&mut a, &self.options, c.mask.is_some()),
            Stops::Controls { iterations, majors, threshold_jy } => {
                a.push("niter", &[iterations]);
                a.push("nmiter", &[majors]);
                a.push("threshold", &[threshold_jy]);
            }
        }
        if let Some(mask) = c.mask {
            a.push("fits-mask", &[mask.display()]);
        }
        if !c.update_model {
            a.flag("no-update-model-required");
        }
        Ok(a)
    }

    /// How many lanes at once, and what each may use.
    fn share(&self, lanes: usize) -> (usize, usize, Option<f64>) {
        let threads = self.job.threads.max(1);
        let mut at_once = lanes.clamp(1, threads);
        let machine = || memory::available_memory().map(|bytes| bytes as f64 / 1e9);
        if let Some(gb) = self.job.memory_gb.or_else(machine) {
            let each = (self.options.size as f64).powi(2) * PIXEL_BYTES * IMAGES_IN_MEMORY / 1e9;
            at_once = at_once.min(((gb / each) as usize).max(1));
        }
        (at_once, (threads / at_once).max(1), self.job.memory_gb.map(|gb| gb / at_once as f64))
    }

    /// One call of each lane that is to be cleaned, as many at once as the resources allow; what the others have is
    /// carried over. `controls` are those of [`CycleImager::clean`]; `None`: the options' own stops, for one long
    /// run.
    fn cycle(
        &mut self,
        mask: Option<&Path>,
        controls: Option<&MinorControls>,
    ) -> std::result::Result<MinorCycle, WscleanError> {
        if self.start.is_none() {
            return Err(WscleanError::OutOfOrder { step: "a minor cycle", needs: "make_psf" });
        }
        let mask = self.mask_or_option(mask)?;
        let mask_planes = mask.as_deref().map(|m| self.check_mask(m)).transpose()?;
        let under_way = self.scratch().join("cycle.new");
        files::fresh_folder(&under_way)?;
        let lanes = self.lanes();
        let update_model = self.job.update_model && lanes[0].range.is_none() && controls.is_none_or(|c| c.last);
        let lane_controls: Vec<Option<ChannelControls>> = (0..lanes.len())
            .map(|i| {
                controls.map(|c| {
                    let all = ChannelControls {
                        active: true,
                        iterations_left: c.iterations_left,
                        threshold_jy: c.threshold_jy,
                    };
                    c.channels.get(i).copied().unwrap_or(all)
                })
            })
            .collect();
        let active: Vec<usize> =
            (0..lanes.len()).filter(|&i| lane_controls[i].is_none_or(|c| c.active && c.iterations_left > 0)).collect();
        for (i, lane) in lanes.iter().enumerate() {
            if !active.contains(&i) {
                self.carry_over(lane, &under_way)?;
            }
        }
        let first_line = std::sync::OnceLock::new();
        let one = |i: usize, shared: &SharedCall| -> std::result::Result<RunLog, WscleanError> {
            let lane = &lanes[i];
            let plane = under_way.join(format!("mask-{}.fits", lane.name));
            let lane_mask = match (&mask, mask_planes) {
                (Some(cube), Some(n)) if n > 1 => {
                    files::mask_plane(cube, i, &plane)?;
                    Some(plane.as_path())
                }
                (mask, _) => mask.as_deref(),
            };
            let stops = match (lane_controls[i], controls) {
                (Some(c), Some(all)) => Stops::Controls {
                    iterations: c.iterations_left,
                    majors: all.major_iterations.max(1),
                    threshold_jy: c.threshold_jy,
                },
                _ => Stops::Options,
            };
            let log = self.lane_log(lane);
            let call_with = LaneCall {
                mask: lane_mask,
                stops,
                update_model,
                threads: shared.threads,
                memory_gb: shared.memory_gb,
                log,
                progress: shared.progress.clone(),
                cancel: shared.cancel.as_ref(),
            };
            let result = self.cycle_of_lane(lane, &under_way, &call_with);
            let _ = std::fs::remove_file(&plane);
            result.map(|(log, line)| {
                if active.first() == Some(&i) {
                    let _ = first_line.set(line);
                }
                log
            })
        };
        let logs = if lanes.len() == 1 {
            let shared = SharedCall {
                threads: self.job.threads,
                memory_gb: self.job.memory_gb,
                progress: self.context.progress.clone(),
                cancel: None,
            };
            active.iter().map(|&i| one(i, &shared).map(|log| (i, log))).collect::<std::result::Result<Vec<_>, _>>()?
        } else {
            self.side_by_side(&active, &one)?
        };
        if lanes.len() > 1 {
            if self.cycles.is_empty() {
                self.check_frequencies(&lanes, &under_way)?;
            }
            for kind in ["residual", "model"] {
                self.assemble_lanes(&under_way, &under_way, kind, kind)?;
            }
        }
        let minor = minor_cycle(&logs, lanes.len());
        let line = first_line.get().cloned().unwrap_or_default();
        let state = CycleState { minor: minor.clone(), model_written: update_model, line };
        write_state(&under_way, &state)?;
        files::rename(&under_way, &self.cycle_folder(self.cycles.len() + 1))?;
        self.cycles.push(state);
        self.thin_out()?;
        Ok(minor)
    }

    fn lane_log(&self, lane: &Lane) -> PathBuf {
        match lane.range {
            None => self.job.log.clone(),
            Some(_) => {
                let stem = self.job.log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                self.job.log.with_file_name(format!("{stem}.channel-{}.log", lane.name))
            }
        }
    }

    /// Runs lanes in threads of their own. The first failure stops the others.
    fn side_by_side(
        &self,
        active: &[usize],
        one: &(dyn Fn(usize, &SharedCall) -> std::result::Result<RunLog, WscleanError> + Sync),
    ) -> std::result::Result<Vec<(usize, RunLog)>, WscleanError> {
        let (at_once, threads, memory_gb) = self.share(active.len());
        let cancel = Arc::new(AtomicBool::new(false));
        let shared = SharedCall { threads, memory_gb, progress: silent(), cancel: Some(Arc::clone(&cancel)) };
        let next = AtomicUsize::new(0);
        let (sender, receiver) = channel();
        let mut logs = Vec::with_capacity(active.len());
        let mut failure: Option<WscleanError> = None;
        self.tell(Progress::Stage(format!("cleaning {} channels, {at_once} at once", active.len())));
        std::thread::scope(|scope| {
            for _ in 0..at_once {
                let (sender, shared, next) = (sender.clone(), &shared, &next);
                scope.spawn(move || {
                    while let Some(&i) = active.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let result = one(i, shared);
                        let failed = result.is_err();
                        let _ = sender.send((i, result));
                        if failed {
                            shared.cancel.iter().for_each(|c| c.store(true, Ordering::Relaxed));
                            return;
                        }
                    }
                });
            }
            drop(sender);
            loop {
                match receiver.recv_timeout(TICK) {
                    Ok((i, Ok(log))) => {
                        logs.push((i, log));
                        self.tell(Progress::Fraction(logs.len() as f64 / active.len() as f64));
                    }
                    // Those that follow were only stopped because of the first.
                    Ok((_, Err(e))) => {
                        failure.get_or_insert(e);
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                // The lanes listen to one token; the caller's own must reach it, too.
                if self.context.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed)) {
                    cancel.store(true, Ordering::Relaxed);
                }
            }
        });
        if let Some(e) = failure {
            return Err(e);
        }
        logs.sort_by_key(|(i, _)| *i);
        Ok(logs)
    }

    fn tell(&self, event: Progress) {
        (self.context.progress)(event);
    }

    /// What a lane has goes into the new cycle unchanged.
    fn carry_over(&self, lane: &Lane, to: &Path) -> std::result::Result<(), WscleanError> {
        let (from, to) = (self.state_folder().join(&lane.name), to.join(&lane.name));
        files::make_folder(&to)?;
        let list = files::pieces(&from, PREFIX)?;
        if files::link_pieces(&list, "model", &to, PREFIX, "model")? == 0 {
            return Self::untouched(&from, &to);
        }
        for kind in ["residual", "image"] {
            files::link_pieces(&list, kind, &to, PREFIX, kind)?;
        }
        Ok(())
    }

    /// Image, residual and model of a lane that was never cleaned: its dirty image twice, and nothing.
    pub(super) fn untouched(from: &Path, to: &Path) -> std::result::Result<(), WscleanError> {
        let list = files::pieces(from, PREFIX)?;
        for kind in ["residual", "image"] {
            files::link_pieces(&list, "dirty", to, PREFIX, kind)?;
        }
        for piece in files::pieces(to, PREFIX)?.iter().filter(|p| p.kind == "image") {
            let name = piece.path.file_name().unwrap_or_default().to_string_lossy().replace("image.fits", "model.fits");
            files::empty_model(&piece.path, &to.join(name))?;
        }
        Ok(())
    }

    /// The channels of a lane must be those of the plane that its PSF and dirty image came from.
    fn check_frequencies(&self, lanes: &[Lane], folder: &Path) -> std::result::Result<(), WscleanError> {
        let frequency = |folder: &Path, kind: &str| -> std::result::Result<Option<f64>, WscleanError> {
            Ok(FitsImage::open(folder.join(format!("{PREFIX}-{kind}.fits")))?.header().get_f64("CRVAL3"))
        };
        for lane in lanes {
            let start = frequency(&self.start_folder().join(&lane.name), "dirty")?;
            let cleaned = frequency(&folder.join(&lane.name), "residual")?;
            if let (Some(a), Some(b)) = (start, cleaned)
                && (a - b).abs() > 1e-6 * a.abs()
            {
                return Err(WscleanError::BadValue {
                    option: "channels_out".into(),
                    reason: format!(
                        "output channel {} is at {a} Hz, but the channels {:?} of the data are at {b} Hz: a cube with \
                         a mask a channel needs one spectral window with ascending frequencies",
                        lane.name,
                        lane.range.unwrap_or_default()
                    ),
                });
            }
        }
        Ok(())
    }

    /// Drops old cycles when all of them together are large.
    fn thin_out(&self) -> std::result::Result<(), WscleanError> {
        let n = self.cycles.len();
        let bytes: u64 = (1..=n).map(|c| disk::size_of(&self.cycle_folder(c))).sum();
        if bytes > KEEP_BYTES {
            for cycle in 1..=n.saturating_sub(KEEP_CYCLES) {
                let folder = self.cycle_folder(cycle);
                for lane in self.lanes() {
                    files::remove_folder(&folder.join(&lane.name))?;
                }
                for name in ["residual.fits", "model.fits"] {
                    let _ = std::fs::remove_file(folder.join(name));
                }
            }
        }
        Ok(())
    }

    /// Moves the present state to the job's folder.
    fn finish_cycles(&mut self) -> std::result::Result<Products, WscleanError> {
        if self.start.is_none() {
            return Err(WscleanError::OutOfOrder { step: "restore", needs: "make_psf" });
        }
        let state = self.state_folder();
        let out = self.scratch().join("products.new");
        files::fresh_folder(&out)?;
        let cube = self.is_cube();
        for (index, lane) in self.lanes().iter().enumerate() {
            let gathered = out.join(&lane.name);
            files::make_folder(&gathered)?;
            let list = files::pieces(&state.join(&lane.name), PREFIX)?;
            if self.cycles.is_empty() {
                Self::untouched(&state.join(&lane.name), &gathered)?;
            }
            let start = files::pieces(&self.start_folder().join(&lane.name), PREFIX)?;
            for (from, kind) in
                [(&list, "image"), (&list, "residual"), (&list, "model"), (&start, "psf"), (&start, "dirty")]
            {
                files::link_pieces(from, kind, &gathered, PREFIX, kind)?;
            }
            if cube {
                for piece in files::pieces(&gathered, PREFIX)? {
                    files::rename(&piece.path, &out.join(files::channel_name(&piece.kind, index)))?;
                }
            }
        }
        let written = self.cycles.last().is_some_and(|c| c.model_written);
        if cube {
            files::products(&out, true, &self.job.log)?;
            for lane in self.lanes() {
                files::remove_folder(&out.join(&lane.name))?;
            }
            for entry in std::fs::read_dir(&out).into_iter().flatten().flatten() {
                files::rename(&entry.path(), &self.job.folder.join(entry.file_name()))?;
            }
        } else {
            files::collect(&out.join("all"), &self.job.folder, false, &self.job.log)?;
        }
        files::remove_folder(&out)?;
        let mut products = self.named_products()?;
        self.correct_for_beam(&mut products)?;
        if !cube && !self.cycles.is_empty() {
            self.restore_channels(&products)?;
        }
        if self.job.update_model && !written {
            self.predict_products(&products.model)?;
        }
        self.finished = true;
        Ok(products)
    }

    /// The user's primary beam, its environment variables expanded.
    fn primary_beam(&self) -> std::result::Result<Option<PathBuf>, WscleanError> {
        let beam = self.options.primary_beam.as_ref();
        beam.map(|beam| arguments::expanded_path("primary_beam.image", &beam.image)).transpose()
    }

    fn check_primary_beam(&self) -> std::result::Result<(), WscleanError> {
        let Some(path) = self.primary_beam()? else { return Ok(()) };
        let image = FitsImage::open(&path)?;
        let (found_y, found_x) = image.plane_shape();
        let planes = if self.is_cube() { self.options.channels_out as usize } else { 1 };
        let fits = |found: usize| found as u64 == self.options.size;
        if !fits(found_x) || !fits(found_y) || (image.channels() != 1 && image.channels() != planes) {
            let (found, size) = ((found_x, found_y, image.channels()), self.options.size);
            return Err(WscleanError::PrimaryBeamSize { path, found, size, planes });
        }
        Ok(())
    }

    /// The user's primary beam beside the products, and the image divided by it.
    fn correct_for_beam(&self, products: &mut Products) -> std::result::Result<(), WscleanError> {
        let (Some(path), Some(beam)) = (self.primary_beam()?, &self.options.primary_beam) else { return Ok(()) };
        let (pb, pbcor) = (self.job.folder.join("pb.fits"), self.job.folder.join("image.pbcor.fits"));
        // A copy: the user's file may be written again by its owner, in place.
        files::copy(&path, &pb)?;
        files::divide(&products.image, &pb, beam.limit, &pbcor)?;
        (products.pb, products.pbcor) = (Some(pb), Some(pbcor));
        Ok(())
    }

    /// The products that are in the job's folder (cubes are not put together again).
    fn named_products(&self) -> std::result::Result<Products, WscleanError> {
        files::products(&self.job.folder, false, &self.job.log)
    }

    fn predict_products(&self, model: &Path) -> std::result::Result<(), WscleanError> {
        let folder = self.scratch().join("predict");
        files::fresh_folder(&folder)?;
        let found = files::link_models(model, &folder)?;
        if found == 0 {
            return Err(WscleanError::NoProduct { path: model.to_owned(), log: self.job.log.clone() });
        }
        let mut a = self.common(self.job.threads, self.job.memory_gb)?;
        if found > 1 && self.options.channels_out > 1 {
            a.push("channels-out", &[self.options.channels_out]);
        }
        if let Some((first, end)) = self.options.channel_range {
            a.push("channel-range", &[first, end]);
        }
        a.flag("predict");
        let temporary = self.temporary()?;
        a.push("temp-dir", &[temporary.path().display()]);
        self.run(self.line(&folder.join(PREFIX), &a))?;
        files::remove_folder(&folder)
    }

    fn image_with(&mut self, mask: Option<&Path>) -> std::result::Result<Products, WscleanError> {
        self.check_setup()?;
        self.opened = true;
        let mask = self.mask_or_option(mask)?;
        let planes = mask.as_deref().map(|m| self.check_mask(m)).transpose()?.unwrap_or(1);
        let by_channel = self.installed.as_ref().is_ok_and(|i| i.mask_cube_per_channel());
        if planes > 1 && !by_channel {
            // One process a channel, each with its own plane, in one long call.
            files::remove_folder(&self.scratch())?;
            (self.start, self.cycles) = (None, Vec::new());
            self.make_start()?;
            self.cycle(mask.as_deref(), None)?;
            return self.finish_cycles();
        }
        let folder = self.scratch().join("run");
        files::fresh_folder(&folder)?;
        let temporary = self.temporary()?;
        let mut a = self.ordinary(mask.as_deref())?;
        a.push("temp-dir", &[temporary.path().display()]);
        self.run(self.line(&folder.join(PREFIX), &a))?;
        let mut products = files::collect(&folder, &self.job.folder, self.is_cube(), &self.job.log)?;
        files::remove_folder(&folder)?;
        self.correct_for_beam(&mut products)?;
        Ok(products)
    }

    fn check_setup(&mut self) -> std::result::Result<(), WscleanError> {
        if self.checked {
            return Ok(());
        }
        let installed = match &self.installed {
            Ok(installed) => Arc::clone(installed),
            // Asked once more for the error itself.
            Err(_) => Installed::probe(&self.context.executable)?,
        };
        self.installed = Ok(Arc::clone(&installed));
        if self.options.niter == 0 {
            let reason = "0 minor iterations clean nothing: a campaign needs a model".to_owned();
            return Err(WscleanError::BadValue { option: "niter".into(), reason });
        }
        let mut a = self.ordinary(None)?;
        a.check(&installed)?;
        self.check_data()?;
        self.check_primary_beam()?;
        files::make_folder(&self.job.folder)?;
        memory::remove_stale();
        self.check_disk()?;
        // wsclean itself is the judge of values.
        a.flag("dry-run");
        self.run(self.line(&self.job.folder.join(PREFIX), &a))?;
        self.checked = true;
        Ok(())
    }
}

/// What one call of a lane is made with.
struct LaneCall<'a> {
    mask: Option<&'a Path>,
    stops: Stops,
    update_model: bool,
    threads: usize,
    memory_gb: Option<f64>,
    log: PathBuf,
    progress: ProgressSink,
    cancel: Option<&'a Arc<AtomicBool>>,
}

/// What the lanes that run side by side have in common.
struct SharedCall {
    threads: usize,
    memory_gb: Option<f64>,
    progress: ProgressSink,
    cancel: Option<Arc<AtomicBool>>,
}

/// When a call stops.
#[derive(Debug, Clone, Copy)]
enum Stops {
    /// As the options say: one long run.
    Options,
    /// As the loop over major cycles says.
    Controls { iterations: u64, majors: usize, threshold_jy: f64 },
}

/// Values of `-beam-shape`.
pub(super) fn beam_words(beam: &crate::image::Beam) -> [String; 3] {
    let asec = |deg: f64| format!("{}asec", deg * 3600.0);
    [asec(beam.major_deg), asec(beam.minor_deg), format!("{}deg", beam.pa_deg)]
}

fn read_state<T: serde::de::DeserializeOwned>(folder: &Path) -> Option<T> {
    let text = std::fs::read(folder.join("state.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn write_state<T: Serialize>(folder: &Path, state: &T) -> std::result::Result<(), WscleanError> {
    let path = folder.join("state.json");
    let fail = |reason: std::io::Error| WscleanError::Files { path: path.clone(), action: "written", reason };
    let text = serde_json::to_vec_pretty(state).map_err(|e| fail(e.into()))?;
    let mut file = std::fs::File::create(&path).map_err(fail)?;
    std::io::Write::write_all(&mut file, &text).and_then(|()| file.sync_all()).map_err(fail)
}

fn channel_cycle(log: &RunLog) -> ChannelCycle {
    let last = log.majors.last();
    let stop = last.and_then(|m| m.stop);
    ChannelCycle {
        iterations: log.iterations,
        cycle_threshold_jy: last.and_then(|m| m.level_jy),
        threshold_reached: last.is_some_and(|m| m.level_is_final) && stop == Some(Stop::Threshold),
        stopped: if log.no_peak {
            Some(StopReason::EmptyMask)
        } else {
            match stop {
                Some(Stop::Threshold) => Some(StopReason::Threshold),
                Some(Stop::Iterations) => Some(StopReason::Iterations),
                Some(Stop::Negative) => Some(StopReason::Other("a negative component was found".into())),
                Some(Stop::MinorLoop) | None => None,
            }
        },
    }
}

/// What the lanes did, together. `lanes` counts those that were left alone, too: they are done.
fn minor_cycle(logs: &[(usize, RunLog)], lanes: usize) -> MinorCycle {
    let mut channels = vec![ChannelCycle::default(); lanes];
    for (i, log) in logs {
        channels[*i] = channel_cycle(log);
    }
    let cleaned: Vec<&ChannelCycle> = logs.iter().map(|(i, _)| &channels[*i]).collect();
    let stopped = match cleaned.first() {
        None => Some(StopReason::EmptyMask),
        Some(first) if cleaned.iter().all(|c| c.stopped.is_some()) => {
            // One that met its threshold says more than one that had nothing to do.
            cleaned
                .iter()
                .map(|c| &c.stopped)
                .find(|s| **s != Some(StopReason::EmptyMask))
                .unwrap_or(&first.stopped)
                .clone()
        }
        Some(_) => None,
    };
    let levels = cleaned.iter().filter_map(|c| c.cycle_threshold_jy);
    MinorCycle {
        iterations: cleaned.iter().map(|c| c.iterations).sum(),
        major_iterations: logs.iter().map(|(_, l)| l.majors.len()).max().unwrap_or(0),
        cycle_threshold_jy: levels.reduce(f64::max),
        threshold_reached: !cleaned.is_empty() && cleaned.iter().all(|c| c.threshold_reached),
        stopped,
        channels: if lanes > 1 { channels } else { Vec::new() },
    }
}

impl Imager for WscleanImager {
    fn capabilities(&self) -> Capabilities {
        let installed = self.installed.as_ref().ok();
        Capabilities {
            program: installed.map_or_else(|| "wsclean (not found)".to_owned(), |i| format!("wsclean {}", i.version)),
            mask_per_cycle: true,
            // Where the installed version cannot, one process a channel can.
            mask_cube_per_channel: true,
            multiscale_bit_masks: installed.is_some_and(|i| i.multiscale_bit_masks()),
            primary_beam: match self.options.primary_beam {
                Some(_) => Ok(()),
                None => Err(NO_BEAM.to_owned()),
            },
        }
    }

    fn setup(&mut self) -> Result<()> {
        self.check_setup()?;
        self.find_state()?;
        self.opened = true;
        Ok(())
    }

    fn teardown(&mut self) {
        // The processes ended with their calls. What is whole stays for a resumed run; and all of it, where this one
        // ended before it had looked at it.
        if self.start.is_some() && !self.finished {
            let _ = self.forget_cycles_after(self.cycles.len());
        } else if self.opened {
            let _ = files::remove_folder(&self.scratch());
        }
    }

    fn image_once(&mut self, mask: Option<&Path>) -> Result<Products> {
        Ok(self.image_with(mask)?)
    }

    fn predict(&mut self, model: &Path) -> Result<()> {
        Ok(self.predict_products(model)?)
    }

    fn command_lines(&self, mask: Option<&Path>) -> Vec<Vec<String>> {
        match self.ordinary(mask) {
            Ok(a) => vec![self.line(&self.scratch().join("run").join(PREFIX), &a)],
            Err(e) => vec![vec![format!("# {e}")]],
        }
    }

    fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
        Some(self)
    }
}

impl CycleImager for WscleanImager {
    fn make_psf(&mut self) -> Result<()> {
        if self.start.is_none() {
            self.make_start()?;
        }
        Ok(())
    }

    fn make_pb(&mut self) -> Result<Option<PathBuf>> {
        Ok(self.primary_beam()?)
    }

    fn residual(&mut self) -> Result<Residual> {
        // The call of the minor cycle ended with the inversion; the first residual came with the PSF.
        if self.start.is_none() {
            return Err(WscleanError::OutOfOrder { step: "a major cycle", needs: "make_psf" }.into());
        }
        Ok(self.present_residual()?)
    }

    fn clean(&mut self, mask: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
        Ok(self.cycle(mask, Some(controls))?)
    }

    fn restore(&mut self) -> Result<Products> {
        Ok(self.finish_cycles()?)
    }

    fn completed_cycles(&self) -> usize {
        self.cycles.len()
    }

    fn roll_back(&mut self, cycle: usize) -> Result<()> {
        if cycle > self.cycles.len() || (cycle > 0 && !self.cycle_folder(cycle).join(&self.lanes()[0].name).is_dir()) {
            let path = self.cycle_folder(cycle);
            let reason = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(WscleanError::Files { path, action: "gone back to", reason }.into());
        }
        self.forget_cycles_after(cycle)?;
        // MODEL_DATA may hold a later model: restoring will write this one.
        if let Some(state) = self.cycles.last_mut() {
            state.model_written = false;
            let state = state.clone();
            write_state(&self.cycle_folder(cycle), &state)?;
        }
        Ok(())
    }

    fn revert_channels(&mut self, back: &[ChannelRevert]) -> Result<bool> {
        if !self.is_cube() || self.cycles.is_empty() {
            return Ok(false);
        }
        self.revert_channel_files(back)?;
        Ok(true)
    }

    fn replace_model(&mut self, model: &Path) -> Result<Option<Residual>> {
        if !self.is_cube() || self.cycles.is_empty() {
            return Ok(None);
        }
        self.repair(model)?;
        Ok(Some(self.present_residual()?))
    }

    fn calls_are_cheap(&self) -> bool {
        // Each call reads the visibilities again.
        false
    }

    fn lines_run(&self) -> Vec<Vec<String>> {
        let start = self.start.iter().map(|s| &s.line);
        start.chain(self.cycles.iter().map(|c| &c.line)).filter(|line| !line.is_empty()).cloned().collect()
    }
}
