//! Checks before anything is computed: data, disk, masks.

use super::error::WscleanError;
use super::files::memory;
use super::imaging::Imaging;
use crate::image::FitsImage;
use crate::measurement_set::has_column;
use crate::util::disk;
use std::path::Path;

/// FITS files that a run leaves for each output channel: image, residual, model, psf, dirty.
const FILES_OF_A_RUN: f64 = 5.0;
/// Bytes of a pixel in wsclean's images, in memory and on disk.
pub(crate) const PIXEL_BYTES: f64 = 4.0;

/// The measurement sets are there, and have the column to be imaged.
pub(crate) fn data(imaging: &Imaging) -> Result<(), WscleanError> {
    for path in &imaging.job.measurement_sets {
        if !path.join("table.dat").is_file() {
            return Err(WscleanError::NoMeasurementSet { path: path.clone(), exists: path.exists() });
        }
        let column = &imaging.job.data_column;
        if has_column(path, column) == Some(false) {
            return Err(WscleanError::NoColumn { path: path.clone(), column: column.clone() });
        }
    }
    Ok(())
}

/// Facets that wsclean 3.1 can image with: several, with a file of solutions for each measurement set, on one image.
pub(crate) fn facets(imaging: &Imaging) -> Result<(), WscleanError> {
    let Some(facets) = &imaging.job.facets else { return Ok(()) };
    let refuse = |option: &str, reason: String| Err(WscleanError::bad_value(option, reason));
    if let Some(gone) = facets.all().find(|path| !path.is_file()) {
        return refuse("facets", format!("{}: not found", gone.display()));
    }
    let count = facets.count().map_err(WscleanError::files(&facets.regions, "read"))?;
    if count < 2 {
        // Of a single facet wsclean 3.1 makes a wrong image: its dynamic range was 54 instead of 665.
        return refuse(
            "facets",
            format!("{}: it has {count} facet(s), at least two are needed", facets.regions.display()),
        );
    }
    let (files, sets) = (facets.solutions.len(), imaging.job.measurement_sets.len());
    if files != sets {
        return refuse(
            "facets",
            format!("{files} file(s) of solutions for {sets} measurement set(s): one each is needed"),
        );
    }
    if imaging.options.is_cube() {
        return refuse(
            "join_channels",
            "facets are imaged as one image: with them, channels must be joined".to_owned(),
        );
    }
    if imaging.options.save_source_list {
        let reason = "wsclean cannot save the list of components with facets and their solutions: leave it out";
        return refuse("save_source_list", reason.to_owned());
    }
    Ok(())
}

/// The image holds numbers: with solutions that are no number or have no weight wsclean makes NaN of a facet, or of the
/// image, and ends without an error.
pub(crate) fn numbers(image: &Path, log: &Path) -> Result<(), WscleanError> {
    let plane = FitsImage::open(image)?.read_plane(0, 0)?;
    let bad = plane.iter().filter(|value| !value.is_finite()).count();
    if bad == 0 {
        return Ok(());
    }
    let (path, log, pixels) = (image.to_owned(), log.to_owned(), plane.len());
    Err(WscleanError::NotNumbers { path, bad, pixels, log })
}

/// There is room for the images and for wsclean's temporary files. Folders of processes that are gone make way first.
pub(crate) fn room(imaging: &Imaging) -> Result<(), WscleanError> {
    memory::remove_stale();
    let images = (imaging.options.channels_out.max(1) + 1) as f64 * FILES_OF_A_RUN;
    let image_bytes = images * (imaging.options.size as f64).powi(2) * PIXEL_BYTES;
    // While it runs, the last products and those under way are there together.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Not negative, far below 2^64.
    let needed = (2.0 * image_bytes) as u64;
    disk::check_room(&imaging.job.folder, needed, "wsclean's images", "choose another output")?;
    let temporary = imaging.temporary()?;
    let data: u64 = imaging.job.measurement_sets.iter().map(|m| disk::size_of(m)).sum();
    let cure = "name a larger folder in wsclean's option `temp_dir`";
    Ok(disk::check_room(temporary.path(), data, "wsclean's reordered visibilities", cure)?)
}

/// Planes of a mask, which must fit the image.
pub(crate) fn mask(imaging: &Imaging, path: &Path) -> Result<usize, WscleanError> {
    let image = FitsImage::open(path)?;
    let (ny, nx) = image.plane_shape();
    let size = imaging.options.size;
    if nx as u64 != size || ny as u64 != size {
        return Err(WscleanError::MaskSize { path: path.to_owned(), found_x: nx, found_y: ny, size });
    }
    let (found, expected) = (image.channels(), imaging.options.planes());
    if found != 1 && found != expected {
        return Err(WscleanError::MaskPlanes { path: path.to_owned(), found, expected });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Header, PixelType, write_plane};
    use crate::imager::context::ImagerContext;
    use crate::imager::job::{FacetFiles, ImagingJob};
    use ndarray::Array2;
    use serde_json::{Value, json};

    /// An imaging of so many measurement sets and files of solutions with so many facets.
    fn imaging(folder: &Path, (sets, files, count): (usize, usize, usize), options: Value) -> Imaging {
        let regions = folder.join("facets.reg");
        std::fs::write(&regions, "polygon(0,0,1,0,1,1)\npoint(0.5,0.5)\n".repeat(count)).expect("written");
        let solutions: Vec<_> = (0..files).map(|n| folder.join(format!("solutions-{n}.h5"))).collect();
        solutions.iter().for_each(|path| std::fs::write(path, "").expect("written"));
        let job = ImagingJob {
            measurement_sets: vec![folder.join("a.ms"); sets],
            data_column: "DATA".into(),
            folder: folder.to_owned(),
            log: folder.join("log"),
            threads: 1,
            memory_gb: None,
            update_model: true,
            facets: Some(FacetFiles { regions, solutions, terms: vec!["phase000".into()] }),
        };
        let options = serde_json::from_value(options).expect("options");
        // Nothing is run.
        let context = ImagerContext { executable: vec!["no such program".into()], ..ImagerContext::default() };
        Imaging::new(job, options, context)
    }

    #[test]
    fn what_wsclean_would_image_wrongly_by_direction_is_refused() {
        let folder = tempfile::tempdir().expect("folder");
        let said = |numbers, options| facets(&imaging(folder.path(), numbers, options)).map_err(|e| e.to_string());
        assert_eq!(said((2, 2, 5), json!({"channels_out": 4, "join_channels": true})), Ok(()));
        let wrong = |numbers, options| said(numbers, options).expect_err("refused");
        assert!(wrong((1, 1, 1), json!({})).contains("it has 1 facet(s), at least two are needed"));
        assert!(wrong((2, 1, 5), json!({})).contains("1 file(s) of solutions for 2 measurement set(s)"));
        assert!(
            wrong((1, 1, 5), json!({"channels_out": 4, "join_channels": false})).contains("channels must be joined")
        );
        assert!(wrong((1, 1, 5), json!({"save_source_list": true})).contains("cannot save the list of components"));
        let mut gone = imaging(folder.path(), (1, 1, 5), json!({}));
        gone.job.facets.as_mut().expect("facets").solutions[0] = folder.path().join("gone.h5");
        assert!(facets(&gone).expect_err("refused").to_string().contains("gone.h5: not found"));
    }

    #[test]
    fn an_image_of_nan_is_an_error() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("image.fits");
        let written = |value: f32| {
            let mut plane = Array2::<f32>::zeros((8, 8));
            plane[[3, 4]] = value;
            write_plane(&path, plane.view(), PixelType::F32, &Header::default(), 4).expect("written");
            numbers(&path, Path::new("log")).map_err(|e| e.to_string())
        };
        assert_eq!(written(1.0), Ok(()));
        assert!(written(f32::NAN).expect_err("refused").contains("image.fits"));
    }
}
