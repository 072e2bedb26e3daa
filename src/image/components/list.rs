//! Components from files: wsclean's lists, plain lists, and models as images.

use super::{Component, coordinate, number};
use crate::image::{Beam, FitsImage, Frame, ImageError, SkyPosition};
use std::path::Path;

/// The start of the first line of a list of wsclean.
const WSCLEAN: &str = "format";
/// What is expected of a file.
const EXPECTED: &str = "a component list of wsclean (`-save-source-list`), or lines of right ascension, declination and \
                        flux (`10h08m00.0s +07d30m16s 1.2`, or degrees and Jy)";

/// Components of a text file: the list that wsclean's `-save-source-list` writes (points and Gaussians; fluxes at the
/// reference frequency), or lines of right ascension, declination (ICRS) and flux in Jy.
///
/// # Errors
/// A file that cannot be read; a line that is not understood, with its number.
pub(crate) fn read_list(path: &Path) -> Result<Vec<Component>, ImageError> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| ImageError::Unreadable { path: path.to_path_buf(), reason: e.to_string() })?;
    parse(&text).map_err(|reason| ImageError::Unsuitable { path: path.to_path_buf(), reason })
}

fn parse(text: &str) -> Result<Vec<Component>, String> {
    let lines = || text.lines().enumerate().map(|(k, line)| (k + 1, line.trim()));
    let used = |line: &str| !line.is_empty() && !line.starts_with('#');
    let columns = lines().find(|(_, line)| used(line)).and_then(|(_, line)| Columns::of(line));
    let mut components = Vec::new();
    for (k, line) in lines().filter(|(_, line)| used(line)) {
        if Columns::of(line).is_some() {
            continue;
        }
        let component = match &columns {
            Some(columns) => columns.component(line),
            None => plain(line),
        };
        components.push(component.map_err(|e| format!("line {k}: {e}; expected is {EXPECTED}"))?);
    }
    if components.is_empty() { Err(format!("holds no component; expected is {EXPECTED}")) } else { Ok(components) }
}

fn plain(line: &str) -> Result<Component, String> {
    let words: Vec<&str> = line.split(|c: char| c == ',' || c.is_whitespace()).filter(|w| !w.is_empty()).collect();
    let [ra, dec, flux] = words[..] else { return Err(format!("`{line}` has {} words", words.len())) };
    Ok(Component { position: position(ra, dec)?, flux: number(flux)?, shape: None })
}

fn position(ra: &str, dec: &str) -> Result<SkyPosition, String> {
    let (lon_deg, lat_deg) = (coordinate(ra, true)?, coordinate(dec, false)?);
    if lat_deg.abs() > 90.0 {
        return Err(format!("the declination '{dec}' is beyond 90 degrees"));
    }
    Ok(SkyPosition { lon_deg: lon_deg.rem_euclid(360.0), lat_deg })
}

/// The columns of a list of wsclean, in lower case.
struct Columns(Vec<String>);

impl Columns {
    /// Those that a line `Format = Name, Type, Ra, ...` names.
    fn of(line: &str) -> Option<Self> {
        let lower = line.to_lowercase();
        let (first, rest) = lower.split_once('=')?;
        let name = |word: &str| word.split('=').next().unwrap_or_default().trim().to_owned();
        (first.trim() == WSCLEAN).then(|| Self(rest.split(',').map(name).collect()))
    }

    fn component(&self, line: &str) -> Result<Component, String> {
        let fields = fields(line);
        let field = |name: &str| {
            let at = self.0.iter().position(|column| column == name);
            at.and_then(|k| fields.get(k)).map(|f| f.trim()).filter(|f| !f.is_empty())
        };
        let needed = |name: &str| field(name).ok_or_else(|| format!("`{name}` is missing"));
        let position = position(needed("ra")?, needed("dec")?)?;
        let flux = number(needed("i")?)?;
        let shape = match field("type").map(str::to_uppercase).as_deref() {
            Some("GAUSSIAN") => Some(Beam {
                major_deg: number(needed("majoraxis")?)? / 3600.0,
                minor_deg: number(needed("minoraxis")?)? / 3600.0,
                pa_deg: field("orientation").map_or(Ok(0.0), number)?,
            }),
            Some("POINT") | None => None,
            Some(other) => return Err(format!("components of the type {other} are not supported")),
        };
        Ok(Component { position, flux, shape })
    }
}

/// The fields of a line: commas inside brackets do not count.
fn fields(line: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0_usize, 0, Vec::new());
    for (k, c) in line.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(&line[start..k]);
                start = k + 1;
            }
            _ => {}
        }
    }
    found.push(&line[start..]);
    found
}

/// The pixels of a model image (Jy/pixel) as points.
///
/// # Errors
/// An image that cannot be read, has several channels, or is no model.
pub(crate) fn read_model(path: &Path) -> Result<Vec<Component>, ImageError> {
    let unsuitable = |reason: String| ImageError::Unsuitable { path: path.to_path_buf(), reason };
    let mut image = FitsImage::open(path)?;
    if image.channels() > 1 {
        return Err(unsuitable(format!("has {} channels; a start model has one", image.channels())));
    }
    let unit = image.header().get("BUNIT").unwrap_or_default().to_uppercase();
    if unit.contains("BEAM") {
        return Err(unsuitable(format!("is an image in {unit}, not a model: a start model is in Jy/pixel")));
    }
    let (wcs, plane) = (image.wcs()?, image.read_plane(0, 0)?);
    let mut components = Vec::new();
    for ((y, x), &flux) in plane.indexed_iter().filter(|(_, v)| **v != 0.0 && v.is_finite()) {
        if let Some(position) = wcs.pixel_to_sky(x as f64, y as f64) {
            let position = position.in_frame(wcs.frame(), Frame::Icrs);
            components.push(Component { position, flux: f64::from(flux), shape: None });
        }
    }
    if components.is_empty() {
        Err(unsuitable("is empty: a start model has components".into()))
    } else {
        Ok(components)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_wsclean() {
        let text = "Format = Name, Type, Ra, Dec, I, SpectralIndex, LogarithmicSI, ReferenceFrequency='125584411.6', \
                    MajorAxis, MinorAxis, Orientation\n\
                    s0c0,POINT,08:28:05.152,39.35.08.511,0.5,[-0.007,-0.08],true,125584411.6,,,\n\
                    s1c1,GAUSSIAN,23:59:00,-00.30.00,1.5,[0.1],false,125584411.6,83.6,41.8,30\n";
        let components = parse(text).expect("a list");
        assert_eq!(components.len(), 2);
        let first = components[0];
        assert!((first.position.lon_deg - 127.021_466_7).abs() < 1e-6 && first.shape.is_none());
        assert!((first.position.lat_deg - 39.585_697_5).abs() < 1e-6 && first.flux == 0.5);
        let shape = components[1].shape.expect("a Gaussian");
        assert!((shape.major_deg * 3600.0 - 83.6).abs() < 1e-9 && shape.pa_deg == 30.0);
        assert!((components[1].position.lat_deg + 0.5).abs() < 1e-9);
    }

    #[test]
    fn plain_lists() {
        let components = parse("# a comment\n10h08m00.0s +07d30m00s 1.2\n\n152.5, 7.5, 0.3\n").expect("a list");
        let found: Vec<_> = components.iter().map(|c| (c.position.lon_deg, c.position.lat_deg, c.flux)).collect();
        assert_eq!(found, [(152.0, 7.5, 1.2), (152.5, 7.5, 0.3)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let wrong =
            |text: &str| parse(text).expect_err("wrong").split("; expected").next().unwrap_or_default().to_owned();
        let said = ["152 7", "152 97 1", "152 7 x", "# nothing", "Format = Ra, Dec, I, Type\n1,2,3,DISK"].map(wrong);
        insta::assert_snapshot!(said.join("\n"), @"
        line 1: `152 7` has 2 words
        line 1: the declination '97' is beyond 90 degrees
        line 1: 'x' is not a number
        holds no component
        line 2: components of the type DISK are not supported
        ");
    }
}
