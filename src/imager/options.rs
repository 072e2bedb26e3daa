//! One enum of the options of all imagers: everything that the rest of the program asks of them, whichever it is.

use super::command::{self, CommandImager, CommandOptions};
use super::context::ImagerContext;
use super::cycle::StopLimits;
use super::job::{FacetFiles, ImagingJob};
use super::lifecycle::Guarded;
use super::pixel;
use super::preview::{ImagerPreview, PlannedMasks};
use super::tclean::{self, TcleanImager, TcleanOptions};
use super::wsclean::{self, WscleanImager, WscleanOptions};
use crate::measurement_set::has_column;
use crate::programs::casa::Casa;
use crate::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// What a major cycle of an image by direction takes of the peak.
const MGAIN_BY_DIRECTION: f64 = 0.9;

/// The program that images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ImagerKind {
    /// wsclean, with the options of the mode `wsclean`.
    #[default]
    Wsclean,
    /// CASA's tclean, with the options of the mode `tclean`.
    Casa,
    /// Any program, called as `executables.imager` says.
    Command,
}

impl ImagerKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wsclean, Self::Casa, Self::Command];

    /// Name of its map of options in a campaign file; `None`: it has no options but its template.
    pub fn mode(self) -> Option<&'static str> {
        match self {
            Self::Wsclean => Some("wsclean"),
            Self::Casa => Some("tclean"),
            Self::Command => None,
        }
    }

    /// The imager with the options of its map, or with the template of its command line.
    ///
    /// # Errors
    /// An unknown key, or a value of the wrong type.
    pub fn options(self, map: Value, template: &[String]) -> serde_json::Result<ImagerOptions> {
        Ok(match self {
            Self::Wsclean => ImagerOptions::Wsclean(serde_json::from_value(map)?),
            Self::Casa => ImagerOptions::Tclean(serde_json::from_value(map)?),
            Self::Command => ImagerOptions::Command(CommandOptions { template: template.to_vec() }),
        })
    }
}

/// The program that images, with its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // One per round; boxes would only be in the way.
pub enum ImagerOptions {
    /// wsclean.
    Wsclean(WscleanOptions),
    /// CASA's tclean.
    Tclean(TcleanOptions),
    /// Any program, from a template of its command line.
    Command(CommandOptions),
}

/// An imager for one job, torn down when it goes. Nothing is computed before [`super::Imager::setup`].
///
/// # Errors
/// Options that cannot be turned into an imager at all; a CASA worker that does not start.
pub fn open(job: ImagingJob, options: &ImagerOptions, context: ImagerContext) -> Result<Guarded> {
    if job.facets.is_some() && !options.takes_facets() {
        return Err(Error::bad_input(format!("{} cannot image with facets: wsclean can", options.name())));
    }
    Ok(Guarded::new(match options {
        ImagerOptions::Wsclean(o) => Box::new(WscleanImager::new(job, o.clone(), context)),
        ImagerOptions::Tclean(o) => {
            let casa = match &context.casa {
                Some(casa) => casa.clone(),
                None => Casa::open_with(&context.executable, o.mpi_processes(job.threads, &context.executable), None)?,
            };
            Box::new(TcleanImager::new(job, o.clone(), casa, context)?)
        }
        ImagerOptions::Command(o) => Box::new(CommandImager::new(job, o.clone(), context)?),
    }))
}

impl ImagerOptions {
    /// Name of the imager, which is that of its options in a strategy file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Wsclean(_) => "wsclean",
            Self::Tclean(_) => "tclean",
            Self::Command(_) => "command",
        }
    }

    /// Every option under its own name, as a JSON object; of a command, the words of its template.
    pub fn parameters(&self) -> Value {
        let Ok(Value::Object(map)) = serde_json::to_value(self) else { return Value::Null };
        map.into_iter().next().map_or(Value::Null, |(_, parameters)| parameters)
    }

    /// The limits at which the options stop the cleaning.
    pub fn stop_limits(&self) -> StopLimits {
        match self {
            Self::Wsclean(o) => o.stop_limits(),
            Self::Tclean(o) => o.stop_limits(),
            Self::Command(_) => StopLimits {
                threshold_jy: None,
                nsigma: None,
                iterations: u64::MAX,
                major_cycles: usize::MAX,
                independent_channels: false,
            },
        }
    }

    /// Pixels of one image, over all its channels; 0 where only the program knows.
    pub fn pixels(&self) -> u64 {
        match self {
            Self::Wsclean(o) => o.size * o.size * (o.channels_out + 1),
            Self::Tclean(o) => {
                let channels = if o.is_cube() { u64::try_from(o.nchan).unwrap_or(1).max(1) } else { 1 };
                o.size().iter().product::<u64>() * channels
            }
            Self::Command(_) => 0,
        }
    }

    /// Size of a pixel, rad; `None` where only the program knows.
    pub fn pixel_rad(&self) -> Option<f64> {
        match self {
            Self::Wsclean(o) => pixel::radians(&o.scale, pixel::DEGREE),
            Self::Tclean(o) => pixel::radians(&o.pixel(), pixel::ARCSECOND),
            Self::Command(_) => None,
        }
    }

    /// Distance of the image's edge from its centre, rad; `None` where only the program knows.
    #[allow(clippy::cast_precision_loss)] // Pixels, far below 2^53.
    pub fn half_width_rad(&self) -> Option<f64> {
        let side = match self {
            Self::Wsclean(o) => o.size,
            Self::Tclean(o) => o.size().into_iter().max().unwrap_or(0),
            Self::Command(_) => 0,
        };
        self.pixel_rad().map(|pixel| pixel * side as f64 / 2.0)
    }

    /// The options themselves choose among the fields of a measurement set, or take all of them for one image.
    pub fn chooses_fields(&self) -> bool {
        match self {
            Self::Wsclean(_) => false,
            Self::Tclean(o) => !o.field.is_empty() || o.gridder == tclean::Gridder::Mosaic,
            Self::Command(_) => true,
        }
    }

    /// The program's own limit of memory, GB, if it has one.
    pub fn memory_gb(&self) -> Option<u64> {
        match self {
            Self::Wsclean(o) => Some(o.abs_mem),
            Self::Tclean(_) | Self::Command(_) => None,
        }
    }

    /// The imager runs in the CASA worker.
    pub fn needs_casa(&self) -> bool {
        matches!(self, Self::Tclean(_))
    }

    /// Stokes parameters are made of both parallel hands, and the imager refuses data that have one of them.
    pub(crate) fn wants_both_hands(&self) -> bool {
        match self {
            Self::Wsclean(o) => o.pol.to_lowercase().contains('i'),
            // tclean takes the hand that is there for Stokes I.
            Self::Tclean(_) | Self::Command(_) => false,
        }
    }

    /// MPI processes of the CASA worker that the imager runs in, where cleanloop starts it under MPI for these threads.
    pub fn mpi_processes(&self, threads: usize, executable: &[String]) -> Option<usize> {
        match self {
            Self::Tclean(o) => o.mpi_processes(threads, executable),
            Self::Wsclean(_) | Self::Command(_) => None,
        }
    }

    /// Whether an imaging without calibration may write to the measurement set; `by_cycle`: with a fresh mask before
    /// major cycles.
    pub fn writes_to(&self, measurement_set: &Path, by_cycle: bool) -> bool {
        match self {
            // It needs the column MODEL_DATA to go on from one major cycle to the next; the column's values stay.
            Self::Wsclean(_) => by_cycle && has_column(measurement_set, "MODEL_DATA") != Some(true),
            Self::Tclean(_) => false,
            Self::Command(_) => true,
        }
    }

    /// The imager can apply solutions by direction.
    pub fn takes_facets(&self) -> bool {
        matches!(self, Self::Wsclean(_))
    }

    /// The line that images other data, `OTHER.ms`, with facets and solutions in the working folder under their own names; of
    /// several measurement sets each has solutions of its own.
    pub(crate) fn facets_line(&self, facets: &FacetFiles) -> String {
        let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let solutions: Vec<String> = facets.solutions.iter().map(|path| name(path)).collect();
        let words = match self {
            Self::Wsclean(o) => format!("-size {0} {0} -scale {1} ", o.size, o.scale),
            Self::Tclean(_) | Self::Command(_) => String::new(),
        };
        let others: Vec<String> = match solutions.len() {
            0 | 1 => vec!["OTHER.ms".to_owned()],
            several => (1..=several).map(|number| format!("OTHER-{number}.ms")).collect(),
        };
        format!(
            "wsclean -use-wgridder {words}-data-column CORRECTED_DATA -facet-regions {} -apply-facet-solutions {} {} {}",
            name(&facets.regions),
            solutions.join(","),
            facets.terms.join(","),
            others.join(" ")
        )
    }

    /// Paths in the options, of files that are read and of folders for temporary files.
    pub fn paths_mut(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Self::Wsclean(o) => o.paths_mut(),
            Self::Tclean(_) | Self::Command(_) => Vec::new(),
        }
    }

    /// Folders that the options name: a program in a container must see them.
    pub fn folders(&self) -> Vec<PathBuf> {
        match self {
            Self::Wsclean(o) => o.folders(),
            Self::Tclean(_) | Self::Command(_) => Vec::new(),
        }
    }

    /// Enters the column to be imaged, where it is one of the options.
    pub fn set_data_column(&mut self, column: &str) {
        if let Self::Wsclean(o) = self {
            column.clone_into(&mut o.data_column);
        }
    }

    /// The options with multi-scale deconvolution; `None`: the imager's scales depend on the image, or it has none.
    pub fn with_multiscale(&self) -> Option<Self> {
        match self {
            Self::Wsclean(o) => Some(Self::Wsclean(WscleanOptions { multiscale: true, ..o.clone() })),
            Self::Tclean(_) | Self::Command(_) => None,
        }
    }

    /// The options of an image by direction, where the program is free to choose: each major cycle passes over the data once
    /// for every facet. With 0.9 there were 4 major cycles instead of 6, three quarters of the time, and the same dynamic range
    /// (6573 and 6578: nine facets, 84,240 rows, wsclean 3.1).
    pub fn with_longer_cycles(&self) -> Self {
        match self {
            Self::Wsclean(o) => Self::Wsclean(WscleanOptions { mgain: MGAIN_BY_DIRECTION, ..o.clone() }),
            Self::Tclean(_) | Self::Command(_) => self.clone(),
        }
    }

    /// The options with a mask that has one bit per scale; `None`: this imaging does not clean scale by scale, or the
    /// options have no place for such a mask.
    pub fn with_scale_mask(&self, mask: &Path) -> Option<Self> {
        match self {
            Self::Wsclean(o) if o.multiscale => {
                Some(Self::Wsclean(WscleanOptions { multiscale_fits_mask: Some(mask.to_path_buf()), ..o.clone() }))
            }
            _ => None,
        }
    }

    /// The imaging before it runs. The program need not be installed.
    ///
    /// # Errors
    /// Options that cannot be turned into calls.
    pub fn preview(&self, job: &ImagingJob, context: &ImagerContext, masks: &PlannedMasks) -> Result<ImagerPreview> {
        match self {
            Self::Wsclean(o) => Ok(wsclean::preview::of(job, o, context, masks)),
            Self::Tclean(o) => tclean::preview::of(job, o, context, masks),
            Self::Command(o) => Ok(command::preview(job, o, context, masks)?),
        }
    }
}
