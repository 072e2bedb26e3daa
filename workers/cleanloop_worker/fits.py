"""The little of FITS that masks and residuals need: one image, its header cards, plain numbers."""

import gzip
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

BLOCK, CARD = 2880, 80
TYPES = {8: ">u1", 16: ">i2", 32: ">i4", -32: ">f4", -64: ">f8"}


def read(path: str) -> tuple[list[str], np.ndarray]:
    """Header cards and values of the first image, axes as numpy has them (x last)."""
    opener: Any = gzip.open if path.endswith(".gz") else open
    cards: list[str] = []
    with opener(path, "rb") as file:
        while True:
            block = file.read(BLOCK)
            if len(block) < BLOCK:
                raise ValueError(f"{path} is not a FITS file: it has no END card")
            lines = [block[k : k + CARD].decode("ascii", "replace") for k in range(0, BLOCK, CARD)]
            cards += lines
            if any(line.rstrip() == "END" for line in lines):
                break
        shape = [integer(cards, f"NAXIS{k}") for k in range(integer(cards, "NAXIS"), 0, -1)]
        kind = np.dtype(TYPES[integer(cards, "BITPIX")])
        data = np.frombuffer(file.read(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)
    scale, zero = float(value(cards, "BSCALE") or 1), float(value(cards, "BZERO") or 0)
    if (scale, zero) != (1, 0):
        data = data * scale + zero
    return cards, data


def integer(cards: list[str], key: str) -> int:
    """The whole number of a card that must be there."""
    text = value(cards, key)
    if text is None:
        raise ValueError(f"the header has no {key}")
    return int(float(text))


def value(cards: list[str], key: str) -> str | None:
    """The value of a card as text, up to a slash; None: there is no such card."""
    for card in cards:
        if card[:8].rstrip() == key and card[8:10] == "= ":
            return card[10:].split("/")[0].strip()
    return None


def header_of(path: str) -> list[str]:
    """Cards of the first header of a file, without END."""
    cards: list[str] = []
    with open(path, "rb") as file:
        while True:
            block = file.read(BLOCK)
            for k in range(0, len(block), CARD):
                card = block[k : k + CARD].decode("ascii", "replace")
                if card.rstrip() == "END":
                    return cards
                cards.append(card)
            if len(block) < BLOCK:
                raise ValueError(f"{path} is not a FITS file")


def with_card(cards: list[str], key: str, text: str | None) -> list[str]:
    """The cards with one key set, or removed (None)."""
    kept = [card for card in cards if card[:8].rstrip() != key]
    if text is None:
        return kept
    at = next((k for k, card in enumerate(kept) if card[:8].rstrip() in ("HISTORY", "COMMENT", "")), len(kept))
    return kept[:at] + [f"{key:<8}= {text:>20}".ljust(CARD)] + kept[at:]


def with_value(cards: list[str], key: str, number: int) -> list[str]:
    """The cards with the value of one of them replaced, in its place."""
    return [f"{key:<8}= {number:>20}".ljust(CARD) if card[:8].rstrip() == key else card for card in cards]


def write(path: str, cards: list[str], planes: Iterable[np.ndarray], bitpix: int = -32) -> None:
    """Writes planes (each [y, x]) one after the other below the cards; the file appears by rename."""
    cards = with_card(cards, "BITPIX", None)
    cards.insert(1, f"{'BITPIX':<8}= {bitpix:>20}".ljust(CARD))
    text = "".join(card.ljust(CARD)[:CARD] for card in cards) + "END".ljust(CARD)
    partial = f"{path}.partial"
    with open(partial, "wb") as file:
        file.write(text.ljust(-(-len(text) // BLOCK) * BLOCK).encode("ascii", "replace"))
        for plane in planes:
            file.write(np.ascontiguousarray(plane, TYPES[bitpix]).tobytes())
        file.write(bytes(-file.tell() % BLOCK))
    os.replace(partial, path)
