//! tclean's options: its names, types and defaults (casatasks 6.7), for what this program supports.

use crate::imager::cycle::StopLimits;
use crate::options::{Checks, OptionError, TextOrNumber, Validate, text};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Options of CASA's tclean. The campaign decides masks, the column to be imaged, names and saved models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TcleanOptions {
    /// Fields that are imaged.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub field: String,
    /// Spectral windows and channels that are imaged.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub spw: String,
    /// Times that are imaged.
    pub timerange: String,
    /// Baselines that are imaged, in CASA's notation.
    pub uvrange: String,
    /// Antennas and baselines that are imaged.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub antenna: String,
    /// Scans that are imaged.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub scan: String,
    /// Observation ids that are imaged.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub observation: String,
    /// Scan intents that are imaged.
    pub intent: String,
    /// Width and height of the image, pixels; one number: a square. In `defaults` also `auto`: the primary beam and bright
    /// sources outside.
    pub imsize: OneOrTwo<u64>,
    /// Size of a pixel with its unit; CASA takes a bare number for arcsec. In `defaults` also `auto`: a part of the beam of a
    /// first PSF.
    pub cell: OneOrTwo<TextValue>,
    /// Phase centre; empty: that of the first field.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub phasecenter: String,
    /// Stokes parameters of the image.
    pub stokes: String,
    /// Projection of the sky.
    pub projection: String,
    /// `mfs` (one continuum image), `cube` or `cubedata`.
    pub specmode: SpecMode,
    /// Reference frequency of the Taylor terms; empty: the centre.
    pub reffreq: String,
    /// Number of channels of a cube; -1: all.
    pub nchan: i64,
    /// First channel, frequency or velocity of a cube.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub start: String,
    /// Width of a channel of a cube.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub width: String,
    /// Spectral frame of a cube.
    pub outframe: String,
    /// Kind of velocities.
    pub veltype: String,
    /// Rest frequencies.
    pub restfreq: Vec<String>,
    /// Spectral interpolation of a cube.
    pub interpolation: String,
    /// Compute weight densities for each channel by itself (cubes only).
    pub perchanweightdensity: bool,
    /// `standard`, `mosaic` or `wproject`.
    pub gridder: Gridder,
    /// Planes of the gridder `wproject`; -1: as many as needed.
    pub wprojplanes: i64,
    /// Table of voltage patterns.
    pub vptable: String,
    /// Compute weight densities for each field by itself (mosaics only).
    pub mosweight: bool,
    /// Pixels below this level of the primary beam are left out.
    pub pblimit: f64,
    /// How the primary beam is normalised.
    pub normtype: String,
    /// Deconvolver.
    pub deconvolver: Deconvolver,
    /// Scales of `multiscale` and `mtmfs`, pixels.
    pub scales: Vec<f64>,
    /// Taylor terms of `mtmfs`.
    pub nterms: u32,
    /// Bias towards small scales.
    pub smallscalebias: f64,
    /// Beam to restore with: empty (fitted), `common`, or its axes and angle.
    pub restoringbeam: OneOrMore<TextValue>,
    /// Weighting: `natural`, `uniform`, `briggs`, `briggsbwtaper`, `superuniform` or `radial`.
    pub weighting: String,
    /// Robust parameter of the weighting `briggs`.
    pub robust: f64,
    /// Noise of the weighting `briggsabs`.
    pub noise: String,
    /// Size of the box of `superuniform` and the like, uv cells.
    pub npixels: i64,
    /// Tapers in the uv plane.
    pub uvtaper: Vec<String>,
    /// Most minor iterations; 0 makes the dirty image only.
    pub niter: u64,
    /// Fraction of the peak that a minor iteration subtracts.
    pub gain: f64,
    /// Threshold at which cleaning ends, with its unit; a bare number is in Jy.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub threshold: String,
    /// Threshold at which cleaning ends, in units of the residual's robust noise; 0: not used.
    pub nsigma: f64,
    /// Most minor iterations of a cycle (in a cube, of one channel); -1: no limit.
    pub cycleniter: i64,
    /// Factor on the level at which a minor cycle ends.
    pub cyclefactor: f64,
    /// Lowest level at which a minor cycle ends, fraction of the peak.
    pub minpsffraction: f64,
    /// Highest level at which a minor cycle ends, fraction of the peak.
    pub maxpsffraction: f64,
    /// Most major cycles; -1: no limit.
    pub nmajor: i64,
    /// Fraction of the PSF's peak at which its fit is cut.
    pub psfcutoff: f64,
    /// CASA's parallel imager; the executable must then be run under MPI.
    pub parallel: bool,
    /// Further parameters of the imager's tools, by tclean's names.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub extra: IndexMap<String, Value>,
}

impl Default for TcleanOptions {
    fn default() -> Self {
        let empty = String::new;
        Self {
            field: empty(),
            spw: empty(),
            timerange: empty(),
            uvrange: empty(),
            antenna: empty(),
            scan: empty(),
            observation: empty(),
            intent: empty(),
            imsize: OneOrTwo::One(100),
            cell: OneOrTwo::One(TextValue::Text("1arcsec".into())),
            phasecenter: empty(),
            stokes: "I".into(),
            projection: "SIN".into(),
            specmode: SpecMode::Mfs,
            reffreq: empty(),
            nchan: -1,
            start: empty(),
            width: empty(),
            outframe: "LSRK".into(),
            veltype: "radio".into(),
            restfreq: Vec::new(),
            interpolation: "linear".into(),
            perchanweightdensity: true,
            gridder: Gridder::Standard,
            wprojplanes: 1,
            vptable: empty(),
            mosweight: true,
            pblimit: 0.2,
            normtype: "flatnoise".into(),
            deconvolver: Deconvolver::Hogbom,
            scales: Vec::new(),
            nterms: 2,
            smallscalebias: 0.0,
            restoringbeam: OneOrMore::More(Vec::new()),
            weighting: "natural".into(),
            robust: 0.5,
            noise: "1.0Jy".into(),
            npixels: 0,
            uvtaper: Vec::new(),
            niter: 0,
            gain: 0.1,
            threshold: "0.0".into(),
            nsigma: 0.0,
            cycleniter: -1,
            cyclefactor: 1.0,
            minpsffraction: 0.05,
            maxpsffraction: 0.8,
            nmajor: -1,
            psfcutoff: 0.35,
            parallel: false,
            extra: IndexMap::new(),
        }
    }
}

/// Continuum or cube.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpecMode {
    /// One image of all channels.
    #[default]
    Mfs,
    /// A cube in a spectral frame.
    Cube,
    /// A cube of the data's own channels.
    Cubedata,
}

/// Gridding of the visibilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gridder {
    /// Without any correction.
    #[default]
    Standard,
    /// With the primary beams of several pointings or dishes.
    Mosaic,
    /// With w-projection.
    Wproject,
}

/// Algorithm that finds components.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Deconvolver {
    /// Högbom's.
    #[default]
    Hogbom,
    /// Clark's.
    Clark,
    /// Multi-scale.
    Multiscale,
    /// Multi-term (and multi-scale) multi-frequency synthesis.
    Mtmfs,
}

/// One value, or a pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrTwo<T> {
    /// For both axes.
    One(T),
    /// x, y.
    Two([T; 2]),
}

/// One value, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore<T> {
    /// One.
    One(T),
    /// Several.
    More(Vec<T>),
}

/// Text, or a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TextValue {
    /// With a unit.
    Text(String),
    /// A bare number.
    Number(f64),
}

impl Validate for TcleanOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::of("tclean");
        let [width, height] = self.size();
        let found = format!("{width} x {height}");
        checks.check(width > 0 && height > 0, "imsize", found, "at least one pixel each way");
        let expected = "a flux density such as 0.1mJy, or a number in Jy";
        checks.check(self.threshold_jy().is_some(), "threshold", &self.threshold, expected);
        let valid = self.gain > 0.0 && self.gain <= 1.0;
        checks.check(valid, "gain", self.gain, "a number above 0, 1 at most");
        let mtmfs = self.deconvolver == Deconvolver::Mtmfs;
        let expected = "another one with this specmode: mtmfs goes with mfs only";
        checks.check(!mtmfs || self.specmode == SpecMode::Mfs, "deconvolver", "mtmfs", expected);
        checks.check(!mtmfs || self.nterms > 0, "nterms", self.nterms, "at least one Taylor term");
        for (key, value) in [("cyclefactor", self.cyclefactor), ("nsigma", self.nsigma), ("pblimit", self.pblimit)] {
            checks.check(value.is_finite(), key, value, "a finite number");
        }
        checks.problems()
    }
}

impl TcleanOptions {
    /// Width and height, pixels.
    pub fn size(&self) -> [u64; 2] {
        match self.imsize {
            OneOrTwo::One(side) => [side, side],
            OneOrTwo::Two(sides) => sides,
        }
    }

    /// Size of a pixel as it is written, the first of two.
    pub(crate) fn pixel(&self) -> String {
        let (OneOrTwo::One(cell) | OneOrTwo::Two([cell, _])) = &self.cell;
        match cell {
            TextValue::Text(text) => text.clone(),
            TextValue::Number(number) => number.to_string(),
        }
    }

    /// The threshold in Jy.
    pub fn threshold_jy(&self) -> Option<f64> {
        jansky(&self.threshold)
    }

    /// The limits at which these options stop the cleaning.
    pub fn stop_limits(&self) -> StopLimits {
        StopLimits {
            threshold_jy: self.threshold_jy().filter(|t| *t > 0.0),
            nsigma: Some(self.nsigma).filter(|n| *n > 0.0),
            iterations: self.niter,
            major_cycles: usize::try_from(self.nmajor).unwrap_or(usize::MAX),
            independent_channels: false,
        }
    }

    /// Processes of CASA's parallel imager, where cleanloop starts it: one leads, and the threads are divided
    /// among the others. An executable of the user's brings its own MPI.
    pub(crate) fn mpi_processes(&self, threads: usize, executable: &[String]) -> Option<usize> {
        (self.parallel && executable.is_empty()).then_some(threads.max(1) + 1)
    }

    /// A part of a cube keeps its fitted beams: a common one is that of all parts together.
    pub(in crate::imager) fn fit_each_beam(&mut self) {
        if self.restores_to_common() {
            self.restoringbeam = OneOrMore::More(Vec::new());
        }
    }

    /// All channels are restored with one common beam.
    pub(crate) fn restores_to_common(&self) -> bool {
        let common = |beam: &TextValue| matches!(beam, TextValue::Text(text) if text == "common");
        match &self.restoringbeam {
            OneOrMore::One(beam) => common(beam),
            OneOrMore::More(beams) => beams.iter().any(common),
        }
    }

    /// Cubes are cleaned channel by channel.
    pub fn is_cube(&self) -> bool {
        self.specmode != SpecMode::Mfs
    }

    /// tclean's own parameters: every option under its name, `extra` among them.
    pub fn parameters(&self) -> serde_json::Map<String, Value> {
        let Ok(Value::Object(mut map)) = serde_json::to_value(self) else { unreachable!("a struct is a JSON object") };
        if let Some(Value::Object(extra)) = map.remove("extra") {
            map.extend(extra);
        }
        map
    }
}

/// A threshold in Jy from text: a number with or without a unit.
pub(super) fn jansky(text: &str) -> Option<f64> {
    let text = text.trim();
    let at = text.find(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit.trim().trim_end_matches("/beam") {
        "" | "Jy" => 1.0,
        "mJy" => 1e-3,
        "uJy" => 1e-6,
        "nJy" => 1e-9,
        _ => return None,
    };
    Some(number.trim().parse::<f64>().ok().filter(|n| n.is_finite())? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(value: Value) -> TcleanOptions {
        serde_json::from_value(value).expect("valid options")
    }

    #[test]
    fn tcleans_defaults_and_forms() {
        let o = options(json!({
            "imsize": [512, 256], "cell": "1.2arcsec", "threshold": 0.001, "spw": 0, "scales": [0, 5],
            "restoringbeam": "common", "extra": {"usepointing": true}
        }));
        assert_eq!((o.size(), o.threshold_jy(), o.spw.as_str()), ([512, 256], Some(0.001), "0"));
        assert_eq!(o.weighting, "natural");
        let parameters = o.parameters();
        assert_eq!(parameters["usepointing"], json!(true));
        assert_eq!((&parameters["imsize"], &parameters["cell"]), (&json!([512, 256]), &json!("1.2arcsec")));
        assert!(!parameters.contains_key("extra"));
        options(json!({})).validate().expect("the defaults are valid");
    }

    #[rstest::rstest]
    #[case("0.5mJy", Some(0.5e-3))]
    #[case("20 uJy/beam", Some(20e-6))]
    #[case("1e-3Jy", Some(1e-3))]
    #[case("0.0", Some(0.0))]
    #[case("3 sigma", None)]
    fn thresholds(#[case] text: &str, #[case] expected: Option<f64>) {
        let jy = options(json!({"threshold": text})).threshold_jy();
        assert_eq!(jy.map(|v| (v * 1e12).round()), expected.map(|v| (v * 1e12).round()));
    }

    #[test]
    fn invalid_values() {
        let cases = [
            json!({"imsize": 0}),
            json!({"threshold": "3sigma"}),
            json!({"gain": 0}),
            json!({"deconvolver": "mtmfs", "specmode": "cube"}),
        ];
        let said = cases.map(|value| options(value).validate().expect_err("wrong").to_string());
        insta::assert_snapshot!(said.join("\n"), @"
        tclean.imsize is 0 x 0; expected at least one pixel each way
        tclean.threshold is 3sigma; expected a flux density such as 0.1mJy, or a number in Jy
        tclean.gain is 0; expected a number above 0, 1 at most
        tclean.deconvolver is mtmfs; expected another one with this specmode: mtmfs goes with mfs only
        ");
    }

    #[test]
    fn the_schema_describes_every_option() {
        let schema = serde_json::to_value(schemars::schema_for!(TcleanOptions)).expect("JSON");
        let properties = schema["properties"].as_object().expect("properties");
        assert!(options(json!({})).parameters().keys().all(|name| properties.contains_key(name)));
        assert!(properties.values().all(|p| p.get("description").is_some()));
    }
}
