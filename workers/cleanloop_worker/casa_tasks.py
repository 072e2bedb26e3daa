"""CASA's tasks, each imported when it is first used.

`import casatasks` imports all of its tasks at once, with the libraries of those that draw: 1.1 s of processor time.
Those of a campaign take half of that.
"""

import importlib
import importlib.metadata
import importlib.util
import sys
from typing import Any

PACKAGE = "casatasks"


def import_when_used() -> None:
    """Puts the package in place without the imports of its own `__init__`, unless it is there or not installed."""
    spec = None if PACKAGE in sys.modules else importlib.util.find_spec(PACKAGE)
    if spec is None:
        return
    package = importlib.util.module_from_spec(spec)
    vars(package)["__getattr__"] = attribute  # asked for what the package does not hold yet
    sys.modules[PACKAGE] = package


def attribute(name: str) -> Any:
    """A task, which has a module of its name, or the log."""
    if name.startswith("_"):
        raise AttributeError(name)
    value = log() if name == "casalog" else task(name)
    # In place of the module, which the import has put there.
    setattr(sys.modules[PACKAGE], name, value)
    return value


def task(name: str) -> Any:
    """A task of the package."""
    try:
        module = importlib.import_module(f"{PACKAGE}.{name}")
    except ModuleNotFoundError as problem:
        if problem.name != f"{PACKAGE}.{name}":
            raise
        raise AttributeError(f"{PACKAGE} has no task {name}") from None
    return getattr(module, name)


def version() -> str:
    """The version of the package, which a CASA that pip did not install tells only as a whole."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return whole().version_string()


def whole() -> Any:
    """The package with all that its `__init__` imports."""
    return importlib.reload(sys.modules[PACKAGE])


def log() -> Any:
    """The log that all tasks and tools write to."""
    try:
        from casaconfig import config
    except ModuleNotFoundError:
        # Before CASA 6.6 only the package's own `__init__` knows its place.
        return whole().casalog
    from casatools import logsink

    sink = logsink(config.logfile)
    sink.setglobal(True)
    return sink
