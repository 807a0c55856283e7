"""How many cores this process may use, and how much of them it does."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cores(cgroups: Path = _CGROUPS, own: Path = _OWN) -> float:
    """The cores of the process's affinity mask, or what its control groups allow where that is less (a container's ``--cpus``,
    systemd's ``CPUQuota``). Reads cgroup v2's ``cpu.max`` (all groups up to the root count), else v1's CFS quota."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0.1, min([float(mask), *_quotas(cgroups, own)]))


def _quotas(cgroups: Path, own: Path) -> list[float]:
    """Cores by each limit that is set."""
    lines: list[str] = []
    with suppress(OSError):
        lines = own.read_text(encoding="utf-8").splitlines()
    found = [_quota_v1(cgroups / "cpu")]
    for line in lines:
        _, controllers, group = line.split(":", 2)
        folder = cgroups / group.strip("/")
        if controllers == "":
            found += [_quota_v2(each) for each in (folder, *folder.parents) if each.is_relative_to(cgroups)]
        elif "cpu" in controllers.split(","):
            found.append(_quota_v1(cgroups / "cpu" / group.strip("/")))
    return [cores for cores in found if cores is not None]


def _quota_v2(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)  # "max" for no limit is no number
    return None


def _quota_v1(folder: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota = int((folder / "cpu.cfs_quota_us").read_text(encoding="ascii"))
        period = int((folder / "cpu.cfs_period_us").read_text(encoding="ascii"))
        return quota / period if quota > 0 and period > 0 else None
    return None


class CpuMeter:
    """The share of the usable cores that this process (all threads) used since the last reading."""

    def __init__(self, cores: float | None = None) -> None:
        self.cores = cores or usable_cores()
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def read(self) -> float:
        """0..1, a little more for an instant where a quota lets a burst through."""
        wall, cpu = time.monotonic(), time.process_time()
        share = (cpu - self._cpu) / max(1e-3, wall - self._wall) / self.cores
        self._wall, self._cpu = wall, cpu
        return share
