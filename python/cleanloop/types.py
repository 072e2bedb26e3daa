"""Types of arguments and results, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Union

Beam = Union[tuple[float, float, float], float]
"""(FWHM of the major axis in pixels, of the minor axis, degrees from north through east), or the FWHM of a round one."""


class MaskingOptions(TypedDict, total=False):
    """Options of flint's pipeline; docs/masking.md explains them."""

    base_snr_clip: float
    flood_fill: bool
    flood_fill_positive_seed_clip: float
    flood_fill_positive_flood_clip: float
    flood_fill_use_mac: bool
    flood_fill_use_mac_box_size: int
    flood_fill_use_mac_adaptive_max_depth: int | None
    flood_fill_use_mac_adaptive_step_factor: float
    flood_fill_use_mac_adaptive_skew_delta: float
    grow_low_snr_island: bool
    grow_low_snr_island_clip: float
    grow_low_snr_island_size: int
    beam_shape_erode: bool
    beam_shape_erode_minimum_response: float
    beam_shape_erode_scales: Sequence[int] | None
    convolve_first: bool


class MultithreshOptions(TypedDict, total=False):
    """tclean's parameters of auto-multithresh; docs/automask.md explains them."""

    sidelobethreshold: float
    noisethreshold: float
    lownoisethreshold: float
    negativethreshold: float
    smoothfactor: float
    minbeamfrac: float
    cutthreshold: float
    growiterations: int
    dogrowprune: bool
    minpercentchange: float
    fastnoise: bool
    pbmask: float


class NoiseOptions(TypedDict, total=False):
    """Options of the noise estimators; docs/noise.md explains them."""

    method: Literal["global", "box", "bane", "minimum-filter"]
    box: int | None
    step: int | None
    exact: bool
    statistic: Literal["mad", "std"]
    background: Literal["zero", "median"]


class ConfettiOptions(TypedDict, total=False):
    """Limits of the confetti statistic; docs/confetti.md explains them."""

    min_snr: float
    isolation: float
    pedestal: float
    pedestal_radius: float
    support: float
    missing_sigma: float
    guard_radius: float


class Candidate(TypedDict):
    """A bright pixel of a model cube and the evidence for and against it."""

    channel: int
    pixel: list[int]
    """Counted from 0: [x, y]."""
    flux: float
    """The model there, Jy/pixel."""
    noise: float
    """Jy/beam."""
    isolation: float
    pedestal: float
    claim: float
    """Jy/beam."""
    image_excess: float | None
    dirty_excess: float | None
    support: float | None
    missing_sigma: float | None
    score: float
    """0 (real) to 1 (confetti)."""
    verdict: Literal["real", "suspicious", "confetti"]
    why: str


class PlaneSummary(TypedDict):
    """What CASA's verbose summary says of a plane."""

    channel: int
    masking: bool
    skip: bool
    median: float | None
    rms: float | None
    peak: float
    thresh_type: Literal["sidelobe", "noise"]
    thresh_value: float | None
    thresholds: dict[str, Any] | None
    n_reg: int
    n_pruned: int
    n_grow: int
    n_grow_pruned: int
    n_neg_pix: int
    mask_pixels_before: int
    mask_pixels: int
