"""The two similarity distributions of a collection as a picture."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.media import Image
from streamproc.faces.audit import Audit
from streamproc.faces.calibration import Curve

_WIDTH, _HEIGHT = 1000, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 30, 90, 90
_BINS: Final = 70
_INK, _PALE = (60, 60, 60), (225, 225, 225)
_SAME, _OTHER, _MARK = (96, 160, 32), (64, 64, 208), (180, 90, 20)
_TICKS: Final = (1, 5, 20, 50, 80, 95, 99, 99.9)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX


def draw(
    name: str, report: Audit, genuine: npt.NDArray[np.float32], strangers: npt.NDArray[np.float32], curve: Curve
) -> Image:
    """A BGR picture: pairs of one person (green) and of different people (red) over the similarity, and the threshold."""
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    low = min([-0.3, *(float(values.min()) for values in (genuine, strangers) if len(values))])
    edges = np.linspace(low, 1.0, _BINS + 1)
    _axis(canvas, low, curve)
    for values, colour in ((strangers, _OTHER), (genuine, _SAME)):
        _bars(canvas, values, edges, colour)
    mark = _x(curve.cosine(report.threshold), low)
    cv2.line(canvas, (mark, _TOP - 10), (mark, _HEIGHT - _BOTTOM), _MARK, 2, cv2.LINE_AA)
    _text(canvas, f"threshold {report.threshold:g}", (mark + 6, _TOP + 4), _MARK)
    _text(canvas, f"Collection {name}: {report.faces} faces, {len(report.people)} people", (_LEFT, 32), _INK, 0.7)
    _legend(canvas, report, len(genuine), len(strangers))
    return canvas


def _x(cosine: float, low: float) -> int:
    return int(_LEFT + (cosine - low) / (1.0 - low) * (_WIDTH - _LEFT - _RIGHT))


def _axis(canvas: Image, low: float, curve: Curve) -> None:
    base = _HEIGHT - _BOTTOM
    cv2.line(canvas, (_LEFT, base), (_WIDTH - _RIGHT, base), _INK, 1, cv2.LINE_AA)
    for tick in _TICKS:
        cosine = curve.cosine(tick)
        if low <= cosine <= 1:
            x = _x(cosine, low)
            cv2.line(canvas, (x, _TOP), (x, base), _PALE, 1)
            cv2.line(canvas, (x, base), (x, base + 6), _INK, 1)
            _text(canvas, f"{tick:g}", (x - 10, base + 24), _INK)
    _text(canvas, "similarity (0-100)", (_WIDTH // 2 - 70, base + 52), _INK)
    _text(canvas, "share of pairs", (_LEFT - 60, _TOP - 18), _INK, 0.45)


def _bars(
    canvas: Image, values: npt.NDArray[np.float32], edges: npt.NDArray[np.float64], colour: tuple[int, ...]
) -> None:
    if not len(values):
        return
    counts, _ = np.histogram(values, edges)
    heights = counts / counts.max() * (_HEIGHT - _TOP - _BOTTOM - 12)
    layer, base = canvas.copy(), _HEIGHT - _BOTTOM
    for height, left, right in zip(heights, edges[:-1], edges[1:], strict=True):
        if height > 0:
            corners = (_x(left, edges[0]), base - max(1, int(height))), (_x(right, edges[0]) - 1, base - 1)
            cv2.rectangle(layer, *corners, colour, -1)
    cv2.addWeighted(layer, 0.6, canvas, 0.4, 0, dst=canvas)


def _legend(canvas: Image, report: Audit, same: int, different: int) -> None:
    rate = (
        "too few pairs to tell"
        if report.false_match_rate is None
        else f"false match rate {report.false_match_rate:.2g}"
    )
    missed = "" if report.missed is None else f", {report.missed:.1%} under the threshold"
    lines = ((_SAME, f"one person: {same} pairs{missed}"), (_OTHER, f"different people: {different} pairs, {rate}"))
    for row, (colour, words) in enumerate(lines):
        y = _HEIGHT - 16 - 20 * (1 - row)
        cv2.rectangle(canvas, (_LEFT, y - 10), (_LEFT + 14, y + 2), colour, -1)
        _text(canvas, words, (_LEFT + 22, y), _INK)


def _text(canvas: Image, words: str, at: tuple[int, int], colour: tuple[int, ...], size: float = 0.5) -> None:
    cv2.putText(canvas, words, at, _FONT, size, colour, 1, cv2.LINE_AA)
