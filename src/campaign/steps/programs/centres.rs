//! The phase centres of measurement sets that are imaged together: they are made one in the copies.

use super::Programs;
use super::working_sets::Source;
use crate::Result;
use crate::campaign::file::WorkOn;
use crate::campaign::steps::PreparedSet;
use crate::image::SkyPosition;
use crate::imager::ImagerOptions;
use crate::measurement_set::inspection::SAME_POINTING;
use crate::measurement_set::{self, Field, MsSummary, Pointing};
use crate::programs::casa::Casa;

/// Phase centres are one below this distance, degrees: 0.4 µas, a fiftieth of the narrowest beams.
const ONE_DEG: f64 = 1e-10;

impl Programs<'_> {
    /// Copies must be made where none are needed otherwise: phase centres differ, and the imager would not mind them.
    pub(super) fn must_be_shifted(&self, sources: &[Source]) -> bool {
        let differ = || {
            let centres: Vec<SkyPosition> = sources.iter().filter_map(Source::centre).collect();
            centres.iter().any(|centre| centre.separation(centres[0]) > ONE_DEG)
        };
        self.plan.work_on == WorkOn::Copy && !self.rotates_by_itself() && differ()
    }

    /// Shifts the phase centres of the measurement sets to that of the first; returns warnings.
    ///
    /// # Errors
    /// A measurement set of several fields; one that points elsewhere; phase centres that differ where no copies are made
    /// and the imager would not mind them; CASA's failure.
    pub(super) fn make_one_centre(&self, casa: &Casa, sets: &[PreparedSet], copied: bool) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if !self.target.is_joint() {
            return Ok(warnings);
        }
        let centres = sets.iter().map(centre).collect::<Result<Vec<SkyPosition>>>()?;
        for (set, centre) in sets.iter().zip(&centres) {
            let separation = centre.separation(centres[0]);
            if separation <= ONE_DEG {
                continue;
            }
            warnings.extend(beams_differ(&sets[0], set, separation)?);
            if copied {
                measurement_set::shift_phase_centre(casa, &set.path, &sets[0].path)?;
            } else if !self.rotates_by_itself() {
                return Err(crate::Error::bad_input(format!(
                    "{}: its phase centre lies {:.3} arcsec from that of {}, and the imager takes all phase centres for \
                     one. They are made one in copies: use `work_on: copy`, or image each by itself (`together: none`)",
                    set.path.display(),
                    3600.0 * separation,
                    sets[0].name,
                )));
            }
        }
        Ok(warnings)
    }

    /// tclean rotates the visibilities to the centre of the image; wsclean takes all phase centres for one.
    fn rotates_by_itself(&self) -> bool {
        self.plan.rounds_to_run().iter().all(|round| matches!(round.imaging, ImagerOptions::Tclean(_)))
    }
}

/// A warning where primary beams lie so far apart that the image is no image of both.
///
/// # Errors
/// They have nothing in common.
fn beams_differ(first: &PreparedSet, set: &PreparedSet, separation_deg: f64) -> Result<Option<String>> {
    let beams = [first, set].map(|set| beam_deg(&set.summary));
    let Some(beam) = beams.into_iter().flatten().reduce(f64::min) else { return Ok(None) };
    let distance = format!(
        "{} points {:.2} arcmin beside {}, {:.2} of the primary beam",
        set.name,
        60.0 * separation_deg,
        first.name,
        separation_deg / beam
    );
    if separation_deg > beam {
        return Err(crate::Error::bad_input(format!(
            "{distance}: they cannot be imaged together. Leave it out, or use `together: pointing`"
        )));
    }
    let far = separation_deg > SAME_POINTING * beam;
    Ok(far.then(|| {
        format!("{distance}: sources away from the centre have another flux in each, which gains cannot mend")
    }))
}

/// Full width at half maximum of the primary beam at the highest frequency, degrees.
fn beam_deg(summary: &MsSummary) -> Option<f64> {
    let mut dishes: Vec<f64> =
        summary.antennas.iter().filter(|a| a.has_data).map(|a| a.diameter_m).filter(|d| *d > 0.0).collect();
    dishes.sort_by(f64::total_cmp);
    let frequencies = summary.spectral_windows.iter().flat_map(|w| w.frequencies_hz.iter().copied());
    let (dish_m, highest_hz) = (*dishes.get(dishes.len() / 2)?, frequencies.fold(0.0, f64::max));
    Pointing { fields: Vec::new(), dish_m, highest_hz }.primary_beam_deg()
}

/// The phase centre of the only field that was observed.
fn centre(set: &PreparedSet) -> Result<SkyPosition> {
    let observed: Vec<&Field> = set.summary.fields.iter().filter(|field| field.observed).collect();
    if let [only] = observed[..] {
        return Ok(SkyPosition { lon_deg: only.ra_deg, lat_deg: only.dec_deg });
    }
    let names: Vec<&str> = observed.iter().map(|field| field.name.as_str()).collect();
    Err(crate::Error::bad_input(format!(
        "{}: holds {} fields ({}), but measurement sets that are imaged together have one each: name it with `campaign: \
         field`, or image each set by itself (`together: none`)",
        set.path.display(),
        names.len(),
        names.join(", ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement_set::{Antenna, DataPart, SpectralWindow};

    /// 25 m at 1.4 GHz: a beam of 0.6 degrees.
    fn set(name: &str) -> PreparedSet {
        let antenna = Antenna {
            name: "ea01".into(),
            position_m: [0.0; 3],
            diameter_m: 25.0,
            distance_m: 0.0,
            unflagged_fraction: 1.0,
            has_data: true,
        };
        let window = SpectralWindow { name: String::new(), frequencies_hz: vec![1.4e9], channel_width_hz: 1e6 };
        let summary = MsSummary { antennas: vec![antenna], spectral_windows: vec![window], ..MsSummary::default() };
        PreparedSet { name: name.into(), path: name.into(), summary, part: DataPart::default() }
    }

    #[test]
    fn beams_that_hardly_overlap_are_said_and_others_refused() {
        let (first, other) = (set("a"), set("b"));
        assert_eq!(beams_differ(&first, &other, 0.05).expect("fine"), None);
        let said = beams_differ(&first, &other, 0.3).expect("a warning").expect("a warning");
        assert!(said.starts_with("b points 18.00 arcmin beside a, 0.50 of the primary beam"), "{said}");
        let refused = beams_differ(&first, &other, 0.7).expect_err("refused").to_string();
        assert!(refused.contains("they cannot be imaged together"), "{refused}");
    }
}
