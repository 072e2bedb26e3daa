//! The loop itself: one method a phase, in the order in which a cycle goes through them.

use super::begin::begin_inside;
use super::channels::{ChannelProgress, channel_moments, channel_states, diverged_channels};
use super::decide::{ChosenMask, CycleStep, Look, Situation, decide};
use super::measures::{Measures, describe, note_outcome};
use super::notes::{Finished, Notes, Reverted};
use super::settled::has_settled;
use super::{ConfettiRecord, CycleMask, CycleMasks, CycleRecord, StopRules};
use crate::imager::{CycleImager, MinorControls, Products, Residual, StopReason};
use crate::process::interrupt;
use crate::quality::residual::ResidualState;
use crate::{Error, Result};
use std::path::Path;
use std::time::Instant;

/// The result of the loop.
#[derive(Debug, Clone, PartialEq)]
pub struct CycleReport {
    /// The imager's final files.
    pub products: Products,
    /// Each cycle; the last one made no minor cycle.
    pub cycles: Vec<CycleRecord>,
    /// Why it ended.
    pub stopped: StopReason,
    /// The mask that was last cleaned with.
    pub mask: Option<CycleMask>,
}

/// Runs the loop on an imager that was set up; `folder` is the job's. The caller tears the imager down.
///
/// # Errors
/// The imager's or the masks' failure, an interruption, a first mask that is empty in every plane.
pub fn run(
    imager: &mut dyn CycleImager,
    masks: &mut dyn CycleMasks,
    measures: Measures<'_>,
    rules: &StopRules,
    folder: &Path,
) -> Result<CycleReport> {
    Cycles::resume(imager, masks, measures, rules, folder)?.run()
}

/// The loop under way.
struct Cycles<'a> {
    imager: &'a mut dyn CycleImager,
    masks: &'a mut dyn CycleMasks,
    measures: Measures<'a>,
    rules: &'a StopRules,
    notes: Notes,
    /// The residual of the finished cycles.
    residual: Residual,
    /// A revert that an earlier run had begun: its look at the residual stands for the next one.
    noted: Option<Reverted>,
    /// The mask that nothing was cleaned with, where it is wanted all the same.
    uncleaned: Option<CycleMask>,
}

/// Outcome of the loop.
struct Ended {
    reason: StopReason,
    /// The record of the cycle that was not cleaned any more.
    record: CycleRecord,
    /// Go back to the state after this number of cycles.
    roll_back: Option<usize>,
}

impl Ended {
    /// `cycle`: the number of cycles whose state is taken.
    fn diverged(record: CycleRecord, cycle: usize) -> Self {
        Self { reason: StopReason::Diverged, record, roll_back: Some(cycle) }
    }

    fn because(reason: StopReason, record: CycleRecord) -> Self {
        let record = CycleRecord { stopped: Some(reason.clone()), ..record };
        Self { reason, record, roll_back: None }
    }
}

impl<'a> Cycles<'a> {
    /// Goes on where an earlier run was cut off, or begins.
    fn resume(
        imager: &'a mut dyn CycleImager,
        masks: &'a mut dyn CycleMasks,
        measures: Measures<'a>,
        rules: &'a StopRules,
        folder: &Path,
    ) -> Result<Self> {
        let mut notes = Notes::open(folder, imager.completed_cycles())?;
        begin_inside(imager, masks, measures, rules, &mut notes)?;
        imager.make_psf()?;
        imager.make_pb()?;
        let completed = imager.completed_cycles();
        if notes.finished.len() < completed {
            // The notes of a cycle are written after it: the one without notes is done again.
            imager.roll_back(notes.finished.len())?;
        }
        let noted = notes.finished.last().and_then(|f| f.reverted.clone());
        if let Some(reverted) = &noted {
            imager.revert_channels(&reverted.channels)?;
        }
        let residual = imager.residual()?;
        Ok(Self { imager, masks, measures, rules, notes, residual, noted, uncleaned: None })
    }

    fn run(mut self) -> Result<CycleReport> {
        let ended = loop {
            if let Some(ended) = self.cycle()? {
                break ended;
            }
        };
        self.finish(ended)
    }

    /// One turn of the loop; how it ended, if it did.
    fn cycle(&mut self) -> Result<Option<Ended>> {
        interrupt::check()?;
        let confetti = self.veto()?;
        let mask = self.choose_mask(&confetti)?;
        let mut look = self.look(&mask, confetti)?;
        let cannot_revert = !self.revert_channels(&mut look, &mask)?;
        self.take_masks_back(&look, &mask)?;
        let situation = Situation {
            look: &look,
            mask: &mask,
            finished: &self.notes.finished,
            cheap: self.imager.calls_are_cheap(),
            careful: self.notes.careful,
            cannot_revert,
        };
        match decide(&situation, self.rules) {
            CycleStep::RollBack { cycle } => Ok(Some(Ended::diverged(look.record, cycle))),
            CycleStep::StepBack { cycle } => self.step_back(cycle, look.record),
            CycleStep::Stop(reason) => {
                // Nothing was cleaned of a group of channels: its planes of the mask are those of the whole cube.
                let first = self.notes.finished.is_empty() && self.rules.limits.independent_channels;
                self.uncleaned = first.then_some(mask.mask);
                Ok(Some(Ended::because(reason, look.record)))
            }
            CycleStep::Clean(controls) => self.clean(&controls, mask, look.record),
        }
    }

    /// Vetoes confetti in the model of the finished cycles; all that was found before this cycle, also by an earlier
    /// run that was then cut off.
    fn veto(&mut self) -> Result<Vec<ConfettiRecord>> {
        let Some(last) = self.notes.finished.last() else { return Ok(Vec::new()) };
        let mut confetti = last.vetoed.clone();
        if self.noted.is_some() {
            return Ok(confetti);
        }
        let channels = channel_moments(&self.notes.finished, &[], self.rules);
        let found = self.masks.veto(&self.residual, &self.notes.moment(&channels))?;
        let Some(veto) = found else { return Ok(confetti) };
        let cycle = Some(self.notes.next_cycle());
        for pixel in veto.found {
            if !confetti.iter().any(|c| (c.pixel, c.channel) == (pixel.pixel, pixel.channel)) {
                confetti.push(ConfettiRecord { cycle, ..pixel });
            }
        }
        if let Some(last) = self.notes.finished.last_mut() {
            last.vetoed.clone_from(&confetti);
        }
        self.notes.save()?;
        match self.imager.replace_model(&veto.model)? {
            Some(repaired) => self.residual = repaired,
            None => {
                for pixel in &mut confetti {
                    pixel.action = "left the mask; this imager keeps its model".into();
                }
            }
        }
        Ok(confetti)
    }

    /// The mask of the coming cycle: the one before where it has settled or still has its turn, a fresh one otherwise.
    /// Where channels are cleaned each by itself, that is so for each by itself.
    fn choose_mask(&mut self, confetti: &[ConfettiRecord]) -> Result<ChosenMask> {
        let vetoed = !confetti.is_empty();
        let channels = channel_moments(&self.notes.finished, confetti, self.rules);
        let settled = match channels.is_empty() {
            true => !vetoed && has_settled(&self.notes.finished, None, self.rules),
            false => channels.iter().all(|channel| channel.keep),
        };
        if let Some(noted) = &self.noted {
            return Ok(ChosenMask { mask: noted.mask.clone(), same: noted.same_mask, settled });
        }
        let has_its_turn =
            !vetoed && self.imager.calls_are_cheap() && !self.notes.next_cycle().is_multiple_of(self.rules.every);
        let last = self.notes.finished.last().filter(|_| settled || has_its_turn);
        Ok(match last {
            Some(last) => {
                let mask = CycleMask { kept_residual: None, ..last.mask.clone() };
                ChosenMask { mask, same: true, settled }
            }
            None => {
                let mask = self.masks.make(&self.residual, &self.notes.moment(&channels))?;
                ChosenMask { mask, same: false, settled }
            }
        })
    }

    /// Channels that come to their end with this look keep the mask that they were last cleaned with, as they would if
    /// there were no others to go on for.
    fn take_masks_back(&mut self, look: &Look, chosen: &ChosenMask) -> Result<()> {
        let Some(last) = self.notes.finished.last().filter(|_| self.rules.limits.independent_channels) else {
            return Ok(());
        };
        let ends = |(index, channel): (usize, &ChannelProgress)| {
            let goes_on = last.record.channels.get(index).is_some_and(|before| before.stopped.is_none());
            (channel.stopped.is_some() && goes_on).then_some(index)
        };
        let ended: Vec<usize> = look.channels.iter().enumerate().filter_map(ends).collect();
        if chosen.same || ended.is_empty() {
            return Ok(());
        }
        self.masks.take_back(&chosen.mask, &last.mask, &ended)
    }

    /// Measures the residual inside the mask.
    fn measure(&self, mask: &CycleMask) -> Result<(ResidualState, Vec<ChannelProgress>)> {
        let state =
            (self.measures.residual)(&self.residual.residual, Some(&mask.path), self.residual.pixel_mask.as_deref())?;
        let channels = channel_states(&state, &self.notes.finished, self.rules);
        Ok((state, channels))
    }

    /// Looks at the residual inside the mask.
    fn look(&self, chosen: &ChosenMask, confetti: Vec<ConfettiRecord>) -> Result<Look> {
        let (state, channels) = self.measure(&chosen.mask)?;
        let described = describe(&chosen.mask, &state, &channels, self.rules);
        let mut record = CycleRecord {
            cycle: self.notes.next_cycle(),
            residual: chosen.mask.kept_residual.clone().or_else(|| Some(self.residual.residual.clone())),
            confetti,
            ..described
        };
        if chosen.same {
            // The imager's own file goes with the imager, and nobody kept a copy.
            record.residual = None;
            (record.added, record.removed) = (Some(0), Some(0));
        }
        Ok(Look { state, channels, record })
    }

    /// Reverts the channels of a cube that have diverged, each to its best cycle, and looks again at the others. The
    /// record says what was seen before. `false`: there are some, and this imager cannot.
    fn revert_channels(&mut self, look: &mut Look, chosen: &ChosenMask) -> Result<bool> {
        if let Some(noted) = self.noted.take() {
            look.record = noted.record;
            return Ok(true);
        }
        let reverts = diverged_channels(&self.notes.finished, &look.state, &look.channels, self.rules);
        let Some(last) = self.notes.finished.last_mut().filter(|_| !reverts.is_empty()) else { return Ok(true) };
        for revert in &reverts {
            let channel = &mut look.record.channels[revert.channel];
            channel.stopped = Some(StopReason::Diverged);
        }
        last.reverted = Some(Reverted {
            channels: reverts.clone(),
            record: look.record.clone(),
            mask: chosen.mask.clone(),
            same_mask: chosen.same,
        });
        self.notes.save()?;
        if !self.imager.revert_channels(&reverts)? {
            return Ok(false);
        }
        self.residual = self.imager.residual()?;
        (look.state, look.channels) = self.measure(&chosen.mask)?;
        Ok(true)
    }

    /// Goes on from an earlier state in small steps; how the loop ended, where the imager has that state no more.
    fn step_back(&mut self, cycle: usize, record: CycleRecord) -> Result<Option<Ended>> {
        let later = self.notes.finished.split_off(cycle);
        if self.imager.roll_back(cycle).is_err() {
            self.notes.finished.extend(later);
            return Ok(Some(Ended::diverged(record, cycle)));
        }
        self.notes.careful = true;
        self.notes.save()?;
        self.residual = self.imager.residual()?;
        Ok(None)
    }

    /// One call of the imager inside the mask, then the residual after it; how the loop ended, if nothing was done.
    fn clean(
        &mut self,
        controls: &MinorControls,
        chosen: ChosenMask,
        mut record: CycleRecord,
    ) -> Result<Option<Ended>> {
        let clock = Instant::now();
        let minor = self.imager.clean(Some(&chosen.mask.path), controls)?;
        if let Some(reason) = minor.stopped.clone().filter(|_| minor.iterations == 0) {
            // Nothing was done: the residual is still the one that was looked at.
            self.uncleaned = self.rules.limits.independent_channels.then_some(chosen.mask);
            return Ok(Some(Ended::because(reason, record)));
        }
        self.residual = self.imager.residual()?;
        note_outcome(&mut record, &minor, &self.residual, (clock, self.measures))?;
        let ChosenMask { mask, same, .. } = chosen;
        self.notes.finished.push(Finished { record, mask, same_mask: same, minor, reverted: None, vetoed: Vec::new() });
        self.notes.save()?;
        Ok(None)
    }

    /// Restores the image and reports.
    fn finish(mut self, ended: Ended) -> Result<CycleReport> {
        let nothing_cleaned = self.notes.finished.is_empty() && ended.reason == StopReason::EmptyMask;
        if nothing_cleaned && !self.rules.may_clean_nothing {
            return Err(Error::bad_input(format!(
                "the mask of the first cycle is empty: nothing in {} is above the levels asked for. Lower them, or \
                 begin with a mask of your own (`campaign: mask: include`)",
                self.residual.residual.display()
            )));
        }
        let mut cycles = self.notes.records();
        cycles.push(ended.record);
        if let Some(cycle) = ended.roll_back
            && self.imager.roll_back(cycle).is_ok()
        {
            // An imager without that state any more gives its last one.
            self.notes.finished.truncate(cycle);
        }
        let products = self.imager.restore()?;
        if let Some(last) = cycles.last_mut().filter(|r| r.residual.is_none()) {
            last.residual = Some(products.residual.clone());
        }
        self.notes.remove()?;
        let mask = self.uncleaned.or_else(|| self.notes.finished.pop().map(|f| f.mask));
        Ok(CycleReport { products, cycles, stopped: ended.reason, mask })
    }
}
