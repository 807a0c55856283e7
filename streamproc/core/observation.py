"""Result of analysing one frame: the tracks in view, each with class, confidence and evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamproc.core.decisions import Candidate
from streamproc.core.media import Moment
from streamproc.core.vision import Box


@dataclass(frozen=True, slots=True)
class TrackView:
    """One object that is followed, as it stands at one frame.

    To be announced a track must be ``confirmed``, its ``confidence`` at or above the user's min_confidence, and its box inside a
    region. It counts as in view for as long as it is listed.
    """

    id: int
    """Unique within the feed (goes on counting across gaps). Packages have even ids, what moves odd ones."""
    label: str
    """The class (``core.classes``) that its evidence speaks for. A track may change its mind before it is confirmed."""
    confidence: float
    """0..100: how probable it is that the class is right, from all evidence of the window."""
    box: Box
    """Where it is in this frame."""
    confirmed: bool
    """Enough separate looks spoke for this class (settings.evidence); independent of min_confidence."""
    supported: bool
    """Seen in this very frame (or the picture did not change since it was). False: remembered, its box is a prediction."""
    since: Moment
    """The first frame that belongs to the track."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready, for people and for events: samples, models, second_look, shares of the classes."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The answer of one look."""

    at: Moment
    tracks: tuple[TrackView, ...] = ()
    """Tracks of the asked classes that are in view, confirmed or not, oldest first."""
    analysed: bool = True
    """False: the motion gate saw that nothing changed and no detector ran; ``tracks`` then stand as they were."""
    runs: Mapping[str, int] = field(default_factory=dict)
    """How often each model ran for this look."""
    moving: bool = True
    """Something moves, moved a moment ago, or is not decided yet."""
    motion: float | None = None
    """Share (0..1) of the picture that had changed since the last analysed one; None: there was nothing to compare with."""
    passed_over: tuple[Candidate, ...] = ()
    """What was found and is no track of an asked class, each with the reason."""
