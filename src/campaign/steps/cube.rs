//! The end of a final imaging: its products in its own folder; those of a cube that was imaged in groups are put together.

use super::borders::{self, Again, GroupImages};
use super::final_data::Tell;
use crate::campaign::file::RestoringBeam;
use crate::campaign::journal::{Journal, StepId};
use crate::campaign::plan::{self, ChannelsPlan, FinalOf, Plan, TargetPlan};
use crate::campaign::record::{CubeRecord, DatasetRecord, Level, RoundRecord};
use crate::image::{Beam, CubeBeams, CubePart, FitsImage, MomentFiles, assemble, common_beam, write_moments};
use crate::imager::Products;
use crate::util::fs;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What a cube was put together from.
const ABOUT: &str = ".cube.json";

/// The products of a cube.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct CubeFile {
    /// Changes with the groups' images.
    key: String,
    cube: CubeRecord,
}

/// Puts the products of a final imaging into its folder (of several targets, one for each below it); returns the cubes
/// that were put together.
///
/// # Errors
/// A group has no image; an image cannot be read; the folder cannot be written.
pub(crate) fn finish(plan: &Plan, of: &FinalOf, records: &[DatasetRecord], tell: Tell<'_>) -> Result<Vec<CubeRecord>> {
    for target in plan.targets.iter().filter(|target| target.channels.is_none()) {
        link_products(&plan.layout_of(target).final_folder(), plan.layout_of(target).root())?;
    }
    let cubes = plan.cubes().map(|(name, _)| Groups::of(plan, of, name, records)?.assembled(tell));
    Ok(cubes.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Links the images in a folder of products to the folder above them.
fn link_products(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(Error::internal)?.flatten() {
        let name = entry.file_name();
        if Path::new(&name).extension().is_some_and(|ending| ending == "fits") {
            let to = to.join(&name);
            fs::remove(&to)?;
            fs::link_or_copy(&entry.path(), &to)?;
        }
    }
    Ok(())
}

/// One group of channels with its images.
struct Group<'a> {
    target: &'a TargetPlan,
    channels: &'a ChannelsPlan,
    round: &'a RoundRecord,
    products: &'a Products,
    /// The group's first channel in its images: not 0 where it was imaged with a neighbour.
    offset: usize,
}

/// Channels that are taken from a group.
struct Taken<'a> {
    from: &'a Group<'a>,
    /// The first of them in the group's images.
    place: usize,
    count: usize,
}

/// The groups of one cube, in the order of their channels.
struct Groups<'a> {
    plan: &'a Plan,
    of: &'a FinalOf,
    name: &'a str,
    folder: PathBuf,
    groups: Vec<Group<'a>>,
    /// Single channels that were imaged again.
    again: Vec<Group<'a>>,
}

impl<'a> Groups<'a> {
    fn of(plan: &'a Plan, of: &'a FinalOf, name: &'a str, records: &'a [DatasetRecord]) -> Result<Self> {
        let (mut groups, mut again) = (Vec::new(), Vec::new());
        for target in &plan.targets {
            let Some(channels) = target.channels.as_ref().filter(|channels| channels.target == name) else { continue };
            let record = records.iter().find(|record| record.name == target.name);
            let Some((round, products)) =
                record.and_then(|r| r.best_round()).and_then(|r| Some((r, r.products.as_ref()?)))
            else {
                return Err(Error::external(format!(
                    "{}: has no image, so the cube cannot be put together; run again",
                    plan.layout_of(target).root().display()
                )));
            };
            let offset = channels.group.first - plan.rounds[0].imaging.imaged_group(&channels.group).first;
            let to = if channels.veto.is_some() { &mut again } else { &mut groups };
            to.push(Group { target, channels, round, products, offset });
        }
        groups.sort_by_key(|group| group.channels.group.first);
        Ok(Self { plan, of, name, folder: plan.cube_folder(name), groups, again })
    }

    fn keys(&self, groups: &[Group<'_>]) -> Vec<Option<String>> {
        let key = |g: &Group<'_>| Journal::last_done_key(&self.plan.layout_of(g.target).journal(), StepId::FINISH);
        groups.iter().map(|group| key(group).map(|key| key.to_string())).collect()
    }

    /// The channels at the borders of groups that are imaged again.
    fn judged(&self) -> Result<Vec<Again>> {
        let Some(options) = &self.of.imaging.confetti else { return Ok(Vec::new()) };
        fs::make(&self.folder)?;
        let imaging = &self.of.imaging.imaging;
        let images = self.groups.iter().map(|group| GroupImages {
            group: group.channels.group,
            offset: group.offset,
            products: group.products,
            knows_neighbours: imaging.imaged_group(&group.channels.group) != group.channels.group,
        });
        borders::judged(&images.collect::<Vec<_>>(), &self.keys(&self.groups), options, &self.folder)
    }

    /// Where the channels of the cube come from, in their order: of those in `again` the images that were made later.
    fn taken(&self, again: &[Again]) -> Vec<Taken<'_>> {
        let mut all: Vec<Taken<'_>> = Vec::new();
        for group in &self.groups {
            for channel in 0..group.channels.group.count {
                let number = group.channels.group.first + channel;
                let later = self.again.iter().find(|g| g.channels.group.first == number);
                match later.filter(|_| again.iter().any(|again| again.channel == number)) {
                    Some(later) => all.push(Taken { from: later, place: later.offset, count: 1 }),
                    None => match all.last_mut().filter(|last| std::ptr::eq(last.from, group)) {
                        Some(last) => last.count += 1,
                        None => all.push(Taken { from: group, place: group.offset + channel, count: 1 }),
                    },
                }
            }
        }
        all
    }

    /// The cube's products, put together unless that is done; `None`: channels are to be imaged again before.
    fn assembled(&self, tell: Tell<'_>) -> Result<Option<CubeRecord>> {
        let again = self.judged()?;
        let open = |again: &&Again| !borders::has_target(self.plan, self.name, again);
        let all: Vec<String> = again.iter().filter(open).map(|again| again.channel.to_string()).collect();
        if !all.is_empty() {
            let text = format!(
                "confetti at the borders of groups, seen with the channels beyond them: without it, these channels are \
                 imaged again: {}",
                all.join(", ")
            );
            tell(Level::Info, text);
            return Ok(None);
        }
        let keys = (self.keys(&self.groups), self.keys(&self.again), &again);
        let key = plan::hash(&(keys, self.of.imaging.restoringbeam));
        let about = self.folder.join(ABOUT);
        let known = std::fs::read(&about).ok().and_then(|b| serde_json::from_slice::<CubeFile>(&b).ok());
        if let Some(known) = known.filter(|known| known.key == key && known.cube.image.is_file()) {
            return Ok(Some(known.cube));
        }
        fs::make(&self.folder)?;
        let cube = self.assemble(&again, tell)?;
        let json = serde_json::to_vec(&CubeFile { key, cube: cube.clone() }).map_err(Error::internal)?;
        fs::write_atomically(&about, &json)?;
        if self.of.imaging.remove_groups {
            self.remove_images()?;
        }
        Ok(Some(cube))
    }

    fn assemble(&self, again: &[Again], tell: Tell<'_>) -> Result<CubeRecord> {
        let taken = self.taken(again);
        let beams = beams(&taken)?;
        let fitted = beams.as_deref().map_or(CubeBeams::Unknown, CubeBeams::Each);
        let common = beams.as_deref().filter(|_| self.of.imaging.restoringbeam == RestoringBeam::Common);
        let restored = match common.and_then(|from| Some((from, common_beam(from)?))) {
            Some((from, to)) => CubeBeams::Common { from, to },
            None => fitted,
        };
        let path = |name: &str| self.folder.join(format!("{name}.fits"));
        let make = |name: &str,
                    file: &dyn Fn(&Group<'_>) -> Option<PathBuf>,
                    beams: CubeBeams<'_>|
         -> Result<Option<PathBuf>> {
            let parts: Option<Vec<CubePart>> = taken.iter().map(|taken| Some(taken.part(file(taken.from)?))).collect();
            let Some(parts) = parts else { return Ok(None) };
            assemble(&parts, &path(name), beams)?;
            Ok(Some(path(name)))
        };
        let needed = |name: &str, file: &dyn Fn(&Products) -> &PathBuf, beams: CubeBeams<'_>| {
            make(name, &|group| Some(file(group.products).clone()), beams)
        };
        needed("image", &|products| &products.image, restored)?;
        needed("residual", &|products| &products.residual, fitted)?;
        needed("model", &|products| &products.model, CubeBeams::Unknown)?;
        needed("psf", &|products| &products.psf, fitted)?;
        make("pb", &|group| group.products.pb.clone(), CubeBeams::Unknown)?;
        make("image.pbcor", &|group| group.products.pbcor.clone(), restored)?;
        let mask = make("mask", &|group| group.mask_of_all_channels(), CubeBeams::Unknown)?;
        let files = MomentFiles { moment0: &path("moment0"), peak: &path("peak") };
        write_moments(&path("image"), mask.as_deref(), files)?;
        let channels = self.groups.iter().map(|group| group.channels.group.count).sum();
        tell(Level::Info, format!("{}: {channels} channels of {} groups", path("image").display(), self.groups.len()));
        Ok(CubeRecord {
            name: self.name.to_owned(),
            channels,
            image: path("image"),
            moment0: path("moment0"),
            peak: path("peak"),
            mask,
            imaged_again: again.iter().map(|again| again.channel).collect(),
        })
    }

    /// Removes the images of the groups; what was done stays in their journals.
    fn remove_images(&self) -> Result<()> {
        for group in self.groups.iter().chain(&self.again) {
            let layout = self.plan.layout_of(group.target);
            let mut files = vec![layout.part(group.round.id(), "image"), layout.final_folder()];
            files.push(layout.part(group.round.id(), "mask"));
            let mut journal = Journal::open(layout.journal())?;
            let removed = files.iter().flat_map(|folder| files_in(folder)).collect();
            journal.append(crate::campaign::journal::JournalEvent::Removed { files: removed })?;
            files.iter().try_for_each(|folder| fs::remove(folder))?;
        }
        Ok(())
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

impl Group<'_> {
    /// Its mask, where that has a plane for each channel.
    fn mask_of_all_channels(&self) -> Option<PathBuf> {
        let mask = self.round.mask.as_ref()?;
        let image = FitsImage::open(&mask.path).ok()?;
        (image.channels() >= self.offset + self.channels.group.count).then(|| mask.path.clone())
    }
}

impl Taken<'_> {
    fn part(&self, path: PathBuf) -> CubePart {
        CubePart { path, first: self.place, channels: self.count }
    }
}

/// The beam of each channel; `None`: there are none.
fn beams(all: &[Taken<'_>]) -> Result<Option<Vec<Beam>>> {
    let mut beams = Vec::new();
    for taken in all {
        let products = taken.from.products;
        let whole = FitsImage::open(&products.image)?;
        for channel in taken.place..taken.place + taken.count {
            // Of wsclean's cubes each channel has a file with its own beam.
            let beam = match products.channels.get(channel) {
                Some(own) => FitsImage::open(&own.image)?.plane_beam(0, 0)?,
                None => whole.plane_beam(0, channel)?,
            };
            beams.push(beam.unwrap_or(Beam { major_deg: 0.0, minor_deg: 0.0, pa_deg: 0.0 }));
        }
    }
    Ok(beams.iter().any(|beam| beam.major_deg > 0.0).then_some(beams))
}
