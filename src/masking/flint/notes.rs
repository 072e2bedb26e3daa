//! Notes for the user about a mask.

use serde::{Deserialize, Serialize};

/// A note for the user about how a mask came about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MaskNote {
    /// No pixel reached the seed clip.
    SeedClipLowered {
        /// The seed clip that was asked for, sigma.
        asked: f64,
        /// The greatest signal, sigma.
        greatest: f32,
        /// The seed clip that was used, sigma.
        used: f32,
    },
    /// Erosion was asked for, but there is no beam.
    NoBeam,
    /// A minimum absolute clip without flood filling: the plain clip was compared with the image itself.
    ClipOfImage {
        /// The clip, in the image's unit.
        clip: f64,
    },
    /// The plane has no pixel with data: nothing is masked.
    NoData,
    /// Large regions of exact zeros count as no data.
    ZerosAreNoData {
        /// Number of zeros.
        pixels: usize,
    },
    /// No pixel has a positive signal: nothing is masked.
    NothingPositive {
        /// The greatest signal, sigma.
        greatest: f32,
    },
}

impl std::fmt::Display for MaskNote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SeedClipLowered { asked, greatest, used } => write!(
                f,
                "no pixel reaches the seed clip of {asked}: the greatest signal is {greatest:.4}; \
                 seeds are taken at 0.9 of it, {used:.4}"
            ),
            Self::NoBeam => f.write_str(
                "the image has no restoring beam (BMAJ, BMIN, BPA), so the mask was not eroded by its shape",
            ),
            Self::ClipOfImage { clip } => write!(
                f,
                "flood_fill_use_mac without flood_fill: base_snr_clip = {clip} was compared with the image itself, \
                 not with its signal to noise; set flood_fill"
            ),
            Self::ZerosAreNoData { pixels } => write!(
                f,
                "{pixels} exact zeros in large connected regions count as no data; `--zeros data` (`zeros: data` \
                 in a campaign's `mask`) takes them as values"
            ),
            Self::NothingPositive { greatest } => {
                write!(f, "no pixel has a positive signal (the greatest is {greatest:.4}); nothing is masked")
            }
            Self::NoData => f.write_str("the plane has no pixel with data; nothing is masked"),
        }
    }
}
