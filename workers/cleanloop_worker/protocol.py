"""JSON lines on standard input and output.

A request is one line {"id": n, "operation": name, "params": {...}, "log": path or null}; its answer is one line
{"id": n, "result": ...} or {"id": n, "error": {"kind": ..., "message": ..., "traceback": ...}}. Lines
{"event": name, ...} may come between them. Whatever CASA itself prints goes to standard error.

An error of kind "bad-input" is the user's to mend, "bad-request" the caller's; any other is CASA's.
"""

import functools
import json
import math
import os
import sys
import traceback
from collections.abc import Iterable
from typing import Any, TextIO

from cleanloop_worker import casa_tasks, registry
from cleanloop_worker.problems import BadInput, BadRequest

# Severe for CASA, but not for us: the pinned measures data are older than today.
OLD_DATA = ("Leap second table", "Until the table is updated", "times and coordinates derived from UTC")
COMPLAINTS = 3  # of CASA's log, at most this many are added to an error

_replies: TextIO | None = None


@functools.cache
def take_standard_output() -> TextIO:
    """The standard output, for answers alone: descriptor 1 becomes standard error for everybody else."""
    replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    return replies


def event(name: str, **fields: Any) -> None:
    """Reports progress to the caller."""
    if _replies is not None:
        _replies.write(json.dumps({"event": name, **plain(fields)}) + "\n")


def plain(value: Any) -> Any:
    """The value in JSON's terms; numbers that are not finite become null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, which need not be there
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class CasaLog:
    """Sends CASA's log of one request to a file, and finds CASA's complaints in it."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.start = 0
        if path:
            from casatasks import casalog

            self.start = os.path.getsize(path) if os.path.exists(path) else 0
            casalog.setlogfile(path)

    def complaints(self) -> list[str]:
        """The last few lines of severity SEVERE that this request wrote."""
        if not self.path or not os.path.exists(self.path):
            return []
        with open(self.path, errors="replace") as file:
            file.seek(self.start)
            lines = [line for line in file if "\tSEVERE\t" in line and not any(n in line for n in OLD_DATA)]
        return [line.strip().split("\t")[-1].strip() for line in lines][-COMPLAINTS:]


def serve(lines: Iterable[str], replies: TextIO) -> None:
    """Answers requests until there are no more lines."""
    global _replies
    _replies = replies
    for line in lines:
        if line.strip():
            replies.write(json.dumps(answer(line)) + "\n")
            replies.flush()


def answer(line: str) -> dict[str, Any]:
    """The answer to one request; whatever goes wrong becomes an error in it."""
    number, log = None, None
    try:
        number, operation, params, log_path = parsed(line)
        call = registry.prepare(operation, params)
        log = CasaLog(log_path)
        return {"id": number, "result": plain(call())}
    except BadInput as problem:
        error = {"kind": "bad-input", "message": str(problem)}
    except BadRequest as problem:
        error = {"kind": "bad-request", "message": str(problem)}
    except MemoryError:
        error = {"kind": "failed", "message": "out of memory"}
    except Exception as problem:  # the loop must go on whatever CASA throws
        error = {"kind": "failed", "message": described(problem, log), "traceback": traceback.format_exc()}
    return {"id": number, "error": error}


def parsed(line: str) -> tuple[int, str, dict[str, Any], str | None]:
    """Number, operation, parameters and log of a request."""
    try:
        request = json.loads(line)
    except ValueError as problem:
        raise BadRequest(f"a request is not JSON: {problem}") from problem
    if not isinstance(request, dict) or not {"id", "operation"} <= set(request):
        raise BadRequest("a request needs the keys id and operation")
    params = request.get("params")
    if not isinstance(params, dict):
        raise BadRequest(f"{request['operation']}: params must be an object")
    return request["id"], request["operation"], params, request.get("log")


def described(problem: Exception, log: CasaLog | None) -> str:
    """The error's message, and what CASA's log adds to it."""
    message = str(problem) or type(problem).__name__
    for complaint in log.complaints() if log else []:
        if message not in complaint and complaint not in message:
            message += f"\n{complaint}"
    return message


def versions(_: Any) -> dict[str, str]:
    """Versions of CASA, numpy and Python."""
    import casatools
    import numpy

    return {
        "casatasks": casa_tasks.version(),
        "casatools": casatools.version_string(),
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
    }
