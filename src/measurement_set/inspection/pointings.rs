//! What several measurement sets share: fields with the same phase centre.

use super::{FieldFacts, Inspection};
use crate::image::SkyPosition;
use schemars::JsonSchema;
use serde::Serialize;

/// Phase centres that agree within this part of the primary beam are one pointing.
pub const SAME_POINTING: f64 = 0.1;

/// Fields of measurement sets with one phase centre.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct SharedPointing {
    /// Name of the first field.
    pub name: String,
    /// The fields.
    pub members: Vec<PointingMember>,
    /// Largest distance of a phase centre from that of the first field, degrees.
    pub separation_deg: f64,
}

/// A field of a pointing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct PointingMember {
    /// Number of the measurement set in the list, from 0.
    pub measurement_set: usize,
    /// Number of the field.
    pub field: usize,
}

/// The pointings of all observed fields: each belongs to the first whose phase centre is within [`SAME_POINTING`] of the
/// narrowest primary beam. Where a primary beam is not known only equal phase centres (to 1 arcsec) agree.
pub fn pointings(sets: &[Inspection]) -> Vec<SharedPointing> {
    /// Phase centres are written with this precision at least, degrees.
    const WRITTEN: f64 = 1.0 / 3600.0;
    let mut all: Vec<(SkyPosition, f64, SharedPointing)> = Vec::new();
    for (index, set) in sets.iter().enumerate() {
        let beam = set.facts.narrowest_beam_deg().unwrap_or(0.0);
        for (field, facts) in set.facts.observed_fields() {
            let Some(centre) = centre(facts) else { continue };
            let member = PointingMember { measurement_set: index, field };
            let near = |other: &&mut (SkyPosition, f64, SharedPointing)| {
                centre.separation(other.0) <= (SAME_POINTING * beam.min(other.1)).max(WRITTEN)
            };
            if let Some((first, smallest, pointing)) = all.iter_mut().find(near) {
                pointing.members.push(member);
                pointing.separation_deg = pointing.separation_deg.max(centre.separation(*first));
                *smallest = smallest.min(beam);
            } else {
                let name = facts.name.clone();
                all.push((centre, beam, SharedPointing { name, members: vec![member], separation_deg: 0.0 }));
            }
        }
    }
    all.into_iter().map(|(_, _, pointing)| pointing).collect()
}

fn centre(field: &FieldFacts) -> Option<SkyPosition> {
    Some(SkyPosition { lon_deg: field.ra_deg?, lat_deg: field.dec_deg? })
}
