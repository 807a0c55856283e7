"""Shot borders: frame-exact hard cuts, and fades and dissolves that belong to neither neighbour.

Each frame comes as a small picture. Hard cuts are decided from the content score of scenedetect's ContentDetector (how far hue,
saturation and brightness moved) beside its neighbours, from the colour histogram, and from what comes afterwards (a flash goes
back to the scene before it). Soft transitions are found by what they are: every frame between A and B is a blend of A and B
whose weight grows evenly. A fade is a blend with a flat picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from scenedetect.common import FrameTimecode
from scenedetect.detectors import ContentDetector

from streamproc.logic.structure import from_document, to_document

THUMB = (192, 108)
"""(width, height) of the pictures that ``ShotDetector.add`` expects."""
_TINY = (32, 18)
_LOOK_S = 0.3
_FLAT_STD = 6.0

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


class TransitionKind(StrEnum):
    CUT = "cut"
    FADE_IN = "fade_in"
    FADE_OUT = "fade_out"
    DISSOLVE = "dissolve"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of shot. Of a cut, start and end are the first frame of the new shot; else the first and last blended frame."""

    kind: TransitionKind
    start: int
    end: int
    confidence: float
    """50..100."""


@dataclass(frozen=True, slots=True)
class Shot:
    """Frames start..end (both included) of one camera's take."""

    start: int
    end: int
    confidence: float


@dataclass(slots=True)
class _Scored:
    """What the cut rule knows of one frame."""

    content: float
    """Content score against the frame before."""
    colour: float
    """Mean absolute difference of the three colours, 0..255, against the frame before."""
    histogram: float
    """Share of pixels that changed their colour bin, 0..1."""
    tiny: Floats
    """(18 * 32 * 3,) blurred picture."""


class _Content(ContentDetector):  # type: ignore[misc]
    """scenedetect's detector, asked for its score alone."""

    def score(self, image: Image) -> float:
        # The detector's public call answers cuts only; the score is the input of our own decision.
        value: float = self._calculate_frame_score(FrameTimecode(0, fps=25.0), image)
        return value


def _histogram(image: Image) -> Floats:
    counts = cv2.calcHist([image], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3)
    return np.asarray(counts, np.float32).ravel() / np.float32(image.shape[0] * image.shape[1])


def cut_confidence(scored: Sequence[_Scored], at: int) -> float:
    """How sure frame ``at`` of ``scored`` starts a new shot: under 50 it does not, 50..100 it does."""
    here = scored[at]
    if here.colour < 6.0 or here.content < 8.0:
        return 0.0
    around = sorted(item.colour for index, item in enumerate(scored) if index not in (0, at))
    # The second highest neighbour: one other cut may lie close by.
    rival = around[-2] if len(around) > 1 else 0.0
    before, tiny = scored[at - 1].tiny, here.tiny
    jump = float(np.abs(tiny - before).mean()) + 1e-3
    back = [float(np.abs(item.tiny - before).mean()) for item in scored[at + 1 :]]
    came = [float(np.abs(item.tiny - tiny).mean()) for item in scored[: at - 1]]
    stays = min([1.0, *(value / jump for value in back + came)])
    if stays < 0.5:
        return 0.0  # a flash: the scene before it comes back
    contrast = np.log2((here.colour + 1.0) / (rival + 1.0))
    spread = float(before.std() * tiny.std())
    alike = float(((before - before.mean()) * (tiny - tiny.mean())).mean()) / (spread + 1e-3) if spread > 9 else 0.0
    if alike > 0.8 and _same_hue(before, tiny):
        return 0.0  # a light was switched on, or the exposure jumped
    logit = float(np.dot(_CUT_WEIGHTS, (contrast, min(here.colour, 60.0) / 20, here.histogram, stays, alike, 1.0)))
    return 100.0 / (1.0 + float(np.exp(-logit)))


def _same_hue(a: Floats, b: Floats) -> bool:
    """The mean colours of two pictures differ in brightness alone (under 9 degrees apart as vectors)."""
    one, two = a.reshape(-1, 3).mean(0), b.reshape(-1, 3).mean(0)
    return float(one @ two) > 0.988 * float(np.linalg.norm(one) * np.linalg.norm(two)) > 0


_CUT_WEIGHTS = (2.6, 0.8, 2.0, 6.0, -2.0, -7.0)
"""Contrast with the neighbourhood, size of the change, changed colours, staying changed, likeness of structure, bias."""


@dataclass(slots=True)
class _Ramp:
    start: float
    end: float
    residual: float
    kind: TransitionKind


def blend_ramp(tiny: Floats, first: int) -> _Ramp | None:
    """The one even blend inside a window of pictures ((frames, values)), if that is what the window holds.

    ``first`` is the frame number of the window's first picture.
    """
    a, b = tiny[0], tiny[-1]
    change = b - a
    energy = float(np.dot(change, change))
    rms = (energy / change.size) ** 0.5
    if rms < 8.0:
        return None
    flat_a, flat_b = float(a.std()) < _FLAT_STD, float(b.std()) < _FLAT_STD
    if not (flat_a or flat_b):
        alike = float(((a - a.mean()) * (b - b.mean())).mean()) / (float(a.std() * b.std()) + 1e-3)
        if alike > 0.75:
            return None
    weights = (tiny - a) @ change / energy
    inside = np.flatnonzero((weights > 0.1) & (weights < 0.9))
    if len(inside) < 3 or inside[-1] - inside[0] + 1 != len(inside):
        return None
    slope, offset = np.polyfit(inside, weights[inside], 1)
    if slope <= 0:
        return None
    start, end = -offset / slope, (1 - offset) / slope
    if not (_rests(weights[: max(0, int(np.floor(start + 0.5)))], 0.0) or _dark(a)):
        return None
    if not (_rests(weights[int(np.ceil(end - 0.5)) + 1 :], 1.0) or _dark(b)):
        return None
    wobble = float(np.abs(weights[inside] - (slope * inside + offset)).max())
    blends = a + weights[inside, None] * change
    residual = float(np.sqrt(((tiny[inside] - blends) ** 2).mean())) / rms
    if wobble > 0.09 or residual > 0.3:
        return None
    kind = TransitionKind.DISSOLVE
    if flat_a != flat_b:
        kind = TransitionKind.FADE_IN if flat_a else TransitionKind.FADE_OUT
    elif flat_a and flat_b:
        kind = TransitionKind.FADE_IN if b.mean() > a.mean() else TransitionKind.FADE_OUT
    return _Ramp(first + start, first + end, residual + wobble, kind)


def _rests(weights: npt.NDArray[np.floating[Any]], level: float) -> bool:
    """The blend stands still at ``level`` for a few frames, so that the window holds the transition's true end."""
    return len(weights) >= 3 and float(np.abs(weights - level).max()) < 0.1


def _dark(tiny: Floats) -> bool:
    return float(tiny.mean()) < 8.0 and float(tiny.std()) < _FLAT_STD


@dataclass(slots=True)
class ShotDetector:
    """Frames in, transitions out. Decisions come a little after the frames they are about."""

    fps: float
    _next: int = 0
    _recent: list[_Scored] = field(default_factory=list)
    """The newest frames, for cuts; the last one is frame _next - 1."""
    _tiny: list[Floats] = field(default_factory=list)
    _best: _Ramp | None = None
    _told: float = -1.0
    """Where the last soft transition that was told ends."""
    _content: _Content | None = None
    _last: Image | None = None
    _hist: Floats | None = None

    @property
    def _look(self) -> int:
        return max(3, min(15, round(_LOOK_S * self.fps)))

    def _lengths(self) -> list[int]:
        return sorted({max(5, round(seconds * self.fps)) for seconds in (0.2, 0.35, 0.5, 0.75, 1.1, 1.6, 2.3, 3.2)})

    def add(self, thumb: Image) -> list[Transition]:
        """Take the next frame, (108, 192, 3) uint8 BGR; what was decided by it."""
        self._score(thumb)
        found: list[Transition] = []
        if len(self._recent) > self._look:
            found += self._cut(len(self._recent) - 1 - self._look)
        found += self._ramps()
        return found

    def finish(self) -> list[Transition]:
        """No frame will follow: decide what is open."""
        found: list[Transition] = []
        for position in range(max(1, len(self._recent) - self._look), len(self._recent)):
            found += self._cut(position)
        return found + self._tell()

    def _score(self, thumb: Image) -> None:
        if self._content is None:
            self._content = _Content()
            if self._last is not None:
                self._content.score(self._last)
        content = self._content.score(thumb)
        hist = _histogram(thumb)
        tiny = cv2.resize(thumb, _TINY, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
        colour = changed = 0.0
        if self._last is not None and self._hist is not None:
            colour = float(cv2.absdiff(thumb, self._last).mean())
            changed = 0.5 * float(np.abs(hist - self._hist).sum())
        self._recent.append(_Scored(content, colour, changed, tiny))
        del self._recent[: -(2 * self._look + 1)]
        self._tiny.append(tiny)
        del self._tiny[: -(self._lengths()[-1] + 1)]
        self._last, self._hist = thumb, hist
        self._next += 1

    def _cut(self, position: int) -> list[Transition]:
        if position < 1:
            return []
        window = self._recent[max(0, position - self._look) : position + self._look + 1]
        sure = cut_confidence(window, position - max(0, position - self._look))
        if sure < 50:
            return []
        frame = self._next - len(self._recent) + position
        return [Transition(TransitionKind.CUT, frame, frame, sure)]

    def _ramps(self) -> list[Transition]:
        found: list[Transition] = []
        for length in self._lengths():
            if length >= len(self._tiny):
                break
            ramp = blend_ramp(np.asarray(self._tiny[-length - 1 :]), self._next - 1 - length)
            if ramp is None or ramp.start < self._told - 1.5:
                continue
            if self._best is not None and ramp.start > self._best.end - 1.5:
                found += self._tell()
            if self._best is None or ramp.residual < self._best.residual:
                self._best = ramp
        # No window that is still to come can hold it.
        if self._best is not None and self._next - self._best.start > self._lengths()[-1] + 1:
            found += self._tell()
        return found

    def _tell(self) -> list[Transition]:
        ramp, self._best = self._best, None
        if ramp is None:
            return []
        self._told = ramp.end
        return [_soft(ramp)]

    def snapshot(self) -> dict[str, Any]:
        """Everything that ``restore`` needs to go on as if nothing had happened. Plain, with arrays (``state_codec``)."""
        return {
            "next": self._next,
            "recent": to_document(self._recent),
            "tiny": to_document(self._tiny),
            "best": to_document(self._best),
            "told": self._told,
            "last": self._last,
            "hist": self._hist,
        }

    @classmethod
    def restore(cls, fps: float, state: dict[str, Any]) -> ShotDetector:
        return cls(
            fps,
            state["next"],
            from_document(list[_Scored], state["recent"]),
            from_document(list[Floats], state["tiny"]),
            None if state["best"] is None else from_document(_Ramp, state["best"]),
            state["told"],
            None,
            state["last"],
            state["hist"],
        )


def _soft(ramp: _Ramp) -> Transition:
    start, end = int(np.floor(ramp.start + 0.2)) + 1, int(np.ceil(ramp.end - 0.2)) - 1
    return Transition(ramp.kind, start, max(start, end), 100.0 - 125.0 * min(0.4, ramp.residual))


def shots_from(
    transitions: Sequence[Transition], frames: int, empty: npt.NDArray[np.bool_] | None = None
) -> list[Shot]:
    """The shots between ``transitions`` of a programme of ``frames`` frames, in order.

    Neighbours that share a cut share its confidence, as the service has it. Black between a fade out and what follows belongs to
    the transition; black that a hard cut opens is a shot of its own. ``empty``: (frames,) which frames are black; where left out,
    whatever follows a fade out is taken to be.
    """

    def faded(first: int, last: int) -> bool:
        return begins == TransitionKind.FADE_OUT and (empty is None or float(empty[first : last + 1].mean()) > 0.5)

    soft = [item for item in transitions if item.kind is not TransitionKind.CUT]
    cuts = [
        item
        for item in transitions
        if item.kind is TransitionKind.CUT and not any(s.start <= item.start <= s.end for s in soft)
    ]
    borders = sorted([*cuts, *soft], key=lambda item: item.start)
    shots: list[Shot] = []
    start, sure, begins = 0, 100.0, "programme"
    for border in borders:
        last = border.start - 1
        if last >= start and not faded(start, last):
            shots.append(Shot(start, last, border.confidence))
        start = max(start, border.start if border.kind is TransitionKind.CUT else border.end + 1)
        sure, begins = border.confidence, border.kind
    if start < frames and not faded(start, frames - 1):
        shots.append(Shot(start, frames - 1, sure))
    if not shots or sum(shot.end - shot.start + 1 for shot in shots) < 3:
        return [Shot(0, frames - 1, 100.0)] if frames else []
    return shots
