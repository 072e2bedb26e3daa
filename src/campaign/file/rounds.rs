//! Which rounds something happens in: flint's rule for masks.

use super::reading::findings::Findings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// Rounds: `all`, a number (that round and all later ones), a list of numbers, or `none`.
///
/// The rule is `consider_beam_mask_round` of flint (state of 2026-08): a number means `round >= number`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum RoundSelection {
    /// No round.
    None,
    /// Every round.
    #[default]
    All,
    /// This round and all later ones.
    From(usize),
    /// Exactly these.
    List(Vec<usize>),
}

impl RoundSelection {
    /// Whether `round` is among them.
    pub fn contains(&self, round: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::From(first) => round >= *first,
            Self::List(rounds) => rounds.contains(&round),
        }
    }

    /// The first round named that is later than `last`, if there is one.
    pub fn beyond(&self, last: usize) -> Option<usize> {
        match self {
            Self::List(rounds) => rounds.iter().copied().find(|round| *round > last),
            Self::From(first) => Some(*first).filter(|first| *first > last),
            Self::None | Self::All => None,
        }
    }
}

/// flint's rule in one place: is `round` cleaned with a mask?
pub fn consider_mask_round(round: usize, rounds: &RoundSelection, allow: bool) -> bool {
    allow && rounds.contains(round)
}

impl fmt::Display for RoundSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::From(first) => write!(f, "{first}"),
            Self::List(rounds) => {
                let rounds: Vec<String> = rounds.iter().map(ToString::to_string).collect();
                f.write_str(&rounds.join(","))
            }
        }
    }
}

impl FromStr for RoundSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        let wrong = || format!("`{text}` names no rounds: expected `all`, `none`, a number, or numbers with commas");
        if text.contains(',') {
            let rounds = text.split(',').map(|part| part.trim().parse().map_err(|_| wrong()));
            return Ok(Self::List(rounds.collect::<Result<_, _>>()?));
        }
        text.parse().map(Self::From).map_err(|_| wrong())
    }
}

impl Serialize for RoundSelection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::None => serializer.serialize_str("none"),
            Self::All => serializer.serialize_str("all"),
            Self::From(first) => first.serialize(serializer),
            Self::List(rounds) => rounds.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for RoundSelection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyRounds;
        impl<'de> Visitor<'de> for AnyRounds {
            type Value = RoundSelection;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("`all`, `none`, a round, or a list of rounds")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(RoundSelection::None)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, first: u64) -> Result<Self::Value, E> {
                usize::try_from(first).map(RoundSelection::From).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, first: i64) -> Result<Self::Value, E> {
                usize::try_from(first).map(RoundSelection::From).map_err(E::custom)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut rounds = Vec::new();
                while let Some(round) = seq.next_element()? {
                    rounds.push(round);
                }
                Ok(RoundSelection::List(rounds))
            }
        }
        deserializer.deserialize_any(AnyRounds)
    }
}

impl JsonSchema for RoundSelection {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "RoundSelection".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"enum": ["all", "none"], "x-any-case": true},
                {"type": "integer", "minimum": 0},
                {"type": "array", "items": {"type": "integer", "minimum": 0}},
                {"type": "null"}
            ]
        })
    }
}

/// Keys name rounds that exist, and `selfcal` lists them all.
pub(super) fn check(found: &mut Findings<'_>) {
    let campaign = found.campaign;
    let block = &campaign.block;
    let last = campaign.last_round();
    let help = format!("this campaign has the rounds 0 to {last} (`campaign.rounds`)");
    let beyond = |found: &mut Findings<'_>, key: &[&str], round: usize| {
        let text = format!("`campaign.{}` names round {round}, which does not exist", key.join("."));
        found.problem(key, text, &help);
    };
    let rounds_key: &[&str] = match (&block.use_beam_masks_rounds, block.use_beam_masks_from) {
        (Some(_), _) => &["use_beam_masks_rounds"],
        (None, Some(_)) => &["use_beam_masks_from"],
        (None, None) => &["mask", "rounds"],
    };
    let mask_rounds = campaign.mask_rounds();
    if let Some(round) = mask_rounds.beyond(last) {
        match mask_rounds {
            RoundSelection::From(_) => found.warnings.push(format!(
                "`campaign.{}` is {round}, but the last round is {last}: no round gets a mask",
                rounds_key.join(".")
            )),
            _ => beyond(found, rounds_key, round),
        }
    }
    for round in block.skip_selfcal_on_rounds.iter().flatten().filter(|round| **round > last) {
        beyond(found, &["skip_selfcal_on_rounds"], *round);
    }
    let Some(listed) = campaign.rounds.keys().next_back().copied() else { return };
    if listed > last {
        found.warnings.push(format!("`selfcal` lists rounds up to {listed}, but the last round is {last}"));
    }
    for round in (0..listed).filter(|round| !campaign.rounds.contains_key(round)) {
        found.warnings.push(format!("`selfcal` does not list round {round}: it has the options of `defaults` alone"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    /// The table of the specification, row by row.
    #[rstest]
    #[case(json!(null), [false, false, false, false])]
    #[case(json!("all"), [true, true, true, true])]
    #[case(json!("ALL"), [true, true, true, true])]
    #[case(json!(2), [false, false, true, true])]
    #[case(json!(0), [true, true, true, true])]
    #[case(json!([1, 3]), [false, true, false, true])]
    #[case(json!([]), [false, false, false, false])]
    fn the_rule_of_flint(#[case] setting: serde_json::Value, #[case] expected: [bool; 4]) {
        let rounds: RoundSelection = serde_json::from_value(setting).unwrap();
        for (round, expected) in expected.into_iter().enumerate() {
            assert_eq!(consider_mask_round(round, &rounds, true), expected, "round {round}");
            assert!(!consider_mask_round(round, &rounds, false), "allow overrides all");
        }
    }

    #[test]
    fn other_words_are_refused() {
        for wrong in ["some", "1-3", "", "-1"] {
            assert!(serde_json::from_value::<RoundSelection>(json!(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn written_and_read_again() {
        for rounds in ["all", "none", "3", "1,2,5"] {
            assert_eq!(RoundSelection::from_str(rounds).unwrap().to_string(), rounds);
        }
    }
}
