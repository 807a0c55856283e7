"""Technical cues: which stretches of a programme are black, bars, slate, logo or credits; the rest is content.

Decided from what each frame looks like (``logic.cards``), from where cuts and black part the programme, from the place within it,
and from sound: black with sound is content. Titles over a running scene are content here; only titles on a plain ground are credits.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from streamproc.logic.shots import Transition, TransitionKind

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class CueType(StrEnum):
    """The service's names."""

    COLOR_BARS = "ColorBars"
    END_CREDITS = "EndCredits"
    BLACK_FRAMES = "BlackFrames"
    OPENING_CREDITS = "OpeningCredits"
    STUDIO_LOGO = "StudioLogo"
    SLATE = "Slate"
    CONTENT = "Content"


COLUMNS = ("black", "lit", "motion", "plain", "lines", "text", "bars", "drawn", "scroll", "scroll_sure")
"""Columns of the fact table, one row a frame. From ``plain`` on NaN where a frame was not looked at closely.

``scroll`` is upward movement in picture heights a second, ``motion`` the mean absolute change of brightness (0..255)."""
SILENCE_DB = -55.0
"""Louder than this (dB of full scale, RMS) is sound."""
_LIT = 0.0004
_LOGO_S = (0.8, 20.0)
_CARD_S = 60.0
_UNDER_MUSIC_S = 2.0
_SLIVER_S = 0.08


@dataclass(frozen=True, slots=True)
class Cue:
    """Frames start..end, both included. Neighbours do not overlap here."""

    type: CueType
    start: int
    end: int
    confidence: float


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Frames between two borders, with the medians of what they look like."""

    start: int
    end: int
    black: bool
    facts: dict[str, float]
    parted: bool
    """Black, bars or the programme's edge lies on at least one side."""

    def seconds(self, rate: float) -> float:
        return (self.end - self.start + 1) / rate


@dataclass(frozen=True, slots=True)
class CueRules:
    """What counts as black."""

    min_coverage: float = 0.99
    """Share of black pixels, 0..1."""


PLAIN_RULES = CueRules()


def find_cues(
    facts: Floats, loudness: Floats, transitions: Sequence[Transition], rate: float, rules: CueRules = PLAIN_RULES
) -> list[Cue]:
    """The programme tiled by cues, in order.

    ``facts`` is (N, len(COLUMNS)) float32; ``loudness`` (N,) dB, -inf where there is no sound; ``rate`` frames a second.
    """
    if not len(facts):
        return []
    quiet = loudness < SILENCE_DB
    table = {name: facts[:, index] for index, name in enumerate(COLUMNS)}
    dark = table["black"] >= rules.min_coverage - 1e-6
    empty = _long_runs(empty_frames(facts, rules), max(2, round(_SLIVER_S * rate)))
    stretches = _stretches(table, empty, transitions)
    kinds = _roles(stretches, rate)
    cues: list[Cue] = []
    for stretch, kind in zip(stretches, kinds, strict=True):
        if stretch.black:
            cues += _black(stretch, quiet, table["black"], rules.min_coverage)
        elif kind is CueType.CONTENT:
            cues += _dark_content(stretch, dark & quiet, rate)
        else:
            cues.append(Cue(kind, stretch.start, stretch.end, _sureness(kind, stretch.facts)))
    return _merged(_absorbed(cues, empty, rate))


def empty_frames(facts: Floats, rules: CueRules = PLAIN_RULES) -> Mask:
    """(N,) frames that are black and hold nothing lit, not even a line of text."""
    lit = facts[:, COLUMNS.index("lit")]
    return np.asarray((facts[:, COLUMNS.index("black")] >= rules.min_coverage - 1e-6) & (lit < _LIT))


def _long_runs(mask: Mask, least: int) -> Mask:
    out = np.zeros_like(mask)
    for start, end in runs(mask):
        if end - start + 1 >= least:
            out[start : end + 1] = True
    return out


def runs(mask: Mask) -> list[tuple[int, int]]:
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.view(np.int8), [0]))))
    return [(int(start), int(end) - 1) for start, end in zip(edges[::2], edges[1::2], strict=True)]


def _stretches(table: dict[str, Floats], empty: Mask, transitions: Sequence[Transition]) -> list[_Stretch]:
    total = len(empty)
    borders = {0, total} | {int(index) + 1 for index in np.flatnonzero(np.diff(empty.view(np.int8)))}
    for item in transitions:
        if item.kind is TransitionKind.CUT:
            borders.add(item.start)
        elif item.kind is TransitionKind.DISSOLVE:
            borders.add((item.start + item.end + 1) // 2)
    ordered = sorted(border for border in borders if 0 <= border <= total)
    found: list[_Stretch] = []
    for start, stop in itertools.pairwise(ordered):
        medians: dict[str, float] = {}
        for name, column in table.items():
            part = column[start:stop]
            known = part[~np.isnan(part)]
            medians[name] = float(np.median(known)) if len(known) else float("nan")
        medians["scrolls"] = _scrolling(table["scroll"][start:stop], table["scroll_sure"][start:stop])
        black = bool(empty[start])
        parted = start == 0 or stop == total or bool(empty[start - 1]) or bool(empty[min(stop, total - 1)])
        found.append(_Stretch(start, stop - 1, black, medians, parted))
    return found


def _scrolling(rates: Floats, sure: Floats) -> float:
    """Share of the looks in which the picture moved upward at a reading pace."""
    known = ~np.isnan(rates)
    if not known.any():
        return 0.0
    return float(((rates > 0.02) & (rates < 1.5) & (sure > 0.15))[known].mean())


def _roles(stretches: Sequence[_Stretch], rate: float) -> list[CueType]:
    """What each stretch is, by its looks and by its place before, among or after the content."""
    looks = [_looks_like(stretch, rate) for stretch in stretches]
    scenes = [index for index, look in enumerate(looks) if look is CueType.CONTENT and not stretches[index].black]
    marked = any(stretch.black for stretch in stretches) or CueType.COLOR_BARS in looks
    if not scenes and not marked:
        # A screen recording or a static camera with a clock, not a programme with head and tail.
        return [CueType.CONTENT] * len(looks)
    first, last = (scenes[0], scenes[-1]) if scenes else (len(looks), len(looks))
    roles: list[CueType] = []
    for index, look in enumerate(looks):
        if first < index < last and look is not CueType.COLOR_BARS:
            roles.append(CueType.CONTENT)
        elif look is CueType.SLATE and index > last:
            roles.append(CueType.END_CREDITS)
        elif look is CueType.END_CREDITS and index < first and scenes:
            roles.append(CueType.OPENING_CREDITS)
        elif look is CueType.OPENING_CREDITS and index > last:
            roles.append(CueType.END_CREDITS)
        else:
            roles.append(look)
    return roles


def _looks_like(stretch: _Stretch, rate: float) -> CueType:
    """By looks alone; END_CREDITS stands for rolling text, SLATE for a full card, OPENING_CREDITS for a line or two."""
    facts, seconds = stretch.facts, stretch.seconds(rate)
    if stretch.black or np.isnan(facts["plain"]):
        return CueType.CONTENT
    if facts["bars"] >= 0.6:
        return CueType.COLOR_BARS
    rest = 1.0 - facts["plain"] - facts["text"]
    written = facts["lines"] >= 1 and facts["text"] >= 0.008 and facts["plain"] >= 0.6
    if written and facts["scrolls"] >= 0.5 and rest < 0.25:
        return CueType.END_CREDITS
    still = facts["motion"] < 1.0
    shape = facts["plain"] >= 0.5 and facts["drawn"] >= 0.008 and facts["lines"] <= 3 and facts["motion"] < 3.0
    if shape and stretch.parted and _LOGO_S[0] <= seconds <= _LOGO_S[1]:
        return CueType.STUDIO_LOGO
    if written and still and rest < 0.2 and seconds <= _CARD_S:
        return CueType.SLATE if facts["lines"] >= 4 or facts["text"] >= 0.1 else CueType.OPENING_CREDITS
    return CueType.CONTENT


def _black(stretch: _Stretch, quiet: Mask, black: Floats, least: float) -> list[Cue]:
    """Black where nothing sounds; the rest of the stretch is content."""
    cues: list[Cue] = []
    start = stretch.start
    part = quiet[start : stretch.end + 1]
    edges = [0, *(int(index) + 1 for index in np.flatnonzero(np.diff(part.view(np.int8)))), len(part)]
    for a, b in itertools.pairwise(edges):
        if part[a]:
            covered = float(black[start + a : start + b].mean())
            sure = 75.0 + 25.0 * min(1.0, max(0.0, covered - least) / max(1e-3, 1.0 - least))
            cues.append(Cue(CueType.BLACK_FRAMES, start + a, start + b - 1, sure))
        else:
            cues.append(Cue(CueType.CONTENT, start + a, start + b - 1, 80.0))
    return cues


def _dark_content(stretch: _Stretch, dark: Mask, rate: float) -> list[Cue]:
    """Content, but for runs that the filters call black although something small is lit."""
    cues: list[Cue] = []
    least = max(2, round(_SLIVER_S * rate))
    at = stretch.start
    sure = (
        100.0 - 40.0 * max(0.0, min(1.0, stretch.facts["plain"]) - 0.5)
        if stretch.facts["plain"] == stretch.facts["plain"]
        else 80.0
    )
    for a, b in runs(dark[stretch.start : stretch.end + 1]):
        if b - a + 1 < least:
            continue
        if stretch.start + a > at:
            cues.append(Cue(CueType.CONTENT, at, stretch.start + a - 1, sure))
        cues.append(Cue(CueType.BLACK_FRAMES, stretch.start + a, stretch.start + b, 70.0))
        at = stretch.start + b + 1
    if at <= stretch.end:
        cues.append(Cue(CueType.CONTENT, at, stretch.end, sure))
    return cues


def _sureness(kind: CueType, facts: dict[str, float]) -> float:
    if kind is CueType.COLOR_BARS:
        return min(100.0, 55.0 + 45.0 * facts["bars"])
    clean = min(1.0, facts["plain"] + facts["text"])
    if kind is CueType.STUDIO_LOGO:
        return 50.0 + 35.0 * clean
    lines = min(1.0, facts["lines"] / 4)
    return 50.0 + 25.0 * max(0.0, clean - 0.6) / 0.4 + 15.0 * lines + 10.0 * min(1.0, facts["scrolls"])


def _absorbed(cues: Sequence[Cue], empty: Mask, rate: float) -> list[Cue]:
    """Black under the music of a title or logo beside it belongs to that card; slivers belong to what is before them."""
    out = list(cues)
    for index, cue in enumerate(cues):
        length = cue.end - cue.start + 1
        if (
            cue.type is not CueType.CONTENT
            or length > _UNDER_MUSIC_S * rate
            or not empty[cue.start : cue.end + 1].all()
        ):
            continue
        beside = [cues[other] for other in (index - 1, index + 1) if 0 <= other < len(cues)]
        cards = [each for each in beside if each.type not in (CueType.CONTENT, CueType.BLACK_FRAMES)]
        if cards:
            out[index] = Cue(cards[0].type, cue.start, cue.end, cards[0].confidence)
    least = max(2, round(_SLIVER_S * rate))
    for index in range(1, len(out)):
        cue = out[index]
        if cue.end - cue.start + 1 < least and cue.type in (CueType.CONTENT, CueType.BLACK_FRAMES):
            out[index] = Cue(out[index - 1].type, cue.start, cue.end, out[index - 1].confidence)
    return out


def _merged(cues: Sequence[Cue]) -> list[Cue]:
    out: list[Cue] = []
    for cue in cues:
        if out and out[-1].type is cue.type:
            before = out.pop()
            a, b = before.end - before.start + 1, cue.end - cue.start + 1
            sure = (before.confidence * a + cue.confidence * b) / (a + b)
            cue = Cue(cue.type, before.start, cue.end, sure)
        out.append(cue)
    return out


def card_cuts(cues: Sequence[Cue], transitions: Sequence[Transition]) -> list[Transition]:
    """Cuts at the borders of cards that were too small a change to be seen as one (white letters appear on black)."""
    added: list[Transition] = []
    for before, cue in itertools.pairwise(cues):
        plain = CueType.CONTENT in (before.type, cue.type)
        near = any(item.start - 3 <= cue.start <= item.end + 3 for item in transitions)
        if not near and not plain:
            sure = min(before.confidence, cue.confidence)
            added.append(Transition(TransitionKind.CUT, cue.start, cue.start, sure))
    return added
