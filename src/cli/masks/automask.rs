//! `cleanloop automask RESIDUAL`: one call is one major cycle.

use super::groups::{self, Group, GroupArgs, Grouped};
use crate::image::{Beam, FitsImage};
use crate::masking::multithresh::{
    CycleInputs, CycleSummary, GroupFound, GroupedCycle, MultithreshOptions, Preset, StateFolder, run_cycle, run_group,
};
use crate::{Error, ExitStatus, Result};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, FromArgMatches};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Flags that turn off what is on by default.
const NEGATIONS: [(&str, &str); 2] = [("dogrowprune", "no-dogrowprune"), ("fastnoise", "no-fastnoise")];

/// Arguments of `automask`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The residual just made: a FITS image or cube.
    pub residual: PathBuf,

    /// State folder: made at the first call, replaced at the end of each.
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,

    /// Where the mask is written (FITS, uint8, 1 where cleaning is allowed).
    #[arg(long, short, value_name = "MASK")]
    pub output: PathBuf,

    /// The PSF, for its sidelobe level; needed at the first call unless --sidelobe-level is given.
    #[arg(long)]
    pub psf: Option<PathBuf>,

    /// Sidelobe level of the PSF, if known.
    #[arg(long, value_name = "LEVEL")]
    pub sidelobe_level: Option<f32>,

    /// Primary beam, used with --pbmask.
    #[arg(long)]
    pub pb: Option<PathBuf>,

    /// Valid pixels: those that are neither 0 nor NaN. Pixels of the residual that are NaN are never valid.
    #[arg(long, value_name = "IMAGE")]
    pub pixelmask: Option<PathBuf>,

    /// Mask to start from at the first call.
    #[arg(long, value_name = "IMAGE")]
    pub initial_mask: Option<PathBuf>,

    /// Common restoring beam, instead of the residual's. Widths are in arcsec and the angle in degrees unless they
    /// have a unit (mas, arcsec, arcmin, deg, rad).
    #[arg(long, value_name = "BMAJ,BMIN,BPA", value_parser = parse_beam, allow_hyphen_values = true)]
    pub beam: Option<Beam>,

    /// The minor cycle before this call reached the user's cleaning threshold.
    #[arg(long)]
    pub threshold_reached: bool,

    /// Minor-cycle iterations so far; only whether it is 0 matters [default: 0 at the first call, then counted on].
    #[arg(long, value_name = "N")]
    pub iterdone: Option<u64>,

    /// Print what was found as JSON instead of a table.
    #[arg(long)]
    pub json: bool,

    /// Forget the state first: this is the first call of a new run.
    #[arg(long)]
    pub reset: bool,

    #[command(flatten)]
    pub parameters: Parameters,

    #[command(flatten)]
    pub groups: GroupArgs,
}

/// tclean's parameters, or a preset of them of which single ones may be replaced.
#[derive(Debug)]
pub struct Parameters {
    /// The resulting options.
    pub options: MultithreshOptions,
}

impl clap::Args for Parameters {
    fn augment_args(command: clap::Command) -> clap::Command {
        let mut command = MultithreshOptions::augment_args(command).arg(
            Arg::new("preset")
                .long("preset")
                .value_name("NAME")
                .value_parser(clap::value_parser!(Preset))
                .help("An observatory's parameter set; flags given besides it replace single parameters"),
        );
        for (name, negation) in NEGATIONS {
            command = command.mut_arg(name, |arg| arg.overrides_with(negation)).arg(
                Arg::new(negation)
                    .long(negation)
                    .action(ArgAction::SetTrue)
                    .overrides_with(name)
                    .help(format!("The same as --{name}=false")),
            );
        }
        command
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Parameters {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = MultithreshOptions::from_arg_matches(matches)?;
        if let Some(preset) = matches.get_one::<Preset>("preset") {
            // The struct's field names are the arguments' names: what was typed replaces the preset's value.
            let typed = serde_json::to_value(&options).map_err(internal)?;
            let typed = typed
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(key, _)| matches.value_source(key) == Some(ValueSource::CommandLine))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            options = preset.options().with_overrides(&typed).map_err(internal)?;
        }
        for (name, negation) in NEGATIONS {
            if matches.get_flag(negation) {
                match name {
                    "dogrowprune" => options.dogrowprune = false,
                    _ => options.fastnoise = false,
                }
            }
        }
        Ok(Self { options })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn internal(error: serde_json::Error) -> clap::Error {
    clap::Error::raw(clap::error::ErrorKind::Format, error)
}

/// `1.2,0.8,30` or `1.2arcsec,800mas,30deg`.
fn parse_beam(text: &str) -> Result<Beam, String> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let [major, minor, angle] = fields[..] else {
        return Err(format!("expected three values, bmaj,bmin,bpa, but found {}", fields.len()));
    };
    let beam = Beam {
        major_deg: parse_angle(major, 1.0 / 3600.0)?,
        minor_deg: parse_angle(minor, 1.0 / 3600.0)?,
        pa_deg: parse_angle(angle, 1.0)?,
    };
    if !(beam.minor_deg > 0.0 && beam.major_deg >= beam.minor_deg) {
        return Err("expected bmaj >= bmin > 0".into());
    }
    Ok(beam)
}

/// An angle in degrees; `bare` is the value of a number without unit.
fn parse_angle(text: &str, bare: f64) -> Result<f64, String> {
    let unit_at = text.find(|c: char| c.is_alphabetic() && c != 'e' && c != 'E').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit.trim() {
        "" => bare,
        "mas" => 1e-3 / 3600.0,
        "arcsec" => 1.0 / 3600.0,
        "arcmin" => 1.0 / 60.0,
        "deg" => 1.0,
        "rad" => 1f64.to_degrees(),
        other => return Err(format!("{other:?} is not a unit of angle; expected mas, arcsec, arcmin, deg or rad")),
    };
    let value: f64 = number.trim().parse().map_err(|_| format!("{text:?} is not a number"))?;
    if value.is_finite() { Ok(value * scale) } else { Err(format!("{text:?} is not finite")) }
}

/// One major cycle; prints its summary.
///
/// # Errors
/// Those of [`run_cycle`].
pub(crate) fn run(args: Args) -> Result<ExitStatus> {
    args.groups.check()?;
    if args.reset && args.groups.of_job().is_none() {
        StateFolder::reset(&args.state).map_err(Error::from)?;
    }
    let inputs = inputs_of(&args);
    let options = &args.parameters.options;
    let summary = match (args.groups.of_job(), args.groups.channels_per_job) {
        (Some(job), _) => {
            let channels = FitsImage::open(&args.residual)?.channels();
            groups::run_job(&args.groups, job, channels, &|group| group_of(&args, &inputs, group))?;
            return Ok(ExitStatus::Done);
        }
        (None, Some(_)) => in_groups(&args, &inputs)?,
        (None, None) => run_cycle(&inputs, options, &args.state, &args.output)?,
    };
    for warning in &summary.warnings {
        eprintln!("warning: {warning}");
    }
    let text = if args.json {
        serde_json::to_string_pretty(&summary).map_err(Error::internal)? + "\n"
    } else {
        table(&summary)
    };
    print!("{text}");
    Ok(ExitStatus::Done)
}

fn inputs_of(args: &Args) -> CycleInputs {
    CycleInputs {
        residual: args.residual.clone(),
        psf: args.psf.clone(),
        sidelobe_level: args.sidelobe_level,
        pb: args.pb.clone(),
        pixelmask: args.pixelmask.clone(),
        initial_mask: args.initial_mask.clone(),
        beam: args.beam,
        threshold_reached: args.threshold_reached,
        iterdone: args.iterdone,
        cycle: None,
        channels: Vec::new(),
    }
}

/// The channels of one group.
fn group_of(args: &Args, inputs: &CycleInputs, group: &Group) -> Result<GroupFound> {
    Ok(run_group(inputs, &args.parameters.options, &args.state, group.channels.clone(), &group.path)?)
}

/// All channels in groups, whose parts are kept in the state folder until the call is done.
fn in_groups(args: &Args, inputs: &CycleInputs) -> Result<CycleSummary> {
    let call = GroupedCycle::begin(inputs, &args.parameters.options, &args.state)?;
    let companions = [&args.psf, &args.pb, &args.pixelmask, &args.initial_mask];
    let files: Vec<&Path> = companions.into_iter().flatten().chain([&args.residual]).map(PathBuf::as_path).collect();
    // The level is measured once.
    let inputs = CycleInputs { sidelobe_level: Some(call.sidelobe_level()), ..inputs.clone() };
    let extra = match args.sidelobe_level {
        None => vec!["--sidelobe-level".to_string(), call.sidelobe_level().to_string()],
        Some(_) => Vec::new(),
    };
    let work = format!("{inputs:?} {:?} {}", args.parameters.options, call.calls_before());
    let root = args.state.join("groups");
    let grouped = Grouped::of(&args.groups, root, call.channels(), &work, &files)?;
    let parts = grouped.run("automask", &extra, &|group| group_of(args, &inputs, group))?;
    let parts = parts.into_iter().map(|(group, found)| (group.path, found)).collect();
    let summary = call.finish(parts, &args.output)?;
    grouped.remove();
    Ok(summary)
}

/// CASA's verbose summary as a table.
fn table(summary: &CycleSummary) -> String {
    let mut text = String::new();
    let [major, minor, angle] = summary.beam_arcsec;
    let _ = writeln!(
        text,
        "call {}, beam {major:.6}\" x {minor:.6}\" at {angle:.3} deg ({:.4} pixels), sidelobe level {:.6}, \
         regions below {:.4} pixels are pruned",
        summary.cycle, summary.beam_pixels, summary.sidelobe_level, summary.prune_pixels
    );
    let _ = writeln!(
        text,
        "{:>7} {:>7} {:>12} {:>12} {:>12} {:>9} {:>12} {:>7} {:>7} {:>7} {:>7} {:>8} {:>9}",
        "channel",
        "masking",
        "median",
        "rms",
        "peak",
        "limit",
        "threshold",
        "regions",
        "pruned",
        "grown",
        "pruned",
        "negative",
        "pixels"
    );
    // CASA prints no statistics of a plane that is left alone.
    let number = |v: Option<f64>, skip: bool| v.filter(|_| !skip).map_or("--".into(), |v| format!("{v:.5e}"));
    for plane in &summary.planes {
        let _ = writeln!(
            text,
            "{:>7} {:>7} {:>12} {:>12} {:>12} {:>9} {:>12} {:>7} {:>7} {:>7} {:>7} {:>8} {:>9}",
            plane.channel,
            if plane.masking { "yes" } else { "no" },
            number(plane.median, plane.skip),
            number(plane.rms, plane.skip),
            number(Some(f64::from(plane.peak)), false),
            plane.thresh_type,
            number(plane.thresh_value.map(f64::from), plane.skip),
            plane.n_reg,
            plane.n_pruned,
            plane.n_grow,
            plane.n_grow_pruned,
            plane.n_neg_pix,
            plane.mask_pixels
        );
    }
    let skipped = summary.planes.iter().filter(|p| p.skip).count();
    let _ = writeln!(
        text,
        "{} pixels masked, {skipped} of {} channels are left alone from now on",
        summary.mask_pixels,
        summary.planes.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn options(flags: &[&str]) -> MultithreshOptions {
        let line = ["automask", "r.fits", "--state", "s", "--output", "m.fits"].iter().chain(flags);
        Line::try_parse_from(line).unwrap().args.parameters.options
    }

    #[test]
    fn both_spellings_of_switches() {
        let default = MultithreshOptions::default();
        assert_eq!(options(&[]), default);
        assert_eq!(options(&["--dogrowprune", "--fastnoise"]), default);
        let off = options(&["--no-dogrowprune", "--no-fastnoise"]);
        assert!(!off.dogrowprune && !off.fastnoise);
        assert!(!options(&["--fastnoise=false"]).fastnoise);
        // The last one counts.
        assert!(options(&["--no-fastnoise", "--fastnoise"]).fastnoise);
        assert!(!options(&["--fastnoise", "--no-fastnoise"]).fastnoise);
    }

    #[test]
    fn flags_replace_parts_of_a_preset() {
        assert_eq!(options(&["--preset", "alma-7m"]), Preset::Alma7m.options());
        let mixed =
            options(&["--preset", "alma-7m", "--noisethreshold", "5.0", "--minpercentchange", "-1", "--fastnoise"]);
        let expected = MultithreshOptions {
            noisethreshold: 5.0,
            minpercentchange: -1.0,
            fastnoise: true,
            ..Preset::Alma7m.options()
        };
        assert_eq!(mixed, expected);
        assert!(!options(&["--preset", "vla", "--no-fastnoise"]).fastnoise);
    }

    #[test]
    fn beams_have_units_or_the_usual_ones() {
        let expected = Beam { major_deg: 1.5 / 3600.0, minor_deg: 0.5 / 3600.0, pa_deg: -30.0 };
        for text in ["1.5,0.5,-30", "1.5arcsec, 500mas, -30deg", "0.025arcmin,5e-1,-30"] {
            let beam = parse_beam(text).unwrap();
            assert!((beam.major_deg - expected.major_deg).abs() < 1e-15, "{text}");
            assert!((beam.minor_deg - expected.minor_deg).abs() < 1e-15, "{text}");
            assert_eq!(beam.pa_deg, expected.pa_deg, "{text}");
        }
        for (text, words) in [
            ("1,2", "expected three values"),
            ("1,2,0", "bmaj >= bmin"),
            ("1furlong,1,0", "\"furlong\" is not a unit"),
            ("x,1,0", "is not a unit"),
            ("1,,0", "is not a number"),
        ] {
            let error = parse_beam(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
