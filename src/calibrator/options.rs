//! Options of gaincal and applycal: flint's names, types and defaults (strategy format 0.2), and CASA's own for the rest.

use crate::options::{Checks, OptionError, TextOrNumber, Validate, text};
pub use crate::quality::solutions::TermKind;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Options of one solve, of the mode `gaincal`; a list of such maps is a chain. `solint`, `calmode`, `minsnr` and `gaintype` also steer QuartiCal
/// and the calibrator `command`, as far as these know them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaincalOptions {
    /// Solution interval: a time with its unit (`60s`, `2min`), `int` (each integration) or `inf` (one for all, up to
    /// the boundaries that `combine` leaves). `auto`: the program chooses.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub solint: String,
    /// Quantities that are solved for: phases (`p`), amplitudes (`a`) or both (`ap`).
    pub calmode: CalMode,
    /// Solutions with a lower signal-to-noise ratio are flagged.
    pub minsnr: f64,
    /// Baselines that are used, in CASA's notation; empty: all. `auto`: all but the shortest, which see emission that the
    /// model lacks: a tenth of the visibilities, or a twentieth, so that each antenna keeps two thirds of its own. Delays,
    /// and arrays of fewer than 20 antennas, have all.
    pub uvrange: String,
    /// Whether the selections below (and `uvrange`) apply.
    pub selectdata: bool,
    /// `G`: each polarisation by itself; `T`: one gain for both; `K`: delays; `B`: amplitudes and phases of each channel
    /// (CASA's `bandpass`), whatever `calmode` says.
    pub gaintype: GainType,
    /// The band is solved in this many equal channel ranges (the last may be shorter), each with a table that is applied
    /// to its own channels.
    pub nspw: usize,
    /// Normalise the amplitudes of the solutions.
    pub solnorm: bool,
    /// flint's bookkeeping; not used.
    pub round: u64,
    /// How the amplitudes are normalised.
    pub normtype: NormType,
    /// Reference antenna. Empty: `campaign.reference_antenna`, or else the antenna with most unflagged data nearest
    /// the centre of the array.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub refant: String,
    /// `strict` makes every solution relative to the same antenna.
    pub refantmode: RefantMode,
    /// Fewest baselines to an antenna with which a solution is tried.
    pub minblperant: u32,
    /// Boundaries that solutions may cross: `scan`, `spw`, `field`, `obs`, several joined by commas.
    pub combine: String,
    /// Spectral windows and channels that are solved on; not together with `nspw` above 1.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub spw: String,
    /// Fields that are solved on.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub field: String,
    /// Antennas and baselines that are used.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub antenna: String,
    /// Times that are solved on.
    pub timerange: String,
    /// Scans that are solved on.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub scan: String,
    /// Robust solving: empty (least squares), `L1`, `R` or `L1R`.
    pub solmode: String,
    /// Interpolation of the solutions when they are applied, e.g. `linear` or `nearest`.
    pub interp: String,
    /// Treatment of data without a solution: `calonly` leaves them as they are, `calflag` flags them (the flags are saved
    /// before, and restored when a round is undone).
    pub applymode: ApplyMode,
    /// Calibrate the weights, too.
    pub calwt: bool,
    /// Name of the solutions in a chain: in the names of tables, in reports, and for `reuse`. Default: after its kind,
    /// `delay`, `bandpass`, `phase`, `amplitude` or `gains` (amplitudes and phases).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub term: String,
    /// Take the last accepted round's solutions of this name, instead of solving again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reuse: bool,
    /// Further options of QuartiCal by its own names: `quartical: {G.freq_interval: 8}`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub quartical: IndexMap<String, serde_json::Value>,
}

/// The word for what the program chooses from the data.
pub(crate) const AUTO: &str = "auto";

impl GaincalOptions {
    /// The same with `uvrange: auto` replaced: all baselines but those shorter than this, m (0: all). Delays are solved from
    /// the baselines to the reference antenna alone, which is in the middle: of these, none can be spared.
    #[must_use]
    pub(crate) fn beyond(&self, short_baselines_m: f64) -> Self {
        let uvrange = match self.uvrange.as_str() {
            AUTO if short_baselines_m > 0.0 && self.gaintype != GainType::K => format!(">{short_baselines_m:.1}m"),
            AUTO => String::new(),
            written => written.to_owned(),
        };
        Self { uvrange, ..self.clone() }
    }
}

impl Default for GaincalOptions {
    fn default() -> Self {
        Self {
            solint: "60s".into(),
            calmode: CalMode::P,
            minsnr: 0.0,
            uvrange: ">200m".into(),
            selectdata: true,
            gaintype: GainType::G,
            nspw: 1,
            solnorm: true,
            round: 0,
            normtype: NormType::Mean,
            refant: String::new(),
            refantmode: RefantMode::Flex,
            minblperant: 4,
            combine: String::new(),
            spw: String::new(),
            field: String::new(),
            antenna: String::new(),
            timerange: String::new(),
            scan: String::new(),
            solmode: String::new(),
            interp: "linear".into(),
            applymode: ApplyMode::Calonly,
            calwt: false,
            term: String::new(),
            reuse: false,
            quartical: IndexMap::new(),
        }
    }
}

/// Quantities that a calibration solves for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CalMode {
    /// Phases.
    #[default]
    P,
    /// Amplitudes.
    A,
    /// Amplitudes and phases.
    Ap,
}

impl CalMode {
    /// gaincal's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::P => "p",
            Self::A => "a",
            Self::Ap => "ap",
        }
    }

    /// Whether amplitudes are solved for.
    pub fn amplitudes(self) -> bool {
        self != Self::P
    }
}

/// Kind of a gain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GainType {
    /// A gain for each polarisation.
    #[default]
    G,
    /// One gain for both polarisations.
    T,
    /// A delay for each polarisation.
    K,
    /// A gain for each polarisation and channel.
    B,
    /// Splines; they have no table of solutions that could be judged.
    #[serde(rename = "GSPLINE")]
    Gspline,
}

/// How amplitudes are normalised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NormType {
    /// By the root of their mean power (CASA), or their mean (QuartiCal).
    #[default]
    Mean,
    /// By their median.
    Median,
    /// So that the products of two antennas' amplitudes are 1 in the mean: the flux scale stays. Not one of CASA's own.
    Flux,
}

/// How the reference antenna is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RefantMode {
    /// Another takes over where it has no data.
    #[default]
    Flex,
    /// One for all times.
    Strict,
}

/// Treatment of data without a solution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApplyMode {
    /// They stay uncorrected.
    #[default]
    Calonly,
    /// They are flagged.
    Calflag,
    /// They are flagged, also where a table does not cover them at all.
    Calflagstrict,
}

impl ApplyMode {
    /// Whether flags of the measurement set are changed.
    pub fn flags(self) -> bool {
        self != Self::Calonly
    }
}

/// A solution interval, parsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Solint {
    /// Left to the program.
    Auto,
    /// Each integration.
    Integration,
    /// One solution for all times.
    Infinite,
    /// A length in seconds.
    Seconds(f64),
}

impl Solint {
    /// Reads `auto`, `int`, `inf`, a number of seconds or a number with the unit s, min or h.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            AUTO => return Some(Self::Auto),
            "int" => return Some(Self::Integration),
            "inf" | "infinite" => return Some(Self::Infinite),
            _ => {}
        }
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic() && c != 'e' && c != 'E').unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let factor = match unit.trim() {
            "" | "s" | "sec" => 1.0,
            "min" | "m" => 60.0,
            "h" | "hr" => 3600.0,
            _ => return None,
        };
        let seconds = number.trim().parse::<f64>().ok()? * factor;
        (seconds.is_finite() && seconds > 0.0).then_some(Self::Seconds(seconds))
    }
}

impl Validate for GaincalOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::of("gaincal");
        let expected = "a time such as 60s or 2min, `int`, `inf` or `auto`";
        checks.check(self.interval().is_some(), "solint", &self.solint, expected);
        let valid = self.minsnr.is_finite() && self.minsnr >= 0.0;
        checks.check(valid, "minsnr", self.minsnr, "a number of 0 or more");
        checks.check(self.nspw > 0, "nspw", self.nspw, "a number of channel ranges of 1 or more");
        let expected = "an empty text with nspw above 1, which makes selections of its own";
        checks.check(self.nspw <= 1 || self.spw.is_empty(), "spw", &self.spw, expected);
        let known = |word: &str| ["scan", "spw", "field", "obs"].contains(&word.trim());
        let valid = self.combine.is_empty() || self.combine.split(',').all(known);
        let expected = "words of `scan`, `spw`, `field`, `obs`, joined by commas";
        checks.check(valid, "combine", &self.combine, expected);
        let valid = ["", "L1", "R", "L1R"].contains(&self.solmode.as_str());
        checks.check(valid, "solmode", &self.solmode, "an empty text, `L1`, `R` or `L1R`");
        let valid = self.term.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        checks.check(valid, "term", &self.term, "letters, digits, `_` and `-`, as it names files");
        checks.problems()
    }
}

impl GaincalOptions {
    /// The interval, parsed; `None` where [`Validate::validate`] refuses it.
    pub fn interval(&self) -> Option<Solint> {
        Solint::parse(&self.solint)
    }

    /// What is solved for.
    pub fn kind(&self) -> TermKind {
        match (self.gaintype, self.calmode) {
            (GainType::K, _) => TermKind::Delay,
            (GainType::B, _) => TermKind::Bandpass,
            (_, CalMode::P) => TermKind::Phase,
            (_, CalMode::A) => TermKind::Amplitude,
            (_, CalMode::Ap) => TermKind::Gains,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(value: serde_json::Value) -> GaincalOptions {
        serde_json::from_value(value).expect("valid options")
    }

    #[test]
    fn flints_defaults() {
        let defaults = options(json!({}));
        assert_eq!((defaults.solint.as_str(), defaults.calmode, defaults.minsnr), ("60s", CalMode::P, 0.0));
        assert_eq!((defaults.uvrange.as_str(), defaults.selectdata, defaults.nspw), (">200m", true, 1));
        let of = |uvrange: &str| GaincalOptions { uvrange: uvrange.into(), ..GaincalOptions::default() };
        assert_eq!([of(AUTO).beyond(812.34).uvrange, of(AUTO).beyond(0.0).uvrange], [">812.3m", ""]);
        let delays = GaincalOptions { gaintype: GainType::K, ..of(AUTO) };
        assert_eq!(delays.beyond(812.34).uvrange, "");
        assert_eq!(of(">200m").beyond(812.34).uvrange, ">200m");
        assert_eq!((defaults.gaintype, defaults.solnorm, defaults.round), (GainType::G, true, 0));
        assert_eq!(defaults.applymode, ApplyMode::Calonly);
        defaults.validate().expect("they are valid");
    }

    #[test]
    fn numbers_may_stand_for_texts_and_whole_numbers_for_numbers() {
        let o = options(json!({"solint": 120, "refant": 5, "spw": 0, "minsnr": 3}));
        assert_eq!((o.solint.as_str(), o.refant.as_str(), o.spw.as_str(), o.minsnr), ("120", "5", "0", 3.0));
    }

    #[test]
    fn unknown_keys_and_words_are_refused() {
        let wrong = |value| serde_json::from_value::<GaincalOptions>(value).expect_err("wrong").to_string();
        insta::assert_snapshot!(wrong(json!({"solin": "60s"})).split(", expected").next().expect("words"), @"unknown field `solin`");
        insta::assert_snapshot!(wrong(json!({"calmode": "x"})), @"unknown variant `x`, expected one of `p`, `a`, `ap`");
        assert!(serde_json::from_value::<GaincalOptions>(json!({"solint": [1]})).is_err());
    }

    #[rstest::rstest]
    #[case("60s", Some(Solint::Seconds(60.0)))]
    #[case("2min", Some(Solint::Seconds(120.0)))]
    #[case(" 1.5 h", Some(Solint::Seconds(5400.0)))]
    #[case("30", Some(Solint::Seconds(30.0)))]
    #[case("1e2s", Some(Solint::Seconds(100.0)))]
    #[case("int", Some(Solint::Integration))]
    #[case("inf", Some(Solint::Infinite))]
    #[case("auto", Some(Solint::Auto))]
    #[case("60 parsecs", None)]
    #[case("-5s", None)]
    #[case("0", None)]
    #[case("", None)]
    fn intervals(#[case] text: &str, #[case] expected: Option<Solint>) {
        assert_eq!(Solint::parse(text), expected);
    }

    #[test]
    fn invalid_values_are_named() {
        let cases = [
            json!({"solint": "soon"}),
            json!({"minsnr": -1}),
            json!({"nspw": 0}),
            json!({"nspw": 2, "spw": "0:1~3"}),
            json!({"combine": "scans"}),
            json!({"solmode": "L2"}),
        ];
        let said = cases.map(|value| options(value).validate().expect_err("wrong").to_string());
        insta::assert_snapshot!(said.join("\n"), @"
        gaincal.solint is soon; expected a time such as 60s or 2min, `int`, `inf` or `auto`
        gaincal.minsnr is -1; expected a number of 0 or more
        gaincal.nspw is 0; expected a number of channel ranges of 1 or more
        gaincal.spw is 0:1~3; expected an empty text with nspw above 1, which makes selections of its own
        gaincal.combine is scans; expected words of `scan`, `spw`, `field`, `obs`, joined by commas
        gaincal.solmode is L2; expected an empty text, `L1`, `R` or `L1R`
        ");
    }

    #[test]
    fn the_schema_describes_every_option() {
        let schema = serde_json::to_value(schemars::schema_for!(GaincalOptions)).expect("JSON");
        let properties = schema["properties"].as_object().expect("properties");
        let defaults = serde_json::to_value(GaincalOptions::default()).expect("JSON");
        assert!(defaults.as_object().expect("a map").keys().all(|name| properties.contains_key(name)));
        assert!(properties.contains_key("term") && properties.contains_key("reuse"));
        assert!(properties.values().all(|p| p.get("description").is_some()));
    }
}
