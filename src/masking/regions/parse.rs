//! DS9 region files and CASA region text files.

use super::{Length, Region, RegionError, RegionPlace, Shape};
use crate::image::components::{coordinate, number};
use crate::image::{Frame, SkyPosition};
use std::path::Path;

/// Shapes that cover no pixel: read and left out.
const WITHOUT_AREA: [&str; 11] =
    ["point", "line", "vector", "text", "symbol", "ruler", "compass", "projection", "segment", "composite", "tile"];

/// The meaning of a coordinate system's name.
#[derive(Debug, Clone, Copy, PartialEq)]
enum System {
    Pixel,
    Sky(Frame),
}

impl System {
    /// `None` for words that are no coordinate system, an error for those that are not supported.
    fn from_word(word: &str) -> Option<Result<Self, String>> {
        Some(Ok(match word.to_lowercase().as_str() {
            "image" | "physical" => Self::Pixel,
            "fk5" | "j2000" => Self::Sky(Frame::Fk5),
            "icrs" => Self::Sky(Frame::Icrs),
            "galactic" => Self::Sky(Frame::Galactic),
            "fk4" | "b1950" | "b1950_vla" | "ecliptic" | "supergal" | "linear" | "amplifier" | "detector" | "wcs"
            | "azel" | "azelgeo" | "jmean" | "jtrue" | "app" | "bmean" | "btrue" | "hadec" => {
                return Some(Err(format!(
                    "the coordinate system '{word}' is not supported; fk5 (J2000), icrs, galactic, or image were expected"
                )));
            }
            _ => return None,
        }))
    }
}

/// Reads the text of a region file; `path` is for messages.
///
/// # Errors
/// A line that is not understood, with its number.
pub fn parse(text: &str, path: &Path) -> Result<Vec<Region>, RegionError> {
    let text = text.trim_start_matches('\u{feff}');
    let crtf = text.trim_start().starts_with("#CRTF") || text.lines().any(looks_like_crtf);
    let mut system = if crtf { System::Sky(Frame::Fk5) } else { System::Pixel };
    let mut regions = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let found = if crtf { crtf_line(line, &mut system) } else { ds9_line(line, &mut system) };
        let shapes = found.map_err(|reason| RegionError::Line {
            path: path.to_path_buf(),
            line: number + 1,
            text: line.trim().chars().take(120).collect(),
            reason,
        })?;
        regions.extend(shapes.into_iter().map(|(include, shape)| Region { shape, include, line: number + 1 }));
    }
    if !crtf {
        regions.sort_by_key(|r| !r.include);
    }
    Ok(regions)
}

fn looks_like_crtf(line: &str) -> bool {
    let line = line.trim_start_matches(['+', '-']).trim_start();
    let name_end = line.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(line.len());
    name_end > 0 && line[name_end..].trim_start().starts_with('[')
}

type Shapes = Vec<(bool, Shape)>;

fn ds9_line(line: &str, system: &mut System) -> Result<Shapes, String> {
    let mut shapes = Vec::new();
    // A comment holds properties (colour, text, tags) up to the end of the line.
    for command in line.split('#').next().unwrap_or("").split(';') {
        let command = command.trim().trim_end_matches("||").trim();
        if command.is_empty() || command.to_lowercase().starts_with("global") {
            continue;
        }
        if let Some(word) = System::from_word(command) {
            *system = word?;
            continue;
        }
        let (include, rest) = match command.as_bytes()[0] {
            b'-' | b'!' => (false, command[1..].trim_start()),
            b'+' => (true, command[1..].trim_start()),
            _ => (true, command),
        };
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (name, arguments) = (rest[..end].to_lowercase(), rest[end..].trim());
        let arguments = match (arguments.strip_prefix('('), arguments.ends_with(')')) {
            (Some(inner), true) => &inner[..inner.len() - 1],
            (None, false) => arguments,
            _ => return Err("the parentheses do not match".into()),
        };
        let words: Vec<&str> = arguments.split([',', ' ', '\t']).map(str::trim).filter(|w| !w.is_empty()).collect();
        shapes.extend(ds9_shape(&name, &words, *system)?.map(|shape| (include, shape)));
    }
    Ok(shapes)
}

fn ds9_shape(name: &str, words: &[&str], system: System) -> Result<Option<Shape>, String> {
    let count = |expected: &[usize], form: &str| {
        if expected.contains(&words.len()) {
            Ok(())
        } else {
            Err(format!("{name} has {} values; {form} was expected", words.len()))
        }
    };
    let place = |i: usize| ds9_place(words[i], words[i + 1], system);
    let length =
        |i: usize| length(words[i], if system == System::Pixel { LengthUnit::Pixel } else { LengthUnit::Degree });
    // DS9 turns the first axis from +x; on the sky +x is west, at position angle -90.
    let angle = |i: usize| -> Result<f64, String> {
        let given = words.get(i).map_or(Ok(0.0), |w| angle(w))?;
        Ok(if system == System::Pixel { given } else { given - 90.0 })
    };
    Ok(Some(match name {
        "circle" => {
            count(&[3], "circle(x,y,radius)")?;
            Shape::Annulus { centre: place(0)?, radii: [Length::Degrees(0.0).like(length(2)?), length(2)?] }
        }
        "annulus" => {
            count(&[4], "annulus(x,y,inner,outer)")?;
            Shape::Annulus { centre: place(0)?, radii: [length(2)?, length(3)?] }
        }
        "ellipse" => {
            count(&[4, 5], "ellipse(x,y,radius,radius,angle)")?;
            Shape::Ellipse { centre: place(0)?, axes: [length(2)?, length(3)?], angle: angle(4)? }
        }
        "box" | "rotbox" => {
            count(&[4, 5], "box(x,y,width,height,angle)")?;
            Shape::Box { centre: place(0)?, sides: [length(2)?, length(3)?], angle: angle(4)? }
        }
        "polygon" => {
            if words.len() < 6 || !words.len().is_multiple_of(2) {
                return Err(format!("polygon has {} values; polygon(x1,y1,x2,y2,x3,y3,...) was expected", words.len()));
            }
            Shape::Polygon { vertices: (0..words.len()).step_by(2).map(place).collect::<Result<_, _>>()? }
        }
        name if WITHOUT_AREA.contains(&name) => return Ok(None),
        _ => return Err(unknown_shape(name)),
    }))
}

fn unknown_shape(name: &str) -> String {
    const KNOWN: [&str; 8] = ["circle", "ellipse", "box", "polygon", "annulus", "rotbox", "centerbox", "poly"];
    let close = KNOWN.iter().map(|k| (strsim::damerau_levenshtein(name, k), k)).min();
    match close {
        Some((distance, known)) if distance <= 2 => format!("unknown shape '{name}'; did you mean {known}?"),
        _ => format!(
            "unknown shape or coordinate system '{name}'; circle, ellipse, box, polygon or annulus were expected"
        ),
    }
}

fn ds9_place(first: &str, second: &str, system: System) -> Result<RegionPlace, String> {
    match system {
        System::Pixel => {
            let pixel = |word: &str| number(word.trim_end_matches(['i', 'p']));
            // DS9 counts pixels from 1.
            Ok(RegionPlace::Pixel { x: pixel(first)? - 1.0, y: pixel(second)? - 1.0 })
        }
        System::Sky(frame) => sky(first, second, frame),
    }
}

fn sky(first: &str, second: &str, frame: Frame) -> Result<RegionPlace, String> {
    let lon_deg = coordinate(first, frame != Frame::Galactic)?;
    let lat_deg = coordinate(second, false)?;
    if !(-90.0..=90.0).contains(&lat_deg) {
        return Err(format!("the latitude '{second}' is beyond 90 degrees"));
    }
    Ok(RegionPlace::Sky { position: SkyPosition { lon_deg: lon_deg.rem_euclid(360.0), lat_deg }, frame })
}

#[derive(Clone, Copy, PartialEq)]
enum LengthUnit {
    Pixel,
    Degree,
}

impl Length {
    /// This value in the unit of another length.
    fn like(self, other: Self) -> Self {
        let (Self::Pixels(v) | Self::Degrees(v)) = self;
        match other {
            Self::Pixels(_) => Self::Pixels(v),
            Self::Degrees(_) => Self::Degrees(v),
        }
    }
}

/// A length, with a unit or in the `default` one.
fn length(word: &str, default: LengthUnit) -> Result<Length, String> {
    const UNITS: [(&str, f64); 11] = [
        ("arcsec", 1.0 / 3600.0),
        ("arcmin", 1.0 / 60.0),
        ("mas", 1.0 / 3.6e6),
        ("deg", 1.0),
        ("rad", 180.0 / std::f64::consts::PI),
        ("\"", 1.0 / 3600.0),
        ("'", 1.0 / 60.0),
        ("d", 1.0),
        ("r", 180.0 / std::f64::consts::PI),
        ("s", 1.0 / 3600.0),
        ("m", 1.0 / 60.0),
    ];
    let lower = word.to_lowercase();
    let bad =
        |_| format!("'{word}' is not a length; a number, with arcsec (\"), arcmin ('), deg (d) or pix, was expected");
    let parsed = if let Some(value) = ["pix", "i", "p"].iter().find_map(|u| lower.strip_suffix(u)) {
        Length::Pixels(number(value).map_err(bad)?)
    } else if let Some((value, factor)) = UNITS.iter().find_map(|(u, f)| Some((lower.strip_suffix(u)?, f))) {
        Length::Degrees(number(value).map_err(bad)? * factor)
    } else {
        let value = number(&lower).map_err(bad)?;
        if default == LengthUnit::Pixel { Length::Pixels(value) } else { Length::Degrees(value) }
    };
    match parsed {
        Length::Pixels(v) | Length::Degrees(v) if v < 0.0 => Err(format!("the length '{word}' is negative")),
        _ => Ok(parsed),
    }
}

/// An angle of rotation, degrees.
fn angle(word: &str) -> Result<f64, String> {
    let lower = word.to_lowercase();
    if let Some(value) = lower.strip_suffix("rad").or_else(|| lower.strip_suffix('r')) {
        return Ok(number(value)?.to_degrees());
    }
    number(lower.strip_suffix("deg").or_else(|| lower.strip_suffix('d')).unwrap_or(&lower))
        .map_err(|_| format!("'{word}' is not an angle; degrees were expected"))
}

fn crtf_line(line: &str, system: &mut System) -> Result<Shapes, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(Vec::new());
    }
    let (include, rest) = match line.as_bytes()[0] {
        b'-' => (false, line[1..].trim_start()),
        b'+' => (true, line[1..].trim_start()),
        _ => (true, line),
    };
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (name, rest) = (rest[..end].to_lowercase(), rest[end..].trim_start());
    match name.as_str() {
        // Annotations are for display.
        "ann" => return Ok(Vec::new()),
        "global" => {
            if let Some(coord) = crtf_key(rest, "coord")? {
                *system = crtf_system(&coord)?;
            }
            return Ok(Vec::new());
        }
        _ => {}
    }
    let (inner, keys) = bracketed(rest)?;
    if crtf_key(keys, "range")?.is_some() {
        return Err("the region is limited to a range of channels, which is not supported; remove 'range='".into());
    }
    let system = crtf_key(keys, "coord")?.map_or(Ok(*system), |c| crtf_system(&c))?;
    let words: Vec<String> = inner
        .split(',')
        .map(|w| w.trim().trim_matches(['[', ']']).trim().replace(' ', ""))
        .filter(|w| !w.is_empty())
        .collect();
    Ok(crtf_shape(&name, &words, system)?.map(|shape| (include, shape)).into_iter().collect())
}

/// The text between the first bracket and its counterpart, and what follows.
fn bracketed(text: &str) -> Result<(&str, &str), String> {
    let bad = || "the brackets do not match; shape[[x, y], ...] was expected".to_string();
    if !text.starts_with('[') {
        return Err(bad());
    }
    let mut depth = 0usize;
    for (i, c) in text.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[1..i], &text[i + 1..]));
        }
    }
    Err(bad())
}

/// The value of `key=value` in a list separated by commas.
fn crtf_key(text: &str, key: &str) -> Result<Option<String>, String> {
    let found =
        text.split(',').filter_map(|item| item.split_once('=')).find(|(k, _)| k.trim().eq_ignore_ascii_case(key));
    if let Some((_, value)) = found {
        let value = value.trim().trim_matches(['\'', '"']).to_string();
        return if value.is_empty() { Err(format!("'{key}=' has no value")) } else { Ok(Some(value)) };
    }
    Ok(None)
}

fn crtf_system(word: &str) -> Result<System, String> {
    match System::from_word(word) {
        Some(Ok(System::Pixel)) | None => Err(format!("unknown coordinate system 'coord={word}'")),
        Some(known) => known,
    }
}

/// The box whose opposite corners are `a` and `b`: both pixels, or both on the sky.
fn box_between(a: RegionPlace, b: RegionPlace) -> Result<Shape, String> {
    match (a, b) {
        // Pixels on the outline belong to it.
        (RegionPlace::Pixel { x: x1, y: y1 }, RegionPlace::Pixel { x: x2, y: y2 }) => Ok(Shape::Box {
            centre: RegionPlace::Pixel { x: (x1 + x2) / 2.0, y: (y1 + y2) / 2.0 },
            sides: [Length::Pixels((x2 - x1).abs()), Length::Pixels((y2 - y1).abs())],
            angle: 0.0,
        }),
        (RegionPlace::Sky { position: p, frame }, RegionPlace::Sky { position: q, .. }) => {
            let corner = |lon_deg, lat_deg| RegionPlace::Sky { position: SkyPosition { lon_deg, lat_deg }, frame };
            Ok(Shape::Polygon { vertices: vec![a, corner(q.lon_deg, p.lat_deg), b, corner(p.lon_deg, q.lat_deg)] })
        }
        _ => Err("the corners of a box must both be pixels or both be on the sky".to_string()),
    }
}

fn crtf_shape(name: &str, words: &[String], system: System) -> Result<Option<Shape>, String> {
    let count = |expected: usize, form: &str| {
        if words.len() == expected {
            Ok(())
        } else {
            Err(format!("{name} has {} values; {form} was expected", words.len()))
        }
    };
    let place = |i: usize| -> Result<RegionPlace, String> {
        let pixel = |word: &str| word.to_lowercase().strip_suffix("pix").map(number);
        match (pixel(&words[i]), pixel(&words[i + 1]), system) {
            // CASA counts pixels from 0.
            (Some(x), Some(y), _) => Ok(RegionPlace::Pixel { x: x?, y: y? }),
            (None, None, System::Sky(frame)) => sky(&words[i], &words[i + 1], frame),
            _ => Err(format!("'{}' and '{}' are not both pixels or both angles", words[i], words[i + 1])),
        }
    };
    let length = |i: usize| {
        if words[i].parse::<f64>().is_ok() {
            return Err(format!("'{}' has no unit; arcsec, arcmin, deg or pix were expected", words[i]));
        }
        length(&words[i], LengthUnit::Degree)
    };
    Ok(Some(match name {
        "circle" => {
            count(3, "circle[[x, y], r]")?;
            Shape::Annulus { centre: place(0)?, radii: [Length::Degrees(0.0).like(length(2)?), length(2)?] }
        }
        "annulus" => {
            count(4, "annulus[[x, y], [inner, outer]]")?;
            Shape::Annulus { centre: place(0)?, radii: [length(2)?, length(3)?] }
        }
        "ellipse" => {
            count(5, "ellipse[[x, y], [bmaj, bmin], pa]")?;
            let centre = place(0)?;
            // The first semi-axis points north (+y) at angle 0.
            let turn = if matches!(centre, RegionPlace::Pixel { .. }) { 90.0 } else { 0.0 };
            Shape::Ellipse { centre, axes: [length(2)?, length(3)?], angle: angle(&words[4])? + turn }
        }
        "centerbox" | "rotbox" => {
            let (n, form) = if name == "rotbox" {
                (5, "rotbox[[x, y], [width, height], angle]")
            } else {
                (4, "centerbox[[x, y], [width, height]]")
            };
            count(n, form)?;
            let centre = place(0)?;
            let turn = if matches!(centre, RegionPlace::Pixel { .. }) { 0.0 } else { -90.0 };
            let given = words.get(4).map_or(Ok(0.0), |w| angle(w))?;
            Shape::Box { centre, sides: [length(2)?, length(3)?], angle: given + turn }
        }
        "box" => {
            count(4, "box[[x1, y1], [x2, y2]]")?;
            box_between(place(0)?, place(2)?)?
        }
        "poly" => {
            if words.len() < 6 || !words.len().is_multiple_of(2) {
                return Err(format!(
                    "poly has {} values; poly[[x1, y1], [x2, y2], [x3, y3], ...] was expected",
                    words.len()
                ));
            }
            Shape::Polygon { vertices: (0..words.len()).step_by(2).map(place).collect::<Result<_, _>>()? }
        }
        name if WITHOUT_AREA.contains(&name) => return Ok(None),
        _ => return Err(unknown_shape(name)),
    }))
}
