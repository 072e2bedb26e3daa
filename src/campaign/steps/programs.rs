//! The real backend: imagers, calibrators and masks made from a resolved plan.

use super::field;
use super::masks::{self, RoundMasks};
use super::{AttemptPlan, Backend, Earlier, Imaged, Prepared, Solved, StepContext};
use crate::calibrator::options::{ApplyMode, CalMode, GaincalOptions, Solint};
use crate::calibrator::{self, Calibrator, SolutionTable, SolveRequest};
use crate::campaign::file::{
    CalibratorKind, Executables, ImagerKind, MaskCadence, MaskImage, MaskMethod, StartColumn, StopOptions, WorkOn,
};
use crate::campaign::layout::AttemptId;
use crate::campaign::plan::Share;
use crate::campaign::plan::containers::Mounts;
use crate::campaign::plan::share::mpi_processes;
use crate::campaign::plan::{CalibrationPlan, MaskPlan, MeasurementSetPlan, Plan, RoundPlan};
use crate::campaign::record::MaskRecord;
use crate::campaign::rules::acceptance::{Relaxation, last_accepted};
use crate::campaign::rules::solution_intervals::{
    self, Choice, ImageSignal, Interval, Observation, SolintOptions, SolveMode, Tried,
};
use crate::imager::progress::Progress;
use crate::imager::{self, Guarded, ImagerContext, ImagerOptions, ImagingJob, Products};
use crate::major_cycle::{self, Measures, StopRules};
use crate::measurement_set::{self, MsSummary};
use crate::process::Limits;
use crate::programs::casa::Casa;
use crate::quality;
use crate::quality::solutions::{SolutionStats, UncorrectedAntenna};
use crate::util::disk;
use crate::util::fs;
use crate::{Error, Result};
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Bytes of a pixel of a FITS image.
const PIXEL_BYTES: u64 = 4;
/// Full-size images that a round leaves behind: image, residual, model, psf, dirty, mask, and the imager's own.
const IMAGES_A_ROUND: u64 = 12;
/// What to do where a disk is too small.
const LESS_ROOM: &str = "choose another output, or use `work_on: original`";

/// Programs of one measurement set.
pub struct Programs<'p> {
    plan: &'p Plan,
    /// Those of the plan, with their bind mounts.
    executables: Executables,
    set: MeasurementSetPlan,
    share: Share,
    casa: Option<Casa>,
    summary: MsSummary,
    /// Interval and mode of each attempt, for automatic intervals.
    solved: IndexMap<AttemptId, (Interval, SolveMode)>,
    /// The automatic choice of each round.
    chosen: IndexMap<AttemptId, Choice>,
}

impl<'p> Programs<'p> {
    /// Programs of `set`, which may use `share` of the machine.
    pub fn new(plan: &'p Plan, set: &MeasurementSetPlan, share: Share) -> Self {
        let mounts = Mounts::of(plan, set);
        Self {
            plan,
            executables: mounts.put_into_all(&plan.executables),
            set: set.clone(),
            share,
            casa: None,
            summary: MsSummary::default(),
            solved: IndexMap::new(),
            chosen: IndexMap::new(),
        }
    }

    fn round(&self, round: usize) -> &RoundPlan {
        &self.plan.rounds[round.min(self.plan.rounds.len() - 1)]
    }

    /// The CASA worker, started when it is first needed.
    fn casa(&mut self) -> Result<Casa> {
        if self.casa.is_none() {
            let processes = mpi_processes(self.plan, self.share);
            let casa = Casa::open_with(&self.executables.casa, processes, None)?;
            casa.set_threads(if processes.is_some() { 1 } else { self.share.threads });
            casa.set_limits(self.limits(self.plan.resources.calibrator_time_limit.as_ref().map(|l| l.0)));
            self.casa = Some(casa);
        }
        Ok(self.casa.clone().expect("just opened"))
    }

    /// Someone must read the measurement set. An imager that is a command and no calibration know their data themselves.
    fn reads_data(&self) -> bool {
        self.plan.imager != ImagerKind::Command
            || self.plan.calibrator != CalibratorKind::None
            || self.plan.start_column == StartColumn::CorrectedData
    }

    /// Prepares without looking into the measurement set.
    fn prepare_unread(&mut self, bench: &StepContext) -> Result<Prepared> {
        let copied = self.plan.copies(&self.set.path);
        let size = if copied { disk::size_of(&self.set.path) } else { 0 };
        disk::check_room(&bench.folder, size, "a copy of the data", LESS_ROOM)?;
        let mut job = self.job(StartColumn::Data.name(), bench);
        job.measurement_sets = vec![self.set.path.clone()];
        let imaging = self.plan.rounds_to_run()[0].imaging.clone();
        let mut imager = self.imager(&imaging, job, bench)?;
        let checked = imager.setup();
        let tools = IndexMap::from([("imager".to_string(), imager.capabilities().program)]);
        imager.teardown();
        checked?;
        let measurement_set = self.working_set(bench, |_| Ok(()))?;
        Ok(Prepared {
            measurement_set,
            summary: MsSummary::default(),
            facts: IndexMap::new(),
            tools,
            column: StartColumn::Data,
            model_wanted: false,
        })
    }

    /// The measurement set to work on: the original, or a copy on which `finish` has done its part.
    fn working_set(&self, bench: &StepContext, finish: impl FnOnce(&Path) -> Result<()>) -> Result<std::path::PathBuf> {
        let source = &self.set.path;
        if !self.plan.copies(source) {
            return Ok(source.clone());
        }
        let target = bench.folder.join(format!("{}.ms", self.set.name));
        let unfinished = bench.folder.join(format!(".{}.ms.part", self.set.name));
        fs::remove(&unfinished)?;
        fs::remove(&target)?;
        let failed =
            |e| Error::internal(format!("{}: cannot be copied to {}: {e}", source.display(), target.display()));
        measurement_set::copy(source, &unfinished).map_err(failed)?;
        finish(&unfinished)?;
        std::fs::rename(&unfinished, &target).map_err(Error::internal)?;
        Ok(target)
    }

    fn limits(&self, time: Option<std::time::Duration>) -> Limits {
        let silence = self.plan.resources.stall_limit.as_ref().map(|l| l.0);
        Limits { time, silence, ..Limits::default() }
    }

    fn imager(&mut self, imaging: &ImagerOptions, mut job: ImagingJob, bench: &StepContext) -> Result<Guarded> {
        let executable = self.executables.of_imager(imaging).to_vec();
        let share = self.share.of_imager(self.plan, imaging, &executable);
        (job.threads, job.memory_gb) = (share.threads, share.memory_gb);
        let context = ImagerContext {
            executable,
            limits: self.limits(self.plan.resources.imager_time_limit.as_ref().map(|l| l.0)),
            progress: bench.progress.clone(),
            cancel: None,
            casa: if imaging.needs_casa() { Some(self.casa()?) } else { None },
        };
        imager::open(job, imaging, context)
    }

    fn job(&self, column: &str, bench: &StepContext) -> ImagingJob {
        ImagingJob {
            measurement_sets: vec![bench.measurement_set.clone()],
            data_column: column.to_string(),
            folder: bench.folder.clone(),
            log: bench.log.clone(),
            threads: self.share.threads,
            memory_gb: self.share.memory_gb,
            update_model: self.plan.calibrator != CalibratorKind::None,
        }
    }

    fn calibrator(&mut self, plan: &CalibrationPlan) -> Result<Box<dyn Calibrator>> {
        let options: GaincalOptions = plan.gaincal.clone();
        let kind = match plan.calibrator {
            CalibratorKind::Command => calibrator::Kind::Command(self.executables.calibrator.clone()),
            CalibratorKind::Quartical => calibrator::Kind::Quartical(self.executables.quartical.clone()),
            CalibratorKind::Casa | CalibratorKind::None => calibrator::Kind::Casa,
        };
        let limits = self.limits(self.plan.resources.calibrator_time_limit.as_ref().map(|l| l.0));
        let casa = self.casa()?;
        // The worker is shared with the imager tclean, whose limits may be others.
        casa.set_limits(limits);
        calibrator::open(kind, options, casa, limits)
    }

    fn request(&self, plan: &AttemptPlan, calibration: &CalibrationPlan, bench: &StepContext) -> SolveRequest {
        SolveRequest {
            measurement_set: bench.measurement_set.clone(),
            folder: bench.folder.clone(),
            log: bench.log.clone(),
            round: plan.id.round,
            reference_antenna: calibration.reference_antenna.clone().or_else(|| self.summary.reference_antenna.clone()),
            threads: self.share.threads,
        }
    }

    /// Antennas with data whose solutions are of no use. None where that would be all of them: such tables are judged,
    /// and refused, as they are.
    fn hopeless(&self, stats: &SolutionStats) -> Vec<UncorrectedAntenna> {
        let known = |name: &str| self.summary.antennas.iter().find(|a| a.name == name);
        let has_data = |name: &str| known(name).is_none_or(|a| a.has_data && a.unflagged_fraction > 0.0);
        let found: Vec<UncorrectedAntenna> = solution_intervals::hopeless_antennas(stats, &self.plan.solint)
            .into_iter()
            .filter(|(name, _)| has_data(name))
            .map(|(name, why)| UncorrectedAntenna { name, why })
            .collect();
        let with_data = stats.antennas.iter().filter(|a| has_data(&a.name)).count();
        if found.len() < with_data { found } else { Vec::new() }
    }

    /// Something of the plan is done by CASA.
    fn needs_casa(&self) -> bool {
        let images = self.plan.rounds_to_run().iter().any(|r| r.imaging.needs_casa());
        self.plan.calibrator != CalibratorKind::None || images
    }

    fn observation(&self) -> Observation {
        let s = &self.summary;
        let scans = s.scans.max(1) as usize;
        // Time on source, evenly divided: the summary does not list the scans one by one.
        let scan_s = s.integrations as f64 * s.integration_s / scans as f64;
        Observation {
            antennas: s.antennas.iter().filter(|a| a.has_data && a.unflagged_fraction > 0.0).count(),
            integration_s: s.integration_s,
            scans_s: vec![scan_s; scans],
        }
    }

    fn interval_of(&self, options: &GaincalOptions) -> (Interval, SolveMode) {
        let mode = if options.calmode.amplitudes() { SolveMode::AmplitudePhase } else { SolveMode::Phase };
        let interval = match options.interval() {
            Some(Solint::Seconds(seconds)) => Interval::Seconds(seconds),
            Some(Solint::Integration) => Interval::Seconds(self.summary.integration_s),
            _ if options.combine.contains("scan") => Interval::Everything,
            _ => Interval::Scan,
        };
        (interval, mode)
    }

    /// Replaces `solint: auto` by what the last accepted image allows. `None`: the interval was given; otherwise why
    /// this one, or (error) why none is worth trying.
    fn choose_interval(
        &mut self,
        plan: &mut RoundPlan,
        id: AttemptId,
        earlier: Earlier<'_>,
    ) -> Result<Option<std::result::Result<String, String>>> {
        let Some(calibration) = &mut plan.calibration else { return Ok(None) };
        let options: GaincalOptions = calibration.gaincal.clone();
        if options.interval() != Some(Solint::Auto) {
            return Ok(None);
        }
        let round = plan.round;
        if !self.chosen.contains_key(&id) {
            let Some(accepted) = last_accepted(earlier.history) else { return Ok(None) };
            let image = &accepted.metrics.image;
            let signal = ImageSignal { peak: image.peak, flux: None, rms: image.rms };
            let left = self.plan.rounds.len() - round;
            let limits =
                SolintOptions { flagged_solutions: self.plan.acceptance.flagged_solutions, ..self.plan.solint.clone() };
            let choice = solution_intervals::choose(&self.tried(earlier), &signal, &self.observation(), left, &limits);
            self.chosen.insert(id, choice);
        }
        Ok(Some(match &self.chosen[&id] {
            Choice::Stop { why } => Err(why.clone()),
            Choice::Solve { interval, mode, why, .. } => {
                calibration.gaincal.solint = interval.solint();
                calibration.gaincal.combine = interval.combine().to_string();
                calibration.gaincal.calmode = match mode {
                    SolveMode::Phase => CalMode::P,
                    SolveMode::AmplitudePhase => CalMode::Ap,
                };
                Ok(why.clone())
            }
        }))
    }

    /// The intervals of the judged attempts.
    fn tried(&self, earlier: Earlier<'_>) -> Vec<Tried> {
        let mut before = None;
        let mut tried = Vec::new();
        for outcome in earlier.history {
            let (now, accepted) = (outcome.metrics.image.dynamic_range, outcome.decision.verdict.is_accepted());
            let solved = self.solved.get(&outcome.id);
            if let Some((&(interval, mode), solutions)) = solved.zip(outcome.metrics.solutions.clone()) {
                let gain = before.map_or(0.0, |b: f64| if b > 0.0 { now / b - 1.0 } else { 0.0 });
                tried.push(Tried { interval, mode, accepted, gain, solutions });
            }
            if accepted {
                before = Some(now);
            }
        }
        tried
    }
}

/// Options of an imaging as an attempt's plan holds them: the imager's, the masks between cycles with the caution that
/// multiplies automatic levels, and the stop rules.
type Imaging = (ImagerOptions, Option<(MaskPlan, f64)>, StopOptions);

/// Scales of the attempt's mask: more than one make a mask with a bit for each.
fn scales_of(plan: &AttemptPlan) -> Result<usize> {
    let Some(mask) = &plan.mask else { return Ok(0) };
    let (mask, _): (MaskPlan, f64) = planned(mask)?;
    Ok(mask.masking.bits())
}

/// What a step's options were when the attempt was planned.
fn planned<T: DeserializeOwned>(value: &serde_json::Value) -> Result<T> {
    serde_json::from_value(value.clone()).map_err(Error::internal)
}

fn value(of: &impl serde::Serialize) -> serde_json::Value {
    serde_json::to_value(of).expect("options are plain data")
}

impl Backend for Programs<'_> {
    fn data_identity(&mut self) -> Result<String> {
        measurement_set::identity(&self.set.path, self.plan.work_on == WorkOn::Copy)
    }

    fn prepare(&mut self, bench: &StepContext) -> Result<Prepared> {
        if !self.reads_data() {
            return self.prepare_unread(bench);
        }
        let source = self.set.path.clone();
        let start = self.plan.start_column;
        let copied = self.plan.copies(&source);
        let casa = match self.casa() {
            Ok(casa) => Some(casa),
            // Only imaging with another program needs none of it.
            Err(e) if !self.needs_casa() => {
                let text = format!("going on without CASA, so the report says less of the data ({e})");
                (bench.progress)(Progress::Message(text));
                None
            }
            Err(e) => return Err(e),
        };
        let summary = match &casa {
            Some(casa) => MsSummary::read(casa, &source)?,
            None => MsSummary::of_files(&source),
        };
        if !summary.has_column(start.name()) {
            return Err(Error::bad_input(format!(
                "{}: has no column {}; it has {}. Set `campaign: start_column` to one that is there",
                source.display(),
                start.name(),
                summary.columns.join(", ")
            )));
        }
        let calibrated = self.plan.calibrator != CalibratorKind::None;
        if start == StartColumn::CorrectedData && !copied && calibrated {
            return Err(Error::bad_input(
                "start_column: CORRECTED_DATA needs work_on: copy, as each round writes its own CORRECTED_DATA",
            ));
        }
        let data = summary.disk_needed(disk::size_of(&source), copied);
        let images = self.plan.rounds_to_run()[0].imaging.pixels()
            * PIXEL_BYTES
            * IMAGES_A_ROUND
            * self.plan.rounds_to_run().len() as u64;
        let what = if copied { "a copy of the data, two columns and the images" } else { "two columns and the images" };
        disk::check_room(&bench.folder, data + images, what, LESS_ROOM)?;
        let mut tools = IndexMap::new();
        if let Some(casa) = &casa {
            tools.insert("casa".to_string(), casa.version()?);
        }
        if let Some(calibration) = self.plan.rounds.iter().find_map(|r| r.calibration.clone())
            && calibration.calibrator != CalibratorKind::Casa
        {
            // Before hours of imaging: options that it does not know, a program that is not there.
            tools.insert("calibrator".into(), self.calibrator(&calibration)?.version()?);
        }
        let mut job = self.job(start.name(), bench);
        job.measurement_sets = vec![source.clone()];
        let imaging = self.plan.rounds_to_run()[0].imaging.clone();
        let mut imager = self.imager(&imaging, job, bench)?;
        let checked = imager.setup();
        tools.insert("imager".into(), imager.capabilities().program);
        imager.teardown();
        checked?;
        let measurement_set = self.working_set(bench, |copy| match (start, &casa) {
            (StartColumn::CorrectedData, Some(casa)) if calibrated => measurement_set::adopt_corrected(casa, copy),
            _ => Ok(()),
        })?;
        let facts = facts(&summary);
        // A copy that is calibrated starts from corrected data as its DATA.
        let column = if copied && calibrated { StartColumn::Data } else { start };
        Ok(Prepared { measurement_set, summary, facts, tools, column, model_wanted: calibrated })
    }

    fn prepared(&mut self, prepared: &Prepared) {
        self.summary = prepared.summary.clone();
    }

    fn last_round(&self) -> usize {
        self.plan.only_round.unwrap_or(self.plan.rounds.len() - 1)
    }

    fn attempt(&mut self, id: AttemptId, changes: &[Relaxation], earlier: Earlier<'_>) -> Result<AttemptPlan> {
        let round = id.round;
        let mut plan = self.round(round).clone();
        let automatic = self.choose_interval(&mut plan, id, earlier)?;
        let interval_chosen = automatic.is_some();
        for change in changes {
            soften(&mut plan, change, self.summary.integration_s);
        }
        let gaincal: Option<GaincalOptions> = plan.calibration.as_ref().map(|c| c.gaincal.clone());
        if let Some(g) = &gaincal {
            self.solved.insert(id, self.interval_of(g));
        }
        let amplitudes = gaincal.as_ref().is_some_and(|g| g.calmode.amplitudes());
        let later = &self.plan.rounds[(round + 1).min(self.plan.rounds.len())..];
        let more_to_try = later.iter().any(|r| r.calibration != self.round(round).calibration);
        let earlier_calibrations = self.plan.rounds[..round].iter().filter(|r| r.calibration.is_some()).count();
        // A mask between cycles belongs to the imaging; one before it is a step of its own. Auto-multithresh between
        // cycles needs none.
        let only_between = |m: &MaskPlan| m.cadence == MaskCadence::Cycle && m.method == MaskMethod::Multithresh;
        let before = plan.mask.as_ref().filter(|m| !only_between(m));
        let mut about = match &gaincal {
            None => "imaging".to_string(),
            Some(g) => format!("calibrating {}, solint {}", g.calmode.name(), g.solint),
        };
        if plan.mask.is_some() {
            about.push_str(", with a mask");
        }
        for change in changes {
            about.push_str(&format!("; gentler: {change}"));
        }
        let caution: f64 = changes
            .iter()
            .map(|c| if let Relaxation::ConservativeMask { factor } = c { *factor } else { 1.0 })
            .product();
        let between = plan.mask.as_ref().filter(|m| m.cadence == MaskCadence::Cycle);
        Ok(AttemptPlan {
            id,
            about,
            changes: changes.to_vec(),
            give_up: automatic.as_ref().and_then(|c| c.as_ref().err().cloned()),
            calibration: plan.calibration.as_ref().map(value),
            interval: gaincal
                .as_ref()
                .map(|g| (g.solint.clone(), value(&g.calmode).as_str().unwrap_or_default().into())),
            interval_why: automatic.and_then(std::result::Result::ok),
            mask: before.map(|m| value(&(m, caution))),
            field: match before.filter(|m| m.image == MaskImage::Field && round > 0) {
                Some(_) => Some(field::load(&self.plan.output, round)?),
                None => None,
            },
            mask_may_be_empty: between.is_some(),
            imaging: value(&(&plan.imaging, between.map(|m| (m, caution)), &self.plan.stop)),
            first_interval: gaincal.is_some() && earlier_calibrations == 0,
            amplitudes,
            interval_chosen,
            more_to_try,
        })
    }

    fn solve(&mut self, plan: &AttemptPlan, bench: &StepContext) -> Result<Solved> {
        let calibration: CalibrationPlan =
            planned(plan.calibration.as_ref().expect("only calibrated rounds are solved"))?;
        let mut calibrator = self.calibrator(&calibration)?;
        let request = self.request(plan, &calibration, bench);
        let tables = calibrator.solve(&request)?;
        let mut stats = calibrator.inspect(&tables)?;
        let hopeless = self.hopeless(&stats);
        if !hopeless.is_empty() {
            let names: Vec<String> = hopeless.iter().map(|a| a.name.clone()).collect();
            calibrator.set_identity_gains(&tables, &names, &request.log)?;
            stats.pass_through(hopeless);
        }
        Ok(Solved { tables, stats, commands: calibrator.command_lines(&request) })
    }

    fn apply(&mut self, plan: &AttemptPlan, tables: &[SolutionTable], bench: &StepContext) -> Result<()> {
        let calibration: CalibrationPlan =
            planned(plan.calibration.as_ref().expect("only calibrated rounds are applied"))?;
        self.calibrator(&calibration)?.apply(&bench.measurement_set, tables, &bench.log)
    }

    fn mask(
        &mut self,
        plan: &AttemptPlan,
        source: &Products,
        previous: Option<&MaskRecord>,
        bench: &StepContext,
    ) -> Result<MaskRecord> {
        let (mask, caution): (MaskPlan, f64) = planned(plan.mask.as_ref().expect("only masked rounds get here"))?;
        match &plan.field {
            Some(field) => masks::from_field(&mask, caution, field, source, previous, &bench.folder),
            None => masks::from_image(&mask, caution, source, previous, &bench.folder),
        }
    }

    fn image(&mut self, plan: &AttemptPlan, column: &str, mask: Option<&Path>, bench: &StepContext) -> Result<Imaged> {
        let (imaging, between, stop): Imaging = planned(&plan.imaging)?;
        let mut imager = self.imager(&imaging, self.job(column, bench), bench)?;
        // A mask with a bit for each scale goes to an imager that cleans scale by scale; others take any bit as set.
        let mut mask = mask;
        if let (Some(path), None) = (mask, &between)
            && let Some(by_scale) = imaging.with_scale_mask(path)
            && scales_of(plan)? > 1
            && imager.capabilities().multiscale_bit_masks
        {
            imager = self.imager(&by_scale, self.job(column, bench), bench)?;
            mask = None;
        }
        let result = (|| {
            imager.setup()?;
            let commands = imager.command_lines(mask);
            let Some((between, caution)) = between else {
                let products = imager.image_once(mask)?;
                return Ok(Imaged { products, cycles: Vec::new(), stopped: None, mask: None, commands });
            };
            let program = imager.capabilities().program;
            let Some(cycles) = imager.cycles() else {
                return Err(Error::bad_input(format!(
                    "{program} cannot take a fresh mask for each major cycle; use `mask: {{cadence: round}}`"
                )));
            };
            let masks = bench.folder.with_file_name("mask");
            let rules = StopRules::new(&stop, &imaging.stop_limits(), between.every, between.freeze_change);
            let mut maker = RoundMasks::new(&between, caution, mask, masks);
            let measures = Measures { residual: &quality::residual::measure, flux: &quality::residual::model_fluxes };
            let report = major_cycle::run(cycles, &mut maker, measures, &rules, &bench.folder)?;
            Ok(Imaged {
                products: report.products,
                cycles: report.cycles,
                stopped: Some(report.stopped),
                mask: report.mask.map(|last| masks::of_cycles(&between, &last)),
                commands: Some(cycles.lines_run()).filter(|lines| !lines.is_empty()).unwrap_or(commands),
            })
        })();
        imager.teardown();
        result
    }

    fn predict(&mut self, plan: &AttemptPlan, column: &str, model: &Path, bench: &StepContext) -> Result<()> {
        let (imaging, _, _): Imaging = planned(&plan.imaging)?;
        let mut imager = self.imager(&imaging, self.job(column, bench), bench)?;
        let result = imager.setup().and_then(|()| imager.predict(model));
        imager.teardown();
        result
    }

    fn apply_line(&mut self, plan: &AttemptPlan, tables: &[SolutionTable]) -> Option<String> {
        let calibration: CalibrationPlan = planned(plan.calibration.as_ref()?).ok()?;
        self.calibrator(&calibration).ok()?.apply_line(tables)
    }
}

/// What a report says of a measurement set.
fn facts(s: &MsSummary) -> IndexMap<String, String> {
    if s.spectral_windows.is_empty() {
        return IndexMap::new();
    }
    let frequencies: Vec<f64> = s.spectral_windows.iter().flat_map(|w| w.frequencies_hz.iter().copied()).collect();
    let low = frequencies.iter().copied().fold(f64::INFINITY, f64::min) / 1e6;
    let high = frequencies.iter().copied().fold(0.0, f64::max) / 1e6;
    let observed = s.antennas.iter().filter(|a| a.has_data).count();
    let fields: Vec<&str> = s.fields.iter().filter(|f| f.observed).map(|f| f.name.as_str()).collect();
    let pairs = [
        ("telescope", s.telescope.clone()),
        ("field", fields.join(", ")),
        ("antennas", format!("{observed}")),
        ("baselines", format!("{:.0} m to {:.0} m", s.shortest_baseline_m, s.longest_baseline_m)),
        ("frequencies", format!("{low:.3} to {high:.3} MHz, {} channels", frequencies.len())),
        ("time", format!("{:.0} s in {} integrations of {:.1} s", s.duration_s(), s.integrations, s.integration_s)),
        ("rows", format!("{}", s.rows)),
        ("unflagged", format!("{:.1} %", 100.0 * s.unflagged_fraction)),
    ];
    pairs.into_iter().map(|(k, v)| (k.to_string(), v)).collect()
}

/// Makes a round gentler, as the acceptance rules ask.
fn soften(plan: &mut RoundPlan, change: &Relaxation, integration_s: f64) {
    match change {
        Relaxation::LongerInterval { factor } => {
            if let Some(c) = &mut plan.calibration {
                c.gaincal.solint = match c.gaincal.interval() {
                    Some(Solint::Seconds(seconds)) => format!("{}s", seconds * factor),
                    Some(Solint::Integration) => format!("{}s", integration_s * factor),
                    _ => c.gaincal.solint.clone(),
                };
            }
        }
        Relaxation::PhaseOnly => {
            if let Some(c) = &mut plan.calibration {
                c.gaincal.calmode = CalMode::P;
            }
        }
        Relaxation::CalOnly => {
            if let Some(c) = &mut plan.calibration {
                c.gaincal.applymode = ApplyMode::Calonly;
            }
        }
        // The schedule has chosen it already.
        Relaxation::ChooseAgain => {}
        Relaxation::ConservativeMask { factor } => {
            if let Some(m) = &mut plan.mask {
                m.masking.flood_fill_positive_seed_clip *= factor;
                m.masking.base_snr_clip *= factor;
                m.automask.noisethreshold *= *factor as f32;
            }
        }
    }
}
