"""Saved versions of a measurement set's flags."""

from cleanloop_worker.problems import BadInput

FLAG_VERSION = "cleanloop_original"  # flags as they were before any that calibration sets


def flag_versions(ms: str) -> list[str]:
    """Names of the saved flags."""
    from casatasks import flagmanager

    found = flagmanager(vis=ms, mode="list") or {}
    return [v["name"] for v in found.values() if isinstance(v, dict) and "name" in v]


def save_flags(ms: str, name: str) -> bool:
    """Saves the flags under a name, unless there are flags of that name."""
    from casatasks import flagmanager

    if name in flag_versions(ms):
        return False
    flagmanager(vis=ms, mode="save", versionname=name, comment="saved by cleanloop", merge="replace")
    return True


def restore_flags(ms: str, name: str, missing_ok: bool = False) -> bool:
    """Puts saved flags back; returns whether there were any of that name."""
    from casatasks import flagmanager

    if name not in flag_versions(ms):
        if missing_ok:
            return False
        raise BadInput(f"{ms} has no saved flags named {name!r}")
    flagmanager(vis=ms, mode="restore", versionname=name, merge="replace")
    return True
