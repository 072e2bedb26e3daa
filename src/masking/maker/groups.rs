//! The mask of a cube in groups of channels, each made wherever and whenever it suits, and put together at the end: the same
//! file, to the byte, as if it had been made at once.

use super::single::{Planes, Single};
use super::{Mask, MaskRequest};
use crate::image::{FitsImage, Header, ImageError, PixelType, PlaneWriter, sidecar_path};
use crate::kernels::bitmask::BitMask;
use crate::masking::MaskBits;
use crate::masking::auto::AutoMaskError;
use crate::{Error, Result};
use ndarray::{Array2, Zip};
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bits of a wide mask that one plane of a group's file holds: a float32, as which it is read, has room for 24.
const HALF: usize = 16;

/// The mask of some channels of a cube.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskGroup {
    /// The channels, counted from 0.
    pub channels: Range<usize>,
    /// Its file ([`make_group`]).
    pub path: PathBuf,
    /// What was found in it.
    pub mask: Mask,
}

/// Makes the mask of some channels of a request's cube and writes it to `to`, a file for [`put_together`] alone (and the
/// signal, where it is asked for, beside it).
///
/// # Errors
/// As [`make`](super::make).
pub fn make_group(request: &MaskRequest<'_>, channels: Range<usize>, to: &Path) -> Result<Mask> {
    rayon::scope(|_| {
        // The request's own signal is that of the whole cube.
        let own = MaskRequest { signal: None, ..request.clone() };
        let mut single = Single::open(&own)?;
        let planes = Planes::of(&single.image, request.polarisations);
        let files = Files::of(&single, planes.polarisations * channels.len());
        let mut writer = files.masks(to)?;
        if request.signal.is_some() && request.recipe.flint.needs_noise() {
            let signal = sidecar_path(to, "signal");
            single.signal = Some(files.signal(&signal)?);
            single.mask.signal = Some(signal);
        }
        // Blank channels are normal in a cube, also where a group is one of them.
        single.mask.planes = planes.count();
        for (own, of) in planes.in_order(channels).enumerate() {
            let index = planes.index(&single.image, of);
            let mask = single.plane_with_users(of, index)?;
            files.write(&mut writer, own, &mask)?;
            if let Some(signal) = &mut single.signal {
                signal.write_plane(own, single.plane.view())?;
            }
        }
        writer.finish()?;
        if let Some(signal) = single.signal {
            signal.finish()?;
        }
        Ok(single.mask)
    })
}

/// Puts the mask of a request together from its groups, and writes it.
///
/// # Errors
/// Files that cannot be read or written; groups that are not the cube's channels, each once.
pub fn put_together(request: &MaskRequest<'_>, groups: &[MaskGroup]) -> Result<Mask> {
    let single = Single::open(request)?;
    let planes = Planes::of(&single.image, request.polarisations);
    let mut sorted: Vec<&MaskGroup> = groups.iter().collect();
    sorted.sort_by_key(|group| group.channels.start);
    let ends = sorted.iter().try_fold(0, |next, group| (group.channels.start == next).then_some(group.channels.end));
    if ends != Some(planes.channels) {
        return Err(Error::internal("groups that are not all channels of the cube, each once"));
    }
    let files = Files::of(&single, 0);
    let mut writer = single.writer(&planes)?;
    let mut signal = single.signal;
    for polarisation in 0..planes.polarisations {
        for group in &sorted {
            let mut masks = FitsImage::open(&group.path)?;
            let mut signals = group.mask.signal.as_ref().map(FitsImage::open).transpose()?;
            for (own, channel) in group.channels.clone().enumerate() {
                let own = polarisation * group.channels.len() + own;
                let index = planes.index(&single.image, (polarisation, channel));
                files.read(&mut masks, own)?.write(&mut writer, index)?;
                if let (Some(to), Some(from)) = (&mut signal, &mut signals) {
                    to.write_plane(index, from.read_plane(0, own)?.view())?;
                }
            }
        }
    }
    writer.finish()?;
    if let Some(signal) = signal {
        signal.finish()?;
    }
    let order = |of: (usize, usize)| planes.index(&single.image, of);
    let order: Vec<usize> = planes.in_order(0..planes.channels).map(order).collect();
    Ok(merged(single.mask, &sorted, &order))
}

/// What was found in the groups as if it had been found at once, plane by plane in `order`.
fn merged(empty: Mask, groups: &[&MaskGroup], order: &[usize]) -> Mask {
    let rank: HashMap<usize, usize> = order.iter().enumerate().map(|(rank, plane)| (*plane, rank)).collect();
    let mut mask = Mask { planes: order.len(), ..empty };
    for MaskGroup { mask: group, .. } in groups {
        mask.stats.add(&group.stats);
        mask.rms = mask.rms.or(group.rms);
        mask.notes.extend(group.notes.iter().cloned());
        let Some(found) = &group.automatic else { continue };
        let Some(all) = &mut mask.automatic else {
            (mask.flint, mask.automatic) = (group.flint.clone(), Some(found.clone()));
            continue;
        };
        // Levels are those of the first plane: those of the other groups' first planes are not said.
        let is_choice = found.why.first().is_some_and(|why| *why != AutoMaskError::NoSignal.to_string());
        all.why.extend(found.why.iter().skip(usize::from(is_choice)).cloned());
        all.removed.extend(found.removed.iter().cloned());
        all.hidden |= found.hidden;
        all.hidden_planes.extend(&found.hidden_planes);
    }
    mask.notes.sort_by_key(|note| rank[&note.plane]);
    mask
}

/// How the planes of a group are kept: bits of up to eight scales as they are, more in two halves.
struct Files {
    shape: (usize, usize),
    planes: usize,
    bits: usize,
}

impl Files {
    fn of(single: &Single<'_>, planes: usize) -> Self {
        Self { shape: single.image.plane_shape(), planes, bits: single.mask.bits }
    }

    fn halves(&self) -> usize {
        if self.bits > 8 { 2 } else { 1 }
    }

    fn masks(&self, path: &Path) -> Result<PlaneWriter, ImageError> {
        let pixel = if self.halves() == 2 { PixelType::I32 } else { PixelType::U8 };
        let axes = [self.shape.1, self.shape.0, self.planes * self.halves()];
        PlaneWriter::create(path, &axes, pixel, &Header::default(), false)
    }

    fn signal(&self, path: &Path) -> Result<PlaneWriter, ImageError> {
        PlaneWriter::create(path, &[self.shape.1, self.shape.0, self.planes], PixelType::F32, &Header::default(), false)
    }

    fn write(&self, writer: &mut PlaneWriter, own: usize, mask: &MaskBits) -> Result<(), ImageError> {
        let MaskBits::Wide(values) = mask else { return mask.write(writer, own) };
        writer.write_plane(2 * own, values.mapv(|v| v & ((1 << HALF) - 1)).view())?;
        writer.write_plane(2 * own + 1, values.mapv(|v| v >> HALF).view())
    }

    fn read(&self, file: &mut FitsImage, own: usize) -> Result<MaskBits, ImageError> {
        let mut read = |plane: usize| -> Result<Array2<i32>, ImageError> { file.read_plane_as(0, plane, |v| v as i32) };
        if self.halves() == 2 {
            let mut values = read(2 * own)?;
            let high = read(2 * own + 1)?;
            Zip::from(&mut values).and(&high).for_each(|v, &h| *v |= h << HALF);
            return Ok(MaskBits::Wide(values));
        }
        if self.bits > 1 {
            return Ok(MaskBits::Narrow(file.read_plane_as(0, own, |v| v as u8)?));
        }
        Ok(MaskBits::Plain(BitMask::from_bools(file.read_mask(0, own)?.view())))
    }
}
