"""How many threads this process may keep busy: its CPUs, cut to what its container was given."""

from __future__ import annotations

import math
import os
from pathlib import Path

from veduta.errors import UsageError

_ROOT = Path("/")


def available_threads(root: Path = _ROOT) -> int:
    """The CPUs that this process may run on, and no more than its control groups pay for; at least 1.

    A container limited to two CPUs of a 64-core machine still sees 64; threads past the quota only wait for it. Both
    versions of Linux control groups are read below ``root``; other systems have none.
    """
    quota = min((_quota_v2(root), _quota_v1(root)))
    return max(1, min(_cpus(), math.ceil(quota) if math.isfinite(quota) else _cpus()))


def checked_threads(threads: int | None) -> int:
    """The number asked for, or all that are available where it is None. Raises ``UsageError`` below 1."""
    if threads is None:
        return available_threads()
    if threads < 1:
        raise UsageError(f"threads: {threads} is not a number of threads; give 1 or more, or leave it out for all.")
    return threads


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_v2(root: Path) -> float:
    """The least quota of this process's group and the groups above it, in CPUs."""
    mount = root / "sys/fs/cgroup"
    groups = [line[3:] for line in _text(root / "proc/self/cgroup").splitlines() if line.startswith("0::/")]
    group = mount / groups[0].lstrip("/") if groups else mount
    quota = math.inf
    # Inside a container the group may be told by a path of the host, which is not there: the mount itself is then ours.
    for folder in (group, *group.parents):
        if folder == mount or folder.is_relative_to(mount):
            quota = min(quota, _parse_v2(_text(folder / "cpu.max")))
    return quota


def _parse_v2(text: str) -> float:
    match text.split():
        case [most, period] if most.isdigit() and period.isdigit() and int(period) > 0:
            return int(most) / int(period)
    return math.inf  # absent, or "max 100000"


def _quota_v1(root: Path) -> float:
    for controller in ("cpu", "cpu,cpuacct"):
        folder = root / "sys/fs/cgroup" / controller
        most, period = (_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
        if most.isdigit() and period.isdigit() and int(period) > 0:
            return int(most) / int(period)
    return math.inf  # absent, or -1


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
