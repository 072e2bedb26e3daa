//! A span of time as people write it.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

/// A limit in time: seconds, or text such as `90m`, `1h 30m`, `2 days`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeLimit(pub Duration);

impl TimeLimit {
    fn from_seconds<E: de::Error>(seconds: f64) -> Result<Self, E> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(limit) if !limit.is_zero() => Ok(Self(limit)),
            _ => Err(E::custom(format!("{seconds} s is not a time limit: expected more than 0 seconds"))),
        }
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::SignedDuration::try_from(self.0) {
            Ok(duration) => write!(f, "{duration:#}"),
            Err(_) => write!(f, "{}s", self.0.as_secs()),
        }
    }
}

impl Serialize for TimeLimit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyDuration;
        impl Visitor<'_> for AnyDuration {
            type Value = TimeLimit;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a time, as seconds or like `90m` or `1h 30m`")
            }
            #[allow(clippy::cast_precision_loss)] // Seconds, far below 2^53.
            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Self::Value, E> {
                TimeLimit::from_seconds(seconds as f64)
            }
            #[allow(clippy::cast_precision_loss)]
            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Self::Value, E> {
                TimeLimit::from_seconds(seconds as f64)
            }
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Self::Value, E> {
                TimeLimit::from_seconds(seconds)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let span = text.parse::<jiff::Span>();
                let duration = span.and_then(|span| span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()));
                match duration {
                    Ok(duration) => TimeLimit::from_seconds(duration.as_secs_f64()),
                    Err(_) => {
                        Err(E::custom(format!("`{text}` is not a time: expected seconds, or text like `90m` or `2d`")))
                    }
                }
            }
        }
        deserializer.deserialize_any(AnyDuration)
    }
}

impl JsonSchema for TimeLimit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "TimeLimit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!(90), 90.0)]
    #[case(json!(0.5), 0.5)]
    #[case(json!("90m"), 5400.0)]
    #[case(json!("1h 30m"), 5400.0)]
    #[case(json!("45s"), 45.0)]
    #[case(json!("1d"), 86_400.0)]
    #[case(json!("2 days 1 hour"), 176_400.0)]
    fn as_people_write_it(#[case] written: serde_json::Value, #[case] seconds: f64) {
        let limit: TimeLimit = serde_json::from_value(written).unwrap();
        assert_eq!(limit.0, Duration::from_secs_f64(seconds));
    }

    #[rstest]
    #[case(json!("soon"))]
    #[case(json!(0))]
    #[case(json!(-5))]
    fn and_as_they_should_not(#[case] written: serde_json::Value) {
        assert!(serde_json::from_value::<TimeLimit>(written).is_err());
    }
}
