"""Arithmetic of what many cameras did: events against the known entries, recovery after a burst, shares."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.camera_clips import Camera
from benchmarks.cameras import Outcome
from benchmarks.common import percentile

BEFORE_S, AFTER_S = 0.5, 7.0
"""An event so long before or after somebody came into view is of that entry."""
BIN_S = 0.5


@dataclass(frozen=True)
class Announced:
    """The first event of an entry."""

    media_s: float
    """Of the frame that decided it."""
    durable_s: float
    """When it was durable, on the camera's own clock."""


def entries_until(camera: Camera, seconds: float) -> list[float]:
    """When somebody came into view while the clip was played over and over for so long."""
    turns = int(seconds // camera.seconds) + 1
    found = [entry + turn * camera.seconds for turn in range(turns) for entry in camera.entries]
    return [entry for entry in found if entry + AFTER_S <= seconds]


def told_of(outcome: Outcome, index: int, entries: Sequence[float], label: str = "PERSON") -> dict[float, Announced]:
    """The first event of each entry that has one, of camera ``index``."""
    events = [
        Announced(media, media + took)
        for each, name, media, _, took in outcome.events
        if (each, name) == (index, label)
    ]
    return first_of_each(events, entries)


def first_of_each(events: Sequence[Announced], entries: Sequence[float]) -> dict[float, Announced]:
    """The first event of each entry that has one."""
    found: dict[float, Announced] = {}
    for told in sorted(events, key=lambda each: each.media_s):
        entry = next((each for each in entries if each - BEFORE_S <= told.media_s <= each + AFTER_S), None)
        if entry is not None:
            found.setdefault(entry, told)
    return found


def visible_share(outcome: Outcome, cameras: Sequence[Camera], shown_s: float) -> float:
    """Part of the measured camera time with somebody in view."""
    seen = 0.0
    for index in range(outcome.cameras):
        camera, start = cameras[index % len(cameras)], outcome.starts[index]
        for entry in entries_until(camera, outcome.end - start + AFTER_S):
            begin, end = start + entry, start + entry + shown_s
            seen += max(0.0, min(end, outcome.end) - max(begin, outcome.begin))
    return seen / (outcome.cameras * outcome.seconds)


def looks_of_each(outcome: Outcome, begin: float, end: float) -> list[int]:
    """How often each camera was looked at in frames captured between two instants."""
    found = Counter(index for index, captured, _ in outcome.looks if begin <= captured < end)
    return [found[index] for index in range(outcome.cameras)]


def recovery_s(outcome: Outcome, since: float, bound_s: float, share: float = 0.95) -> float | None:
    """Seconds from ``since`` until looks take no longer than the bound, and stay so until the end; None: they do not.

    By the percentile of each half second in which frames were captured; a half second without a look says nothing.
    """
    bins: dict[int, list[float]] = {}
    for _, captured, took in outcome.looks:
        if captured >= since:
            bins.setdefault(int((captured - since) / BIN_S), []).append(took)
    slow = [number for number, delays in bins.items() if (percentile(delays, share) or 0.0) > bound_s]
    if not slow:
        return 0.0
    return None if max(slow) == max(bins) else (max(slow) + 1) * BIN_S


def growth_mb(outcome: Outcome, begin: float, end: float) -> tuple[float | None, float | None]:
    """Memory before ``begin``, and its highest until ``end``."""
    before = [mb for at, mb in outcome.memory if at < begin]
    during = [mb for at, mb in outcome.memory if begin <= at <= end]
    return (before[-1] if before else None), (max(during) if during else None)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least-squares rise of the second value for one of the first."""
    if len(points) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def stage_medians(outcome: Outcome) -> Mapping[str, float]:
    """Of each stage of the way from capture on: the median over the cameras of their medians, milliseconds."""
    found: dict[str, list[float]] = {}
    for view in outcome.views:
        for stage, figures in view.get("metrics", {}).get("latency", {}).items():
            if figures.get("p50_ms") is not None:
                found.setdefault(stage, []).append(figures["p50_ms"])
    return {stage: percentile(values, 0.5) or 0.0 for stage, values in found.items()}
