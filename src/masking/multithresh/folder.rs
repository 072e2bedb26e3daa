//! The state of all channels on disk.
//!
//! A folder holds `state.json` (what was recorded and counted) and the compressed FITS cube that it names, whose
//! pixels are 0 outside the mask, 1 in the positive mask and 2 where the mask came from elsewhere (absorption, or a
//! mask given at the start). A new cube gets a new name; the state changes in the instant in which `state.json` is
//! replaced by a rename. A call that is killed at any moment leaves the state of the call before.

use super::{ChannelMaskState, CycleSummary, MultithreshError, MultithreshOptions};
use crate::image::{Beam, FitsImage};
use crate::kernels::bitmask::BitMask;
use crate::util::fs::write_atomically;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Layout of `state.json`; other versions are refused.
const VERSION: u32 = 1;
/// The counters.
const RECORD: &str = "state.json";
/// Held while a call works on the folder.
const LOCK: &str = "lock";
/// How long a lock that another holds is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// How long between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// Beams whose widths differ by less than this part are the same; angles, by as many degrees times 100.
const BEAM_TOLERANCE: f64 = 1e-4;

/// Pixel of a state cube: in the positive mask.
pub(crate) const POSITIVE: u8 = 1;
/// Pixel of a state cube: in the mask, but not in the positive one.
pub(crate) const OTHER: u8 = 2;

/// Identity of a run; the same for all its calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Lengths of the residual's FITS axes, x first.
    pub axes: Vec<usize>,
    /// Common beam of all channels, degrees.
    pub beam: Beam,
    /// Parameters.
    pub options: MultithreshOptions,
}

/// Counters of a channel, kept besides its masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelCounters {
    /// Left alone from the next call on.
    pub skip: bool,
    /// Calls so far.
    pub cycles: u32,
    /// Pixels of the mask.
    pub mask_pixels: usize,
}

/// `state.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Calls done.
    pub cycles: usize,
    /// `iterdone` of the last call.
    pub iterdone: u64,
    /// PSF sidelobe level, kept for the run.
    pub sidelobe_level: f32,
    /// The same of each channel, where they are masked each by itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sidelobe_levels: Vec<f32>,
    /// The run.
    pub run: RunIdentity,
    /// Name of the cube of masks in the folder.
    pub masks: String,
    /// Channel by channel.
    pub channels: Vec<ChannelCounters>,
    /// Summary of the last call.
    pub last: CycleSummary,
}

impl Record {
    /// A record of this version.
    pub fn new(
        run: RunIdentity,
        (sidelobe_level, sidelobe_levels): (f32, Vec<f32>),
        masks: String,
        channels: Vec<ChannelCounters>,
        last: CycleSummary,
    ) -> Self {
        Self {
            version: VERSION,
            cycles: last.cycle + 1,
            iterdone: last.iterdone,
            sidelobe_level,
            sidelobe_levels,
            run,
            masks,
            channels,
            last,
        }
    }

    /// Differences between the recorded run and this call's, in words.
    pub fn changes(&self, now: &RunIdentity) -> Vec<String> {
        let mut changes = Vec::new();
        if self.run.axes != now.axes {
            changes.push(format!("axes: {:?} -> {:?}", self.run.axes, now.axes));
        }
        let (was, is) = (self.run.beam, now.beam);
        let same = |a: f64, b: f64| (a - b).abs() <= BEAM_TOLERANCE * a.abs();
        let turn = (was.pa_deg - is.pa_deg).rem_euclid(180.0);
        if !(same(was.major_deg, is.major_deg)
            && same(was.minor_deg, is.minor_deg)
            && turn.min(180.0 - turn) <= 100.0 * BEAM_TOLERANCE)
        {
            let words = |b: Beam| {
                format!("{:.6}\" x {:.6}\" at {:.3} deg", b.major_deg * 3600.0, b.minor_deg * 3600.0, b.pa_deg)
            };
            changes.push(format!("beam: {} -> {}", words(was), words(is)));
        }
        changes.extend(self.run.options.differences(&now.options));
        changes
    }
}

/// A state folder, locked while it is open.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    record: Option<Record>,
    _lock: Option<File>,
}

impl StateFolder {
    /// Opens the folder, or makes it.
    ///
    /// # Errors
    /// The folder cannot be made, another call works on it, or its `state.json` is damaged or of another version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, MultithreshError> {
        let path = path.as_ref().to_path_buf();
        let unwritable = |path: &Path, e: std::io::Error| MultithreshError::StateUnwritable {
            path: path.into(),
            reason: e.to_string(),
        };
        std::fs::create_dir_all(&path).map_err(|e| unwritable(&path, e))?;
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| unwritable(&lock_path, e))?;
        let mut patience = LOCK_PATIENCE;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                // A program that is just being started elsewhere in this process holds our files for an instant.
                Err(TryLockError::WouldBlock) if !patience.is_zero() => {
                    std::thread::sleep(LOCK_PAUSE);
                    patience = patience.saturating_sub(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(MultithreshError::StateUnusable {
                        path,
                        reason: "another call is working on this state; wait for it to end".into(),
                    });
                }
                Err(TryLockError::Error(e)) => return Err(unwritable(&lock_path, e)),
            }
        }
        Self::read(path, Some(lock))
    }

    /// The folder as it is, for those who only read it while another holds it.
    ///
    /// # Errors
    /// Its `state.json` is damaged or of another version.
    pub(super) fn look(path: &Path) -> Result<Self, MultithreshError> {
        Self::read(path.to_path_buf(), None)
    }

    fn read(path: PathBuf, lock: Option<File>) -> Result<Self, MultithreshError> {
        let file = path.join(RECORD);
        let unusable = |reason: String| MultithreshError::StateUnusable { path: file.clone(), reason };
        let record = match std::fs::read_to_string(&file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(unusable(e.to_string())),
            Ok(text) => {
                let version = serde_json::from_str::<serde_json::Value>(&text)
                    .map_err(|e| unusable(format!("is not JSON: {e}; start again with --reset")))?["version"]
                    .as_u64();
                if version != Some(u64::from(VERSION)) {
                    return Err(unusable(format!(
                        "has version {}; this program reads version {VERSION}; start again with --reset",
                        version.map_or("(none)".into(), |v| v.to_string())
                    )));
                }
                let record: Record =
                    serde_json::from_str(&text).map_err(|e| unusable(format!("{e}; start again with --reset")))?;
                Some(record)
            }
        };
        let folder = Self { path, record, _lock: lock };
        if let Some(record) = &folder.record
            && !folder.path.join(&record.masks).is_file()
        {
            return Err(unusable(format!("names {}, which is not there; start again with --reset", record.masks)));
        }
        Ok(folder)
    }

    /// Forgets everything: removes the state's own files, nothing else.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn reset(path: impl AsRef<Path>) -> Result<(), MultithreshError> {
        let path = path.as_ref();
        let fail = |path: &Path, e: std::io::Error| MultithreshError::StateUnwritable {
            path: path.into(),
            reason: e.to_string(),
        };
        let record = path.join(RECORD);
        match std::fs::remove_file(&record) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(fail(&record, e)),
            _ => remove_cubes(path, None).map_err(|e| fail(path, e)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state; `None` before the first call.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The cube of masks; `None` before the first call.
    pub fn masks(&self) -> Option<PathBuf> {
        self.record.as_ref().map(|r| self.path.join(&r.masks))
    }

    /// Where the next call writes its cube of masks: a new name, to be handed to [`StateFolder::commit`].
    pub fn next_masks(&self) -> String {
        cube_name(self.record.as_ref().map_or(0, |r| r.cycles))
    }

    /// Makes `record` the state, in one instant, and removes what it replaces.
    ///
    /// # Errors
    /// The record cannot be written; the state is then the one before.
    pub fn commit(&mut self, record: Record) -> Result<(), MultithreshError> {
        let file = self.path.join(RECORD);
        let fail = |e: std::io::Error| MultithreshError::StateUnwritable { path: file.clone(), reason: e.to_string() };
        let mut text = serde_json::to_vec_pretty(&record).map_err(|e| fail(e.into()))?;
        text.push(b'\n');
        write_atomically(&file, &text).map_err(|e| fail(e.source))?;
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(fail)?;
        // Leftovers cost disk space only; the state is already complete.
        if let Err(e) = remove_cubes(&self.path, Some(&record.masks)) {
            tracing::warn!("{}: an earlier state could not be removed: {e}", self.path.display());
        }
        self.record = Some(record);
        Ok(())
    }
}

fn cube_name(cycle: usize) -> String {
    format!("masks-{cycle:04}.fits.fz")
}

/// Removes cubes of masks, complete or half written, but not `keep`.
fn remove_cubes(path: &Path, keep: Option<&str>) -> std::io::Result<()> {
    let entries = match std::fs::read_dir(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(".fits.fz");
        // Half written: `.PID.masks-NNNN.fits.fz`.
        let ours = stem.is_some_and(|s| {
            let visible = s.strip_prefix('.').and_then(|s| s.split_once('.')).map_or(s, |(_, rest)| rest);
            visible.strip_prefix("masks-").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        });
        if ours && keep != Some(name.as_str()) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Pixel values of a state cube.
pub(crate) fn encode(state: &ChannelMaskState, out: &mut [u8]) {
    let (ny, nx) = state.mask.dim();
    assert_eq!(out.len(), ny * nx);
    out.fill(0);
    for y in 0..ny {
        let row = &mut out[y * nx..(y + 1) * nx];
        state.mask.for_each_run(y, |x0, x1| row[x0..x1].fill(OTHER));
        state.posmask.for_each_run(y, |x0, x1| row[x0..x1].fill(POSITIVE));
    }
}

/// Reads a channel's state out of a state cube; `buffer` is a plane's worth of pixels.
///
/// # Errors
/// The cube cannot be read.
pub(crate) fn read_channel(
    cube: &mut FitsImage,
    channel: usize,
    counters: ChannelCounters,
    buffer: &mut [f32],
) -> Result<ChannelMaskState, MultithreshError> {
    let (ny, nx) = cube.plane_shape();
    cube.read_plane_into(0, channel, buffer)?;
    Ok(ChannelMaskState {
        mask: BitMask::from_plane(ny, nx, buffer, |v| v != 0.0),
        posmask: BitMask::from_plane(ny, nx, buffer, |v| v == f32::from(POSITIVE)),
        cycles: counters.cycles,
        skip: counters.skip,
    })
}
