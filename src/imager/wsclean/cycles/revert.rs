//! Channels of a cube that are reverted to an earlier cycle, while the others stay.

use super::state::{WscleanState, carry_over, cycle_under_way};
use crate::imager::cycle::ChannelRevert;
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::files;
use std::path::PathBuf;

/// Makes the present cycle's folder again: with the files that these channels had after their earlier cycles, and those
/// of the others.
pub(crate) fn revert(state: &mut WscleanState, reverts: &[ChannelRevert]) -> Result<(), WscleanError> {
    let (present, fresh) = (state.present_folder(), cycle_under_way(state.scratch()));
    files::fresh_folder(&fresh)?;
    for (index, part) in state.parts().iter().enumerate() {
        let source = reverts
            .iter()
            .find(|r| r.channel == index)
            .map_or_else(|| present.clone(), |r| kept_from(state, r.cycle, &part.name));
        carry_over(&source.join(&part.name), &fresh.join(&part.name))?;
    }
    state.assemble(&fresh, &["residual", "model"])?;
    state.replace_present(&fresh)
}

/// Folder of the state after `cycle`, or of the next one that was not thinned out.
fn kept_from(state: &WscleanState, cycle: usize, part: &str) -> PathBuf {
    let folder = |n: usize| if n == 0 { state.start_folder() } else { state.cycle_folder(n) };
    let kept = (cycle..=state.cycles()).map(folder).find(|folder| folder.join(part).is_dir());
    kept.unwrap_or_else(|| state.present_folder())
}
