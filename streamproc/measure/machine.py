"""How much memory of this machine may be used: less than it has, where a container says so. Cores are in ``cores``."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def free_memory(cgroup: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that can still be had: of the machine, or of the container's limit (cgroup v2) where that is less. None: not known."""
    known = []
    for line in _lines(meminfo):
        if line.startswith("MemAvailable:"):
            known.append(int(line.split()[1]) * 1024)
    limit, used = _words(cgroup / "memory.max"), _words(cgroup / "memory.current")
    if limit and used and limit[0].isdigit() and used[0].isdigit():
        known.append(max(0, int(limit[0]) - int(used[0])))
    return min(known, default=None)


def resident_memory() -> int | None:
    """Bytes of memory that this process holds; None where the system does not say."""
    for line in _lines(Path("/proc/self/status")):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()
