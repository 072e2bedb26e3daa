//! The figures of rounds, made from their files and kept beside the report, so that renewing it after each round draws
//! only what is new. Figures outlive their files: what a disk budget removed can still be looked at.

mod cube;
mod levels;
mod round;
mod store;

pub(crate) use cube::of_cube;
pub(crate) use levels::{Levels, RESIDUAL_SIGMAS, levels};
pub(crate) use round::{ChannelFigure, RoundFigures, of_round};
pub(crate) use store::Store;

use super::draw::Figure;
use super::draw::map::{self, Background, Content, Style};
use super::draw::plane::{Plane, read_mask};
use super::words;
use crate::campaign::record::{CycleRecord, RoundRecord};
use round::PictureFrame;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Longest side of the pictures on a round's page, pixels.
const LARGE: usize = 900;
/// Of the pictures that blink on the page of a measurement set.
const MEDIUM: usize = 600;
/// Of the pictures in lists.
const SMALL: usize = 320;

/// Name of an attempt in files and links: `round-02`, or `round-02-attempt-2`.
pub(crate) fn page_name(round: &RoundRecord) -> String {
    if round.attempt > 1 {
        format!("round-{:02}-attempt-{}", round.round, round.attempt)
    } else {
        format!("round-{:02}", round.round)
    }
}

/// Image and residual of an attempt on a scale that all attempts share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct BlinkFrames {
    /// Restored image.
    pub(crate) image: Option<Figure>,
    /// Residual.
    pub(crate) residual: Option<Figure>,
}

/// The frames of one attempt for the page of its measurement set.
pub(crate) fn blink(store: &Store, folder: &Path, round: &RoundRecord, shared: Levels) -> BlinkFrames {
    let Some(products) = &round.products else { return BlinkFrames::default() };
    let (image, residual) = (folder.join(&products.image), folder.join(&products.residual));
    let mask = round.mask.as_ref().map(|m| folder.join(&m.path));
    let files = [Some(image.as_path()), Some(residual.as_path()), mask.as_deref()];
    store.get(&format!("{}-blink", page_name(round)), &files, &shared, || {
        let words = words::round(round);
        let mask = mask.as_ref().and_then(|path| read_mask(path, shared.channel).ok());
        let frame = PictureFrame { levels: shared, mask: mask.as_ref(), max_side: MEDIUM };
        BlinkFrames {
            image: frame.image(&image, &format!("Restored image of {words}")),
            residual: frame.residual(&residual, &format!("Residual of {words}")),
        }
    })
}

/// The accepted round that first had each pixel of the last accepted round's mask.
pub(crate) fn mask_history(store: &Store, folder: &Path, rounds: &[&RoundRecord], levels: Levels) -> Option<Figure> {
    let image = folder.join(&rounds.last()?.products.as_ref()?.image);
    let masks: Vec<PathBuf> = rounds.iter().filter_map(|r| Some(folder.join(&r.mask.as_ref()?.path))).collect();
    let mut files = vec![Some(image.as_path())];
    files.extend(masks.iter().map(|m| Some(m.as_path())));
    store.get("mask-history", &files, &levels, || {
        let plane = Plane::read(&image, levels.channel).ok()?;
        let planes = masks.iter().map(|m| read_mask(m, levels.channel).ok()).collect::<Option<Vec<_>>>()?;
        let alt = "Mask by the round that first had each pixel";
        let background = Background { plane: &plane, scale: levels.image(), max_side: MEDIUM, alt };
        map::draw_mask_history(&background, &planes)
    })
}

/// The residual of one major cycle with its mask, small.
pub(crate) fn of_cycle(
    store: &Store,
    folder: &Path,
    round: &RoundRecord,
    cycle: &CycleRecord,
    levels: Levels,
) -> Option<Figure> {
    let residual = folder.join(cycle.residual.as_ref()?);
    let mask = cycle.mask.as_ref().map(|m| folder.join(m));
    let name = format!("{}-cycle-{:03}", page_name(round), cycle.cycle);
    store.get(&name, &[Some(residual.as_path()), mask.as_deref()], &levels, || {
        let plane = Plane::read(&residual, levels.channel).ok()?;
        let mask = mask.as_ref().and_then(|path| read_mask(path, levels.channel).ok());
        let style = Style {
            content: Content::Residual,
            scale: levels.residual(),
            max_side: SMALL,
            window: plane.window(),
            mask: mask.as_ref(),
            axes: false,
            alt: &format!("Residual and mask of major cycle {}", cycle.cycle),
        };
        Some(map::draw(&plane, &style))
    })
}
