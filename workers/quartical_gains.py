"""Reads and edits QuartiCal's gains (zarr), in the Python that QuartiCal is installed in.

    quartical_gains.py run WORDS...                    goquartical with these words
    quartical_gains.py export FOLDER OUT.npz           all terms as plain arrays, direction 0, for the CASA worker
    quartical_gains.py edit FOLDER EDITS.npz|- NAME... flags, normalisation, antennas that get no correction

A gain store is FOLDER/TERM with one group for each part of the data (scan, field, data description); its gains are
[time, frequency, antenna, direction, correlation]. QuartiCal bridges flagged solutions by interpolation when it loads
them. Where an antenna has no good solution at all it would put zeros there, so such antennas get gains of 1 instead:
their data pass through.
"""

import json
import os
import sys

AMPLITUDES = ("amplitude", "complex", "diag_complex")  # types whose gains carry a scale
PARALLEL = {"RR", "LL", "XX", "YY"}


def run(words):
    from quartical.executor import execute

    sys.argv = ["goquartical", *words]
    execute()


def parts(folder, mode):
    """Yields (term, number of the part, its group), in the order of the data."""
    import zarr

    for term in sorted(os.listdir(folder)):
        if not os.path.isfile(os.path.join(folder, term, ".zgroup")):
            continue
        store = zarr.open_group(os.path.join(folder, term), mode)
        names = sorted(store.group_keys(), key=lambda name: int(name.rsplit("_", 1)[1]))
        for number, name in enumerate(names):
            yield term, number, store[name]


def export(folder, output):
    import numpy as np

    arrays, about = {}, []
    for term, number, part in parts(folder, "r"):
        correlations = [str(c) for c in part["correlation"][:]]
        diagonal = [k for k, c in enumerate(correlations) if c in PARALLEL]
        key = f"{term}.{number}"
        arrays[f"{key}.gain"] = part["gains"][:][:, :, :, 0, diagonal]
        arrays[f"{key}.flag"] = part["gain_flags"][:][:, :, :, 0] != 0
        arrays[f"{key}.time"] = part["gain_time"][:]
        arrays[f"{key}.frequency"] = part["gain_freq"][:]
        attributes = {k: part.attrs[k] for k in ("SCAN_NUMBER", "FIELD_ID", "DATA_DESC_ID") if k in part.attrs}
        about.append({"term": term, "number": number, "key": key, "type": part.attrs["TYPE"], **attributes,
                      "correlations": [correlations[k] for k in diagonal],
                      "antennas": [str(a) for a in part["antenna"][:]]})
    if not arrays:
        sys.exit(f"{folder}: QuartiCal left no gains there")
    np.savez(output, about=json.dumps(about), **arrays)


def edit(folder, edits, *through):
    """Flags of KEY.flag [time, frequency, antenna] are added; KEY.scale [correlation] divides amplitudes; the antennas
    named `through` get gains of 1."""
    import numpy as np

    edits = {} if edits == "-" else np.load(edits)
    for term, number, part in parts(folder, "r+"):
        key = f"{term}.{number}"
        kind = part.attrs["TYPE"]
        gains, flags = part["gains"][:], part["gain_flags"][:]
        correlations = [str(c) for c in part["correlation"][:]]
        diagonal = [k for k, c in enumerate(correlations) if c in PARALLEL]
        own = "params" in part
        values = part["params"][:] if own else gains
        value_flags = part["param_flags"][:] if own else flags
        if f"{key}.flag" in edits:
            more = edits[f"{key}.flag"]
            flags |= more[..., None].astype(flags.dtype)
            if own:
                value_flags |= nearest(more, value_flags.shape[:2])[..., None].astype(flags.dtype)
        if f"{key}.scale" in edits and kind in AMPLITUDES:
            scale = edits[f"{key}.scale"]
            gains[..., diagonal] /= scale
            if own:
                values /= scale[:values.shape[-1]]
        lost = [k for k, name in enumerate(part["antenna"][:]) if str(name) in through or value_flags[:, :, k].all()]
        unity = np.zeros(gains.shape[-1], gains.dtype)
        unity[diagonal] = 1
        gains[:, :, lost] = unity
        flags[:, :, lost] = 0
        if own:
            values[:, :, lost] = 1 if kind == "amplitude" else 0
            value_flags[:, :, lost] = 0
            part["params"][:], part["param_flags"][:] = values, value_flags
        part["gains"][:], part["gain_flags"][:] = gains, flags


def nearest(flags, shape):
    """Flags on another grid of times and frequencies: the most of them that fall on a cell."""
    import numpy as np

    if flags.shape[:2] == shape:
        return flags
    rows = np.minimum(np.arange(shape[0]) * flags.shape[0] // shape[0], flags.shape[0] - 1)
    columns = np.minimum(np.arange(shape[1]) * flags.shape[1] // shape[1], flags.shape[1] - 1)
    return flags[np.ix_(rows, columns)]


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"run": run, "export": lambda a: export(*a), "edit": lambda a: edit(*a)}[command](arguments)
