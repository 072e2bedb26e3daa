//! Which measurement sets are imaged together.

use super::{MeasurementSetPlan, TargetPlan};
use crate::Result;
use crate::campaign::file::{Executables, Together};
use crate::image::SkyPosition;
use crate::measurement_set::inspection::SAME_POINTING;
use crate::measurement_set::{self, Field, Pointing};
use crate::programs::casa::Casa;
use std::collections::HashSet;
use std::path::Path;

/// Phase centres are one where the primary beam is not known and they differ by less than this, degrees: a second of arc,
/// the rounding of coordinates in catalogues.
const SAME_DEG: f64 = 1.0 / 3600.0;

/// Reads where a measurement set points.
pub(super) type ReadPointing<'a> = dyn FnMut(&Path) -> Result<Pointing> + 'a;

/// The targets of these measurement sets, and warnings.
///
/// # Errors
/// A measurement set cannot be read.
pub(super) fn targets(
    sets: Vec<MeasurementSetPlan>,
    together: Together,
    executables: &Executables,
) -> Result<(Vec<TargetPlan>, Vec<String>)> {
    if together != Together::Pointing || sets.len() < 2 {
        return Ok((grouped(sets, together, &mut |_| Ok(Pointing::default()))?, Vec::new()));
    }
    let mut alone = Vec::new();
    let mut read = |casa: &Casa, path: &Path| match Pointing::read(casa, path) {
        Err(_) if measurement_set::is_compressed(path) => {
            alone.push(compressed_alone(path));
            Ok(Pointing::default())
        }
        read => read,
    };
    match Casa::open(&executables.casa, None) {
        Ok(casa) => Ok((grouped(sets, together, &mut |path| read(&casa, path))?, alone)),
        // The plan can be looked at where no program is installed; to run it takes CASA anyway.
        Err(error) => {
            let text = format!(
                "`together: pointing` needs the phase centres of the measurement sets, which cannot be read here \
                 ({error}): each is planned by itself"
            );
            Ok((grouped(sets, Together::None, &mut |_| Ok(Pointing::default()))?, vec![text]))
        }
    }
}

/// Why a measurement set is no part of a target of several.
fn compressed_alone(measurement_set: &Path) -> String {
    format!(
        "{}: is compressed with Dysco, which this CASA cannot read, so where it points is not known here: it is imaged by itself; `together: all` puts \
         all measurement sets together",
        measurement_set.display()
    )
}

/// Puts the measurement sets together, in the order of the first of each target.
fn grouped(
    sets: Vec<MeasurementSetPlan>,
    together: Together,
    pointing: &mut ReadPointing<'_>,
) -> Result<Vec<TargetPlan>> {
    let groups = match together {
        Together::None => sets.into_iter().map(|set| vec![set]).collect(),
        Together::All => vec![sets],
        Together::Pointing => by_pointing(sets, pointing)?,
    };
    Ok(named(groups))
}

/// Each measurement set joins the first target whose first measurement set points where it does.
fn by_pointing(sets: Vec<MeasurementSetPlan>, read: &mut ReadPointing<'_>) -> Result<Vec<Vec<MeasurementSetPlan>>> {
    if sets.len() < 2 {
        return Ok(vec![sets]);
    }
    let mut groups: Vec<(Pointing, Vec<MeasurementSetPlan>)> = Vec::new();
    for set in sets {
        let mut pointing = read(&set.path)?;
        // Other fields than the one that is imaged do not matter.
        let field = set.field.as_ref().and_then(|name| measurement_set::field_named(&pointing.fields, name).ok());
        if let Some(field) = field.or(measurement_set::target_field(&pointing.fields).ok().flatten()) {
            pointing.fields = vec![pointing.fields[field].clone()];
        }
        match groups.iter_mut().find(|(first, _)| is_one(first, &pointing)) {
            Some((_, members)) => members.push(set),
            None => groups.push((pointing, vec![set])),
        }
    }
    Ok(groups.into_iter().map(|(_, members)| members).collect())
}

/// Both have one field, and their phase centres agree within a part of the narrower primary beam.
fn is_one(a: &Pointing, b: &Pointing) -> bool {
    let (Some(first), Some(second)) = (only_field(a), only_field(b)) else { return false };
    let beam = a.primary_beam_deg().into_iter().chain(b.primary_beam_deg()).reduce(f64::min);
    position(first).separation(position(second)) <= beam.map_or(SAME_DEG, |beam| SAME_POINTING * beam)
}

fn only_field(pointing: &Pointing) -> Option<&Field> {
    let mut observed = pointing.fields.iter().filter(|field| field.observed);
    observed.next().filter(|_| observed.next().is_none())
}

fn position(field: &Field) -> SkyPosition {
    SkyPosition { lon_deg: field.ra_deg, lat_deg: field.dec_deg }
}

/// Targets with names of their own.
fn named(groups: Vec<Vec<MeasurementSetPlan>>) -> Vec<TargetPlan> {
    let mut names: HashSet<String> = HashSet::new();
    let mut targets = Vec::new();
    for members in groups {
        let first = &members[0].name;
        let base = if members.len() == 1 { first.clone() } else { format!("{first}+{}", members.len() - 1) };
        let numbered = (2..).map(|number| format!("{base}-{number}"));
        let name = std::iter::once(base.clone()).chain(numbered).find(|name| names.insert(name.clone()));
        targets.push(TargetPlan { name: name.unwrap_or_default(), members, channels: None });
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets(names: &[&str]) -> Vec<MeasurementSetPlan> {
        names
            .iter()
            .map(|n| MeasurementSetPlan { name: (*n).to_owned(), path: format!("/{n}.ms").into(), field: None })
            .collect()
    }

    /// 25 m at 1.4 GHz: a beam of 0.6 degrees.
    fn at(ra_deg: f64, dec_deg: f64) -> Pointing {
        let field = |observed| Field { name: "f".into(), ra_deg, dec_deg, observed, ..Field::default() };
        Pointing { fields: vec![field(false), field(true)], dish_m: 25.0, highest_hz: 1.4e9 }
    }

    fn names(targets: &[TargetPlan]) -> Vec<(String, usize)> {
        targets.iter().map(|t| (t.name.clone(), t.members.len())).collect()
    }

    fn by(read: impl Fn(&str) -> Pointing, listed: &[&str]) -> Vec<(String, usize)> {
        let mut read = |path: &Path| Ok(read(&path.file_stem().unwrap_or_default().to_string_lossy()));
        names(&grouped(sets(listed), Together::Pointing, &mut read).expect("grouped"))
    }

    #[test]
    fn sets_of_one_pointing_are_one_target() {
        let read = |name: &str| match name {
            "a1" => at(359.99, 60.0),
            // 0.02 degrees in right ascension are 0.01 on the sky.
            "a2" => at(0.03, 60.0),
            _ => at(0.03, 60.2),
        };
        let found = by(read, &["a1", "b", "a2", "c"]);
        assert_eq!(found, [("a1+1".to_owned(), 2), ("b+1".to_owned(), 2)]);
    }

    #[test]
    fn several_fields_or_an_unknown_beam_keep_sets_apart() {
        let two = Pointing { fields: [at(1.0, 0.0).fields, at(2.0, 0.0).fields].concat(), ..at(1.0, 0.0) };
        assert_eq!(by(|_| two.clone(), &["a", "b"]).len(), 2);
        let unknown = |name: &str| Pointing { dish_m: 0.0, ..at(if name == "a" { 1.0 } else { 1.001 }, 0.0) };
        assert_eq!(by(unknown, &["a", "b"]).len(), 2);
        assert_eq!(by(|_| Pointing { dish_m: 0.0, ..at(1.0, 0.0) }, &["a", "b"]).len(), 1);
    }

    #[test]
    fn all_are_one_and_none_are_apart_without_a_look_at_the_data() {
        let mut never = |path: &Path| -> Result<Pointing> { panic!("{} is read", path.display()) };
        let all = grouped(sets(&["a", "b", "c"]), Together::All, &mut never).expect("grouped");
        assert_eq!(names(&all), [("a+2".to_owned(), 3)]);
        let none = grouped(sets(&["a", "b"]), Together::None, &mut never).expect("grouped");
        assert_eq!(names(&none), [("a".to_owned(), 1), ("b".to_owned(), 1)]);
        assert_eq!(grouped(sets(&["a"]), Together::Pointing, &mut never).expect("grouped")[0].name, "a");
    }

    #[test]
    fn names_are_taken_once() {
        let groups = vec![sets(&["a", "b"]), sets(&["a+1"])];
        assert_eq!(names(&named(groups)), [("a+1".to_owned(), 2), ("a+1-2".to_owned(), 1)]);
    }
}
