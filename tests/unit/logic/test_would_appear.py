"""What was in no region and would be in one with others."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from streamproc.core.decisions import Candidate, Fate, FrameRecord, Gate, Refusal
from streamproc.core.media import EPOCH
from streamproc.core.region import Region
from streamproc.core.vision import Box
from streamproc.logic.regions import RegionMap
from streamproc.logic.would_appear import would_appear

LEFT = RegionMap([Region("left", ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)))])
OUTSIDE = Refusal(Gate.REGION, "overlap", 0.0, 0.5, "porch")


def frame(second: float, *candidates: Candidate) -> FrameRecord:
    return FrameRecord(EPOCH + timedelta(seconds=second), second, Fate.ANALYSED, candidates=candidates)


def at(track: int, left: float, refusal: Refusal | None = OUTSIDE) -> Candidate:
    return Candidate(track, "PERSON", 90.0, Box(left, 0.2, left + 0.2, 0.8), refusal)


def test_a_track_appears_once_with_the_first_frame_that_would_count() -> None:
    records = [frame(0, at(3, 0.7)), frame(1, at(3, 0.2)), frame(2, at(3, 0.1), at(5, 0.6))]
    (found,) = would_appear(records, LEFT)
    assert (found.at, found.candidate.track, found.hit.name) == (EPOCH + timedelta(seconds=1), 3, "left")


def test_what_was_announced_anyway_or_refused_for_something_else_does_not_appear() -> None:
    faint = Refusal(Gate.SCORE, measured=20.0, threshold=50.0)
    records = [frame(0, at(3, 0.2), at(5, 0.2, faint)), frame(1, replace(at(3, 0.2), refusal=None))]
    assert would_appear(records, LEFT) == []


def test_the_same_number_much_later_is_somebody_else() -> None:
    records = [frame(0, at(3, 0.2)), frame(2000, at(3, 0.2))]
    assert [found.at for found in would_appear(records, LEFT)] == [record.at for record in reversed(records)]
