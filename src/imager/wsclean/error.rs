//! Failures before, during and after a call of wsclean.

use super::version::Version;
use crate::image::ImageError;
use crate::process::ProcessError;
use crate::util::disk::DiskError;
use std::path::{Path, PathBuf};

/// Failure of the wsclean adapter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WscleanError {
    /// The executable ran, but is not wsclean.
    #[error(
        "{executable}: this is not wsclean: called without arguments it said {said:?}; \
         expected a line \"WSClean version ...\" (key campaign.executables.wsclean)"
    )]
    NotWsclean {
        /// The executable's words.
        executable: String,
        /// First line of its output.
        said: String,
    },
    /// Options that the installed version does not have.
    #[error("wsclean {version} ({executable}) has no option {}", listed(options))]
    UnknownOptions {
        /// Installed version.
        version: Version,
        /// The executable's words.
        executable: String,
        /// Name in the campaign file, and the installed option with the most similar name.
        options: Vec<(String, Option<String>)>,
    },
    /// A value that cannot be turned into a command line.
    #[error("wsclean option {option}: {reason}")]
    BadValue {
        /// Name in the campaign file.
        option: String,
        /// The value found, and those expected.
        reason: String,
    },
    /// The measurement set is not there.
    #[error("{}: measurement set not found{}", path.display(), if *exists { ": there is a file, but no table inside (no table.dat)" } else { "" })]
    NoMeasurementSet {
        /// Its path.
        path: PathBuf,
        /// Something stands at the path.
        exists: bool,
    },
    /// The measurement set lacks the column to be imaged.
    #[error("{}: no column {column} to image", path.display())]
    NoColumn {
        /// The measurement set.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// The mask does not fit the image.
    #[error(
        "{}: the mask has {found_x} x {found_y} pixels, but the image has {size} x {size} (option size): \
         wsclean takes only a mask of the same size", path.display()
    )]
    MaskSize {
        /// The mask.
        path: PathBuf,
        /// Its width.
        found_x: usize,
        /// Its height.
        found_y: usize,
        /// Side of the image.
        size: u64,
    },
    /// A mask cube whose planes are not the output channels.
    #[error("{}: the mask has {found} planes, but the cube has {expected} channels; expected 1 or {expected}", path.display())]
    MaskPlanes {
        /// The mask.
        path: PathBuf,
        /// Its planes.
        found: usize,
        /// Output channels.
        expected: usize,
    },
    /// A primary beam that is not on the image's pixels.
    #[error(
        "{}: the primary beam has {} x {} pixels and {} planes, but the image has {size} x {size} and {planes}; expected \
         the same pixels, and one plane or one for each channel",
        path.display(),
        found.width,
        found.height,
        found.planes
    )]
    PrimaryBeamSize {
        /// The primary beam.
        path: PathBuf,
        /// Its extent.
        found: CubeExtent,
        /// Side of the image.
        size: u64,
        /// Planes of the image.
        planes: usize,
    },
    /// wsclean ended with its own reason.
    #[error("wsclean failed: {reason}\n  command: {command}\n  log: {}", log.display())]
    Failed {
        /// The reason line of its log.
        reason: String,
        /// The command line, quoted for a shell.
        command: String,
        /// Where all its words are.
        log: PathBuf,
    },
    /// wsclean ended well, but a file that it should have made is not there.
    #[error("wsclean ended without an error, but made no {}; see {}", path.display(), log.display())]
    NoProduct {
        /// The file.
        path: PathBuf,
        /// Where all its words are.
        log: PathBuf,
    },
    /// wsclean ended well, but its image holds NaN, as it does with solutions that are NaN or have no weight.
    #[error(
        "wsclean ended without an error, but {bad} of {pixels} pixels of {} are no number: a solution of a facet is none, \
         or has no weight; see {}",
        path.display(),
        log.display()
    )]
    NotNumbers {
        /// The image.
        path: PathBuf,
        /// Pixels that are no number.
        bad: usize,
        /// All pixels.
        pixels: usize,
        /// Where all its words are.
        log: PathBuf,
    },
    /// A step was asked for before the one that it needs.
    #[error("{step} needs {needs} first")]
    OutOfOrder {
        /// The step.
        step: &'static str,
        /// The step that it needs.
        needs: &'static str,
    },
    /// Not enough room on the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file or folder of our own could not be handled.
    #[error("{}: cannot be {action}: {reason}", path.display())]
    Files {
        /// The path.
        path: PathBuf,
        /// `made`, `renamed`, `removed`...
        action: &'static str,
        /// The system's words.
        reason: std::io::Error,
    },
    /// The process itself failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// An image could not be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Extent of an image or cube.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CubeExtent {
    /// Width, pixels.
    pub width: usize,
    /// Height, pixels.
    pub height: usize,
    /// Channels.
    pub planes: usize,
}

impl WscleanError {
    /// The error of an option whose value cannot be used.
    pub(super) fn bad_value(option: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::BadValue { option: option.into(), reason: reason.into() }
    }

    /// The error of a file that wsclean should have made.
    pub(super) fn no_product(path: PathBuf, log: &Path) -> Self {
        Self::NoProduct { path, log: log.to_owned() }
    }

    /// The error of a file or folder of our own, for `map_err`.
    pub(super) fn files(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |reason| Self::Files { path: path.to_owned(), action, reason }
    }
}

fn listed(options: &[(String, Option<String>)]) -> String {
    let each = options.iter().map(|(name, near)| match near {
        Some(near) => format!("{name} (nearest: {near})"),
        None => name.clone(),
    });
    each.collect::<Vec<_>>().join(", ")
}

impl From<WscleanError> for crate::Error {
    fn from(e: WscleanError) -> Self {
        match e {
            WscleanError::Process(e) => e.into(),
            WscleanError::Image(e) => e.into(),
            WscleanError::Failed { .. } | WscleanError::NoProduct { .. } | WscleanError::NotWsclean { .. } => {
                Self::external(e)
            }
            WscleanError::Disk(e) => e.into(),
            WscleanError::OutOfOrder { .. } | WscleanError::Files { .. } => Self::internal(e),
            _ => Self::bad_input(e),
        }
    }
}
