"""Reads and edits QuartiCal's gains (zarr), in the Python that QuartiCal is installed in.

    quartical_gains.py run WORDS...                    goquartical with these words
    quartical_gains.py export FOLDER OUT.npz           all terms as plain arrays, direction 0, for the CASA worker
    quartical_gains.py edit FOLDER EDITS.npz|- [TERMS NAME...]
                                                       flags, normalisation, antennas that get identity gains

A gain store is FOLDER/TERM with one group for each part of the data (scan, field, data description); its gains are
[time, frequency, antenna, direction, correlation]. Terms with parameters of their own (phases, delays) keep these on
the cells of the solve; delays are evaluated in each channel. QuartiCal bridges flagged solutions by interpolation when
it loads them. Where an antenna has no good solution at all it would put zeros there, so such antennas get identity
gains instead: their data stay as they are.
"""

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

AMPLITUDES = ("amplitude", "complex", "diag_complex")  # types whose gains carry a scale
PARALLEL = {"RR", "LL", "XX", "YY"}


def run(words: list[str]) -> None:
    """Runs goquartical."""
    from quartical.executor import execute

    sys.argv = ["goquartical", *words]
    execute()


def parts(folder: str, mode: str) -> Iterator[tuple[str, int, Any]]:
    """Yields (term, number of the part, its group), in the order of the data."""
    import zarr

    for term in sorted(os.listdir(folder)):
        if not os.path.isfile(os.path.join(folder, term, ".zgroup")):
            continue
        store = zarr.open_group(os.path.join(folder, term), mode)
        names = sorted(store.group_keys(), key=lambda name: int(name.rsplit("_", 1)[1]))
        for number, name in enumerate(names):
            yield term, number, store[name]


def export(folder: str, output: str) -> None:
    """KEY.gain [time, frequency, antenna, correlation] where the gains are evaluated (.time, .frequency), and on the
    cells of the solve (.cell_time, .cell_frequency) KEY.flag [time, frequency, antenna] and delays, ns, where there
    are any."""
    import numpy as np

    arrays: dict[str, Any] = {}
    about = []
    for term, number, part in parts(folder, "r"):
        diagonal, correlations = diagonal_of(part)
        own = "params" in part
        key, axis = f"{term}.{number}", "param" if own else "gain"
        arrays[f"{key}.gain"] = part["gains"][:][:, :, :, 0, diagonal]
        arrays[f"{key}.time"] = part["gain_time"][:]
        arrays[f"{key}.frequency"] = part["gain_freq"][:]
        arrays[f"{key}.flag"] = part[f"{axis}_flags"][:][:, :, :, 0] != 0
        arrays[f"{key}.cell_time"] = part[f"{axis}_time"][:]
        arrays[f"{key}.cell_frequency"] = part[f"{axis}_freq"][:]
        delays = [k for k, name in enumerate(part["param_name"][:]) if str(name).startswith("delay_")] if own else []
        if delays:
            arrays[f"{key}.delay_ns"] = 1e9 * part["params"][:][:, :, :, 0, delays]
        attributes = {k: part.attrs[k] for k in ("SCAN_NUMBER", "FIELD_ID", "DATA_DESC_ID") if k in part.attrs}
        about.append(
            {
                "term": term,
                "number": number,
                "key": key,
                "type": part.attrs["TYPE"],
                **attributes,
                "correlations": correlations,
                "antennas": [str(a) for a in part["antenna"][:]],
            }
        )
    if not arrays:
        sys.exit(f"{folder}: QuartiCal left no gains there")
    np.savez(output, about=json.dumps(about), **arrays)


def diagonal_of(part: Any) -> tuple[list[int], list[str]]:
    """Indices and names of the parallel hands."""
    correlations = [str(c) for c in part["correlation"][:]]
    diagonal = [k for k, c in enumerate(correlations) if c in PARALLEL]
    return diagonal, [correlations[k] for k in diagonal]


def edit(folder: str, edits_file: str, terms: str = "", *identity: str) -> None:
    """Flags of KEY.flag [time, frequency, antenna], cells of the solve, are added; KEY.scale [correlation] divides
    amplitudes; the antennas named `identity` get gains of 1 in these terms (joined by commas), and so do those without
    any good solution in any term."""
    import numpy as np

    edits: Any = {} if edits_file == "-" else np.load(edits_file)
    for term, number, part in parts(folder, "r+"):
        key = f"{term}.{number}"
        gains, flags = part["gains"][:], part["gain_flags"][:]
        own = "params" in part
        values = part["params"][:] if own else gains
        value_flags = part["param_flags"][:] if own else flags
        if f"{key}.flag" in edits:
            more = edits[f"{key}.flag"].astype(flags.dtype)[..., None]
            value_flags |= more
            if own:
                when = closest(part["param_time"][:], part["gain_time"][:])
                where = closest(part["param_freq"][:], part["gain_freq"][:])
                flags |= more[np.ix_(when, where)]
        diagonal, _ = diagonal_of(part)
        if f"{key}.scale" in edits and part.attrs["TYPE"] in AMPLITUDES:
            scale = edits[f"{key}.scale"]
            gains[..., diagonal] /= scale
            if own:
                values /= scale[: values.shape[-1]]
        given_up = identity if term in terms.split(",") else ()
        lost = [k for k, name in enumerate(part["antenna"][:]) if str(name) in given_up or value_flags[:, :, k].all()]
        unity = np.zeros(gains.shape[-1], gains.dtype)
        unity[diagonal] = 1
        gains[:, :, lost] = unity
        flags[:, :, lost] = 0
        if own:
            values[:, :, lost] = 1 if part.attrs["TYPE"] == "amplitude" else 0
            value_flags[:, :, lost] = 0
            part["params"][:], part["param_flags"][:] = values, value_flags
        part["gains"][:], part["gain_flags"][:] = gains, flags


def closest(grid: Any, values: Any) -> Any:
    """Index of the grid's point nearest to each value."""
    import numpy as np

    return np.abs(grid[None, :] - values[:, None]).argmin(axis=1)


if __name__ == "__main__":
    # The modules beside this file must not be found under their bare names.
    del sys.path[0]
    command, *arguments = sys.argv[1:]
    {"run": run, "export": lambda a: export(*a), "edit": lambda a: edit(*a)}[command](arguments)
