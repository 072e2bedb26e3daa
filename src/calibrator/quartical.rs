//! QuartiCal, tried with version 0.2.7.
//!
//! A round is two calls of `goquartical`. The first solves `DATA` against `MODEL_DATA` and writes gains (zarr), and
//! nothing into the measurement set: no products, no flags. The second loads these gains with no iterations to do and
//! writes `CORRECTED_DATA`. So tables are judged before they are applied, and an earlier round's tables can be applied
//! again, as with CASA.
//!
//! QuartiCal reports no signal-to-noise ratio; the CASA worker measures it (`gains/quality.py`). It flags
//! solutions below `minsnr`; QuartiCal bridges flagged solutions by interpolation when it loads them.

use super::options::{ApplyMode, CalMode, GainType, GaincalOptions, NormType, Solint};
use super::{Calibrator, SolutionTable, SolveRequest};
use crate::Result;
use crate::measurement_set::{self, MsSummary};
use crate::options::{OptionError, Validate};
use crate::process::{Limits, Program};
use crate::programs::casa::requests::GainStatistics;
use crate::programs::casa::{Casa, QUARTICAL_SCRIPT, source};
use crate::programs::setup::{self, Environment};
use crate::quality::solutions::SolutionStats;
use indexmap::IndexMap;
use serde_json::Value;
use std::path::Path;

/// Name of the gains in the folder of the request: a folder with a zarr store for each term.
const GAINS: &str = "gains.qc";
/// Statistics of the gains, beside them.
const STATISTICS: &str = "statistics.json";
/// Intervals that the gains were solved on, among them.
const GRID: &str = "grid.json";
/// The term that is solved for unless `quartical: {solver.terms: ...}` names others.
const TERM: &str = "G";
/// Iterations of each term at most; QuartiCal stops when 99 % of the gains have converged.
const ITERATIONS: u32 = 100;
/// Options that this adapter must decide itself.
const OURS: [&str; 4] = ["output.", "input_ms.path", "input_ms.data_column", "solver.propagate_flags"];

/// Why QuartiCal's gains cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuarticalError {
    /// It ended well, but left nothing.
    #[error("QuartiCal ended well, but left no gains in {folder}\n  log: {log}")]
    NoGains {
        /// Where they should be.
        folder: String,
        /// Its words.
        log: String,
    },
    /// Everything is flagged.
    #[error("{ms}: all data are flagged")]
    AllFlagged {
        /// The measurement set.
        ms: String,
    },
    /// The reference antenna is unknown.
    #[error("{ms} has no antenna `{name}` to refer to; it has {known}")]
    NoAntenna {
        /// The measurement set.
        ms: String,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The statistics are gone or unreadable.
    #[error("{path}: {reason}: solve this round again")]
    Statistics {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl From<QuarticalError> for crate::Error {
    fn from(e: QuarticalError) -> Self {
        match e {
            QuarticalError::NoGains { .. } => Self::external(e),
            _ => Self::bad_input(e),
        }
    }
}

/// Intervals of each term as QuartiCal was told: `[time_interval, freq_interval]`.
type Grid = IndexMap<String, [String; 2]>;

/// QuartiCal with one set of options.
#[derive(Debug)]
pub struct QuarticalCalibrator {
    python: Vec<String>,
    options: GaincalOptions,
    casa: Casa,
    limits: Limits,
}

impl QuarticalCalibrator {
    /// `python` is the command of a Python that can import quartical; empty: the one of `cleanloop setup quartical`.
    /// `casa` looks after columns and measures S/N.
    ///
    /// # Errors
    /// Options that make no sense, or that QuartiCal has nothing like.
    pub fn new(python: Vec<String>, options: GaincalOptions, casa: Casa, limits: Limits) -> Result<Self> {
        options.validate()?;
        check(&options)?;
        Ok(Self { python, options, casa, limits })
    }

    /// A call of the script in QuartiCal's Python.
    fn program(&self, arguments: Vec<String>, log: &Path) -> Result<Program> {
        let (mut words, environment) = if self.python.is_empty() {
            let environment = Environment::ready(setup::Kind::Quartical)?;
            let words = environment.python_command().iter().map(|w| w.to_string_lossy().into_owned()).collect();
            (words, environment.variables())
        } else {
            (self.python.clone(), Vec::new())
        };
        words.push(source(QUARTICAL_SCRIPT)?.to_string_lossy().into_owned());
        words.extend(arguments);
        let mut program = Program::new(words, log);
        program.environment = environment;
        program.limits = self.limits;
        program.install_hint = "run `cleanloop setup quartical`, or name a Python with executables.quartical".into();
        Ok(program)
    }

    fn run(&self, command: &str, arguments: Vec<String>, log: &Path) -> Result<()> {
        let words = std::iter::once(command.to_owned()).chain(arguments).collect();
        self.program(words, log)?.run(&mut |_| {})?;
        Ok(())
    }

    /// The terms of the chain, in the order of `solver.terms`.
    fn terms(&self) -> Vec<String> {
        let text = match self.options.quartical.get("solver.terms") {
            None => return vec![TERM.to_owned()],
            Some(value) => word(value),
        };
        text.trim_matches(['[', ']']).split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
    }

    fn own(&self, key: &str) -> Option<String> {
        self.options.quartical.get(key).map(word)
    }

    fn kind(&self) -> &'static str {
        match (self.options.gaintype, self.options.calmode) {
            (GainType::K, _) => "delay",
            (_, CalMode::P) => "phase",
            (_, CalMode::A) => "amplitude",
            (_, CalMode::Ap) => "diag_complex",
        }
    }

    /// The intervals of the solve. `channels` of the widest window, where they are known.
    fn grid(&self, channels: Option<usize>) -> Grid {
        let o = &self.options;
        let time = match o.interval() {
            Some(Solint::Seconds(s)) => format!("{s}s"),
            Some(Solint::Integration) => "1".into(),
            _ => "0".into(),
        };
        let frequency = match (o.nspw, channels) {
            (0 | 1, _) => "0".into(),
            (n, Some(channels)) => channels.div_ceil(n).to_string(),
            (n, None) => format!("<channels/{n}>"),
        };
        let of_term = |term: String| {
            let own = |what: &str, plain: &String| self.own(&format!("{term}.{what}")).unwrap_or_else(|| plain.clone());
            let intervals = [own("time_interval", &time), own("freq_interval", &frequency)];
            (term, intervals)
        };
        self.terms().into_iter().map(of_term).collect()
    }

    /// The intervals that these gains were solved on: with another number of channels the options give others.
    fn grid_of(&self, gains: &Path) -> Grid {
        let stored = std::fs::read(gains.join(GRID)).ok().and_then(|text| serde_json::from_slice(&text).ok());
        stored.unwrap_or_else(|| self.grid(None))
    }

    /// Options that both calls share. `channels` of the widest window, where they are known.
    fn common(&self, ms: &Path, reference: &str, threads: usize) -> IndexMap<String, String> {
        let mut all = IndexMap::from([
            ("input_ms.path".to_owned(), ms.to_string_lossy().into_owned()),
            ("input_ms.data_column".into(), "DATA".into()),
        ]);
        if self.options.combine.contains("scan") {
            all.insert("input_ms.group_by".into(), "[FIELD_ID,DATA_DESC_ID]".into());
        }
        if !self.options.field.is_empty() {
            all.insert("input_ms.select_fields".into(), format!("[{}]", self.options.field));
        }
        all.insert("solver.terms".into(), format!("[{}]", self.terms().join(",")));
        all.insert("solver.reference_antenna".into(), reference.to_owned());
        all.insert("solver.propagate_flags".into(), "False".into());
        for term in self.terms() {
            all.insert(format!("{term}.type"), self.kind().into());
            if self.options.gaintype == GainType::T {
                all.insert(format!("{term}.scalar"), "True".into());
            }
        }
        all.insert("output.overwrite".into(), "True".into());
        all.insert("output.flags".into(), "False".into());
        all.insert("dask.threads".into(), threads.max(1).to_string());
        all
    }

    fn solve_words(&self, request: &SolveRequest, reference: &str, channels: Option<usize>) -> Vec<String> {
        let o = &self.options;
        let mut all = self.common(&request.measurement_set, reference, request.threads);
        all.insert("input_ms.weight_column".into(), "WEIGHT".into());
        all.insert("input_model.recipe".into(), "MODEL_DATA".into());
        if let Some((low, high)) = uv_range(&o.uvrange).filter(|_| o.selectdata) {
            all.insert("input_ms.select_uv_range".into(), format!("[{low},{high}]"));
        }
        for (term, [time, frequency]) in self.grid(channels) {
            all.insert(format!("{term}.time_interval"), time);
            all.insert(format!("{term}.freq_interval"), frequency);
            if o.combine.contains("scan") {
                all.insert(format!("{term}.respect_scan_boundaries"), "False".into());
            }
        }
        let recipe = vec![ITERATIONS.to_string(); self.terms().len()];
        all.insert("solver.iter_recipe".into(), format!("[{}]", recipe.join(",")));
        all.insert("output.gain_directory".into(), request.folder.join(GAINS).to_string_lossy().into_owned());
        all.insert("output.log_directory".into(), request.folder.join("logs.qc").to_string_lossy().into_owned());
        all.insert("output.products".into(), "[]".into());
        for (key, value) in &o.quartical {
            all.insert(key.clone(), word(value));
        }
        all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// `gains`: the folder of the terms, solved on `grid`; `out`: a folder for what QuartiCal writes besides the column.
    fn apply_words(&self, ms: &Path, reference: &str, (gains, grid): (&Path, &Grid), out: &Path) -> Vec<String> {
        let mut all = self.common(ms, reference, 1);
        for (key, value) in &self.options.quartical {
            // What concerns the solve alone stays out.
            let solve_only = ["solver.", "input_model.", "mad_flags.", "input_ms.select_uv_range"];
            let of_solution = [".initial_estimate", ".load_from", ".time_interval", ".freq_interval"];
            if !solve_only.iter().any(|s| key.starts_with(s)) && !of_solution.iter().any(|s| key.ends_with(s)) {
                all.insert(key.clone(), word(value));
            }
        }
        // As with CASA the first word is for times, the second for frequencies.
        let mut ways = self.options.interp.split(',').map(|way| way.trim().starts_with("linear"));
        let (in_time, in_frequency) = (ways.next().unwrap_or(false), ways.next().unwrap_or(false));
        for (term, [time, frequency]) in grid {
            // A grid of every integration or channel: gains are interpolated. The grid of the solve: steps.
            let kind = all.get(&format!("{term}.type")).cloned().unwrap_or_default();
            // Delays are slopes over the channels of their cell, and mean nothing between two cells.
            let sloped = kind.contains("delay") || kind.contains("tec");
            let choose = |fine: bool, solved: &String| if fine { "1".to_owned() } else { solved.clone() };
            all.insert(format!("{term}.time_interval"), choose(in_time, time));
            all.insert(format!("{term}.freq_interval"), choose(in_frequency && !sloped, frequency));
            all.insert(format!("{term}.load_from"), gains.join(term).to_string_lossy().into_owned());
        }
        all.insert("solver.iter_recipe".into(), format!("[{}]", vec!["0"; self.terms().len()].join(",")));
        all.insert("output.gain_directory".into(), out.join("applied.qc").to_string_lossy().into_owned());
        all.insert("output.log_directory".into(), out.join("logs.qc").to_string_lossy().into_owned());
        all.insert("output.products".into(), "[corrected_data]".into());
        all.insert("output.columns".into(), "[CORRECTED_DATA]".into());
        all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// Number of the reference antenna.
    fn reference(&self, summary: &MsSummary, wanted: Option<&str>, ms: &Path) -> Result<usize> {
        let named = Some(self.options.refant.as_str()).filter(|n| !n.is_empty()).or(wanted);
        let Some(name) = named.or(summary.reference_antenna.as_deref()) else {
            return Err(QuarticalError::AllFlagged { ms: ms.display().to_string() }.into());
        };
        // CASA takes a list of candidates; QuartiCal takes one antenna.
        let first = name.split(',').next().unwrap_or_default().trim();
        let by_name = summary.antennas.iter().position(|a| a.name == first);
        let by_number = || first.parse::<usize>().ok().filter(|n| *n < summary.antennas.len());
        by_name.or_else(by_number).ok_or_else(|| {
            let known: Vec<&str> = summary.antennas.iter().map(|a| a.name.as_str()).collect();
            let (ms, name) = (ms.display().to_string(), first.to_owned());
            QuarticalError::NoAntenna { ms, name, known: known.join(", ") }.into()
        })
    }
}

impl Calibrator for QuarticalCalibrator {
    fn version(&mut self) -> Result<String> {
        if self.python.is_empty() {
            Environment::ready(setup::Kind::Quartical)?;
            return Ok(format!("QuartiCal {}", setup::Kind::Quartical.version()));
        }
        Ok(format!("QuartiCal of {}", self.python.join(" ")))
    }

    fn solve(&mut self, request: &SolveRequest) -> Result<Vec<SolutionTable>> {
        let ms = &request.measurement_set;
        super::refuse_empty_model(&self.casa, ms)?;
        let summary = MsSummary::read(&self.casa, ms)?;
        if summary.reference_antenna.is_none() {
            return Err(QuarticalError::AllFlagged { ms: ms.display().to_string() }.into());
        }
        let reference = self.reference(&summary, request.reference_antenna.as_deref(), ms)?.to_string();
        let channels = summary.spectral_windows.iter().map(|w| w.frequencies_hz.len()).max();
        self.run("run", self.solve_words(request, &reference, channels), &request.log)?;
        let gains = request.folder.join(GAINS);
        if let Some(term) = self.terms().iter().find(|t| !gains.join(t).join(".zgroup").exists()) {
            let folder = gains.join(term).display().to_string();
            return Err(QuarticalError::NoGains { folder, log: request.log.display().to_string() }.into());
        }
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let scratch = tempfile::tempdir_in(&request.folder).map_err(crate::Error::internal)?;
        let (plain, edits) = (scratch.path().join("gains.npz"), scratch.path().join("edits.npz"));
        self.run("export", vec![text(&gains), text(&plain)], &request.log)?;
        let o = &self.options;
        let normalise = (o.solnorm && o.calmode.amplitudes() && o.gaintype != GainType::K)
            .then(|| if o.normtype == NormType::Median { "median".to_owned() } else { "mean".to_owned() });
        let edit = vec![text(&gains), text(&edits)];
        let statistics = GainStatistics { ms: ms.clone(), gains: plain, edits, minsnr: o.minsnr, normalise };
        let stats = serde_json::to_string(&self.casa.ask(&statistics, None)?).map_err(crate::Error::internal)?;
        self.run("edit", edit, &request.log)?;
        let grid = serde_json::to_string(&self.grid(channels)).map_err(crate::Error::internal)?;
        for (file, text) in [(gains.join(GRID), grid), (request.folder.join(STATISTICS), stats)] {
            std::fs::write(file, text).map_err(crate::Error::internal)?;
        }
        Ok(vec![SolutionTable { path: gains, channels: None, spectral_window: None }])
    }

    fn set_identity_gains(&mut self, tables: &[SolutionTable], antennas: &[String], log: &Path) -> Result<()> {
        for table in tables {
            let mut words = vec![table.path.to_string_lossy().into_owned(), "-".to_owned()];
            words.extend_from_slice(antennas);
            self.run("edit", words, log)?;
        }
        Ok(())
    }

    fn apply(&mut self, measurement_set: &Path, tables: &[SolutionTable], log: &Path) -> Result<()> {
        measurement_set::copy_column(&self.casa, measurement_set, "DATA", "CORRECTED_DATA")?;
        let Some(table) = tables.last() else { return Ok(()) };
        let summary = MsSummary::read(&self.casa, measurement_set)?;
        // Any antenna does: nothing is solved for.
        let reference = self.reference(&summary, Some("0"), measurement_set).unwrap_or(0).to_string();
        let out = tempfile::tempdir().map_err(crate::Error::internal)?;
        let grid = self.grid_of(&table.path);
        let words = self.apply_words(measurement_set, &reference, (&table.path, &grid), out.path());
        self.run("run", words, log)
    }

    fn inspect(&mut self, tables: &[SolutionTable]) -> Result<SolutionStats> {
        let Some(table) = tables.last() else { return Ok(SolutionStats::default()) };
        let file = table.path.with_file_name(STATISTICS);
        let wrong = |reason: String| QuarticalError::Statistics { path: file.display().to_string(), reason };
        let text = std::fs::read(&file).map_err(|e| wrong(e.to_string()))?;
        Ok(serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?)
    }

    fn command_lines(&self, request: &SolveRequest) -> Vec<Vec<String>> {
        let named = Some(self.options.refant.clone()).filter(|n| !n.is_empty()).or(request.reference_antenna.clone());
        let reference = named.map_or_else(
            || "<number of the antenna with most unflagged data nearest the centre>".to_owned(),
            |name| if name.parse::<usize>().is_ok() { name } else { format!("<number of {name}>") },
        );
        let line = |words: Vec<String>| std::iter::once("goquartical".to_owned()).chain(words).collect();
        let gains = request.folder.join(GAINS);
        let out = Path::new("<a folder that goes>");
        let apply = self.apply_words(&request.measurement_set, &reference, (&gains, &self.grid_of(&gains)), out);
        vec![line(self.solve_words(request, &reference, None)), line(apply)]
    }

    fn apply_line(&self, tables: &[SolutionTable]) -> Option<String> {
        let gains = &tables.last()?.path;
        let (name, grid) = (Path::new(gains.file_name()?), self.grid_of(gains));
        let words = self.apply_words(Path::new("OTHER.ms"), "0", (name, &grid), Path::new("."));
        let all: Vec<String> = std::iter::once("goquartical".to_owned()).chain(words).collect();
        Some(crate::util::shell::line(&all))
    }
}

/// A value in QuartiCal's words.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Array(list) => format!("[{}]", list.iter().map(word).collect::<Vec<_>>().join(",")),
        Value::Null => "None".into(),
        other => other.to_string(),
    }
}

/// CASA's `>200m`, `<5km`, `200~5000m` in metres, 0 for an open end; `None`: no selection. See [`check`].
fn uv_range(text: &str) -> Option<(f64, f64)> {
    let text = text.trim();
    let length = |text: &str| -> Option<f64> {
        let text = text.trim();
        let (number, factor) = match text.strip_suffix("km") {
            Some(number) => (number, 1000.0),
            None => (text.strip_suffix('m').unwrap_or(text), 1.0),
        };
        number.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v >= 0.0).map(|v| v * factor)
    };
    if let Some(low) = text.strip_prefix('>') {
        return Some((length(low)?, 0.0));
    }
    if let Some(high) = text.strip_prefix('<') {
        return Some((0.0, length(high)?));
    }
    let (low, high) = text.split_once('~')?;
    // The unit stands behind the second number.
    let unit = if high.trim().ends_with("km") { "km" } else { "m" };
    let low = if low.trim().ends_with('m') { length(low)? } else { length(&format!("{}{unit}", low.trim()))? };
    Some((low, length(high)?))
}

/// Options of gaincal that QuartiCal has nothing like, and options of QuartiCal that are ours to set.
fn check(o: &GaincalOptions) -> Result<(), OptionError> {
    let wrong = |key: &str, found: &str, expected| Err(OptionError::new(format!("gaincal.{key}"), found, expected));
    if o.selectdata && !o.uvrange.trim().is_empty() && uv_range(&o.uvrange).is_none() {
        return wrong(
            "uvrange",
            &o.uvrange,
            "one range in m or km with calibrator: quartical: `>200m`, `<5km` or `200~5000m`",
        );
    }
    let selections = [("spw", &o.spw), ("antenna", &o.antenna), ("timerange", &o.timerange), ("scan", &o.scan)];
    for (key, value) in selections {
        if !value.is_empty() && (key == "spw" || o.selectdata) {
            return wrong(key, value, "an empty text with calibrator: quartical, which has no such selection");
        }
    }
    if !o.field.split(',').all(|f| f.is_empty() || f.trim().parse::<usize>().is_ok()) {
        return wrong("field", &o.field, "numbers of fields, joined by commas, with calibrator: quartical");
    }
    if o.combine.split(',').any(|word| ["spw", "field"].contains(&word.trim())) {
        return wrong(
            "combine",
            &o.combine,
            "`scan` or an empty text with calibrator: quartical, which solves each window and each field by itself",
        );
    }
    if o.gaintype == GainType::Gspline {
        return wrong("gaintype", "GSPLINE", "`G`, `T` or `K` with calibrator: quartical");
    }
    if !o.solmode.is_empty() {
        return wrong(
            "solmode",
            &o.solmode,
            "an empty text with calibrator: quartical, which has `quartical: {solver.robust: true}` instead",
        );
    }
    if o.applymode != ApplyMode::Calonly {
        return wrong(
            "applymode",
            "calflag",
            "`calonly` with calibrator: quartical, as QuartiCal bridges flagged solutions",
        );
    }
    if o.calwt {
        return wrong("calwt", "true", "false with calibrator: quartical, which leaves weights alone");
    }
    if let Some(key) = o.quartical.keys().find(|key| OURS.iter().any(|ours| key.starts_with(ours))) {
        return wrong("quartical", key, "an option that cleanloop does not set itself; leave it out");
    }
    match o.quartical.keys().find(|key| !key.contains('.')) {
        Some(key) => wrong("quartical", key, "the full name of an option, e.g. `G.freq_interval`"),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn calibrator(value: Value) -> Result<QuarticalCalibrator> {
        let options: GaincalOptions = serde_json::from_value(value).expect("options");
        let casa = Casa::open(&["python3".to_owned()], None)?;
        QuarticalCalibrator::new(vec!["python3".into()], options, casa, Limits::default())
    }

    fn request() -> SolveRequest {
        SolveRequest {
            measurement_set: "/data/a.ms".into(),
            folder: "/out/calibration".into(),
            log: "/out/log".into(),
            round: 1,
            reference_antenna: Some("ea05".into()),
            threads: 2,
        }
    }

    fn words(value: Value) -> Vec<String> {
        calibrator(value).expect("a calibrator").solve_words(&request(), "4", Some(10))
    }

    #[test]
    fn options_become_quarticals() {
        let plain = words(json!({}));
        for expected in [
            "input_ms.data_column=DATA",
            "input_model.recipe=MODEL_DATA",
            "input_ms.select_uv_range=[200,0]",
            "solver.terms=[G]",
            "solver.reference_antenna=4",
            "G.type=phase",
            "G.time_interval=60s",
            "G.freq_interval=0",
            "output.products=[]",
            "output.flags=False",
            "output.gain_directory=/out/calibration/gains.qc",
        ] {
            assert!(plain.iter().any(|w| w == expected), "{expected} is not in {plain:?}");
        }
        let has = |value, expected: &str| words(value).iter().any(|w| w == expected);
        assert!(has(json!({"calmode": "ap"}), "G.type=diag_complex"));
        assert!(has(json!({"calmode": "a"}), "G.type=amplitude"));
        assert!(has(json!({"gaintype": "T"}), "G.scalar=True"));
        assert!(has(json!({"gaintype": "K"}), "G.type=delay"));
        assert!(has(json!({"solint": "int"}), "G.time_interval=1"));
        assert!(has(json!({"solint": "inf", "combine": "scan"}), "input_ms.group_by=[FIELD_ID,DATA_DESC_ID]"));
        assert!(has(json!({"nspw": 3}), "G.freq_interval=4"));
        let chain = json!({"quartical": {"solver.terms": ["K", "G"], "K.type": "delay", "G.freq_interval": 8}});
        for expected in
            ["solver.terms=[K,G]", "solver.iter_recipe=[100,100]", "K.type=delay", "G.type=phase", "G.freq_interval=8"]
        {
            assert!(has(chain.clone(), expected), "{expected}");
        }
    }

    #[rstest]
    #[case::steps_in_frequency(json!({"calmode": "ap"}), &["G.time_interval=1 ", "G.freq_interval=4 "])]
    #[case::steps(json!({"interp": "nearest"}), &["G.time_interval=60s ", "G.freq_interval=4 "])]
    #[case::between_channels(json!({"interp": "linear,linear"}), &["G.time_interval=1 ", "G.freq_interval=1 "])]
    #[case::delays(json!({"gaintype": "K", "interp": "linear,linear"}), &["G.time_interval=1 ", "G.freq_interval=4 "])]
    fn the_line_for_another_measurement_set_loads_the_gains(#[case] mut options: Value, #[case] expected: &[&str]) {
        options["nspw"] = json!(3);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("gains.qc");
        std::fs::create_dir(&path).expect("made");
        let quartical = calibrator(options).expect("a calibrator");
        std::fs::write(path.join(GRID), json!(quartical.grid(Some(10))).to_string()).expect("written");
        let table = SolutionTable { path, channels: None, spectral_window: None };
        let line = quartical.apply_line(&[table]).expect("a line");
        let always = ["goquartical input_ms.path=OTHER.ms", "G.load_from=gains.qc/G", "CORRECTED_DATA"];
        for word in always.iter().chain(expected) {
            assert!(line.contains(word), "{word} is not in {line}");
        }
    }

    #[rstest]
    #[case(">200m", Some((200.0, 0.0)))]
    #[case("<5km", Some((0.0, 5000.0)))]
    #[case("200~5000m", Some((200.0, 5000.0)))]
    #[case("0.2~5km", Some((200.0, 5000.0)))]
    #[case("200m~5km", Some((200.0, 5000.0)))]
    #[case(">1klambda", None)]
    #[case("", None)]
    fn ranges_of_baselines(#[case] text: &str, #[case] expected: Option<(f64, f64)>) {
        assert_eq!(uv_range(text), expected);
    }

    #[rstest]
    #[case(json!({"uvrange": ">1klambda"}), "gaincal.uvrange is >1klambda; expected one range")]
    #[case(json!({"spw": "0:1~3"}), "gaincal.spw is 0:1~3; expected an empty text with calibrator: quartical")]
    #[case(json!({"field": "3C286"}), "gaincal.field is 3C286; expected numbers")]
    #[case(json!({"gaintype": "GSPLINE"}), "gaincal.gaintype is GSPLINE")]
    #[case(json!({"combine": "scan,spw"}), "gaincal.combine is scan,spw; expected `scan`")]
    #[case(json!({"applymode": "calflag"}), "gaincal.applymode is calflag; expected `calonly`")]
    #[case(json!({"quartical": {"output.flags": true}}), "gaincal.quartical is output.flags; expected an option that cleanloop does not set")]
    #[case(json!({"quartical": {"freq_interval": 2}}), "gaincal.quartical is freq_interval; expected the full name")]
    fn what_quartical_cannot_do_is_said(#[case] value: Value, #[case] start: &str) {
        let error = calibrator(value).expect_err("refused").to_string();
        assert!(error.starts_with(start), "{error}");
    }
}
