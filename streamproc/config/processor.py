"""A processor's document: the one description of a processor, whoever wrote it (a file, the CLI, the AWS endpoint)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from streamproc.config.base import Settings, wrong
from streamproc.config.cluster import Tags
from streamproc.config.duration import Duration
from streamproc.config.health import HealthSettings
from streamproc.config.masks import MaskSettings, check_recording
from streamproc.config.regions import RegionSettings, check_regions
from streamproc.config.schedule import ScheduleSettings
from streamproc.core.classes import ANNOUNCED

LABEL_CLASSES: tuple[str, ...] = tuple(each.value for each in ANNOUNCED)
if TYPE_CHECKING:
    LabelClass = str
else:
    LabelClass = Literal[LABEL_CLASSES]  # pydantic then lists them in its errors and in the JSON schema
CollectionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_.\-]{1,255}$")]

SERVICE_MAX_DURATION_S = 120.0
SERVICE_MAX_REGIONS = 10


class ConnectorRef(Settings):
    """A source or an output: ``type`` names the connector, the rest is its own settings."""

    model_config = Settings.model_config | {"extra": "allow"}

    type: str
    """The connector's name, e.g. file, rtsp, kafka, webrtc, s3, sns, webhook, stdout."""

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the type, for the connector's own settings model."""
        return dict(self.model_extra or {})


class SessionSettings(Settings):
    """When a session ends."""

    mode: Literal["session", "continuous"] = "session"
    """``session`` ends after ``duration``; ``continuous`` opens a new session for each visit."""
    duration: Duration = 10.0
    """Longest session; at most 120s unless ``allow_long`` is set. 0s: no limit (needs ``allow_long``)."""
    gone_after: Duration = Field(default=10.0, ge=1.0)
    """continuous: a class is announced again after it was out of view for so long (1s or more)."""
    allow_long: bool = False
    """Opt in to sessions beyond the service's 120 s."""

    @model_validator(mode="after")
    def _within_the_service(self) -> SessionSettings:
        if self.mode == "session" and not self.allow_long and not 0 < self.duration <= SERVICE_MAX_DURATION_S:
            raise wrong(
                "duration",
                "must be more than 0s and at most 120s; set allow_long: true to go beyond, or use mode: continuous",
            )
        return self


class EvidenceSettings(Settings):
    """How sure a track must be before its class is announced."""

    samples: int = Field(default=2, ge=1, le=50)
    """Fewest looks that must have supported the class."""
    window: Duration = 3.0
    """Only looks of the last so many seconds count."""


class LabelSettings(Settings):
    """Look for label classes: people, pets, packages..."""

    classes: tuple[LabelClass, ...] = Field(default=LABEL_CLASSES, min_length=1)
    """Which classes; models of classes that are not asked for are neither loaded nor run. ALL means all of them."""
    min_confidence: float = Field(default=50.0, ge=0, le=100)
    """Announce at this confidence (0-100) or above."""
    fps: float = Field(default=5.0, gt=0, le=60)
    """How many frames a second are looked at; fewer of a live feed while nothing but a presence could be told of them."""
    second_look: bool = True
    """Also look at tight crops of what moves, and for packages at people's hands, at native resolution."""
    motion_gate: bool = True
    """Skip the detectors while nothing moves and nothing is tracked."""
    evidence: EvidenceSettings = EvidenceSettings()
    profile: str = "default"
    """Which models: default, accurate, small, or a profile of the node's config."""

    @field_validator("classes", mode="before")
    @classmethod
    def _all_means_all(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and "ALL" in value:
            return LABEL_CLASSES
        return tuple(dict.fromkeys(value)) if isinstance(value, list | tuple) else value


class FaceSettings(Settings):
    """Search the faces in view in a collection."""

    collection: CollectionName
    threshold: float = Field(default=80.0, ge=0, le=100)
    """Similarity (0-100) of a match; values under 80 count as 80, as the service has it."""
    fps: float = Field(default=5.0, gt=0, le=60)
    """How many frames a second are looked at."""
    detector: Literal["default", "yunet", "centerface"] = "default"
    """Finds the faces; the node's own where left out."""
    motion_gate: bool = True
    """Skip the detector while nothing moves and no face is in view."""
    records: bool = True
    """Also give a face search record for each analysed frame to outputs that take records."""
    keep_unknown_crops: bool = False
    """Keep pictures of faces that matched nobody."""
    blur_unknown: bool = False
    """Blur faces that match nobody, in every picture that is kept or shown as a still; not in live video and recordings."""

    @property
    def effective_threshold(self) -> float:
        return max(80.0, self.threshold)


class IdleSettings(Settings):
    """While a live camera shows nothing, or only what has been announced, decode its keyframes only."""

    enabled: bool = True
    """Off: every frame is decoded, always."""
    max_wake_delay: Duration = Field(default=2.0, ge=0.2, le=10.0)
    """Longest time until something that packets do not tell is noticed. Cameras whose keyframes are further apart sleep only where their packets
    have been found to tell; the bound is then the distance of their keyframes (``wake_bound_s`` of Describe)."""


class RecordSettings(Settings):
    """Keep what the source sends, its packets as they came, in the node's store of video streams under the processor's name."""

    keep: Duration = Field(default=24 * 3600.0, ge=60.0)
    """Older video is removed. The store's ``max_bytes`` (``kinesis_video`` of streamproc.yaml) may remove the oldest earlier."""
    unmasked: bool = False
    """Also record a camera that has ``masks``: they are not in its packets, so what they cover is kept."""


class ProcessorConfig(Settings):
    """One processor: what it watches, what it looks for, whom it tells."""

    state: Literal["running", "stopped"] = "running"
    """What is wanted."""
    source: ConnectorRef
    session: SessionSettings = SessionSettings()
    labels: LabelSettings | None = None
    faces: FaceSettings | None = None
    idle: IdleSettings = IdleSettings()
    health: HealthSettings = HealthSettings()
    regions: tuple[RegionSettings, ...] = ()
    """Where to look; nothing drawn means everywhere."""
    masks: tuple[MaskSettings, ...] = ()
    """What is black in every picture before anybody or anything sees it."""
    schedule: ScheduleSettings | None = None
    """When anything is announced; left out: always. Outside of it a camera stays connected and idle."""
    allow_many_regions: bool = False
    """Opt in to more than the service's 10 regions."""
    record: RecordSettings | None = None
    """Keep the video itself."""
    require: Tags = {}
    """Tags of the nodes of a cluster that may run it, {site: north}: those from which its camera can be reached. It says nothing to a node that is alone."""
    outputs: tuple[ConnectorRef, ...] = ()
    tags: dict[str, str] = {}
    """Free key-value pairs that every notification carries."""
    aws: dict[str, Any] = {}
    """Set by the AWS endpoint: what the client sent and Describe returns. Not for hand-written files."""

    @model_validator(mode="after")
    def _something_to_do(self) -> ProcessorConfig:
        if self.labels is None and self.faces is None:
            raise wrong("labels", "nothing to look for; add labels: {} or faces: {collection: NAME}")
        if len(self.regions) > SERVICE_MAX_REGIONS and not self.allow_many_regions:
            raise wrong(
                "regions", f"{len(self.regions)}, the service has at most 10; set allow_many_regions: true to go beyond"
            )
        check_regions(self.regions)
        check_recording(self.masks, self.record is not None, self.record is not None and self.record.unmasked)
        if self.record is not None and self.source.type == "kvs" and self.source.options.get("endpoint_url") == "local":
            raise wrong("record", "the source is a stream of this node, which keeps it already; take record out")
        return self
