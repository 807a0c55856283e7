"""A wall clock that jumps: a few lines of C, preloaded into a child, add to CLOCK_REALTIME what a file says. Monotonic clocks stay right."""

from __future__ import annotations

import hashlib
import shutil
import struct
from pathlib import Path

from tests.servers.common import Unavailable, alone_in, cache_dir, run_checked

_SOURCE = Path(__file__).with_name("clock.c")


def install() -> Path:
    """The shared object, built by the C compiler the first time."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise Unavailable("a wrong clock needs a C compiler")
    version = hashlib.sha256(_SOURCE.read_bytes()).hexdigest()[:12]
    built = cache_dir() / f"wrong-clock-{version}.so"
    with alone_in(built):
        if not built.exists():
            partial = built.with_suffix(".partial")
            run_checked([compiler, "-O2", "-shared", "-fPIC", "-o", str(partial), str(_SOURCE), "-ldl"])
            partial.rename(built)
    return built


class WrongClock:
    """``environ`` for a child whose wall clock can be set while it runs."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self._file.write_bytes(bytes(8))
        self.environ = {"LD_PRELOAD": str(install()), "WRONG_CLOCK": str(self._file)}

    def wrong_by(self, seconds: float) -> None:
        """From now on; 0: it is right again."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", round(seconds * 1e9)))
