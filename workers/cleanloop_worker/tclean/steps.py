"""The steps of an imaging: the answers to requests. Open sessions are found by their folders."""

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from cleanloop_worker import fits
from cleanloop_worker import requests as r
from cleanloop_worker.images import CleanMask, from_fits, image, to_fits
from cleanloop_worker.ms.tables import check_column
from cleanloop_worker.problems import BadInput
from cleanloop_worker.protocol import event
from cleanloop_worker.tclean.controller import channel_result, level_groups
from cleanloop_worker.tclean.files import checksum
from cleanloop_worker.tclean.parameters import measurement_sets
from cleanloop_worker.tclean.session import Session

SESSIONS: dict[str, Session] = {}


@contextmanager
def scratch(folder: str, first: bool = False, last: bool = False) -> Iterator[None]:
    """A working folder below `folder`: CASA leaves temporary tables (TempLattice...) where it is. first: it may hold
    those of a process that was killed; last: it is removed afterwards."""
    work = os.path.join(folder, ".scratch")
    if first:
        shutil.rmtree(work, ignore_errors=True)
    back = os.getcwd()
    os.makedirs(work, exist_ok=True)
    os.chdir(work)
    try:
        yield
    finally:
        os.chdir(back)
        if last:
            shutil.rmtree(work, ignore_errors=True)


def in_scratch(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Runs a step in the scratch folder of its imaging."""

    @functools.wraps(step)
    def wrapped(request: Any) -> Any:
        with scratch(request.folder):
            return step(request)

    return wrapped


def session(folder: str) -> Session:
    """The open session of a folder."""
    if folder not in SESSIONS:
        raise RuntimeError(
            "CASA's tools of this imaging were lost with the process that held them; run it again: it "
            "goes on from the last complete cycle"
        )
    return SESSIONS[folder]


def stage(text: str) -> None:
    """Reports what is being done."""
    event("stage", text=text)


def open_session(request: r.TcleanOpen) -> dict[str, int]:
    """Opens the tools. Returns the complete cycles and iterations of an earlier run that is gone on from: of one with
    the same parameters and, where one mask (None: none) is used for all cycles, with the same mask."""
    folder, parameters = request.folder, request.parameters
    with scratch(folder, first=True):
        close(folder)
        column = "CORRECTED_DATA" if parameters["datacolumn"] == "corrected" else "DATA"
        for ms in measurement_sets(parameters):
            check_column(ms, column, "it is the column to be imaged")
        s = Session(folder, parameters)
        take_earlier_run(s, request)
        if s.cycle:
            s.reopen()
        else:
            if s.spread:
                s.files.wipe()
                s.files.note("psf", False)
                s.files.note("pb", False)
            s.open()
        SESSIONS[folder] = s
        return {"cycles": s.cycle, "iterations": s.iterations}


def take_earlier_run(s: Session, request: r.TcleanOpen) -> None:
    """Takes the last complete cycle of an earlier run of the same imaging; otherwise starts over."""
    identity = hashlib.sha256(json.dumps(request.parameters, sort_keys=True).encode()).hexdigest()
    noted = s.files.noted()
    if noted.get("identity") != identity or not noted.get("psf"):
        s.files.start_over()
        s.files.note("identity", identity)
    else:
        kept = s.files.kept()
        s.take_cycle(kept[-1] if kept else 0)
    if request.fixed_mask:
        fixed = checksum(request.mask) if request.mask else "none"
        if s.cycle and noted.get("mask") != fixed:
            s.take_cycle(0)
        s.files.note("mask", fixed)


def close_session(request: r.TcleanClose) -> None:
    """Ends the tools of a folder."""
    with scratch(request.folder, last=True):
        close(request.folder)


def close(folder: str) -> None:
    """Ends the tools of a folder, if they are open."""
    s = SESSIONS.pop(folder, None)
    if s:
        s.close()
        if not s.files.there("psf"):
            # The options were checked, no more: leave nothing behind.
            shutil.rmtree(s.files.work, ignore_errors=True)


@in_scratch
def make_psf(request: r.TcleanPsf) -> None:
    """Makes the PSF, unless an earlier run did."""
    s = session(request.folder)
    if not s.files.noted().get("psf"):
        stage("making the PSF")
        s.tools.makePSF()
        s.files.export("psf", "psf.fits")
        s.files.note("psf")


@in_scratch
def make_pb(request: r.TcleanPb) -> dict[str, str | None]:
    """Makes the primary beam, unless an earlier run did; not every gridder has one."""
    s = session(request.folder)
    if not s.files.noted().get("pb"):
        stage("making the primary beam")
        s.tools.makePB()
        if s.files.there("pb"):
            s.files.export("pb", "pb.fits")
        s.files.note("pb")
    return {"pb": s.files.existing("pb.fits")}


@in_scratch
def run_major_cycle(request: r.TcleanMajor) -> dict[str, Any]:
    """The first call of a session makes the residual of the model that is there: of none, or of a kept cycle."""
    s = session(request.folder)
    major(s)
    return cycle_files(s)


def major(s: Session) -> None:
    """Makes the residual; it completes a cycle, unless it is the session's first."""
    stage("making the residual")
    s.major(again=not s.started and s.cycle > 0)
    if s.started:
        s.complete_cycle()
        return
    s.start()
    if s.cycle == 0:
        s.files.export("residual", "dirty.fits")


def cycle_files(s: Session) -> dict[str, Any]:
    """The files that masks are made from."""
    files = s.files
    return {
        "model": files.export("model", "cycle-model.fits") if files.there("model") else None,
        "residual": files.export("residual", "cycle-residual.fits", raw=True),
        "pixel_mask": files.write_pixel_mask("cycle-pixelmask.fits"),
        "pb": files.existing("pb.fits"),
        "psf": files.path("psf.fits"),
        "cycles": s.cycle,
    }


@in_scratch
def replace_model(request: r.TcleanReplaceModel) -> dict[str, Any]:
    """Takes the planes of a FITS cube as the model after the present cycle, and makes the residual that belongs to
    it. CASA's controller does not hear of it: it looks at the residual again before the next minor cycle."""
    s = session(request.folder)
    _, values = fits.read(request.model)
    values = values.reshape((1,) * (4 - values.ndim) + values.shape)
    with image(s.files.name("model")) as ia:
        nx, ny, npol, nchan = (int(n) for n in ia.shape())
        if values.shape != (npol, nchan, ny, nx):
            raise BadInput(f"{request.model} has planes of another shape or number than the model of this imaging")
        for pol in range(npol):
            for channel in range(nchan):
                plane = np.asarray(values[pol, channel], float).T
                ia.putchunk(plane.reshape(nx, ny, 1, 1), blc=[0, 0, pol, channel])
        ia.unlock()
    stage("making the residual of a repaired model")
    s.major(again=True)
    s.look()
    if s.cycle:
        s.files.keep_model(s.cycle)
    return cycle_files(s)


@in_scratch
def run_minor_cycle(request: r.TcleanMinor) -> dict[str, Any]:
    """One minor cycle inside a mask. Channels (of a cube) that are not active are left alone, the others are cleaned
    down to their own levels."""
    s = session(request.folder)
    clean = CleanMask(request.mask, s.files.name("mask"))
    limits, threshold_jy, active = request.channels, request.threshold_jy, None
    if limits:
        if len(limits) != clean.shape[3]:
            raise BadInput(f"limits of {len(limits)} channels were given; the image has {clean.shape[3]}")
        active = [k for k, limit in enumerate(limits) if limit.active]
        own = [limit.threshold_jy for limit in limits if limit.active and limit.threshold_jy is not None]
        threshold_jy = min(own, default=threshold_jy)
    clean.write(active)
    s.limit(threshold_jy, s.iterations + request.iterations_left)
    code = s.stop_code()
    if code:
        return stopped(code, s.tools.getStopDescription(code))
    stage(f"deconvolving ({s.cycle + 1})")
    return deconvolve(s, clean, limits)


def stopped(code: int, words: str) -> dict[str, Any]:
    """The result of a minor cycle that the controller would not start."""
    return {
        "iterations": 0,
        "stop_code": code,
        "words": words,
        "cycle_threshold_jy": None,
        "threshold_reached": False,
        "channels": [],
    }


def deconvolve(s: Session, clean: CleanMask, limits: list[r.ChannelLimit] | None) -> dict[str, Any]:
    """A minor cycle down to the controller's level, or in groups of channels that share a level."""
    controls, planes = s.controls(), clean.shape[3]
    lowest, reached = float(controls["cyclethreshold"]), bool(controls["thresholdreached"])
    groups: list[tuple[float, list[int]]] = level_groups(lowest, limits) if limits else [(lowest, list(range(planes)))]
    iterations = 0
    by_channel: dict[int, int] = {}
    levels: dict[int, float] = {}
    for level, members in groups:
        if len(groups) > 1:
            clean.write(members)
            s.look()
        count, per_channel = s.deconvolve({**controls, "cyclethreshold": level})
        iterations += count
        for channel, done in per_channel.items():
            by_channel[channel] = by_channel.get(channel, 0) + done
        levels.update((k, level) for k in members)
    channels = [
        channel_result(by_channel.get(k, 0), levels.get(k), limits[k] if limits else None, reached)
        for k in range(planes)
    ]
    return {
        "iterations": iterations,
        "stop_code": 0,
        "words": None,
        "cycle_threshold_jy": lowest,
        "threshold_reached": reached,
        "channels": channels if planes > 1 else [],
    }


@in_scratch
def restore(request: r.TcleanRestore) -> dict[str, Any]:
    """Restores the images and writes them; removes the files of the cycles."""
    s = session(request.folder)
    if not s.started:
        major(s)
    stage("restoring")
    s.tools.restoreImages()
    files = s.files
    products = {
        "image": files.export("image", "image.fits"),
        "residual": files.export("residual", "residual.fits"),
        "psf": files.path("psf.fits"),
        "dirty": files.existing("dirty.fits"),
        "pb": files.existing("pb.fits"),
        "pbcor": correct_for_beam(s),
        # Nothing was cleaned: zeros.
        "model": files.export("model", "model.fits") if files.there("model") else files.write_empty_model("model.fits"),
    }
    export_terms(s)
    if request.update_model:
        stage("writing the model to the data")
        s.save_model()
    for name in ("cycle-residual", "cycle-pixelmask", "cycle-model"):
        path = files.existing(f"{name}.fits")
        if path:
            os.remove(path)
    return products


def export_terms(s: Session) -> None:
    """Writes the further Taylor terms and the spectral index of mtmfs."""
    files = s.files
    for term in range(1, files.terms):
        for kind in ("image", "model", "residual"):
            if os.path.isdir(files.name(kind, term)):
                files.export(kind, f"{kind}.tt{term}.fits", term=term)
    for kind in ("alpha", "alpha.error"):
        if os.path.isdir(f"{files.base}.{kind}"):
            to_fits(f"{files.base}.{kind}", files.path(f"{kind}.fits"))


def correct_for_beam(s: Session) -> str | None:
    """The restored image divided by the primary beam, if there is one."""
    if not s.files.there("pb"):
        return None
    s.tools.pbcorImages()
    name = f"{s.files.base}.image.tt0.pbcor" if s.files.terms else f"{s.files.base}.image.pbcor"
    return to_fits(name, s.files.path("image.pbcor.fits")) if os.path.isdir(name) else None


@in_scratch
def roll_back(request: r.TcleanRollBack) -> dict[str, int]:
    """Takes the model after a cycle, in fresh tools; its residual is made when it is needed."""
    return {"iterations": take_back(request.folder, request.cycle).iterations}


def take_back(folder: str, cycle: int) -> Session:
    """Replaces the session of a folder by one that goes on from an earlier cycle."""
    session(folder)
    s = SESSIONS.pop(folder)
    s.close()
    fresh = Session(folder, s.parameters)
    fresh.take_cycle(cycle)
    fresh.reopen()
    SESSIONS[folder] = fresh
    return fresh


@in_scratch
def revert_channels(request: r.TcleanRevertChannels) -> None:
    """Channels of a cube take the models of earlier cycles; the others stay."""
    s = session(request.folder)
    s.files.replace_planes(s.cycle, {one.channel: one.cycle for one in request.back})
    take_back(request.folder, s.cycle)


def cube_grid(request: r.TcleanGrid) -> dict[str, float]:
    """The frequencies of a cube's channels, in its frame, as the tools work them out from the data."""
    with scratch(request.folder, first=True, last=True):
        first, width = Session(request.folder, {**request.parameters, "parallel": False}).frequencies()
    return {"first_hz": first, "width_hz": width}


def predict(request: r.TcleanPredict) -> None:
    """Puts the model of an earlier imaging, in the folder of `model`, into MODEL_DATA."""
    folder = os.path.dirname(os.path.abspath(request.model))
    with scratch(os.path.dirname(request.model), first=True, last=True):
        s = Session(folder, request.parameters)
        if not s.files.there("model"):
            # Nothing was cleaned there, or only CASA's own image is gone: the FITS file says which.
            _, values = fits.read(request.model)
            if np.any(values):
                coordinates = s.coordinates()
                others = [os.path.join(folder, f"model.tt{term}.fits") for term in range(1, s.files.terms)]
                for term, path in enumerate([request.model, *others]):
                    with image(from_fits(path, s.files.name("model", term))) as ia:
                        ia.setcoordsys(coordinates)
        s.save_model()


def plain_call(request: r.Tclean) -> dict[str, Any]:
    """One plain call of the task, with CASA's own masks: the loop is compared with it."""
    from casatasks import tclean as task

    os.environ["SAVE_ALL_AUTOMASKS"] = "true"
    try:
        return {"stopcode": task(**request.parameters).get("stopcode")}
    finally:
        del os.environ["SAVE_ALL_AUTOMASKS"]
