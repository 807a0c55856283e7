"""From a kind and its options to a ready analysis.

Models and collections are opened, and the modules that use them imported, when the first job needs them: a job for segments starts
without.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from streamproc.config.node import NodeConfig
from streamproc.core.errors import InputError, ModelUnavailable
from streamproc.jobs.analysis import Analysis
from streamproc.jobs.model import JobKind
from streamproc.jobs.service import JobLimits, JobService, OnCompleted
from streamproc.jobs.sources import StoreSettings, Videos
from streamproc.jobs.video import VideoFacts, VideoFrame
from streamproc.store.database import Database

if TYPE_CHECKING:
    from streamproc.contracts import Detector
    from streamproc.core.faces import DetectedFace
    from streamproc.faces.service import FaceService
    from streamproc.jobs.person_analysis import Appearance, FindFaces
    from streamproc.vision.zoo import ModelZoo

Options = TypeVar("Options")
log = structlog.get_logger(__name__)


class Analyses:
    """Makes analyses for the jobs of one data directory."""

    def __init__(
        self, node: NodeConfig, data_dir: Path, zoo: ModelZoo | None = None, faces: FaceService | None = None
    ) -> None:
        """``zoo``, ``faces``: those of the process, where it has them already."""
        self._box = node
        self._data_dir = data_dir
        self._zoo = zoo
        self._faces = faces

    def make(self, kind: JobKind, options: dict[str, Any], video: VideoFacts) -> Analysis:
        """Raises InputError for options that the kind does not have, ModelUnavailable, NotFound for a collection."""
        match kind:
            case JobKind.SEGMENTS:
                from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions

                return SegmentAnalysis(parse(SegmentOptions, options), video)
            case JobKind.LABELS:
                from streamproc.jobs.label_analysis import LabelAnalysis
                from streamproc.perception.still_labels import LabelOptions

                chosen = parse(LabelOptions, options)
                return LabelAnalysis(chosen, video, self._objects(video), self._traits())
            case JobKind.PERSONS:
                from streamproc.jobs.person_analysis import PersonAnalysis, PersonOptions

                wanted = parse(PersonOptions, options)
                faces = self._find_faces() if wanted.faces else None
                return PersonAnalysis(video, self._objects(video), faces, self._appearance())
            case JobKind.FACES:
                from streamproc.jobs.face_analysis import FaceAnalysis, FaceOptions

                return FaceAnalysis(video, self._find_faces(attributes=parse(FaceOptions, options).attributes))
            case JobKind.FACE_SEARCH:
                from streamproc.jobs.face_analysis import FaceSearchAnalysis, FaceSearchOptions

                return FaceSearchAnalysis(parse(FaceSearchOptions, options), video, self.faces)

    def _objects(self, video: VideoFacts) -> list[Detector]:
        """The detectors for labels, as far as they can be had."""
        from streamproc.perception.label_models import SQUARE, TALL, WIDE

        shape = video.width / max(1, video.height)
        size = WIDE if shape > 1.25 else TALL if shape < 0.8 else SQUARE
        first = self.zoo.person_detector(size)
        return list({each.name: each for each in (first, *self.zoo.those_had(_ALSO))}.values())

    def _appearance(self) -> Appearance | None:
        try:
            return self.zoo.person_reid()
        except ModelUnavailable as error:
            log.warning("models_missing", used=[], reason=str(error))
            return None

    def _traits(self) -> FindFaces | None:
        """Labels do without faces where their models cannot be had."""
        try:
            return self._find_faces(attributes=True)
        except ModelUnavailable:
            return None

    def _find_faces(self, *, attributes: bool = False) -> FindFaces:
        from streamproc.core.faces import DetectedFace
        from streamproc.jobs.facefacts import see_faces

        reader = self.faces.reader
        rich = "faces with attributes"
        key = rich if attributes else "faces"

        def find(frame: VideoFrame) -> list[DetectedFace]:
            if not attributes and rich in frame.memo:
                return [DetectedFace(each.face, each.quality) for each in frame.memo[rich]]
            if key not in frame.memo:
                frame.memo[key] = see_faces(reader, frame.picture, attributes=attributes)
            found: list[DetectedFace] = frame.memo[key]
            return found

        return find

    @cached_property
    def zoo(self) -> ModelZoo:
        from streamproc.vision.zoo import open_zoo

        return self._zoo or open_zoo(self._box.models, workers=2)

    @cached_property
    def faces(self) -> FaceService:
        from streamproc.faces.service import open_service

        return self._faces or open_service(self._data_dir, self._box, self.zoo)


_ALSO = ("deimv2_femto", "ssd_oidv4")


def open_jobs(
    database: Database,
    node: NodeConfig,
    data_dir: Path,
    *,
    told: OnCompleted = lambda job: None,
    zoo: ModelZoo | None = None,
    faces: FaceService | None = None,
    analyses: Analyses | None = None,
) -> JobService:
    """The jobs of one data directory by the box's settings. Call ``open_workers`` on it to have them run.

    ``told`` hands completions on, see ``JobService``. ``zoo``, ``faces`` or all ``analyses``: those of the process, where there are.
    """
    limits = JobLimits(
        max_open=node.limits.max_jobs,
        queue=node.limits.queue_jobs,
        max_bytes=node.limits.max_video_bytes,
        max_seconds=node.limits.max_video_seconds,
    )
    videos = Videos(StoreSettings(node.aws.endpoint_url, node.aws.region))
    analyses = analyses or Analyses(node, data_dir, zoo, faces)
    return JobService(database, videos, analyses.make, limits=limits, told=told)


def parse(shape: type[Options], options: dict[str, Any]) -> Options:
    """Options from JSON. Raises InputError for a key that ``shape`` does not have."""
    known = {item.name for item in fields(shape)}  # type: ignore[arg-type]
    unknown = sorted(set(options) - known)
    if unknown:
        raise InputError(f"{unknown[0]}: no such option; known are {', '.join(sorted(known))}")
    return shape(**options)
