//! The end of a final imaging: its products in its own folder; those of a cube that was imaged in groups are put together.

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
    plan.cubes().map(|(name, _)| Groups::of(plan, of, name, records)?.assembled(tell)).collect()
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

/// The groups of one cube, in the order of their channels.
struct Groups<'a> {
    plan: &'a Plan,
    of: &'a FinalOf,
    name: &'a str,
    folder: PathBuf,
    groups: Vec<Group<'a>>,
}

impl<'a> Groups<'a> {
    fn of(plan: &'a Plan, of: &'a FinalOf, name: &'a str, records: &'a [DatasetRecord]) -> Result<Self> {
        let several = plan.targets.iter().any(|t| t.channels.as_ref().is_some_and(|channels| channels.target != name));
        let mut groups = Vec::new();
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
            groups.push(Group { target, channels, round, products, offset });
        }
        groups.sort_by_key(|group| group.channels.group.first);
        let folder = if several { plan.output.join(name) } else { plan.output.clone() };
        Ok(Self { plan, of, name, folder, groups })
    }

    /// The cube's products, put together unless that is done.
    fn assembled(&self, tell: Tell<'_>) -> Result<CubeRecord> {
        let keys = self.groups.iter().map(|g| {
            let journal = self.plan.layout_of(g.target).journal();
            Journal::last_done_key(&journal, StepId::FINISH).map(|key| key.to_string())
        });
        let key = plan::hash(&(keys.collect::<Vec<_>>(), self.of.imaging.restoringbeam));
        let about = self.folder.join(ABOUT);
        let known = std::fs::read(&about).ok().and_then(|b| serde_json::from_slice::<CubeFile>(&b).ok());
        if let Some(known) = known.filter(|known| known.key == key && known.cube.image.is_file()) {
            return Ok(known.cube);
        }
        fs::make(&self.folder)?;
        let cube = self.assemble(tell)?;
        let json = serde_json::to_vec(&CubeFile { key, cube: cube.clone() }).map_err(Error::internal)?;
        fs::write_atomically(&about, &json)?;
        if self.of.imaging.remove_groups {
            self.remove_images()?;
        }
        Ok(cube)
    }

    fn assemble(&self, tell: Tell<'_>) -> Result<CubeRecord> {
        let beams = self.beams()?;
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
            let parts: Option<Vec<CubePart>> = self.groups.iter().map(|group| Some(group.part(file(group)?))).collect();
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
        })
    }

    /// The beam of each channel; `None`: there are none.
    fn beams(&self) -> Result<Option<Vec<Beam>>> {
        let mut beams = Vec::new();
        for group in &self.groups {
            let whole = FitsImage::open(&group.products.image)?;
            for channel in (0..group.channels.group.count).map(|channel| channel + group.offset) {
                // Of wsclean's cubes each channel has a file with its own beam.
                let beam = match group.products.channels.get(channel) {
                    Some(own) => FitsImage::open(&own.image)?.plane_beam(0, 0)?,
                    None => whole.plane_beam(0, channel)?,
                };
                beams.push(beam.unwrap_or(Beam { major_deg: 0.0, minor_deg: 0.0, pa_deg: 0.0 }));
            }
        }
        Ok(beams.iter().any(|beam| beam.major_deg > 0.0).then_some(beams))
    }

    /// Removes the images of the groups; what was done stays in their journals.
    fn remove_images(&self) -> Result<()> {
        for group in &self.groups {
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
    fn part(&self, path: PathBuf) -> CubePart {
        CubePart { path, first: self.offset, channels: self.channels.group.count }
    }

    /// Its mask, where that has a plane for each channel.
    fn mask_of_all_channels(&self) -> Option<PathBuf> {
        let mask = self.round.mask.as_ref()?;
        let image = FitsImage::open(&mask.path).ok()?;
        (image.channels() >= self.offset + self.channels.group.count).then(|| mask.path.clone())
    }
}
