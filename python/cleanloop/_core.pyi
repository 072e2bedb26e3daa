from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

from .types import (
    AutoMaskOptions,
    AutomaticMask,
    Beam,
    Candidate,
    ConfettiOptions,
    ImageMetrics,
    MaskingOptions,
    MultithreshOptions,
    NoiseOptions,
    PlaneSummary,
    TidyOptions,
)

__all__ = [
    "AutomaskState",
    "__version__",
    "automask_plane",
    "automatic_mask",
    "combine_masks",
    "confetti",
    "main",
    "mask",
    "noise",
    "plane_metrics",
    "sidelobe_level",
    "signal",
]
__version__: str

def mask(
    image: ArrayLike,
    *,
    background: ArrayLike | None = None,
    rms: ArrayLike | None = None,
    beam: Beam | None = None,
    **options: Unpack[MaskingOptions],
) -> NDArray[np.uint8] | NDArray[np.int32]: ...
def automatic_mask(image: ArrayLike, arguments: Mapping[str, Any], limits: AutoMaskOptions) -> AutomaticMask: ...
def combine_masks(
    masks: Sequence[ArrayLike], operation: str, steps: Mapping[str, Any], tidy: TidyOptions
) -> NDArray[np.uint8]: ...
def plane_metrics(image: ArrayLike, arguments: Mapping[str, Any]) -> ImageMetrics: ...
def signal(image: ArrayLike, background: ArrayLike, rms: ArrayLike) -> NDArray[np.float32]: ...
def noise(
    image: ArrayLike, *, beam: Beam | None = None, **options: Unpack[NoiseOptions]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
def sidelobe_level(psf: ArrayLike, beam: Beam, *, centre: tuple[float, float] | None = None) -> float: ...

@final
class AutomaskState:
    """What auto-multithresh remembers of a plane between major cycles; can be pickled and compared."""

    def __new__(
        cls, mask: ArrayLike, posmask: ArrayLike | None = None, cycles: int = 0, skip: bool = False
    ) -> AutomaskState: ...
    @property
    def mask(self) -> NDArray[np.bool_]:
        """The clean mask, [y, x]; a fresh array each time."""
    @property
    def posmask(self) -> NDArray[np.bool_]:
        """Union of all positive masks so far, [y, x]; an initial mask is not part of it."""
    @property
    def cycles(self) -> int:
        """Calls so far."""
    @property
    def skip(self) -> bool:
        """The plane is left alone from the next call on."""
    def __eq__(self, other: object, /) -> bool: ...

def automask_plane(
    residual: ArrayLike,
    beam: Beam,
    sidelobe_level: float,
    state: AutomaskState | None = None,
    *,
    valid: ArrayLike | None = None,
    iterdone: int = 0,
    threshold_reached: bool = False,
    first_plane_full: bool = False,
    **options: Unpack[MultithreshOptions],
) -> tuple[AutomaskState, PlaneSummary]: ...
def confetti(
    model: ArrayLike,
    noise: float | Sequence[float] | NDArray[np.floating[Any]],
    beam: Beam,
    *,
    image: ArrayLike | None = None,
    dirty: ArrayLike | None = None,
    **options: Unpack[ConfettiOptions],
) -> list[Candidate]: ...
def main(words: Sequence[str]) -> int: ...
