"""Requests are read from JSON with their keys and types."""

import dataclasses
import importlib
import inspect

import pytest

from cleanloop_worker import registry
from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadRequest


@pytest.mark.parametrize("name", registry.OPERATIONS)
def test_every_operation_has_a_function_that_takes_its_request(name: str) -> None:
    operation = registry.OPERATIONS[name]
    parameters = list(inspect.signature(operation.function()).parameters.values())
    assert len(parameters) == 1
    module = importlib.import_module(f"cleanloop_worker.{operation.handler.split(':')[0]}")
    hint = parameters[0].annotation
    assert hint is operation.request or module.__name__.rsplit(".", 1)[-1] in ("registry", "protocol")


def test_every_request_has_an_operation_or_is_a_part_of_one() -> None:
    defined = {kind for kind in vars(r).values() if dataclasses.is_dataclass(kind)}
    parts = {
        r.GainTable,
        r.AppliedTable,
        r.GainTerm,
        r.GaincalParameters,
        r.ChannelLimit,
        r.ChannelCycle,
        r.WindowChannels,
    }
    assert defined - parts == {operation.request for operation in registry.OPERATIONS.values()}


def test_types_have_names_that_both_sides_use() -> None:
    assert registry.members(r.TcleanMinor) == {
        "folder": "string",
        "mask": "string or null",
        "threshold_jy": "number or null",
        "iterations_left": "integer",
        "channels": "list of {active: boolean, threshold_jy: number or null} or null",
    }
    assert registry.members(r.Tclean) == {"parameters": "object"}


def test_nested_values_are_read() -> None:
    values = {"tables": [{"path": "t", "channels": [0, 3], "spectral_window": None}], "antennas": ["a", "b"]}
    assert registry.read(r.IdentityGains, values, "x") == r.IdentityGains([r.GainTable("t", [0, 3], None)], ["a", "b"])


def test_whole_numbers_may_stand_for_numbers() -> None:
    assert registry.read(r.ChannelLimit, {"active": True, "threshold_jy": 2}, "x").threshold_jy == 2.0


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (r.TableStatistics, [], "x: expected an object, found []"),
        (r.TableStatistics, {"tables": "t"}, "x.tables: expected list of"),
        (r.TableStatistics, {"tables": [{"path": "t"}]}, "x.tables[0]: missing key channels, spectral_window"),
        (r.ChannelCycle, {"channel": True, "cycle": 0}, "x.channel: expected integer, found True"),
        (r.ChannelCycle, {"channel": 1.5, "cycle": 0}, "x.channel: expected integer, found 1.5"),
        (r.ChannelLimit, {"active": 1, "threshold_jy": None}, "x.active: expected boolean, found 1"),
        (r.Tclean, {"parameters": []}, "x.parameters: expected object, found []"),
        (r.TcleanRestore, {"folder": None, "update_model": True}, "x.folder: expected string, found None"),
    ],
)
def test_wrong_values_are_named(kind: type, values: object, message: str) -> None:
    with pytest.raises(BadRequest) as error:
        registry.read(kind, values, "x")
    assert str(error.value).startswith(message)
