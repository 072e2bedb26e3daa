"""FITS files with one image."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from cleanloop_worker import fits


def cards(*shape: int) -> list[str]:
    """The header of an image; the last axis is x."""
    lines = ["SIMPLE  =                    T", f"NAXIS   = {len(shape):>20}"]
    lines += [f"NAXIS{k + 1}  = {n:>20}" for k, n in enumerate(reversed(shape))]
    return [line.ljust(fits.CARD) for line in [*lines, "OBJECT  = 'a / b'", "HISTORY made by a test"]]


@pytest.mark.parametrize(("bitpix", "kind"), [(-32, np.float32), (-64, np.float64), (8, np.uint8), (16, np.int16)])
def test_written_planes_are_read_again(tmp_path: Path, bitpix: int, kind: type) -> None:
    path = str(tmp_path / "image.fits")
    planes = np.arange(24).reshape(2, 3, 4).astype(kind)
    fits.write(path, cards(2, 3, 4), planes, bitpix)
    header, values = fits.read(path)
    assert values.shape == (2, 3, 4)
    np.testing.assert_array_equal(values, planes)
    assert fits.value(header, "BITPIX") == str(bitpix)
    assert Path(path).stat().st_size % fits.BLOCK == 0
    assert [p.name for p in tmp_path.iterdir()] == ["image.fits"]


def test_scaled_and_compressed_files_are_read(tmp_path: Path) -> None:
    plain = tmp_path / "image.fits"
    scaled = fits.with_card(fits.with_card(cards(1, 2), "BSCALE", "2.0"), "BZERO", "10.0")
    fits.write(str(plain), scaled, [np.array([[1, 2]])], 16)
    packed = tmp_path / "image.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        np.testing.assert_array_equal(fits.read(str(path))[1], [[12.0, 14.0]])


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("no image")
    with pytest.raises(ValueError, match="is not a FITS file"):
        fits.read(str(path))
    with pytest.raises(ValueError, match="is not a FITS file"):
        fits.header_of(str(path))


def test_cards_are_set_replaced_and_removed() -> None:
    header = cards(3, 4)
    more = fits.with_card(header, "BUNIT", "'K'")
    assert fits.value(more, "BUNIT") == "'K'"
    assert more[-1].startswith("HISTORY"), "new cards stand before the history"
    assert fits.with_card(more, "BUNIT", None) == header
    changed = fits.with_value(header, "NAXIS1", 9)
    assert fits.integer(changed, "NAXIS1") == 9
    assert [card[:8] for card in changed] == [card[:8] for card in header]
    with pytest.raises(ValueError, match="no CRVAL1"):
        fits.integer(header, "CRVAL1")


def test_the_header_of_a_file_ends_before_its_data(tmp_path: Path) -> None:
    path = str(tmp_path / "image.fits")
    fits.write(path, cards(2, 2), [np.zeros((2, 2))])
    assert fits.value(fits.header_of(path), "NAXIS") == "2"
    assert not any(card.startswith("END") for card in fits.header_of(path))
