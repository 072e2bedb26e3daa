//! The facets as a region file that wsclean reads, and files that name directions.

use super::{FacetDirection, FacetError};
use crate::image::SkyPosition;
use std::fmt::Write;
use std::path::Path;

/// The text of a region file: each facet's corners and its direction.
///
/// wsclean 3.1 finds a facet's solutions by its position alone, and compares angles as they are written: DP3 writes right
/// ascensions from -180 to 180 degrees, so these are written in the same way.
pub(super) fn text(directions: &[FacetDirection], cells: &[Vec<SkyPosition>]) -> String {
    let mut text = String::from("# Region file format: DS9\nglobal\nfk5\n");
    for (direction, corners) in directions.iter().zip(cells) {
        let corners = corners.iter().map(|at| format!("{:.9},{:.9}", wrapped(at.lon_deg), at.lat_deg));
        let _ = writeln!(text, "polygon({})", corners.collect::<Vec<_>>().join(","));
        let (ra, dec) = (wrapped(direction.ra_deg), direction.dec_deg);
        let _ = writeln!(text, "point({ra:.9},{dec:.9}) # text=[{}]", direction.name);
    }
    text
}

/// A right ascension above -180 and up to 180 degrees.
pub(super) fn wrapped(deg: f64) -> f64 {
    let deg = deg.rem_euclid(360.0);
    if deg > 180.0 { deg - 360.0 } else { deg }
}

/// Shapes whose first two numbers are a position; of polygons all are.
const SHAPES: [&str; 5] = ["point", "circle", "ellipse", "box", "polygon"];

/// The positions that a file names: a list with a right ascension and a declination in degrees in each line, or a region file
/// of DS9 in degrees (`fk5` or `icrs`), whose points, or centres of other shapes, they are. Facets of such a file that have
/// points are named by these alone.
///
/// # Errors
/// A file that cannot be read, a line that is not understood, fewer than two positions.
pub(super) fn positions(path: &Path) -> Result<Vec<SkyPosition>, FacetError> {
    let wrong = |reason: String| FacetError::Directions { path: path.to_path_buf(), reason };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let (mut points, mut centres) = (Vec::new(), Vec::new());
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let word: String = line.chars().take_while(char::is_ascii_alphabetic).collect::<String>().to_lowercase();
        if line.is_empty() || ["global", "fk", "icrs", "j"].contains(&word.as_str()) {
            continue;
        }
        let misread = || wrong(format!("line {}: `{line}`: two angles in degrees were expected", number + 1));
        let numbers = line[word.len()..].trim().trim_start_matches('(').trim_end_matches(')');
        let numbers =
            numbers.split([',', ' ', '\t']).filter(|part| !part.is_empty()).map(|part| part.parse::<f64>().ok());
        match (word.as_str(), numbers.collect::<Option<Vec<f64>>>()) {
            ("", Some(numbers)) if numbers.len() >= 2 => points.push(place(numbers[0], numbers[1])),
            ("point", Some(numbers)) if numbers.len() >= 2 => points.push(place(numbers[0], numbers[1])),
            ("polygon", Some(numbers)) if numbers.len() >= 6 => centres.push(middle(&numbers)),
            (shape, Some(numbers)) if SHAPES.contains(&shape) && numbers.len() >= 3 => {
                centres.push(place(numbers[0], numbers[1]));
            }
            _ => return Err(misread()),
        }
    }
    let found = if points.is_empty() { centres } else { points };
    if found.len() < 2 {
        return Err(wrong(format!("it names {} direction(s); at least two were expected", found.len())));
    }
    Ok(found)
}

fn place(lon_deg: f64, lat_deg: f64) -> SkyPosition {
    SkyPosition { lon_deg, lat_deg }
}

/// The mean of a polygon's corners.
fn middle(numbers: &[f64]) -> SkyPosition {
    let corners = numbers.chunks_exact(2).map(|pair| place(pair[0], pair[1]).to_vector());
    SkyPosition::from_vector(corners.fold([0.0; 3], |sum, v| [sum[0] + v[0], sum[1] + v[1], sum[2] + v[2]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0.0, 0.0)]
    #[case(180.0, 180.0)]
    #[case(-180.0, 180.0)]
    #[case(180.001, -179.999)]
    #[case(359.5, -0.5)]
    #[case(-0.5, -0.5)]
    fn right_ascensions_are_written_as_dp3_does(#[case] deg: f64, #[case] expected: f64) {
        assert!((wrapped(deg) - expected).abs() < 1e-9, "{deg}: {}", wrapped(deg));
    }

    #[test]
    fn each_facet_has_its_corners_and_its_point() {
        let direction = FacetDirection { ra_deg: 180.5, dec_deg: -2.0, ..FacetDirection::named("Dir0") };
        let corners = vec![place(180.0, -3.0), place(181.0, -3.0), place(180.5, -1.0)];
        insta::assert_snapshot!(text(&[direction], &[corners]), @r"
        # Region file format: DS9
        global
        fk5
        polygon(180.000000000,-3.000000000,-179.000000000,-3.000000000,-179.500000000,-1.000000000)
        point(-179.500000000,-2.000000000) # text=[Dir0]
        ");
    }

    #[test]
    fn what_is_written_is_read_and_lists_and_shapes_too() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("directions.reg");
        let read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            positions(&path).map(|found| found.iter().map(|p| (p.lon_deg, p.lat_deg)).collect::<Vec<_>>())
        };
        let facets =
            "global\nfk5\npolygon(0,0,2,0,2,2,0,2)\npoint(1.5,1) # text=[Dir0]\npolygon(2,0,4,0,4,2)\npoint(3,1)\n";
        assert_eq!(read(facets).expect("facets"), [(1.5, 1.0), (3.0, 1.0)]);
        assert_eq!(read("# ra dec\n10.5, -20\n11 -21 0.3\n").expect("a list"), [(10.5, -20.0), (11.0, -21.0)]);
        assert_eq!(read("icrs\ncircle(1,2,0.1)\nbox(3,4,1,1,0)").expect("shapes"), [(1.0, 2.0), (3.0, 4.0)]);
        let said = |text: &str| read(text).expect_err("wrong").to_string();
        assert!(said("10 20\n").contains("it names 1 direction(s)"));
        assert!(said("10 20\nhere and there\n").contains("line 2: `here and there`"));
        assert!(said("physical\npoint(3,4)").contains("line 1"));
    }
}
