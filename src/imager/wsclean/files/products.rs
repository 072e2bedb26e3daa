//! The final files of an imaging, under the names of products.

use super::folders::{link, rename};
use super::pieces::{CHANNEL_DIGITS, PREFIX, Piece, is_part, main_piece, pieces};
use super::planes::assemble;
use crate::imager::job::Products;
use crate::imager::wsclean::error::WscleanError;
use std::path::{Path, PathBuf};

/// Kinds of images of one imaging.
const KINDS: [&str; 5] = ["image", "residual", "model", "psf", "dirty"];

/// Gives the files of a finished run their names as products in `to` and returns them.
///
/// Every file is kept: `image.fits` is the whole band, `image-0003.fits` channel 3; with several polarisations each has
/// its label, and the first one's (Stokes I, if there is one) has the plain name, too; joined channels of each are also put
/// together as a cube, `image-Q-cube.fits`. For a `cube` (channels that are
/// not joined) the plain name is the cube of the channels, and the whole band's image is `image-MFS.fits`.
///
/// # Errors
/// A product is missing, or a file cannot be moved.
pub(crate) fn collect(from: &Path, to: &Path, cube: bool, log: &Path) -> Result<Products, WscleanError> {
    let list = pieces(from, PREFIX)?;
    let mains: Vec<_> = KINDS.map(|k| main_piece(&list, k).cloned()).into();
    for piece in &list {
        let mut name = piece.product_name();
        if cube && piece.whole_band {
            name = name.replacen(&piece.kind, &format!("{}-MFS", piece.kind), 1);
        }
        let is_main = !cube && mains.iter().flatten().any(|m| m.path == piece.path);
        if is_main && piece.polarisation.is_some() {
            link(&piece.path, &to.join(format!("{}.fits", piece.kind)))?;
        }
        rename(&piece.path, &to.join(name))?;
    }
    if !cube {
        polarisation_cubes(&list, to)?;
    }
    products(to, cube, log)
}

/// The products in a folder; the cubes of a `cube` are put together from its channels.
///
/// # Errors
/// A product is missing.
pub(crate) fn products(folder: &Path, cube: bool, log: &Path) -> Result<Products, WscleanError> {
    if cube {
        for kind in KINDS {
            let planes: Vec<_> =
                (0..number_of_channels(folder)).map(|channel| folder.join(channel_name(kind, channel))).collect();
            if !planes.is_empty() && planes.iter().all(|p| p.is_file()) {
                assemble(&planes, &folder.join(format!("{kind}.fits")))?;
            }
        }
    }
    let products = Products::in_folder(folder).map_err(|missing| WscleanError::no_product(missing, log))?;
    // Those of an earlier run are not this run's.
    Ok(Products { pb: None, pbcor: None, ..products })
}

/// Kinds of images of which each polarisation has a cube.
const CUBE_KINDS: [&str; 3] = ["image", "residual", "model"];

/// Puts the channels of each of several polarisations together.
fn polarisation_cubes(list: &[Piece], to: &Path) -> Result<(), WscleanError> {
    let mut labels: Vec<&String> = list.iter().filter_map(|piece| piece.polarisation.as_ref()).collect();
    labels.sort();
    labels.dedup();
    for (label, kind) in labels.iter().flat_map(|label| CUBE_KINDS.map(|kind| (*label, kind))) {
        let own = |p: &&Piece| p.kind == kind && p.polarisation.as_ref() == Some(label) && p.interval.is_none();
        let mut channels: Vec<_> =
            list.iter().filter(own).filter_map(|p| Some((p.channel?, p.product_name()))).collect();
        channels.sort();
        let planes: Vec<PathBuf> = channels.into_iter().map(|(_, name)| to.join(name)).collect();
        if planes.len() > 1 {
            assemble(&planes, &to.join(format!("{kind}-{label}-cube.fits")))?;
        }
    }
    Ok(())
}

fn number_of_channels(folder: &Path) -> usize {
    (0..).take_while(|channel| folder.join(channel_name("image", *channel)).is_file()).count()
}

/// Links a model among the products (and those of its channels and polarisations) under the names that `-predict`
/// reads; returns how many there are.
///
/// # Errors
/// A link fails.
pub(crate) fn link_models(model: &Path, to: &Path) -> Result<usize, WscleanError> {
    let stem = model.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let folder = model.parent().unwrap_or(Path::new("."));
    // A product is named kind-parts, a run's file prefix-parts-kind.
    let mut parts: Vec<(String, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let part = name.strip_prefix(&stem).and_then(|n| n.strip_prefix('-')).and_then(|n| n.strip_suffix(".fits"));
        if let Some(part) = part.filter(|p| p.split('-').all(is_part)) {
            parts.push((format!("{part}-"), entry.path()));
        }
    }
    if parts.is_empty() && model.is_file() {
        parts.push((String::new(), model.to_owned()));
    }
    for (part, path) in &parts {
        link(path, &to.join(format!("{PREFIX}-{part}model.fits")))?;
        // With facets wsclean predicts from the model that has their mean gains divided out.
        let own = part.strip_suffix('-').map_or_else(String::new, |part| format!("-{part}"));
        let flat = folder.join(format!("{stem}-pb{own}.fits"));
        if flat.is_file() {
            link(&flat, &to.join(format!("{PREFIX}-{part}model-pb.fits")))?;
        }
    }
    Ok(parts.len())
}

/// Name of a product of one channel.
pub(crate) fn channel_name(kind: &str, channel: usize) -> String {
    format!("{kind}-{channel:0CHANNEL_DIGITS$}.fits")
}

#[cfg(test)]
mod tests {
    use super::super::folders::make_folder;
    use super::super::planes::write_test_image as write;
    use super::*;
    use crate::image::FitsImage;

    #[test]
    fn a_joined_run_becomes_products() {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        make_folder(&run).expect("made");
        for kind in ["image", "residual", "model", "psf", "dirty"] {
            for part in ["MFS", "0000", "0001"] {
                write(&run, &format!("w-{part}-{kind}.fits"), if part == "MFS" { 9.0 } else { 1.0 }, 1e9);
            }
        }
        let products = collect(&run, folder.path(), false, Path::new("log")).expect("complete");
        assert_eq!(products.channels.len(), 2);
        assert!(products.channels[1].psf.as_ref().is_some_and(|p| p.ends_with("psf-0001.fits")));
        let mut image = FitsImage::open(&products.image).expect("image.fits");
        assert_eq!(image.read_plane(0, 0).expect("plane")[[0, 0]], 9.0);
        std::fs::remove_file(folder.path().join("model.fits")).expect("removed");
        let error = super::products(folder.path(), false, Path::new("log")).expect_err("no model");
        let missing = folder.path().join("model.fits");
        assert!(matches!(&error, WscleanError::NoProduct { path, .. } if *path == missing), "{error:?}");
    }

    #[test]
    fn each_of_joined_polarisations_has_a_cube() {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        make_folder(&run).expect("made");
        write(&run, "w-MFS-psf.fits", 1.0, 1e9);
        for (label, value) in [("Q", 1.0), ("U", 5.0)] {
            for kind in ["image", "residual", "model"] {
                write(&run, &format!("w-MFS-{label}-{kind}.fits"), 9.0, 1e9);
                for channel in 0..3u8 {
                    let hz = 1e9 + f64::from(channel) * 1e6;
                    write(&run, &format!("w-{channel:04}-{label}-{kind}.fits"), value + f32::from(channel), hz);
                }
            }
        }
        let products = collect(&run, folder.path(), false, Path::new("log")).expect("complete");
        let mut cube = FitsImage::open(folder.path().join("image-U-cube.fits")).expect("the cube of U");
        assert_eq!((cube.channels(), cube.read_plane(0, 2).expect("plane")[[0, 0]]), (3, 7.0));
        assert_eq!(cube.header().get_f64("CDELT3"), Some(1e6));
        let names = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside: Vec<String> = products.of_polarisations().iter().map(names).collect();
        let expected = ["image-Q-cube.fits", "image-Q.fits", "image-U-cube.fits", "image-U.fits", "model-Q-cube.fits"];
        assert_eq!(beside[..5], expected);
        assert_eq!(beside.len(), 12);
    }

    #[test]
    fn models_of_an_image_with_facets_are_predicted_with_their_other_half() {
        let folder = tempfile::tempdir().expect("folder");
        let to = folder.path().join("predict");
        make_folder(&to).expect("made");
        for name in ["model.fits", "model-pb.fits"] {
            write(folder.path(), name, 1.0, 1e9);
        }
        assert_eq!(link_models(&folder.path().join("model.fits"), &to).expect("linked"), 1);
        assert!(to.join("w-model.fits").is_file() && to.join("w-model-pb.fits").is_file());
        for name in ["model-0000.fits", "model-pb-0000.fits"] {
            write(folder.path(), name, 1.0, 1e9);
        }
        assert_eq!(link_models(&folder.path().join("model.fits"), &to).expect("linked"), 1);
        assert!(to.join("w-0000-model-pb.fits").is_file());
    }

    #[test]
    fn a_cube_is_put_together_from_its_channels() {
        let folder = tempfile::tempdir().expect("folder");
        let run = folder.path().join("run");
        make_folder(&run).expect("made");
        for kind in ["image", "residual", "model", "psf"] {
            for (part, value, hz) in [("MFS", 9.0, 2e9), ("0000", 1.0, 1e9), ("0001", 2.0, 2e9), ("0002", 3.0, 3e9)] {
                write(&run, &format!("w-{part}-{kind}.fits"), value, hz);
            }
        }
        let products = collect(&run, folder.path(), true, Path::new("log")).expect("complete");
        let mut cube = FitsImage::open(&products.image).expect("the cube");
        assert_eq!((cube.channels(), cube.polarisations()), (3, 1));
        assert_eq!(cube.read_plane(0, 2).expect("plane")[[0, 0]], 3.0);
        assert_eq!((cube.header().get_f64("CRVAL3"), cube.header().get_f64("CDELT3")), (Some(1e9), Some(1e9)));
        assert!(folder.path().join("image-MFS.fits").is_file() && products.dirty.is_none());
    }
}
