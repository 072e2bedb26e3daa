//! The channels of a cube that a target images, where it images a group of them.

use super::Programs;
use crate::campaign::plan::{MeasurementSetPlan, RoundPlan};
use crate::campaign::steps::final_data::load_grid;
use crate::campaign::steps::{Backend, Prepared, PreparedSet, StepContext};
use crate::imager::tclean::TcleanImager;
use crate::imager::{CubeBand, CubeGrid, ImagerContext, ImagerOptions, progress};
use crate::measurement_set::{DataPart, MsSummary};
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use std::path::Path;

impl Programs<'_> {
    /// The imager's options of a round, for the target's channels.
    pub(super) fn imaging_of(&self, round: &RoundPlan) -> Result<ImagerOptions> {
        let Some(channels) = &self.target.channels else { return Ok(round.imaging.clone()) };
        let band = match &round.imaging {
            ImagerOptions::Wsclean(_) => channels.of_data.clone().map_or(CubeBand::Unknown, CubeBand::Data),
            imaging if imaging.needs_grid() => CubeBand::Grid(load_grid(&self.plan.output, &channels.target)?),
            _ => CubeBand::Unknown,
        };
        Ok(round.imaging.of_group(&channels.group, band))
    }

    /// Prepares the data of a group of channels, which many others read, too: they are not looked into again.
    pub(super) fn prepare_group(&mut self, context: &StepContext) -> Result<Prepared> {
        let column = self.plan.start_column;
        let tools = IndexMap::from([("imager".to_string(), self.check_imager(column, context)?)]);
        let set = |set: &MeasurementSetPlan| PreparedSet {
            name: set.name.clone(),
            path: set.path.clone(),
            summary: MsSummary::default(),
            part: DataPart::default(),
        };
        Ok(Prepared {
            sets: self.target.members.iter().map(set).collect(),
            facts: IndexMap::new(),
            tools,
            column,
            model_wanted: false,
            warnings: Vec::new(),
        })
    }

    /// Identity of the target's data.
    pub(crate) fn identity(&mut self) -> Result<String> {
        self.data_identity()
    }

    /// The grid of the frequencies of the whole cube, worked out below `folder`.
    pub(crate) fn cube_grid(&mut self, folder: &Path) -> Result<CubeGrid> {
        let ImagerOptions::Tclean(options) = self.plan.rounds[0].imaging.clone() else {
            return Err(Error::internal("only tclean works its frequencies out"));
        };
        let scratch = folder.join(".grid");
        fs::remove(&scratch)?;
        fs::make(&scratch)?;
        let logs = folder.join("logs");
        fs::make(&logs)?;
        let context = StepContext {
            attempt: Default::default(),
            measurement_sets: self.target.paths(),
            folder: scratch.clone(),
            log: logs.join("grid.log"),
            progress: progress::silent(),
        };
        let job = self.job(self.plan.start_column.name(), None, &context);
        let casa = self.casa()?;
        let grid = TcleanImager::new(job, options, casa, ImagerContext::default())?.grid();
        fs::remove(&scratch)?;
        grid
    }
}
