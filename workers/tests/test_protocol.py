"""Requests and answers as lines of JSON."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cleanloop_worker import protocol, registry
from cleanloop_worker import requests as r
from cleanloop_worker.problems import BadInput

PACKAGE = Path(__file__).parent.parent / "cleanloop_worker"


def ask(operation: str, params: object, **more: object) -> dict:
    """The answer to one request."""
    return protocol.answer(json.dumps({"id": 7, "operation": operation, "params": params, **more}))


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch):
    """Puts a function of the test's own behind `checksum`."""

    def put(function: object) -> None:
        operation = registry.Operation(r.Checksum, "nowhere:nothing")
        monkeypatch.setattr(registry.Operation, "function", lambda self: function)
        monkeypatch.setitem(registry.OPERATIONS, "checksum", operation)

    return put


@pytest.mark.parametrize(
    "line", ["{", "[]", "3", '{"id": 1}', '{"operation": "versions"}', '{"id": 1, "operation": "versions"}']
)
def test_a_line_that_is_no_request_is_answered(line: str) -> None:
    assert protocol.answer(line)["error"]["kind"] == "bad-request"


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("fly", {}, "the worker has no operation 'fly'"),
        (
            "checksum",
            {"ms": "a.ms", "column": "DATA", "colum": 1},
            "checksum: unknown key colum; the keys are ms, column",
        ),
        ("checksum", {"ms": "a.ms"}, "checksum: missing key column"),
        ("checksum", {"ms": 3, "column": "DATA"}, "checksum.ms: expected string, found 3"),
        ("versions", {"x": 1}, "versions: unknown key x; the keys are none"),
    ],
)
def test_a_wrong_request_is_refused_by_name(operation: str, params: dict, message: str) -> None:
    answer = ask(operation, params)
    assert answer["id"] == 7
    assert answer["error"] == {"kind": "bad-request", "message": message}


def test_the_handler_gets_the_request_and_its_result_becomes_json(handler) -> None:
    seen = []
    handler(lambda request: seen.append(request) or {"values": np.array([1.0, np.nan]), "count": np.int64(3)})
    answer = ask("checksum", {"ms": "a.ms", "column": "DATA"})
    assert seen == [r.Checksum("a.ms", "DATA")]
    assert answer == {"id": 7, "result": {"values": [1.0, None], "count": 3}}


@pytest.mark.parametrize(
    ("problem", "kind", "message"),
    [
        (BadInput("no such file"), "bad-input", "no such file"),
        (MemoryError(), "failed", "out of memory"),
        (RuntimeError("broken"), "failed", "broken"),
        (KeyError(), "failed", "KeyError"),
    ],
)
def test_errors_are_sorted_by_fault(handler, problem: Exception, kind: str, message: str) -> None:
    def fail(_: object) -> None:
        raise problem

    handler(fail)
    error = ask("checksum", {"ms": "a.ms", "column": "DATA"})["error"]
    assert (error["kind"], error["message"]) == (kind, message)
    assert ("traceback" in error) == (not isinstance(problem, (BadInput, MemoryError)))


def test_complaints_of_the_log_are_added_once(tmp_path: Path) -> None:
    path = tmp_path / "casa.log"
    path.write_text("time\tSEVERE\ttask\tof an earlier request\n")
    log = protocol.CasaLog(None)
    log.path, log.start = str(path), path.stat().st_size
    with path.open("a") as file:
        file.write("time\tINFO\ttask\tall well\ntime\tSEVERE\ttask\tLeap second table is old\n")
        file.write("time\tSEVERE\ttask\tno disk left\ntime\tSEVERE\ttask\tbroken\n")
    assert log.complaints() == ["no disk left", "broken"]
    assert protocol.described(RuntimeError("broken"), log) == "broken\nno disk left"


def test_events_come_between_request_and_answer(handler) -> None:
    handler(lambda _: protocol.event("progress", done=np.int64(1)))
    replies = io.StringIO()
    request = {"id": 1, "operation": "checksum", "params": {"ms": "a.ms", "column": "DATA"}}
    protocol.serve(["\n", json.dumps(request)], replies)
    lines = [json.loads(line) for line in replies.getvalue().splitlines()]
    assert lines == [{"event": "progress", "done": 1}, {"id": 1, "result": None}]


def test_the_package_is_started_by_the_name_of_its_folder(tmp_path: Path) -> None:
    """Without installation, from any folder, without numpy; what is printed does not reach the answers."""
    request = {"id": 1, "operation": "operations", "params": {}, "log": None}
    output = subprocess.run(
        [sys.executable, "-S", str(PACKAGE)],
        input=json.dumps(request) + "\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )
    assert json.loads(output.stdout) == {"id": 1, "result": registry.describe()}
