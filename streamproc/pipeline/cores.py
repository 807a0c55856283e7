"""How many cores this process may use, and how much of them it does."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_STAT = Path("/proc/stat")


def usable_cores(cgroups: Path = _CGROUPS, own: Path = _OWN) -> float:
    """The cores of the process's affinity mask, or what its control groups allow where that is less (a container's ``--cpus``,
    systemd's ``CPUQuota``). Reads cgroup v2's ``cpu.max`` (all groups up to the root count), else v1's CFS quota."""
    mask = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0.1, min([float(mask), *_quotas(cgroups, own)]))


def whole_cores() -> int:
    """The usable cores as a number of threads that may compute at a time; at least one."""
    return max(1, round(usable_cores()))


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


class MachineMeter:
    """The share of the cores in this process's affinity mask that anybody on the machine used since the last reading (Linux)."""

    def __init__(self, stat: Path = _STAT, cores: Collection[int] | None = None) -> None:
        self._stat = stat
        own = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
        self._names = {f"cpu{core}" for core in (own if cores is None else cores)}
        self._before = self._ticks()

    def read(self) -> float:
        """0..1; 1 where the machine does not say, so that nobody takes its cores for free."""
        before, self._before = self._before, self._ticks()
        idle, every = self._before[0] - before[0], self._before[1] - before[1]
        return 1.0 - max(0, idle) / every if every > 0 else 1.0

    def _ticks(self) -> tuple[int, int]:
        """Idle ones (waiting for a disk is idle), and all."""
        idle = every = 0
        with suppress(OSError, ValueError):
            for line in self._stat.read_text(encoding="ascii").splitlines():
                name, *fields = line.split()
                if name in self._names:
                    ticks = [int(field) for field in fields[:8]]  # what guests use is counted in user and nice, too
                    idle, every = idle + ticks[3] + ticks[4], every + sum(ticks)
        return idle, every
