//! The veto on files: what a campaign asks for between two major cycles of a cube.

use super::files::beam_of;
use super::veto::repairs;
use super::{Candidate, ChannelPlanes, ConfettiFiles, ConfettiOptions, ConfettiVerdict, apply_patches, draw, of_files};
use crate::Result;
use crate::image::{FitsImage, PixelType, PlaneWriter};
use ndarray::Array2;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// Where a veto writes.
#[derive(Debug, Clone, Copy)]
pub struct VetoFiles<'a> {
    /// Cube of all vetoes so far (1: never again in the mask); read if it is there, and written again.
    pub veto: &'a Path,
    /// The repaired model.
    pub model: &'a Path,
    /// Folder for a picture (SVG) of each pixel.
    pub pictures: &'a Path,
}

/// A pixel that was vetoed.
#[derive(Debug, Clone, PartialEq)]
pub struct Vetoed {
    /// The evidence.
    pub candidate: Candidate,
    /// Its patch became the mean of the neighbouring channels' models, which agree; else zeros.
    pub from_neighbours: bool,
    /// The model through the pixel, Jy/pixel.
    pub spectrum: Vec<f32>,
    /// Channel of the spectrum's first entry.
    pub spectrum_first: usize,
    /// Its picture.
    pub picture: Option<PathBuf>,
}

/// Result of a veto.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VetoReport {
    /// The pixels, by channel.
    pub vetoed: Vec<Vetoed>,
    /// Pixels of all vetoes so far, over all channels.
    pub veto_pixels: u64,
}

/// Judges the channels of the model cube for which `judged` is true; if there is confetti, writes the repaired model and the
/// vetoes. `None`: there is none, and nothing was written. Two planes more than the model's are in memory.
///
/// # Errors
/// Cubes that cannot be read or do not match; files that cannot be written.
pub fn veto_files(
    cubes: &ConfettiFiles,
    options: &ConfettiOptions,
    judged: &dyn Fn(usize) -> bool,
    to: VetoFiles<'_>,
) -> Result<Option<VetoReport>> {
    let report = of_files(cubes, options)?;
    let mut by_channel: BTreeMap<usize, Vec<&Candidate>> = BTreeMap::new();
    let confetti = |c: &&Candidate| c.verdict == ConfettiVerdict::Confetti && judged(c.channel);
    for candidate in report.candidates.iter().filter(confetti) {
        by_channel.entry(candidate.channel).or_default().push(candidate);
    }
    if by_channel.is_empty() {
        return Ok(None);
    }
    let beam = beam_of(cubes)?;
    let mut model = FitsImage::open(&cubes.model)?;
    let mut old = to.veto.exists().then(|| model.companion(to.veto)).transpose()?;
    let (shape, channels) = (model.plane_shape(), model.channels());
    let axes = [shape.1, shape.0, channels];
    let mut repaired = PlaneWriter::create(to.model, model.axes(), PixelType::F32, model.header(), false)?;
    let mut veto = PlaneWriter::create(to.veto, &axes, PixelType::U8, model.header(), false)?;
    let mut result = VetoReport::default();
    // The original planes of the channels before, here and after.
    let mut window: VecDeque<Array2<f32>> = VecDeque::new();
    for channel in 0..channels {
        let first = channel.saturating_sub(1);
        while first + window.len() < (channel + 2).min(channels) {
            window.push_back(model.read_plane(0, first + window.len())?);
        }
        let mut mask = match &mut old {
            Some(file) => file.read_plane(0, channel)?.mapv(|v| v != 0.0),
            None => Array2::from_elem(shape, false),
        };
        let here = &window[channel - first];
        let mut fixed = here.clone();
        if let Some(found) = by_channel.get(&channel) {
            let around = [(channel > 0).then(|| window[0].view()), window.get(channel - first + 1).map(|p| p.view())];
            let planes = ChannelPlanes::of_model(channel, here.view(), around, found[0].noise);
            let pixels: Vec<[usize; 2]> = found.iter().map(|c| c.pixel).collect();
            let (more, patches) = repairs(&planes, &pixels, cubes.beam_in(channel, beam), options);
            mask.zip_mut_with(&more, |a, &b| *a |= b);
            apply_patches(&mut fixed, &patches);
            for (candidate, patch) in found.iter().zip(&patches) {
                let cutouts = report.cutouts.iter().find(|c| c.candidate == **candidate);
                let name = format!("ch{channel:05}-x{:05}-y{:05}.svg", candidate.pixel[0], candidate.pixel[1]);
                let picture = cutouts.and_then(|c| draw(c).ok()).and_then(|svg| {
                    let path = to.pictures.join(name);
                    std::fs::create_dir_all(to.pictures).and_then(|()| std::fs::write(&path, svg)).ok().map(|()| path)
                });
                result.vetoed.push(Vetoed {
                    candidate: (*candidate).clone(),
                    from_neighbours: patch.from_neighbours,
                    spectrum: cutouts.map(|c| c.spectra[0].clone()).unwrap_or_default(),
                    spectrum_first: cutouts.map_or(channel, |c| c.first_channel),
                    picture,
                });
            }
        }
        result.veto_pixels += mask.iter().map(|&m| u64::from(m)).sum::<u64>();
        veto.write_plane(channel, mask.mapv(u8::from).view())?;
        repaired.write_plane(model.plane_index(0, channel), fixed.view())?;
        // Only the first polarisation is judged; the others stay.
        for other in 1..model.polarisations() {
            repaired.write_plane(model.plane_index(other, channel), model.read_plane(other, channel)?.view())?;
        }
        if channel > first {
            window.pop_front();
        }
    }
    drop(old);
    repaired.finish()?;
    veto.finish()?;
    Ok(Some(result))
}
