"""What every benchmark shares: its arguments, facts about the machine, and its output as a table or JSON.

A benchmark is a module with::

    def main() -> None:
        options = arguments(__doc__)
        ...
        report(options, figures={"recall": 0.9}, rows=[{"clip": "a", "recall": 0.9}])
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamproc.core.media import Image

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_CORPUS = PROJECT.parent / "shared" / "corpus"
_MIRROR = PROJECT.parent / "shared" / "models"


def clean_up_when_terminated() -> None:
    """Leave by SystemExit on SIGTERM, so that a benchmark ends the daemons and servers that it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def parser(about: str | None) -> argparse.ArgumentParser:
    """``--corpus`` and ``--json``; a benchmark may add its own arguments before it parses."""
    made = argparse.ArgumentParser(description=(about or "").strip().partition("\n")[0])
    made.add_argument("--corpus", type=Path, default=DEFAULT_CORPUS, help="a folder laid out as the test corpus")
    made.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return made


def arguments(about: str | None) -> argparse.Namespace:
    """Parsed common arguments; also points the model cache at the mirror beside the checkout, if there is one."""
    return prepared(parser(about).parse_args())


def prepared(options: argparse.Namespace) -> argparse.Namespace:
    """Checks the corpus folder (exit 2) and sets the default model mirror."""
    if not options.corpus.is_dir():
        print(f"--corpus {options.corpus}: no such folder; name a folder laid out as the test corpus", file=sys.stderr)
        raise SystemExit(2)
    if _MIRROR.is_dir():
        os.environ.setdefault("STREAMPROC_MODEL_MIRROR", str(_MIRROR))
    return options


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": _memory_gb(),
        "load_1m": round(os.getloadavg()[0], 2),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "openvino": version("openvino"),
        "av": version("av"),
        "numpy": version("numpy"),
    }


def commit() -> str:
    """The checkout's commit, with ``+`` where files differ from it; ``unknown`` outside a checkout."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def read_photo(path: Path) -> Image:
    """A photograph as BGR. Raises OSError where it is none."""
    image = cv2.imread(str(path))
    if image is None:
        raise OSError(f"{path} is no picture that can be read")
    return np.asarray(image, np.uint8)


def report(options: argparse.Namespace, *, figures: Mapping[str, Any], rows: Sequence[Mapping[str, Any]] = ()) -> None:
    """The result on standard output: JSON, or a table of the rows and the figures below it."""
    if options.json:
        print(json.dumps({"machine": machine(), "commit": commit(), "figures": dict(figures), "rows": list(rows)}))
        return
    facts = machine()
    print(
        f"{facts['cpu']}, {facts['cores']} cores, load {facts['load_1m']}, openvino {facts['openvino']}, commit {commit()}"
    )
    print()
    if rows:
        print(table(rows))
        print()
    print(table([{"figure": name, "value": value} for name, value in figures.items()]))


def progress(*words: object) -> None:
    """A line for people, on standard error."""
    print(*words, file=sys.stderr, flush=True)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Columns in the order they first appear, numbers to the right."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(name), *(len(line[index]) for line in cells)) for index, name in enumerate(names)]
    numeric = [all(isinstance(row.get(name), int | float | None) for row in rows) for name in names]

    def line(values: Sequence[str]) -> str:
        padded = (v.rjust(w) if n else v.ljust(w) for v, w, n in zip(values, widths, numeric, strict=True))
        return "  ".join(padded).rstrip()

    return "\n".join([line(names), line(["-" * width for width in widths]), *(line(values) for values in cells)])


def cpu_seconds() -> float:
    """CPU time of this process and its finished children."""
    own = os.times()
    return own.user + own.system + own.children_user + own.children_system


class Stopwatch:
    """``with Stopwatch() as took: ...`` then ``took.wall`` and ``took.cpu`` in seconds."""

    wall = 0.0
    cpu = 0.0

    def __enter__(self) -> Stopwatch:
        self._wall, self._cpu = time.perf_counter(), cpu_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.perf_counter() - self._wall, cpu_seconds() - self._cpu


def percentile(values: Sequence[float], share: float) -> float | None:
    """Nearest-rank percentile, ``share`` in 0..1; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return str(value)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
