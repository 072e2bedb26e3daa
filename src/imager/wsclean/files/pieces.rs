//! Files of a run of wsclean by their names.

use super::folders::link;
use crate::imager::wsclean::error::WscleanError;
use std::path::{Path, PathBuf};

/// Prefix (`-name`) of wsclean's files inside our folders.
pub(crate) const PREFIX: &str = "w";
/// Prefix of the files that `-reuse-dirty` reads.
pub(crate) const REUSED: &str = "d";
/// Output channels are numbered with at least this many digits.
pub(crate) const CHANNEL_DIGITS: usize = 4;

/// One file of a run: `w-0003-I-image.fits` is channel 3, polarisation I, kind `image`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Channel number; `None`: the only one, or the whole band.
    pub(crate) channel: Option<usize>,
    /// The image of the whole band beside those of the channels.
    pub(crate) whole_band: bool,
    /// Polarisation, where there are several.
    pub(crate) polarisation: Option<String>,
    /// Interval (`t0003`), where there are several.
    pub(crate) interval: Option<String>,
    /// `image`, `residual`, `model`, `psf`, `dirty`...
    pub(crate) kind: String,
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
    pub(super) fn product_name(&self) -> String {
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

/// Whether a word makes a file one of several: a channel, a polarisation, an interval.
pub(super) fn is_part(word: &str) -> bool {
    is_number(word) || is_polarisation(word) || word.strip_prefix('t').is_some_and(is_number)
}

fn is_polarisation(word: &str) -> bool {
    matches!(
        word.strip_suffix('i').unwrap_or(word),
        "I" | "Q" | "U" | "V" | "XX" | "XY" | "YX" | "YY" | "RR" | "RL" | "LR" | "LL"
    )
}

/// The files of a run, sorted by name.
pub(crate) fn pieces(folder: &Path, prefix: &str) -> Result<Vec<Piece>, WscleanError> {
    let fail = |reason| WscleanError::Files { path: folder.to_owned(), action: "listed", reason };
    let mut list = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        list.extend(Piece::parse(&entry.map_err(fail)?.path(), prefix));
    }
    list.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(list)
}

/// The file of this kind that stands for the run: of the whole band, and of Stokes I or the first polarisation.
pub(crate) fn main_piece<'a>(pieces: &'a [Piece], kind: &str) -> Option<&'a Piece> {
    let rank = |p: &Piece| {
        let polarisation = p.polarisation.as_deref().map_or(0, |p| if p == "I" { 0 } else { 1 });
        (!p.whole_band, p.channel, polarisation, p.interval.clone())
    };
    pieces.iter().filter(|p| p.kind == kind && p.extension == "fits").min_by_key(|p| rank(p))
}

/// Links every file of `kind` under the prefix and kind of another run.
pub(crate) fn link_pieces(
    list: &[Piece],
    kind: &str,
    to: &Path,
    prefix: &str,
    new_kind: &str,
) -> Result<usize, WscleanError> {
    let chosen: Vec<_> = list.iter().filter(|p| p.kind == kind && p.extension == "fits").collect();
    for piece in &chosen {
        link(&piece.path, &to.join(piece.run_name(prefix, new_kind)))?;
    }
    Ok(chosen.len())
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
