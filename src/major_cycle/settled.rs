//! Masks that hardly change any more.

use super::notes::Finished;
use super::{CycleMask, PlaneMask, StopRules};

/// Whether the last two masks that were made (`fresh` among them) have both changed by little. Once is not enough: the
/// sidelobes of what is not yet cleaned may hide everything else for a cycle.
pub(super) fn has_settled(finished: &[Finished], fresh: Option<&CycleMask>, rules: &StopRules) -> bool {
    have_settled(masks_made(finished, fresh).map(CycleMask::as_one_plane), rules)
}

/// As [`has_settled`], of one plane of the masks.
pub(super) fn plane_has_settled(
    index: usize,
    finished: &[Finished],
    fresh: Option<&CycleMask>,
    rules: &StopRules,
) -> bool {
    have_settled(masks_made(finished, fresh).filter_map(|mask| mask.channels.get(index).copied()), rules)
}

/// The masks that were made, not used again, in their order.
fn masks_made<'a>(finished: &'a [Finished], fresh: Option<&'a CycleMask>) -> impl Iterator<Item = &'a CycleMask> {
    finished.iter().filter(|f| !f.same_mask).map(|f| &f.mask).chain(fresh)
}

fn have_settled(planes: impl Iterator<Item = PlaneMask>, rules: &StopRules) -> bool {
    let made: Vec<PlaneMask> = planes.filter(|plane| !plane.kept).skip(1).collect();
    let unchanged = |p: &PlaneMask| !p.hidden && ((p.added + p.removed) as f64) < rules.freeze_change * p.pixels as f64;
    made.len() > 1 && made.iter().rev().take(2).all(unchanged)
}
