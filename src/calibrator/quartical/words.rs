//! The words of QuartiCal's two calls: solve, then load the gains and correct.

use super::check::uv_range;
use super::{QuarticalCalibrator, SolveRequest};
use crate::calibrator::options::{GainType, GaincalOptions, Solint, TermKind};
use indexmap::IndexMap;
use serde_json::Value;
use std::path::Path;

/// Name of the gains in the folder of the request: a folder with a zarr store for each term.
pub(super) const GAINS: &str = "gains.qc";
/// The term of a single solve, unless `quartical: {solver.terms: ...}` names others.
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
    /// QuartiCal's terms of one solve of the chain: one, unless a single solve names several in `solver.terms`.
    pub(super) fn terms_of(&self, index: usize) -> Vec<String> {
        if self.chain.len() > 1 {
            // Its options are TERM.NAME; a dash would be a minus.
            return vec![self.terms[index].replace('-', "_")];
        }
        let text = match self.chain[index].quartical.get("solver.terms") {
            None => return vec![TERM.to_owned()],
            Some(value) => word(value),
        };
        text.trim_matches(['[', ']']).split(',').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
    }

    /// All terms with the options of their solve, in the order of `solver.terms`.
    fn elements(&self) -> Vec<(String, &GaincalOptions)> {
        let of_solve = |(index, options)| self.terms_of(index).into_iter().map(move |term| (term, options));
        self.chain.iter().enumerate().flat_map(of_solve).collect()
    }

    /// The terms of all solves, in the order of `solver.terms`.
    pub(super) fn all_terms(&self) -> Vec<String> {
        self.elements().into_iter().map(|(term, _)| term).collect()
    }

    /// Options of QuartiCal by its own names, of all solves.
    fn own_options(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.chain.iter().flat_map(|o| &o.quartical)
    }

    fn own(&self, key: &str) -> Option<String> {
        self.own_options().find(|(name, _)| *name == key).map(|(_, value)| word(value))
    }

    /// Some solve crosses the boundaries of scans.
    fn scans_together(&self) -> bool {
        self.chain.iter().any(across_scans)
    }

    /// The intervals of the solve. `channels` of the widest window, where they are known.
    pub(super) fn grid(&self, channels: Option<usize>) -> GainGrid {
        let of_term = |(term, o): (String, &GaincalOptions)| {
            let time = match o.interval() {
                Some(Solint::Seconds(s)) => format!("{s}s"),
                Some(Solint::Integration) => "1".into(),
                _ => "0".into(),
            };
            let frequency = match (o.gaintype, o.nspw, channels) {
                (GainType::B, ..) => "1".into(),
                (_, 0 | 1, _) => "0".into(),
                (_, n, Some(channels)) => channels.div_ceil(n).to_string(),
                (_, n, None) => format!("<channels/{n}>"),
            };
            let own = |what: &str, plain: String| self.own(&format!("{term}.{what}")).unwrap_or(plain);
            let intervals = [own("time_interval", time), own("freq_interval", frequency)];
            (term, intervals)
        };
        self.elements().into_iter().map(of_term).collect()
    }

    /// Options that both calls share. `channels` of the widest window, where they are known.
    fn common(&self, ms: &Path, reference: &str, threads: usize) -> IndexMap<String, String> {
        let mut all = IndexMap::from([
            ("input_ms.path".to_owned(), ms.to_string_lossy().into_owned()),
            ("input_ms.data_column".into(), "DATA".into()),
        ]);
        if self.scans_together() {
            all.insert("input_ms.group_by".into(), "[FIELD_ID,DATA_DESC_ID]".into());
        }
        let field = &self.chain[0].field;
        if !field.is_empty() {
            all.insert("input_ms.select_fields".into(), format!("[{field}]"));
        }
        all.insert("solver.terms".into(), format!("[{}]", self.all_terms().join(",")));
        all.insert("solver.reference_antenna".into(), reference.to_owned());
        all.insert("solver.propagate_flags".into(), "False".into());
        for (term, options) in self.elements() {
            all.insert(format!("{term}.type"), type_of(options).into());
            if options.gaintype == GainType::T {
                all.insert(format!("{term}.scalar"), "True".into());
            }
        }
        all.insert("output.overwrite".into(), "True".into());
        all.insert("output.flags".into(), "False".into());
        all.insert("dask.threads".into(), threads.max(1).to_string());
        all
    }

    pub(super) fn solve_words(&self, request: &SolveRequest, reference: &str, channels: Option<usize>) -> Vec<String> {
        let o = &self.chain[0];
        let mut all = self.common(&request.measurement_set, reference, request.threads);
        all.insert("input_ms.weight_column".into(), "WEIGHT".into());
        all.insert("input_model.recipe".into(), "MODEL_DATA".into());
        if let Some((low, high)) = uv_range(&o.uvrange).filter(|_| o.selectdata) {
            all.insert("input_ms.select_uv_range".into(), format!("[{low},{high}]"));
        }
        for ((term, [time, frequency]), (_, options)) in self.grid(channels).into_iter().zip(self.elements()) {
            if across_scans(options) {
                all.insert(format!("{term}.respect_scan_boundaries"), "False".into());
            }
            all.insert(format!("{term}.time_interval"), time);
            all.insert(format!("{term}.freq_interval"), frequency);
        }
        // One term after another, each with those before it.
        let recipe = vec![ITERATIONS.to_string(); self.all_terms().len()];
        all.insert("solver.iter_recipe".into(), format!("[{}]", recipe.join(",")));
        all.insert("output.gain_directory".into(), request.folder.join(GAINS).to_string_lossy().into_owned());
        all.insert("output.log_directory".into(), request.folder.join("logs.qc").to_string_lossy().into_owned());
        all.insert("output.products".into(), "[]".into());
        for (key, value) in self.own_options() {
            all.insert(key.clone(), word(value));
        }
        all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    /// Loads gains and writes `CORRECTED_DATA`; `out` is a folder for QuartiCal's other files.
    pub(super) fn apply_words(&self, ms: &Path, reference: &str, solved: &SolvedTerms<'_>, out: &Path) -> Vec<String> {
        let mut all = self.common(ms, reference, 1);
        for (key, value) in self.own_options() {
            // What concerns the solve alone stays out.
            let solve_only = ["solver.", "input_model.", "mad_flags.", "input_ms.select_uv_range"];
            let of_solution = [".initial_estimate", ".load_from", ".time_interval", ".freq_interval"];
            if !solve_only.iter().any(|s| key.starts_with(s)) && !of_solution.iter().any(|s| key.ends_with(s)) {
                all.insert(key.clone(), word(value));
            }
        }
        let elements = self.elements();
        for (term, [time, frequency]) in solved.grid {
            let of_term =
                elements.iter().find(|(name, _)| name == term).map_or(&self.chain[0], |(_, options)| *options);
            // As with CASA the first word is for times, the second for frequencies.
            let mut ways = of_term.interp.split(',').map(|way| way.trim().starts_with("linear"));
            let (in_time, in_frequency) = (ways.next().unwrap_or(false), ways.next().unwrap_or(false));
            // A grid of every integration or channel: gains are interpolated. The grid of the solve: steps.
            let kind = all.get(&format!("{term}.type")).cloned().unwrap_or_default();
            // Delays are slopes over the channels of their cell, and mean nothing between two cells.
            let sloped = kind.contains("delay") || kind.contains("tec");
            let choose = |fine: bool, solved: &String| if fine { "1".to_owned() } else { solved.clone() };
            all.insert(format!("{term}.time_interval"), choose(in_time, time));
            all.insert(format!("{term}.freq_interval"), choose(in_frequency && !sloped, frequency));
            all.insert(format!("{term}.load_from"), solved.gains.join(term).to_string_lossy().into_owned());
        }
        all.insert("solver.iter_recipe".into(), format!("[{}]", vec!["0"; self.all_terms().len()].join(",")));
        all.insert("output.gain_directory".into(), out.join("applied.qc").to_string_lossy().into_owned());
        all.insert("output.log_directory".into(), out.join("logs.qc").to_string_lossy().into_owned());
        all.insert("output.products".into(), "[corrected_data]".into());
        all.insert("output.columns".into(), "[CORRECTED_DATA]".into());
        all.into_iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

/// QuartiCal's type of a term. A bandpass has a gain for each channel.
fn type_of(options: &GaincalOptions) -> &'static str {
    match options.kind() {
        TermKind::Delay => "delay",
        TermKind::Phase => "phase",
        TermKind::Amplitude => "amplitude",
        TermKind::Gains | TermKind::Bandpass => "diag_complex",
    }
}

fn across_scans(options: &GaincalOptions) -> bool {
    options.combine.contains("scan")
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
