"""Deconvolution alone: residual, PSF and model from disk, one minor cycle of CASA's tools, no visibilities.

The steps are those of the task deconvolve (casatasks 6.7); the mask is written between its two looks at convergence.
"""

import os
import shutil
from dataclasses import dataclass
from typing import Any

import numpy as np

from cleanloop_worker import fits
from cleanloop_worker import requests as r
from cleanloop_worker.images import CleanMask, cards_of, common_beam, from_fits, image, is_limited, planes, to_fits
from cleanloop_worker.problems import BadInput
from cleanloop_worker.tclean.parameters import helper_parameters, in_jansky
from cleanloop_worker.tclean.steps import scratch

NAME = "im"


@dataclass(frozen=True)
class Images:
    """CASA's images in a folder; `terms`: Taylor terms, 0 for other deconvolvers than mtmfs."""

    folder: str
    terms: int

    @property
    def base(self) -> str:
        """The start of their names."""
        return os.path.join(self.folder, NAME)

    def name(self, kind: str, term: int = 0) -> str:
        """The image of a kind: mtmfs has one a Taylor term."""
        return f"{self.base}.{kind}" + (f".tt{term}" if self.terms else "")

    def path(self, name: str) -> str:
        """A file beside them."""
        return os.path.join(self.folder, name)

    def has_pb(self) -> bool:
        """Whether there is a primary beam."""
        return os.path.isdir(self.name("pb"))

    def header(self, ia: Any) -> list[str]:
        """FITS header of an open image."""
        beam = common_beam([self.name("residual"), self.name("psf")])
        return cards_of(ia, beam, self.path("header.fits"))


def bring(source: str, target: str) -> str:
    """A FITS file or a CASA image as CASA image of our own."""
    if os.path.isfile(os.path.join(source, "table.dat")):
        return shutil.copytree(source, target)
    if not os.path.exists(source):
        raise BadInput(f"{source}: no such image")
    if not os.path.isfile(source):
        raise BadInput(f"{source} is neither a FITS file nor a CASA image")
    try:
        return from_fits(source, target)
    except RuntimeError as problem:
        raise BadInput(f"{source} cannot be read as FITS: {problem}") from problem


def prepare(request: r.DeconvolutionPrepare) -> dict[str, Any]:
    """Brings the images into the folder; returns the FITS files that masks are made from."""
    images = Images(request.folder, request.terms)
    with scratch(request.folder):
        shape = bring_all(images, request)
        if request.pb:
            bring(request.pb, images.name("pb"))
        fit_beam(images)
        files: dict[str, Any] = {"pixel_mask": None, "pb": None, "model": None, "cycles": 0}
        files["residual"] = images.path("residual.fits")
        with image(images.name("residual")) as ia:
            # Masks are made on the values outside the pixel mask, too.
            cards = images.header(ia)
            fits.write(images.path("residual.fits"), cards, planes(ia, shape))
            if is_limited(ia, shape):
                files["pixel_mask"] = images.path("pixelmask.fits")
                fits.write(images.path("pixelmask.fits"), cards, planes(ia, shape, "mask"), bitpix=8)
        files["psf"] = to_fits(images.name("psf"), images.path("psf.fits"))
        if request.pb:
            files["pb"] = to_fits(images.name("pb"), images.path("pb.fits"))
        return files


def bring_all(images: Images, request: r.DeconvolutionPrepare) -> list[int]:
    """Brings residual, PSF and model in and returns their shape, which must be the same."""
    given = {"residual": request.residual, "psf": request.psf, "model": request.model}
    shape, first = None, None
    for kind, sources in given.items():
        check_count(kind, len(sources), images.terms)
        for term, source in enumerate(sources):
            with image(bring(source, images.name(kind, term))) as ia:
                found = [int(n) for n in ia.shape()]
            shape, first = shape or found, first or source
            if found != shape:
                raise BadInput(f"{source} has {size_in_words(found)}; {first} has {size_in_words(shape)}")
    if shape is None:
        raise BadInput("no residual was given")
    return shape


def check_count(kind: str, count: int, terms: int) -> None:
    """Refuses too few or too many images of a kind; there may be no model at all."""
    needed = max(2 * terms - 1, 1) if kind == "psf" else max(terms, 1)
    if count == needed or (kind == "model" and count == 0):
        return
    if terms:
        expected = f"mtmfs with {terms} Taylor terms needs {needed}: tt0 to tt{needed - 1}"
    else:
        expected = "expected one (only mtmfs has several)"
    raise BadInput(f"{count} {kind} images were given; {expected}")


def size_in_words(shape: list[int]) -> str:
    """Size of an image [x, y, stokes, channel], for messages."""
    return f"{shape[0]} x {shape[1]} pixels, {shape[2]} polarisations, {shape[3]} channels"


def fit_beam(images: Images) -> None:
    """Gives the PSF a restoring beam if it has none."""
    with image(images.name("psf")) as ia:
        lacks_beam = not ia.restoringbeam()
    if lacks_beam:
        from casatools import synthesisutils

        synthesisutils().fitPsfBeam(imagename=images.base, nterms=max(images.terms, 1), psfcutoff=0.35)


def run(request: r.DeconvolutionRun) -> dict[str, Any]:
    """One minor cycle inside a mask (None: everywhere). one_cycle: it ends where tclean would go back to the data;
    otherwise at the threshold. Writes the results to `outputs`, the start of their names."""
    from casatasks.private.imagerhelpers.imager_deconvolver import PyDeconvolver

    images = Images(request.folder, request.terms)
    with scratch(request.folder):
        tools = PyDeconvolver(params=tool_options(images, request))
        try:
            result = minor_cycle(tools, request.mask, images)
        finally:
            tools.deleteTools()
        return {**result, "files": export(images, request.outputs, request.casa_images)}


def tool_options(images: Images, request: r.DeconvolutionRun) -> Any:
    """ImagerParameters of the deconvolver."""
    parameters = request.parameters
    if parameters["nsigma"] > 0 and not images.has_pb():
        raise BadInput("nsigma needs a primary beam (--pb): CASA measures the noise inside it")
    given = {
        **parameters,
        "imagename": images.base,
        "msname": "",
        "usemask": "user",
        "mask": "",
        "specmode": "mfs",
        "loopgain": parameters["gain"],
        "scalebias": parameters["smallscalebias"],
        "restart": True,
        "threshold": in_jansky(parameters["threshold"]),
    }
    if not request.one_cycle:
        given["cycleniter"] = given["niter"]
    options = helper_parameters(given)
    if not request.one_cycle:
        options.setIterPars({"cyclethreshold": given["threshold"], "cyclethresholdismutable": False})
    return options


def minor_cycle(tools: Any, mask: str | None, images: Images) -> dict[str, Any]:
    """Deconvolves and restores; returns iterations, stop code, level and peaks, Jy/beam."""
    tools.initializeDeconvolvers()
    tools.initializeIterationControl()
    tools.hasConverged()
    tools.updateMask()
    CleanMask(mask, f"{images.base}.mask").write()
    box, part = tools.IBtool, tools.SDtools[0]
    box.resetminorcycleinfo()
    start = part.initminorcycle()
    box.mergeinitrecord(start, 0)
    code, iterations, level, after = int(box.cleanComplete()), 0, None, start
    if code == 0:
        controls = box.getminorcyclecontrols()
        level = float(controls["cyclethreshold"])
        box.resetminorcycleinfo()
        record = part.executeminorcycle(iterbotrecord=controls)
        box.mergeexecrecord(record, 0)
        iterations = int(record["iterdone"])
        box.resetminorcycleinfo()
        after = part.initminorcycle()
        box.mergeinitrecord(after, 0)
        code = int(box.cleanComplete())
    part.restore()
    if images.has_pb():
        part.pbcor()
    return {
        "iterations": iterations,
        "stop_code": code,
        "cycle_threshold_jy": level,
        "peak_before_jy": float(start["peakresidual"]),
        "peak_after_jy": float(after["peakresidual"]),
    }


def export(images: Images, outputs: str, casa_images: bool) -> list[str]:
    """The results under their names: FITS files or CASA images."""
    kinds = ("model", "residual", "image")
    made = [(images.name(kind, term), kind) for kind in kinds for term in range(max(images.terms, 1))]
    made.append((f"{images.base}.mask", "mask"))
    if images.terms:
        made += [(f"{images.base}.{kind}", kind) for kind in ("alpha", "alpha.error")]
    if images.has_pb():
        pbcor = "image.tt0.pbcor" if images.terms else "image.pbcor"
        made.append((f"{images.base}.{pbcor}", "image.pbcor"))
    files = []
    for source, kind in made:
        if kind == "model" and not os.path.isdir(source):
            write_empty_model(source.replace(".model", ".residual"), source)
        if os.path.isdir(source):
            target = outputs + source[len(images.base) :]
            files.append(put_casa_image(source, target) if casa_images else write_fits(images, source, kind, target))
    return files


def put_casa_image(source: str, target: str) -> str:
    """A copy of a CASA image, which appears by rename."""
    shutil.rmtree(f"{target}.partial", ignore_errors=True)
    shutil.copytree(source, f"{target}.partial")
    shutil.rmtree(target, ignore_errors=True)
    os.rename(f"{target}.partial", target)
    return target


def write_fits(images: Images, source: str, kind: str, target: str) -> str:
    """A CASA image as FITS file `target`.fits."""
    if kind != "residual":
        return to_fits(source, f"{target}.fits")
    with image(source) as ia:
        fits.write(f"{target}.fits", images.header(ia), planes(ia, ia.shape(), "valid"))
    return f"{target}.fits"


def write_empty_model(like: str, target: str) -> None:
    """A model of zeros, where nothing was cleaned."""
    shutil.copytree(like, target)
    with image(target) as ia:
        nx, ny, npol, nchan = ia.shape()
        for pol in range(npol):
            for channel in range(nchan):
                ia.putchunk(np.zeros((nx, ny, 1, 1)), blc=[0, 0, pol, channel])
        ia.setbrightnessunit("Jy/pixel")
