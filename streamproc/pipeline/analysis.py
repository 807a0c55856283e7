"""Analyses of a lane: each samples frames, has its perceiver look at them, and says what may be announced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from streamproc.core.decisions import Candidate, Fate
from streamproc.core.faces import FaceObservation
from streamproc.core.media import Frame, Picture
from streamproc.core.observation import Observation, TrackView
from streamproc.core.vision import Box
from streamproc.logic.attention import OpenNews
from streamproc.logic.hours import Hours
from streamproc.logic.load_shedding import FULL, QualityLevel, Step
from streamproc.logic.regions import RegionMap
from streamproc.logic.sampling import Sampler
from streamproc.logic.sighting import Sighting
from streamproc.logic.structure import from_document


class LabelPerceiver(Protocol):
    """What ``perception`` offers to a LabelAnalysis. Deterministic; its state is a plain document."""

    second_look: bool

    @property
    def models(self) -> Any: ...

    def look(self, frame: Frame) -> Observation: ...

    def spaced(self, seconds: float) -> None:
        """The feed's own pictures come so far apart."""
        ...

    def conclude(self) -> Sequence[TrackView]:
        """Tracks of a feed that gave one picture and ended, decided on what it shows."""
        ...

    def pace(self, fps: float) -> None:
        """Frames come at another rate from now on."""
        ...

    def use(self, models: Any) -> None:
        """Other models for the same classes from now on; what is followed goes on being followed."""
        ...

    def reset(self) -> None: ...

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


class FacePerceiver(Protocol):
    """What ``faces`` offers to a FaceAnalysis. The same promises."""

    def look(self, frame: Frame) -> FaceObservation: ...

    def find_all(self, picture: Picture) -> Sequence[Box]:
        """Everything that may be a face, whoever's. Any thread."""
        ...

    def pace(self, fps: float) -> None: ...

    def reset(self) -> None: ...

    def snapshot(self) -> Any: ...

    def restore(self, state: Any) -> None: ...


@dataclass(frozen=True, slots=True)
class FrameResult:
    """Result of one analysis of one frame."""

    sightings: list[Sighting] = field(default_factory=list)
    record: Mapping[str, Any] | None = None
    """A face search record of the frame."""
    runs: Mapping[str, int] = field(default_factory=dict)
    active: bool = True
    """Something moves, or is being decided: more frames are wanted."""
    in_view: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """What is in view, for overlays: label, confidence, box, track."""
    fate: Fate = Fate.ANALYSED
    """Whether any model ran, and why not."""
    motion: float | None = None
    """Share (0..1) of the picture that had changed; None: unknown."""
    refused: Sequence[Candidate] = ()
    """What was found and is not ready to be announced, each with the first gate that refused it."""


RESTING = FrameResult(active=False, fate=Fate.RESTING)
"""Not analysed: it is outside the hours of the processor."""


class Analysis(Protocol):
    """One kind of analysis of a lane's frames, at its own rate."""

    sampler: Sampler
    eased: QualityLevel
    """What the governor has taken from it at present."""
    hours: Hours
    """When and where it may announce."""

    @property
    def left_out(self) -> float:
        """Frames that the document asks for and that the lowered rate passes over, for each one that is analysed."""
        ...

    def analyse(self, frame: Frame) -> FrameResult: ...

    def spaced(self, seconds: float) -> None:
        """The feed's own pictures come so far apart; called where that is more than a second or was so before."""
        ...

    def conclude(self) -> list[Sighting]:
        """What may be announced of a feed that gave one picture and ended."""
        ...

    def hides(self, picture: Picture) -> Sequence[Box]:
        """What of the newest picture may be neither kept nor shown as a still. Any thread."""
        ...

    def reset(self) -> None: ...

    def snapshot(self) -> Any:
        """Its state as a plain document (``logic.state_codec``)."""
        ...

    def restore(self, state: Any) -> None:
        """Go on from a ``snapshot``. Raises StreamprocError where ``state`` is none of this version."""
        ...

    def can(self, step: Step) -> bool:
        """Whether taking this step now would change anything here."""
        ...

    def prepare(self, eased: QualityLevel) -> None:
        """Load what ``ease`` will need. May take seconds; not called by a worker."""
        ...

    def ease(self, eased: QualityLevel) -> None:
        """Give up so much from the next frame on, or take it back. Within the lane's ``edit``."""
        ...

    def attend(self, news: OpenNews) -> bool:
        """Analyse as many frames as what could still be told of this feed needs. Called after a frame was decided, of feeds that are live.

        True: that is only that what was announced is still there.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a ``snapshot`` of an analysis holds."""

    sampler: dict[str, Any]
    perceiver: Any


class RatedAnalysis:
    """What label and face analysis share: sampling rate, easing, state."""

    def __init__(self, perceiver: LabelPerceiver | FacePerceiver, sampler: Sampler, regions: RegionMap) -> None:
        self.sampler = sampler
        self.regions = regions
        self.hours = Hours()
        self.eased = FULL
        self._resting = False
        self._closed: frozenset[str] = frozenset()
        """Regions in which nothing was announced at the last frame."""
        self._fps = float(sampler.fps)
        self._paced = self._fps
        self._presence: Fraction | None = None
        """Seconds between frames while only presence counts."""
        self._perceiver = perceiver

    def spaced(self, seconds: float) -> None:
        """Nothing here depends on it."""

    def conclude(self) -> list[Sighting]:
        """Nothing more than was announced."""
        return []

    def hides(self, picture: Picture) -> Sequence[Box]:
        """Nothing."""
        return ()

    def rests(self, frame: Frame) -> bool:
        """Outside its hours no frame is analysed; what was followed until then is followed no longer."""
        resting = not self.hours.active(frame.at.wall)
        if resting and not self._resting:
            self._perceiver.reset()
        self._resting = resting
        return resting

    def set_rate(self, fps: float) -> None:
        """The document asks for another rate."""
        self._fps = fps
        self._pace()

    @property
    def left_out(self) -> float:
        return self._fps / self.eased.fps(self._fps) - 1

    def can(self, step: Step) -> bool:
        now = self.eased.fps(self._fps)
        return step in (Step.HALF_RATE, Step.QUARTER_RATE) and QualityLevel.by([step]).fps(self._fps) < now

    def prepare(self, eased: QualityLevel) -> None:
        """Nothing to load."""

    def ease(self, eased: QualityLevel) -> None:
        self.eased = eased
        self._pace()

    def attend(self, news: OpenNews) -> bool:
        """Every frame that is asked for."""
        return False

    def _pace(self) -> None:
        fps = self.eased.fps(self._fps)
        if self._paced != fps:
            self._paced = fps
            self._perceiver.pace(fps)
        sampled = fps if self._presence is None else min(fps, float(1 / self._presence))
        if self.sampler.fps != Sampler(sampled).fps:
            self.sampler.retune(sampled)

    def reset(self) -> None:
        """After a gap: nothing is followed across it, and the next frame is analysed."""
        self._presence = None
        self._pace()
        self._perceiver.reset()
        self.sampler.reset()

    def snapshot(self) -> Any:
        return {"sampler": self.sampler.snapshot(), "perceiver": self._perceiver.snapshot()}

    def restore(self, state: Any) -> None:
        kept = from_document(_Kept, state)
        self._perceiver.restore(kept.perceiver)
        self.sampler.restore(kept.sampler)
        self._pace()  # it may have been left while its rate was eased
