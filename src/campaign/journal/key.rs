//! Keys of steps.

use crate::util::digest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Number of hexadecimal digits of a key.
const DIGITS: usize = 32;

/// Identity of a step's result: a digest of everything that decides it, 32 hexadecimal digits.
///
/// One rule makes all keys: the parts as JSON with sorted keys, SHA-256, its first half. The order in which a file lists
/// options therefore does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepKey(String);

impl StepKey {
    /// The key of these parts.
    pub fn of(parts: &impl Serialize) -> Self {
        let mut digits = digest::of_value(parts);
        digits.truncate(DIGITS);
        Self(digits)
    }

    /// The key of the step that prepares data of this identity: all other steps build on it.
    pub(crate) fn of_data(identity: &str) -> Self {
        Self::of(&("prepare", identity))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value};
    use std::collections::BTreeMap;

    #[test]
    fn keys_differ_when_anything_differs() {
        assert_eq!(StepKey::of(&("a", 1)), StepKey::of(&("a", 1)));
        assert_ne!(StepKey::of(&("a", 1)), StepKey::of(&("a", 2)));
        assert_eq!(StepKey::of(&"a").as_str().len(), DIGITS);
    }

    proptest! {
        #[test]
        fn the_order_of_keys_does_not_matter(map: BTreeMap<String, i32>) {
            let value = |(k, v): (&String, &i32)| (k.clone(), Value::from(*v));
            let forwards: Map<String, Value> = map.iter().map(value).collect();
            let backwards: Map<String, Value> = map.iter().rev().map(value).collect();
            prop_assert_eq!(StepKey::of(&("image", &forwards)), StepKey::of(&("image", &backwards)));
            prop_assert_eq!(StepKey::of(&("image", &forwards)), StepKey::of(&("image", &map)));
        }
    }
}
