//! CASA: the client of its worker, a long-lived Python process (`workers/cleanloop_worker`) that answers typed requests
//! for simulation, measurement sets, calibration and imaging.

mod client;
pub mod requests;
mod sources;

pub use client::{Casa, command_line};
pub(crate) use sources::{DP3_SCRIPT, QUARTICAL_SCRIPT, source};

use serde_json::Value;

/// A value in Python's words.
pub(crate) fn python(value: &Value) -> String {
    match value {
        Value::String(s) => format!("'{}'", s.replace('\\', "\\\\").replace('\'', "\\'")),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        Value::Array(list) => format!("[{}]", list.iter().map(python).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
