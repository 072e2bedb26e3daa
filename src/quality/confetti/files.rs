//! Finished cubes, streamed: as many channels in memory as there are threads, and their two neighbours.

use super::statistic::{ChannelPlanes, judge_channel};
use super::{Candidate, ConfettiError, ConfettiOptions, ConfettiVerdict};
use crate::Result;
use crate::image::{FitsImage, PixelBeam};
use crate::kernels::order_statistics::statistics_where;
use crate::options::{OptionError, Validate};
use ndarray::{Array2, s};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Channels on either side of a candidate in its spectrum.
const SPECTRUM_REACH: usize = 10;
/// Half the side of a cutout, FWHM of the beam, and at most this many pixels.
const CUTOUT_BEAMS: f64 = 4.0;
const CUTOUT_PIXELS: usize = 48;
/// Most candidates that keep cutouts and spectra, those of the highest score.
const MAX_CUTOUTS: usize = 500;

/// The cubes to look at: first Stokes plane, all of one shape.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfettiFiles {
    /// The CLEAN model, Jy/pixel.
    pub model: PathBuf,
    /// The residual, Jy/beam: gives the noise.
    pub residual: Option<PathBuf>,
    /// The restored cube, Jy/beam.
    pub image: Option<PathBuf>,
    /// The dirty cube, or residual plus convolved model of an earlier cycle, Jy/beam: what the data say.
    pub dirty: Option<PathBuf>,
    /// Noise of all channels, Jy/beam, instead of the measured one.
    pub noise: Option<f64>,
    /// FWHM of a round beam, pixels, instead of the headers' beam.
    pub beam_pixels: Option<f64>,
    /// The same channel by channel, for those that are judged by themselves; empty: all have the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channel_beams: Vec<f64>,
}

impl ConfettiFiles {
    /// The beam of a channel; `common` is that of all.
    pub(super) fn beam_in(&self, channel: usize, common: PixelBeam) -> PixelBeam {
        let own = |fwhm: &f64| PixelBeam { major: *fwhm, minor: *fwhm, pa_deg: 0.0 };
        self.channel_beams.get(channel).map_or(common, own)
    }
}

/// Findings in a cube.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConfettiReport {
    /// The cubes.
    pub files: ConfettiFiles,
    /// The limits.
    pub options: ConfettiOptions,
    /// FWHM of the beam's axes, pixels.
    pub beam_pixels: [f64; 2],
    /// Channels of the cube.
    pub channels: usize,
    /// Candidates judged confetti, suspicious and real.
    pub counts: Counts,
    /// All candidates by channel, then row.
    pub candidates: Vec<Candidate>,
    /// Pictures of those that are not real, the highest score first; not part of the JSON.
    #[serde(skip)]
    pub cutouts: Vec<Cutouts>,
}

/// Candidates by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Judged confetti.
    pub confetti: usize,
    /// Judged suspicious.
    pub suspicious: usize,
    /// Judged real.
    pub real: usize,
}

/// Cut-outs around a candidate, for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Cutouts {
    /// The candidate.
    pub candidate: Candidate,
    /// Zero-based `[x, y]` of the cutouts' first pixel.
    pub corner: [usize; 2],
    /// By cube (model, image, dirty), then channel (before, here, after), `[y, x]`.
    pub panels: [[Option<Array2<f32>>; 3]; 3],
    /// First channel of the spectra.
    pub first_channel: usize,
    /// Spectra through the pixel, by cube; empty without that cube.
    pub spectra: [Vec<f32>; 3],
}

/// One channel in memory.
struct Loaded {
    /// Model, image, dirty.
    planes: [Option<Array2<f32>>; 3],
    noise: Option<f64>,
    dirty_noise: Option<f64>,
}

impl Loaded {
    /// The plane of a cube, unless the whole channel is without data.
    fn plane(&self, cube: usize) -> Option<ndarray::ArrayView2<'_, f32>> {
        self.planes[cube].as_ref().filter(|_| self.noise.is_some()).map(|p| p.view())
    }
}

/// Robust noise of a plane that was read from a file, Jy/beam; `None`: it holds nothing.
pub(crate) fn robust_noise(plane: &Array2<f32>) -> Option<f64> {
    let values = plane.as_slice().expect("read in standard layout");
    // Zeros are pixels that were not imaged.
    statistics_where(values, |v| v != 0.0).map(|(stats, _)| stats.sigma()).filter(|&s| s > 0.0)
}

struct Cubes {
    /// Model, image, dirty.
    cubes: [Option<FitsImage>; 3],
    residual: Option<FitsImage>,
    noise: Option<f64>,
}

impl Cubes {
    fn load(&mut self, channels: std::ops::Range<usize>) -> Result<Vec<Loaded>> {
        let mut raw = Vec::with_capacity(channels.len());
        for c in channels {
            let mut planes = [None, None, None];
            for (plane, cube) in planes.iter_mut().zip(&mut self.cubes) {
                *plane = cube.as_mut().map(|f| f.read_plane(0, c)).transpose()?;
            }
            let residual = self.residual.as_mut().map(|f| f.read_plane(0, c)).transpose()?;
            raw.push((planes, residual));
        }
        let given = self.noise;
        Ok(raw
            .into_par_iter()
            .map(|(planes, residual)| {
                let dirty_noise = planes[2].as_ref().and_then(robust_noise);
                let noise = given.or_else(|| match (&residual, &planes[1]) {
                    (Some(residual), _) => robust_noise(residual),
                    (None, Some(image)) => robust_noise(image),
                    (None, None) => dirty_noise,
                });
                Loaded { planes, noise, dirty_noise }
            })
            .collect())
    }
}

fn open(files: &ConfettiFiles) -> Result<(Cubes, PixelBeam, usize)> {
    let model = FitsImage::open(&files.model)?;
    let channels = model.channels();
    if channels < 2 {
        return Err(ConfettiError::NotACube { path: files.model.clone() }.into());
    }
    let companion = |path: &Option<PathBuf>| path.as_deref().map(|p| model.companion_of_all_channels(p)).transpose();
    let (residual, image, dirty) = (companion(&files.residual)?, companion(&files.image)?, companion(&files.dirty)?);
    if files.noise.is_none() && residual.is_none() && image.is_none() && dirty.is_none() {
        return Err(ConfettiError::NoNoise { path: files.model.clone() }.into());
    }
    if let Some(found) = files.noise.filter(|n| !(n.is_finite() && *n > 0.0)) {
        return Err(OptionError::new("confetti.noise", found, "Jy/beam above 0").into());
    }
    let of_header = |file: &FitsImage| Some(file.beam()?.in_pixels(file.pixel_deg().ok()?));
    let beam = match files.beam_pixels {
        Some(fwhm) if fwhm.is_finite() && fwhm > 0.0 => Some(PixelBeam { major: fwhm, minor: fwhm, pa_deg: 0.0 }),
        Some(found) => {
            return Err(OptionError::new("confetti.beam", found, "pixels above 0").into());
        }
        None => {
            [image.as_ref(), residual.as_ref(), Some(&model), dirty.as_ref()].into_iter().flatten().find_map(of_header)
        }
    };
    let beam = beam.ok_or_else(|| ConfettiError::NoBeam { path: files.model.clone() })?;
    Ok((Cubes { cubes: [Some(model), image, dirty], residual, noise: files.noise }, beam, channels))
}

/// The beam that cubes are judged with.
pub(super) fn beam_of(files: &ConfettiFiles) -> Result<PixelBeam> {
    Ok(open(files)?.1)
}

/// Judges every channel of finished cubes. The same report for any number of threads.
///
/// # Errors
/// Cubes that cannot be read or do not match, no noise, no beam, senseless options.
pub fn of_files(files: &ConfettiFiles, options: &ConfettiOptions) -> Result<ConfettiReport> {
    options.validate()?;
    let (mut cubes, beam, channels) = open(files)?;
    let batch = rayon::current_num_threads().max(1);
    // Channels `start..start + window.len()`.
    let mut window: VecDeque<Loaded> = VecDeque::new();
    let mut start = 0;
    let mut candidates = Vec::new();
    let mut cutouts: Vec<Cutouts> = Vec::new();
    for first in (0..channels).step_by(batch) {
        let last = (first + batch).min(channels);
        let wanted = (last + 1).min(channels);
        window.extend(cubes.load(start + window.len()..wanted)?);
        let found: Vec<(Vec<Candidate>, Vec<Cutouts>)> = (first..last)
            .into_par_iter()
            .map(|c| {
                let neighbours = [c.checked_sub(1), Some(c), Some(c + 1)]
                    .map(|n| n.and_then(|n| n.checked_sub(start)).and_then(|i| window.get(i)));
                judge(c, neighbours, files.beam_in(c, beam), options)
            })
            .collect();
        for (judged, pictures) in found {
            candidates.extend(judged);
            cutouts.extend(pictures);
        }
        // A stable sort: equal scores stay in the order of channels.
        cutouts.sort_by(|a, b| b.candidate.score.total_cmp(&a.candidate.score));
        cutouts.truncate(MAX_CUTOUTS);
        while start + 1 < last {
            window.pop_front();
            start += 1;
        }
    }
    drop(window);
    add_spectra(&mut cubes, &mut cutouts, channels)?;
    let count = |verdict| candidates.iter().filter(|c: &&Candidate| c.verdict == verdict).count();
    Ok(ConfettiReport {
        files: files.clone(),
        options: options.clone(),
        beam_pixels: [beam.major, beam.minor],
        channels,
        counts: Counts {
            confetti: count(ConfettiVerdict::Confetti),
            suspicious: count(ConfettiVerdict::Suspicious),
            real: count(ConfettiVerdict::Real),
        },
        candidates,
        cutouts,
    })
}

fn judge(
    channel: usize,
    around: [Option<&Loaded>; 3],
    beam: PixelBeam,
    options: &ConfettiOptions,
) -> (Vec<Candidate>, Vec<Cutouts>) {
    let here = around[1].expect("the channel itself is loaded");
    let (Some(model), Some(noise)) = (here.plane(0), here.noise) else { return Default::default() };
    let three = |cube: usize| around.map(|l| l.and_then(|l| l.plane(cube)));
    let [before, _, after] = three(0);
    let planes = ChannelPlanes {
        image: three(1),
        dirty: three(2),
        dirty_noise: here.dirty_noise,
        ..ChannelPlanes::of_model(channel, model, [before, after], noise)
    };
    let candidates = judge_channel(&planes, beam, options);
    let (ny, nx) = model.dim();
    let half = ((CUTOUT_BEAMS * beam.major).ceil() as usize).clamp(4, CUTOUT_PIXELS);
    let cutouts = candidates
        .iter()
        .filter(|c| c.verdict != ConfettiVerdict::Real)
        .map(|c| {
            let [x, y] = c.pixel;
            let (x0, x1) = (x.saturating_sub(half), (x + half + 1).min(nx));
            let (y0, y1) = (y.saturating_sub(half), (y + half + 1).min(ny));
            Cutouts {
                candidate: c.clone(),
                corner: [x0, y0],
                panels: [0, 1, 2].map(|cube| three(cube).map(|p| Some(p?.slice(s![y0..y1, x0..x1]).to_owned()))),
                first_channel: channel.saturating_sub(SPECTRUM_REACH),
                spectra: Default::default(),
            }
        })
        .collect();
    (candidates, cutouts)
}

/// Reads the channels around the candidates once more, each once.
fn add_spectra(cubes: &mut Cubes, cutouts: &mut [Cutouts], channels: usize) -> Result<()> {
    let mut wanted: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, cutout) in cutouts.iter().enumerate() {
        let c = cutout.candidate.channel;
        for channel in cutout.first_channel..(c + SPECTRUM_REACH + 1).min(channels) {
            wanted.entry(channel).or_default().push(i);
        }
    }
    for (cube, file) in cubes.cubes.iter_mut().enumerate() {
        let Some(file) = file else { continue };
        for (&channel, members) in &wanted {
            let plane = file.read_plane(0, channel)?;
            for &i in members {
                let [x, y] = cutouts[i].candidate.pixel;
                cutouts[i].spectra[cube].push(plane[(y, x)]);
            }
        }
    }
    Ok(())
}

/// DS9 regions in image coordinates (first pixel 1): circles of the beam's major axis, confetti red, suspicious yellow.
pub fn regions(report: &ConfettiReport) -> String {
    let mut text = String::from("# Region file format: DS9 version 4.1\nglobal width=2\nimage\n");
    for c in report.candidates.iter().filter(|c| c.verdict != ConfettiVerdict::Real) {
        let color = if c.verdict == ConfettiVerdict::Confetti { "red" } else { "yellow" };
        let [x, y] = c.pixel;
        let _ = writeln!(
            text,
            "circle({},{},{:.2}) # color={color} text={{{} ch {}}}",
            x + 1,
            y + 1,
            report.beam_pixels[0],
            c.verdict,
            c.channel
        );
    }
    text
}
