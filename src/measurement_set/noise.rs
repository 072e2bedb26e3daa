//! The theoretical noise of an image: the noise that perfectly calibrated and cleaned data would leave.

use crate::Result;
use crate::programs::casa::Casa;
use crate::programs::casa::requests::MeasureNoise;
use std::path::Path;

pub use crate::programs::casa::requests::TheoreticalNoise;

/// Weights are believed where the visibilities scatter by this factor more or less than they say.
const BELIEVED: std::ops::RangeInclusive<f64> = 1.0 / 1.25..=1.25;

impl TheoreticalNoise {
    /// Measures it with CASA; `field` is the field's number, `None`: all of them.
    ///
    /// # Errors
    /// No such measurement set or column; CASA's failure.
    pub(crate) fn measure(casa: &Casa, measurement_set: &Path, column: &str, field: Option<usize>) -> Result<Self> {
        casa.ask(&MeasureNoise { ms: measurement_set.to_path_buf(), column: column.to_owned(), field }, None)
    }

    /// The noise, Jy/beam, or in the units of data that are not in Jy: that of the weights where the visibilities scatter as
    /// they say, else that of the scatter. `None`: nothing is unflagged, or the weights mean nothing and there are too few
    /// data to measure.
    pub fn jy(&self) -> Option<f64> {
        Some(self.natural_jy? * self.factor()?)
    }

    /// The weights mean nothing in Jy: the scatter of the visibilities counts.
    pub fn is_measured(&self) -> bool {
        self.factor().is_some_and(|factor| factor != 1.0)
    }

    fn factor(&self) -> Option<f64> {
        self.scatter.filter(|s| s.is_finite() && *s > 0.0).map(|s| if BELIEVED.contains(&s) { 1.0 } else { s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_count_where_the_visibilities_scatter_as_they_say() {
        let noise = |scatter| TheoreticalNoise { natural_jy: Some(2e-3), scatter };
        assert_eq!((noise(Some(1.1)).jy(), noise(Some(1.1)).is_measured()), (Some(2e-3), false));
        assert_eq!((noise(Some(0.01)).jy(), noise(Some(0.01)).is_measured()), (Some(2e-5), true));
        assert_eq!(noise(None).jy(), None, "weights of one mean nothing");
        assert_eq!(TheoreticalNoise { natural_jy: None, scatter: Some(1.0) }.jy(), None);
    }
}
