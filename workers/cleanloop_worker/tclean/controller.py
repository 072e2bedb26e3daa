"""CASA's iteration controller: its memory, which can be replayed to a fresh one, and the levels of channels."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from cleanloop_worker import requests as r

LEVEL_STEP = 1.02  # channels whose levels differ by less are cleaned together, down to the lowest
ROUNDING = 1e-5  # the controls are in single precision: the user's level must not come out a little above itself


class Memory:
    """The calls that a controller got: in complete cycles (`past`), and since (`recent`)."""

    def __init__(self) -> None:
        self.past: list[list[Any]] = []
        self.recent: list[list[Any]] = []

    def add(self, what: str, *of: Any) -> None:
        """Notes a call: `init` and `exec` with number and record, `complete` with a flag, `reset`, `major`."""
        self.recent.append([what, *(plain(v) for v in of)])

    def complete_cycle(self) -> list[list[Any]]:
        """Returns the calls of a cycle that is complete now."""
        calls, self.recent = self.recent, []
        self.past = self.past + calls
        return calls

    def restart(self, past: Iterable[list[Any]]) -> None:
        """Takes the memory of an earlier process instead of its own past."""
        self.past = list(past)

    def replay(self, controller: Any) -> None:
        """Makes the same calls again to another controller, perhaps in another process."""
        for what, *of in self.past + self.recent:
            if what == "init":
                controller.mergeinitrecord(restored(of[1]), of[0])
            elif what == "complete":
                controller.cleanComplete(reachedMajorLimit=of[0])
            elif what == "reset":
                controller.resetminorcycleinfo()
            elif what == "exec":
                controller.mergeexecrecord(restored(of[1]), of[0])
            elif what == "major":
                controller.endmajorcycle()


def plain(value: Any) -> Any:
    """A value of a controller's record in JSON's terms."""
    if isinstance(value, dict):
        # The table of all channels is for summaries; nothing is decided by it.
        return {k: plain(np.zeros((6, 0)) if k == "summaryminor" else v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "type": str(value.dtype), "shape": list(value.shape)}
    return value.item() if isinstance(value, np.generic) else value


def restored(value: Any) -> Any:
    """The opposite of `plain`."""
    if isinstance(value, dict):
        if "array" in value:
            return np.array(value["array"], value["type"]).reshape(value["shape"])
        return {k: restored(v) for k, v in value.items()}
    return value


def level_groups(lowest: float, limits: list[r.ChannelLimit]) -> list[tuple[float, list[int]]]:
    """Active channels that can be cleaned together: (level, channels), the lowest level first, Jy/beam."""
    groups: list[tuple[float, list[int]]] = []
    levels = [(own_level(lowest, limit), k) for k, limit in enumerate(limits) if limit.active]
    for level, channel in sorted(levels):
        if groups and level <= LEVEL_STEP * groups[-1][0]:
            groups[-1][1].append(channel)
        else:
            groups.append((level, [channel]))
    return groups


def own_level(lowest: float, limit: r.ChannelLimit) -> float:
    """The level of a channel: its threshold, or the cycle's own level if that is not lower."""
    threshold = limit.threshold_jy
    return threshold if threshold is not None and threshold > (1 + ROUNDING) * lowest else lowest


def channel_result(iterations: int, level: float | None, limit: r.ChannelLimit | None, reached: bool) -> dict[str, Any]:
    """The result of one channel; `reached` is that of the whole cycle, for channels without a limit."""
    if limit is not None and limit.threshold_jy is not None and level is not None:
        reached = level <= LEVEL_STEP * limit.threshold_jy
    return {"iterations": iterations, "cycle_threshold_jy": level, "threshold_reached": reached}


def channel_iterations(record: dict[str, Any]) -> dict[int, int]:
    """Iterations of each channel in this minor cycle, as far as CASA reports them."""
    table = np.asarray(record.get("summaryminor", []))
    if table.ndim != 2 or table.shape[0] < 6 or table.size == 0:
        return {}
    out: dict[int, int] = {}
    for iterations, channel in zip(table[0], table[5].astype(int), strict=True):
        out[int(channel)] = out.get(int(channel), 0) + int(iterations)
    return out
