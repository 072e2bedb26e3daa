//! Finished cycles in the folder of unfinished things, and the present state among them.

use crate::image::Beam;
use crate::image::FitsImage;
use crate::imager::cycle::{MinorCycle, Residual};
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::files::{self, PREFIX};
use crate::util::disk;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Cycles whose files are kept whole; older ones only while all together are smaller than [`KEEP_BYTES`].
const KEEP_CYCLES: usize = 3;
/// Bytes of cycles that may lie on the disk before old ones are thinned out.
const KEEP_BYTES: u64 = 2 << 30;

/// Contents of `start/state.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Hash of everything that decides the images.
    pub(crate) identity: String,
    /// First and last (exclusive) channel of the data of each output channel of a cube; empty: one process images all.
    pub(crate) ranges: Vec<(u64, u64)>,
    /// The command line, for the record.
    #[serde(default)]
    pub(crate) line: Vec<String>,
}

/// Contents of `cycle-NNNN/state.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CycleState {
    /// Outcome of the cycle.
    pub(crate) minor: MinorCycle,
    /// `MODEL_DATA` holds the model of this cycle.
    pub(crate) model_written: bool,
    /// The command line (of a cube, that of the first channel that was cleaned), for the record.
    #[serde(default)]
    pub(crate) line: Vec<String>,
}

/// The part of an imaging that one process cleans: the whole image, or one channel of a cube.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part {
    /// Sub-folder: `all`, or the number of the channel.
    pub(crate) name: String,
    /// First and last (exclusive) channel of the data; `None`: the whole image.
    pub(crate) range: Option<(u64, u64)>,
}

/// Folder of PSF and dirty image.
pub(crate) fn start_folder(scratch: &Path) -> PathBuf {
    scratch.join("start")
}

/// Folder of PSF and dirty image while they are made.
pub(crate) fn start_under_way(scratch: &Path) -> PathBuf {
    scratch.join("start.new")
}

/// Folder of a cycle while it is made.
pub(crate) fn cycle_under_way(scratch: &Path) -> PathBuf {
    scratch.join("cycle.new")
}

/// The finished cycles of one imaging.
#[derive(Debug, Clone)]
pub(crate) struct WscleanState {
    scratch: PathBuf,
    log: PathBuf,
    /// The output channels are independent images.
    pub(crate) cube: bool,
    /// Channels of the whole cube, of which these may be a group.
    channels_of_cube: usize,
    start: Option<Start>,
    cycles: Vec<CycleState>,
}

impl WscleanState {
    /// No cycle yet; `log` is named where a file is missing.
    pub(crate) fn new(scratch: PathBuf, log: PathBuf, cube: bool) -> Self {
        Self { scratch, log, cube, channels_of_cube: 0, start: None, cycles: Vec::new() }
    }

    /// The same of a group of the channels of a larger cube.
    pub(crate) fn of_cube(self, channels: usize) -> Self {
        Self { channels_of_cube: channels, ..self }
    }

    /// Folder of everything unfinished.
    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// Folder of a cycle, 1 first.
    pub(crate) fn cycle_folder(&self, cycle: usize) -> PathBuf {
        self.scratch.join(format!("cycle-{cycle:04}"))
    }

    /// Folder of PSF and dirty image.
    pub(crate) fn start_folder(&self) -> PathBuf {
        start_folder(&self.scratch)
    }

    /// Folder of the present state: the last cycle, or the dirty images.
    pub(crate) fn present_folder(&self) -> PathBuf {
        if self.cycles.is_empty() { self.start_folder() } else { self.cycle_folder(self.cycles.len()) }
    }

    /// Number of finished cycles.
    pub(crate) fn cycles(&self) -> usize {
        self.cycles.len()
    }

    /// PSF and dirty image are there.
    pub(crate) fn has_start(&self) -> bool {
        self.start.is_some()
    }

    /// `MODEL_DATA` holds the present model.
    pub(crate) fn model_is_written(&self) -> bool {
        self.cycles.last().is_some_and(|c| c.model_written)
    }

    /// The command lines that made the present state, in order.
    pub(crate) fn lines(&self) -> Vec<Vec<String>> {
        let start = self.start.iter().map(|s| &s.line);
        start.chain(self.cycles.iter().map(|c| &c.line)).filter(|line| !line.is_empty()).cloned().collect()
    }

    /// The parts that are cleaned by a process each.
    pub(crate) fn parts(&self) -> Vec<Part> {
        self.start.as_ref().map_or_else(|| parts_of(&[]), |start| parts_of(&start.ranges))
    }

    /// Forgets everything and removes it.
    pub(crate) fn clear(&mut self) -> Result<(), WscleanError> {
        (self.start, self.cycles) = (None, Vec::new());
        files::remove_folder(&self.scratch)
    }

    /// Finds the state that an interrupted run of the same identity left, and removes what is not whole.
    pub(crate) fn find(&mut self, identity: &str) -> Result<(), WscleanError> {
        (self.start, self.cycles) = (None, Vec::new());
        let start: Option<Start> = read_state(&self.start_folder());
        match start {
            Some(start) if start.identity == identity => self.start = Some(start),
            _ => return files::remove_folder(&self.scratch),
        }
        while let Some(state) = read_state(&self.cycle_folder(self.cycles.len() + 1)) {
            self.cycles.push(state);
        }
        self.forget_after(self.cycles.len())
    }

    /// Removes later cycles and everything else that is not part of the state.
    pub(crate) fn forget_after(&mut self, last: usize) -> Result<(), WscleanError> {
        self.cycles.truncate(last);
        let listing = std::fs::read_dir(&self.scratch).map_err(WscleanError::files(&self.scratch, "listed"))?;
        for entry in listing {
            let path = entry.map_err(WscleanError::files(&self.scratch, "listed"))?.path();
            let name = path.file_name().and_then(|n| n.to_str());
            let number = name.and_then(|n| n.strip_prefix("cycle-")).and_then(|n| n.parse::<usize>().ok());
            let keep = path == self.start_folder() || number.is_some_and(|n| n <= last);
            if !keep {
                files::remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// Takes the state after `cycle` as the present one.
    pub(crate) fn roll_back(&mut self, cycle: usize) -> Result<(), WscleanError> {
        if cycle > self.cycles.len() || (cycle > 0 && !self.cycle_folder(cycle).join(&self.parts()[0].name).is_dir()) {
            let reason = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(WscleanError::files(&self.cycle_folder(cycle), "taken again")(reason));
        }
        self.forget_after(cycle)?;
        let folder = self.present_folder();
        // MODEL_DATA may hold a later model: restoring will write this one.
        if let Some(state) = self.cycles.last_mut() {
            state.model_written = false;
            write_state(&folder, state)?;
        }
        Ok(())
    }

    /// Takes a whole folder as that of PSF and dirty image.
    pub(crate) fn begin(&mut self, whole: &Path, start: Start) -> Result<(), WscleanError> {
        write_state(whole, &start)?;
        files::rename(whole, &self.start_folder())?;
        self.start = Some(start);
        Ok(())
    }

    /// Takes whole folders as those of PSF and dirty image and of the first cycle. A run that is cut off between the two finds
    /// neither.
    pub(crate) fn begin_with_cycle(
        &mut self,
        (start_folder, start): (&Path, Start),
        (folder, cycle): (&Path, CycleState),
    ) -> Result<(), WscleanError> {
        self.push(folder, cycle)?;
        self.begin(start_folder, start)
    }

    /// The outcome of the first cycle, if that is the present one.
    pub(crate) fn first_cycle(&self) -> Option<&MinorCycle> {
        if self.cycles.len() == 1 { self.cycles.first().map(|cycle| &cycle.minor) } else { None }
    }

    /// Takes a whole folder as that of the next cycle.
    pub(crate) fn push(&mut self, whole: &Path, cycle: CycleState) -> Result<(), WscleanError> {
        write_state(whole, &cycle)?;
        files::rename(whole, &self.cycle_folder(self.cycles.len() + 1))?;
        self.cycles.push(cycle);
        self.thin_out()
    }

    /// Puts a whole folder in the place of the present cycle's. Between the two renames there is no folder of this
    /// cycle: a run that is cut off there goes on from the one before.
    pub(crate) fn replace_present(&mut self, whole: &Path) -> Result<(), WscleanError> {
        let (present, old) = (self.present_folder(), self.scratch.join("cycle.old"));
        let Some(state) = self.cycles.last_mut() else { return Ok(()) };
        // MODEL_DATA may hold a later model: restoring will write this one.
        state.model_written = false;
        write_state(whole, state)?;
        files::remove_folder(&old)?;
        files::rename(&present, &old)?;
        files::rename(whole, &present)?;
        files::remove_folder(&old)
    }

    /// Drops old cycles when all of them together are large; of a group of channels, when those of the whole cube would be:
    /// which of them a channel can go back to does not depend on the others.
    fn thin_out(&self) -> Result<(), WscleanError> {
        let n = self.cycles.len();
        let bytes: u64 = (1..=n).map(|c| disk::size_of(&self.cycle_folder(c))).sum();
        let parts = self.parts();
        let bytes = bytes / parts.len() as u64 * self.channels_of_cube.max(parts.len()) as u64;
        if bytes <= KEEP_BYTES {
            return Ok(());
        }
        for cycle in 1..=n.saturating_sub(KEEP_CYCLES) {
            let folder = self.cycle_folder(cycle);
            for part in &parts {
                files::remove_folder(&folder.join(&part.name))?;
            }
            for name in ["residual.fits", "model.fits"] {
                let _ = std::fs::remove_file(folder.join(name));
            }
        }
        Ok(())
    }

    /// Puts the channels' images of these kinds in a folder together as cubes.
    pub(crate) fn assemble(&self, folder: &Path, kinds: &[&str]) -> Result<(), WscleanError> {
        assemble_parts(&self.parts(), folder, kinds)
    }

    /// The residual of the present state; `pb` is the primary beam.
    pub(crate) fn residual(&self, pb: Option<PathBuf>) -> Result<Residual, WscleanError> {
        let (present, dirty) = (self.present_folder(), self.dirty(pb)?);
        if self.cycles.is_empty() {
            return Ok(dirty);
        }
        let (residual, model) = (self.file(&present, "residual")?, Some(self.file(&present, "model")?));
        Ok(Residual { residual, model, ..dirty })
    }

    /// The residual before any cycle: the dirty image.
    pub(crate) fn dirty(&self, pb: Option<PathBuf>) -> Result<Residual, WscleanError> {
        let start = self.start_folder();
        let (residual, psf) = (self.file(&start, "dirty")?, self.file(&start, "psf")?);
        Ok(Residual { residual, pixel_mask: None, pb, psf, model: None })
    }

    /// The beam that wsclean fitted to the PSF of a part, if it did.
    pub(crate) fn beam(&self, part: &Part) -> Result<Option<Beam>, WscleanError> {
        let list = files::pieces(&self.start_folder().join(&part.name), PREFIX)?;
        Ok(files::main_piece(&list, "psf").and_then(|p| FitsImage::open(&p.path).ok()?.beam()))
    }

    /// The file of this kind that stands for the whole image or cube.
    fn file(&self, folder: &Path, kind: &str) -> Result<PathBuf, WscleanError> {
        if self.cube {
            return Ok(folder.join(format!("{kind}.fits")));
        }
        let folder = folder.join("all");
        let list = files::pieces(&folder, PREFIX)?;
        let missing = || WscleanError::no_product(folder.join(format!("{PREFIX}-{kind}.fits")), &self.log);
        files::main_piece(&list, kind).map(|p| p.path.clone()).ok_or_else(missing)
    }
}

/// The parts of a cube with these channel ranges; none: the whole image.
pub(crate) fn parts_of(ranges: &[(u64, u64)]) -> Vec<Part> {
    if ranges.is_empty() {
        return vec![Part { name: "all".into(), range: None }];
    }
    ranges.iter().enumerate().map(|(i, r)| Part { name: format!("{i:04}"), range: Some(*r) }).collect()
}

/// Puts the images of these kinds of all parts in a folder together as cubes.
pub(crate) fn assemble_parts(parts: &[Part], folder: &Path, kinds: &[&str]) -> Result<(), WscleanError> {
    for kind in kinds {
        let planes: Vec<_> = parts.iter().map(|p| folder.join(&p.name).join(format!("{PREFIX}-{kind}.fits"))).collect();
        files::assemble(&planes, &folder.join(format!("{kind}.fits")))?;
    }
    Ok(())
}

/// Links the files of these kinds into another folder.
pub(crate) fn link_kinds(from: &[files::Piece], kinds: &[&str], to: &Path) -> Result<(), WscleanError> {
    for kind in kinds {
        files::link_pieces(from, kind, to, PREFIX, kind)?;
    }
    Ok(())
}

/// Links what a part has into another folder: image, residual and model; of one that was never cleaned, its dirty image
/// twice and an empty model.
pub(crate) fn carry_over(from: &Path, to: &Path) -> Result<(), WscleanError> {
    files::make_folder(to)?;
    let list = files::pieces(from, PREFIX)?;
    if files::link_pieces(&list, "model", to, PREFIX, "model")? == 0 {
        return untouched(&list, to);
    }
    link_kinds(&list, &["residual", "image"], to)
}

/// Image, residual and model of a part that was never cleaned: its dirty image twice, and nothing.
fn untouched(list: &[files::Piece], to: &Path) -> Result<(), WscleanError> {
    for kind in ["residual", "image"] {
        files::link_pieces(list, "dirty", to, PREFIX, kind)?;
    }
    for piece in files::pieces(to, PREFIX)?.iter().filter(|p| p.kind == "image") {
        let name = piece.path.file_name().unwrap_or_default().to_string_lossy().replace("image.fits", "model.fits");
        files::empty_model(&piece.path, &to.join(name))?;
    }
    Ok(())
}

fn read_state<T: DeserializeOwned>(folder: &Path) -> Option<T> {
    let text = std::fs::read(folder.join("state.json")).ok()?;
    serde_json::from_slice(&text).ok()
}

fn write_state<T: Serialize>(folder: &Path, state: &T) -> Result<(), WscleanError> {
    let path = folder.join("state.json");
    let fail = |reason: std::io::Error| WscleanError::Files { path: path.clone(), action: "written", reason };
    let text = serde_json::to_vec_pretty(state).map_err(|e| fail(e.into()))?;
    let mut file = std::fs::File::create(&path).map_err(fail)?;
    std::io::Write::write_all(&mut file, &text).and_then(|()| file.sync_all()).map_err(fail)
}
