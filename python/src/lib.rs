//! The Python module `cleanloop._core`: the library's masks, noise maps, metrics and confetti for numpy arrays, and the command.
//!
//! Arrays are `[y, x]` (cubes `[channel, y, x]`), float32. Numpy's memory is used where it lies if it is C-contiguous
//! float32 in the machine's byte order, else it is copied once. The interpreter is free while Rust works.

mod arrays;
mod automask;
mod masks;
mod metrics;
mod options;
mod results;

use arrays::{Beam, cube, plane};
use cleanloop::cli;
use cleanloop::image::psf::Sidelobes;
use cleanloop::masking;
use cleanloop::noise::{self, NoiseOptions};
use cleanloop::options::Validate;
use cleanloop::quality::confetti::{self, ConfettiOptions};
use cleanloop::util::huge_pages::HugePages;
use ndarray::{ArrayView2, ArrayView3, Axis};
use numpy::{IntoPyArray, PyArray2};
use pyo3::exceptions::{PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::ffi::{CString, OsString};

/// As in the program; Python's own memory is Python's.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// A mistake of the caller.
fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn warn(py: Python<'_>, text: &str) -> PyResult<()> {
    let text = CString::new(text).unwrap_or_default();
    PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1)
}

/// Signal to noise: (image - background) / rms, each [y, x]; NaN where the rms is not positive.
#[pyfunction]
fn signal<'py>(
    image: &Bound<'py, PyAny>,
    background: &Bound<'py, PyAny>,
    rms: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let py = image.py();
    let (image, background, rms) = (plane(image, "image")?, plane(background, "background")?, plane(rms, "rms")?);
    let (image, background, rms) = (image.as_array(), background.as_array(), rms.as_array());
    let signal = py.detach(|| {
        let mut signal = image.to_owned();
        masking::to_signal(&mut signal, background, rms).map(|()| signal)
    });
    Ok(signal.map_err(wrong)?.into_pyarray(py))
}

/// Background and rms maps of a plane, each [y, x], float32, in the image's unit.
///
/// image: [y, x]. NaN is no data, and NaN in the maps.
/// beam: FWHM in pixels: sets the default grid of the method bane.
/// options: method (bane, box, global, minimum-filter), box and step in pixels, exact, statistic (mad, std),
///     background (zero, median). By default as BANE does it.
///
/// Raises TypeError for unknown options, ValueError for invalid values and for a plane without data.
#[pyfunction]
#[pyo3(name = "noise", signature = (image, *, beam=None, **options))]
fn noise_maps<'py>(
    image: &Bound<'py, PyAny>,
    beam: Option<Beam>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = image.py();
    let options: NoiseOptions = options::read(options)?;
    let image = plane(image, "image")?;
    let beam = beam.map(Beam::checked).transpose()?;
    let view = image.as_array();
    let maps = py.detach(|| noise::estimate(view, beam, &options)).map_err(wrong)?;
    PyTuple::new(py, [maps.background.into_pyarray(py), maps.rms.into_pyarray(py)])
}

/// The highest sidelobe of a PSF's plane as CASA's auto-multithresh takes it: a fraction of the peak.
///
/// psf: [y, x], peak 1.
/// beam: the beam fitted to it, FWHM in pixels and degrees.
/// centre: (y, x) of its peak, counted from 0. Default: (ny // 2, nx // 2).
#[pyfunction]
#[pyo3(signature = (psf, beam, *, centre=None))]
fn sidelobe_level(psf: &Bound<'_, PyAny>, beam: Beam, centre: Option<(f64, f64)>) -> PyResult<f32> {
    let psf = plane(psf, "psf")?;
    let beam = beam.checked()?;
    let view = psf.as_array();
    let (ny, nx) = view.dim();
    let centre = centre.unwrap_or(((ny / 2) as f64, (nx / 2) as f64));
    Ok(psf.py().detach(|| Sidelobes::of_plane(view, beam, centre).level()))
}

/// Judges the bright pixels of a CLEAN model cube: is it on the sky, or in one channel of the model only?
///
/// model: [channel, y, x], Jy/pixel.
/// noise: robust noise of the residual, Jy/beam: one number, or one for each channel.
/// beam: FWHM in pixels and degrees.
/// image, dirty: restored and dirty cube of the same shape, Jy/beam, as further evidence.
/// options: limits by name (min_snr, isolation, pedestal, ...).
///
/// Returns a list of Candidate, by channel, then row; `verdict` is real, suspicious or confetti.
/// Raises TypeError for unknown options, ValueError for invalid values and for shapes that differ.
#[pyfunction]
#[pyo3(name = "confetti", signature = (model, noise, beam, *, image=None, dirty=None, **options))]
fn find_confetti<'py>(
    model: &Bound<'py, PyAny>,
    noise: &Bound<'py, PyAny>,
    beam: Beam,
    image: Option<&Bound<'py, PyAny>>,
    dirty: Option<&Bound<'py, PyAny>>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    let py = model.py();
    let options: ConfettiOptions = options::read(options)?;
    options.validate().map_err(wrong)?;
    let beam = beam.checked()?;
    let model = cube(model, "model")?;
    let shape = model.as_array().dim();
    let others = [(image, "image"), (dirty, "dirty")].map(|(given, name)| {
        let Some(given) = given else { return Ok(None) };
        let given = cube(given, name)?;
        let found = given.as_array().dim();
        if found != shape {
            return Err(wrong(format!("{name} has shape {found:?}, but the model has {shape:?}")));
        }
        Ok(Some(given))
    });
    let [image, dirty] = others;
    let (image, dirty) = (image?, dirty?);
    let noise = match noise.extract::<f64>() {
        Ok(noise) => vec![noise; shape.0],
        Err(_) => noise.extract::<Vec<f64>>().map_err(|_| {
            wrong("noise: a number, or one number for each channel, in Jy/beam, was expected".to_string())
        })?,
    };
    if noise.len() != shape.0 {
        return Err(wrong(format!("noise has {} values, but the model has {} channels", noise.len(), shape.0)));
    }
    let views = (model.as_array(), image.as_ref().map(|c| c.as_array()), dirty.as_ref().map(|c| c.as_array()));
    let found = py.detach(|| {
        let (model, image, dirty) = (planes(&views.0), views.1.as_ref().map(planes), views.2.as_ref().map(planes));
        confetti::judge_cube(&model, &noise, image.as_deref(), dirty.as_deref(), beam, &options)
    });
    let found =
        found.iter().map(|candidate| results::typed(py, "Candidate", candidate)).collect::<PyResult<Vec<_>>>()?;
    PyList::new(py, found)
}

fn planes<'a>(cube: &'a ArrayView3<'_, f32>) -> Vec<ArrayView2<'a, f32>> {
    cube.axis_iter(Axis(0)).collect()
}

/// The command: words as typed, its own name first. Returns the exit code.
#[pyfunction]
fn main(py: Python<'_>, words: Vec<OsString>) -> i32 {
    py.detach(|| i32::from(cli::main(words)))
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_function(wrap_pyfunction!(masks::mask, module)?)?;
    module.add_function(wrap_pyfunction!(masks::automatic_mask, module)?)?;
    module.add_function(wrap_pyfunction!(masks::combine_masks, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::plane_metrics, module)?)?;
    module.add_function(wrap_pyfunction!(signal, module)?)?;
    module.add_function(wrap_pyfunction!(noise_maps, module)?)?;
    module.add_function(wrap_pyfunction!(sidelobe_level, module)?)?;
    module.add_function(wrap_pyfunction!(find_confetti, module)?)?;
    module.add_function(wrap_pyfunction!(automask::automask_plane, module)?)?;
    module.add_function(wrap_pyfunction!(main, module)?)?;
    module.add_class::<automask::AutomaskState>()
}
