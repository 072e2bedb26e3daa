"""The files of one imaging.

In the folder casa/: CASA's images; `state.json`, the identity of the images and how much of the start is whole;
`cycles/NNNN`, the model after each complete cycle; `controller/NNNN.json`, the calls of CASA's iteration controller in
it. The model gives the residual again, the records give the controller its memory, so an imaging that was cut off goes
on as if it had not been.
"""

import glob
import hashlib
import json
import os
import shutil
from typing import Any

import numpy as np

from cleanloop_worker import fits
from cleanloop_worker.images import cards_of, common_beam, image, is_limited, planes, to_fits
from cleanloop_worker.problems import BadInput

NAME = "im"  # of CASA's images, in the folder casa/
KEPT_CYCLES = 3  # models of this many complete cycles are always kept to go back to
KEPT_BYTES = 2 << 30  # all models are kept while they are smaller together


class ImagingFiles:
    """The files of one imaging in `folder`; `terms`: Taylor terms of mtmfs, 0 for other deconvolvers."""

    def __init__(self, folder: str, terms: int) -> None:
        self.folder, self.terms = folder, terms
        self.work = os.path.join(folder, "casa")
        self.base = os.path.join(self.work, NAME)
        self.cycles = os.path.join(self.work, "cycles")
        self.records = os.path.join(self.work, "controller")
        self.header: list[str] | None = None

    def name(self, kind: str, term: int = 0) -> str:
        """CASA's image of a kind: mtmfs has one a Taylor term."""
        return f"{self.base}.{kind}" + (f".tt{term}" if self.terms and kind != "mask" else "")

    def there(self, kind: str) -> bool:
        """Whether there is an image of a kind."""
        return os.path.isdir(self.name(kind))

    def path(self, name: str) -> str:
        """A file beside CASA's images."""
        return os.path.join(self.folder, name)

    def existing(self, name: str) -> str | None:
        """A file beside CASA's images, if it is there."""
        return self.path(name) if os.path.exists(self.path(name)) else None

    def note(self, key: str, value: Any = True) -> None:
        """Writes a value to state.json."""
        write_whole(os.path.join(self.work, "state.json"), json.dumps({**self.noted(), key: value}))

    def noted(self) -> dict[str, Any]:
        """The values in state.json."""
        try:
            with open(os.path.join(self.work, "state.json")) as file:
                return json.load(file)
        except (OSError, ValueError):
            return {}

    def start_over(self) -> None:
        """An empty folder casa/."""
        shutil.rmtree(self.work, ignore_errors=True)
        os.makedirs(self.work)

    def wipe(self) -> None:
        """Removes CASA's images; kept cycles stay."""
        for old in glob.glob(f"{self.base}.*"):
            shutil.rmtree(old)

    def forget_cycle_images(self) -> None:
        """Removes model, residual, mask and image, which are made again for another model."""
        for kind in ("model", "residual", "mask", "image"):
            for old in glob.glob(f"{self.base}.{kind}*"):
                shutil.rmtree(old)

    # Kept cycles.

    def kept(self) -> list[int]:
        """Cycles whose models are kept, the first one first."""
        return sorted(int(n) for n in os.listdir(self.cycles) if n.isdigit()) if os.path.isdir(self.cycles) else []

    def folder_of(self, cycle: int) -> str:
        """Folder of a kept model."""
        return os.path.join(self.cycles, f"{cycle:04d}")

    def write_record(self, cycle: int, record: dict[str, Any]) -> None:
        """Keeps the controller's record of a cycle."""
        os.makedirs(self.records, exist_ok=True)
        write_whole(os.path.join(self.records, f"{cycle:04d}.json"), json.dumps(record))

    def read_record(self, cycle: int) -> dict[str, Any]:
        """The controller's record of a cycle."""
        with open(os.path.join(self.records, f"{cycle:04d}.json")) as file:
            return json.load(file)

    def keep_model(self, cycle: int) -> None:
        """Keeps the present model as that of a cycle, and removes old ones that take too much room."""
        os.makedirs(self.cycles, exist_ok=True)
        target = self.folder_of(cycle)
        shutil.rmtree(f"{target}.partial", ignore_errors=True)
        os.makedirs(f"{target}.partial")
        for model in glob.glob(f"{self.base}.model*"):
            shutil.copytree(model, os.path.join(f"{target}.partial", os.path.basename(model)))
        shutil.rmtree(target, ignore_errors=True)
        os.rename(f"{target}.partial", target)
        most = max(KEPT_CYCLES, KEPT_BYTES // max(1, size_of(target)))
        for old in self.kept()[:-most]:
            shutil.rmtree(self.folder_of(old))

    def check_kept(self, cycle: int) -> None:
        """Refuses a cycle whose model is not kept; 0, no model, always is."""
        if cycle and not os.path.isdir(self.folder_of(cycle)):
            raise BadInput(f"the model of cycle {cycle} is not kept; there are {self.kept() or 'none'}")

    def put_model(self, cycle: int) -> None:
        """Puts a kept model in place; 0: none."""
        for model in glob.glob(os.path.join(self.folder_of(cycle), f"{NAME}.model*")) if cycle else []:
            shutil.copytree(model, os.path.join(self.work, os.path.basename(model)))

    def forget_after(self, cycle: int) -> None:
        """Removes the kept models of later cycles."""
        for later in self.kept():
            if later > cycle:
                shutil.rmtree(self.folder_of(later))

    def replace_planes(self, cycle: int, back: dict[int, int]) -> None:
        """Channels of a kept model become those of earlier kept models: {channel: cycle}."""
        target = self.folder_of(cycle)
        partial = f"{target}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(target, partial)
        with image(os.path.join(partial, f"{NAME}.model")) as ia:
            for channel, earlier in back.items():
                self.replace_plane(ia, channel, earlier)
        # Cut off between these two, the run goes on from the cycle before.
        shutil.rmtree(target)
        os.rename(partial, target)

    def replace_plane(self, ia: Any, channel: int, cycle: int) -> None:
        """A channel of an open model becomes that of an earlier kept model, 0: empty."""
        # Older ones may have been removed: the next is the nearest.
        source = next(n for n in self.kept() if n >= cycle) if cycle else 0
        shape = ia.shape()
        blc, trc = [0, 0, 0, channel], [shape[0] - 1, shape[1] - 1, shape[2] - 1, channel]
        plane = np.zeros((*shape[:3], 1))
        earlier = os.path.join(self.folder_of(source), f"{NAME}.model")
        if source and os.path.isdir(earlier):
            with image(earlier) as old:
                plane = old.getchunk(blc, trc)
        ia.putchunk(plane, blc)

    # FITS files.

    def export(self, kind: str, target: str, raw: bool = False, term: int = 0) -> str:
        """Writes an image as FITS [stokes, frequency, y, x]. raw: values outside the pixel mask are kept, not NaN."""
        path = self.path(target)
        if kind != "residual":
            return to_fits(self.name(kind, term), path)
        with image(self.name(kind, term)) as ia:
            # CASA gives residuals neither a unit nor (of cubes) a beam.
            fits.write(path, self.template(ia), planes(ia, ia.shape(), "values" if raw else "valid"))
        return path

    def template(self, ia: Any) -> list[str]:
        """Header of the images of this run, with the beam that is common to all channels."""
        if self.header is None:
            beam = common_beam([self.name("residual"), self.name("psf")])
            self.header = cards_of(ia, beam, os.path.join(self.work, "header.fits"))
        return self.header

    def write_pixel_mask(self, target: str) -> str | None:
        """Writes the residual's pixel mask, if it limits anything; returns the path."""
        path = self.path(target)
        with image(self.name("residual")) as ia:
            shape = ia.shape()
            if not is_limited(ia, shape):
                return None
            fits.write(path, self.template(ia), planes(ia, shape, "mask"), bitpix=8)
        return path

    def write_empty_model(self, target: str) -> str:
        """Writes a model of zeros, on the residual's grid."""
        path = self.path(target)
        with image(self.name("residual")) as ia:
            shape = ia.shape()
            zeros = (np.zeros((shape[1], shape[0])) for _ in range(shape[2] * shape[3]))
            fits.write(path, fits.with_card(self.template(ia), "BUNIT", "'Jy/pixel'"), zeros)
        return path


def write_whole(path: str, text: str) -> None:
    """Writes a file that appears by rename, safely on disk."""
    with open(f"{path}.partial", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.partial", path)


def size_of(folder: str) -> int:
    """Bytes of the files below a folder."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(folder) for name in names)


def checksum(path: str) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()
