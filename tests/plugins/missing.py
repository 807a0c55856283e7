"""One line at the end for each thing that this machine lacks: what was not tested, and how many tests that is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

import pytest

_THINGS = (
    (r"Apache Kafka|\bmvn\b|\bjava\b", "Apache Kafka (needs java and mvn)"),
    (r"GStreamer|system Python", "RTSP cameras (GStreamer's RTSP server)"),
    (r"S3 gateway|\bgo\b", "S3 outputs and buckets (the gateway is built by go)"),
    (r"[Cc]hromium", "the watch page in a browser (Chromium)"),
    (r"test corpus", "real footage (the test corpus is not beside this checkout)"),
    (r"debootstrap|Debian root", "the installation in a bare Debian (root and debootstrap)"),
    (r"\bnpm\b|linter", "the container's files (npm fetches the linter)"),
    (r"[Mm]odel", "what needs model files that could not be fetched"),
    (r"ffmpeg", "videos that only ffmpeg writes"),
    (r"scikit-image", "the demo scene (scikit-image)"),
)
"""What a reason is about, first match first."""


def lines(reasons: Iterable[str]) -> list[str]:
    """One line a thing, the most tests first; a reason about none of them is a thing of its own."""
    counts = Counter(_thing(reason) for reason in reasons)
    return [f"not tested: {thing}: {count} test{'s'[: count != 1]}" for thing, count in counts.most_common()]


def _thing(reason: str) -> str:
    first = reason.removeprefix("Skipped: ").partition("\n")[0]
    return next((thing for pattern, thing in _THINGS if re.search(pattern, first)), first[:120])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.stats.get("skipped", [])
    for line in lines(str(report.longrepr[2]) for report in reports if isinstance(report.longrepr, tuple)):
        terminalreporter.write_line(line)
