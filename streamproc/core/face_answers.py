"""What the operations on collections answer. The AWS room turns these into the service's documents."""

from __future__ import annotations

from dataclasses import dataclass

from streamproc.core.errors import InputError
from streamproc.core.faces import DetectedFace, FaceMatch, StoredFace, UserMatch, UserStatus

NO_FACE = "There are no faces in the image. Should be at least 1."
"""The service's words; clients compare them literally."""


class NoFace(InputError):
    """A search needs a face, and there is none (good enough) in the picture."""

    def __init__(self) -> None:
        super().__init__(NO_FACE)


class UnknownFace(InputError):
    """A face id that the collection does not hold."""


@dataclass(frozen=True, slots=True)
class RefusedFace:
    """A face that was seen but not used, and why, in the service's words."""

    detected: DetectedFace
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IndexAnswer:
    """What became of one picture."""

    records: tuple[tuple[StoredFace, DetectedFace], ...]
    """Largest face first."""
    refused: tuple[RefusedFace, ...]
    model_version: str


@dataclass(frozen=True, slots=True)
class FacePage:
    """Some faces of a collection, in order of enrolment."""

    faces: tuple[StoredFace, ...]
    after: int | None
    """Give this to go on; None: there are no more."""
    model_version: str


@dataclass(frozen=True, slots=True)
class UserPage:
    """Some users of a collection, by name."""

    users: tuple[tuple[str, UserStatus], ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class FaceSearch:
    """Faces that resemble a stored face, or the largest one of a picture."""

    matches: tuple[FaceMatch, ...]
    """Most similar first."""
    model_version: str
    searched: DetectedFace | None = None
    """The face of the picture."""


@dataclass(frozen=True, slots=True)
class UserSearch:
    """Users that resemble a face, a user, or the largest face of a picture."""

    matches: tuple[UserMatch, ...]
    model_version: str
    searched: DetectedFace | None = None
    refused: tuple[RefusedFace, ...] = ()
    """The picture's other faces."""


@dataclass(frozen=True, slots=True)
class FaceFailure:
    """A face id with which nothing was done, and why, in the service's words."""

    face_id: str
    reasons: tuple[str, ...]
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class FaceChanges:
    """Which of the asked faces were deleted, associated or disassociated."""

    done: tuple[str, ...]
    failed: tuple[FaceFailure, ...]
    status: UserStatus | None = None
    """Of the user, where one was concerned."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The largest face of one picture against all faces of another."""

    source: DetectedFace
    matches: tuple[tuple[DetectedFace, float], ...]
    """With their similarity (0..100), most similar first."""
    unmatched: tuple[DetectedFace, ...]
