//! The phase centres of measurement sets that are imaged together: they are made one in the copies.

use super::Programs;
use super::working_sets::Source;
use crate::Result;
use crate::campaign::file::WorkOn;
use crate::campaign::steps::PreparedSet;
use crate::image::SkyPosition;
use crate::imager::ImagerOptions;
use crate::measurement_set::{self, Field};
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

    /// Shifts the phase centres of the measurement sets to that of the first.
    ///
    /// # Errors
    /// A measurement set of several fields; phase centres that differ where no copies are made and the imager would not
    /// mind them; CASA's failure.
    pub(super) fn make_one_centre(&self, casa: &Casa, sets: &[PreparedSet], copied: bool) -> Result<()> {
        if !self.target.is_joint() {
            return Ok(());
        }
        let centres = sets.iter().map(centre).collect::<Result<Vec<SkyPosition>>>()?;
        for (set, centre) in sets.iter().zip(&centres) {
            let separation = centre.separation(centres[0]);
            if separation <= ONE_DEG {
                continue;
            }
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
        Ok(())
    }

    /// tclean rotates the visibilities to the centre of the image; wsclean takes all phase centres for one.
    fn rotates_by_itself(&self) -> bool {
        self.plan.rounds_to_run().iter().all(|round| matches!(round.imaging, ImagerOptions::Tclean(_)))
    }
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
