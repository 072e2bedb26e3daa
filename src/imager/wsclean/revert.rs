//! Channels of a cube that go back to an earlier cycle, while the others stay.

use super::error::WscleanError;
use super::files::{self, PREFIX};
use super::imager::WscleanImager;
use crate::imager::ChannelRevert;
use std::path::PathBuf;

impl WscleanImager {
    /// Makes the present cycle's folder anew: with the files that these channels had after their earlier cycles, and
    /// those of the others. Between the two renames there is no folder of this cycle: a run that is cut off there goes
    /// on from the one before.
    pub(super) fn revert_channel_files(&mut self, back: &[ChannelRevert]) -> Result<(), WscleanError> {
        let lanes = self.lanes();
        let (present, fresh) = (self.state_folder(), self.scratch().join("cycle.new"));
        files::fresh_folder(&fresh)?;
        for (index, lane) in lanes.iter().enumerate() {
            let to = fresh.join(&lane.name);
            files::make_folder(&to)?;
            let source = back
                .iter()
                .find(|b| b.channel == index)
                .map_or_else(|| present.clone(), |b| self.kept_from(b.cycle, &lane.name));
            let list = files::pieces(&source.join(&lane.name), PREFIX)?;
            if files::link_pieces(&list, "model", &to, PREFIX, "model")? == 0 {
                Self::untouched(&source.join(&lane.name), &to)?;
                continue;
            }
            for kind in ["residual", "image"] {
                files::link_pieces(&list, kind, &to, PREFIX, kind)?;
            }
        }
        for kind in ["residual", "model"] {
            self.assemble_lanes(&fresh, &fresh, kind, kind)?;
        }
        self.put_in_place(&fresh)
    }

    /// Folder of the state after `cycle`, or of the next one that was not thinned out.
    fn kept_from(&self, cycle: usize, lane: &str) -> PathBuf {
        let now = self.cycles_done();
        let folders = (cycle..=now).map(|n| if n == 0 { self.start_folder() } else { self.cycle_folder(n) });
        folders.into_iter().find(|folder| folder.join(lane).is_dir()).unwrap_or_else(|| self.state_folder())
    }
}
