//! The words of QuartiCal's two calls: solve, then load the gains and correct.

use super::check::uv_range;
use super::{QuarticalCalibrator, SolveRequest};
use crate::calibrator::options::{CalMode, GainType, Solint};
use indexmap::IndexMap;
use serde_json::Value;
use std::path::Path;

/// Name of the gains in the folder of the request: a folder with a zarr store for each term.
pub(super) const GAINS: &str = "gains.qc";
/// The term that is solved for unless `quartical: {solver.terms: ...}` names others.
const TERM: &str = "G";
/// Iterations of each term at most; QuartiCal stops when 99 % of the gains have converged.
const ITERATIONS: u32 = 100;

/// Intervals of each term in QuartiCal's words: `[time_interval, freq_interval]`.
pub(super) type GainGrid = IndexMap<String, [String; 2]>;

/// Gains on disk: the folder of the terms, and the grid that they were solved on.
#[derive(Debug, Clone, Copy)]
pub(super) struct SolvedTerms<'a> {
    pub(super) gains: &'a Path,
    pub(super) grid: &'a GainGrid,
}

impl QuarticalCalibrator {
    /// The terms of the chain, in the order of `solver.terms`.
    pub(super) fn terms(&self) -> Vec<String> {
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
    pub(super) fn grid(&self, channels: Option<usize>) -> GainGrid {
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

    pub(super) fn solve_words(&self, request: &SolveRequest, reference: &str, channels: Option<usize>) -> Vec<String> {
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

    /// Loads gains and writes `CORRECTED_DATA`; `out` is a folder for QuartiCal's other files.
    pub(super) fn apply_words(&self, ms: &Path, reference: &str, solved: &SolvedTerms<'_>, out: &Path) -> Vec<String> {
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
        for (term, [time, frequency]) in solved.grid {
            // A grid of every integration or channel: gains are interpolated. The grid of the solve: steps.
            let kind = all.get(&format!("{term}.type")).cloned().unwrap_or_default();
            // Delays are slopes over the channels of their cell, and mean nothing between two cells.
            let sloped = kind.contains("delay") || kind.contains("tec");
            let choose = |fine: bool, solved: &String| if fine { "1".to_owned() } else { solved.clone() };
            all.insert(format!("{term}.time_interval"), choose(in_time, time));
            all.insert(format!("{term}.freq_interval"), choose(in_frequency && !sloped, frequency));
            all.insert(format!("{term}.load_from"), solved.gains.join(term).to_string_lossy().into_owned());
        }
        all.insert("solver.iter_recipe".into(), format!("[{}]", vec!["0"; self.terms().len()].join(",")));
        all.insert("output.gain_directory".into(), out.join("applied.qc").to_string_lossy().into_owned());
        all.insert("output.log_directory".into(), out.join("logs.qc").to_string_lossy().into_owned());
        all.insert("output.products".into(), "[corrected_data]".into());
        all.insert("output.columns".into(), "[CORRECTED_DATA]".into());
        all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
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
