//! Chains of solves: each element is solved with those before it applied, and all are applied together.

use super::options::{ApplyMode, GainType, GaincalOptions, Solint};
use crate::options::{OptionError, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// The mode `gaincal`: a map (one solve), or a list of maps, solved in this order, each with those before it applied.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum GaincalInput {
    /// One solve.
    One(Box<GaincalOptions>),
    /// Several.
    Chain(#[schemars(length(min = 1))] Vec<GaincalOptions>),
}

impl Default for GaincalInput {
    fn default() -> Self {
        Self::One(Box::default())
    }
}

impl<'de> Deserialize<'de> for GaincalInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // An untagged enum would say no more than that nothing fits.
        let value = serde_json::Value::deserialize(deserializer)?;
        let read = if value.is_array() {
            serde_json::from_value(value).map(Self::Chain)
        } else {
            serde_json::from_value(value).map(Self::One)
        };
        read.map_err(serde::de::Error::custom)
    }
}

/// Names of the terms of a chain: the given ones; others are named after their kind, equal ones with 2, 3, ...
pub fn term_names(chain: &[GaincalOptions]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for element in chain {
        let base = if element.term.is_empty() { element.kind().name() } else { &element.term };
        let taken = |name: &str| {
            names.iter().any(|n| n == name) || element.term.is_empty() && chain.iter().any(|other| other.term == name)
        };
        let numbered = (2..).map(|number| format!("{base}{number}"));
        let name = std::iter::once(base.to_owned()).chain(numbered).find(|name| !taken(name));
        names.push(name.unwrap_or_default());
    }
    names
}

/// What does not go together in a chain: the element (0 first) and the problem. Of one element only its own values
/// count.
pub fn chain_problems(chain: &[GaincalOptions]) -> Vec<(usize, OptionError)> {
    let mut problems = Vec::new();
    for (index, element) in chain.iter().enumerate() {
        problems.extend(element.problems().into_iter().map(|problem| (index, problem)));
        let earlier = &chain[..index];
        let mut refuse = |wrong: bool, key: &str, found: String, expected: &'static str| {
            if wrong {
                problems.push((index, OptionError::new(format!("gaincal.{key}"), found, expected)));
            }
        };
        let auto = chain.len() > 1 && element.interval() == Some(Solint::Auto);
        refuse(
            auto,
            "solint",
            element.solint.clone(),
            "an interval in a chain, or `auto` alone, which chooses the chain",
        );
        let splines = chain.len() > 1 && element.gaintype == GainType::Gspline;
        refuse(splines, "gaintype", "GSPLINE".into(), "`G`, `T`, `K` or `B` in a chain of several solves");
        let twice = !element.term.is_empty() && earlier.iter().any(|other| other.term == element.term);
        refuse(twice, "term", element.term.clone(), "a name that no other element of the chain has");
        let ranges = earlier.iter().any(|other| other.nspw > 1 && other.nspw != element.nspw);
        refuse(
            ranges,
            "nspw",
            element.nspw.to_string(),
            "the number of channel ranges of the elements before it, unless these have 1",
        );
        let mode = earlier.first().is_some_and(|first| first.applymode != element.applymode);
        refuse(
            mode,
            "applymode",
            mode_word(element.applymode),
            "the same in all elements of a chain, which are applied together",
        );
    }
    problems
}

fn mode_word(mode: ApplyMode) -> String {
    serde_json::to_value(mode).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn chain(value: Value) -> Vec<GaincalOptions> {
        serde_json::from_value(value).expect("a list of options")
    }

    #[test]
    fn terms_are_named_after_their_kind_unless_they_have_a_name() {
        let kinds = chain(json!([
            {"gaintype": "K"}, {"gaintype": "B"}, {}, {"calmode": "a"}, {"calmode": "ap"}, {"calmode": "ap"},
        ]));
        assert_eq!(term_names(&kinds), ["delay", "bandpass", "phase", "amplitude", "gains", "gains2"]);
        let named = chain(json!([{"term": "fast"}, {}, {}, {"term": "phase"}]));
        assert_eq!(term_names(&named), ["fast", "phase2", "phase3", "phase"]);
    }

    #[test]
    fn what_does_not_go_together_is_named_with_its_element() {
        let cases = [
            json!([{"solint": "auto"}, {}]),
            json!([{}, {"gaintype": "GSPLINE"}]),
            json!([{"term": "fast"}, {"term": "fast"}]),
            json!([{"nspw": 2}, {}]),
            json!([{}, {"applymode": "calflag"}]),
            json!([{"term": "a/b"}]),
            json!([{}, {"solint": "soon"}]),
        ];
        let said = cases.map(|case| {
            let problems = chain_problems(&chain(case));
            problems.iter().map(|(index, e)| format!("{index}: {e}")).collect::<Vec<_>>().join("\n")
        });
        insta::assert_snapshot!(said.join("\n"));
        let good =
            [json!([{"solint": "auto"}]), json!([{}, {"nspw": 2}, {"nspw": 2}]), json!([{"gaintype": "GSPLINE"}])];
        assert!(good.map(chain).iter().all(|good| chain_problems(good).is_empty()));
    }

    #[test]
    fn the_mode_is_a_map_or_a_list_of_maps() {
        let read = |value: Value| serde_json::from_value::<GaincalInput>(value);
        assert!(matches!(read(json!({"solint": "30s"})), Ok(GaincalInput::One(o)) if o.solint == "30s"));
        assert!(matches!(read(json!([{}, {"calmode": "ap"}])), Ok(GaincalInput::Chain(c)) if c.len() == 2));
        let wrong = read(json!([{"calmode": "x"}])).expect_err("no such mode").to_string();
        assert!(wrong.contains("unknown variant `x`"), "{wrong}");
    }
}
