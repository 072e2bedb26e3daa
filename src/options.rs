//! Shared parts of all structs of options: their checks, the error of an invalid value, texts that may be numbers.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

/// An option with an invalid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path} is {}; expected {expected}", if found.is_empty() { "empty" } else { found })]
pub struct OptionError {
    /// The option's name as in a campaign file, after the map that holds it where that is not obvious:
    /// `gaincal.solint`, `base_snr_clip`.
    pub path: String,
    /// Its value.
    pub found: String,
    /// The values that it may have.
    pub expected: &'static str,
}

impl OptionError {
    /// The error of the option at `path`.
    pub fn new(path: impl Into<String>, found: impl ToString, expected: &'static str) -> Self {
        Self { path: path.into(), found: found.to_string(), expected }
    }

    /// The option's own name, without the map that holds it.
    pub fn key(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }
}

impl From<OptionError> for crate::Error {
    fn from(e: OptionError) -> Self {
        Self::bad_input(e)
    }
}

/// Options whose values can be invalid although their types are right.
pub trait Validate {
    /// Every invalid value.
    fn problems(&self) -> Vec<OptionError>;

    /// Checks the values.
    ///
    /// # Errors
    /// The first invalid value; [`Validate::problems`] lists all.
    fn validate(&self) -> Result<(), OptionError> {
        self.problems().into_iter().next().map_or(Ok(()), Err)
    }
}

/// Collects the problems of one struct of options.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    /// Goes before each option's name: empty, or the map's name with a dot.
    prefix: String,
    problems: Vec<OptionError>,
}

impl Checks {
    /// Checks of options in the map `name`.
    pub(crate) fn of(name: &str) -> Self {
        Self { prefix: format!("{name}."), problems: Vec::new() }
    }

    /// Notes a problem unless the value is `valid`.
    pub(crate) fn check(&mut self, valid: bool, key: &str, found: impl ToString, expected: &'static str) {
        if !valid {
            self.problems.push(OptionError::new(format!("{}{key}", self.prefix), found, expected));
        }
    }

    /// The problems in the order in which they were found.
    pub(crate) fn problems(self) -> Vec<OptionError> {
        self.problems
    }
}

/// Text, or a number that stands for it.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TextOrNumber {
    Text(String),
    Whole(i64),
    Number(f64),
}

impl TextOrNumber {
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// Deserialises a text that may be written as a number.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(TextOrNumber::deserialize(deserializer)?.into_text())
}

/// Deserialises a text that may be written as a number (antenna 5, a field named 1934), or left out.
pub(crate) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<TextOrNumber>::deserialize(deserializer)?.map(TextOrNumber::into_text))
}

/// Names less alike than this (Jaro-Winkler, 0 to 1) are not proposed.
const LEAST_LIKENESS: f64 = 0.75;

/// The most similar of some names, if it is similar enough to be a slip of the pen.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= LEAST_LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_path_value_and_expectation() {
        let mut checks = Checks::of("gaincal");
        checks.check(true, "nspw", 1, "a number");
        checks.check(false, "minsnr", -1.5, "a number of 0 or more");
        checks.check(false, "solint", "", "a time");
        let problems = checks.problems();
        let words: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            ["gaincal.minsnr is -1.5; expected a number of 0 or more", "gaincal.solint is empty; expected a time"]
        );
        assert_eq!(problems[1].key(), "solint");
    }
}
