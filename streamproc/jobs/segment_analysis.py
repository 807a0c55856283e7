"""Segment detection: shots and technical cues of a stored video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.jobs.video import Sound, VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.logic.cards import LOOK, black_share, lit_share, look, scroll
from streamproc.logic.cues import COLUMNS, Cue, CueRules, card_cuts, empty_frames, find_cues
from streamproc.logic.shots import THUMB, Shot, ShotDetector, Transition, shots_from
from streamproc.logic.smpte import floor_ms, timecode
from streamproc.logic.structure import from_document, to_document

_LOOKS_A_SECOND = 5


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What a request for segments may say. Shares are 0..1, confidences 50..100."""

    shots: bool = True
    cues: bool = True
    min_shot_confidence: float = 50.0
    min_cue_confidence: float = 50.0
    max_pixel_threshold: float = 0.2
    min_coverage: float = 0.99


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a checkpoint keeps beside the rows."""

    shots: dict[str, Any]
    looked: tuple[Fraction, npt.NDArray[np.uint8]] | None
    grey: npt.NDArray[np.uint8] | None


class SegmentAnalysis:
    """Looks at every frame small, and at five a second closely."""

    name = "segments"
    hears = True

    def __init__(self, options: SegmentOptions, video: VideoFacts) -> None:
        self._options = options
        self._full_range = video.full_range
        self._shots = ShotDetector(float(video.rate))
        self._facts: list[tuple[float, ...]] = []
        self._times: list[Fraction] = []
        self._sounds: list[tuple[float, float, float]] = []
        self._found: list[Transition] = []
        self._looked: tuple[Fraction, npt.NDArray[np.uint8]] | None = None
        self._grey: npt.NDArray[np.uint8] | None = None

    def wants(self, index: int, at: Fraction) -> bool:
        return True

    def add(self, frame: VideoFrame) -> None:
        large = frame.thumb(*LOOK)
        thumb = np.asarray(cv2.resize(large, THUMB, interpolation=cv2.INTER_AREA))
        decided = self._shots.add(thumb)
        self._found += decided
        luma = frame.luma_sample()
        grey = thumb[..., 1]
        motion = 0.0 if self._grey is None else float(cv2.absdiff(grey, self._grey).mean())
        self._grey = grey
        black = black_share(luma, self._options.max_pixel_threshold, self._full_range)
        closely = self._looks(frame, large, motion)
        self._facts.append((black, lit_share(luma), motion, *closely))
        self._times.append(frame.at)

    def _looks(self, frame: VideoFrame, large: npt.NDArray[np.uint8], motion: float) -> tuple[float, ...]:
        changed = motion > 8.0
        if self._looked is not None and not changed and frame.at - self._looked[0] < Fraction(1, _LOOKS_A_SECOND):
            return (float("nan"),) * 7
        seen = look(large)
        grey = np.asarray(cv2.cvtColor(large, cv2.COLOR_BGR2GRAY))
        upward = (0.0, 0.0)
        if self._looked is not None:
            shift, sure = scroll(self._looked[1], grey)
            upward = (shift / max(1e-3, float(frame.at - self._looked[0])), sure)
        self._looked = (frame.at, grey)
        return (seen.plain, seen.lines, seen.text, seen.bars, seen.drawn, *upward)

    def hear(self, sound: Sound) -> None:
        self._sounds.append((float(sound.start), float(sound.end), sound.level))

    def take(self) -> Any:
        rows = (
            np.array(self._facts, np.float32).reshape(-1, len(COLUMNS)),
            list(self._times),
            np.array(self._sounds, np.float64).reshape(-1, 3),
            to_document(self._found),
        )
        for kept in (self._facts, self._times, self._sounds, self._found):
            kept.clear()
        return rows

    def finish(self) -> None:
        self._found += self._shots.finish()

    def snapshot(self) -> Any:
        return {"shots": self._shots.snapshot(), "looked": to_document(self._looked), "grey": self._grey}

    def restore(self, state: Any) -> None:
        kept = from_document(_Kept, state)
        self._shots = ShotDetector.restore(self._shots.fps, kept.shots)
        self._looked, self._grey = kept.looked, kept.grey

    def conclude(self, rows: Sequence[Any], video: VideoFacts, frames: int) -> dict[str, Any]:
        facts = np.concatenate([row[0] for row in rows])
        times = [at for row in rows for at in row[1]]
        sounds = np.concatenate([row[2] for row in rows])
        transitions = [item for row in rows for item in from_document(list[Transition], row[3])]
        rules = CueRules(self._options.min_coverage)
        loudness = loudness_by_frame(times, sounds, float(video.rate))
        cues = find_cues(facts, loudness, transitions, float(video.rate), rules)
        shots = shots_from([*transitions, *card_cuts(cues, transitions)], len(times), empty_frames(facts, rules))
        asked = self._options
        cue_rows = stretches(cues, times, video.rate, shared=True) if asked.cues else []
        shot_rows = stretches(shots, times, video.rate, shared=False) if asked.shots else []
        return {
            "cues": [row for row in cue_rows if row["confidence"] >= asked.min_cue_confidence],
            "shots": [row for row in shot_rows if row["confidence"] >= asked.min_shot_confidence],
        }


def loudness_by_frame(
    times: Sequence[Fraction], sounds: npt.NDArray[np.float64], rate: float
) -> npt.NDArray[np.float32]:
    """(N,) dB: the loudest sound while each frame was shown, -inf where there was none. ``sounds``: rows of start, end, dB."""
    levels = np.full(len(times), -np.inf, np.float32)
    if not len(sounds) or not times:
        return levels
    starts = np.array([float(at) for at in times])
    ends = np.append(starts[1:], starts[-1] + 1 / rate)
    first = np.searchsorted(ends, sounds[:, 0], side="right")
    last = np.searchsorted(starts, sounds[:, 1], side="left")
    for a, b, level in zip(first, last, sounds[:, 2], strict=True):
        levels[a:b] = np.maximum(levels[a:b], level)
    return levels


def stretches(
    found: Sequence[Cue | Shot], times: Sequence[Fraction], rate: Fraction, *, shared: bool
) -> list[dict[str, Any]]:
    """Each cue or shot with its first and last frame, floored milliseconds and timecodes.

    ``shared``: each starts on the last frame of the one before, as the service has technical cues; shots start on the frame after.
    """
    rows: list[dict[str, Any]] = []
    for index, item in enumerate(found):
        start = item.start - 1 if shared and index else item.start
        rows.append(
            {
                "start": start,
                "end": item.end,
                "start_ms": floor_ms(times[start]),
                "end_ms": floor_ms(times[item.end]),
                "start_smpte": timecode(start, rate),
                "end_smpte": timecode(item.end, rate),
                "duration_smpte": timecode(item.end - start, rate),
                "confidence": float(np.float32(min(100.0, max(50.0, item.confidence)))),
            }
            | ({"type": str(item.type)} if isinstance(item, Cue) else {})
        )
    return rows
