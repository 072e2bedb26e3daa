"""Types of arguments and results, for type checkers and editors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


class AutoMaskOptions(TypedDict, total=False):
    """Limits of automatic masks; docs/acceptance.md explains them. Pairs are for the worst artefacts, and for none."""

    negative_ratio: tuple[float, float]
    negative_excess: tuple[float, float]
    seed_factor: tuple[float, float]
    flood_factor: tuple[float, float]
    box_beams: tuple[float, float]
    local_seed: float
    local_flood: float
    prominent_box_beams: float
    prominent_seed: float
    prominent_negative: float
    prominent_sidelobe: float
    extended_scales: Sequence[float]
    extended_seed: float
    extended_negative: float
    extended_near_negative: float
    extended_sidelobe: float
    extended_flood: float
    extended_depth: float
    margin_beams: float | None
    max_fraction: float
    beside_ratio: float
    beside_reach: float
    beside_negative: float
    artefact_ratio: float
    artefact_reach: float
    mirrored_negative: float
    ring_negative: float
    visible_sigma: float
    visible_fraction: float


class TidyOptions(TypedDict, total=False):
    """What is done to combined masks, in this order; docs/combine.md explains it."""

    fill_holes: bool
    minimum_size: int | None
    dilate: int | None
    invert: bool


@dataclass(frozen=True, eq=False)
class AutomaticMask:
    """A mask whose levels were chosen from the image."""

    mask: NDArray[Any]
    """[y, x], uint8 (int32 with more than 8 scales): 1 where CLEAN may look; bit n is the mask of the n-th scale."""
    artefacts: float
    """Strength of the artefacts: 0 none, 1 the worst."""
    options: dict[str, Any]
    """flint's MaskingOptions, as they were chosen."""
    why: tuple[str, ...]
    """Reasons for the levels, and extended emission that was found."""
    fraction: float
    """Masked pixels over pixels with data."""
    raised: int
    """How many times the levels were raised because too much was masked."""
    hidden: bool
    """Sidelobes of what is not cleaned yet may hide more."""
    removed: tuple[RemovedIsland, ...]
    """Islands that were left out."""


@dataclass(frozen=True)
class RemovedIsland:
    """An island that was left out of an automatic mask."""

    pixel: tuple[int, int]
    """Counted from 0: (x, y) of its peak."""
    peak: float
    """Jy/beam."""
    pixels: int
    why: str


@dataclass(frozen=True)
class ModelMetrics:
    """Fluxes of a CLEAN model, Jy."""

    total_flux: float
    absolute_flux: float
    inside_flux: float | None
    """Inside the islands; None without them."""
    outside_flux: float | None
    """Sum of absolute values outside the islands; None without them."""
    components: int
    """Pixels that are not 0."""
    negative_fraction: float
    """Flux of negative components over the sum of absolute values."""
    peak: float


@dataclass(frozen=True)
class ImageMetrics:
    """Metrics of a plane; brightnesses in Jy/beam."""

    noise: float
    """Standard deviation of the residual (or image) outside the mask, safe against single bad regions."""
    rms: float
    """1.4826 MAD of the same pixels."""
    standard_deviation: float
    peak: float
    peak_pixel: tuple[int, int]
    """Counted from 0: (x, y)."""
    dynamic_range: float
    """Peak over noise."""
    snr: float
    """Peak over rms."""
    minimum: float
    minimum_pixel: tuple[int, int]
    negative_ratio: float
    """|minimum| / peak."""
    near_field_rms: float | None
    near_field_snr: float | None
    beam_area_arcsec2: float | None
    """Solid angle of the beam, square arcseconds."""
    valid_pixels: int
    masked_pixels: int | None
    masked_fraction: float | None
    model: ModelMetrics | None
    non_finite: bool
    """No finite pixel, an infinite one, or a NaN in the model."""
    resolved_fraction: float | None = None
    """Part of the flux in masked islands that is in resolved ones; None without mask or beam."""


@dataclass(frozen=True)
class Candidate:
    """A bright pixel of a model cube and the evidence for and against it."""

    channel: int
    pixel: tuple[int, int]
    """Counted from 0: (x, y)."""
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


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of auto-multithresh in the residual's unit, the median included."""

    value: float
    """The one that decides: the higher of sidelobe and noise."""
    kind: Literal["sidelobe", "noise"]
    sidelobe: float
    noise: float
    low_noise: float
    negative: float


@dataclass(frozen=True)
class PlaneSummary:
    """CASA's verbose summary of a plane."""

    channel: int
    masking: bool
    skip: bool
    median: float | None
    rms: float | None
    peak: float
    thresh_type: Literal["sidelobe", "noise"]
    thresh_value: float | None
    thresholds: Thresholds | None
    n_reg: int
    n_pruned: int
    n_grow: int
    n_grow_pruned: int
    n_neg_pix: int
    mask_pixels_before: int
    mask_pixels: int
