//! The calls of one imaging: nothing is run or looked at here, so that a plan shows what a run does.

use super::arguments::{self, Arguments};
use super::expand::expanded_path;
use super::installed::Installed;
use crate::image::Beam;
use crate::imager::cycle::NoiseThreshold;
use crate::imager::job::{FacetFiles, ImagingJob};
use crate::imager::wsclean::error::WscleanError;
use crate::imager::wsclean::options::WscleanOptions;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Everything that decides the command lines of one imaging.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls<'a> {
    /// Data and folders.
    pub(crate) job: &'a ImagingJob,
    /// wsclean's options.
    pub(crate) options: &'a WscleanOptions,
    /// The installed version; `None`: it is absent, and taken as a new one.
    pub(crate) installed: Option<&'a Installed>,
    /// The executable as a list of words.
    pub(crate) executable: &'a [String],
}

/// The part of the machine that one process may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CallResources {
    /// Threads.
    pub(crate) threads: usize,
    /// Memory, GB; `None`: the options' own limit.
    pub(crate) memory_gb: Option<f64>,
}

/// One call of the cycles. Numbers are words: a plan does not know them yet.
#[derive(Debug, Clone)]
pub(crate) struct CycleCall<'a> {
    /// The part of the image that the process makes.
    pub(crate) part: CyclePart,
    /// When it stops.
    pub(crate) stops: Stops,
    /// Its clean mask.
    pub(crate) mask: Option<&'a Path>,
    /// The model is written to the data.
    pub(crate) update_model: bool,
    /// There is a model of an earlier cycle to go on from.
    pub(crate) goes_on: bool,
    /// Start of the names of the PSFs.
    pub(crate) psf: PathBuf,
    /// The restoring beam, for `-beam-shape`.
    pub(crate) beam: Option<[String; 3]>,
    /// Start of the names of the residuals to begin with.
    pub(crate) dirty: PathBuf,
}

/// The part of the image that one process of a cycle makes.
#[derive(Debug, Clone)]
pub(crate) enum CyclePart {
    /// All output channels.
    Whole,
    /// One channel of a cube.
    Channel {
        /// First and last (exclusive) channel of the data.
        range: [String; 2],
        /// Its part of the machine.
        resources: CallResources,
    },
}

/// When a call stops.
#[derive(Debug, Clone)]
pub(crate) enum Stops {
    /// As the options say: one long run.
    Options,
    /// As the loop over major cycles says.
    Controls {
        /// Minor iterations.
        iterations: String,
        /// Major iterations.
        majors: String,
        /// Threshold, Jy/beam; beside a multiple of the noise the least.
        threshold_jy: Option<String>,
        /// Threshold as a multiple of the noise before each major iteration.
        nsigma: Option<f64>,
    },
}

impl Stops {
    /// The limits of a call of these options: `level` is the threshold at the noise that it begins with, Jy/beam;
    /// `reuses_dirty`: it begins with a residual that is there.
    pub(crate) fn controls(
        [iterations, majors, level]: [String; 3],
        follows_noise: Option<NoiseThreshold>,
        (options, reuses_dirty): (&WscleanOptions, bool),
    ) -> Self {
        // With a map of the noise wsclean's own level is a multiple of its lowest value. With several scales and a residual that
        // it did not make itself, wsclean 3.1 ends with a model of NaN.
        let followed = follows_noise.filter(|_| !(options.local_rms || reuses_dirty && options.multiscale));
        Self::Controls {
            iterations,
            majors,
            threshold_jy: followed.map_or(Some(level), |f| f.least_jy.map(|jy| jy.to_string())),
            nsigma: followed.map(|f| f.nsigma),
        }
    }
}

impl Calls<'_> {
    /// Everything that all calls of this imaging have in common.
    fn common(&self, resources: CallResources) -> Result<Arguments, WscleanError> {
        let o = self.options;
        let mut a = Arguments::default();
        a.push("j", &[resources.threads.max(1)]);
        match resources.memory_gb {
            Some(gb) => a.push("abs-mem", &[gb]),
            None => a.push("abs-mem", &[o.abs_mem]),
        }
        a.push("data-column", &[&self.job.data_column]);
        if let Some((first, end)) = o.interval {
            a.push("interval", &[first, end]);
        }
        a.append(arguments::imaging(o, self.installed)?);
        self.push_facets(&mut a);
        Ok(a)
    }

    /// The facets and their solutions. With facets wsclean's own gridder leaves three times the noise of the w-gridder.
    fn push_facets(&self, a: &mut Arguments) {
        let Some(FacetFiles { regions, solutions, terms }) = &self.job.facets else { return };
        if !a.has("gridder") && !a.has("use-wgridder") && self.installed.is_some_and(|i| i.knows("use-wgridder")) {
            a.flag("use-wgridder");
        }
        a.push("facet-regions", &[regions.display()]);
        let files: Vec<String> = solutions.iter().map(|path| path.display().to_string()).collect();
        a.push("apply-facet-solutions", &[files.join(","), terms.join(",")]);
    }

    /// The resources of a process that has the job's all.
    fn resources(&self) -> CallResources {
        CallResources { threads: self.job.threads, memory_gb: self.job.memory_gb }
    }

    /// One process for all output channels.
    fn whole(&self) -> Result<Arguments, WscleanError> {
        let mut a = self.common(self.resources())?;
        arguments::channels(&mut a, self.options);
        self.push_channel_range(&mut a);
        Ok(a)
    }

    fn push_channel_range(&self, a: &mut Arguments) {
        if let Some((first, end)) = self.options.channel_range {
            a.push("channel-range", &[first, end]);
        }
    }

    /// One ordinary run with one mask; `None`: the one that the options name.
    pub(crate) fn ordinary(&self, mask: Option<&Path>) -> Result<Arguments, WscleanError> {
        let mut a = self.whole()?;
        let mask = self.mask_or_option(mask)?;
        arguments::stops(&mut a, self.options, mask.is_some());
        if let Some(mask) = &mask {
            a.push("fits-mask", &[mask.display()]);
        }
        if !self.job.update_model {
            a.flag("no-update-model-required");
        }
        Ok(a)
    }

    /// The given mask, or the one that the options name.
    pub(crate) fn mask_or_option(&self, mask: Option<&Path>) -> Result<Option<PathBuf>, WscleanError> {
        match (mask, &self.options.fits_mask) {
            (Some(mask), _) => Ok(Some(mask.to_owned())),
            (None, Some(path)) => expanded_path("fits_mask", path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The call that makes PSFs and dirty images. `keep_model`: `MODEL_DATA` is there and stays as it is; the cycles
    /// need the column.
    pub(crate) fn start(&self, keep_model: bool) -> Result<Arguments, WscleanError> {
        let mut a = self.whole()?;
        a.push("niter", &[0]);
        a.flag("make-psf");
        if keep_model {
            a.flag("no-update-model-required");
        }
        Ok(a)
    }

    /// The call that makes PSFs and dirty images and cleans in a mask.
    pub(crate) fn start_inside(
        &self,
        mask: &Path,
        stops: &Stops,
        update_model: bool,
    ) -> Result<Arguments, WscleanError> {
        let mut a = self.whole()?;
        self.push_stops(&mut a, stops, true);
        a.push("fits-mask", &[mask.display()]);
        if !update_model {
            a.flag("no-update-model-required");
        }
        Ok(a)
    }

    fn push_stops(&self, a: &mut Arguments, stops: &Stops, masked: bool) {
        match stops {
            Stops::Options => arguments::stops(a, self.options, masked),
            Stops::Controls { iterations, majors, threshold_jy, nsigma } => {
                a.push("niter", &[iterations]);
                a.push("nmiter", &[majors]);
                if let Some(sigma) = nsigma {
                    a.push("auto-threshold", &[sigma]);
                }
                if let Some(jy) = threshold_jy {
                    a.push("threshold", &[jy]);
                }
            }
        }
    }

    /// One call of a cycle.
    pub(crate) fn cycle(&self, call: &CycleCall<'_>) -> Result<Arguments, WscleanError> {
        let mut a = match &call.part {
            CyclePart::Whole => self.whole()?,
            CyclePart::Channel { range, resources } => {
                let mut a = self.common(*resources)?;
                // There is nothing left to divide.
                a.remove("channel-division-frequencies");
                a.push("channel-range", range);
                a
            }
        };
        self.push_stops(&mut a, &call.stops, call.mask.is_some());
        if let Some(mask) = call.mask {
            a.push("fits-mask", &[mask.display()]);
        }
        if !call.update_model {
            a.flag("no-update-model-required");
        }
        if call.goes_on {
            a.flag("continue");
        }
        a.push("reuse-psf", &[call.psf.display()]);
        // With -reuse-psf, wsclean 3.1 does not know the theoretical beam that its fit starts from, and
        // -beam-fitting-size can make it fit a beam of one pixel: it gets the beam of the first call.
        if let Some(beam) = call.beam.as_ref().filter(|_| !a.has("beam-shape") && !a.has("beam-size")) {
            a.push("beam-shape", beam);
        }
        a.push("reuse-dirty", &[call.dirty.display()]);
        Ok(a)
    }

    /// The call that writes a model to the data, `by_channel` one for each output channel.
    pub(crate) fn predict(&self, by_channel: bool) -> Result<Arguments, WscleanError> {
        let mut a = self.common(self.resources())?;
        if by_channel && self.options.channels_out > 1 {
            a.push("channels-out", &[self.options.channels_out]);
        }
        self.push_channel_range(&mut a);
        a.flag("predict");
        Ok(a)
    }

    /// The command line that restores `model` onto `residual` with this beam.
    pub(crate) fn restore(&self, beam: &Beam, residual: &Path, model: &Path, restored: &Path) -> Vec<String> {
        let path = |p: &Path| p.to_string_lossy().into_owned();
        let mut line = self.executable.to_vec();
        line.extend(["-j".to_owned(), self.job.threads.max(1).to_string(), "-beam-shape".to_owned()]);
        line.extend(beam_words(beam));
        line.extend(["-restore".to_owned(), path(residual), path(model), path(restored)]);
        line
    }

    /// A whole command line; `name` is the start of the names of wsclean's files.
    pub(crate) fn line(&self, name: &Path, a: &Arguments) -> Vec<String> {
        let mut line = self.executable.to_vec();
        line.extend(["-name".to_owned(), name.to_string_lossy().into_owned()]);
        line.extend(a.words());
        line.extend(self.job.measurement_sets.iter().map(|m| m.to_string_lossy().into_owned()));
        line
    }

    /// Hash of everything that decides the images of the cycles: another value makes unfinished cycles worthless.
    pub(crate) fn identity(&self) -> Result<String, WscleanError> {
        let mut a = self.whole()?;
        a.remove("j");
        a.remove("abs-mem");
        let mut hash = Sha256::new();
        for word in self.line(Path::new(""), &a) {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
        // The masks follow it.
        hash.update(format!("{:?}", self.options.primary_beam));
        Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}

/// Values of `-beam-shape`.
pub(crate) fn beam_words(beam: &Beam) -> [String; 3] {
    let asec = |deg: f64| format!("{}asec", deg * 3600.0);
    [asec(beam.major_deg), asec(beam.minor_deg), format!("{}deg", beam.pa_deg)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn facets_are_imaged_with_the_w_gridder_and_a_file_of_solutions_for_each_set() {
        let help = include_str!("../../../../tests/data/wsclean/help-3.1.0.txt");
        let installed = Installed::from_help(&["wsclean".to_owned()], help).expect("help");
        let path = |name: &str| PathBuf::from(name);
        let facets = FacetFiles {
            regions: path("f.reg"),
            solutions: vec![path("s-1.h5"), path("s-2.h5")],
            terms: vec!["amplitude000".into(), "phase000".into()],
        };
        let job = ImagingJob {
            measurement_sets: vec![path("1.ms"), path("2.ms")],
            data_column: "CORRECTED_DATA".into(),
            folder: path("image"),
            log: path("log"),
            threads: 1,
            memory_gb: None,
            update_model: true,
            facets: Some(facets),
        };
        for gridder in ["wgridder", "wstacking"] {
            let options = serde_json::from_value(json!({"gridder": gridder})).expect("options");
            let calls = Calls { job: &job, options: &options, installed: Some(&installed), executable: &[] };
            for arguments in [calls.ordinary(None), calls.predict(false)] {
                let line = calls.line(Path::new("w"), &arguments.expect("a line")).join(" ");
                assert_eq!(line.matches("-use-wgridder").count(), 1, "{gridder}: {line}");
                let solutions = "-facet-regions f.reg -apply-facet-solutions s-1.h5,s-2.h5 amplitude000,phase000";
                assert!(line.contains(solutions) && line.ends_with("1.ms 2.ms"), "{line}");
            }
        }
    }
}
