"""What a job is: one analysis of one stored video, asked for, running or done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from streamproc.jobs.video_facts import AudioFacts, VideoFacts


class JobKind(StrEnum):
    """What can be asked of a video."""

    LABELS = "labels"
    SEGMENTS = "segments"
    PERSONS = "persons"
    FACES = "faces"
    FACE_SEARCH = "face-search"


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def open(self) -> bool:
        return self in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True)
class VideoRef:
    """Where a video lies."""

    url: str
    """A path, ``s3://BUCKET/KEY`` or ``http(s)://...``."""
    store: Mapping[str, str] = field(default_factory=dict)
    """Of an S3 URL: ``endpoint_url`` and ``region`` where they are not the node's own, and where its credentials are (``profile``, or the
    environment variables ``access_key_id_env``, ``secret_access_key_env``, ``session_token_env``). No secrets."""
    bucket: str | None = None
    """As the client named it, for its answers: the S3Object's bucket, name and version."""
    name: str | None = None
    version: str | None = None
    """Of an object in S3 this version is read; a folder has no versions."""


@dataclass(frozen=True, slots=True)
class Channel:
    """Who is told when the job is done."""

    topic: str
    """A topic as the caller named it, or the name of one of the node's outputs."""
    role: str | None = None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One Start call, in our words."""

    kind: JobKind
    video: VideoRef
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the kind: the fields of its options dataclass, JSON-ready."""
    token: str | None = None
    """ClientRequestToken: the same token with the same request is the same job, for seven days."""
    tag: str | None = None
    channel: Channel | None = None
    asked_by: str | None = None
    """The access key's id; None where no key was needed."""

    def fingerprint(self) -> str:
        """Equal for equal requests, whoever asks and whatever the token."""
        parts = asdict(self) | {"token": None}
        del parts["asked_by"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands."""

    id: str
    """64 lower-case hex digits."""
    request: JobRequest
    state: JobState
    created: float
    """Epoch seconds."""
    ended: float | None = None
    message: str | None = None
    """Why it failed."""
    run: str = ""
    """Jobs of one run share one decode."""
    frames: int = 0
    """Done so far."""
    expected: int = 0
    """Frames in all, as far as the container tells; 0: unknown."""
    facts: VideoFacts | None = None
    """Known once the video was opened."""
    bad_video: bool = False
    """It failed because of the video itself: another try would fail alike."""
    node: str = ""
    """The one node of a cluster that has the video; empty: it makes no difference."""


def request_from(document: Mapping[str, Any]) -> JobRequest:
    """The request that ``dataclasses.asdict`` wrote."""
    channel = document.get("channel")
    return JobRequest(
        JobKind(document["kind"]),
        VideoRef(**document["video"]),
        document["options"],
        document["token"],
        document["tag"],
        Channel(**channel) if channel else None,
        document.get("asked_by"),
    )


def facts_to(facts: VideoFacts) -> dict[str, Any]:
    """JSON-ready."""
    return asdict(facts) | {"rate": [facts.rate.numerator, facts.rate.denominator]}


def facts_from(document: Mapping[str, Any]) -> VideoFacts:
    values = dict(document)
    values["rate"] = Fraction(*values["rate"])
    values["audio"] = tuple(AudioFacts(**item) for item in values["audio"])
    return VideoFacts(**values)
