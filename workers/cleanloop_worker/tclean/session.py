"""One imaging: tclean's tools, which stay open, the memory of their controller, and the files."""

from typing import Any

import numpy as np

from cleanloop_worker.ms.columns import add_column
from cleanloop_worker.ms.tables import pieces
from cleanloop_worker.tclean.controller import Memory, channel_iterations
from cleanloop_worker.tclean.files import ImagingFiles
from cleanloop_worker.tclean.parameters import imager, in_jansky, jansky, measurement_sets, tool_parameters


class Session:
    """The tools of one imaging and what they have done: complete cycles and minor iterations."""

    def __init__(self, folder: str, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.cube = parameters["specmode"] != "mfs"
        # Partial images of several processes: fresh tools of these take nothing that older ones made.
        self.spread = bool(parameters.get("parallel")) and not self.cube
        self.files = ImagingFiles(folder, parameters["nterms"] if parameters["deconvolver"] == "mtmfs" else 0)
        self.memory = Memory()
        self.iterations, self.cycle = 0, 0
        self.started = False  # the first residual was made
        self.opened = False
        self.tools = imager(tool_parameters({**parameters, "imagename": self.files.base}), parameters)

    def open(self, deconvolve: bool = True) -> None:
        """Initialises the tools."""
        self.opened = True
        self.tools.initializeImagers()
        self.tools.initializeNormalizers()
        self.tools.setWeighting()
        if deconvolve:
            self.tools.initializeDeconvolvers()
            self.tools.initializeIterationControl()

    def reopen(self) -> None:
        """Initialises fresh tools that go on from kept cycles."""
        if self.spread:
            self.files.wipe()
        self.open()
        if self.spread:
            self.tools.makePSF()
            self.tools.makePB()
            self.files.put_model(self.cycle)
        self.memory.replay(self.tools.IBtool)

    def close(self) -> None:
        """Ends the tools."""
        if self.opened:
            self.opened = False
            self.tools.deleteTools()

    def coordinates(self) -> dict[str, Any]:
        """The coordinate system of the images. CASA compares frequencies to the last bit with those of a model on disk,
        and FITS files do not have all digits of them. No image may be there."""
        finder = Session(self.files.folder, {**self.parameters, "parallel": False})
        try:
            finder.open(deconvolve=False)
            return finder.tools.SItool.getcsys()
        finally:
            finder.close()

    def frequencies(self) -> tuple[float, float]:
        """Frequency of the first channel and distance of the next, Hz; nothing is gridded."""
        self.opened = True
        try:
            self.tools.initializeImagers()
            record = self.tools.SItool.getcsys()
        finally:
            self.close()
        record = record.get("coordsys", record)
        axis = next(value for key, value in record.items() if key.startswith("spectral"))
        # A coordinate of its own: the frequency at the first pixel is that of the reference, less the pixels between.
        grid = axis["wcs"]
        return float(grid["crval"] - grid["crpix"] * grid["cdelt"]), float(grid["cdelt"])

    def major(self, again: bool = False) -> None:
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
            self.memory.add("major")
            t.IBtool.endmajorcycle()
        if in_python:
            for part in t.PStools:
                part.gatherresidual()
                part.divideresidualbyweight()
                part.multiplymodelbyweight()

    def start(self) -> None:
        """Prepares the deconvolvers once the first residual is made."""
        if self.cycle == 0:
            # The order of tclean: the first look at convergence makes the image store, then the mask of ones appears.
            self.stop_code()
        else:
            self.look()
        self.tools.updateMask()
        self.started = True

    def look(self) -> None:
        """Makes the deconvolvers read residual and mask again."""
        for part in self.tools.SDtools:
            part.initminorcycle()

    def stop_code(self) -> int:
        """CASA's stop code, 0: go on. Also reads the mask on disk again, and sets the controls of the next minor
        cycle."""
        t = self.tools
        self.memory.add("reset")
        t.IBtool.resetminorcycleinfo()
        for number, part in enumerate(t.SDtools):
            record = part.initminorcycle()
            self.memory.add("init", number, record)
            t.IBtool.mergeinitrecord(record, number)
        limit = t.iterpars["nmajor"]
        reached = limit >= 0 and t.majorCnt >= limit
        self.memory.add("complete", reached)
        return int(t.IBtool.cleanComplete(reachedMajorLimit=reached))

    def limit(self, threshold_jy: float | None, niter: int) -> None:
        """Sets the threshold (None: it stays) and the limit of iterations, all cycles together."""
        now = self.tools.iterpars
        if threshold_jy is None:
            threshold_jy = jansky(now["threshold"])
        if (jansky(now["threshold"]), int(now["niter"])) != (threshold_jy, niter):
            # A controller that is set up does not take new limits: another one gets them, and the same memory.
            now.update(threshold=in_jansky(threshold_jy), niter=niter)
            self.tools.IBtool.done()
            self.tools.initializeIterationControl()
            self.memory.replay(self.tools.IBtool)

    def controls(self) -> dict[str, Any]:
        """The controller's controls of the next minor cycle."""
        controls = self.tools.IBtool.getminorcyclecontrols()
        self.memory.add("reset")
        self.tools.IBtool.resetminorcycleinfo()
        return controls

    def deconvolve(self, controls: dict[str, Any]) -> tuple[int, dict[int, int]]:
        """One minor cycle of every field with these controls; returns the iterations, and each channel's."""
        iterations = 0
        channels: dict[int, int] = {}
        for number, part in enumerate(self.tools.SDtools):
            record = part.executeminorcycle(iterbotrecord=controls)
            self.memory.add("exec", number, record)
            self.tools.IBtool.mergeexecrecord(record, number)
            iterations += int(record["iterdone"])
            for channel, count in channel_iterations(record).items():
                channels[channel] = channels.get(channel, 0) + count
        self.iterations += iterations
        return iterations, channels

    def complete_cycle(self) -> None:
        """The present cycle is complete: keeps its model and record, to go on from or back to."""
        self.tools.majorCnt += 1
        self.cycle += 1
        calls = self.memory.complete_cycle()
        record = {"iterations": self.iterations, "major_cycles": self.tools.majorCnt, "told": calls}
        self.files.write_record(self.cycle, record)
        self.files.keep_model(self.cycle)

    def take_cycle(self, cycle: int) -> None:
        """Puts a kept cycle's model in place (0: none); later ones are forgotten."""
        self.files.check_kept(cycle)
        self.files.forget_cycle_images()
        self.files.put_model(cycle)
        self.files.forget_after(cycle)
        records = [self.files.read_record(number) for number in range(1, cycle + 1)]
        self.memory.restart(call for record in records for call in record["told"])
        self.iterations = records[-1]["iterations"] if records else 0
        self.tools.majorCnt = records[-1]["major_cycles"] if records else 0
        self.cycle = cycle

    def save_model(self) -> None:
        """Puts the model into MODEL_DATA, with tools of its own: only these may write to the data."""
        if not self.files.there("model"):
            for ms in measurement_sets(self.parameters):
                add_column(ms, "MODEL_DATA")
                for tb, start, rows in pieces(ms, "MODEL_DATA", write=True):
                    tb.putcol("MODEL_DATA", np.zeros_like(tb.getcol("MODEL_DATA", start, rows)), start, rows)
            return
        self.close()
        # With nsigma, CASA would not open the data for writing until the last of tclean's own cycles.
        writer = Session(self.files.folder, {**self.parameters, "savemodel": "modelcolumn", "nsigma": 0.0})
        try:
            writer.open(deconvolve=False)
            writer.tools.predictModel()
        finally:
            writer.close()
