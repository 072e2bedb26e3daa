"""tclean, step by step: its tools stay open between cycles, and every mask comes from outside.

The steps are those of the task tclean (casatasks 6.7) with usemask='user'; the mask is written into NAME.mask before
each minor cycle. Residuals are written to FITS with the values outside the pixel mask kept, because the masks of
auto-multithresh depend on them; the pixel mask is a file beside them.

In the folder casa/ of an imaging: CASA's images; `state.json`, what decides the images, and how much of the start is
whole; `cycles/NNNN`, the model after each complete cycle; `controller/NNNN.json`, what CASA's iteration controller was
told in it. The model gives the residual again, the records give the controller its memory, so an imaging that was cut
off goes on as if it had not been.
"""

import glob
import hashlib
import json
import os
import shutil
from contextlib import contextmanager

import numpy as np

import fits
import measurement_set as mset
from casa_images import CleanMask, cards_of, common_beam, from_fits, image, is_limited, planes, to_fits
from problems import BadInput

NAME = "im"  # of CASA's images, in the folder casa/
KEPT_CYCLES = 3  # models of so many complete cycles are always kept to go back to
KEPT_BYTES = 2 << 30  # all models are kept while they are smaller together
LEVEL_STEP = 1.02  # channels whose levels differ by less are cleaned together, down to the lowest
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
    # A bare number in a text is no level to the tools.
    given["threshold"] = f"{jansky(given['threshold'])!r}Jy"
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
        self.folder, self.event, self.parameters = folder, event, parameters
        self.work = os.path.join(folder, "casa")
        self.base = os.path.join(self.work, NAME)
        self.cycles = os.path.join(self.work, "cycles")
        self.records = os.path.join(self.work, "controller")
        self.cube = parameters["specmode"] != "mfs"
        # Partial images of several processes: fresh tools of these take nothing that older ones made.
        self.spread = bool(parameters.get("parallel")) and not self.cube
        self.terms = parameters["nterms"] if parameters["deconvolver"] == "mtmfs" else 0
        self.done, self.cycle, self.header, self.started, self.opened = 0, 0, None, False, False
        self.past, self.told = [], []  # what the controller was told in kept cycles, and since
        self.tools = imager(tool_parameters({**parameters, "imagename": self.base}), parameters)

    def name(self, kind, term=0):
        """CASA's image of a kind: mtmfs has one a Taylor term."""
        return f"{self.base}.{kind}" + (f".tt{term}" if self.terms and kind != "mask" else "")

    def there(self, kind):
        return os.path.isdir(self.name(kind))

    def open(self, deconvolve=True):
        self.opened = True
        self.tools.initializeImagers()
        self.tools.initializeNormalizers()
        self.tools.setWeighting()
        if deconvolve:
            self.tools.initializeDeconvolvers()
            self.tools.initializeIterationControl()

    def reopen(self):
        """Fresh tools that go on from kept cycles."""
        if self.spread:
            self.wipe()
        self.open()
        if self.spread:
            self.tools.makePSF()
            self.tools.makePB()
            self.put_model(self.cycle)
        self.replay()

    def wipe(self):
        """Removes CASA's images; kept cycles stay."""
        for old in glob.glob(f"{self.base}.*"):
            shutil.rmtree(old)

    def put_model(self, cycle):
        for model in glob.glob(os.path.join(self.folder_of(cycle), f"{NAME}.model*")) if cycle else []:
            shutil.copytree(model, os.path.join(self.work, os.path.basename(model)))

    def close(self):
        if self.opened:
            self.opened = False
            self.tools.deleteTools()

    # The steps.

    def major(self, again=False):
        """Residual of the present model; the model is never written to the data here (see save_model). again: it was
        made before, in a process that has gone."""
        t = self.tools
        in_python = not self.cube
        if in_python:
            for part in t.PStools:
                part.dividemodelbyweight()
                part.scattermodel()
        t.runMajorCycleCore(False)
        if not again:
            self.tell("major")
            t.IBtool.endmajorcycle()
        if in_python:
            for part in t.PStools:
                part.gatherresidual()
                part.divideresidualbyweight()
                part.multiplymodelbyweight()

    def stop_code(self):
        """0: go on. Also looks at the mask on disk anew, and reckons the controls of the next minor cycle."""
        t = self.tools
        self.tell("reset")
        t.IBtool.resetminorcycleinfo()
        for number, part in enumerate(t.SDtools):
            record = part.initminorcycle()
            self.tell("init", number, record)
            t.IBtool.mergeinitrecord(record, number)
        nmajor = t.iterpars["nmajor"]
        reached = nmajor >= 0 and t.majorCnt >= nmajor
        self.tell("complete", reached)
        return int(t.IBtool.cleanComplete(reachedMajorLimit=reached))

    def limit(self, threshold_jy, niter):
        """Sets the stop level and the limit of iterations, all cycles together."""
        now = self.tools.iterpars
        if threshold_jy is None:
            threshold_jy = jansky(now["threshold"])
        if (jansky(now["threshold"]), int(now["niter"])) != (threshold_jy, niter):
            # A controller that is set up does not take new limits: another one gets them, and the same memory.
            now.update(threshold=f"{threshold_jy!r}Jy", niter=niter)
            self.tools.IBtool.done()
            self.tools.initializeIterationControl()
            self.replay()

    def deconvolve(self, controls):
        """One minor cycle of every field with these controls; returns the iterations, and each channel's."""
        iterations, channels = 0, {}
        for number, part in enumerate(self.tools.SDtools):
            record = part.executeminorcycle(iterbotrecord=controls)
            self.tell("exec", number, record)
            self.tools.IBtool.mergeexecrecord(record, number)
            iterations += int(record["iterdone"])
            for channel, count in channel_iterations(record).items():
                channels[channel] = channels.get(channel, 0) + count
        self.done += iterations
        return iterations, channels

    # The memory of CASA's iteration controller.

    def tell(self, what, *of):
        self.told.append([what, *(plain(v) for v in of)])

    def replay(self):
        """Tells the controller again what another one was told, perhaps in an earlier process."""
        box = self.tools.IBtool
        for what, *of in self.past + self.told:
            if what == "init":
                box.mergeinitrecord(restored(of[1]), of[0])
            elif what == "complete":
                box.cleanComplete(reachedMajorLimit=of[0])
            elif what == "reset":
                box.resetminorcycleinfo()
            elif what == "exec":
                box.mergeexecrecord(restored(of[1]), of[0])
            elif what == "major":
                box.endmajorcycle()

    # Files.

    def note(self, key, value=True):
        """Writes something down in state.json."""
        state = self.noted()
        state[key] = value
        write_whole(os.path.join(self.work, "state.json"), json.dumps(state))

    def noted(self):
        try:
            with open(os.path.join(self.work, "state.json")) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def keep_cycle(self):
        """The present cycle is complete: keep its model, to go on from or back to."""
        os.makedirs(self.records, exist_ok=True)
        record = {"iterations": self.done, "major_cycles": self.tools.majorCnt, "told": self.told}
        write_whole(self.record_of(self.cycle), json.dumps(record))
        self.past, self.told = self.past + self.told, []
        self.keep_model()

    def keep_model(self):
        """Keeps the present model as that of the present cycle."""
        os.makedirs(self.cycles, exist_ok=True)
        target = self.folder_of(self.cycle)
        shutil.rmtree(f"{target}.partial", ignore_errors=True)
        os.makedirs(f"{target}.partial")
        for model in glob.glob(f"{self.base}.model*"):
            shutil.copytree(model, os.path.join(f"{target}.partial", os.path.basename(model)))
        shutil.rmtree(target, ignore_errors=True)
        os.rename(f"{target}.partial", target)
        most = max(KEPT_CYCLES, KEPT_BYTES // max(1, size_of(target)))
        for old in self.kept()[:-most]:
            shutil.rmtree(self.folder_of(old))

    def folder_of(self, cycle):
        return os.path.join(self.cycles, f"{cycle:04d}")

    def record_of(self, cycle):
        return os.path.join(self.records, f"{cycle:04d}.json")

    def kept(self):
        return sorted(int(n) for n in os.listdir(self.cycles) if n.isdigit()) if os.path.isdir(self.cycles) else []

    def take_cycle(self, cycle):
        """Puts a kept cycle's model in place (0: none); later ones are forgotten."""
        source = self.folder_of(cycle)
        if cycle and not os.path.isdir(source):
            raise BadInput(f"the model of cycle {cycle} is not kept; there are {self.kept() or 'none'}")
        for old in [p for kind in ("model", "residual", "mask", "image") for p in glob.glob(f"{self.base}.{kind}*")]:
            # The residual and the mask of another model; both are made anew.
            shutil.rmtree(old)
        self.put_model(cycle)
        for later in self.kept():
            if later > cycle:
                shutil.rmtree(self.folder_of(later))
        self.past, self.done, self.tools.majorCnt = [], 0, 0
        for number in range(1, cycle + 1):
            with open(self.record_of(number)) as file:
                record = json.load(file)
            self.past += record["told"]
            self.done, self.tools.majorCnt = record["iterations"], record["major_cycles"]
        self.cycle = cycle

    def replace_planes(self, back):
        """Channels of the present cycle's kept model become those of earlier kept models: {channel: cycle}."""
        target, kept = self.folder_of(self.cycle), self.kept()
        partial = f"{target}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(target, partial)
        model = f"{NAME}.model"
        for channel, cycle in back.items():
            # Older ones may have been removed: the next is the nearest.
            source = next(n for n in kept if n >= cycle) if cycle else 0
            with image(os.path.join(partial, model)) as ia:
                shape = ia.shape()
                blc, trc = [0, 0, 0, channel], [shape[0] - 1, shape[1] - 1, shape[2] - 1, channel]
                plane = np.zeros((*shape[:3], 1))
                earlier = os.path.join(self.folder_of(source), model)
                if source and os.path.isdir(earlier):
                    with image(earlier) as old:
                        plane = old.getchunk(blc, trc)
                ia.putchunk(plane, blc)
        # Cut off between these two, the run goes on from the cycle before.
        shutil.rmtree(target)
        os.rename(partial, target)

    def export(self, kind, target, raw=False, term=0):
        """Writes an image as FITS [stokes, frequency, y, x]. raw: values outside the pixel mask are kept, not NaN."""
        path = os.path.join(self.folder, target)
        if kind != "residual":
            return to_fits(self.name(kind, term), path)
        with image(self.name(kind, term)) as ia:
            # CASA gives residuals neither a unit nor (of cubes) a beam.
            fits.write(path, self.template(ia), planes(ia, ia.shape(), "values" if raw else "valid"))
        return path

    def template(self, ia):
        """Header of the images of this run, with the beam that is common to all channels."""
        if self.header is None:
            beam = common_beam([self.name("residual"), self.name("psf")])
            self.header = cards_of(ia, beam, os.path.join(self.work, "header.fits"))
        return self.header

    def write_pixel_mask(self, target):
        """Writes the residual's pixel mask, if it limits anything; returns the path."""
        path = os.path.join(self.folder, target)
        with image(self.name("residual")) as ia:
            shape = ia.shape()
            if not is_limited(ia, shape):
                return None
            fits.write(path, self.template(ia), planes(ia, shape, "mask"), bitpix=8)
        return path

    def save_model(self):
        """Puts the model into MODEL_DATA, with tools of its own: only these may write to the data."""
        if not self.there("model"):
            for ms in self.data_sets():
                mset.add_column(ms, "MODEL_DATA")
                for tb, start, rows in mset.pieces(ms, ["MODEL_DATA"], write=True):
                    tb.putcol("MODEL_DATA", np.zeros_like(tb.getcol("MODEL_DATA", start, rows)), start, rows)
            return
        self.close()
        # With nsigma, CASA would not open the data for writing until the last of tclean's own cycles.
        writer = Session(self.folder, {**self.parameters, "savemodel": "modelcolumn", "nsigma": 0.0}, self.event)
        try:
            writer.open(deconvolve=False)
            writer.tools.predictModel()
        finally:
            writer.close()

    def data_sets(self):
        return data_sets(self.parameters)


def imager(tool_options, parameters):
    """tclean's helper: serial, or with the processes of MPI (continuum; CASA spreads cubes over them by itself)."""
    from casatasks.private.imagerhelpers.imager_base import PySynthesisImager

    if not parameters.get("parallel"):
        return PySynthesisImager(params=tool_options)
    if "OMPI_COMM_WORLD_RANK" not in os.environ:
        raise BadInput("tclean.parallel: CASA's parallel imager needs Python under MPI, with the package casampi. Leave "
                       "executables.casa out (and run `cleanloop setup mpi`), or set it to something like [mpirun, -n, "
                       "\"4\", python3]")
    if parameters["specmode"] != "mfs":
        from casampi.MPIInterface import MPIInterface

        for line in ("from casatools import synthesisimager", "si=synthesisimager()", "si.initmpi()"):
            MPIInterface().getCluster()._cluster.pgc(line, False)
        return PySynthesisImager(params=tool_options)
    from casatasks.private.imagerhelpers.imager_parallel_continuum import PyParallelContSynthesisImager

    return PyParallelContSynthesisImager(params=tool_options)


def data_sets(parameters):
    vis = parameters["vis"]
    return [vis] if isinstance(vis, str) else vis


def jansky(threshold):
    """A threshold, a number in Jy or a text with a unit, in Jy."""
    from casatools import quanta

    try:
        return float(threshold)
    except ValueError:
        return float(quanta().convert(threshold, "Jy")["value"])


def plain(value):
    """A value of a controller's record in JSON's terms."""
    if isinstance(value, dict):
        # The table of all channels is for summaries; nothing is decided by it.
        return {k: plain(np.zeros((6, 0)) if k == "summaryminor" else v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "type": str(value.dtype), "shape": list(value.shape)}
    return value.item() if isinstance(value, np.generic) else value


def restored(value):
    if isinstance(value, dict):
        if "array" in value:
            return np.array(value["array"], value["type"]).reshape(value["shape"])
        return {k: restored(v) for k, v in value.items()}
    return value


def write_whole(path, text):
    with open(f"{path}.partial", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.partial", path)


def size_of(folder):
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def checksum(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


@contextmanager
def scratch(step, options):
    """The working folder for a step: CASA leaves temporary tables (TempLattice...) where it is."""
    work = os.path.join(options.get("folder") or os.path.dirname(options["model"]), ".scratch")
    whole = step in ("open", "predict")
    if whole:
        shutil.rmtree(work, ignore_errors=True)  # of a process that was killed
    back = os.getcwd()
    os.makedirs(work, exist_ok=True)
    os.chdir(work)
    try:
        yield
    finally:
        os.chdir(back)
        if step in ("close", "predict"):
            shutil.rmtree(work, ignore_errors=True)


def session(folder):
    if folder not in SESSIONS:
        raise RuntimeError("CASA's tools of this imaging were lost with the process that held them; run it again: it "
                           "goes on from the last complete cycle")
    return SESSIONS[folder]


def open_session(event, folder, parameters, fixed_mask=False, mask=None):
    """Opens the tools. Returns the number of complete cycles of an earlier run that is gone on from: of one with the
    same parameters and, where one mask (None: none) is used for all cycles, with the same mask."""
    close_session(folder)
    for ms in data_sets(parameters):
        column = "CORRECTED_DATA" if parameters["datacolumn"] == "corrected" else "DATA"
        mset.check_column(ms, column, "it is the column to be imaged")
    s = Session(folder, parameters, event)
    identity = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()
    noted = s.noted()
    if noted.get("identity") != identity or not noted.get("psf"):
        shutil.rmtree(s.work, ignore_errors=True)
        os.makedirs(s.work)
        s.note("identity", identity)
    else:
        s.take_cycle(s.kept()[-1] if s.kept() else 0)
    if fixed_mask:
        fixed = checksum(mask) if mask else "none"
        if s.cycle and noted.get("mask") != fixed:
            s.take_cycle(0)
        s.note("mask", fixed)
    if s.cycle:
        s.reopen()
    else:
        if s.spread:
            s.wipe()
            s.note("psf", False)
            s.note("pb", False)
        s.open()
    SESSIONS[folder] = s
    return {"cycles": s.cycle, "iterations": s.done}


def close_session(folder):
    s = SESSIONS.pop(folder, None)
    if s:
        s.close()
        if not s.there("psf"):
            # The options were checked, no more: leave nothing behind.
            shutil.rmtree(s.work, ignore_errors=True)


def make_psf(folder):
    s = session(folder)
    if not s.noted().get("psf"):
        s.event("stage", text="making the PSF")
        s.tools.makePSF()
        s.export("psf", "psf.fits")
        s.note("psf")
    return {"psf": os.path.join(folder, "psf.fits")}


def make_pb(folder):
    s = session(folder)
    if not s.noted().get("pb"):
        s.event("stage", text="making the primary beam")
        s.tools.makePB()
        if s.there("pb"):
            s.export("pb", "pb.fits")
        s.note("pb")
    return {"pb": existing(folder, "pb.fits")}


def run_major_cycle(folder):
    """The first call of a session makes the residual of the model that is there: of none, or of a kept cycle."""
    s = session(folder)
    s.event("stage", text="making the residual")
    s.major(again=not s.started and s.cycle > 0)
    if not s.started:
        if s.cycle == 0:
            # The order of tclean: the first look at convergence makes the image store, then the mask of ones appears.
            s.stop_code()
            s.tools.updateMask()
            s.export("residual", "dirty.fits")
        else:
            for part in s.tools.SDtools:
                part.initminorcycle()
            s.tools.updateMask()
        s.started = True
    else:
        s.tools.majorCnt += 1
        s.cycle += 1
        s.keep_cycle()
    return cycle_files(s)


def cycle_files(s):
    """What masks are made from."""
    folder = s.folder
    model = s.export("model", "cycle-model.fits") if s.there("model") else None
    return {"residual": s.export("residual", "cycle-residual.fits", raw=True),
            "pixel_mask": s.write_pixel_mask("cycle-pixelmask.fits"), "model": model,
            "pb": existing(folder, "pb.fits"), "psf": os.path.join(folder, "psf.fits"), "cycles": s.cycle}


def replace_model(folder, model):
    """Takes the planes of a FITS cube as the model after the present cycle, and makes the residual that belongs to
    it. CASA's controller is told nothing: it looks at the residual again before the next minor cycle."""
    s = session(folder)
    _, values = fits.read(model)
    values = values.reshape((1,) * (4 - values.ndim) + values.shape)
    with image(s.name("model")) as ia:
        nx, ny, npol, nchan = (int(n) for n in ia.shape())
        if values.shape != (npol, nchan, ny, nx):
            raise BadInput(f"{model} has planes of another shape or number than the model of this imaging")
        for pol in range(npol):
            for channel in range(nchan):
                ia.putchunk(np.asarray(values[pol, channel], float).T.reshape(nx, ny, 1, 1), blc=[0, 0, pol, channel])
        ia.unlock()
    s.event("stage", text="making the residual of a repaired model")
    s.major(again=True)
    for part in s.tools.SDtools:
        part.initminorcycle()
    if s.cycle:
        s.keep_model()
    return cycle_files(s)


def run_minor_cycle(folder, mask, threshold_jy, iterations_left, channels=None):
    """One minor cycle inside a mask. `channels` (of a cube): [{active, threshold_jy}]; those that are not active are
    left alone, the others are cleaned down to their own levels."""
    s = session(folder)
    clean = CleanMask(mask, s.name("mask"))
    active = None
    if channels:
        if len(channels) != clean.shape[3]:
            raise BadInput(f"limits of {len(channels)} channels were given; the image has {clean.shape[3]}")
        active = [k for k, c in enumerate(channels) if c["active"]]
        threshold_jy = min([channels[k]["threshold_jy"] for k in active], default=threshold_jy)
    clean.write(active)
    s.limit(threshold_jy, s.done + int(iterations_left))
    code = s.stop_code()
    if code:
        return {"iterations": 0, "stop_code": code, "words": s.tools.getStopDescription(code)}
    s.event("stage", text=f"deconvolving ({s.cycle + 1})")
    controls = s.tools.IBtool.getminorcyclecontrols()
    s.tell("reset")
    s.tools.IBtool.resetminorcycleinfo()
    lowest = float(controls["cyclethreshold"])
    groups = level_groups(lowest, channels, active) if channels else [(lowest, None)]
    iterations, by_channel, levels = 0, {}, {}
    for level, members in groups:
        if len(groups) > 1:
            clean.write(members)
            for part in s.tools.SDtools:
                part.initminorcycle()
        count, per_channel = s.deconvolve({**controls, "cyclethreshold": level})
        iterations += count
        for channel, done in per_channel.items():
            by_channel[channel] = by_channel.get(channel, 0) + done
        levels.update((k, level) for k in (members if members is not None else range(clean.shape[3])))
    out = {"iterations": iterations, "stop_code": 0, "words": None, "cycle_threshold_jy": lowest,
           "threshold_reached": bool(controls["thresholdreached"]), "channels": []}
    if clean.shape[3] > 1:
        out["channels"] = [channel_result(k, by_channel.get(k, 0), levels.get(k), channels, out)
                           for k in range(clean.shape[3])]
    return out


def level_groups(lowest, channels, active):
    """Channels that can be cleaned together: (level, channels), the lowest level first."""
    groups = []
    # The controls are in single precision: the user's level must not come out a little above itself.
    level_of = lambda level: level if level > (1 + 1e-5) * lowest else lowest
    for level, channel in sorted((level_of(channels[k]["threshold_jy"]), k) for k in active):
        if groups and level <= LEVEL_STEP * groups[-1][0]:
            groups[-1][1].append(channel)
        else:
            groups.append((level, [channel]))
    return groups


def channel_result(channel, iterations, level, channels, overall):
    reached = overall["threshold_reached"]
    if channels and level is not None:
        reached = level <= LEVEL_STEP * channels[channel]["threshold_jy"]
    return {"iterations": iterations, "cycle_threshold_jy": level, "threshold_reached": reached}


def channel_iterations(record):
    """Iterations of each channel in this minor cycle, as far as CASA tells."""
    table = np.asarray(record.get("summaryminor", []))
    if table.ndim != 2 or table.shape[0] < 6 or table.size == 0:
        return {}
    out = {}
    for iterations, channel in zip(table[0], table[5].astype(int)):
        out[int(channel)] = out.get(int(channel), 0) + int(iterations)
    return out


def restore(folder, update_model):
    s = session(folder)
    if not s.started:
        run_major_cycle(folder)
    s.event("stage", text="restoring")
    s.tools.restoreImages()
    out = {"image": s.export("image", "image.fits"), "residual": s.export("residual", "residual.fits"),
           "psf": os.path.join(folder, "psf.fits"), "dirty": existing(folder, "dirty.fits"),
           "pb": existing(folder, "pb.fits"), "pbcor": correct_for_beam(s)}
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
    for kind in ("alpha", "alpha.error"):
        if os.path.isdir(f"{s.base}.{kind}"):
            to_fits(f"{s.base}.{kind}", os.path.join(folder, f"{kind}.fits"))
    if update_model:
        s.event("stage", text="writing the model to the data")
        s.save_model()
    for scratch in ("cycle-residual", "cycle-pixelmask", "cycle-model"):
        path = existing(folder, f"{scratch}.fits")
        if path:
            os.remove(path)
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
    return to_fits(name, os.path.join(s.folder, "image.pbcor.fits")) if os.path.isdir(name) else None


def roll_back(folder, cycle):
    """Takes the model after a cycle, in fresh tools; its residual is made when it is needed."""
    s = SESSIONS.pop(session(folder).folder)
    s.close()
    again = Session(folder, s.parameters, s.event)
    again.take_cycle(cycle)
    again.reopen()
    SESSIONS[folder] = again
    return {"iterations": again.done}


def roll_back_channels(folder, back):
    """Channels of a cube take the models of earlier cycles: [{channel, cycle}]; the others stay."""
    s = session(folder)
    s.replace_planes({b["channel"]: b["cycle"] for b in back})
    return roll_back(folder, s.cycle)


def predict(event, parameters, model):
    """Puts the model of an earlier imaging, in the folder of `model`, into MODEL_DATA."""
    folder = os.path.dirname(os.path.abspath(model))
    s = Session(folder, parameters, event)
    if not s.there("model"):
        # Nothing was cleaned there, or only CASA's own image is gone: the FITS file says which.
        _, values = fits.read(model)
        if np.any(values):
            from_fits(model, s.name("model"))
            for term in range(1, s.terms):
                from_fits(os.path.join(folder, f"model.tt{term}.fits"), s.name("model", term))
    s.save_model()
