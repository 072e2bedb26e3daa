"""The files that the tests compare with: all of them where they are found, and the selection in the repository."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

REPOSITORY = Path(__file__).resolve().parents[2]
FULL = Path(os.environ.get("CLEANLOOP_GOLDEN", REPOSITORY.parent / "shared" / "golden"))


def plane(path, channel=0):
    """A plane [y, x] in the machine's byte order, and its header."""
    with fits.open(path) as files:
        data, header = files[0].data, files[0].header
        data = data.reshape((-1, *data.shape[-2:]))
        data = data[min(channel, len(data) - 1)]
        return np.ascontiguousarray(data, data.dtype.newbyteorder("=")), header


def planes(path):
    """Number of planes of an image."""
    with fits.open(path) as files:
        return int(np.prod(files[0].data.shape[:-2]))


@dataclass
class FlintCase:
    name: str
    image: Path
    background: Path | None
    rms: Path | None
    mask: Path
    options: dict
    masked_pixels: int


def flint_cases():
    cases = {}
    for folder in (REPOSITORY / "tests" / "data" / "golden" / "flint", FULL / "flint"):
        for path in sorted(folder.glob("*/case.json")):
            case = json.loads(path.read_text())
            mask = path.parent / "mask.fits.gz"
            if "options" not in case or not mask.exists():
                continue
            file = lambda key: folder / case[key] if case.get(key) else None
            cases[path.parent.name] = FlintCase(
                path.parent.name, file("image"), file("bkg"), file("rms"), mask, case["options"], case["masked_pixels"]
            )
    assert len(cases) >= 8, "tests/data/golden/flint is part of the repository"
    return list(cases.values())


def casa_cases():
    folders = {}
    for folder in (REPOSITORY / "tests" / "data" / "multithresh", FULL / "casa"):
        folders.update({path.parent.name: path.parent for path in sorted(folder.glob("*/case.json"))})
    assert len(folders) >= 6, "tests/data/multithresh is part of the repository"
    return list(folders.values())
