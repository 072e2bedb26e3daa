//! Results of the library as the classes of `cleanloop.types`.

use super::wrong;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde::Serialize;
use serde_json::{Map, Value};

/// Fields whose values have a class of their own.
const NESTED: [(&str, &str); 2] = [("thresholds", "Thresholds"), ("model", "ModelMetrics")];

/// A value of the library as the class `name`, whose fields have the same names; lists become tuples.
pub(crate) fn typed<'py>(py: Python<'py>, name: &str, value: &impl Serialize) -> PyResult<Bound<'py, PyAny>> {
    match serde_json::to_value(value).map_err(wrong)? {
        Value::Object(map) => built(py, name, &map),
        other => plain(py, &other),
    }
}

fn built<'py>(py: Python<'py>, name: &str, map: &Map<String, Value>) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    for (key, value) in map {
        let class = NESTED.iter().find(|(field, _)| field == key).map(|(_, class)| *class);
        let value = match (class, value) {
            (Some(class), Value::Object(inner)) => built(py, class, inner)?,
            _ => plain(py, value)?,
        };
        fields.set_item(key, value)?;
    }
    class(py, name)?.call((), Some(&fields))
}

/// A class of `cleanloop.types`.
pub(crate) fn class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("cleanloop.types")?.getattr(name)
}

/// Numbers, text, tuples and dictionaries.
pub(crate) fn plain<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    match value {
        Value::Null => Ok(py.None().into_bound(py)),
        Value::Bool(b) => b.into_bound_py_any(py),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(whole), _) => whole.into_bound_py_any(py),
            (None, number) => number.into_bound_py_any(py),
        },
        Value::String(text) => text.into_bound_py_any(py),
        Value::Array(items) => {
            let items = items.iter().map(|item| plain(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, items)?.into_bound_py_any(py)
        }
        Value::Object(map) => {
            let dict = PyDict::new(py);
            for (key, value) in map {
                dict.set_item(key, plain(py, value)?)?;
            }
            dict.into_bound_py_any(py)
        }
    }
}
