"""tclean, step by step: its tools stay open between cycles, and every mask comes from outside.

The steps are those of the task tclean (casatasks 6.7) with usemask='user'; the mask is written into NAME.mask before
each minor cycle. Residuals are written to FITS with the values outside the pixel mask kept, because the masks of
auto-multithresh depend on them; the pixel mask is a file beside them.
"""

import glob
import json
import os
import shutil

import numpy as np

import fits
import measurement_set as mset
from problems import BadInput

NAME = "im"  # of CASA's images, in the folder casa/
KEPT_CYCLES = 3  # models of so many complete cycles are kept to go back to
RENAMED = {"vis": "msname", "timerange": "timestr", "uvrange": "uvdist", "observation": "obs", "intent": "state",
           "gain": "loopgain", "smallscalebias": "scalebias"}
SESSIONS = {}


def task_defaults():
    """Defaults of the task tclean: those of the helper class differ."""
    import inspect

    from casatasks import tclean

    return {name: p.default for name, p in inspect.signature(tclean.__call__).parameters.items()}


def tool_parameters(parameters):
    """ImagerParameters from tclean's parameters, as the task makes them."""
    from casatasks.private.imagerhelpers.input_parameters import ImagerParameters

    given = {**task_defaults(), **parameters}
    unknown = set(parameters) - set(task_defaults())
    if unknown:
        raise BadInput(f"tclean has no parameter {', '.join(sorted(unknown))}")
    given = {RENAMED.get(k, k): v for k, v in given.items()}
    given["chanchunks"] = 1
    if given["specmode"] == "mfs":
        given["perchanweightdensity"] = False
    if given["gridder"] not in ("mosaic", "awp2"):
        given["mosweight"] = False
    names = ImagerParameters.__init__.__code__.co_varnames[1:]
    defaults = dict(zip(names, ImagerParameters.__init__.__defaults__))
    return ImagerParameters(**{k: given.get(k, default) for k, default in defaults.items()})


class Session:
    """One imaging: the tools, and where the files are."""

    def __init__(self, folder, parameters, event):
        from casatasks.private.imagerhelpers.imager_base import PySynthesisImager

        self.folder, self.event = folder, event
        self.base = os.path.join(folder, "casa", NAME)
        self.cycles = os.path.join(folder, "casa", "cycles")
        self.cube = parameters["specmode"] != "mfs"
        self.terms = parameters["nterms"] if parameters["deconvolver"] == "mtmfs" else 0
        self.done, self.done_before, self.cycle, self.header, self.started = 0, 0, 0, None, False
        self.parameters = parameters
        self.tools = PySynthesisImager(params=tool_parameters({**parameters, "imagename": self.base}))

    def name(self, kind, term=0):
        """CASA's image of a kind: mtmfs has one a Taylor term."""
        return f"{self.base}.{kind}" + (f".tt{term}" if self.terms and kind != "mask" else "")

    def there(self, kind):
        return os.path.isdir(self.name(kind))

    def open(self, deconvolve=True):
        self.tools.initializeImagers()
        self.tools.initializeNormalizers()
        self.tools.setWeighting()
        if deconvolve:
            self.tools.initializeDeconvolvers()
            self.tools.initializeIterationControl()

    def close(self):
        self.tools.deleteTools()

    # The steps.

    def major(self):
        """Residual of the present model; the model is never written to the data here (see save_model)."""
        t = self.tools
        in_python = not self.cube
        if in_python:
            for part in t.PStools:
                part.dividemodelbyweight()
                part.scattermodel()
        t.runMajorCycleCore(False)
        t.IBtool.endmajorcycle()
        if in_python:
            for part in t.PStools:
                part.gatherresidual()
                part.divideresidualbyweight()
                part.multiplymodelbyweight()

    def stop_code(self):
        """0: go on. Also looks at the mask on disk anew, and reckons the controls of the next minor cycle."""
        t = self.tools
        t.IBtool.resetminorcycleinfo()
        for number, part in enumerate(t.SDtools):
            t.IBtool.mergeinitrecord(part.initminorcycle(), number)
        nmajor = t.iterpars["nmajor"]
        return int(t.IBtool.cleanComplete(reachedMajorLimit=nmajor >= 0 and t.majorCnt >= nmajor))

    def limit(self, threshold_jy, niter):
        """Sets the stop level and the limit of iterations, counted from when the tools were opened."""
        now = self.tools.iterpars
        if threshold_jy is None:
            threshold_jy = jansky(now["threshold"])
        if (jansky(now["threshold"]), int(now["niter"])) != (threshold_jy, niter):
            now.update(threshold=f"{threshold_jy!r}Jy", niter=niter)
            self.tools.IBtool.setupiteration(iterpars=now)

    # Files.

    def keep_cycle(self):
        """The present cycle is complete: keep its model, to go on from or back to."""
        os.makedirs(self.cycles, exist_ok=True)
        target = os.path.join(self.cycles, f"{self.cycle:04d}")
        shutil.rmtree(f"{target}.partial", ignore_errors=True)
        os.makedirs(f"{target}.partial")
        for model in glob.glob(f"{self.base}.model*"):
            shutil.copytree(model, os.path.join(f"{target}.partial", os.path.basename(model)))
        with open(os.path.join(f"{target}.partial", "iterations"), "w") as file:
            file.write(str(self.done))
        shutil.rmtree(target, ignore_errors=True)
        os.rename(f"{target}.partial", target)
        for old in self.kept()[:-KEPT_CYCLES]:
            shutil.rmtree(os.path.join(self.cycles, f"{old:04d}"))

    def kept(self):
        return sorted(int(n) for n in os.listdir(self.cycles) if n.isdigit()) if os.path.isdir(self.cycles) else []

    def take_cycle(self, cycle):
        """Puts a kept cycle's model in place; later ones are forgotten."""
        source = os.path.join(self.cycles, f"{cycle:04d}")
        if not os.path.isdir(source):
            raise BadInput(f"the model of cycle {cycle} is not kept; there are {self.kept() or 'none'}")
        for model in glob.glob(f"{self.base}.model*"):
            shutil.rmtree(model)
        for model in glob.glob(os.path.join(source, f"{NAME}.model*")):
            shutil.copytree(model, os.path.join(os.path.dirname(self.base), os.path.basename(model)))
        for later in self.kept():
            if later > cycle:
                shutil.rmtree(os.path.join(self.cycles, f"{later:04d}"))
        with open(os.path.join(source, "iterations")) as file:
            self.done = self.done_before = int(file.read())  # CASA's own count starts anew
        self.cycle = cycle

    def export(self, kind, target, raw=False, term=0):
        """Writes an image as FITS [stokes, frequency, y, x]. raw: values outside the pixel mask are kept, not NaN."""
        path = os.path.join(self.folder, target)
        with image(self.name(kind, term)) as ia:
            if kind == "residual":
                # CASA gives residuals neither a unit nor (of cubes) a beam.
                fits.write(path, self.template(ia), planes(ia, ia.shape(), "values" if raw else "valid"))
            else:
                ia.tofits(outfile=f"{path}.partial", overwrite=True, stokeslast=True, history=False)
                os.replace(f"{path}.partial", path)
        return path

    def template(self, ia):
        """Header of the images of this run, with the beam that is common to all channels."""
        if self.header is None:
            path = os.path.join(self.folder, "header.partial")
            ia.tofits(outfile=path, overwrite=True, stokeslast=True, history=False)
            cards = fits.header_of(path)
            os.remove(path)
            beam = self.common_beam()
            for key in ("CASAMBM", "BMAJ", "BMIN", "BPA", "BLANK", "BSCALE", "BZERO"):
                cards = fits.with_card(cards, key, None)
            cards = fits.with_card(cards, "BUNIT", "'Jy/beam '")
            for key, number in zip(("BMAJ", "BMIN", "BPA"), beam):
                cards = fits.with_card(cards, key, f"{number:.12E}")
            self.header = cards
        return self.header

    def common_beam(self):
        """Axes and angle, degrees: the residual's beam, or else the PSF's; of several the common one."""
        for kind in ("residual", "psf"):
            if self.there(kind):
                with image(self.name(kind)) as ia:
                    beam = ia.restoringbeam()
                    if beam:
                        beam = ia.commonbeam() if "beams" in beam else beam
                        angle = beam.get("pa", beam.get("positionangle"))
                        return [degrees(beam["major"]), degrees(beam["minor"]), degrees(angle)]
        raise RuntimeError("neither the residual nor the PSF has a restoring beam")

    def write_mask(self, path):
        """Puts a mask from FITS (None: ones) into NAME.mask; one plane serves all channels."""
        values = None
        if path:
            _, values = fits.read(path)
            values = np.nan_to_num(values) != 0
            # Trailing axes are y, x; before them stokes and frequency in this order, as far as they are there.
            values = values.reshape((1,) * (4 - values.ndim) + values.shape)
        with image(self.name("mask")) as ia:
            nx, ny, npol, nchan = ia.shape()
            if values is not None:
                found = values.shape
                fits_in = found[2:] == (ny, nx) and found[1] in (1, nchan) and found[0] in (1, npol)
                if not fits_in:
                    raise BadInput(f"{path} has {found[3]} x {found[2]} pixels, {found[1]} channels; the image has "
                                   f"{nx} x {ny} pixels, {nchan} channels")
            for pol in range(npol):
                for channel in range(nchan):
                    plane = np.ones((nx, ny))
                    if values is not None:
                        plane = values[min(pol, found[0] - 1), min(channel, found[1] - 1)].T.astype(float)
                    ia.putchunk(plane.reshape(nx, ny, 1, 1), blc=[0, 0, pol, channel])
            ia.unlock()

    def write_pixel_mask(self, target):
        """Writes the residual's pixel mask, if it limits anything; returns the path."""
        path = os.path.join(self.folder, target)
        with image(self.name("residual")) as ia:
            shape = ia.shape()
            limits = False
            for pol in range(shape[2]):
                for channel in range(shape[3]):
                    corner = dict(blc=[0, 0, pol, channel], trc=[shape[0] - 1, shape[1] - 1, pol, channel])
                    limits = limits or not ia.getchunk(getmask=True, **corner).all()
            if limits:
                fits.write(path, self.template(ia), planes(ia, shape, "mask"), bitpix=8)
        return path if limits else None

    def save_model(self):
        """Puts the model into MODEL_DATA, with tools of its own: only these may write to the data."""
        if not self.there("model"):
            for ms in self.data_sets():
                mset.add_column(ms, "MODEL_DATA")
                for tb, start, rows in mset.pieces(ms, ["MODEL_DATA"], write=True):
                    tb.putcol("MODEL_DATA", np.zeros_like(tb.getcol("MODEL_DATA", start, rows)), start, rows)
            return
        self.close()
        writer = Session(self.folder, {**self.parameters, "savemodel": "modelcolumn"}, self.event)
        try:
            writer.open(deconvolve=False)
            writer.tools.predictModel()
            if not self.cube:
                for part in writer.tools.PStools:
                    part.multiplymodelbyweight()
        finally:
            writer.close()

    def data_sets(self):
        vis = self.parameters["vis"]
        return [vis] if isinstance(vis, str) else vis


class image:
    """An open CASA image."""

    def __init__(self, path):
        from casatools import image as tool

        self.ia, self.path = tool(), path

    def __enter__(self):
        self.ia.open(self.path)
        return self.ia

    def __exit__(self, *_):
        self.ia.close()


def planes(ia, shape, what="values"):
    """Planes [y, x] in the order of FITS, frequency faster than stokes: all values, those that are valid (others are
    NaN), or the pixel mask."""
    for pol in range(shape[2]):
        for channel in range(shape[3]):
            corner = dict(blc=[0, 0, pol, channel], trc=[shape[0] - 1, shape[1] - 1, pol, channel])
            plane = ia.getchunk(getmask=what == "mask", **corner)[:, :, 0, 0]
            if what == "valid":
                plane = np.where(ia.getchunk(getmask=True, **corner)[:, :, 0, 0], plane, np.nan)
            yield plane.T


def jansky(threshold):
    """A threshold, a number in Jy or a text with a unit, in Jy."""
    from casatools import quanta

    if isinstance(threshold, str) and not threshold.replace(".", "", 1).replace("e-", "", 1).isdigit():
        return float(quanta().convert(threshold, "Jy")["value"])
    return float(threshold)


def degrees(quantity):
    return quantity["value"] / {"arcsec": 3600.0, "deg": 1.0, "arcmin": 60.0, "rad": np.pi / 180}[quantity["unit"]]


def session(folder):
    if folder not in SESSIONS:
        raise RuntimeError("the tools of this imaging were lost")
    return SESSIONS[folder]


def open_session(event, folder, parameters, fresh=True):
    """Opens the tools. Returns the number of complete cycles of an earlier run that is gone on from."""
    close_session(folder)
    for ms in [parameters["vis"]] if isinstance(parameters["vis"], str) else parameters["vis"]:
        column = "CORRECTED_DATA" if parameters["datacolumn"] == "corrected" else "DATA"
        mset.check_column(ms, column, "it is the column to be imaged")
    s = Session(folder, parameters, event)
    os.makedirs(os.path.dirname(s.base), exist_ok=True)
    kept = s.kept()
    record = os.path.join(os.path.dirname(s.base), "parameters.json")
    text = json.dumps(parameters, sort_keys=True)
    same = os.path.exists(record) and open(record).read() == text
    if fresh or not (kept and same and os.path.exists(f"{s.base}.psf-is-whole")):
        shutil.rmtree(os.path.dirname(s.base))
        os.makedirs(os.path.dirname(s.base))
        kept = []
        with open(record, "w") as file:
            file.write(text)
    if kept:
        s.take_cycle(kept[-1])
    s.open()
    SESSIONS[folder] = s
    return {"cycles": s.cycle, "iterations": s.done}


def close_session(folder):
    s = SESSIONS.pop(folder, None)
    if s:
        s.close()
        if not s.there("psf"):
            # The options were checked, no more: leave nothing behind.
            shutil.rmtree(os.path.dirname(s.base), ignore_errors=True)


def make_psf(folder):
    s = session(folder)
    if s.cycle == 0:
        s.event("stage", text="making the PSF")
        s.tools.makePSF()
        with open(f"{s.base}.psf-is-whole", "w"):
            pass
    return {"psf": s.export("psf", "psf.fits")}


def make_pb(folder):
    s = session(folder)
    s.event("stage", text="making the primary beam")
    if not s.there("pb"):
        s.tools.makePB()
    return {"pb": s.export("pb", "pb.fits") if s.there("pb") else None}


def run_major_cycle(folder):
    """The first call of a session makes the residual of the model that is there: of none, or of a kept cycle."""
    s = session(folder)
    s.event("stage", text="making the residual")
    s.major()
    if not s.started:
        # The order of tclean: the first look at convergence makes the image store, then the mask of ones appears.
        s.stop_code()
        s.tools.updateMask()
        s.started = True
        if s.cycle == 0:
            s.export("residual", "dirty.fits")
    else:
        s.tools.majorCnt += 1
        s.cycle += 1
        s.keep_cycle()
    return {"residual": s.export("residual", "cycle-residual.fits", raw=True),
            "pixel_mask": s.write_pixel_mask("cycle-pixelmask.fits"),
            "pb": existing(folder, "pb.fits"), "psf": os.path.join(folder, "psf.fits"), "cycles": s.cycle}


def run_minor_cycle(folder, mask, threshold_jy, iterations_left):
    s = session(folder)
    s.write_mask(mask)
    s.limit(threshold_jy, s.done - s.done_before + int(iterations_left))
    code = s.stop_code()
    if code:
        return {"iterations": 0, "stop_code": code, "words": s.tools.getStopDescription(code)}
    s.event("stage", text=f"deconvolving ({s.cycle + 1})")
    controls = s.tools.IBtool.getminorcyclecontrols()
    s.tools.IBtool.resetminorcycleinfo()
    iterations, channels = 0, []
    for number, part in enumerate(s.tools.SDtools):
        record = part.executeminorcycle(iterbotrecord=controls)
        s.tools.IBtool.mergeexecrecord(record, number)
        iterations += int(record["iterdone"])
        channels = channel_iterations(record) if s.cube else []
    s.done += iterations
    return {"iterations": iterations, "stop_code": 0, "words": None, "channels": channels,
            "cycle_threshold_jy": float(controls["cyclethreshold"]),
            "threshold_reached": bool(controls["thresholdreached"])}


def channel_iterations(record):
    """Iterations of each channel in this minor cycle, as far as CASA tells."""
    table = np.asarray(record.get("summaryminor", []))
    if table.ndim != 2 or table.shape[0] < 6 or table.size == 0:
        return []
    iterations, channel = table[0], table[5].astype(int)
    return [int(iterations[channel == k].sum()) for k in range(channel.max() + 1)]


def restore(folder, update_model):
    s = session(folder)
    if not s.started:
        run_major_cycle(folder)
    s.event("stage", text="restoring")
    s.tools.restoreImages()
    corrected = correct_for_beam(s)
    out = {"image": s.export("image", "image.fits"), "residual": s.export("residual", "residual.fits"),
           "psf": s.export("psf", "psf.fits"), "dirty": existing(folder, "dirty.fits"),
           "pb": existing(folder, "pb.fits"), "pbcor": corrected}
    if s.there("model"):
        out["model"] = s.export("model", "model.fits")
    else:
        # Nothing was cleaned: a model of zeros, on the residual's grid.
        with image(s.name("residual")) as ia:
            shape = ia.shape()
            zeros = (np.zeros((shape[1], shape[0])) for _ in range(shape[2] * shape[3]))
            out["model"] = os.path.join(folder, "model.fits")
            fits.write(out["model"], fits.with_card(s.template(ia), "BUNIT", "'Jy/pixel'"), zeros)
    for term in range(1, s.terms):
        for kind in ("image", "model", "residual"):
            if os.path.isdir(s.name(kind, term)):
                s.export(kind, f"{kind}.tt{term}.fits", term=term)
    if s.terms > 1 and os.path.isdir(f"{s.base}.alpha"):
        with image(f"{s.base}.alpha") as ia:
            ia.tofits(outfile=os.path.join(folder, "alpha.fits"), overwrite=True, stokeslast=True, history=False)
    if update_model:
        s.event("stage", text="writing the model to the data")
        s.save_model()
    return out


def existing(folder, name):
    path = os.path.join(folder, name)
    return path if os.path.exists(path) else None


def correct_for_beam(s):
    """The restored image divided by the primary beam, if there is one."""
    if not s.there("pb"):
        return None
    s.tools.pbcorImages()
    name = f"{s.base}.image.tt0.pbcor" if s.terms else f"{s.base}.image.pbcor"
    if not os.path.isdir(name):
        return None
    path = os.path.join(s.folder, "image.pbcor.fits")
    with image(name) as ia:
        ia.tofits(outfile=f"{path}.partial", overwrite=True, stokeslast=True, history=False)
    os.replace(f"{path}.partial", path)
    return path


def roll_back(folder, cycle):
    """Takes the model after a cycle, in fresh tools; its residual is made when it is needed."""
    s = session(folder)
    close_session(folder)
    again = Session(folder, s.parameters, s.event)
    again.take_cycle(cycle)
    again.open()
    SESSIONS[folder] = again
    return {"iterations": again.done}


def predict(event, parameters, model):
    """Puts the model of an earlier imaging, in the folder of `model`, into MODEL_DATA."""
    s = Session(os.path.dirname(os.path.abspath(model)), parameters, event)
    if not os.path.isdir(os.path.dirname(s.base)):
        raise BadInput(f"{model}: CASA's own images of it ({os.path.dirname(s.base)}) are gone; image that round again")
    s.save_model()
