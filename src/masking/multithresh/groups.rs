//! One call for a cube whose channels are masked in groups, each wherever and whenever it suits: the same mask and the same
//! state, to the byte, as of one call for all.

use super::channels::{Found, put_together};
use super::cube::Cube;
use super::cycle::{Cycle, check_state};
use super::folder::{ChannelCounters, StateFolder};
use super::{CycleInputs, CycleSummary, MultithreshError, MultithreshOptions, PlaneSummary};
use crate::options::Validate;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What was found in the channels of a group; their states are in a file of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupFound {
    planes: Vec<PlaneSummary>,
    counters: Vec<ChannelCounters>,
}

/// A call whose groups are masked elsewhere. It holds the state's lock until its end.
pub struct GroupedCycle<'a> {
    cycle: Cycle<'a>,
    state: StateFolder,
}

impl<'a> GroupedCycle<'a> {
    /// Looks at the inputs and the state.
    ///
    /// # Errors
    /// As [`run_cycle`](super::run_cycle).
    pub fn begin(
        inputs: &'a CycleInputs,
        options: &'a MultithreshOptions,
        state_dir: &Path,
    ) -> Result<Self, MultithreshError> {
        options.validate()?;
        let state = StateFolder::open(state_dir)?;
        let cube = Cube::open(inputs, options)?;
        check_state(&cube, &state)?;
        Ok(Self { cycle: Cycle::prepare(cube, &state)?, state })
    }

    /// Channels of the cube.
    pub fn channels(&self) -> usize {
        self.cycle.cube.channels
    }

    /// Calls before this one.
    pub fn calls_before(&self) -> usize {
        self.state.record().map_or(0, |record| record.cycles)
    }

    /// The PSF's sidelobe level, over all channels. Each group is given it: it is measured once.
    pub fn sidelobe_level(&self) -> f32 {
        self.cycle.sidelobe_level()
    }

    /// Puts the groups together, in the order of their channels: writes the mask, and makes the new state.
    ///
    /// # Errors
    /// Files that cannot be read or written, groups that are not all channels; the state is then the one before.
    pub fn finish(
        mut self,
        groups: Vec<(PathBuf, GroupFound)>,
        output: &Path,
    ) -> Result<CycleSummary, MultithreshError> {
        let found: usize = groups.iter().map(|(_, found)| found.planes.len()).sum();
        if found != self.channels() {
            return Err(MultithreshError::Missing(format!(
                "the groups have {found} channels, the cube {}",
                self.channels()
            )));
        }
        let groups = groups.into_iter().map(|(path, found)| (path, (found.planes, found.counters)));
        let masks = self.state.next_masks();
        let found = put_together(&self.cycle.cube, groups, &self.state.path().join(&masks), output)?;
        self.cycle.commit(&mut self.state, masks, found)
    }
}

/// Masks the channels of one group and writes their states to `to`. The state folder is only read, and its lock is left to
/// whoever began the call ([`GroupedCycle::begin`]).
///
/// # Errors
/// As [`run_cycle`](super::run_cycle).
pub fn run_group(
    inputs: &CycleInputs,
    options: &MultithreshOptions,
    state_dir: &Path,
    channels: Range<usize>,
    to: &Path,
) -> Result<GroupFound, MultithreshError> {
    options.validate()?;
    let state = StateFolder::look(state_dir)?;
    let cube = Cube::open(inputs, options)?;
    check_state(&cube, &state)?;
    let cycle = Cycle::prepare(cube, &state)?;
    let (planes, counters): Found = cycle.channels(&state).run(channels, to, None)?;
    Ok(GroupFound { planes, counters })
}
