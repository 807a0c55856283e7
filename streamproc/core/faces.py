"""Face collections and what is known of a face: stored faces, matches, people, and the faces of one look at a feed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from streamproc.core.media import Moment
from streamproc.core.vision import Box, FaceBox, FaceQuality, FloatArray


def face_confidence(score: float) -> float:
    """0..100 from a detector's score (0..1): how probable it is that this is a face."""
    return 100 / (1 + math.exp(-14 * (score - 0.45)))


class QualityFilter(StrEnum):
    """How much quality is asked of a face; what fails is named, not used. AUTO is the box's recommendation."""

    NONE = "NONE"
    AUTO = "AUTO"
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class UserStatus(StrEnum):
    """CREATED: no faces yet. ACTIVE: faces are associated and it can be found."""

    CREATED = "CREATED"
    ACTIVE = "ACTIVE"


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """One collection."""

    name: str
    model: str
    """The embedder whose vectors it holds, ``name/version``. Vectors of another are never compared with them."""
    model_version: str
    """The same as the service writes it: digits and dots."""
    faces: int
    users: int
    created: datetime
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredFace:
    """One face of a collection, without its vector."""

    face_id: str
    """UUID."""
    image_id: str
    """UUID, shared by the faces of one picture."""
    external_image_id: str | None
    box: Box
    """In 0..1 of the upright picture that it was indexed from."""
    confidence: float
    """The detector's, 0..100."""
    model_version: str
    user_id: str | None = None
    sharpness: float = 0.0
    brightness: float = 0.0
    eye_distance_px: float = 0.0
    yaw: float = 0.0
    pitch: float = 0.0

    @property
    def person(self) -> str:
        """Whom it shows, as well as the collection knows: the user, else the external image id, else the face's own id."""
        return self.user_id or self.external_image_id or self.face_id


@dataclass(frozen=True, slots=True)
class FaceMatch:
    """A stored face that is similar to the searched one."""

    face: StoredFace
    similarity: float
    """0..100, calibrated: the same number means the same whichever embedder is used."""


@dataclass(frozen=True, slots=True)
class UserMatch:
    """A user whose faces together are similar to the searched one."""

    user_id: str
    status: UserStatus
    similarity: float


@dataclass(frozen=True, slots=True)
class FaceAttributes:
    """What the attribute nets say. A field is None where no net is at hand."""

    age: float | None = None
    male: float | None = None
    """Probability, 0..1."""
    emotions: Mapping[str, float] = field(default_factory=dict)
    """Probability (0..1) by the service's name: HAPPY, SAD, ANGRY, SURPRISED, DISGUSTED, FEAR, CALM."""
    landmarks: FloatArray | None = None
    """(68, 2) x, y in 0..1 of the picture, in the usual 68-point order."""


@dataclass(frozen=True, slots=True)
class DetectedFace:
    """A face in a picture, judged."""

    face: FaceBox
    quality: FaceQuality
    attributes: FaceAttributes | None = None


@dataclass(frozen=True, slots=True)
class FaceSighting:
    """One face of one frame of a feed, with the stored faces that it resembles."""

    detected: DetectedFace
    matches: tuple[FaceMatch, ...] = ()
    """At or above the processor's threshold, most similar first; empty where nobody is, or where quality forbids a comparison."""
    track: int = 0
    """The FaceTrackView it belongs to."""


class FaceVerdict(StrEnum):
    """What is known of a track."""

    PENDING = "pending"
    """Not yet decided: nothing is announced."""
    MATCHED = "matched"
    UNKNOWN = "unknown"
    """Seen well enough, and nobody of the collection, or not surely so."""


@dataclass(frozen=True, slots=True)
class FaceTrackView:
    """One face that is followed, as it stands at one frame.

    To be announced a track must be decided and its box inside a region; ``identity`` is announced once a session.
    """

    id: int
    """Unique within the feed."""
    verdict: FaceVerdict
    identity: str
    """``person:alice``, or ``unknown:3``: tracks of one unknown person share a number as far as that can be told."""
    person: str | None
    """Whom to name (FACE_MATCHED): user id, else external image id, else face id of the best match."""
    confidence: float
    """0..100. Matched: the similarity. Unknown: the detector's confidence that it is a face."""
    box: Box
    supported: bool
    """Seen in this very frame. False: remembered."""
    since: Moment
    match: FaceMatch | None = None
    """The stored face that speaks most for ``person``."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """JSON-ready: looks, similarity, runner-up and its similarity, best eye distance."""


@dataclass(frozen=True, slots=True)
class FaceObservation:
    """The answer of one look for faces."""

    at: Moment
    faces: tuple[FaceSighting, ...] = ()
    """Every face of this frame, largest first: what a face search record tells."""
    tracks: tuple[FaceTrackView, ...] = ()
    """Every face in view, decided or not, oldest first: what is announced."""
    analysed: bool = True
    runs: Mapping[str, int] = field(default_factory=dict)
    """How often each model ran for this look."""
    motion: float | None = None
    """Share (0..1) of the picture that had changed since the last analysed one; None: there was nothing to compare with."""
    moving: bool = True
    """Something moved within the last second, or a face is in view: the next frames may show more."""
