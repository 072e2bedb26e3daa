//! Metrics of a plane.

use super::arrays::{Beam, maybe_plane, plane};
use super::results::typed;
use super::wrong;
use cleanloop::image::Beam as SkyBeam;
use cleanloop::quality::metrics::{self, BeamOnPixels, PlaneArrays};
use pyo3::prelude::*;
use serde_json::Value;

/// The planes besides the image, and the beam; see `cleanloop.metrics`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct MetricsArguments<'py> {
    residual: Option<Bound<'py, PyAny>>,
    model: Option<Bound<'py, PyAny>>,
    mask: Option<Bound<'py, PyAny>>,
    islands: Option<Bound<'py, PyAny>>,
    beam: Option<Beam>,
    pixel_deg: Option<f64>,
}

/// Metrics of a plane; `cleanloop.metrics` has the keywords one by one.
#[pyfunction]
#[pyo3(signature = (image, arguments))]
pub(crate) fn plane_metrics<'py>(
    image: &Bound<'py, PyAny>,
    arguments: MetricsArguments<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = image.py();
    let MetricsArguments { residual, model, mask, islands, beam, pixel_deg } = arguments;
    let image = plane(image, "image")?;
    let shape = image.as_array().dim();
    let others =
        [(residual, "residual"), (model, "model"), (mask, "mask"), (islands, "islands")].map(|(given, name)| {
            let given = maybe_plane(given.as_ref(), name)?;
            match given.as_ref().map(|plane| plane.as_array().dim()).filter(|found| *found != shape) {
                Some(found) => Err(wrong(format!("{name} has shape {found:?}, but the image has {shape:?}"))),
                None => Ok(given),
            }
        });
    let [residual, model, mask, islands] = others;
    let (residual, model, mask, islands) = (residual?, model?, mask?, islands?);
    let beam = match (beam.map(Beam::checked).transpose()?, pixel_deg) {
        (Some(beam), Some(pixel_deg)) if pixel_deg.is_finite() && pixel_deg > 0.0 => Some(BeamOnPixels {
            beam: SkyBeam { major_deg: beam.major * pixel_deg, minor_deg: beam.minor * pixel_deg, pa_deg: beam.pa_deg },
            pixel_deg,
        }),
        (None, None) => None,
        _ => return Err(wrong("beam and pixel_deg (greater than 0) belong together: give both, or neither")),
    };
    let arrays = PlaneArrays {
        image: image.as_array(),
        residual: residual.as_ref().map(|p| p.as_array()),
        model: model.as_ref().map(|p| p.as_array()),
        mask: mask.as_ref().map(|p| p.as_array()),
        islands: islands.as_ref().map(|p| p.as_array()),
        before: None,
    };
    let found = py.detach(|| metrics::of_plane(&arrays, beam));
    let mut fields = serde_json::to_value(&found).map_err(wrong)?;
    if let Value::Object(fields) = &mut fields {
        // Of cubes and of the caller.
        for key in ["beam", "peak_channel", "channels"] {
            fields.remove(key);
        }
    }
    typed(py, "ImageMetrics", &fields)
}
