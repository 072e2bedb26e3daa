//! The worker's requests and answers: one struct each, whose fields are the keys.
//!
//! The worker has the same requests in Python (`workers/cleanloop_worker/requests.py`). `check_contract` compares the
//! two when a worker starts, so that a key that differs is found before any work is done.

mod calibration;
mod continuum;
mod imaging;
mod inspection;
mod measurement_set;
mod simulation;

pub use calibration::{
    AppliedTable, ApplyOnto, Applycal, GainStatistics, GainTable, GainTerm, Gaincal, GaincalAnswer, GaincalParameters,
    IdentityGains, SpectralWindowMaps, TableStatistics,
};
pub use continuum::{ChannelAmplitudes, SubtractModel, Uvcontsub, WindowAmplitudes, WindowChannels};
pub use imaging::{
    ChannelLimit, ChannelResult, ChannelState, CycleFiles, DeconvolutionAnswer, DeconvolutionPrepare, DeconvolutionRun,
    ExportImage, GridAnswer, MinorAnswer, OpenAnswer, PrimaryBeamAnswer, RestoredFiles, RollBackAnswer, Tclean,
    TcleanAnswer, TcleanClose, TcleanGrid, TcleanMajor, TcleanMinor, TcleanOpen, TcleanPb, TcleanPredict, TcleanPsf,
    TcleanReplaceModel, TcleanRestore, TcleanRevertChannels, TcleanRollBack,
};
pub use inspection::{
    AntennaFacts, ColumnFacts, CorrelationFacts, ExpectedBeam, FieldFacts, FlagNotFinite, Inspect, MsFacts, ScanFacts,
    Tally, UnreadablePart, WindowFacts,
};
pub use measurement_set::{
    AdoptCorrected, Antenna, Checksum, CopyColumn, Field, FourCorrelations, LoadColumn, MeasureNoise, ModelIsEmpty,
    MsSummary, Pointing, ReadPointing, SaveColumn, ShiftPhaseCentre, ShortBaselineFlux, Smearing, SpectralWindow,
    Split, Summary, TheoreticalNoise,
};
pub use simulation::{FillModel, Simulate, SimulateAnswer};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The operation that lists the worker's requests.
pub(crate) const OPERATIONS: &str = "operations";

/// A request to the worker; as JSON it is an object with the fields as keys.
pub trait Request: Serialize + JsonSchema {
    /// Name of the operation.
    const OPERATION: &'static str;
    /// The answer.
    type Response: DeserializeOwned;
}

/// Operations: keys and the names of their types.
pub(crate) type Contract = BTreeMap<String, BTreeMap<String, String>>;

/// Names the operation and the answer of each request, and lists them all.
macro_rules! requests {
    ($($request:ty, $operation:literal => $response:ty;)*) => {
        $(impl Request for $request {
            const OPERATION: &'static str = $operation;
            type Response = $response;
        })*

        /// All requests, as this side knows them.
        pub(crate) fn contract() -> Contract {
            let mut all = Contract::from([(OPERATIONS.to_owned(), BTreeMap::new())]);
            $(all.insert($operation.to_owned(), keys::<$request>());)*
            all
        }
    };
}

requests! {
    Versions, "versions" => VersionsAnswer;
    Simulate, "simulate" => SimulateAnswer;
    FillModel, "fill_model" => ();
    Summary, "ms_summary" => MsSummary;
    Inspect, "inspect" => MsFacts;
    FlagNotFinite, "flag_not_finite" => u64;
    ReadPointing, "read_pointing" => Pointing;
    ModelIsEmpty, "model_is_empty" => bool;
    ShortBaselineFlux, "short_baseline_flux" => f64;
    MeasureNoise, "measure_noise" => TheoreticalNoise;
    Checksum, "checksum" => String;
    CopyColumn, "copy_column" => ();
    AdoptCorrected, "adopt_corrected" => ();
    Split, "split" => ();
    FourCorrelations, "four_correlations" => ();
    Smearing, "smearing" => f64;
    ShiftPhaseCentre, "shift_phase_centre" => ();
    SaveColumn, "save_column" => ();
    LoadColumn, "load_column" => ();
    ChannelAmplitudes, "channel_amplitudes" => Vec<WindowAmplitudes>;
    Uvcontsub, "uvcontsub" => ();
    SubtractModel, "subtract_model" => ();
    Gaincal, "gaincal" => GaincalAnswer;
    Applycal, "applycal" => ();
    ApplyOnto, "apply_onto" => Vec<usize>;
    SpectralWindowMaps, "spectral_window_maps" => Vec<Vec<usize>>;
    IdentityGains, "identity_gains" => ();
    TableStatistics, "table_statistics" => crate::quality::solutions::SolutionStats;
    GainStatistics, "gain_statistics" => Vec<crate::quality::solutions::SolutionStats>;
    TcleanOpen, "tclean_open" => OpenAnswer;
    TcleanClose, "tclean_close" => ();
    TcleanGrid, "tclean_grid" => GridAnswer;
    TcleanPsf, "tclean_psf" => ();
    TcleanPb, "tclean_pb" => PrimaryBeamAnswer;
    TcleanMajor, "tclean_major" => CycleFiles;
    TcleanMinor, "tclean_minor" => MinorAnswer;
    TcleanRestore, "tclean_restore" => RestoredFiles;
    TcleanReplaceModel, "tclean_replace_model" => CycleFiles;
    TcleanRollBack, "tclean_roll_back" => RollBackAnswer;
    TcleanRevertChannels, "tclean_revert_channels" => ();
    TcleanPredict, "tclean_predict" => ();
    Tclean, "tclean" => TcleanAnswer;
    ExportImage, "export_image" => ();
    DeconvolutionPrepare, "deconvolution_prepare" => CycleFiles;
    DeconvolutionRun, "deconvolution_run" => DeconvolutionAnswer;
}

/// Versions of CASA, numpy and Python.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Versions {}

/// Answer to [`Versions`].
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionsAnswer {
    /// Version of casatasks.
    pub casatasks: String,
    /// Version of casatools.
    pub casatools: String,
    /// Version of numpy.
    pub numpy: String,
    /// Version of Python.
    pub python: String,
}

/// Compares a worker's requests with ours.
///
/// # Errors
/// The first difference, in words.
pub(crate) fn check_contract(listed: &Value) -> Result<(), String> {
    let (ours, theirs) = (contract(), Contract::deserialize(listed).map_err(|e| e.to_string())?);
    for operation in ours.keys().chain(theirs.keys()) {
        let (Some(here), Some(there)) = (ours.get(operation), theirs.get(operation)) else {
            let side = if ours.contains_key(operation) { "cleanloop" } else { "the worker" };
            return Err(format!("only {side} knows the operation {operation}"));
        };
        for key in here.keys().chain(there.keys()) {
            let [a, b] = [here, there].map(|side| side.get(key).map_or("missing", String::as_str));
            if a != b {
                return Err(format!("{operation}.{key} is {a} in cleanloop and {b} in the worker"));
            }
        }
    }
    Ok(())
}

/// The keys of a request and the names of their types.
fn keys<R: Request>() -> BTreeMap<String, String> {
    let settings = SchemaSettings::default().with(|s| s.inline_subschemas = true).for_serialize();
    members(&SchemaGenerator::new(settings).into_root_schema_for::<R>().to_value())
}

fn members(schema: &Value) -> BTreeMap<String, String> {
    let properties = schema["properties"].as_object();
    properties.into_iter().flatten().map(|(key, schema)| (key.clone(), type_name(schema))).collect()
}

/// The name of a type, in the words that both sides use: `list of string`, `number or null`, `{path: string}`.
fn type_name(schema: &Value) -> String {
    let null = Value::from("null");
    if let Some(choices) = schema["anyOf"].as_array() {
        let inner = choices.iter().find(|choice| choice["type"] != null);
        return format!("{} or null", inner.map_or_else(|| "nothing".to_owned(), type_name));
    }
    if let Some(types) = schema["type"].as_array() {
        let mut inner = schema.clone();
        inner["type"] = types.iter().find(|name| **name != null).cloned().unwrap_or_default();
        return format!("{} or null", type_name(&inner));
    }
    match schema["type"].as_str() {
        Some("array") => {
            let item = schema.get("items").filter(|items| items.is_object()).unwrap_or(&schema["prefixItems"][0]);
            format!("list of {}", type_name(item))
        }
        Some("object") if schema["properties"].is_object() => {
            let all: Vec<String> = members(schema).iter().map(|(key, name)| format!("{key}: {name}")).collect();
            format!("{{{}}}", all.join(", "))
        }
        Some(name) => name.to_owned(),
        None => "anything".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_have_the_names_that_the_worker_uses() {
        let simulate = keys::<Simulate>();
        assert_eq!(simulate["seed"], "integer");
        assert_eq!(simulate["noise_jy"], "number or null");
        assert_eq!(simulate["pointing_arcsec"], "list of number or null");
        let apply = keys::<Applycal>();
        assert_eq!(
            apply["tables"],
            "list of {calwt: boolean, channels: list of integer or null, interp: string, path: string, \
             spectral_window: integer or null}"
        );
        assert_eq!(keys::<TcleanPredict>()["parameters"], "object");
        assert!(keys::<Versions>().is_empty());
    }

    #[test]
    fn a_difference_is_named() {
        let good = serde_json::to_value(contract()).expect("JSON");
        check_contract(&good).expect("the same");
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut listed = good.clone();
            change(&mut listed);
            check_contract(&listed).expect_err("it differs")
        };
        assert_eq!(
            changed(&|all| all["checksum"] = json!({"ms": "string", "colum": "string"})),
            "checksum.column is string in cleanloop and missing in the worker"
        );
        assert_eq!(
            changed(&|all| all["checksum"]["ms"] = json!("integer")),
            "checksum.ms is string in cleanloop and integer in the worker"
        );
        assert_eq!(changed(&|all| all["new"] = json!({})), "only the worker knows the operation new");
    }
}
