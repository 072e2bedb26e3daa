//! Images and cubes after the best round: links to their reports, and the maps of cubes.

use crate::campaign::record::{CampaignRecord, CubeRecord, FinalRecord};
use crate::report::figures::{Store, of_cube};
use crate::report::numbers::duration;
use crate::report::widgets::FigureView;
use crate::report::words;
use serde::Serialize;
use std::path::Path;

/// A final imaging.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct FinalView {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) state: String,
    /// Style class of the state.
    pub(crate) state_class: String,
    /// Its report, from the campaign's.
    pub(crate) href: String,
    /// Wall time; why it failed.
    pub(crate) about: String,
}

/// A cube that was put together from groups of channels.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct CubeView {
    /// Title.
    pub(crate) title: String,
    /// Where it is.
    pub(crate) path: String,
    /// Channels that were imaged again; empty: none were.
    pub(crate) again: String,
    /// Maps of all channels together.
    pub(crate) maps: Vec<FigureView>,
    /// Maps of some channels.
    pub(crate) channels: Vec<FigureView>,
}

/// The final imagings of a record; `folder` is the campaign's.
pub(crate) fn of_record(record: &CampaignRecord, folder: &Path) -> Vec<FinalView> {
    let view = |made: &FinalRecord| {
        let relative = made.folder.strip_prefix(folder).unwrap_or(&made.folder);
        FinalView {
            name: made.name.clone(),
            state: words::state(made.state).into(),
            state_class: words::state_class(made.state).into(),
            href: format!("../{}/report/index.html", relative.display()),
            about: if made.error.is_empty() {
                made.seconds.map(duration).unwrap_or_default()
            } else {
                made.error.clone()
            },
        }
    };
    record.final_images.iter().map(view).collect()
}

/// The cubes of a record, their maps drawn.
pub(crate) fn cubes(record: &CampaignRecord, folder: &Path, store: &Store) -> Vec<CubeView> {
    let view = |cube: &CubeRecord| {
        let figures = of_cube(store, folder, cube);
        let view = |(title, figure): &(String, _)| FigureView::new(title, figure);
        CubeView {
            title: format!("Cube {}: {} channels", cube.name, cube.channels),
            path: cube.image.display().to_string(),
            again: imaged_again(&cube.imaged_again),
            maps: figures.maps.iter().map(view).collect(),
            channels: figures.channels.iter().map(view).collect(),
        }
    };
    record.cubes.iter().map(view).collect()
}

/// A sentence about the channels that were imaged again.
fn imaged_again(channels: &[usize]) -> String {
    let numbers: Vec<String> = channels.iter().map(ToString::to_string).collect();
    match numbers.len() {
        0 => String::new(),
        1 => format!("Channel {} was imaged again without confetti at the border of its group.", numbers[0]),
        _ => format!("Channels {} were imaged again without confetti at the borders of groups.", numbers.join(", ")),
    }
}
