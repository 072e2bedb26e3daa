//! Size and pixel of the image that are left to the data: `size: auto`, `scale: auto` (`imsize`, `cell` of tclean).

use super::yaml::{Node, Value};

/// The word.
const AUTO: &str = "auto";
/// Keys that take it, each with a value that stands for it until the data are looked at.
const KEYS: [(&str, &str, Stand); 4] = [
    ("wsclean", "size", Stand::Side),
    ("wsclean", "scale", Stand::Pixel("1asec")),
    ("tclean", "imsize", Stand::Side),
    ("tclean", "cell", Stand::Pixel("1arcsec")),
];
/// Side that stands for the one that is chosen, pixels.
const SIDE: i64 = 1024;

#[derive(Clone, Copy)]
enum Stand {
    Side,
    Pixel(&'static str),
}

/// An option in `defaults` that is chosen from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Automatic {
    /// The mode.
    pub(crate) mode: &'static str,
    /// The option.
    pub(crate) key: &'static str,
    /// It is the side of the image; else the side of a pixel.
    pub(crate) side: bool,
}

/// Takes the automatic options out of the file, and leaves values that stand for them.
pub(super) fn take(tree: &mut Node) -> Vec<Automatic> {
    let mut found = Vec::new();
    for (mode, key, stand) in KEYS {
        let Some(node) = inner(tree, &["defaults", mode, key]) else { continue };
        if !matches!(&node.value, Value::Str(word) if word == AUTO) {
            continue;
        }
        node.value = match stand {
            Stand::Side => Value::Int(SIDE),
            Stand::Pixel(pixel) => Value::Str(pixel.to_owned()),
        };
        found.push(Automatic { mode, key, side: matches!(stand, Stand::Side) });
    }
    found
}

fn inner<'a>(node: &'a mut Node, path: &[&str]) -> Option<&'a mut Node> {
    let Some((first, rest)) = path.split_first() else { return Some(node) };
    match &mut node.value {
        Value::Map(entries) => inner(&mut entries.iter_mut().find(|entry| entry.key == *first)?.value, rest),
        _ => None,
    }
}
