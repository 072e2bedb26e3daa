//! Two mask files combined into one, on the grid of an image.

use super::{Mask, MaskRequest, MaskStats};
use crate::Result;
use crate::image::{FitsImage, PixelType, PlaneWriter};
use crate::kernels::bitmask::BitMask;
use crate::masking::combine::Operation;
use crate::masking::recipe::CombineRule;
use std::path::Path;

/// The masks to be combined; one plane stands for all channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masks<'a> {
    /// Auto-multithresh's, where it takes part.
    pub(super) first: &'a Path,
    /// flint's; without it, the first is taken as it is.
    pub(super) second: Option<&'a Path>,
    /// Rule that combines them.
    pub(super) rule: CombineRule,
}

/// Combines the masks, puts the user's pixels in and out, leaves out what is vetoed, and writes the result with one bit.
/// `part` is what is known of the mask that flint's pipeline made.
pub(super) fn make(request: &MaskRequest<'_>, masks: &Masks<'_>, part: Mask) -> Result<Mask> {
    let image = FitsImage::open(request.image)?;
    let open = |path: Option<&Path>| path.map(|p| image.companion(p)).transpose();
    let mut veto = open(request.cycle.and_then(|cycle| cycle.veto))?;
    let mut first = image.companion(masks.first)?;
    let mut second = open(masks.second)?;
    let mut previous = open(request.previous)?;
    let (ny, nx) = image.plane_shape();
    // One plane where one is enough: all masks are the same for all channels.
    let planes = |file: &Option<FitsImage>| file.as_ref().map_or(1, FitsImage::channels);
    let channels = first.channels().max(planes(&second)).max(planes(&veto));
    let axes = if channels == image.channels() && image.polarisations() == 1 {
        image.axes().to_vec()
    } else {
        vec![nx, ny, channels]
    };
    let mut writer = PlaneWriter::create(request.output, &axes, PixelType::U8, image.header(), false)?;
    let mut stats = MaskStats::start(previous.is_some(), request.detailed);
    let mut stats_of_planes = Vec::with_capacity(channels);
    let kept = request.cycle.map_or(&[][..], |cycle| cycle.kept);
    for channel in 0..channels {
        let mut mask = first.read_mask(0, channel)?;
        if let Some(second) = &mut second {
            mask = masks.rule.apply(mask, second.read_mask(0, channel)?);
        }
        request.users.apply(&mut mask);
        if let Some(veto) = &mut veto {
            Operation::Difference.apply(&mut mask, veto.read_mask(0, channel)?.view());
        }
        let before = previous.as_mut().map(|file| file.read_mask(0, channel)).transpose()?;
        if let Some(before) = before.as_ref().filter(|_| kept.get(channel) == Some(&true)) {
            mask.assign(before);
        }
        let mut own = MaskStats::start(previous.is_some(), false);
        let bits = BitMask::from_bools(mask.view());
        own.count(&bits, before.as_ref());
        stats_of_planes.push(own);
        stats.count(&bits, before.as_ref());
        writer.write_plane(channel, mask.mapv(u8::from).view())?;
    }
    writer.finish()?;
    Ok(Mask { path: request.output.to_path_buf(), stats, planes: channels, bits: 1, stats_of_planes, ..part })
}
