"""cleanloop's CASA worker: JSON lines on standard input and output.

A request is one line {"id": n, "method": name, "params": {...}}; its answer is one line {"id": n, "result": ...} or
{"id": n, "error": {"kind": ..., "message": ..., "traceback": ...}}. Lines {"event": name, ...} may come between them.
Whatever CASA itself prints goes to standard error: descriptor 1 is moved away before anything is imported.
An error of kind "bad-input" is the caller's to mend; any other is CASA's.
"""

import json
import math
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
_replies = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
os.dup2(2, 1)

from problems import BadInput  # noqa: E402 (only now can the path be known)

# Severe for CASA, but not for us: the pinned measures data are older than today.
OLD_DATA = ("Leap second table", "Until the table is updated", "times and coordinates derived from UTC")
METHODS = {}


def method(function):
    """Registers a function of keyword arguments as a method of the worker."""
    METHODS[function.__name__] = function
    return function


def event(name, **fields):
    """Tells the caller about progress."""
    _replies.write(json.dumps({"event": name, **plain(fields)}) + "\n")


def plain(value):
    """The value in JSON's terms; what is not finite becomes null."""
    import numpy

    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, numpy.ndarray):
        return plain(value.tolist())
    if isinstance(value, numpy.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class CasaLog:
    """Sends CASA's log of one request to a file, and knows what CASA complained about meanwhile."""

    def __init__(self, path):
        self.path = path
        self.start = 0
        if path:
            from casatasks import casalog

            self.start = os.path.getsize(path) if os.path.exists(path) else 0
            casalog.setlogfile(path)

    def complaints(self, most=3):
        """The last few lines of severity SEVERE."""
        if not self.path or not os.path.exists(self.path):
            return []
        with open(self.path, errors="replace") as file:
            file.seek(self.start)
            lines = [line for line in file if "\tSEVERE\t" in line and not any(n in line for n in OLD_DATA)]
        return [line.strip().split("\t")[-1].strip() for line in lines][-most:]


def serve():
    for line in sys.stdin:
        line = line.strip()
        if not line:
            continue
        number, log = None, None
        try:
            request = json.loads(line)
            number = request["id"]
            params = request.get("params") or {}
            if request["method"] not in METHODS:
                raise BadInput(f"the worker has no method {request['method']!r}")
            log = CasaLog(params.pop("log", None))
            answer = {"id": number, "result": plain(METHODS[request["method"]](**params))}
        except BadInput as problem:
            answer = {"id": number, "error": {"kind": "bad-input", "message": str(problem)}}
        except MemoryError:
            answer = {"id": number, "error": {"kind": "failed", "message": "out of memory"}}
        except Exception as problem:  # the loop must go on whatever CASA throws
            words = str(problem) or type(problem).__name__
            for complaint in log.complaints() if log else []:
                if words not in complaint and complaint not in words:
                    words += f"\n{complaint}"
            answer = {"id": number, "error": {"kind": "failed", "message": words, "traceback": traceback.format_exc()}}
        _replies.write(json.dumps(answer) + "\n")
        _replies.flush()


@method
def versions():
    """Versions of the parts."""
    import casatasks
    import casatools
    import numpy

    return {
        "casatasks": casatasks.version_string(),
        "casatools": casatools.version_string(),
        "numpy": numpy.__version__,
        "python": sys.version.split()[0],
    }


# The methods proper stand in files of their own; these lines are the list of what the worker can do.
@method
def simulate(**options):
    import simulation

    return simulation.simulate(event=event, **options)


@method
def fill_model(ms, sky):
    import simulation

    return simulation.fill_model(ms, sky)


@method
def ms_summary(ms):
    import measurement_set

    return measurement_set.summary(ms)


@method
def model_is_empty(ms):
    import measurement_set

    return measurement_set.model_is_empty(ms)


@method
def checksum(ms, column):
    import measurement_set

    return measurement_set.checksum(ms, column)


@method
def copy_column(ms, source, target):
    import measurement_set

    return measurement_set.copy_column(ms, source, target)


@method
def adopt_corrected(ms):
    import measurement_set

    return measurement_set.adopt_corrected(ms)


@method
def save_flags(ms, name):
    import measurement_set

    return measurement_set.save_flags(ms, name)


@method
def restore_flags(ms, name, missing_ok=False):
    import measurement_set

    return measurement_set.restore_flags(ms, name, missing_ok)


@method
def save_column(ms, column, folder):
    import measurement_set

    return measurement_set.save_column(ms, column, folder)


@method
def load_column(ms, column, folder):
    import measurement_set

    return measurement_set.load_column(ms, column, folder)


@method
def imaging(step, **options):
    import imaging as steps

    functions = {"open": steps.open_session, "close": steps.close_session, "psf": steps.make_psf, "pb": steps.make_pb,
                 "major": steps.run_major_cycle, "minor": steps.run_minor_cycle, "restore": steps.restore,
                 "replace_model": steps.replace_model, "roll_back": steps.roll_back,
                 "roll_back_channels": steps.roll_back_channels, "predict": steps.predict}
    if step in ("open", "predict"):
        options["event"] = event
    with steps.scratch(step, options):
        return functions[step](**options)


@method
def deconvolution(step, **options):
    import deconvolution as steps
    import imaging

    with imaging.scratch(step, options):
        return {"prepare": steps.prepare, "run": steps.run}[step](**options)


@method
def tclean(**options):
    """One plain call, with CASA's own masks: what the loop is compared with."""
    from casatasks import tclean as task

    os.environ["SAVE_ALL_AUTOMASKS"] = "true"
    try:
        return {"stopcode": task(**options).get("stopcode")}
    finally:
        del os.environ["SAVE_ALL_AUTOMASKS"]


@method
def export_image(image, path):
    """A CASA image as FITS [stokes, frequency, y, x]."""
    import casa_images

    casa_images.to_fits(image, path)


@method
def gaincal(**options):
    import calibration

    return calibration.gaincal(**options)


@method
def applycal(**options):
    import calibration

    return calibration.applycal(**options)


@method
def spwmaps(tables):
    import calibration

    return calibration.spwmaps(tables)


@method
def table_statistics(tables):
    import calibration

    return calibration.statistics(tables)


@method
def pass_through(tables, antennas):
    import calibration

    return calibration.pass_through(tables, antennas)


@method
def gain_statistics(**options):
    import gain_quality

    return gain_quality.gain_statistics(**options)


if __name__ == "__main__":
    if "OMPI_COMM_WORLD_RANK" in os.environ:
        # One of several processes under MPI: all but the first serve CASA's parallel imager from here on.
        from casampi.private import start_mpi  # noqa: F401
    serve()
