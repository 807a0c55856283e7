"""Why a track is not announced, out of what is believed of it. Pure."""

from __future__ import annotations

from typing import Final

from streamproc.core.decisions import Gate, Refusal
from streamproc.core.faces import FaceTrackView
from streamproc.core.observation import TrackView

UNSEEN: Final = Refusal(Gate.EVIDENCE, "unseen")
"""The models did not see it in this very frame; its box is a prediction."""
_EVEN = 50.0
"""Percent. A class is settled only once it is likelier than not (``logic.evidence.Belief``)."""
_FACE_LOOKS = 2
"""Fewest usable looks at a face for a name (``faces.decision.DecisionPolicy``)."""


def too_low(confidence: float, least: float) -> Refusal:
    return Refusal(Gate.SCORE, "", confidence, least)


def unconfirmed(track: TrackView, samples: int, min_confidence: float) -> Refusal:
    """Of a track whose class is not settled yet. ``samples``: looks that must have spoken for it."""
    seen = int(track.evidence.get("samples", 0))
    if seen < samples:
        return Refusal(Gate.EVIDENCE, "samples", float(seen), float(samples))
    least = max(_EVEN, min_confidence)
    if track.confidence < least:
        return too_low(track.confidence, least)
    return Refusal(Gate.EVIDENCE, "unsure", track.confidence, _EVEN)


def undecided(track: FaceTrackView, threshold: float) -> Refusal:
    """Of a face that is neither named nor called unknown yet. ``threshold``: least similarity, 0..100."""
    looks, similarity = int(track.evidence.get("looks", 0)), float(track.evidence.get("similarity", 0.0))
    if looks < _FACE_LOOKS:
        return Refusal(Gate.EVIDENCE, "samples", float(looks), float(_FACE_LOOKS))
    if similarity < threshold:
        return Refusal(Gate.SCORE, "similarity", similarity, threshold)
    return Refusal(Gate.EVIDENCE, "unsure", similarity, threshold)
