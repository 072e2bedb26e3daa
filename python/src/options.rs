//! Keyword arguments as the library's option structs.

use super::wrong;
use cleanloop::options::nearest;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// The options with the given keywords in place of their defaults.
pub(crate) fn read<T: DeserializeOwned + Serialize + Default>(given: Option<&Bound<'_, PyDict>>) -> PyResult<T> {
    let Value::Object(defaults) = serde_json::to_value(T::default()).map_err(wrong)? else {
        unreachable!("options are a map");
    };
    let mut all = defaults.clone();
    for (key, value) in given.into_iter().flatten() {
        let key: String = key.extract()?;
        if !defaults.contains_key(&key) {
            let names = defaults.keys().map(String::as_str);
            let help = match nearest(&key, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the options are {}", names.collect::<Vec<_>>().join(", ")),
            };
            return Err(PyTypeError::new_err(format!("unknown option `{key}`: {help}")));
        }
        let value = from_python(&value).map_err(|e| wrong(format!("{key}: {e}")))?;
        let alone = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
        serde_json::from_value::<T>(alone).map_err(|e| wrong(format!("{key}: {e}")))?;
        all.insert(key, value);
    }
    serde_json::from_value(Value::Object(all)).map_err(wrong)
}

fn from_python(value: &Bound<'_, PyAny>) -> Result<Value, String> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(b) = value.extract::<bool>() {
        return Ok(b.into());
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(text.to_string().into());
    }
    if let Ok(whole) = value.extract::<i64>() {
        return Ok(whole.into());
    }
    if let Ok(number) = value.extract::<f64>() {
        // What JSON cannot hold is not valid as an option either.
        return Number::from_f64(number).map(Value::Number).ok_or_else(|| format!("{number} is not a usable number"));
    }
    if let Ok(items) = value.try_iter() {
        let items = items.map(|item| from_python(&item.map_err(|e| e.to_string())?));
        return Ok(Value::Array(items.collect::<Result<_, _>>()?));
    }
    Err(format!("a value of type {} cannot be used", value.get_type()))
}
