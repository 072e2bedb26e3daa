//! numpy arrays in.

use super::wrong;
use cleanloop::image::PixelBeam;
use numpy::{Element, Ix2, Ix3, PyArray, PyArrayMethods, PyReadonlyArray, PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A restoring beam: `(major, minor, position angle)`, FWHM in pixels and degrees; one number is a round beam.
#[derive(Debug, Clone, Copy, FromPyObject)]
pub(crate) enum Beam {
    /// Major axis, minor axis, position angle.
    Elliptical(f64, f64, f64),
    /// FWHM.
    #[pyo3(transparent)]
    Round(f64),
}

impl Beam {
    /// The beam, if it is one.
    pub(crate) fn checked(self) -> PyResult<PixelBeam> {
        let (major, minor, pa_deg) = match self {
            Self::Elliptical(major, minor, pa_deg) => (major, minor, pa_deg),
            Self::Round(fwhm) => (fwhm, fwhm, 0.0),
        };
        if [major, minor].iter().all(|w| w.is_finite() && *w > 0.0) && pa_deg.is_finite() {
            return Ok(PixelBeam { major, minor, pa_deg });
        }
        Err(wrong(format!(
            "beam is ({major}, {minor}, {pa_deg}): two positive widths (FWHM in pixels) and an angle in degrees were \
             expected"
        )))
    }
}

/// The array as `dtype`, aligned and C-contiguous: itself if it is that already, else a copy. Masked values are NaN.
fn required<'py>(value: &Bound<'py, PyAny>, name: &str, dtype: &str) -> PyResult<Bound<'py, PyAny>> {
    let numpy = value.py().import("numpy")?;
    let mut array = numpy.call_method1("asanyarray", (value,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !"biuf".contains(&kind) {
        let found = array.getattr("dtype")?.to_string();
        return Err(PyTypeError::new_err(format!("{name} is of type {found}; real numbers were expected")));
    }
    if dtype == "float32" && array.hasattr("filled")? {
        array = array.call_method1("astype", (dtype,))?.call_method1("filled", (f32::NAN,))?;
    }
    if dtype == "bool" && kind != "b" {
        array = array.call_method1("__ne__", (0,))?;
    }
    numpy.call_method1("require", (array, dtype, ("C", "A", "E")))
}

fn typed<'py, T: Element, D: ndarray::Dimension>(
    value: &Bound<'py, PyAny>,
    name: &str,
    dtype: &str,
    axes: &str,
) -> PyResult<PyReadonlyArray<'py, T, D>> {
    let array = required(value, name, dtype)?;
    if let Ok(array) = array.cast::<PyArray<T, D>>() {
        return Ok(array.try_readonly()?);
    }
    let shape = array.cast::<PyUntypedArray>().map(|a| format!("{:?}", a.shape())).unwrap_or_default();
    Err(PyValueError::new_err(format!(
        "{name} has the shape {shape}; an array {axes} was expected (numpy.squeeze drops axes of length 1)"
    )))
}

/// A float32 plane, `[y, x]`.
pub(crate) fn plane<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray<'py, f32, Ix2>> {
    typed(value, name, "float32", "[y, x]")
}

/// A plane that may be left out.
pub(crate) fn maybe_plane<'py>(
    value: Option<&Bound<'py, PyAny>>,
    name: &str,
) -> PyResult<Option<PyReadonlyArray<'py, f32, Ix2>>> {
    value.map(|value| plane(value, name)).transpose()
}

/// A float32 cube, `[channel, y, x]`.
pub(crate) fn cube<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray<'py, f32, Ix3>> {
    typed(value, name, "float32", "[channel, y, x]")
}

/// A plane of booleans, `[y, x]`; of numbers, those that are not 0.
pub(crate) fn bools<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<PyReadonlyArray<'py, bool, Ix2>> {
    typed(value, name, "bool", "[y, x]")
}
