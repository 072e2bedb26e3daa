//! Confetti at the borders of groups of channels: while a group is cleaned, the channels beyond its border are not known,
//! so those at its ends are judged once all groups have ended. A channel with confetti is imaged again by itself, without
//! these pixels in its mask; its group is left as it is.

use crate::campaign::layout::FROZEN_PLAN;
use crate::campaign::plan::{ChannelsPlan, FinalInput, FinalPlan, Plan, TargetPlan};
use crate::image::{FitsImage, Header, PixelType, write_plane};
use crate::imager::{ChannelGroup, Products};
use crate::quality::confetti::{ChannelPlanes, ConfettiOptions, ConfettiVerdict, robust_noise, veto_channel};
use crate::util::fs;
use crate::{Error, Result};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What was found, in the folder of a cube.
const FILE: &str = ".borders.json";
/// The masks of what was found, in the folder of a cube.
const FOLDER: &str = "confetti";

/// What was found at the borders of a cube's groups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Borders {
    /// Changes with the groups' images.
    key: String,
    /// The channels that are imaged again, ascending.
    again: Vec<Again>,
}

/// A channel that is imaged again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Again {
    /// Its number in the cube.
    pub(super) channel: usize,
    /// Model pixels that are confetti.
    pixels: usize,
    /// Pixels that are never in its mask (FITS, 1), from the cube's folder.
    veto: PathBuf,
}

/// The images of a group of channels.
pub(super) struct GroupImages<'a> {
    /// Its channels.
    pub(super) group: ChannelGroup,
    /// Its first channel's place in the images.
    pub(super) offset: usize,
    /// The images.
    pub(super) products: &'a Products,
    /// Channels beyond its ends were imaged with it.
    pub(super) knows_neighbours: bool,
}

/// The plan with the channels that are to be imaged again as further targets.
pub(crate) fn with_channels_again(mut plan: Plan, imaging: &FinalPlan, inputs: &[FinalInput]) -> Plan {
    let cubes: Vec<String> = plan.cubes().map(|(name, _)| name.to_owned()).collect();
    for name in cubes {
        for again in load(&plan.cube_folder(&name)).again {
            let holds = |target: &&TargetPlan| {
                let channels = target.channels.as_ref().filter(|channels| channels.target == name);
                channels.is_some_and(|c| (c.group.first..c.group.first + c.group.count).contains(&again.channel))
            };
            let Some(whole) = plan.targets.iter().find(holds) else { continue };
            let of = whole.channels.as_ref().map_or(0, |channels| channels.group.of);
            let group = ChannelGroup { first: again.channel, count: 1, of };
            let input = inputs.iter().find(|input| input.target == name);
            let channels = ChannelsPlan {
                target: name.clone(),
                group,
                of_data: input.and_then(|input| imaging.of_data(&group, &input.frequencies_hz)),
                antennas: input.map_or(0, |input| input.antennas),
                veto: Some(plan.cube_folder(&name).join(&again.veto)),
            };
            let prefix = if inputs.len() == 1 { String::new() } else { format!("{name}-") };
            let target = TargetPlan {
                name: format!("{prefix}channel-{:05}-again", again.channel),
                channels: Some(channels),
                ..whole.clone()
            };
            plan.targets.push(target);
        }
    }
    plan
}

/// Whether channels are to be imaged again that the plan in this folder does not have yet.
pub(crate) fn has_open_channels(folder: &Path) -> bool {
    let Ok(plan) = Plan::load(&folder.join(FROZEN_PLAN)) else { return false };
    let open = |(name, _): (&str, &TargetPlan)| {
        load(&plan.cube_folder(name)).again.iter().any(|again| !has_target(&plan, name, again))
    };
    plan.cubes().any(open)
}

/// The plan images this channel of a cube again.
pub(super) fn has_target(plan: &Plan, name: &str, again: &Again) -> bool {
    let veto = plan.cube_folder(name).join(&again.veto);
    let is_it = |c: &ChannelsPlan| c.target == name && c.veto.as_ref() == Some(&veto);
    plan.targets.iter().any(|target| target.channels.as_ref().is_some_and(is_it))
}

fn load(folder: &Path) -> Borders {
    let known = std::fs::read(folder.join(FILE)).ok();
    known.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// What there is at the borders of these groups, in the order of their channels; judged once for each state of them.
///
/// # Errors
/// Images that cannot be read, a folder that cannot be written.
pub(super) fn judged(
    groups: &[GroupImages<'_>],
    keys: &[Option<String>],
    options: &ConfettiOptions,
    folder: &Path,
) -> Result<Vec<Again>> {
    let key = crate::campaign::plan::hash(&(keys, options));
    let known = load(folder);
    if known.key == key {
        return Ok(known.again);
    }
    let mut again = Vec::new();
    for group in groups.iter().filter(|group| !group.knows_neighbours) {
        let ChannelGroup { first, count, of } = group.group;
        let mut ends = vec![first, first + count - 1];
        ends.dedup();
        for channel in ends {
            let is_open = channel == first && first > 0 || channel + 1 == first + count && channel + 1 < of;
            if is_open && let Some(found) = judge(groups, channel, options)? {
                let veto = Path::new(FOLDER).join(format!("channel-{channel:05}-{}.fits", &key[..8]));
                fs::make(&folder.join(FOLDER))?;
                write_plane(folder.join(&veto), found.1.mapv(u8::from).view(), PixelType::U8, &Header::default(), 2)?;
                again.push(Again { channel, pixels: found.0, veto });
            }
        }
    }
    let borders = Borders { key, again };
    let json = serde_json::to_vec(&borders).map_err(Error::internal)?;
    fs::write_atomically(&folder.join(FILE), &json)?;
    Ok(borders.again)
}

/// Number of pixels of a channel that are confetti, and those that must leave its mask.
fn judge(
    groups: &[GroupImages<'_>],
    channel: usize,
    options: &ConfettiOptions,
) -> Result<Option<(usize, Array2<bool>)>> {
    let three = |file: &dyn Fn(&Products) -> Option<PathBuf>| -> Result<[Option<Array2<f32>>; 3]> {
        let [before, here, after] = [channel.checked_sub(1), Some(channel), Some(channel + 1)]
            .map(|channel| channel.map_or(Ok(None), |channel| plane(groups, channel, file)));
        Ok([before?, here?, after?])
    };
    let model = three(&|products| Some(products.model.clone()))?;
    let image = three(&|products| Some(products.image.clone()))?;
    let dirty = three(&|products| products.dirty.clone())?;
    let residual = plane(groups, channel, &|products| Some(products.residual.clone()))?;
    let noise = residual.as_ref().and_then(robust_noise);
    let own = groups.iter().find(|group| group.holds(channel));
    let beam = own.map(|group| group.beam(channel)).transpose()?.flatten();
    let (Some(here), Some(noise), Some(beam)) = (&model[1], noise, beam) else { return Ok(None) };
    let beside = [0, 2].map(|n| model[n].as_ref().map(|plane| plane.view()));
    let planes = ChannelPlanes {
        image: views(&image),
        dirty: views(&dirty),
        ..ChannelPlanes::of_model(channel, here.view(), beside, noise)
    };
    let veto = veto_channel(&planes, beam, options);
    let pixels = veto.candidates.iter().filter(|c| c.verdict == ConfettiVerdict::Confetti).count();
    Ok(veto.mask.map(|mask| (pixels, mask)))
}

fn views(planes: &[Option<Array2<f32>>; 3]) -> [Option<ArrayView2<'_, f32>>; 3] {
    planes.each_ref().map(|plane| plane.as_ref().map(|plane| plane.view()))
}

/// A channel's plane of a product; `None`: there is no such channel or product.
fn plane(
    groups: &[GroupImages<'_>],
    channel: usize,
    file: &dyn Fn(&Products) -> Option<PathBuf>,
) -> Result<Option<Array2<f32>>> {
    let Some(group) = groups.iter().find(|group| group.holds(channel)) else { return Ok(None) };
    let Some(path) = file(group.products).filter(|path| path.is_file()) else { return Ok(None) };
    Ok(Some(FitsImage::open(path)?.read_plane(0, group.place(channel))?))
}

impl GroupImages<'_> {
    fn holds(&self, channel: usize) -> bool {
        (self.group.first..self.group.first + self.group.count).contains(&channel)
    }

    /// The place of a channel of the cube in its images.
    fn place(&self, channel: usize) -> usize {
        channel - self.group.first + self.offset
    }

    fn beam(&self, channel: usize) -> Result<Option<crate::image::PixelBeam>> {
        for path in [&self.products.psf, &self.products.image] {
            if let Some(beam) = FitsImage::open(path)?.pixel_beam(0, self.place(channel))? {
                return Ok(Some(beam));
            }
        }
        Ok(None)
    }
}
