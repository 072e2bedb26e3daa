//! Auto-multithresh, plane by plane, with the state in and out.

use super::arrays::{Beam, bools, plane};
use super::{options, results, wrong};
use cleanloop::kernels::bitmask::BitMask;
use cleanloop::masking::multithresh::{self, Call, ChannelMaskState, MultithreshOptions};
use numpy::{IntoPyArray, PyArray2};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The state of a plane between major cycles.
#[pyclass(frozen, eq, module = "cleanloop")]
#[derive(PartialEq)]
pub struct AutomaskState(ChannelMaskState);

#[pymethods]
impl AutomaskState {
    #[new]
    #[pyo3(signature = (mask, posmask=None, cycles=0, skip=false))]
    fn new(mask: &Bound<'_, PyAny>, posmask: Option<&Bound<'_, PyAny>>, cycles: u32, skip: bool) -> PyResult<Self> {
        let mask = BitMask::from_bools(bools(mask, "mask")?.as_array());
        let mut state = ChannelMaskState::with_mask(mask);
        if let Some(posmask) = posmask {
            let posmask = BitMask::from_bools(bools(posmask, "posmask")?.as_array());
            if posmask.dim() != state.mask.dim() {
                let (found, expected) = (posmask.dim(), state.mask.dim());
                return Err(wrong(format!("posmask has shape {found:?}, but mask has {expected:?}")));
            }
            state.posmask = posmask;
        }
        (state.cycles, state.skip) = (cycles, skip);
        Ok(Self(state))
    }

    #[getter]
    fn mask<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<bool>> {
        self.0.mask.to_bools().into_pyarray(py)
    }

    #[getter]
    fn posmask<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray2<bool>> {
        self.0.posmask.to_bools().into_pyarray(py)
    }

    #[getter]
    fn cycles(&self) -> u32 {
        self.0.cycles
    }

    #[getter]
    fn skip(&self) -> bool {
        self.0.skip
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let (py, state) = (slf.py(), slf.get());
        let values = (state.mask(py), state.posmask(py), state.cycles(), state.skip()).into_pyobject(py)?;
        PyTuple::new(py, [slf.get_type().into_any(), values.into_any()])
    }

    fn __repr__(&self) -> String {
        let (ny, nx) = self.0.mask.dim();
        let (pixels, cycles) = (self.0.mask.count(), self.0.cycles);
        let skip = if self.0.skip { "True" } else { "False" };
        format!("<AutomaskState of {ny} x {nx} pixels, {pixels} masked, cycles={cycles}, skip={skip}>")
    }
}

/// One call of CASA's auto-multithresh for one plane: from the residual and the state before to the state after.
///
/// residual: [y, x], Jy/beam; NaN never counts.
/// beam: the restoring beam, FWHM in pixels and degrees.
/// sidelobe_level: highest sidelobe of the PSF over its peak; `sidelobe_level` measures it.
/// state: what the last call returned; None at the first call. AutomaskState(mask) starts from a mask.
/// valid: [y, x], where it counts (all if left out); with pbmask above 0, where the primary beam exceeds it.
/// iterdone: minor-cycle iterations so far; only whether it is 0 matters.
/// threshold_reached: the minor cycle before this call reached the user's cleaning threshold.
/// first_plane_full: the incoming mask of the cube's first plane covers all its pixels.
/// options: tclean's parameters by name (sidelobethreshold, noisethreshold, ...), with tclean's defaults.
///
/// Returns (state, summary): the new mask is state.mask; the summary is a PlaneSummary, which has what CASA logs of the plane.
/// Raises TypeError for unknown options, ValueError for invalid values and for shapes that differ.
#[pyfunction]
#[pyo3(signature = (
    residual, beam, sidelobe_level, state=None, *, valid=None, iterdone=0, threshold_reached=false,
    first_plane_full=false, **options
))]
#[allow(clippy::too_many_arguments)] // They are the keywords of the Python function.
pub(crate) fn automask_plane<'py>(
    residual: &Bound<'py, PyAny>,
    beam: Beam,
    sidelobe_level: f32,
    state: Option<&Bound<'py, AutomaskState>>,
    valid: Option<&Bound<'py, PyAny>>,
    iterdone: u64,
    threshold_reached: bool,
    first_plane_full: bool,
    options: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let py = residual.py();
    let options: MultithreshOptions = options::read(options)?;
    let residual = plane(residual, "residual")?;
    let valid = valid.map(|v| bools(v, "valid")).transpose()?;
    let beam = beam.checked()?;
    let call = Call { sidelobe_level, iterdone, threshold_reached, first_plane_full };
    let old = state.map(|s| &s.get().0);
    let (residual, valid) = (residual.as_array(), valid.as_ref().map(|v| v.as_array()));
    let (state, summary) =
        py.detach(|| multithresh::automask_plane(residual, valid, beam, &call, &options, old)).map_err(wrong)?;
    let state = Bound::new(py, AutomaskState(state))?;
    PyTuple::new(py, [state.into_any(), results::typed(py, "PlaneSummary", &summary)?])
}
