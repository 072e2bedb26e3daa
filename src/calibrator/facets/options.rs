//! Options of a direction-dependent round: the mode `facets`.

use crate::calibrator::options::{CalMode, GainType, Solint};
use crate::options::{Checks, OptionError, TextOrNumber, Validate, optional_text, text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A round that solves by direction: the image is divided into facets, each around a bright source, DP3 solves for the gains
/// of all facets together, on top of the last accepted round's tables, and wsclean images with them. The keys that `gaincal`
/// has, too, mean the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FacetOptions {
    /// The directions: `auto` (the sources of the last accepted image that are bright enough), a number (no more than so
    /// many), or a file: a region file in the notation of DS9, whose points, or centres of other shapes, are the directions;
    /// or a list with a right ascension and a declination in degrees in each line.
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub directions: String,
    /// Solution interval, as in `gaincal`: a time with its unit, `int`, or `inf` (one for all times).
    #[serde(deserialize_with = "text")]
    #[schemars(with = "TextOrNumber")]
    pub solint: String,
    /// Interval of the amplitudes with `calmode: ap`, where they change more slowly than the phases: each is the mean of those
    /// within this time around its own. `null`: that of `solint`.
    #[serde(deserialize_with = "optional_text")]
    #[schemars(with = "Option<TextOrNumber>")]
    pub amplitude_solint: Option<String>,
    /// Quantities that are solved for: phases (`p`), amplitudes (`a`) or both (`ap`).
    pub calmode: CalMode,
    /// `T`: one gain for both polarisations; `G`: one for each.
    pub gaintype: GainType,
    /// Smallest signal-to-noise ratio of an antenna's solution in one interval, from the flux of the model in the facet and
    /// the noise of the data: fainter facets get a longer interval, or join their neighbour.
    pub minsnr: f64,
    /// Longest interval of a facet that is too faint for `solint`, in intervals: it gets 2, 4, 8 ... of them, as many as its
    /// flux needs, and joins its neighbour where this many are not enough. 1: all facets have the same interval.
    pub longest: u32,
    /// Smallest distance of two directions, arcmin; sources that are nearer share a facet. `null`: a tenth of the
    /// image's width.
    pub separation_arcmin: Option<f64>,
    /// Most directions with `auto`.
    pub most: usize,
    /// Baselines shorter than this are not used, wavelengths.
    pub uvlambdamin: f64,
    /// Width of the Gaussian that solutions are smoothed with in frequency, Hz; 0: one solution for the whole band.
    pub smoothness_hz: f64,
    /// Most iterations of a solve; five times as many where DP3 goes from direction to direction (with amplitudes, and where
    /// intervals differ), each of which takes a tenth of the time.
    pub maxiter: u32,
    /// A solve ends when its solutions change by less than this part.
    pub tolerance: f64,
    /// Most images of the round: the first with the mask of the last accepted image, each further one with a mask made from
    /// the one before, while that has half as many pixels again and the dynamic range rises.
    pub images: usize,
}

/// Where directions come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directions {
    /// The sources that are bright enough, no more than this.
    Sources(usize),
    /// A region file or a list.
    File(PathBuf),
}

impl Default for FacetOptions {
    fn default() -> Self {
        Self {
            directions: "auto".into(),
            solint: "60s".into(),
            amplitude_solint: None,
            calmode: CalMode::P,
            gaintype: GainType::T,
            minsnr: 10.0,
            longest: 8,
            separation_arcmin: None,
            most: 20,
            uvlambdamin: 0.0,
            smoothness_hz: 0.0,
            maxiter: 30,
            tolerance: 1e-3,
            images: 2,
        }
    }
}

impl FacetOptions {
    /// Where the directions come from.
    pub fn source(&self) -> Directions {
        match self.directions.as_str() {
            "auto" => Directions::Sources(self.most),
            text => text.parse().map_or_else(|_| Directions::File(text.into()), Directions::Sources),
        }
    }

    /// The interval, parsed; `None` where [`Validate::validate`] refuses it.
    pub fn interval(&self) -> Option<Solint> {
        Solint::parse(&self.solint).filter(|solint| *solint != Solint::Auto)
    }

    /// The interval in integrations; 0: all of them.
    pub(super) fn integrations(&self, integration_s: f64) -> u64 {
        match self.interval() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At least 1, far below 2^64.
            Some(Solint::Seconds(seconds)) => (seconds / integration_s.max(f64::MIN_POSITIVE)).round().max(1.0) as u64,
            Some(Solint::Infinite) => 0,
            _ => 1,
        }
    }

    /// The longest interval of a direction in intervals, a power of two, in a set of so many integrations.
    pub(super) fn longest_of(&self, integrations: u64, integration_s: f64) -> u32 {
        let own = self.integrations(integration_s);
        let fits = |factor: u32| own > 0 && u64::from(factor) * own <= integrations;
        doublings(self.longest).filter(|factor| fits(*factor)).last().unwrap_or(1)
    }

    /// The time that amplitudes are averaged over, s; infinity: all of it. `None`: they are not.
    pub(super) fn amplitude_average_s(&self) -> Option<f64> {
        match self.amplitude_solint.as_deref().and_then(Solint::parse)? {
            Solint::Seconds(seconds) => Some(seconds),
            Solint::Infinite => Some(f64::INFINITY),
            _ => None,
        }
    }

    /// The intervals in words, e.g. `30s`, or `30s, amplitudes 300s`.
    pub(crate) fn intervals(&self) -> String {
        match self.amplitude_solint.as_deref().filter(|_| self.calmode == CalMode::Ap) {
            Some(slow) => format!("{}, amplitudes {slow}", self.solint),
            None => self.solint.clone(),
        }
    }

    /// Names of the solution tables that DP3 writes, in the order of application.
    pub fn terms(&self) -> Vec<String> {
        let names: &[&str] = match self.calmode {
            CalMode::P => &["phase000"],
            CalMode::A => &["amplitude000"],
            CalMode::Ap => &["amplitude000", "phase000"],
        };
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// The interval is longer than this time, s.
    fn is_longer_than(&self, time_s: f64) -> bool {
        match self.interval() {
            Some(Solint::Seconds(seconds)) => seconds > time_s,
            Some(Solint::Infinite) => time_s.is_finite(),
            _ => false,
        }
    }

    /// DP3's word for what is solved for.
    pub(super) fn mode(&self) -> &'static str {
        match (self.gaintype, self.calmode) {
            (GainType::G, CalMode::P) => "diagonalphase",
            (GainType::G, CalMode::A) => "diagonalamplitude",
            (GainType::G, CalMode::Ap) => "diagonal",
            (_, CalMode::P) => "scalarphase",
            (_, CalMode::A) => "scalaramplitude",
            (_, CalMode::Ap) => "scalar",
        }
    }
}

/// 1, 2, 4 ... up to a number.
pub(super) fn doublings(longest: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1u32), |factor| factor.checked_mul(2))
        .take_while(move |factor| *factor <= longest.max(1))
}

impl Validate for FacetOptions {
    fn problems(&self) -> Vec<OptionError> {
        let mut checks = Checks::of("facets");
        let number = self.directions.parse::<f64>();
        let valid =
            !self.directions.is_empty() && number.is_err() || self.directions.parse::<usize>().is_ok_and(|n| n > 1);
        checks.check(valid, "directions", &self.directions, "`auto`, a number of 2 or more, or a file");
        checks.check(self.interval().is_some(), "solint", &self.solint, "a time such as 60s or 2min, `int` or `inf`");
        if let Some(slow) = &self.amplitude_solint {
            let valid =
                self.calmode == CalMode::Ap && self.amplitude_average_s().is_some_and(|s| !self.is_longer_than(s));
            let expected = "a time such as 300s, or `inf`, not shorter than `solint`, with `calmode: ap`";
            checks.check(valid, "amplitude_solint", slow, expected);
        }
        let valid = matches!(self.gaintype, GainType::T | GainType::G);
        checks.check(valid, "gaintype", format!("{:?}", self.gaintype), "`T` or `G`");
        let at_least_0 = |x: f64| x.is_finite() && x >= 0.0;
        checks.check(at_least_0(self.minsnr), "minsnr", self.minsnr, "a number of 0 or more");
        checks.check(self.longest > 0, "longest", self.longest, "a number of 1 or more");
        let separation = self.separation_arcmin.unwrap_or(0.0);
        checks.check(at_least_0(separation), "separation_arcmin", separation, "a number of 0 or more");
        checks.check(self.most > 1, "most", self.most, "a number of 2 or more");
        checks.check(at_least_0(self.uvlambdamin), "uvlambdamin", self.uvlambdamin, "a number of 0 or more");
        checks.check(at_least_0(self.smoothness_hz), "smoothness_hz", self.smoothness_hz, "a number of 0 or more");
        checks.check(self.maxiter > 0, "maxiter", self.maxiter, "a number of 1 or more");
        let valid = self.tolerance.is_finite() && self.tolerance > 0.0;
        checks.check(valid, "tolerance", self.tolerance, "a number above 0");
        checks.check(self.images > 0, "images", self.images, "a number of 1 or more");
        checks.problems()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn options(value: Value) -> FacetOptions {
        serde_json::from_value(value).expect("options")
    }

    #[rstest::rstest]
    #[case(json!({}), Directions::Sources(20))]
    #[case(json!({"most": 7}), Directions::Sources(7))]
    #[case(json!({"directions": 5}), Directions::Sources(5))]
    #[case(json!({"directions": "bright.reg"}), Directions::File("bright.reg".into()))]
    fn directions_are_a_word_a_number_or_a_file(#[case] written: Value, #[case] expected: Directions) {
        options(written.clone()).validate().expect("valid");
        assert_eq!(options(written).source(), expected);
    }

    #[rstest::rstest]
    #[case(json!({}), "scalarphase", &["phase000"])]
    #[case(json!({"calmode": "ap"}), "scalar", &["amplitude000", "phase000"])]
    #[case(json!({"calmode": "a", "gaintype": "G"}), "diagonalamplitude", &["amplitude000"])]
    #[case(json!({"calmode": "ap", "gaintype": "G"}), "diagonal", &["amplitude000", "phase000"])]
    fn modes_are_those_of_dp3(#[case] written: Value, #[case] mode: &str, #[case] terms: &[&str]) {
        let options = options(written);
        assert_eq!((options.mode(), options.terms()), (mode, terms.iter().map(|&t| t.to_owned()).collect()));
    }

    #[rstest::rstest]
    #[case(json!({}), None, "60s")]
    #[case(json!({"calmode": "ap", "solint": "int", "amplitude_solint": "5min"}), Some(300.0), "int, amplitudes 5min")]
    #[case(json!({"calmode": "ap", "amplitude_solint": "inf"}), Some(f64::INFINITY), "60s, amplitudes inf")]
    fn amplitudes_may_be_slower(#[case] written: Value, #[case] average_s: Option<f64>, #[case] words: &str) {
        let options = options(written);
        options.validate().expect("valid");
        assert_eq!((options.amplitude_average_s(), options.intervals().as_str()), (average_s, words));
    }

    #[rstest::rstest]
    #[case("60s", 8, 120, 8)]
    #[case("60s", 7, 120, 4)]
    #[case("60s", 1, 120, 1)]
    #[case("60s", 8, 10, 4)] // Half of what there is.
    #[case("60s", 8, 1, 1)]
    #[case("inf", 8, 120, 1)]
    fn longer_intervals_are_powers_of_two_within_the_data(
        #[case] solint: &str,
        #[case] longest: u32,
        #[case] integrations: u64,
        #[case] expected: u32,
    ) {
        let options = options(json!({"solint": solint, "longest": longest}));
        assert_eq!(options.longest_of(integrations, 30.0), expected);
    }

    #[test]
    fn invalid_values_are_named() {
        let cases = [
            json!({"directions": 1}),
            json!({"directions": ""}),
            json!({"directions": 2.5}),
            json!({"solint": "auto"}),
            json!({"amplitude_solint": "300s"}),
            json!({"calmode": "ap", "amplitude_solint": "30s"}),
            json!({"calmode": "ap", "solint": "inf", "amplitude_solint": 300}),
            json!({"gaintype": "K"}),
            json!({"minsnr": -1}),
            json!({"longest": 0}),
            json!({"most": 1}),
            json!({"images": 0}),
            json!({"tolerance": 0}),
        ];
        let said = cases.map(|value| options(value).validate().expect_err("wrong").to_string());
        insta::assert_snapshot!(said.join("\n"), @r"
        facets.directions is 1; expected `auto`, a number of 2 or more, or a file
        facets.directions is empty; expected `auto`, a number of 2 or more, or a file
        facets.directions is 2.5; expected `auto`, a number of 2 or more, or a file
        facets.solint is auto; expected a time such as 60s or 2min, `int` or `inf`
        facets.amplitude_solint is 300s; expected a time such as 300s, or `inf`, not shorter than `solint`, with `calmode: ap`
        facets.amplitude_solint is 30s; expected a time such as 300s, or `inf`, not shorter than `solint`, with `calmode: ap`
        facets.amplitude_solint is 300; expected a time such as 300s, or `inf`, not shorter than `solint`, with `calmode: ap`
        facets.gaintype is K; expected `T` or `G`
        facets.minsnr is -1; expected a number of 0 or more
        facets.longest is 0; expected a number of 1 or more
        facets.most is 1; expected a number of 2 or more
        facets.images is 0; expected a number of 1 or more
        facets.tolerance is 0; expected a number above 0
        ");
    }
}
