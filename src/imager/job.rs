//! One imaging: its data, its folder, its final files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// One imaging: its data, and where the files go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImagingJob {
    /// The measurement sets that go into one image (usually one).
    pub measurement_sets: Vec<PathBuf>,
    /// Column to be imaged: `DATA` or `CORRECTED_DATA`, decided by the campaign's state.
    pub data_column: String,
    /// Folder that the imager may fill; its products end up there under the names of [`Products`].
    pub folder: PathBuf,
    /// Log file of the imager's output.
    pub log: PathBuf,
    /// Threads the imager may use.
    pub threads: usize,
    /// Memory it may use, GB; `None`: its own default.
    pub memory_gb: Option<f64>,
    /// Leave the final model in `MODEL_DATA` (the next calibration solves against it).
    pub update_model: bool,
    /// Solutions by direction that are applied while imaging; `None`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facets: Option<FacetFiles>,
}

/// Facets, and the solutions for each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FacetFiles {
    /// Region file of DS9 with a polygon for each facet.
    pub regions: PathBuf,
    /// Solutions (h5parm) with a direction for each facet, one file for each measurement set.
    pub solutions: Vec<PathBuf>,
    /// Names of the solution tables that are applied, e.g. `amplitude000` and `phase000`.
    pub terms: Vec<String>,
}

impl FacetFiles {
    /// All files.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.regions.as_path()).chain(self.solutions.iter().map(PathBuf::as_path))
    }

    /// The facets with the solutions of one of several measurement sets, by its number.
    #[must_use]
    pub fn of_member(&self, member: usize) -> Self {
        Self { solutions: self.solutions.get(member).cloned().into_iter().collect(), ..self.clone() }
    }

    /// Number of facets: of polygons in the region file.
    ///
    /// # Errors
    /// The region file cannot be read.
    pub fn count(&self) -> std::io::Result<usize> {
        Ok(std::fs::read_to_string(&self.regions)?.lines().filter(|line| line.starts_with("polygon")).count())
    }
}

/// Names of the final files inside [`ImagingJob::folder`]; all are FITS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Products {
    /// Restored image, Jy/beam (`image.fits`).
    pub image: PathBuf,
    /// Residual, Jy/beam (`residual.fits`).
    pub residual: PathBuf,
    /// CLEAN components, Jy/pixel (`model.fits`).
    pub model: PathBuf,
    /// Point-spread function, unit peak (`psf.fits`).
    pub psf: PathBuf,
    /// Image before any cleaning (`dirty.fits`).
    pub dirty: Option<PathBuf>,
    /// Primary beam (`pb.fits`), where the imager makes one.
    pub pb: Option<PathBuf>,
    /// Image divided by the primary beam (`image.pbcor.fits`).
    pub pbcor: Option<PathBuf>,
    /// The output channels by themselves, in the order of frequency, where the imager makes them: beside the image of
    /// the whole band (joined channels), or as the planes that a cube was put together from.
    #[serde(default)]
    pub channels: Vec<ChannelProducts>,
}

impl Products {
    /// The products moved from one folder into another, where they take the place of those of the same names.
    ///
    /// # Errors
    /// A file cannot be moved.
    pub(crate) fn moved(&self, from: &Path, to: &Path) -> crate::Result<Self> {
        for entry in std::fs::read_dir(from).map_err(crate::Error::internal)? {
            let entry = entry.map_err(crate::Error::internal)?;
            if entry.path().is_file() {
                std::fs::rename(entry.path(), to.join(entry.file_name())).map_err(crate::Error::internal)?;
            }
        }
        crate::util::fs::remove(from)?;
        Self::in_folder(to).map(|there| Self { pb: None, pbcor: None, ..there }).map_err(|gone| {
            crate::Error::internal(std::io::Error::new(std::io::ErrorKind::NotFound, gone.display().to_string()))
        })
    }

    /// Images and cubes of single polarisations beside the image, where there are several: `image-Q.fits`,
    /// `image-Q-cube.fits`; sorted by name.
    pub(crate) fn of_polarisations(&self) -> Vec<PathBuf> {
        let is_one = |path: &PathBuf| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let mut words = stem.split('-');
            let kind = words.next().is_some_and(|kind| ["image", "residual", "model"].contains(&kind));
            let label = words.next().is_some_and(|label| matches!(label, "I" | "Q" | "U" | "V"));
            let rest: Vec<&str> = words.collect();
            kind && label && (rest.is_empty() || rest == ["cube"]) && path.extension().is_some_and(|e| e == "fits")
        };
        let folder = self.image.parent().unwrap_or(Path::new("."));
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut found: Vec<PathBuf> = files.filter(is_one).collect();
        found.sort();
        found
    }

    /// The products in a folder, by their names; those that are not always made only where they are there. The channels
    /// are those that have image, residual and model.
    ///
    /// # Errors
    /// A file that must be there and is not.
    pub(super) fn in_folder(folder: &Path) -> Result<Self, PathBuf> {
        let path = |name: &str| folder.join(format!("{name}.fits"));
        let needed = |name: &str| if path(name).is_file() { Ok(path(name)) } else { Err(path(name)) };
        let optional = |name: &str| Some(path(name)).filter(|p| p.is_file());
        let channel = |number: usize| {
            let named = |kind: &str| Some(path(&format!("{kind}-{number:04}"))).filter(|p| p.is_file());
            Some(ChannelProducts {
                image: named("image")?,
                residual: named("residual")?,
                model: named("model")?,
                psf: named("psf"),
            })
        };
        Ok(Self {
            image: needed("image")?,
            residual: needed("residual")?,
            model: needed("model")?,
            psf: needed("psf")?,
            dirty: optional("dirty"),
            pb: optional("pb"),
            pbcor: optional("image.pbcor"),
            channels: (0..).map_while(channel).collect(),
        })
    }
}

/// The files of one output channel (`image-0000.fits`, `residual-0000.fits`...).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelProducts {
    /// Restored image, Jy/beam.
    pub image: PathBuf,
    /// Residual, Jy/beam.
    pub residual: PathBuf,
    /// CLEAN components, Jy/pixel.
    pub model: PathBuf,
    /// Point-spread function, if each channel has one.
    pub psf: Option<PathBuf>,
}
