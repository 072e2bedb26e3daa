//! Gains by direction: facets around bright sources, solved together by DP3 (ddecal), for an imager that applies them.
//!
//! Source: DP3 6.6.0, <https://dp3.readthedocs.io/en/latest/steps/DDECal.html>; what its and wsclean's files must look like
//! was tried with DP3 6.6.0 and wsclean 3.1 (docs/direction-dependent.md).
//!
//! | file | holds |
//! |---|---|
//! | `layout` | directions, regions and sky model, from the last accepted image |
//! | `regions`, `sky` | their texts |
//! | `ddecal` | DP3's settings |
//! | `gains` | the solutions: mended, measured, put back |

mod ddecal;
mod gains;
mod layout;
pub mod options;
mod regions;
mod sky;

pub(crate) use gains::put_back;
pub use gains::{DirectionGains, FacetGains};
pub use layout::FacetSource;
pub(crate) use layout::unresolved;

use crate::imager::FacetFiles;
use crate::measurement_set::MsSummary;
use crate::process::Limits;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::FourCorrelations;
use crate::programs::dp3::Dp3;
use crate::util::fs;
use crate::{Error, Result};
use options::FacetOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Name of the region file.
const FACETS: &str = "facets.reg";
/// Name of the sky model; DP3 reads texts that end so.
const SKY: &str = "sky.txt";
/// Correlations that DP3 takes.
const CORRELATIONS: usize = 4;

/// Why there are no facets.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FacetError {
    /// Fewer than two directions.
    #[error(
        "fewer than two sources are bright enough to be directions (a flux of {flux_jy:.2} Jy in the facet: a \
         signal-to-noise ratio of {minsnr} in {}): lengthen `facets.solint`, or lower `facets.minsnr` (below 5 \
         solutions are worse than none)",
        if *longest == 1 { "one interval".to_owned() } else { format!("{longest} intervals") }
    )]
    TooFew {
        /// The smallest S/N.
        minsnr: f64,
        /// The flux that it takes, Jy.
        flux_jy: f64,
        /// The longest interval that a direction may have, in intervals.
        longest: u32,
    },
    /// A file of directions cannot be used.
    #[error("{}: {reason}", path.display())]
    Directions {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A direction of a file has no place on the image.
    #[error("{}: a direction has no place in the image's projection", path.display())]
    Outside {
        /// The file.
        path: PathBuf,
    },
    /// A corner of the image has no place on the sky.
    #[error("pixel {x:.0}, {y:.0} has no place on the sky: facets need an image within one projection")]
    BeyondProjection {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
    },
    /// Data that DP3 or wsclean cannot solve or image by direction.
    #[error("{}: {reason}", ms.display())]
    Data {
        /// The measurement set.
        ms: PathBuf,
        /// What they have, and what was expected.
        reason: String,
    },
    /// The solutions are gone or unreadable.
    #[error("{}: {reason}: solve this round again", path.display())]
    Solutions {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

impl From<FacetError> for Error {
    fn from(e: FacetError) -> Self {
        Self::bad_input(e)
    }
}

/// A direction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FacetDirection {
    /// Its name, `Dir0` for the first, or `Dir00` where there are more than ten.
    pub name: String,
    /// Right ascension, degrees.
    pub ra_deg: f64,
    /// Declination, degrees.
    pub dec_deg: f64,
    /// Its pixel on the image that it was chosen on, x and y from 0.
    pub pixel: [f64; 2],
    /// Flux of the model in its facet, Jy.
    pub flux_jy: f64,
    /// Components of the model in its facet.
    pub components: usize,
    /// Expected signal-to-noise ratio of an antenna's solution in its interval, the smallest of all measurement sets.
    pub snr: f64,
    /// Its interval, in those of the round: 2, 4, 8 ... for one that is too faint for `solint`.
    #[serde(default = "one")]
    pub intervals: u32,
    /// Corners of its facet on that image, x and y from 0.
    pub corners: Vec<[f64; 2]>,
}

/// All directions of earlier versions had the round's interval.
fn one() -> u32 {
    1
}

impl FacetDirection {
    /// A direction of this name and nothing else.
    #[cfg(test)]
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// A measurement set to be solved.
#[derive(Debug, Clone, Copy)]
pub struct FacetData<'a> {
    /// The measurement set.
    pub measurement_set: &'a Path,
    /// The column that is solved on: the last accepted tables are applied in it.
    pub column: &'a str,
    /// What is in it.
    pub summary: &'a MsSummary,
}

/// The facets of a round with their solutions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FacetSolution {
    /// What an imager takes.
    pub files: FacetFiles,
    /// The model that was solved against.
    pub sky: PathBuf,
    /// The directions, the brightest source first.
    pub directions: Vec<FacetDirection>,
    /// Sources that would be directions, but are too faint: they belong to their neighbours' facets.
    pub too_faint: usize,
    /// JSON files of [`FacetGains`], one for each measurement set.
    pub gains: Vec<PathBuf>,
    /// The command lines that were run.
    pub commands: Vec<Vec<String>>,
    /// Why nothing was solved: fewer than two directions are bright enough. `None`: it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl FacetSolution {
    /// All its files are there.
    pub fn is_there(&self) -> bool {
        self.refused.is_some()
            || self
                .files
                .all()
                .chain([self.sky.as_path()])
                .chain(self.gains.iter().map(PathBuf::as_path))
                .all(Path::exists)
    }
}

/// Noise of an antenna's solution in one interval, Jy: a source of this flux has a signal-to-noise ratio of 1.
///
/// It is noise of a visibility / sqrt((antennas - 1) channels 2 integrations of an interval); with the noise of an image of
/// all data (naturally weighted) as `image_noise_jy` that is image noise * sqrt(antennas * time / (2 interval)). Measured
/// on simulated fields: the error of a phase is 70 degrees over this ratio.
#[must_use]
pub fn noise_of_interval(summary: &MsSummary, image_noise_jy: f64, interval_s: f64) -> f64 {
    let antennas = summary.antennas.iter().filter(|a| a.has_data && a.unflagged_fraction > 0.0).count();
    #[allow(clippy::cast_precision_loss)] // Small numbers.
    let (antennas, time) = (antennas.max(2) as f64, summary.integrations.max(1) as f64 * summary.integration_s);
    image_noise_jy * (antennas * time / (2.0 * interval_s.clamp(summary.integration_s, time))).sqrt()
}

/// Counts the directions that a round would have with another noise of an antenna's solution, Jy, all with the same interval;
/// the files are read once.
///
/// # Errors
/// Files that cannot be read; directions without a place on the image.
pub(crate) fn directions_by_noise(source: &FacetSource<'_>, options: &FacetOptions) -> Result<impl Fn(f64) -> usize> {
    let (model, options) = (layout::Model::read(source, options)?, options.clone());
    Ok(move |noise_jy| model.choice(&options, noise_jy).directions.len())
}

/// Solves for gains by direction.
pub struct FacetSolver<'a> {
    /// DP3.
    pub(crate) dp3: Dp3,
    /// Makes copies with four correlations and one spectral window.
    pub casa: &'a Casa,
    /// Limits of DP3's time and silence.
    pub limits: Limits,
    /// Threads that DP3 may use.
    pub threads: usize,
}

impl FacetSolver<'_> {
    /// Chooses the directions, and solves for the gains of each measurement set, which are written to `folder`. With fewer
    /// than two directions nothing is solved.
    ///
    /// # Errors
    /// Data that DP3 does not take, DP3's failure.
    pub fn solve(
        &self,
        source: &FacetSource<'_>,
        data: &[FacetData<'_>],
        options: &FacetOptions,
        (folder, log): (&Path, &Path),
    ) -> Result<FacetSolution> {
        check(data.iter().map(|set| (set.measurement_set, set.summary)))?;
        let longest = |set: &FacetData<'_>| options.longest_of(set.summary.integrations, set.summary.integration_s);
        let longest = data.iter().map(longest).min().unwrap_or(1);
        let mut solution = match layout::make(source, (options, longest), folder)? {
            Ok(layout) => FacetSolution {
                files: FacetFiles { regions: layout.regions, solutions: Vec::new(), terms: options.terms() },
                sky: layout.sky,
                directions: layout.directions,
                too_faint: layout.too_faint,
                ..FacetSolution::default()
            },
            Err(few) => return Ok(FacetSolution { refused: Some(few.to_string()), ..FacetSolution::default() }),
        };
        let intervals: Vec<u32> = solution.directions.iter().map(|direction| direction.intervals).collect();
        for (number, set) in data.iter().enumerate() {
            let place = (number, data.len());
            let (solutions, gains) = (numbered(folder, "solutions.h5", place), numbered(folder, "gains.json", place));
            let words = self.solve_one(set, (options, &intervals), (&solution.sky, &solutions), log)?;
            gains::mend(&self.dp3, (&solutions, &gains), options.amplitude_average_s(), &intervals, log)?;
            solution.files.solutions.push(solutions);
            solution.gains.push(gains);
            solution.commands.push(words);
        }
        Ok(solution)
    }

    /// Solves for the gains of one measurement set.
    fn solve_one(
        &self,
        set: &FacetData<'_>,
        (options, intervals): (&FacetOptions, &[u32]),
        (sky, solutions): (&Path, &Path),
        log: &Path,
    ) -> Result<Vec<String>> {
        let wide = solutions.with_extension("ms");
        fs::remove(&wide)?;
        let as_it_is = set.summary.correlation_types.len() == CORRELATIONS && set.summary.spectral_windows.len() == 1;
        if !as_it_is {
            let (ms, output) = (set.measurement_set.to_path_buf(), wide.clone());
            let column = set.column.to_owned();
            self.casa.ask(&FourCorrelations { ms, column, output }, Some(log))?;
        }
        let input = if as_it_is { (set.measurement_set, set.column) } else { (wide.as_path(), "DATA") };
        let files = ddecal::Files { input, sky, solutions };
        let times = ddecal::Times { integration_s: set.summary.integration_s, intervals };
        let settings = ddecal::settings(options, &files, Some(times), self.threads);
        let ran = self.dp3.run_limited(&settings, self.limits, log);
        fs::remove(&wide)?;
        ran?;
        Ok(std::iter::once("DP3".to_owned()).chain(settings).collect())
    }
}

/// A file of one of several measurement sets.
fn numbered(folder: &Path, name: &str, (number, of): (usize, usize)) -> PathBuf {
    match name.split_once('.') {
        Some((base, end)) if of > 1 => folder.join(format!("{base}-{}.{end}", number + 1)),
        _ => folder.join(name),
    }
}

/// A round's calls of DP3 before anything is known of the data, and the files that its imaging takes.
pub(crate) fn preview(
    measurement_sets: &[PathBuf],
    column: &str,
    options: &FacetOptions,
    (folder, threads): (&Path, usize),
) -> (Vec<Vec<String>>, FacetFiles) {
    let count = measurement_sets.len();
    let solutions: Vec<PathBuf> = (0..count).map(|n| numbered(folder, "solutions.h5", (n, count))).collect();
    let sky = folder.join(SKY);
    let line = |(set, solutions): (&PathBuf, &PathBuf)| {
        let files = ddecal::Files { input: (set, column), sky: &sky, solutions };
        std::iter::once("DP3".to_owned()).chain(ddecal::settings(options, &files, None, threads)).collect()
    };
    let lines = measurement_sets.iter().zip(&solutions).map(line).collect();
    (lines, FacetFiles { regions: folder.join(FACETS), solutions, terms: options.terms() })
}

/// Refuses data that cannot be solved or imaged by direction together.
pub(crate) fn check<'a>(sets: impl ExactSizeIterator<Item = (&'a Path, &'a MsSummary)>) -> Result<(), FacetError> {
    let count = sets.len();
    for (ms, summary) in sets {
        let refuse = |reason: String| Err(FacetError::Data { ms: ms.to_path_buf(), reason });
        let mut types = summary.correlation_types.clone();
        types.sort_unstable();
        if ![&[5, 8][..], &[9, 12], &[5, 6, 7, 8], &[9, 10, 11, 12]].contains(&types.as_slice()) {
            return refuse(format!(
                "its correlations are {types:?} (casacore's numbers); direction-dependent rounds take both parallel hands, \
                 or all four correlations"
            ));
        }
        // wsclean 3.1 counts windows where it should count measurement sets, and looks for a file that it was not given.
        let windows = summary.spectral_windows.len();
        if count > 1 && windows > 1 {
            return refuse(format!(
                "it has {windows} spectral windows: wsclean images several measurement sets by direction only if each has \
                 one; select one with `spw`, join them with CASA's mstransform (`combinespws`), or image the measurement \
                 sets by themselves"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement_set::{Antenna, SpectralWindow};

    fn summary(correlation_types: &[i32]) -> MsSummary {
        let antenna = |n: usize| Antenna {
            name: n.to_string(),
            position_m: [0.0; 3],
            diameter_m: 25.0,
            distance_m: 0.0,
            unflagged_fraction: 1.0,
            has_data: true,
        };
        let window = SpectralWindow { name: String::new(), frequencies_hz: vec![1.4e9; 4], channel_width_hz: 8e6 };
        MsSummary {
            antennas: (0..27).map(antenna).collect(),
            spectral_windows: vec![window],
            correlation_types: correlation_types.to_vec(),
            integrations: 240,
            integration_s: 30.0,
            ..MsSummary::default()
        }
    }

    #[test]
    fn the_noise_of_an_interval_is_that_of_its_visibilities() {
        let set = summary(&[5, 8]);
        let visibilities: f64 = 27.0 * 26.0 / 2.0 * 4.0 * 2.0 * 240.0;
        let image = 0.15 / visibilities.sqrt();
        let expected = |integrations: f64| 0.15 / (26.0f64 * 4.0 * 2.0 * integrations).sqrt();
        assert!((noise_of_interval(&set, image, 60.0) - expected(2.0)).abs() < 1e-9);
        assert!((noise_of_interval(&set, image, 1.0) - expected(1.0)).abs() < 1e-9, "an integration is the shortest");
        assert!((noise_of_interval(&set, image, 1e9) - expected(240.0)).abs() < 1e-9, "all of it the longest");
    }

    #[test]
    fn data_that_cannot_be_solved_by_direction_are_refused() {
        let said = |types: &[i32], windows: usize, sets: usize| {
            let mut summary = summary(types);
            summary.spectral_windows = vec![summary.spectral_windows[0].clone(); windows];
            check(vec![(Path::new("a.ms"), &summary); sets].into_iter()).map_err(|e| e.to_string())
        };
        assert_eq!((said(&[5, 8], 1, 2), said(&[9, 10, 11, 12], 4, 1)), (Ok(()), Ok(())));
        assert!(said(&[5], 1, 1).unwrap_err().contains("a.ms: its correlations are [5]"));
        assert!(said(&[5, 8], 4, 2).unwrap_err().contains("a.ms: it has 4 spectral windows"));
    }
}
