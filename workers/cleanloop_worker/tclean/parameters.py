"""Parameters of the task tclean, and the tools that they give."""

import inspect
import os
from typing import Any

from cleanloop_worker.problems import BadInput

RENAMED = {
    "vis": "msname",
    "timerange": "timestr",
    "uvrange": "uvdist",
    "observation": "obs",
    "intent": "state",
    "gain": "loopgain",
    "smallscalebias": "scalebias",
}


def task_defaults() -> dict[str, Any]:
    """Defaults of the task tclean: those of the helper class differ."""
    from casatasks import tclean

    return {name: p.default for name, p in inspect.signature(tclean.__call__).parameters.items()}


def tool_parameters(parameters: dict[str, Any]) -> Any:
    """ImagerParameters from tclean's parameters, as the task makes them."""
    defaults = task_defaults()
    unknown = set(parameters) - set(defaults)
    if unknown:
        raise BadInput(f"tclean has no parameter {', '.join(sorted(unknown))}")
    given = {RENAMED.get(k, k): v for k, v in {**defaults, **parameters}.items()}
    given["chanchunks"] = 1
    # A bare number in a text is no level to the tools.
    given["threshold"] = in_jansky(given["threshold"])
    if given["specmode"] == "mfs":
        given["perchanweightdensity"] = False
    if given["gridder"] not in ("mosaic", "awp2"):
        given["mosweight"] = False
    return helper_parameters(given)


def helper_parameters(given: dict[str, Any]) -> Any:
    """ImagerParameters from the parameters that it knows; its own defaults for others."""
    from casatasks.private.imagerhelpers.input_parameters import ImagerParameters

    names = ImagerParameters.__init__.__code__.co_varnames[1:]
    defaults = dict(zip(names, ImagerParameters.__init__.__defaults__, strict=False))
    return ImagerParameters(**{k: given.get(k, default) for k, default in defaults.items()})


def imager(tool_options: Any, parameters: dict[str, Any]) -> Any:
    """tclean's helper: serial, or with the processes of MPI (continuum; CASA spreads cubes over them by itself)."""
    from casatasks.private.imagerhelpers.imager_base import PySynthesisImager

    if not parameters.get("parallel"):
        return PySynthesisImager(params=tool_options)
    if "OMPI_COMM_WORLD_RANK" not in os.environ:
        raise BadInput(
            "tclean.parallel: CASA's parallel imager needs Python under MPI, with the package casampi. Leave "
            "executables.casa out (and run `cleanloop setup mpi`), or set it to something like [mpirun, -n, "
            '"4", python3]'
        )
    if parameters["specmode"] != "mfs":
        from casampi.MPIInterface import MPIInterface

        for line in ("from casatools import synthesisimager", "si=synthesisimager()", "si.initmpi()"):
            MPIInterface().getCluster()._cluster.pgc(line, False)
        return PySynthesisImager(params=tool_options)
    from casatasks.private.imagerhelpers.imager_parallel_continuum import PyParallelContSynthesisImager

    return PyParallelContSynthesisImager(params=tool_options)


def measurement_sets(parameters: dict[str, Any]) -> list[str]:
    """The measurement sets to be imaged."""
    vis = parameters["vis"]
    return [vis] if isinstance(vis, str) else vis


def jansky(threshold: Any) -> float:
    """A threshold, a number in Jy or a text with a unit, in Jy."""
    try:
        return float(threshold)
    except ValueError:
        from casatools import quanta

        return float(quanta().convert(threshold, "Jy")["value"])


def in_jansky(threshold: Any) -> str:
    """A threshold as text with the unit Jy."""
    return f"{jansky(threshold)!r}Jy"
