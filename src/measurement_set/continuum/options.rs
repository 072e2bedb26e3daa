//! Options of uvcontsub under CASA's names (CASA 6.7).

use crate::options::{Checks, OptionError, Validate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// The word for channels that are found.
const AUTO: &str = "auto";

/// The channels that the continuum is fitted to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum FitSpec {
    /// Windows and channels in CASA's words (`0:0~20;40~63`); empty: all channels; `auto`: they are found.
    Channels(String),
    /// Channels and orders by field and window, as uvcontsub takes them.
    ByField(Map<String, Json>),
}

impl Default for FitSpec {
    fn default() -> Self {
        Self::Channels(AUTO.to_owned())
    }
}

impl FitSpec {
    /// The channels are found.
    pub fn is_auto(&self) -> bool {
        matches!(self, Self::Channels(word) if word == AUTO)
    }
}

/// Methods of the fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FitMethod {
    /// The GNU scientific library's.
    #[default]
    Gsl,
    /// casacore's.
    Casacore,
}

/// Options of CASA's uvcontsub, and the channels that are found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UvcontsubOptions {
    /// Line-free channels: windows and channels in CASA's words (`0:0~20;40~63`), a map by field and window, empty for all
    /// channels, or `auto`: channels whose median visibility amplitude stands out are left out.
    pub fitspec: FitSpec,
    /// Order of the polynomial.
    #[schemars(range(min = 0, max = 10))]
    pub fitorder: usize,
    /// Method of the fit.
    pub fitmethod: FitMethod,
}

/// Higher orders follow the lines, and go wild between the channels that are fitted.
const HIGHEST_ORDER: usize = 10;

impl Validate for UvcontsubOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::of("uvcontsub");
        checks.check(self.fitorder <= HIGHEST_ORDER, "fitorder", self.fitorder, "a whole number from 0 to 10");
        checks.problems()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn defaults_are_casas_but_for_the_channels_that_are_found() {
        let options: UvcontsubOptions = serde_json::from_value(json!({})).unwrap();
        let table = json!({"fitspec": "auto", "fitorder": 0, "fitmethod": "gsl"});
        assert_eq!(serde_json::to_value(&options).unwrap(), table);
        assert!(options.fitspec.is_auto() && options.problems().is_empty());
        let by_field = json!({"0": {"17,19": {"chan": "2~9", "fitorder": 1}}, "1": "NONE"});
        let options: UvcontsubOptions = serde_json::from_value(json!({"fitspec": by_field})).unwrap();
        assert!(!options.fitspec.is_auto());
        assert_eq!(serde_json::to_value(&options.fitspec).unwrap(), by_field);
        let wild = UvcontsubOptions { fitorder: 11, ..options };
        assert_eq!(wild.problems()[0].to_string(), "uvcontsub.fitorder is 11; expected a whole number from 0 to 10");
    }
}
