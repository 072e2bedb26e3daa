//! wsclean's files: their names, hard links instead of copies, and cubes put together from channels.

use super::error::WscleanError;
use crate::image::{FitsImage, Header, PixelType, PlaneWriter, is_masked};
use crate::imager::{ChannelProducts, Products};
use ndarray::Array2;
use std::path::{Path, PathBuf};

/// Prefix (`-name`) of wsclean's files inside our folders.
pub const PREFIX: &str = "w";
/// Prefix of the files that `-reuse-dirty` reads.
pub const REUSED: &str = "d";
/// Output channels are numbered with at least this many digits.
const CHANNEL_DIGITS: usize = 4;

/// One file of a run: `w-0003-I-image.fits` is channel 3, polarisation I, kind `image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it is.
    pub path: PathBuf,
    /// Channel number; `None`: the only one, or the whole band.
    pub channel: Option<usize>,
    /// The image of the whole band beside those of the channels.
    pub whole_band: bool,
    /// Polarisation, where there are several.
    pub polarisation: Option<String>,
    /// Interval (`t0003`), where there are several.
    pub interval: Option<String>,
    /// `image`, `residual`, `model`, `psf`, `dirty`...
    pub kind: String,
    extension: String,
}

impl Piece {
    fn parse(path: &Path, prefix: &str) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (stem, extension) = name.strip_prefix(prefix)?.strip_prefix('-')?.rsplit_once('.')?;
        let mut piece = Self {
            path: path.to_owned(),
            channel: None,
            whole_band: false,
            polarisation: None,
            interval: None,
            kind: String::new(),
            extension: extension.to_owned(),
        };
        let mut words = stem.split('-').peekable();
        while let Some(word) = words.peek() {
            if *word == "MFS" {
                piece.whole_band = true;
            } else if is_number(word) {
                piece.channel = word.parse().ok();
            } else if word.strip_prefix('t').is_some_and(is_number) {
                piece.interval = Some((*word).to_owned());
            } else if is_polarisation(word) {
                piece.polarisation = Some((*word).to_owned());
            } else {
                break;
            }
            words.next();
        }
        piece.kind = words.collect::<Vec<_>>().join("-");
        (!piece.kind.is_empty()).then_some(piece)
    }

    /// Its name among the products: the kind, then what it is a part of.
    fn product_name(&self) -> String {
        let channel = self.channel.map(|c| format!("{c:0CHANNEL_DIGITS$}"));
        let parts = [Some(self.kind.clone()), channel, self.polarisation.clone(), self.interval.clone()];
        format!("{}.{}", parts.into_iter().flatten().collect::<Vec<_>>().join("-"), self.extension)
    }

    /// Its name for another run with the prefix `prefix` and another kind.
    fn run_name(&self, prefix: &str, kind: &str) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let own = name.split_once('-').map_or("", |(_, rest)| rest);
        let middle = own.strip_suffix(&format!("{}.{}", self.kind, self.extension)).unwrap_or("");
        format!("{prefix}-{middle}{kind}.{}", self.extension)
    }
}

fn is_number(word: &str) -> bool {
    word.len() >= CHANNEL_DIGITS && word.bytes().all(|b| b.is_ascii_digit())
}

/// What makes a file one of several: a channel, a polarisation, an interval.
fn is_part(word: &str) -> bool {
    is_number(word) || is_polarisation(word) || word.strip_prefix('t').is_some_and(is_number)
}

fn is_polarisation(word: &str) -> bool {
    matches!(
        word.strip_suffix('i').unwrap_or(word),
        "I" | "Q" | "U" | "V" | "XX" | "XY" | "YX" | "YY" | "RR" | "RL" | "LR" | "LL"
    )
}

/// The files of a run, sorted by name.
pub fn pieces(folder: &Path, prefix: &str) -> Result<Vec<Piece>, WscleanError> {
    let fail = |reason| WscleanError::Files { path: folder.to_owned(), action: "listed", reason };
    let mut list = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        list.extend(Piece::parse(&entry.map_err(fail)?.path(), prefix));
    }
    list.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(list)
}

/// The file of this kind that stands for the run: of the whole band, and of Stokes I or the first polarisation.
pub fn main_piece<'a>(pieces: &'a [Piece], kind: &str) -> Option<&'a Piece> {
    let rank = |p: &Piece| {
        let polarisation = p.polarisation.as_deref().map_or(0, |p| if p == "I" { 0 } else { 1 });
        (!p.whole_band, p.channel, polarisation, p.interval.clone())
    };
    pieces.iter().filter(|p| p.kind == kind && p.extension == "fits").min_by_key(|p| rank(p))
}

/// A hard link, or a copy where the file system has none; an older file of that name goes.
pub fn link(from: &Path, to: &Path) -> Result<(), WscleanError> {
    let fail = |reason| WscleanError::Files { path: to.to_owned(), action: "linked", reason };
    match std::fs::remove_file(to) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
        _ => {}
    }
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop)).map_err(fail)
}

/// Links every file of `kind` under the prefix and kind of another run.
pub fn link_pieces(list: &[Piece], kind: &str, to: &Path, prefix: &str, new_kind: &str) -> Result<usize, WscleanError> {
    let chosen: Vec<_> = list.iter().filter(|p| p.kind == kind && p.extension == "fits").collect();
    for piece in &chosen {
        link(&piece.path, &to.join(piece.run_name(prefix, new_kind)))?;
    }
    Ok(chosen.len())
}

/// Makes the folder and its parents.
pub fn make_folder(path: &Path) -> Result<(), WscleanError> {
    std::fs::create_dir_all(path).map_err(|reason| WscleanError::Files {
        path: path.to_owned(),
        action: "made",
        reason,
    })
}

/// Makes the folder afresh.
pub fn fresh_folder(path: &Path) -> Result<(), WscleanError> {
    remove_folder(path)?;
    make_folder(path)
}

/// Removes the folder with everything in it, if it is there.
pub fn remove_folder(path: &Path) -> Result<(), WscleanError> {
    match std::fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(WscleanError::Files { path: path.to_owned(), action: "removed", reason: e })
        }
        _ => Ok(()),
    }
}

/// Renames a file or folder.
pub fn rename(from: &Path, to: &Path) -> Result<(), WscleanError> {
    std::fs::rename(from, to).map_err(|reason| WscleanError::Files { path: to.to_owned(), action: "renamed", reason })
}

/// Gives the files of a finished run their names as products in `to` and returns them.
///
/// Every file is kept: `image.fits` is the whole band, `image-0003.fits` channel 3; with several polarisations each has
/// its label, and the first one's (Stokes I, if there is one) has the plain name, too. For a `cube` (channels that are
/// not joined) the plain name is the cube of the channels, and the whole band's image is `image-MFS.fits`.
///
/// # Errors
/// A product is missing, or a file cannot be moved.
pub fn collect(from: &Path, to: &Path, cube: bool, log: &Path) -> Result<Products, WscleanError> {
    let list = pieces(from, PREFIX)?;
    let mains: Vec<_> = ["image", "residual", "model", "psf", "dirty"].map(|k| main_piece(&list, k).cloned()).into();
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
    products(to, cube, log)
}

/// The products in a folder; the cubes of a `cube` are put together from its channels.
///
/// # Errors
/// A product is missing.
pub fn products(folder: &Path, cube: bool, log: &Path) -> Result<Products, WscleanError> {
    let mut channels = Vec::new();
    loop {
        let named = |kind: &str| folder.join(format!("{kind}-{:0CHANNEL_DIGITS$}.fits", channels.len()));
        if !named("image").is_file() {
            break;
        }
        let psf = Some(named("psf")).filter(|p| p.is_file());
        channels.push(ChannelProducts {
            image: named("image"),
            residual: named("residual"),
            model: named("model"),
            psf,
        });
    }
    let named = |kind: &str| folder.join(format!("{kind}.fits"));
    if cube {
        for kind in ["image", "residual", "model", "psf", "dirty"] {
            let planes: Vec<_> =
                (0..channels.len()).map(|c| folder.join(format!("{kind}-{c:0CHANNEL_DIGITS$}.fits"))).collect();
            if !planes.is_empty() && planes.iter().all(|p| p.is_file()) {
                assemble(&planes, &named(kind))?;
            }
        }
    }
    let found = |path: PathBuf| {
        if path.is_file() { Ok(path) } else { Err(WscleanError::NoProduct { path, log: log.to_owned() }) }
    };
    Ok(Products {
        image: found(named("image"))?,
        residual: found(named("residual"))?,
        model: found(named("model"))?,
        psf: found(named("psf"))?,
        dirty: Some(named("dirty")).filter(|p| p.is_file()),
        pb: None,
        pbcor: None,
        channels,
    })
}

/// Links a model among the products (and those of its channels and polarisations) under the names that `-predict`
/// reads; returns how many there are.
///
/// # Errors
/// A link fails.
pub fn link_models(model: &Path, to: &Path) -> Result<usize, WscleanError> {
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
    }
    Ok(parts.len())
}

/// Name of a product of one channel.
pub fn channel_name(kind: &str, channel: usize) -> String {
    format!("{kind}-{channel:0CHANNEL_DIGITS$}.fits")
}

/// Puts planes together as one cube [channel, y, x], in their order, plane by plane.
///
/// The header is that of the middle plane (its beam, too) with the frequency axis of all of them.
///
/// # Errors
/// A plane cannot be read, or has another size than the first.
pub fn assemble(planes: &[PathBuf], cube: &Path) -> Result<(), WscleanError> {
    let frequency = |image: &FitsImage| image.header().get_f64("CRVAL3");
    let first = FitsImage::open(&planes[0])?;
    let (ny, nx) = first.plane_shape();
    let mut header: Header = FitsImage::open(&planes[planes.len() / 2])?.header().clone();
    if let Some(start) = frequency(&first) {
        header.set_f64("CRVAL3", start);
        if planes.len() > 1
            && let Some(end) = frequency(&FitsImage::open(&planes[planes.len() - 1])?)
        {
            header.set_f64("CDELT3", (end - start) / (planes.len() - 1) as f64);
        }
    }
    let mut writer = PlaneWriter::create(cube, &[nx, ny, planes.len(), 1], PixelType::F32, &header, false)?;
    for (index, path) in planes.iter().enumerate() {
        let mut image = FitsImage::open(path)?;
        if image.plane_shape() != (ny, nx) {
            return Err(crate::image::ImageError::ShapesDiffer {
                left: planes[0].clone(),
                left_shape: (ny, nx),
                right: path.clone(),
                right_shape: image.plane_shape(),
            }
            .into());
        }
        writer.write_plane(index, image.read_plane(0, 0)?.view())?;
    }
    writer.finish()?;
    Ok(())
}

/// Writes an empty model for this image: what cleaning nothing leaves.
///
/// # Errors
/// The image cannot be read, the model not written.
pub fn empty_model(image: &Path, model: &Path) -> Result<(), WscleanError> {
    let like = FitsImage::open(image)?;
    let mut header = like.header().clone();
    header.set_str("BUNIT", "JY/PIXEL");
    let mut writer = PlaneWriter::create(model, like.axes(), PixelType::F32, &header, false)?;
    let zeros = Array2::<f32>::zeros(like.plane_shape());
    for index in 0..like.axes()[2..].iter().product::<usize>() {
        writer.write_plane(index, zeros.view())?;
    }
    writer.finish()?;
    Ok(())
}

/// A copy, whole at once.
///
/// # Errors
/// The file cannot be read or the copy not written.
pub fn copy(from: &Path, to: &Path) -> Result<(), WscleanError> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let aside = to.with_file_name(format!(".{}.{name}", std::process::id()));
    std::fs::copy(from, &aside).map_err(|reason| WscleanError::Files {
        path: from.to_owned(),
        action: "copied",
        reason,
    })?;
    rename(&aside, to)
}

/// Divides an image by a primary beam, plane by plane; no data where the beam is below `limit` or no data itself. The
/// beam has a plane for each channel, or one for all; every polarisation is divided by its first one.
///
/// # Errors
/// A file cannot be read or written, or the sizes differ.
pub fn divide(image: &Path, beam: &Path, limit: f64, quotient: &Path) -> Result<(), WscleanError> {
    let mut image = FitsImage::open(image)?;
    let mut beam = image.companion(beam)?;
    let mut writer = PlaneWriter::create(quotient, image.axes(), PixelType::F32, image.header(), false)?;
    for channel in 0..image.channels() {
        let by = beam.read_matching(0, channel)?;
        for polarisation in 0..image.polarisations() {
            let mut plane = image.read_plane(polarisation, channel)?;
            // A NaN compares as false, and so gives no data.
            plane.zip_mut_with(&by, |v, &b| *v = if f64::from(b) >= limit { *v / b } else { f32::NAN });
            writer.write_plane(image.plane_index(polarisation, channel), plane.view())?;
        }
    }
    writer.finish()?;
    Ok(())
}

/// Writes one plane of a mask cube as a mask of its own.
///
/// # Errors
/// The cube cannot be read, the plane not written.
pub fn mask_plane(cube: &Path, channel: usize, to: &Path) -> Result<(), WscleanError> {
    let mut image = FitsImage::open(cube)?;
    // A NaN is no data, and nothing is cleaned there.
    let plane = image.read_plane(0, channel)?.mapv(|v| u8::from(is_masked(v)));
    // wsclean looks at the size alone, but refuses half a header (a frequency axis without its value).
    crate::image::write_plane(to, plane.view(), PixelType::U8, &Header::default(), 2)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use rstest::rstest;

    #[rstest]
    #[case("w-image.fits", "image.fits")]
    #[case("w-MFS-image.fits", "image.fits")]
    #[case("w-0012-residual.fits", "residual-0012.fits")]
    #[case("w-MFS-Q-image.fits", "image-Q.fits")]
    #[case("w-0003-XYi-model.fits", "model-0003-XYi.fits")]
    #[case("w-t0001-image-pb.fits", "image-pb-t0001.fits")]
    #[case("w-sources.txt", "sources.txt")]
    fn names(#[case] run: &str, #[case] product: &str) {
        let piece = Piece::parse(Path::new(run), "w").expect("a file of the run");
        assert_eq!(piece.product_name(), product);
        assert_eq!(piece.run_name("w", &piece.kind), run);
    }

    #[test]
    fn links_keep_what_a_run_is_part_of() {
        let piece = Piece::parse(Path::new("x/w-0003-I-residual.fits"), "w").expect("a file of the run");
        assert_eq!(piece.run_name("d", "dirty"), "d-0003-I-dirty.fits");
        assert_eq!(Piece::parse(Path::new("other-image.fits"), "w"), None);
        assert_eq!(Piece::parse(Path::new("wide-image.fits"), "w"), None);
    }

    fn write(folder: &Path, name: &str, value: f32, frequency: f64) -> PathBuf {
        let mut header = Header::default();
        header.set_str("CTYPE3", "FREQ");
        header.set_f64("CRVAL3", frequency);
        header.set_f64("BMAJ", 0.001 * f64::from(value));
        header.set_f64("BMIN", 0.0005);
        let path = folder.join(name);
        crate::image::write_plane(&path, array![[value, 0.0, 2.0]].view(), PixelType::F32, &header, 4)
            .expect("written");
        path
    }

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
        let error = super::products(folder.path(), false, Path::new("log")).expect_err("no model").to_string();
        assert!(error.contains("made no") && error.contains("model.fits"), "{error}");
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

    #[test]
    fn empty_models_and_mask_planes() {
        let folder = tempfile::tempdir().expect("folder");
        let image = write(folder.path(), "a.fits", f32::NAN, 1e9);
        empty_model(&image, &folder.path().join("m.fits")).expect("written");
        let mut model = FitsImage::open(folder.path().join("m.fits")).expect("model");
        assert!(model.read_plane(0, 0).expect("plane").iter().all(|v| *v == 0.0));
        assert_eq!(model.header().get("BUNIT").as_deref(), Some("JY/PIXEL"));
        mask_plane(&image, 0, &folder.path().join("mask.fits")).expect("written");
        let mut mask = FitsImage::open(folder.path().join("mask.fits")).expect("mask");
        assert_eq!(mask.read_plane(0, 0).expect("plane"), array![[0.0, 0.0, 1.0]], "NaN is no data");
        assert_eq!(mask.bitpix(), 8);
    }
}
