"""Who is followed in one feed, and who they are decided to be. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from streamproc.core.faces import FaceMatch, FaceTrackView, FaceVerdict
from streamproc.core.media import Moment
from streamproc.core.vision import Box, FloatArray
from streamproc.faces.calibration import Curve
from streamproc.faces.decision import Decision, DecisionPolicy, Rival, TrackEvidence, decide
from streamproc.faces.library import Candidate, CollectionIndex
from streamproc.logic.gate import MotionGate
from streamproc.logic.tracker import Tracker

HINT: Final = 40.0
"""From this similarity on somebody counts as a possible person at all."""
_ALIAS: Final = 97.0
"""Two names whose stored faces are this similar are one human, announced once under the first."""
_REMEMBERED: Final = 64
"""So many unknown people of a feed are told apart."""


@dataclass
class FaceTrack:
    """One face that is followed."""

    id: int
    since: Moment
    seen: TrackEvidence
    decision: Decision = field(default_factory=lambda: Decision(FaceVerdict.PENDING))
    person: str | None = None
    unknown: int | None = None
    match: FaceMatch | None = None
    confidence: float = 0.0
    embedded_s: float = float("-inf")


@dataclass
class FeedFaces:
    """Everything that changes; a state document can hold it (``structure.to_document``). Vectors of unknown people live here only, never in a collection."""

    tracker: Tracker
    tracks: dict[int, FaceTrack] = field(default_factory=dict)
    """By the box tracker's id."""
    unknowns: list[tuple[int, FloatArray]] = field(default_factory=list)
    people: dict[str, FloatArray] = field(default_factory=dict)
    """A stored face's vector of everyone who was named."""
    collection: tuple[int, int, int] | None = None
    """The version of the collection that the tracks' votes are about."""
    next_track: int = 1
    next_unknown: int = 1
    gate: MotionGate = field(default_factory=MotionGate)
    in_view: bool = False
    """Whether any face was followed after the last look, seen in it or not."""


class TrackDecisions:
    """Names the people of a feed and numbers those whom nobody knows. Holds nothing that changes."""

    def __init__(self, curve: Curve, policy: DecisionPolicy) -> None:
        self._curve = curve
        self._policy = policy

    def decide(self, faces: FeedFaces, index: CollectionIndex, at: Moment, keys: set[int]) -> None:
        """Look again at the tracks that learned something."""
        tracks = [faces.tracks[key] for key in sorted(keys) if faces.tracks[key].seen.looks]
        if not tracks:
            return
        means = np.stack([track.seen.mean for track in tracks])
        for track, candidates in zip(tracks, index.people(means, HINT), strict=True):
            rivals = self._rivals(candidates)
            decision = decide(track.seen, rivals, index.size, at.seconds, self._policy)
            if decision.verdict is FaceVerdict.MATCHED:
                self._name(faces, track, candidates[0])
            elif decision.verdict is FaceVerdict.UNKNOWN:
                if not self._call_unknown(faces, track):
                    decision = Decision(FaceVerdict.PENDING, None, decision.evidence)
            elif track.decision.verdict is not FaceVerdict.PENDING:
                continue  # what was decided stands until something better is known
            track.decision = decision

    def _rivals(self, candidates: Sequence[Candidate]) -> list[Rival]:
        if not candidates:
            return []
        best = candidates[0].vector
        alike = [self._curve.similarity(float(best @ other.vector)) for other in candidates]
        return [
            Rival(other.person, other.match.similarity, place > 0 and alike[place] >= self._policy.threshold)
            for place, other in enumerate(candidates)
        ]

    def _name(self, faces: FeedFaces, track: FaceTrack, candidate: Candidate) -> None:
        name = candidate.person
        if name not in faces.people:
            for known, vector in faces.people.items():
                if self._curve.similarity(float(vector @ candidate.vector)) >= _ALIAS:
                    name = known
                    break
            else:
                faces.people[name] = candidate.vector
        track.person, track.match = name, candidate.match

    def _call_unknown(self, faces: FeedFaces, track: FaceTrack) -> bool:
        """Give the unknown person a number: the one they had, as far as can be told. False: it may be somebody who was named."""
        if track.decision.verdict is FaceVerdict.MATCHED:
            return False
        mean = track.seen.mean
        if track.unknown is None:
            known = [(self._curve.similarity(float(vector @ mean)), number) for number, vector in faces.unknowns]
            likeness, number = max(known, default=(0.0, 0))
            if likeness < self._policy.threshold:
                number, faces.next_unknown = faces.next_unknown, faces.next_unknown + 1
            track.unknown = number
        faces.unknowns = [pair for pair in faces.unknowns if pair[0] != track.unknown][-_REMEMBERED + 1 :]
        faces.unknowns.append((track.unknown, mean))
        return True


def view_of(track: FaceTrack, box: Box, supported: bool) -> FaceTrackView:
    """How a track stands. ``supported``: its face was seen in the last look."""
    decision = track.decision
    matched = decision.verdict is FaceVerdict.MATCHED
    identity = f"person:{track.person}" if matched else f"unknown:{track.unknown or 0}"
    return FaceTrackView(
        id=track.id,
        verdict=decision.verdict,
        identity=identity,
        person=track.person if matched else None,
        confidence=float(decision.evidence["similarity"]) if matched else track.confidence,
        box=box,
        supported=supported,
        since=track.since,
        match=track.match if matched else None,
        evidence=decision.evidence,
    )
