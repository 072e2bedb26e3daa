//! Digests of values: one rule for everything that is compared by its content.

use super::fs::{FileError, io};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

/// SHA-256 of a value's canonical JSON (keys sorted, no spaces), 64 hexadecimal digits. The order in which a map lists
/// its keys does not matter.
pub(crate) fn of_value(value: &impl Serialize) -> String {
    let mut json = serde_json::to_value(value).expect("digests are made of plain data");
    json.sort_all_objects();
    hexadecimal(&Sha256::digest(json.to_string()))
}

/// SHA-256 of a file's content, 64 hexadecimal digits.
///
/// # Errors
/// A file that cannot be read, with its name.
pub(crate) fn of_file(path: &Path) -> Result<String, FileError> {
    Ok(hexadecimal(&Sha256::digest(std::fs::read(path).map_err(io(path, "read"))?)))
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[a-z]{1,4}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same value with every map's keys in the opposite order.
    fn reversed(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                Value::Object(map.iter().rev().map(|(k, v)| (k.clone(), reversed(v))).collect::<Map<_, _>>())
            }
            Value::Array(items) => Value::Array(items.iter().map(reversed).collect()),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn the_order_of_keys_does_not_matter(value in any_json()) {
            prop_assert_eq!(of_value(&value), of_value(&reversed(&value)));
        }

        #[test]
        fn different_values_have_different_digests(a in any_json(), b in any_json()) {
            prop_assume!(a != b);
            prop_assert_ne!(of_value(&a), of_value(&b));
        }
    }
}
