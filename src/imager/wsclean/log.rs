//! wsclean's log: stages and progress for people, peaks and stops for the loop over major cycles.
//!
//! The lines are those of wsclean 3.1.0; lines that are not known are passed over.

use crate::imager::progress::{ImagerWarning, Progress, WarningKind};
use crate::process::Output;

/// One run by its own log.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RunLog {
    /// The deconvolutions, in the order of the log (of independent channels: one after the other).
    pub(crate) majors: Vec<MajorLog>,
    /// Minor iterations over the whole run.
    pub(crate) iterations: u64,
    /// There was nothing to clean (an empty mask).
    pub(crate) no_peak: bool,
    /// The limit of major iterations ended the run.
    pub(crate) major_limit: bool,
    /// The reason of a failure, in wsclean's own words.
    pub(crate) failure: Option<String>,
    /// Input channels that went into each output channel, from the imaging table.
    pub(crate) output_channels: Vec<u64>,
    /// Warnings, each once.
    pub(crate) warnings: Vec<ImagerWarning>,
}

/// One deconvolution between two inversions.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MajorLog {
    /// wsclean's number of the major iteration, from 1.
    pub(crate) number: usize,
    /// wsclean's own estimate of the noise, Jy/beam.
    pub(crate) noise_jy: Option<f64>,
    /// Peak at the start, Jy/beam.
    pub(crate) initial_peak_jy: Option<f64>,
    /// Level down to which it cleans, Jy/beam.
    pub(crate) level_jy: Option<f64>,
    /// That level is the threshold of the whole run.
    pub(crate) level_is_final: bool,
    /// Peak at the end, Jy/beam.
    pub(crate) final_peak_jy: Option<f64>,
    /// Minor iterations of this deconvolution alone.
    pub(crate) iterations: u64,
    /// Why it stopped.
    pub(crate) stop: Option<Stop>,
}

/// Why a deconvolution stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// To make a new residual, and go on.
    MinorLoop,
    /// The threshold of the whole run.
    Threshold,
    /// The limit of minor iterations.
    Iterations,
    /// A negative component (`-stop-negative`).
    Negative,
}

/// Follows a log while it is written.
#[derive(Debug, Default)]
pub(crate) struct LogReader {
    log: RunLog,
    /// The next lines hold a reason, which may have several lines.
    in_failure: bool,
    in_table: bool,
    fraction: u32,
    stage: Option<&'static str>,
}

impl LogReader {
    /// The log as far as it was read.
    pub(crate) fn finish(self) -> RunLog {
        self.log
    }

    /// Takes a piece of output and returns the events that it means.
    pub(crate) fn read(&mut self, piece: Output<'_>) -> Vec<Progress> {
        match piece {
            Output::Partial(text) => self.progress_bar(text),
            Output::Line(line) => {
                let mut events = self.progress_bar(line);
                events.extend(self.line(line));
                events
            }
        }
    }

    fn line(&mut self, line: &str) -> Option<Progress> {
        let line = line.trim_end();
        if let Some(reason) = line.strip_prefix("+ >>> ") {
            self.log.failure = Some(reason.trim().to_owned());
            self.in_failure = true;
            return None;
        }
        if self.in_failure {
            self.in_failure = !line.starts_with("+ + +");
            if let (true, Some(failure)) = (self.in_failure, &mut self.log.failure) {
                failure.push(' ');
                failure.push_str(line.trim_start_matches('+').trim());
            }
            return None;
        }
        if line.starts_with("=== IMAGING TABLE") {
            self.in_table = true;
            return None;
        }
        if self.in_table {
            self.in_table = line.starts_with([' ', '|', '+']) && self.table_row(line);
        }
        if let Some(stage) = line.trim().strip_prefix("== ").and_then(|l| l.strip_suffix(" ==")) {
            return self.stage(stage);
        }
        if let Some(warning) = line.strip_prefix("WARNING: ") {
            return self.warning(warning);
        }
        if line.starts_with("Rendering sources") {
            return Some(Progress::Stage("restoring".into()));
        }
        self.deconvolution(line)
    }

    fn warning(&mut self, text: &str) -> Option<Progress> {
        if self.log.warnings.iter().any(|w| w.text == text) {
            return None;
        }
        let kind = if text.contains("WEIGHT_SPECTRUM") { WarningKind::NoWeightSpectrum } else { WarningKind::Other };
        let warning = ImagerWarning { program: "wsclean", kind, text: text.to_owned() };
        self.log.warnings.push(warning.clone());
        Some(Progress::Warning(warning))
    }

    /// `+-+-J- 0  I   0  0  0  0  0  0  1396-1428 (4)`: the number in brackets; false after the table's end.
    fn table_row(&mut self, line: &str) -> bool {
        let inner = line.rsplit_once('(').and_then(|(_, r)| r.strip_suffix(')'));
        if let Some(n) = inner.and_then(|n| n.parse().ok()) {
            self.log.output_channels.push(n);
        }
        true
    }

    fn stage(&mut self, stage: &str) -> Option<Progress> {
        let name = match stage {
            "Constructing PSF" => "making the PSF".to_owned(),
            "Constructing image" => "making the image".to_owned(),
            "Converting model image to visibilities" => "predicting the model".to_owned(),
            other => {
                let number = other.strip_prefix("Deconvolving (").and_then(|n| n.strip_suffix(')'));
                let number = number.and_then(|n| n.parse().ok())?;
                self.log.majors.push(MajorLog { number, ..MajorLog::default() });
                format!("deconvolving ({number})")
            }
        };
        self.fraction = 0;
        Some(Progress::Stage(name))
    }

    fn deconvolution(&mut self, line: &str) -> Option<Progress> {
        match line {
            "Maximum number of major iterations was reached: not continuing deconvolution." => {
                self.log.major_limit = true;
                return None;
            }
            "No peak found." => {
                self.log.no_peak = true;
                return None;
            }
            _ => {}
        }
        let before: u64 = self.log.iterations;
        let major = self.log.majors.last_mut()?;
        let iterations = |total: u64, major: &mut MajorLog| major.iterations += total.saturating_sub(before);
        if let Some(noise) = line.strip_prefix("Estimated standard deviation of background noise: ") {
            major.noise_jy = flux(noise);
        } else if let Some(noise) = line.strip_prefix("Lowest RMS in image: ") {
            // With a local rms, the levels are multiples of this one.
            major.noise_jy = flux(noise);
        } else if let Some(peak) = line.strip_prefix("Initial peak: ") {
            major.initial_peak_jy = flux(peak);
            let jy = major.initial_peak_jy?.abs();
            return Some(Progress::Peak { jy, iterations: before });
        } else if let Some(level) = line.strip_prefix("Next major iteration at: ") {
            major.level_jy = flux(level);
        } else if let Some(level) = line.strip_prefix("Major iteration threshold reached global threshold of ") {
            (major.level_jy, major.level_is_final) = (flux(level), true);
        } else if let Some(rest) = line.strip_prefix("Starting multi-scale cleaning. Start peak=") {
            major.initial_peak_jy = flux(rest);
            major.level_jy = rest.split_once("major iteration threshold=").and_then(|(_, l)| flux(l));
            major.level_is_final = line.ends_with("(final)");
            let jy = major.initial_peak_jy?.abs();
            return Some(Progress::Peak { jy, iterations: before });
        } else if let Some(rest) = line.strip_prefix("Performed ") {
            let total = rest.split(' ').next()?.parse().ok()?;
            iterations(total, major);
            self.log.iterations = total;
        } else if let Some((count, rest)) = multiscale_iteration(line) {
            iterations(count, major);
            self.log.iterations = count.max(before);
            major.final_peak_jy = rest.rsplit_once(" px : ").and_then(|(_, p)| flux(p));
            return Some(Progress::Peak { jy: major.final_peak_jy?.abs(), iterations: self.log.iterations });
        } else if let Some(rest) = line.strip_prefix("Stopped on peak ") {
            major.final_peak_jy = flux(rest);
            major.stop = reason(rest.split_once(", because ").map_or(rest, |(_, r)| r));
            // Also where a major iteration's own level, just above the threshold, was announced.
            major.level_is_final |= major.stop == Some(Stop::Threshold);
            let jy = major.final_peak_jy?.abs();
            return Some(Progress::Peak { jy, iterations: before });
        } else if let Some(rest) = line.strip_prefix("Cleaning finished because ") {
            major.stop = reason(rest);
        } else if line.starts_with("Minor loop finished, continuing")
            || line.starts_with("Auto-masking threshold reached")
        {
            // The level of the automask is not the end: it goes on inside its components.
            major.stop = Some(Stop::MinorLoop);
            major.level_is_final = false;
        }
        None
    }

    /// `Reordering: 0%....10%....20%`: the last number.
    fn progress_bar(&mut self, line: &str) -> Vec<Progress> {
        let stages = [
            ("Reordering: ", "reordering the visibilities"),
            ("Initializing model visibilities: ", "clearing the model visibilities"),
            ("Writing changed model back to ", "writing the model to the data"),
        ];
        let Some(&(_, stage)) = stages.iter().find(|(start, _)| line.starts_with(start)) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        let bar = line.rsplit_once(": ").map_or("", |(_, bar)| bar);
        let percent = bar.rsplit('.').find_map(|p| p.strip_suffix('%')).and_then(|p| p.parse().ok()).unwrap_or(0);
        if self.stage != Some(stage) || percent < self.fraction {
            (self.stage, self.fraction) = (Some(stage), 0);
            events.push(Progress::Stage(stage.to_owned()));
        }
        if percent > self.fraction {
            self.fraction = percent;
            events.push(Progress::Fraction(f64::from(percent.min(100)) / 100.0));
        }
        events
    }
}

fn reason(text: &str) -> Option<Stop> {
    if text.contains("minor-loop threshold") {
        Some(Stop::MinorLoop)
    } else if text.contains("number of iterations") {
        Some(Stop::Iterations)
    } else if text.contains("negative") {
        Some(Stop::Negative)
    } else {
        text.contains("threshold").then_some(Stop::Threshold)
    }
}

/// `Iteration 17, scale 0 px : 383.86 mJy at 206,223`, also after a countdown `(8) `.
fn multiscale_iteration(line: &str) -> Option<(u64, &str)> {
    let rest = line.split_once("Iteration ").filter(|(before, _)| before.is_empty() || before.starts_with('('))?.1;
    let (count, rest) = rest.split_once(", scale ")?;
    Some((count.parse().ok()?, rest))
}

/// A flux with its unit at the start of `text`, in Jy: `215.57 mJy`, `1 Jy at 3,4`, `292.9 µJy}`.
fn flux(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let value: f64 = words.next()?.parse().ok()?;
    let unit = words.next()?.trim_end_matches(|c: char| !c.is_alphabetic());
    let scale = match unit.strip_suffix("Jy")? {
        "" => 1.0,
        "k" | "K" => 1e3,
        "m" => 1e-3,
        "u" | "µ" | "μ" => 1e-6,
        "n" => 1e-9,
        "p" => 1e-12,
        _ => return None,
    };
    Some(value * scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Log of a real run (see tests/data/wsclean), fed line by line.
    fn read(name: &str) -> (RunLog, Vec<Progress>) {
        let path = format!("{}/tests/data/wsclean/{name}.log", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let mut reader = LogReader::default();
        let events = text.lines().flat_map(|l| reader.read(Output::Line(l))).collect();
        (reader.finish(), events)
    }

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 1e-12)
    }

    #[test]
    fn an_ordinary_run_with_automask() {
        let (log, events) = read("automask");
        assert_eq!((log.majors.len(), log.iterations, log.output_channels.as_slice()), (5, 5000, [4].as_slice()));
        let stops: Vec<_> = log.majors.iter().map(|m| m.stop).collect();
        let minor = Some(Stop::MinorLoop);
        assert_eq!(stops, [minor, minor, minor, minor, Some(Stop::Iterations)], "the automask's level is not the end");
        assert_eq!(log.majors.iter().map(|m| m.iterations).collect::<Vec<_>>(), [42, 217, 820, 1737, 2184]);
        assert!(close(log.majors[1].noise_jy, 4.94e-3) && close(log.majors[0].initial_peak_jy, 1.72));
        assert!(close(log.majors[0].level_jy, 344.92e-3) && close(log.majors[1].final_peak_jy, -68.5e-3));
        assert!(!log.no_peak && log.failure.is_none() && log.warnings.len() == 1);
        assert_eq!(log.warnings[0].kind, WarningKind::NoWeightSpectrum);
        let stages: Vec<_> =
            events.iter().filter_map(|e| if let Progress::Stage(s) = e { Some(&**s) } else { None }).collect();
        assert_eq!(
            stages[..6],
            [
                "reordering the visibilities",
                "clearing the model visibilities",
                "making the PSF",
                "making the image",
                "deconvolving (1)",
                "predicting the model"
            ]
        );
        assert_eq!(stages[stages.len() - 2..], ["restoring", "writing the model to the data"]);
    }

    #[test]
    fn joined_channels_and_a_local_rms() {
        let (log, _) = read("joined_localrms");
        assert_eq!(log.output_channels, [2, 2]);
        assert!(close(log.majors[0].noise_jy, 7.62e-3), "the lowest local rms counts");
        assert!(log.major_limit && log.iterations == 264);
    }

    #[test]
    fn multiscale() {
        let (log, _) = read("multiscale");
        assert_eq!(
            log.majors.iter().map(|m| m.stop).collect::<Vec<_>>(),
            [Some(Stop::MinorLoop), Some(Stop::MinorLoop), Some(Stop::Threshold)]
        );
        assert_eq!(log.iterations, 1041);
        assert!(log.majors[2].level_is_final && close(log.majors[2].level_jy, 22.03e-3));
        assert!(close(log.majors[0].initial_peak_jy, 1.95) && close(log.majors[0].final_peak_jy, 383.86e-3));
        assert_eq!(log.majors.iter().map(|m| m.iterations).sum::<u64>(), 1041);
    }

    #[test]
    fn an_empty_mask_and_a_mask_of_another_size() {
        let (log, _) = read("zero_mask");
        assert!(log.no_peak && log.failure.is_none() && log.iterations == 0);
        let (log, _) = read("wrong_mask");
        assert_eq!(
            log.failure.as_deref(),
            Some("Specified Fits file mask did not have same dimensions as output image!")
        );
    }

    #[rstest]
    #[case::the_threshold("the threshold was reached.", true)]
    #[case::a_major_iteration_s_own(
        "the minor-loop threshold was reached. Continuing cleaning after prediction.",
        false
    )]
    fn a_level_just_above_the_threshold_may_be_the_last(#[case] reason: &str, #[case] is_final: bool) {
        let mut reader = LogReader::default();
        let stopped = format!("Stopped on peak 2.64 mJy, because {reason}");
        for line in [" == Deconvolving (1) ==", "Next major iteration at: 2.67 mJy", &stopped] {
            reader.read(Output::Line(line));
        }
        assert_eq!(reader.finish().majors[0].level_is_final, is_final);
    }

    #[test]
    fn a_reason_of_several_lines_is_one_sentence() {
        let mut reader = LogReader::default();
        for line in
            ["+ + + +", "+ An exception occured:", "+ >>> Could not read", "+ the file.", "+ + + +", "Performed 3 x"]
        {
            reader.read(Output::Line(line));
        }
        assert_eq!(reader.finish().failure.as_deref(), Some("Could not read the file."));
    }

    #[test]
    fn progress_bars_grow() {
        let mut reader = LogReader::default();
        let mut bar = |text| reader.read(Output::Partial(text));
        assert_eq!(bar("Reordering: 0%.."), [Progress::Stage("reordering the visibilities".into())]);
        assert_eq!(bar("Reordering: 0%....10%..."), [Progress::Fraction(0.1)]);
        assert_eq!(bar("Reordering: 0%....10%....20"), []);
        assert_eq!(
            bar("Writing changed model back to a: b.ms: 0%....10%"),
            [Progress::Stage("writing the model to the data".into()), Progress::Fraction(0.1)]
        );
    }

    #[rstest]
    #[case("1.08 Jy at 590,606", Some(1.08))]
    #[case("215.5 mJy", Some(0.2155))]
    #[case("3 uJy", Some(3e-6))]
    #[case("292.5 µJy}", Some(2.925e-4))]
    #[case("7 nJy, because", Some(7e-9))]
    #[case("-2 KJy", Some(-2000.0))]
    #[case("5 furlongs", None)]
    #[case("many mJy", None)]
    fn fluxes(#[case] text: &str, #[case] expected: Option<f64>) {
        match (flux(text), expected) {
            (Some(a), Some(b)) => assert!((a - b).abs() <= b.abs() * 1e-12, "{a} {b}"),
            (a, b) => assert_eq!(a, b),
        }
    }
}
