"""Auto-multithresh against masks that CASA made, call by call."""

import json
import pickle

import numpy as np
import pytest

import cleanloop
from golden import casa_cases, plane


def channels(folder, name):
    return None if not (folder / name).exists() else folder / name


@pytest.mark.parametrize("folder", casa_cases(), ids=lambda folder: folder.name)
def test_every_mask_and_flag_is_casas(folder):
    case = json.loads((folder / "case.json").read_text())
    cell, beam = case["cell_arcsec"], case["common_beam"]
    beam = (beam["bmaj_arcsec"] / cell, beam["bmin_arcsec"] / cell, beam["bpa_deg"])
    options = case["parameters"]
    count = len(case["cycles"][0]["channels"])
    limit = options["pbmask"]
    pb, pixelmask, initial = (channels(folder, f"{n}.fits.gz") for n in ("pb", "pixelmask", "mask_initial"))

    def valid(channel):
        if limit > 0 and pb:
            return plane(pb, channel)[0] > limit
        return plane(pixelmask, channel)[0] != 0 if pixelmask else None

    states = [cleanloop.AutomaskState(plane(initial, c)[0] != 0) if initial else None for c in range(count)]
    for cycle in case["cycles"]:
        first = states[0]
        full = first is not None and bool(first.mask.all() and (limit == 0 or valid(0) is None or valid(0).all()))
        for channel, expected in enumerate(cycle["channels"]):
            state, summary = cleanloop.automask_plane(
                plane(folder / cycle["residual_file"], channel)[0],
                beam,
                case["psf_sidelobe_level"],
                states[channel],
                valid=valid(channel),
                iterdone=cycle["iterdone"],
                threshold_reached=cycle["threshold_reached"],
                first_plane_full=full,
                **options,
            )
            golden = plane(folder / cycle["mask_file"], channel)[0] != 0
            np.testing.assert_array_equal(state.mask, golden, err_msg=f"cycle {cycle['cycle']}, channel {channel}")
            assert (summary.skip, summary.mask_pixels) == (expected["skip"], expected["mask_pixels"])
            assert summary.thresh_type == expected["thresh_type"]
            assert state.skip == expected["skip"] and state.cycles == cycle["cycle"] + 1
            # A state goes through a pickle, as between the processes of a pipeline.
            states[channel] = pickle.loads(pickle.dumps(state))
            assert states[channel] == state


def test_a_state_from_a_mask():
    mask = np.zeros((4, 5), np.int32)
    mask[1, 2] = 7
    state = cleanloop.AutomaskState(mask)
    assert state.mask.dtype == bool and state.mask.sum() == 1 and not state.posmask.any()
    assert repr(state) == "<AutomaskState of 4 x 5 pixels, 1 masked, cycles=0, skip=False>"
    with pytest.raises(ValueError, match="posmask has shape"):
        cleanloop.AutomaskState(mask, posmask=mask.T)


def test_mistakes_are_named():
    residual = np.zeros((6, 6), np.float32)
    with pytest.raises(TypeError, match="did you mean `noisethreshold`"):
        cleanloop.automask_plane(residual, 3.0, 0.2, noisetreshold=4)
    with pytest.raises(ValueError, match="smoothfactor is 0; expected a positive number"):
        cleanloop.automask_plane(residual, 3.0, 0.2, smoothfactor=0)
    state = cleanloop.AutomaskState(np.zeros((5, 6), bool))
    with pytest.raises(ValueError, match="the state has 6 x 5 pixels, but the residual has 6 x 6"):
        cleanloop.automask_plane(residual, 3.0, 0.2, state)


def test_the_sidelobe_level_is_casas():
    compared = 0
    for folder in casa_cases():
        case = json.loads((folder / "case.json").read_text())
        if not (folder / "psf.fits.gz").exists() or len(case["beams"]) != 1:
            continue
        cell, beam = case["cell_arcsec"], case["beams"][0]
        psf, header = plane(folder / "psf.fits.gz")
        centre = (header["CRPIX2"] - 1, header["CRPIX1"] - 1)
        pixels = (beam["bmaj_arcsec"] / cell, beam["bmin_arcsec"] / cell, beam["bpa_deg"])
        level = cleanloop.sidelobe_level(psf, pixels, centre=centre)
        assert level == pytest.approx(case["psf_sidelobe_level"], rel=3e-7)
        compared += 1
    assert compared >= 3
