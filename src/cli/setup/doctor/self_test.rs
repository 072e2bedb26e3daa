//! Each program tried on a small simulated measurement set: the versions may be right and the program still not work.

use super::check::{Check, Health, Trial};
use super::programs::{AREA, WSCLEAN};
use crate::calibrator::options::GaincalOptions;
use crate::calibrator::{Calibrator, CasaCalibrator, QuarticalCalibrator, SolveRequest};
use crate::image::FitsImage;
use crate::imager::wsclean::INSTALL_HINT;
use crate::process::{Limits, Program};
use crate::programs::casa::Casa;
use crate::programs::casa::requests::{FillModel, Simulate};
use crate::programs::dp3::Dp3;
use crate::programs::setup::Kind;
use crate::{Error, Result};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest time of one trial; on two busy cores QuartiCal, which compiles itself first, took 73 s.
const LIMIT: Duration = Duration::from_secs(600);
/// Antennas and seconds of the measurement set: the least that gains can be solved on with some certainty.
const ANTENNAS: u32 = 9;
const DURATION_S: f64 = 300.0;
/// The field's sky, west and east of its centre, as two facets.
const TWO_FACETS: &str =
    "global\nfk5\npolygon(179,39,180,39,180,41,179,41)\npolygon(-180,39,-179,39,-179,41,-180,41)\n";
/// Images of the same calls differ by less than this part of the brightest pixel.
const SAME: f32 = 1e-3;

/// Tries what was found, in the order of `checks`; `say` gets a line for each. The files of the trials are removed unless
/// one failed.
///
/// # Errors
/// An interruption. A program that fails is part of its check.
pub(super) fn try_all(checks: &mut [Check], say: &mut dyn FnMut(&str)) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("cleanloop-doctor-").tempdir().map_err(Error::internal)?;
    let bench = Bench { folder: folder.path().to_path_buf() };
    bench.try_each(checks, say)?;
    if checks.iter().any(|check| check.area == AREA && check.trial.as_ref().is_some_and(|t| t.error.is_some())) {
        say(&format!("the files of the trials are kept: {}", folder.keep().display()));
    }
    Ok(())
}

/// The folder of the trials.
struct Bench {
    folder: PathBuf,
}

impl Bench {
    fn try_each(&self, checks: &mut [Check], say: &mut dyn FnMut(&str)) -> Result<()> {
        let is_casa = |check: &Check| check.name == Kind::Casa.name() && check.health == Health::Good;
        let Some(casa) = checks.iter_mut().find(|check| is_casa(check)) else {
            return Ok(());
        };
        say("trying casa");
        attempt(casa, "simulates a measurement set, calibrates", &|| self.casa())?;
        if casa.health == Health::Failed {
            return Ok(());
        }
        for check in checks.iter_mut().filter(|check| check.area == AREA && check.health == Health::Good) {
            let (what, trial): (_, &dyn Fn() -> Result<()>) = match check.name.as_str() {
                WSCLEAN => ("images it", &|| self.wsclean()),
                name if name == Kind::Quartical.name() => ("calibrates it", &|| self.quartical()),
                name if name == Kind::Dp3.name() => ("copies it", &|| self.dp3()),
                name if name == Kind::Mpi.name() => ("starts two processes of CASA", &|| self.mpi()),
                _ => continue,
            };
            say(&format!("trying {}", check.name));
            attempt(check, what, trial)?;
            if check.name == WSCLEAN && check.health == Health::Good {
                check.about = format!("{}\n{}", check.about, self.facets()?);
            }
        }
        Ok(())
    }

    fn set(&self) -> PathBuf {
        self.folder.join("field.ms")
    }

    fn limits() -> Limits {
        Limits { time: Some(LIMIT), ..Limits::default() }
    }

    fn worker(processes: Option<usize>) -> Result<Casa> {
        let casa = Casa::open_with(&[], processes, None)?;
        casa.set_limits(Self::limits());
        Ok(casa)
    }

    fn program(&self, words: &[&str], log: &str) -> Program {
        let mut program = Program::new(words.iter().map(|word| (*word).to_owned()).collect(), self.folder.join(log));
        program.folder = Some(self.folder.clone());
        program.limits = Self::limits();
        program
    }

    fn casa(&self) -> Result<()> {
        let casa = Self::worker(None)?;
        let simulated = casa.ask(&self.simulation("field"), None)?;
        casa.ask(&FillModel { ms: simulated.measurement_set, sky: simulated.sky }, None)?;
        self.solve(&mut CasaCalibrator::new(casa, vec![GaincalOptions::default()])?, "gaincal")
    }

    fn simulation(&self, name: &str) -> Simulate {
        Simulate {
            output: self.folder.clone(),
            name: name.into(),
            antennas: Some(ANTENNAS),
            duration_s: Some(DURATION_S),
            ..Simulate::default()
        }
    }

    fn quartical(&self) -> Result<()> {
        let chain = vec![GaincalOptions::default()];
        let casa = Self::worker(None)?;
        self.solve(&mut QuarticalCalibrator::new(Vec::new(), chain, casa, Self::limits())?, "quartical")
    }

    fn solve(&self, calibrator: &mut dyn Calibrator, name: &str) -> Result<()> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(Error::internal)?;
        let request = SolveRequest {
            measurement_set: self.set(),
            log: self.folder.join(format!("{name}.log")),
            folder,
            round: 1,
            reference_antenna: None,
            threads: 1,
            together: false,
        };
        let tables = calibrator.solve_all(&request)?;
        calibrator.inspect(&tables)?;
        Ok(())
    }

    fn wsclean(&self) -> Result<()> {
        self.image("image", &["-niter", "10", "-no-update-model-required"])
    }

    /// Images the measurement set with these options.
    fn image(&self, name: &str, options: &[&str]) -> Result<()> {
        let set = self.set().to_string_lossy().into_owned();
        let size = ["wsclean", "-j", "1", "-size", "128", "128", "-scale", "5asec"];
        let words = [&size[..], options, &["-name", name, &set]].concat();
        self.program(&words, &format!("wsclean-{name}.log")).run(&mut |_| {})?;
        is_there(&self.residual(name).with_file_name(format!("{name}-image.fits")))
    }

    fn residual(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}-residual.fits"))
    }

    /// Whether this wsclean can be called cycle by cycle with facets, in words: it goes on from its own dirty image and PSF
    /// and makes the same image. 3.1 ends with a segmentation fault, or with other pixels and exit status 0.
    fn facets(&self) -> Result<String> {
        std::fs::write(self.folder.join("facets.reg"), TWO_FACETS).map_err(Error::internal)?;
        let options = ["-niter", "500", "-mgain", "0.7", "-use-wgridder", "-facet-regions", "facets.reg"];
        if let Some(error) = failure(self.image("whole", &options))? {
            return Ok(format!("facets: it cannot image by direction ({error})"));
        }
        let again = [&options[..], &["-reuse-psf", "whole", "-reuse-dirty", "whole"]].concat();
        let why = match failure(self.image("again", &again))? {
            Some(error) => Some(error),
            None if self.same_residuals("whole", "again")? => None,
            None => Some("it makes another image".to_owned()),
        };
        Ok(why.map_or_else(
            || "facets: it goes on from its own dirty image".to_owned(),
            |why| {
                format!(
                    "facets: rounds by direction are whole runs, as it does not go on from its own dirty image ({why})"
                )
            },
        ))
    }

    fn same_residuals(&self, one: &str, other: &str) -> Result<bool> {
        let read = |name: &str| FitsImage::open(self.residual(name))?.read_plane(0, 0);
        let (one, other) = (read(one)?, read(other)?);
        let peak = one.iter().fold(0f32, |peak, v| peak.max(v.abs()));
        Ok(one.iter().zip(&other).all(|(a, b)| (a - b).abs() <= SAME * peak))
    }

    fn dp3(&self) -> Result<()> {
        // DP3 takes only data with all four correlations.
        let request = Simulate { stokes: Some("RR RL LR LL".into()), ..self.simulation("four") };
        let set = Self::worker(None)?.ask(&request, None)?.measurement_set;
        let copy = self.folder.join("copy.ms");
        let settings = [format!("msin={}", set.display()), format!("msout={}", copy.display()), "steps=[]".into()];
        Dp3::of_setup()?.run_limited(&settings, Self::limits(), &self.folder.join("dp3.log"))?;
        is_there(&copy)
    }

    fn mpi(&self) -> Result<()> {
        Self::worker(Some(2))?.version().map(drop)
    }
}

fn attempt(check: &mut Check, what: &'static str, trial: &dyn Fn() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    let error = match trial() {
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        other => other.err().map(|error| error.to_string()),
    };
    if error.is_some() {
        check.health = Health::Failed;
        check.remedy = Some(match check.name.as_str() {
            WSCLEAN => format!("run `wsclean --version`; if that works, please report this; else {INSTALL_HINT}"),
            name => format!("remove {}, and make it again: cleanloop setup {name}", check.about),
        });
    }
    check.trial = Some(Trial { what, seconds: started.elapsed().as_secs_f64(), error });
    Ok(())
}

/// Why something failed; `None`: it did not.
fn failure(result: Result<()>) -> Result<Option<String>> {
    match result {
        Ok(()) => Ok(None),
        Err(Error::Interrupted) => Err(Error::Interrupted),
        Err(error) => Ok(Some(error.to_string().lines().next().unwrap_or_default().to_owned())),
    }
}

fn is_there(path: &Path) -> Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.exists() { Ok(()) } else { Err(Error::external(format!("it ended well and wrote no {name}"))) }
}
