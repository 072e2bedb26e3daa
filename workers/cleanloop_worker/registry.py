"""Which function answers which request, and what the keys of a request may hold."""

import dataclasses
import importlib
import types
import typing
from collections.abc import Callable
from typing import Any

from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadRequest

NAMES = {str: "string", bool: "boolean", int: "integer", float: "number"}


@dataclasses.dataclass(frozen=True)
class Operation:
    """A request's class, and the function that answers it as MODULE:FUNCTION; modules are imported when needed."""

    request: type
    handler: str

    def function(self) -> Callable[[Any], Any]:
        """The function, which takes the request."""
        module, name = self.handler.split(":")
        return getattr(importlib.import_module(f"cleanloop_worker.{module}"), name)


OPERATIONS = {
    "operations": Operation(r.Operations, "registry:describe"),
    "versions": Operation(r.Versions, "protocol:versions"),
    "simulate": Operation(r.Simulate, "simulation.observe:simulate"),
    "fill_model": Operation(r.FillModel, "simulation.observe:fill_model"),
    "ms_summary": Operation(r.Summary, "ms.summary:summary"),
    "inspect": Operation(r.Inspect, "ms.inspection:inspect"),
    "flag_not_finite": Operation(r.FlagNotFinite, "ms.flags:flag_not_finite"),
    "read_pointing": Operation(r.ReadPointing, "ms.summary:pointing"),
    "model_is_empty": Operation(r.ModelIsEmpty, "ms.columns:answer_model_is_empty"),
    "short_baseline_flux": Operation(r.ShortBaselineFlux, "ms.flux:short_baseline_flux"),
    "measure_noise": Operation(r.MeasureNoise, "ms.noise:theoretical_noise"),
    "checksum": Operation(r.Checksum, "ms.columns:checksum"),
    "copy_column": Operation(r.CopyColumn, "ms.columns:answer_copy_column"),
    "adopt_corrected": Operation(r.AdoptCorrected, "ms.columns:adopt_corrected"),
    "four_correlations": Operation(r.FourCorrelations, "ms.four:four_correlations"),
    "split": Operation(r.Split, "ms.select:split"),
    "smearing": Operation(r.Smearing, "ms.select:smearing"),
    "shift_phase_centre": Operation(r.ShiftPhaseCentre, "ms.phase_centre:shift_phase_centre"),
    "save_column": Operation(r.SaveColumn, "ms.columns:save_column"),
    "load_column": Operation(r.LoadColumn, "ms.columns:load_column"),
    "channel_amplitudes": Operation(r.ChannelAmplitudes, "ms.continuum:channel_amplitudes"),
    "uvcontsub": Operation(r.Uvcontsub, "ms.continuum:uvcontsub"),
    "subtract_model": Operation(r.SubtractModel, "ms.continuum:subtract_model"),
    "gaincal": Operation(r.Gaincal, "gains.solve:gaincal"),
    "applycal": Operation(r.Applycal, "gains.apply:applycal"),
    "apply_onto": Operation(r.ApplyOnto, "gains.onto:apply_onto"),
    "spectral_window_maps": Operation(r.SpectralWindowMaps, "gains.apply:spectral_window_maps"),
    "identity_gains": Operation(r.IdentityGains, "gains.apply:identity_gains"),
    "table_statistics": Operation(r.TableStatistics, "gains.tables:statistics"),
    "gain_statistics": Operation(r.GainStatistics, "gains.quality:gain_statistics"),
    "tclean_open": Operation(r.TcleanOpen, "tclean.steps:open_session"),
    "tclean_close": Operation(r.TcleanClose, "tclean.steps:close_session"),
    "tclean_grid": Operation(r.TcleanGrid, "tclean.steps:cube_grid"),
    "tclean_psf": Operation(r.TcleanPsf, "tclean.steps:make_psf"),
    "tclean_pb": Operation(r.TcleanPb, "tclean.steps:make_pb"),
    "tclean_major": Operation(r.TcleanMajor, "tclean.steps:run_major_cycle"),
    "tclean_minor": Operation(r.TcleanMinor, "tclean.steps:run_minor_cycle"),
    "tclean_restore": Operation(r.TcleanRestore, "tclean.steps:restore"),
    "tclean_replace_model": Operation(r.TcleanReplaceModel, "tclean.steps:replace_model"),
    "tclean_roll_back": Operation(r.TcleanRollBack, "tclean.steps:roll_back"),
    "tclean_revert_channels": Operation(r.TcleanRevertChannels, "tclean.steps:revert_channels"),
    "tclean_predict": Operation(r.TcleanPredict, "tclean.steps:predict"),
    "tclean": Operation(r.Tclean, "tclean.steps:plain_call"),
    "export_image": Operation(r.ExportImage, "images:export_image"),
    "deconvolution_prepare": Operation(r.DeconvolutionPrepare, "deconvolution:prepare"),
    "deconvolution_run": Operation(r.DeconvolutionRun, "deconvolution:run"),
}


def describe(_: Any = None) -> dict[str, dict[str, str]]:
    """The operations: keys and the names of their types."""
    return {name: members(operation.request) for name, operation in OPERATIONS.items()}


def prepare(operation: str, params: dict[str, Any]) -> Callable[[], Any]:
    """The call that answers a request whose keys and types are right."""
    known = OPERATIONS.get(operation)
    if known is None:
        raise BadRequest(f"the worker has no operation {operation!r}")
    request = read(known.request, params, operation)
    function = known.function()
    return lambda: function(request)


def members(kind: type) -> dict[str, str]:
    """The keys of a request and the names of their types."""
    return {name: type_name(hint) for name, hint in typing.get_type_hints(kind).items()}


def type_name(hint: Any) -> str:
    """The name of a type, in the words that both sides use."""
    inner, nullable = without_null(hint)
    if nullable:
        return f"{type_name(inner)} or null"
    if inner in NAMES:
        return NAMES[inner]
    if dataclasses.is_dataclass(inner):
        fields = ", ".join(f"{name}: {kind}" for name, kind in sorted(members(typing.cast(type, inner)).items()))
        return f"{{{fields}}}"
    origin = typing.get_origin(inner)
    if origin is list:
        return f"list of {type_name(typing.get_args(inner)[0])}"
    if origin is dict:
        return "object"
    raise TypeError(f"requests may not hold {hint}")


def without_null(hint: Any) -> tuple[Any, bool]:
    """The type without None, and whether None was allowed."""
    if isinstance(hint, types.UnionType):
        inner = [part for part in typing.get_args(hint) if part is not type(None)]
        if len(inner) == 1 and len(inner) < len(typing.get_args(hint)):
            return inner[0], True
    return hint, False


def read(kind: type, values: Any, at: str) -> Any:
    """A request (or a part of one) from JSON; `at` is its place in messages."""
    if not isinstance(values, dict):
        raise BadRequest(f"{at}: expected an object, found {values!r}")
    hints = typing.get_type_hints(kind)
    unknown, missing = sorted(set(values) - set(hints)), sorted(set(hints) - set(values))
    if unknown:
        raise BadRequest(f"{at}: unknown key {', '.join(unknown)}; the keys are {', '.join(hints) or 'none'}")
    if missing:
        raise BadRequest(f"{at}: missing key {', '.join(missing)}")
    return kind(**{name: read_value(hint, values[name], f"{at}.{name}") for name, hint in hints.items()})


def read_value(hint: Any, value: Any, at: str) -> Any:
    """A value of a type from JSON."""
    inner, nullable = without_null(hint)
    if nullable and value is None:
        return None
    if dataclasses.is_dataclass(inner):
        return read(typing.cast(type, inner), value, at)
    origin = typing.get_origin(inner)
    if origin is list and isinstance(value, list):
        part = typing.get_args(inner)[0]
        return [read_value(part, one, f"{at}[{index}]") for index, one in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return value
    if inner is float and type(value) in (int, float):
        return float(value)
    if inner in NAMES and type(value) is inner:
        return value
    raise BadRequest(f"{at}: expected {type_name(hint)}, found {value!r}")
