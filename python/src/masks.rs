//! Masks by flint's pipeline, automatic masks, and masks combined.

use super::arrays::{Beam, bools, maybe_plane, plane};
use super::results::{class, plain, typed};
use super::{options, warn, wrong};
use cleanloop::masking::auto::{self, AutoInputs, AutoMaskOptions, AutoSettings, LastRound, PsfSidelobes};
use cleanloop::masking::combine::{self, Operation, TidyOptions};
use cleanloop::masking::{self, MaskBits, MaskingOptions};
use cleanloop::noise::NoiseOptions;
use ndarray::Array2;
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// A clean mask by flint's pipeline: the same pixels as flint (2026-08), NaN never masked.
///
/// image, background, rms: [y, x], Jy/beam. Background and rms are needed for masks by signal to noise, and not used
///     with flood_fill_use_mac or convolve_first; `noise` makes them.
/// beam: (major, minor, position angle), FWHM in pixels and degrees, or one number: for beam_shape_erode.
/// options: flint's MaskingOptions by name; what is left out has flint's default.
///
/// Returns the mask, [y, x], uint8 (int32 with more than 8 scales): 1 where CLEAN may look; with several
///     beam_shape_erode_scales, bit n is the mask of the n-th scale.
/// Warns (RuntimeWarning) of what flint logs: a seed clip that was lowered, a beam that is missing.
/// Raises TypeError for unknown options, ValueError for invalid values and for shapes that differ.
#[pyfunction]
#[pyo3(signature = (image, *, background=None, rms=None, beam=None, **options))]
pub(crate) fn mask<'py>(
    image: &Bound<'py, PyAny>,
    background: Option<&Bound<'py, PyAny>>,
    rms: Option<&Bound<'py, PyAny>>,
    beam: Option<Beam>,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = image.py();
    let options: MaskingOptions = options::read(options)?;
    let image = plane(image, "image")?;
    let (background, rms) = (maybe_plane(background, "background")?, maybe_plane(rms, "rms")?);
    let beam = beam.map(Beam::checked).transpose()?;
    let (image, background, rms) =
        (image.as_array(), background.as_ref().map(|b| b.as_array()), rms.as_ref().map(|r| r.as_array()));
    let made = py.detach(|| masking::make_mask(image, background, rms, beam.as_ref(), &options)).map_err(wrong)?;
    for note in &made.notes {
        warn(py, &note.to_string())?;
    }
    Ok(mask_array(py, made.mask))
}

fn mask_array(py: Python<'_>, mask: MaskBits) -> Bound<'_, PyAny> {
    match mask {
        MaskBits::Plain(bits) => py.detach(|| bits.to_bools().mapv(u8::from)).into_pyarray(py).into_any(),
        MaskBits::Narrow(bits) => bits.into_pyarray(py).into_any(),
        MaskBits::Wide(bits) => bits.into_pyarray(py).into_any(),
    }
}

/// Inputs of automatic levels; see `cleanloop.automatic_mask`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct AutomaticArguments<'py> {
    beam: Option<Beam>,
    psf: Option<Bound<'py, PyAny>>,
    uncleaned: Option<Bound<'py, PyAny>>,
    previous_image: Option<Bound<'py, PyAny>>,
    previous_mask: Option<Bound<'py, PyAny>>,
    caution: f64,
    noise: Option<Bound<'py, PyDict>>,
    masking: Option<Bound<'py, PyDict>>,
}

/// An automatic mask; `cleanloop.automatic_mask` has the keywords one by one.
#[pyfunction]
#[pyo3(signature = (image, arguments, limits))]
pub(crate) fn automatic_mask<'py>(
    image: &Bound<'py, PyAny>,
    arguments: AutomaticArguments<'py>,
    limits: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = image.py();
    let limits: AutoMaskOptions = options::read(Some(limits))?;
    let base: MaskingOptions = options::read(arguments.masking.as_ref())?;
    let noise: NoiseOptions = options::read(arguments.noise.as_ref())?;
    let AutomaticArguments { beam, psf, uncleaned, previous_image, previous_mask, caution, .. } = arguments;
    if previous_image.is_some() != previous_mask.is_some() {
        return Err(wrong("previous_image and previous_mask belong together: give both, or neither"));
    }
    if !(caution.is_finite() && caution > 0.0) {
        return Err(wrong(format!("caution is {caution}; a number above 0 was expected")));
    }
    let image = plane(image, "image")?;
    let psf = maybe_plane(psf.as_ref(), "psf")?;
    let uncleaned = maybe_plane(uncleaned.as_ref(), "uncleaned")?;
    let previous_image = maybe_plane(previous_image.as_ref(), "previous_image")?;
    let previous_mask = previous_mask.map(|mask| bools(&mask, "previous_mask")).transpose()?;
    let beam = beam.map(Beam::checked).transpose()?;
    let shape = image.as_array().dim();
    let planes = [(&uncleaned, "uncleaned"), (&previous_image, "previous_image")];
    let mut shapes: Vec<_> =
        planes.iter().filter_map(|(p, name)| Some((p.as_ref()?.as_array().dim(), *name))).collect();
    shapes.extend(previous_mask.as_ref().map(|mask| (mask.as_array().dim(), "previous_mask")));
    if let Some((found, name)) = shapes.into_iter().find(|(found, _)| *found != shape) {
        return Err(wrong(format!("{name} has shape {found:?}, but the image has {shape:?}")));
    }
    let (image, psf) = (image.as_array(), psf.as_ref().map(|p| p.as_array()));
    let uncleaned = uncleaned.as_ref().map(|p| p.as_array());
    let last_image = previous_image.as_ref().map(|p| p.as_array());
    let last_mask = previous_mask.as_ref().map(|m| m.as_array());
    let made = py.detach(|| {
        let fwhm = auto::fwhm_of(beam.as_ref());
        let sidelobes = psf.map(|psf| PsfSidelobes::of(psf, &limits.extended.scales, fwhm));
        let inputs = AutoInputs {
            image,
            beam: beam.as_ref(),
            sidelobes: sidelobes.as_ref(),
            uncleaned,
            last: last_image.zip(last_mask).map(|(image, mask)| LastRound { image, mask }),
            left: 0.0,
        };
        auto::make(&inputs, &AutoSettings { base: &base, noise: &noise, caution, limits: &limits })
    });
    result(py, made.map_err(wrong)?)
}

/// `cleanloop.types.AutomaticMask`.
fn result(py: Python<'_>, made: auto::AutoMask) -> PyResult<Bound<'_, PyAny>> {
    let removed = made.removed.iter().map(|island| typed(py, "RemovedIsland", island)).collect::<PyResult<Vec<_>>>()?;
    let mut why = vec![made.choice.why.clone()];
    why.extend(made.extended.iter().filter(|scale| scale.pixels > 0).map(ToString::to_string));
    let fields = PyDict::new(py);
    fields.set_item("mask", mask_array(py, made.mask))?;
    fields.set_item("artefacts", made.choice.artefacts)?;
    fields.set_item("options", plain(py, &serde_json::to_value(&made.choice.masking).map_err(wrong)?)?)?;
    fields.set_item("why", PyTuple::new(py, why)?)?;
    fields.set_item("fraction", made.fraction)?;
    fields.set_item("raised", made.raised)?;
    fields.set_item("hidden", made.hidden)?;
    fields.set_item("removed", PyTuple::new(py, removed)?)?;
    class(py, "AutomaticMask")?.call((), Some(&fields))
}

/// Masks that change the combination after the first ones; see `cleanloop.combine`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct CombineSteps<'py> {
    add: Vec<Bound<'py, PyAny>>,
    remove: Vec<Bound<'py, PyAny>>,
    keep_touching: Vec<Bound<'py, PyAny>>,
    drop_touching: Vec<Bound<'py, PyAny>>,
}

/// Masks combined; `cleanloop.combine` has the keywords one by one.
#[pyfunction]
#[pyo3(signature = (masks, operation, steps, tidy))]
pub(crate) fn combine_masks<'py>(
    py: Python<'py>,
    masks: Vec<Bound<'py, PyAny>>,
    operation: &str,
    steps: CombineSteps<'py>,
    tidy: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let tidy: TidyOptions = options::read(Some(tidy))?;
    let operation: Operation =
        serde_json::from_value(operation.into()).map_err(|e| wrong(format!("operation: {e}")))?;
    let masks = read_all(&masks, "masks", None)?;
    let Some((first, rest)) = masks.split_first() else {
        return Err(wrong("masks is empty; at least one mask was expected"));
    };
    let shape = Some(first.dim());
    let differ = rest.iter().find(|mask| Some(mask.dim()) != shape);
    if let Some(mask) = differ {
        return Err(wrong(format!("masks have shapes {:?} and {:?}", first.dim(), mask.dim())));
    }
    let add = read_all(&steps.add, "add", shape)?;
    let remove = read_all(&steps.remove, "remove", shape)?;
    let keep = read_all(&steps.keep_touching, "keep_touching", shape)?;
    let drop_touching = read_all(&steps.drop_touching, "drop_touching", shape)?;
    let combined = py.detach(|| {
        let mut mask = first.clone();
        rest.iter().for_each(|next| operation.apply(&mut mask, next.view()));
        add.iter().for_each(|next| Operation::Union.apply(&mut mask, next.view()));
        remove.iter().for_each(|next| Operation::Difference.apply(&mut mask, next.view()));
        for (probes, kept) in [(keep, true), (drop_touching, false)] {
            let all = probes.into_iter().reduce(|mut all, next| {
                Operation::Union.apply(&mut all, next.view());
                all
            });
            if let Some(probe) = all {
                combine::select_islands(&mut mask, probe.view(), kept);
            }
        }
        tidy.apply(&mut mask);
        mask.mapv(u8::from)
    });
    Ok(combined.into_pyarray(py))
}

/// Masks as booleans, all of one shape where it is given.
fn read_all(masks: &[Bound<'_, PyAny>], name: &str, shape: Option<(usize, usize)>) -> PyResult<Vec<Array2<bool>>> {
    let read = |mask: &Bound<'_, PyAny>| {
        let mask = bools(mask, name)?.as_array().to_owned();
        match shape {
            Some(shape) if mask.dim() != shape => {
                Err(wrong(format!("{name} has shape {:?}, but the first mask has {shape:?}", mask.dim())))
            }
            _ => Ok(mask),
        }
    };
    masks.iter().map(read).collect()
}
