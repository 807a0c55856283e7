"""Pictures for people: a timeline of labels and segments, a contact sheet of shots, the paths of persons drawn over a frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from streamproc.core.media import Image
from streamproc.jobs.answers import spans

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PALE, _PAPER = (40, 40, 40), (205, 205, 205), (255, 255, 255)
_CUES = {
    "Content": (200, 170, 120),
    "BlackFrames": (40, 40, 40),
    "ColorBars": (60, 160, 235),
    "Slate": (150, 110, 190),
    "StudioLogo": (90, 180, 90),
    "OpeningCredits": (180, 130, 60),
    "EndCredits": (90, 90, 200),
}
_SHORT = {
    "BlackFrames": "black",
    "ColorBars": "bars",
    "Slate": "slate",
    "StudioLogo": "logo",
    "OpeningCredits": "titles",
    "EndCredits": "credits",
}
_SHOTS = ((215, 195, 165), (190, 160, 120))
_WIDTH, _LEFT, _ROW = 1400, 190, 26
_MOST_LABELS = 30


def timeline(results: Mapping[str, Mapping[str, Any]], duration_ms: int) -> Image:
    """Rows over time: shots, technical cues, then each label's spans, longest first. ``results`` by kind's name."""
    rows: list[tuple[str, list[tuple[int, int, tuple[int, int, int], str]]]] = []
    if "segments" in results:
        shots = results["segments"]["shots"]
        rows.append(("shots", [(s["start_ms"], s["end_ms"], _SHOTS[i % 2], str(i)) for i, s in enumerate(shots)]))
        cues = results["segments"]["cues"]
        rows.append(("cues", [(c["start_ms"], c["end_ms"], _CUES[c["type"]], c["type"]) for c in cues]))
    if "labels" in results:
        rows += _label_rows(results["labels"])
    if "persons" in results:
        rows += _person_rows(results["persons"])
    duration_ms = max(1, duration_ms)
    height = _ROW * (len(rows) + 2)
    sheet = np.full((height, _WIDTH, 3), _PAPER, np.uint8)
    scale = (_WIDTH - _LEFT - 20) / duration_ms
    _axis(sheet, duration_ms, scale)
    for index, (name, bars) in enumerate(rows):
        top = _ROW * (index + 1) + 4
        _write(sheet, name, (8, top + 15))
        for start, end, colour, word in bars:
            left = round(_LEFT + start * scale)
            right = max(left + 2, round(_LEFT + end * scale))
            cv2.rectangle(sheet, (left, top), (right, top + _ROW - 7), colour, -1)
            if right - left <= 7 * len(word) + 6:
                word = _SHORT.get(word, "")
            if word and right - left > 7 * len(word) + 6:
                dark = sum(colour) < 330
                _write(sheet, word, (left + 4, top + 14), _PAPER if dark else _INK, 0.42)
    return sheet


def _label_rows(result: Mapping[str, Any]) -> list[tuple[str, list[tuple[int, int, tuple[int, int, int], str]]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    boxed = {item["name"] for item in result["labels"] if item["instances"]}
    for span in spans(result):
        if span["name"] in boxed:
            found[span["name"]].append(span)
    longest = sorted(found, key=lambda name: -sum(s["end_ms"] - s["start_ms"] + 1 for s in found[name]))
    return [
        (name, [(s["start_ms"], s["end_ms"], _shade(s["confidence"]), "") for s in found[name]])
        for name in longest[:_MOST_LABELS]
    ]


def _person_rows(result: Mapping[str, Any]) -> list[tuple[str, list[tuple[int, int, tuple[int, int, int], str]]]]:
    times: defaultdict[int, list[int]] = defaultdict(list)
    for item in result["persons"]:
        times[item["index"]].append(item["ms"])
    return [
        (f"person {index}", [(min(ms), max(ms), colour_of(index), "")])
        for index, ms in sorted(times.items())[:_MOST_LABELS]
    ]


def _shade(confidence: float) -> tuple[int, int, int]:
    """Surer is darker."""
    part = min(1.0, max(0.0, (confidence - 40) / 60))
    return round(230 - 110 * part), round(215 - 95 * part), round(200 - 150 * part)


def _axis(sheet: Image, duration_ms: int, scale: float) -> None:
    steps = (100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000)
    step = next((value for value in steps if duration_ms / value <= 14), steps[-1])
    for ms in range(0, duration_ms + 1, step):
        left = round(_LEFT + ms * scale)
        cv2.line(sheet, (left, 18), (left, sheet.shape[0] - 8), _PALE, 1)
        words = f"{ms / 1000:g} s" if duration_ms < 120_000 else f"{ms // 60_000}:{ms // 1000 % 60:02d}"
        _write(sheet, words, (left + 2, 14), scale=0.4)


def contact_sheet(shots: Sequence[Mapping[str, Any]], pictures: Mapping[int, Image], columns: int = 5) -> Image:
    """One picture a shot (by its number in ``pictures``), with number, frames and time."""
    width, height, foot = 260, 146, 34
    shown = [index for index in range(len(shots)) if index in pictures]
    rows = max(1, -(-len(shown) // columns))
    sheet = np.full((rows * (height + foot) + 8, columns * (width + 8) + 8, 3), _PAPER, np.uint8)
    for place, index in enumerate(shown):
        top, left = 8 + place // columns * (height + foot), 8 + place % columns * (width + 8)
        picture = pictures[index]
        scale = min(width / picture.shape[1], height / picture.shape[0])
        size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        y, x = top + (height - size[1]) // 2, left + (width - size[0]) // 2
        sheet[top : top + height, left : left + width] = 225
        sheet[y : y + size[1], x : x + size[0]] = small
        shot = shots[index]
        words = f"{index}: {shot['start']}-{shot['end']}  {shot['start_ms'] / 1000:.2f} s  {shot['confidence']:.0f} %"
        _write(sheet, words, (left, top + height + 15), scale=0.42)
    return sheet


def paths(persons: Sequence[Mapping[str, Any]], ground: Image, ms: int) -> Image:
    """Where each person's feet went, over the frame at ``ms``, with the boxes of those who are in it. A dot is where a path begins."""
    scale = 1280 / max(1, ground.shape[1])
    sheet = cv2.resize(ground, (1280, max(1, round(ground.shape[0] * scale))), interpolation=cv2.INTER_LINEAR)
    sheet = cv2.addWeighted(sheet, 0.7, np.full_like(sheet, 255), 0.3, 0)
    high, wide = sheet.shape[:2]
    tracks: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for item in persons:
        tracks[item["index"]].append(item)
    for index, items in sorted(tracks.items()):
        colour = colour_of(index)
        ordered = sorted(items, key=lambda item: item["ms"])
        feet = [((b[0] + b[2]) / 2 * wide, min(b[3], 1.0) * high) for b in (item["box"] for item in ordered)]
        cv2.polylines(sheet, [np.array(feet, np.int32)], False, colour, 3, cv2.LINE_AA)
        start = (round(feet[0][0]), round(feet[0][1]))
        cv2.circle(sheet, start, 7, colour, -1, cv2.LINE_AA)
        words = f"{index}  {ordered[0]['ms'] / 1000:.1f}-{ordered[-1]['ms'] / 1000:.1f} s"
        spot = (start[0] + 8, start[1] + 18)
        here = next((item["box"] for item in ordered if item["ms"] == ms), None)
        if here is not None:
            corner = (round(here[0] * wide), round(here[1] * high))
            cv2.rectangle(sheet, corner, (round(here[2] * wide), round(here[3] * high)), colour, 2, cv2.LINE_AA)
            spot = (max(4, corner[0] + 4), max(18, corner[1] + 18))
        cv2.putText(sheet, words, spot, _FONT, 0.55, _PAPER, 4, cv2.LINE_AA)
        cv2.putText(sheet, words, spot, _FONT, 0.55, colour, 2, cv2.LINE_AA)
    return np.asarray(sheet, np.uint8)


def colour_of(index: int) -> tuple[int, int, int]:
    """A colour for each number, neighbours far apart."""
    pixel = np.array([[[index * 67 % 180, 210, 200]]], np.uint8)
    blue, green, red = (int(value) for value in cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0])
    return blue, green, red


def _write(
    sheet: Image, words: str, at: tuple[int, int], colour: tuple[int, int, int] = _INK, scale: float = 0.48
) -> None:
    cv2.putText(sheet, words, at, _FONT, scale, colour, 1, cv2.LINE_AA)
