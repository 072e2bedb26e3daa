//! The loop with fake imagers, and its rules by tables.

use super::channels::{
    ChannelProgress, channel_controls, channel_moments, channel_states, diverged_channels, iterations_left,
};
use super::decide::{ChosenMask, CycleStep, Look, Situation, decide};
use super::measures::describe;
use super::notes::{Finished, Notes};
use super::*;
use crate::imager::{
    BegunCycle, Capabilities, ChannelControls, ChannelRevert, CycleImager, Imager, MinorControls, MinorCycle, Products,
    Residual, StopLimits, StopReason,
};
use crate::quality::residual::{PlaneResidual, ResidualState};
use crate::{Error, Result};
use std::cell::Cell;
use std::path::{Path, PathBuf};

/// Each call halves what is inside the mask; `worse_at` makes one call raise everything.
#[derive(Clone)]
struct FakeImager {
    peak: f64,
    history: Vec<f64>,
    calls: Vec<(usize, bool, f64)>,
    worse_at: Option<usize>,
    /// ... unless it stops above the threshold of the run.
    better_when_careful: bool,
    /// It does one major iteration, however many it may.
    one_by_one: bool,
    /// It takes repaired models; those it was given.
    repairs: Option<Vec<PathBuf>>,
    /// It makes the first cycle in one call with the PSF.
    begins_inside: bool,
}

impl FakeImager {
    fn new() -> Self {
        Self {
            peak: 16.0,
            history: Vec::new(),
            calls: Vec::new(),
            worse_at: None,
            better_when_careful: false,
            one_by_one: false,
            repairs: None,
            begins_inside: false,
        }
    }
}

impl Imager for FakeImager {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            program: "fake".into(),
            mask_per_cycle: true,
            mask_cube_per_channel: true,
            multiscale_bit_masks: false,
            primary_beam: Ok(()),
        }
    }
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }
    fn teardown(&mut self) {}
    fn image_once(&mut self, _: Option<&Path>) -> Result<Products> {
        self.restore()
    }
    fn predict(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn command_lines(&self, _: Option<&Path>) -> Vec<Vec<String>> {
        Vec::new()
    }
    fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
        Some(self)
    }
}

impl CycleImager for FakeImager {
    fn make_psf(&mut self) -> Result<()> {
        Ok(())
    }
    fn begin_inside(&mut self, mask: &Path, controls: &MinorControls) -> Result<Option<BegunCycle>> {
        if !self.begins_inside {
            return Ok(None);
        }
        self.history.clear();
        self.peak = 16.0;
        let dirty = self.residual()?;
        Ok(Some(BegunCycle { dirty, minor: self.clean(Some(mask), controls)? }))
    }
    fn make_pb(&mut self) -> Result<Option<PathBuf>> {
        Ok(None)
    }
    fn residual(&mut self) -> Result<Residual> {
        let path = PathBuf::from(format!("{}", self.peak));
        Ok(Residual { residual: path.clone(), pixel_mask: None, pb: None, psf: path, model: None })
    }
    fn clean(&mut self, _: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
        self.calls.push((controls.major_iterations, controls.last, controls.threshold_jy));
        self.history.push(self.peak);
        let is_small = self.better_when_careful && controls.threshold_jy > 1.0;
        let factor = if self.worse_at == Some(self.history.len()) && !is_small { 4.0 } else { 0.5 };
        self.peak *= factor;
        Ok(MinorCycle {
            iterations: 10,
            major_iterations: if self.one_by_one { 1 } else { controls.major_iterations },
            cycle_threshold_jy: None,
            threshold_reached: false,
            stopped: None,
            channels: Vec::new(),
        })
    }
    fn restore(&mut self) -> Result<Products> {
        let path = PathBuf::from(format!("{}", self.peak));
        Ok(Products {
            image: path.clone(),
            residual: path.clone(),
            model: path.clone(),
            psf: path,
            dirty: None,
            pb: None,
            pbcor: None,
            channels: Vec::new(),
        })
    }
    fn completed_cycles(&self) -> usize {
        self.history.len()
    }
    fn roll_back(&mut self, cycle: usize) -> Result<()> {
        if cycle < self.history.len() {
            self.peak = self.history[cycle];
            self.history.truncate(cycle);
        }
        Ok(())
    }
    fn replace_model(&mut self, model: &Path) -> Result<Option<Residual>> {
        let Some(repairs) = &mut self.repairs else { return Ok(None) };
        repairs.push(model.to_path_buf());
        self.peak += 0.25;
        self.residual().map(Some)
    }
    fn revert_channels(&mut self, _: &[ChannelRevert]) -> Result<bool> {
        Ok(false)
    }
    fn calls_are_cheap(&self) -> bool {
        false
    }
    fn lines_run(&self) -> Vec<Vec<String>> {
        Vec::new()
    }
}

/// Masks of a given size by cycle; the last size repeats.
struct FakeMasks(Vec<u64>);

impl CycleMasks for FakeMasks {
    fn make(&mut self, _: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        let pixels = *self.0.get(moment.cycle).unwrap_or_else(|| self.0.last().unwrap());
        let before = moment.previous.map_or(0, |p| p.pixels);
        let (added, removed) = (pixels.saturating_sub(before), before.saturating_sub(pixels));
        Ok(CycleMask { path: format!("{pixels}").into(), pixels, added, removed, ..CycleMask::default() })
    }
}

/// The same with a first mask of so many pixels that is there before, of which some have changed since the last imaging.
struct KnownFirst(FakeMasks, u64, Option<u64>);

impl CycleMasks for KnownFirst {
    fn first(&mut self) -> Result<Option<FirstMask>> {
        let mask =
            CycleMask { path: format!("{}", self.1).into(), pixels: self.1, added: self.1, ..CycleMask::default() };
        Ok(Some(FirstMask { mask, changed: self.2 }))
    }
    fn begun(&mut self, dirty: &Residual) -> Result<Option<PathBuf>> {
        Ok(Some(format!("copy of {}", dirty.residual.display()).into()))
    }
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        assert!(moment.cycle > 0, "the first mask is there");
        self.0.make(residual, moment)
    }
}

fn number(path: &Path) -> f64 {
    path.to_str().unwrap().parse().unwrap()
}

fn measured(residual: &Path, mask: Option<&Path>, _: Option<&Path>) -> Result<ResidualState> {
    let peak = number(residual);
    let plane = PlaneResidual { peak, peak_in_mask: peak, rms: 0.5, masked_pixels: number(mask.unwrap()) as u64 };
    Ok(ResidualState { overall: plane, channels: vec![plane] })
}

fn flux(model: &Path) -> Result<Vec<f64>> {
    Ok(vec![16.0 - number(model)])
}

const MEASURES: Measures<'static> = Measures { residual: &measured, flux: &flux };

fn rules() -> StopRules {
    let limits = StopLimits {
        threshold_jy: Some(1.0),
        nsigma: None,
        iterations: 1000,
        major_cycles: 10,
        independent_channels: false,
    };
    StopRules::new(&StopOptions::default(), &limits, 1, 0.01)
}

/// [`rules`] with other limits.
fn limited(change: impl FnOnce(&mut StopLimits)) -> StopRules {
    let mut rules = rules();
    change(&mut rules.limits);
    rules
}

fn go(imager: &mut FakeImager, masks: &[u64], rules: &StopRules) -> CycleReport {
    let folder = tempfile::tempdir().unwrap();
    run(imager, &mut FakeMasks(masks.to_vec()), MEASURES, rules, folder.path()).unwrap()
}

#[test]
fn it_cleans_with_fresh_masks_down_to_the_threshold() {
    let mut imager = FakeImager::new();
    let report = go(&mut imager, &[10, 20, 30, 40, 50, 60], &rules());
    assert_eq!(report.stopped, StopReason::Threshold);
    let peaks: Vec<f64> = report.cycles.iter().map(|c| c.peak.unwrap()).collect();
    assert_eq!(peaks, [16.0, 8.0, 4.0, 2.0, 1.0]);
    assert_eq!(report.mask.unwrap().pixels, 40, "the mask that was last cleaned with");
}

/// Masks that never change, with confetti before cycle 2.
struct Confetti(FakeMasks);

impl CycleMasks for Confetti {
    fn veto(&mut self, _: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
        let found = vec![ConfettiRecord { channel: 3, action: "zeroed".into(), ..Default::default() }];
        Ok((moment.cycle == 2).then(|| CycleVeto { found, model: "repaired".into() }))
    }
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        let mut mask = self.0.make(residual, moment)?;
        mask.added = 1;
        Ok(mask)
    }
}

#[test]
fn confetti_is_vetoed_and_the_mask_made_anew() {
    let go = |mut imager: FakeImager| {
        let folder = tempfile::tempdir().unwrap();
        let rules = StopRules { freeze_change: 0.5, ..rules() };
        let report = run(&mut imager, &mut Confetti(FakeMasks(vec![10])), MEASURES, &rules, folder.path()).unwrap();
        (imager, report)
    };
    // A settled mask runs the rest in one call; before that there is time for one veto.
    let (imager, report) = go(FakeImager { repairs: Some(Vec::new()), one_by_one: true, ..FakeImager::new() });
    assert_eq!(imager.repairs.unwrap(), [PathBuf::from("repaired")]);
    let found: Vec<usize> = report.cycles.iter().map(|c| c.confetti.len()).collect();
    assert_eq!(found[..3], [0, 0, 1]);
    let vetoed = &report.cycles[2].confetti[0];
    assert_eq!((vetoed.cycle, vetoed.action.as_str()), (Some(2), "zeroed"));
    assert_eq!(report.cycles[2].peak, Some(4.25), "the residual is that of the repaired model");
    let (_, report) = go(FakeImager { one_by_one: true, ..FakeImager::new() });
    assert_eq!(report.cycles[2].confetti[0].action, "left the mask; this imager keeps its model");
    assert_eq!(report.cycles[2].peak, Some(4.0));
}

/// Finds confetti before cycle 2, once: the repaired model has none. Then the mask fails, once.
struct CutOff {
    found: bool,
    failed: bool,
}

impl CycleMasks for CutOff {
    fn veto(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<Option<CycleVeto>> {
        if std::mem::replace(&mut self.found, moment.cycle == 2) {
            return Ok(None);
        }
        Confetti(FakeMasks(Vec::new())).veto(residual, moment)
    }
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        if moment.cycle == 2 && !std::mem::replace(&mut self.failed, true) {
            return Err(Error::Interrupted);
        }
        FakeMasks(vec![10, 20, 30, 40]).make(residual, moment)
    }
}

#[test]
fn confetti_is_not_forgotten_when_a_run_is_cut_off_after_the_repair() {
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeImager { repairs: Some(Vec::new()), ..FakeImager::new() };
    let mut masks = CutOff { found: false, failed: false };
    assert!(run(&mut imager, &mut masks, MEASURES, &rules(), folder.path()).is_err());
    let report = run(&mut imager, &mut masks, MEASURES, &rules(), folder.path()).unwrap();
    assert_eq!(imager.repairs.unwrap().len(), 1);
    let found: Vec<Vec<_>> = report.cycles.iter().map(|c| c.confetti.iter().map(|p| p.cycle).collect()).collect();
    assert_eq!(found[..3], [vec![], vec![], vec![Some(2)]]);
}

#[test]
fn a_first_mask_that_is_there_saves_a_call() {
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeImager { begins_inside: true, ..FakeImager::new() };
    let mut masks = KnownFirst(FakeMasks(vec![0, 20, 30, 40, 50]), 10, None);
    let rules = StopRules { every: 2, ..rules() };
    let report = run(&mut imager, &mut masks, MEASURES, &rules, folder.path()).unwrap();
    assert_eq!(report.stopped, StopReason::Threshold);
    assert_eq!(imager.calls.iter().map(|c| (c.0, c.1)).collect::<Vec<_>>(), [(2, false); 4]);
    let first = &report.cycles[0];
    assert_eq!((first.cycle, first.peak, first.masked_pixels, first.iterations), (0, Some(16.0), Some(10), Some(10)));
    assert_eq!(first.residual, Some("copy of 16".into()), "the dirty image");
    assert_eq!(report.cycles[1].added, Some(10), "against the first");

    // Another imager makes its PSF first, and a mask from its residual.
    let mut other = FakeImager::new();
    let report = run(&mut other, &mut KnownFirstMade(10), MEASURES, &rules, folder.path()).unwrap();
    assert_eq!(report.cycles[0].masked_pixels, Some(10));
}

/// A first mask that no imager takes.
struct KnownFirstMade(u64);

impl CycleMasks for KnownFirstMade {
    fn first(&mut self) -> Result<Option<FirstMask>> {
        Ok(Some(FirstMask::default()))
    }
    fn make(&mut self, residual: &Residual, moment: &MaskMoment<'_>) -> Result<CycleMask> {
        FakeMasks(vec![self.0]).make(residual, moment)
    }
}

#[rstest::rstest]
#[case::it_has_settled(Some(7), (10, true))]
#[case::it_has_changed(Some(8), (2, false))]
#[case::there_was_none_before(None, (2, false))]
fn masks_that_have_settled_over_the_rounds_need_one_call(#[case] changed: Option<u64>, #[case] call: (usize, bool)) {
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeImager { begins_inside: true, ..FakeImager::new() };
    let rules = StopRules { every: 2, freeze_change: 0.01, ..rules() };
    run(&mut imager, &mut KnownFirst(FakeMasks(vec![150]), 150, changed), MEASURES, &rules, folder.path()).unwrap();
    assert_eq!((imager.calls[0].0, imager.calls[0].1), call);
}

#[test]
fn a_run_that_was_cut_off_after_the_first_call_makes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeImager { begins_inside: true, ..FakeImager::new() };
    let go = |imager: &mut FakeImager| {
        let mut masks = KnownFirst(FakeMasks(vec![0, 20, 30, 40, 50]), 10, None);
        run(imager, &mut masks, MEASURES, &rules(), folder.path()).unwrap()
    };
    let whole = go(&mut imager.clone());
    // The imager has the cycle, the notes have not.
    imager.clean(None, &MinorControls { major_iterations: 1, ..begin::controls(&rules(), false) }).unwrap();
    imager.calls.clear();
    let again = go(&mut imager);
    let peaks = |report: &CycleReport| report.cycles.iter().map(|c| c.peak).collect::<Vec<_>>();
    assert_eq!((peaks(&again), again.stopped), (peaks(&whole), whole.stopped));
}

#[test]
fn a_call_that_follows_the_noise_ends_by_the_level_that_it_reached() {
    let limits = StopLimits { threshold_jy: None, nsigma: Some(2.0), ..rules().limits };
    let rules = StopRules { limits, ..rules() };
    let step = |reached: f64, peak_in_mask: f64| {
        let mask = CycleMask { pixels: 100, ..CycleMask::default() };
        let plane = PlaneResidual { peak: 9.0, peak_in_mask, rms: 0.5, masked_pixels: 100 };
        let state = ResidualState { overall: plane, channels: vec![plane] };
        let minor = MinorCycle {
            iterations: 10,
            major_iterations: 2,
            cycle_threshold_jy: Some(reached),
            threshold_reached: true,
            stopped: Some(StopReason::Threshold),
            channels: Vec::new(),
        };
        // The noise was ten times as high when the call began.
        let record = CycleRecord { threshold: Some(10.0), peak: Some(20.0), rms: Some(5.0), ..CycleRecord::default() };
        let finished =
            Finished { record, mask: mask.clone(), same_mask: false, minor, reverted: None, vetoed: Vec::new() };
        let look = Look {
            state,
            channels: Vec::new(),
            record: CycleRecord { peak: Some(9.0), rms: Some(0.5), ..CycleRecord::default() },
        };
        let chosen = ChosenMask { mask, same: false, settled: false };
        let situation = Situation {
            look: &Look { channels: vec![ChannelProgress::default()], ..look },
            mask: &chosen,
            finished: &[finished],
            cheap: false,
            careful: false,
            cannot_revert: false,
        };
        decide(&situation, &rules)
    };
    assert_eq!(step(1.05, 1.8), CycleStep::Stop(StopReason::NSigma), "the threshold is 1.0 now");
    assert!(matches!(step(1.05, 2.1), CycleStep::Clean(_)), "more is left than the error of minor iterations");
    let CycleStep::Clean(controls) = step(1.2, 1.8) else { panic!("the noise has fallen since") };
    assert_eq!(controls.follows_noise, Some(crate::imager::NoiseThreshold { nsigma: 2.0, least_jy: None }));
}

#[rstest::rstest]
#[case(limited(|l| (l.threshold_jy, l.nsigma) = (None, Some(9.0))), StopReason::NSigma, 2)]
#[case(limited(|l| l.iterations = 20), StopReason::Iterations, 2)]
#[case(limited(|l| l.major_cycles = 3), StopReason::MajorCycles, 3)]
#[case(StopRules { every: 2, ..limited(|l| l.major_cycles = 4) }, StopReason::MajorCycles, 2)]
fn limits_end_it(#[case] rules: StopRules, #[case] reason: StopReason, #[case] calls: usize) {
    let mut imager = FakeImager::new();
    let report = go(&mut imager, &[10, 20, 30, 40, 50], &rules);
    assert_eq!((report.stopped, imager.calls.len()), (reason, calls));
}

#[test]
fn a_settled_mask_lets_the_rest_run_in_one_call() {
    let mut imager = FakeImager::new();
    let report = go(&mut imager, &[10, 10, 10], &rules());
    let calls: Vec<_> = imager.calls.iter().map(|c| (c.0, c.1)).collect();
    assert_eq!(calls, [(1, false), (1, false), (8, true)], "settled is what twice stays the same");
    assert_eq!(report.stopped, StopReason::MajorCycles);
}

#[test]
fn after_a_settled_mask_it_still_goes_down_to_its_level() {
    let mut imager = FakeImager { one_by_one: true, ..FakeImager::new() };
    let report = go(&mut imager, &[10, 10, 10, 99], &rules());
    assert_eq!(report.stopped, StopReason::Threshold);
    assert_eq!(imager.calls.iter().map(|c| c.0).collect::<Vec<_>>(), [1, 1, 8, 7]);
    assert!(report.cycles.iter().all(|c| c.masked_pixels == Some(10)), "no mask was made after it had settled");
    assert!(report.cycles[3].residual.is_none(), "nobody kept it");
    assert_eq!(report.cycles[4].residual, Some(report.products.residual));
}

#[test]
fn divergence_reverts_to_the_best_cycle() {
    let mut imager = FakeImager { worse_at: Some(3), ..FakeImager::new() };
    let report = go(&mut imager, &[10, 20, 30, 40, 50], &rules());
    assert_eq!(report.stopped, StopReason::Diverged);
    assert_eq!(number(&report.products.image), 4.0);
    assert_eq!(report.mask.unwrap().pixels, 20);
    let thresholds: Vec<f64> = imager.calls.iter().map(|c| c.2).collect();
    assert_eq!(thresholds, [1.0, 1.0, 1.0, 2.0], "the second time in small steps");
}

#[test]
fn after_a_divergence_it_goes_on_in_small_steps() {
    let mut imager = FakeImager { worse_at: Some(2), better_when_careful: true, ..FakeImager::new() };
    let rules = StopRules { every: 3, ..rules() };
    let report = go(&mut imager, &[10, 20, 30, 40, 50], &rules);
    assert_eq!(report.stopped, StopReason::Threshold);
    assert_eq!(number(&report.products.image), 1.0);
    let calls: Vec<(usize, f64)> = imager.calls.iter().map(|c| (c.0, c.2)).collect();
    assert_eq!(calls, [(3, 1.0), (3, 1.0), (1, 4.0), (1, 2.0), (1, 1.0)]);
}

#[test]
fn a_divergence_is_remembered_by_a_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut notes = Notes::open(folder.path(), 0).unwrap();
    assert!(!notes.careful);
    notes.careful = true;
    notes.save().unwrap();
    assert!(Notes::open(folder.path(), 0).unwrap().careful);
    let (look, finished, mask) = (look_at(24.1, 0.5, 20), past(&[(20.0, None), (16.0, None)]), fresh(10));
    let situation = Situation { careful: true, ..situation(&look, &finished, &mask) };
    assert_eq!(decide(&situation, &rules()), CycleStep::RollBack { cycle: 1 }, "the second time it ends");
}

/// Three channels: the first meets its level at once, the second after two cycles, the third runs out of iterations.
/// Later masks find more in the first two.
#[test]
fn a_converged_channel_stays_so() {
    let rules = StopRules { freeze_change: 0.0, ..limited(|l| (l.independent_channels, l.iterations) = (true, 30)) };
    let peaks = [[0.5, 4.0, 9.0], [3.0, 2.0, 8.0], [3.0, 0.9, 7.0], [3.0, 5.0, 6.0]];
    let plane = |p: f64| PlaneResidual { peak: p, peak_in_mask: p, rms: 0.1, masked_pixels: 5 };
    let mut finished: Vec<Finished> = Vec::new();
    let mut active = Vec::new();
    for (cycle, peaks) in peaks.iter().enumerate() {
        let planes: Vec<_> = peaks.iter().map(|p| plane(*p)).collect();
        let state = ResidualState { overall: planes[2], channels: planes };
        let channels = channel_states(&state, &finished, &rules);
        let record = describe(&CycleMask::default(), &state, &channels, &rules);
        let controls = channel_controls(&state, &channels, 0, &|_, _| 1, &rules);
        active.push(controls.iter().map(|c| c.active).collect::<Vec<_>>());
        if cycle == 3 {
            let look = Look { state: state.clone(), channels: channels.clone(), record: record.clone() };
            let step = decide(&situation(&look, &finished, &fresh(5)), &rules);
            assert_eq!(step, CycleStep::Stop(StopReason::Iterations), "the third was cut short");
            let stops: Vec<_> = record.channels.iter().map(|c| c.stopped.clone()).collect();
            let expected = [StopReason::Threshold, StopReason::Threshold, StopReason::Iterations].map(Some);
            assert_eq!(stops, expected);
        } else {
            assert_eq!(iterations_left(&channels, 99, &rules), 30 - 10 * cycle as u64, "each has its own count");
        }
        let of = |c: &ChannelControls| crate::imager::ChannelCycle {
            iterations: if c.active { 10 } else { 0 },
            ..Default::default()
        };
        let minor = MinorCycle {
            iterations: 10,
            major_iterations: 1,
            cycle_threshold_jy: None,
            threshold_reached: false,
            stopped: None,
            channels: controls.iter().map(of).collect(),
        };
        finished.push(Finished {
            record,
            mask: CycleMask::default(),
            same_mask: false,
            minor,
            reverted: None,
            vetoed: Vec::new(),
        });
    }
    let t = true;
    assert_eq!(active, [[false, t, t], [false, t, t], [false, false, t], [false, false, false]]);
}

/// A cube whose channels lose half of their peak in each call; channel 1 grows in the third. Peaks by cycle are on
/// record, as an imager's files are. With a limit of calls it is cut off.
#[derive(Clone)]
struct FakeCube {
    past: Vec<Vec<f64>>,
    active: Vec<Vec<bool>>,
    back: Vec<Vec<ChannelRevert>>,
    cheap: bool,
    /// It fails in this many-th going back, before anything is changed.
    fails_to_go_back: bool,
}

impl FakeCube {
    fn new(cheap: bool) -> Self {
        let past = vec![vec![16.0, 8.0, 32.0]];
        Self { past, active: Vec::new(), back: Vec::new(), cheap, fails_to_go_back: false }
    }
}

impl Imager for FakeCube {
    fn capabilities(&self) -> Capabilities {
        FakeImager::new().capabilities()
    }
    fn setup(&mut self) -> Result<()> {
        Ok(())
    }
    fn teardown(&mut self) {}
    fn image_once(&mut self, _: Option<&Path>) -> Result<Products> {
        self.restore()
    }
    fn predict(&mut self, _: &Path) -> Result<()> {
        Ok(())
    }
    fn command_lines(&self, _: Option<&Path>) -> Vec<Vec<String>> {
        Vec::new()
    }
    fn cycles(&mut self) -> Option<&mut dyn CycleImager> {
        Some(self)
    }
}

impl CycleImager for FakeCube {
    fn make_psf(&mut self) -> Result<()> {
        Ok(())
    }
    fn make_pb(&mut self) -> Result<Option<PathBuf>> {
        Ok(None)
    }
    fn residual(&mut self) -> Result<Residual> {
        let peaks: Vec<String> = self.past.last().unwrap().iter().map(f64::to_string).collect();
        let path = PathBuf::from(peaks.join(","));
        Ok(Residual { residual: path.clone(), pixel_mask: None, pb: None, psf: path, model: None })
    }
    fn clean(&mut self, _: Option<&Path>, controls: &MinorControls) -> Result<MinorCycle> {
        let active: Vec<bool> = controls.channels.iter().map(|c| c.active).collect();
        let call = self.past.len();
        let mut now = self.past.last().unwrap().clone();
        for (channel, peak) in now.iter_mut().enumerate().filter(|(c, _)| active[*c]) {
            *peak *= if channel == 1 && call == 3 { 8.0 } else { 0.5 };
        }
        self.past.push(now);
        let of = |&on: &bool| crate::imager::ChannelCycle { iterations: u64::from(on), ..Default::default() };
        let channels = active.iter().map(of).collect();
        self.active.push(active);
        Ok(MinorCycle {
            iterations: 1,
            major_iterations: controls.major_iterations,
            cycle_threshold_jy: None,
            threshold_reached: false,
            stopped: None,
            channels,
        })
    }
    fn restore(&mut self) -> Result<Products> {
        let mut one = FakeImager::new();
        let products = one.restore()?;
        Ok(Products { residual: self.residual()?.residual, ..products })
    }
    fn completed_cycles(&self) -> usize {
        self.past.len() - 1
    }
    fn revert_channels(&mut self, back: &[ChannelRevert]) -> Result<bool> {
        if std::mem::take(&mut self.fails_to_go_back) {
            return Err(Error::Interrupted);
        }
        for went in back {
            let peak = self.past[went.cycle][went.channel];
            self.past.last_mut().unwrap()[went.channel] = peak;
        }
        self.back.push(back.to_vec());
        Ok(true)
    }
    fn calls_are_cheap(&self) -> bool {
        self.cheap
    }
    fn roll_back(&mut self, _: usize) -> Result<()> {
        Err(Error::internal("a cube goes back channel by channel"))
    }
    fn replace_model(&mut self, _: &Path) -> Result<Option<Residual>> {
        Ok(None)
    }
    fn lines_run(&self) -> Vec<Vec<String>> {
        Vec::new()
    }
}

/// Peaks of the channels, as the name of the residual has them.
fn channel_peaks(residual: &Path) -> Vec<f64> {
    residual.to_str().unwrap().split(',').map(|p| p.parse().unwrap()).collect()
}

fn measured_cube(residual: &Path, _: Option<&Path>, _: Option<&Path>) -> Result<ResidualState> {
    let plane = |p: f64| PlaneResidual { peak: p, peak_in_mask: p, rms: 0.1, masked_pixels: 5 };
    let channels: Vec<_> = channel_peaks(residual).into_iter().map(plane).collect();
    let highest = channels.iter().map(|c| c.peak).fold(0.0, f64::max);
    Ok(ResidualState { overall: PlaneResidual { masked_pixels: 15, ..plane(highest) }, channels })
}

const CUBE: Measures<'static> = Measures { residual: &measured_cube, flux: &flux };

#[test]
fn a_channel_that_diverges_reverts_alone() {
    let t = true;
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeCube::new(false);
    let rules = StopRules { freeze_change: 0.0, ..rules() };
    let report = run(&mut imager, &mut FakeMasks(vec![5]), CUBE, &rules, folder.path()).unwrap();
    assert_eq!(imager.back, [[ChannelRevert { channel: 1, cycle: 2 }]]);
    // The others go on down to their level.
    assert_eq!(channel_peaks(&report.products.residual), [1.0, 2.0, 1.0]);
    assert_eq!(imager.active, [[t, t, t], [t, t, t], [t, t, t], [t, false, t], [false, false, t]]);
    assert_eq!(report.stopped, StopReason::Diverged);
    let reasons: Vec<_> = report.cycles.last().unwrap().channels.iter().map(|c| c.stopped.clone()).collect();
    assert_eq!(reasons, [StopReason::Threshold, StopReason::Diverged, StopReason::Threshold].map(Some));
    let third = &report.cycles[3].channels[1];
    assert_eq!((third.peak, &third.stopped), (Some(16.0), &Some(StopReason::Diverged)), "the record has what was seen");
    assert_eq!(report.cycles[4].channels[1].peak, Some(2.0));

    // Cut off while it goes back, it does the same.
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeCube { fails_to_go_back: true, ..FakeCube::new(false) };
    assert!(run(&mut imager, &mut FakeMasks(vec![5]), CUBE, &rules, folder.path()).is_err());
    let again = run(&mut imager, &mut FakeMasks(vec![9]), CUBE, &rules, folder.path()).unwrap();
    assert_eq!(again.products, report.products);
    let peaks = |r: &CycleReport| -> Vec<_> { r.cycles.iter().map(|c| c.channels[1].peak).collect() };
    assert_eq!(peaks(&again), peaks(&report));
    assert_eq!(again.cycles[3].masked_pixels, Some(5), "the mask that was looked at stays");
}

#[test]
fn a_lost_channel_has_diverged_and_a_converged_one_is_not_looked_at() {
    let plane = |p: f64, rms: f64| PlaneResidual { peak: p, peak_in_mask: p, rms, masked_pixels: 5 };
    let of = |p: f64| ChannelRecord { peak: Some(p), rms: Some(1.0), ..Default::default() };
    let record = |peaks: [f64; 4]| CycleRecord { channels: peaks.map(of).to_vec(), ..Default::default() };
    let finished = [record([9.0; 4]), record([5.0, 6.0, 7.0, 8.0])].map(|r| finished_cycle(r, 5, &[]));
    let planes = vec![plane(0.0, 0.0), plane(20.0, 1.0), plane(7.0, 2.0), plane(8.1, 1.1)];
    let state = ResidualState { overall: planes[1], channels: planes };
    let mut channels = vec![ChannelProgress::default(); 4];
    channels[1].long_stopped = true;
    let back = diverged_channels(&finished, &state, &channels, &rules());
    let expected = [0, 2].map(|channel| ChannelRevert { channel, cycle: 1 });
    assert_eq!(back, expected, "no data left; done before; more noise; within the limits");
}

#[test]
fn a_channel_without_progress_stops_and_the_others_go_on() {
    let rules = StopRules { least_new_flux: 0.01, ..rules() };
    let of = |flux: f64, iterations: u64| ChannelRecord {
        model_flux: Some(flux),
        iterations: Some(iterations),
        peak_in_mask: Some(4.0),
        masked_pixels: Some(5),
        ..Default::default()
    };
    let finished: Vec<Finished> =
        [[(1.0, 9), (1.0, 9), (1.0, 9), (1.0, 9)], [(1.5, 9), (1.001, 9), (1.0, 0), (1.5, 9)]]
            .into_iter()
            .map(|channels| {
                let counted =
                    channels.map(|(_, n)| crate::imager::ChannelCycle { iterations: n, ..Default::default() });
                Finished {
                    record: CycleRecord { channels: channels.map(|(f, n)| of(f, n)).to_vec(), ..Default::default() },
                    mask: CycleMask::default(),
                    same_mask: false,
                    minor: MinorCycle {
                        iterations: 9,
                        major_iterations: 1,
                        cycle_threshold_jy: None,
                        threshold_reached: false,
                        stopped: None,
                        channels: counted.to_vec(),
                    },
                    reverted: None,
                    vetoed: Vec::new(),
                }
            })
            .collect();
    let plane = |p: f64| PlaneResidual { peak: p, peak_in_mask: p, rms: 0.1, masked_pixels: 5 };
    let planes = [2.0, 2.0, 4.0, 3.999].map(plane).to_vec();
    let state = ResidualState { overall: planes[2], channels: planes };
    let stopped: Vec<_> = channel_states(&state, &finished, &rules).into_iter().map(|c| c.stopped).collect();
    let none = Some(StopReason::NoNewFlux);
    assert_eq!(stopped, [None, none.clone(), None, none], "flux; still waiting; peak in the same mask");
}

/// With cheap calls each major cycle is one, and `every` says which of them get a fresh mask.
#[test]
fn cheap_calls_are_single_and_masks_are_made_for_every_nth() {
    let folder = tempfile::tempdir().unwrap();
    let mut imager = FakeCube::new(true);
    let rules = StopRules { every: 3, freeze_change: 0.0, ..rules() };
    let report = run(&mut imager, &mut FakeMasks(vec![1, 2, 3, 4, 5, 6]), CUBE, &rules, folder.path()).unwrap();
    let pixels: Vec<_> = report.cycles.iter().map(|c| c.masked_pixels.unwrap()).collect();
    assert_eq!(pixels, [1, 1, 1, 4, 4, 4]);
    let added: Vec<_> = report.cycles.iter().map(|c| c.added.unwrap()).collect();
    assert_eq!(added, [1, 0, 0, 3, 0, 0]);
}

#[test]
fn where_nothing_may_be_cleaned_an_empty_first_mask_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let rules = StopRules { may_clean_nothing: true, ..rules() };
    let report = run(&mut FakeImager::new(), &mut FakeMasks(vec![0]), MEASURES, &rules, folder.path()).unwrap();
    assert_eq!((report.stopped, report.mask.is_none()), (StopReason::EmptyMask, true));
}

#[test]
fn an_empty_first_mask_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = run(&mut FakeImager::new(), &mut FakeMasks(vec![0]), MEASURES, &rules(), folder.path()).unwrap_err();
    assert!(matches!(error, crate::Error::BadInput(_)), "{error:?}");
    insta::assert_snapshot!(crate::util::testing::words(error, folder.path()), @"the mask of the first cycle is empty: nothing in 16 is above the levels asked for. Lower them, or begin with a mask of your own (`campaign: mask: include`)");
}

#[test]
fn an_interrupted_loop_goes_on_from_its_last_cycle() {
    let sizes = [10, 20, 30, 40, 50, 60];
    let whole = go(&mut FakeImager::new(), &sizes, &rules());
    for killed_after in 1..4 {
        let folder = tempfile::tempdir().unwrap();
        let mut imager = FakeImager::new();
        let measures = Cell::new(0);
        let failing = |a: &Path, b: Option<&Path>, c: Option<&Path>| {
            measures.set(measures.get() + 1);
            if measures.get() > killed_after { Err(Error::Interrupted) } else { measured(a, b, c) }
        };
        let mut masks = FakeMasks(sizes.to_vec());
        assert!(
            run(&mut imager, &mut masks, Measures { residual: &failing, flux: &flux }, &rules(), folder.path())
                .is_err()
        );
        let report = run(&mut imager, &mut masks, MEASURES, &rules(), folder.path()).unwrap();
        let strip = |r: &CycleReport| r.cycles.iter().map(|c| (c.cycle, c.peak, c.masked_pixels)).collect::<Vec<_>>();
        assert_eq!(strip(&report), strip(&whole));
        assert_eq!(imager.calls.len(), 4, "no call was repeated");
    }
}

/// A finished cycle with a mask of this many pixels; `iterations` by channel.
fn finished_cycle(record: CycleRecord, pixels: u64, iterations: &[u64]) -> Finished {
    let of = |n: &u64| crate::imager::ChannelCycle { iterations: *n, ..Default::default() };
    Finished {
        record,
        mask: CycleMask { pixels, ..CycleMask::default() },
        same_mask: false,
        minor: MinorCycle {
            iterations: iterations.iter().sum::<u64>().max(10),
            major_iterations: 1,
            cycle_threshold_jy: None,
            threshold_reached: false,
            stopped: None,
            channels: iterations.iter().map(of).collect(),
        },
        reverted: None,
        vetoed: Vec::new(),
    }
}

/// A fresh mask of this many pixels, all of them new.
fn fresh(pixels: u64) -> ChosenMask {
    let mask = CycleMask { pixels, added: pixels, ..CycleMask::default() };
    ChosenMask { mask, same: false, settled: false }
}

fn situation<'a>(look: &'a Look, finished: &'a [Finished], mask: &'a ChosenMask) -> Situation<'a> {
    Situation { look, mask, finished, cheap: false, careful: false, cannot_revert: false }
}

/// A look at a single plane.
fn look_at(peak: f64, rms: f64, masked_pixels: u64) -> Look {
    let plane = PlaneResidual { peak, peak_in_mask: peak, rms, masked_pixels };
    let record = CycleRecord {
        peak: Some(peak),
        peak_in_mask: Some(peak),
        rms: Some(rms),
        masked_pixels: Some(masked_pixels),
        ..CycleRecord::default()
    };
    let state = ResidualState { overall: plane, channels: vec![plane] };
    let channels = channel_states(&state, &[], &rules());
    Look { state, channels, record }
}

/// Cycles with these peaks and model fluxes, all inside a mask of 10 pixels.
fn past(cycles: &[(f64, Option<f64>)]) -> Vec<Finished> {
    let of = |(peak, flux): &(f64, Option<f64>)| {
        finished_cycle(CycleRecord { model_flux: *flux, ..look_at(*peak, 0.5, 10).record }, 10, &[])
    };
    cycles.iter().map(of).collect()
}

/// Limits: threshold 1 Jy/beam, 1000 iterations, 10 major cycles, growth of the peak 1.5, of the noise 1.2.
#[rstest::rstest]
#[case::first(look_at(16.0, 0.5, 10), past(&[]), None)]
#[case::empty_mask(look_at(16.0, 0.5, 0), past(&[]), Some(CycleStep::Stop(StopReason::EmptyMask)))]
#[case::threshold(look_at(1.0, 0.5, 10), past(&[(16.0, None)]), Some(CycleStep::Stop(StopReason::Threshold)))]
#[case::goes_on(look_at(8.0, 0.5, 10), past(&[(16.0, None)]), None)]
#[case::peak_grew_a_little(look_at(23.9, 0.5, 20), past(&[(16.0, None)]), None)]
#[case::peak_grew(look_at(24.1, 0.5, 20), past(&[(20.0, None), (16.0, None)]), Some(CycleStep::StepBack { cycle: 1 }))]
#[case::noise_grew(look_at(8.0, 0.61, 10), past(&[(16.0, None)]), Some(CycleStep::StepBack { cycle: 0 }))]
#[case::not_finite(look_at(f64::NAN, 0.5, 10), past(&[(16.0, None)]), Some(CycleStep::StepBack { cycle: 0 }))]
#[case::same_peak_in_the_same_mask(
    look_at(15.9999, 0.5, 10),
    past(&[(16.0, None)]),
    Some(CycleStep::Stop(StopReason::NoNewFlux))
)]
#[case::same_peak_in_a_larger_mask(look_at(15.9999, 0.5, 11), past(&[(16.0, None)]), None)]
#[case::same_flux(
    look_at(4.0, 0.5, 10),
    past(&[(16.0, Some(5.0)), (8.0, Some(5.0001))]),
    Some(CycleStep::Stop(StopReason::NoNewFlux))
)]
#[case::more_flux(look_at(4.0, 0.5, 10), past(&[(16.0, Some(5.0)), (8.0, Some(5.1))]), None)]
#[case::major_cycles(look_at(4.0, 0.5, 10), past(&[(8.0, None); 10]), Some(CycleStep::Stop(StopReason::MajorCycles)))]
fn what_comes_next(#[case] look: Look, #[case] finished: Vec<Finished>, #[case] ends: Option<CycleStep>) {
    let mask = fresh(10);
    match (decide(&situation(&look, &finished, &mask), &rules()), ends) {
        (CycleStep::Clean(controls), None) => {
            assert_eq!(controls.threshold_jy, 1.0);
            assert_eq!((controls.major_iterations, controls.last), (1, false));
            assert_eq!(controls.iterations_left, 1000 - 10 * finished.len() as u64);
        }
        (step, ends) => assert_eq!(Some(step), ends),
    }
}

/// The last call ended at its threshold, 1 Jy/beam: what is a little above is left, unless the mask or the noise changed.
#[rstest::rstest]
#[case::remainder(1.4, 0.5, 0, true, Some(CycleStep::Stop(StopReason::NSigma)))]
#[case::far_above(2.1, 0.5, 0, true, None)]
#[case::the_mask_grew(1.4, 0.5, 1, true, None)]
#[case::the_noise_fell(1.4, 0.44, 0, true, None)]
#[case::not_at_the_threshold(1.4, 0.5, 0, false, None)]
fn at_the_threshold_in_the_same_mask_it_ends(
    #[case] peak: f64,
    #[case] rms: f64,
    #[case] added: u64,
    #[case] threshold_reached: bool,
    #[case] ends: Option<CycleStep>,
) {
    let rules = limited(|l| (l.threshold_jy, l.nsigma) = (None, Some(2.0)));
    let mut finished = past(&[(16.0, None)]);
    finished[0].minor.threshold_reached = threshold_reached;
    finished[0].record.threshold = Some(1.0);
    let mut mask = fresh(10);
    mask.mask.added = added;
    let step = decide(&situation(&look_at(peak, rms, 10), &finished, &mask), &rules);
    assert_eq!(Some(step).filter(|step| !matches!(step, CycleStep::Clean(_))), ends);
    // A mask that only waits for its turn may change yet.
    let waiting = ChosenMask { same: true, ..mask };
    let step = decide(&situation(&look_at(peak, rms, 10), &finished, &waiting), &rules);
    assert!(matches!(step, CycleStep::Clean(_)), "{step:?}");
}

#[test]
fn a_settled_mask_gets_all_that_is_left_and_cheap_calls_are_single() {
    let (look, finished) = (look_at(4.0, 0.5, 10), past(&[(16.0, None), (8.0, None)]));
    let calls = |settled: bool, cheap: bool, every: usize| {
        let mask = ChosenMask { settled, ..fresh(10) };
        let situation = Situation { cheap, ..situation(&look, &finished, &mask) };
        match decide(&situation, &StopRules { every, ..rules() }) {
            CycleStep::Clean(controls) => (controls.major_iterations, controls.last),
            step => panic!("{step:?}"),
        }
    };
    assert_eq!([calls(false, false, 1), calls(false, false, 3)], [(1, false), (3, false)]);
    assert_eq!([calls(false, false, 99), calls(true, false, 1)], [(8, true), (8, true)]);
    assert_eq!(calls(true, true, 3), (1, false));
}

#[test]
fn an_imager_that_cannot_revert_channels_reverts_as_a_whole() {
    let (look, finished, mask) = (look_at(4.0, 0.5, 10), past(&[(16.0, None), (3.0, None)]), fresh(10));
    let situation = Situation { cannot_revert: true, ..situation(&look, &finished, &mask) };
    assert_eq!(decide(&situation, &rules()), CycleStep::RollBack { cycle: 1 });
}

/// Masks settle, and channels stop, each by itself; confetti in one makes its mask anew.
#[test]
fn what_is_kept_of_a_channel_s_mask_is_its_own_affair() {
    let rules = limited(|l| l.independent_channels = true);
    let plane = |added: u64, kept: bool| PlaneMask { pixels: 100, added, kept, ..PlaneMask::default() };
    let cycle = |planes: [PlaneMask; 3], stopped: [Option<StopReason>; 3]| {
        let mut finished = finished_cycle(look_at(4.0, 0.5, 10).record, 10, &[5, 5, 5]);
        finished.mask.channels = planes.to_vec();
        finished.record.channels = stopped.map(|stopped| ChannelRecord { stopped, ..Default::default() }).to_vec();
        finished
    };
    let none = || [None, None, None];
    let mut finished =
        vec![cycle([plane(100, false); 3], none()), cycle([plane(0, false), plane(9, false), plane(0, false)], none())];
    let kept = |finished: &[Finished], confetti: &[ConfettiRecord]| {
        channel_moments(finished, confetti, &rules).iter().map(|channel| channel.keep).collect::<Vec<_>>()
    };
    assert_eq!(kept(&finished, &[]), [false; 3], "once is not enough");
    let stopped = [None, None, Some(StopReason::Threshold)];
    finished.push(cycle([plane(0, false), plane(0, false), plane(50, false)], stopped));
    assert_eq!(kept(&finished, &[]), [true, false, true]);
    // What was kept says nothing about the next one.
    finished.push(cycle([plane(0, true), plane(0, false), plane(0, true)], [None, None, Some(StopReason::Threshold)]));
    assert_eq!(kept(&finished, &[]), [true, true, true]);
    let confetti = [0, 2].map(|channel| ConfettiRecord { channel, ..ConfettiRecord::default() });
    assert_eq!(kept(&finished, &confetti), [false, true, true], "one that has stopped is not cleaned any more");
    assert_eq!(channel_moments(&finished, &[], &rules)[1].iterations, 20);
    let joined = limited(|l| l.independent_channels = false);
    assert!(channel_moments(&finished, &[], &joined).is_empty());
}
