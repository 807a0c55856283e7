"""From a kind and its options to a ready analysis.

The modules that use models are imported when the first job needs them: a job for segments starts without.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from streamproc.core.errors import InputError, ModelUnavailable
from streamproc.jobs.analysis import Analysis
from streamproc.jobs.model import JobKind
from streamproc.jobs.service import JobLimits, JobService, OnCompleted
from streamproc.jobs.sources import StoreSettings, Videos
from streamproc.jobs.video import VideoFrame
from streamproc.jobs.video_facts import VideoFacts
from streamproc.perception.provider import ModelProvider
from streamproc.store.database import Database
from streamproc.store.jobs import JobStore

if TYPE_CHECKING:
    from streamproc.core.faces import DetectedFace
    from streamproc.jobs.person_analysis import Appearance, FindFaces
    from streamproc.perception.objects import ObjectFinder, PeopleFinder
    from streamproc.perception.picture_claims import PictureModels

Options = TypeVar("Options")
log = structlog.get_logger(__name__)


class Analyses:
    """Makes the analyses of jobs with the provider's models."""

    def __init__(self, provider: ModelProvider) -> None:
        self._provider = provider

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
                return LabelAnalysis(chosen, video, self._pictures(video), self._traits())
            case JobKind.PERSONS:
                from streamproc.jobs.person_analysis import PersonAnalysis, PersonOptions

                wanted = parse(PersonOptions, options)
                faces = self._find_faces() if wanted.faces else None
                return PersonAnalysis(video, self._people(video), faces, self._appearance())
            case JobKind.FACES:
                from streamproc.jobs.face_analysis import FaceAnalysis, FaceOptions

                return FaceAnalysis(video, self._find_faces(attributes=parse(FaceOptions, options).attributes))
            case JobKind.FACE_SEARCH:
                from streamproc.jobs.face_analysis import FaceSearchAnalysis, FaceSearchOptions

                search = parse(FaceSearchOptions, options)
                return FaceSearchAnalysis(search, video, self._provider.faces, self._bodies(video))

    def _objects(self, video: VideoFacts) -> ObjectFinder:
        return self._provider.objects.finder(video.width, video.height)

    def _people(self, video: VideoFacts) -> PeopleFinder:
        return self._provider.objects.people_finder(video.width, video.height)

    def _bodies(self, video: VideoFacts) -> PeopleFinder | None:
        """A search for faces does without bodies where no model for them can be had."""
        try:
            return self._people(video)
        except ModelUnavailable:
            return None

    def _pictures(self, video: VideoFacts) -> PictureModels:
        from streamproc.perception.looks import VIDEO_LOOKS
        from streamproc.perception.picture_claims import PictureModels

        return PictureModels(self._objects(video), self._provider.words, VIDEO_LOOKS)

    def _appearance(self) -> Appearance | None:
        try:
            return self._provider.zoo.person_reid()
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

        reader = self._provider.faces.reader
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


def open_jobs(
    database: Database,
    provider: ModelProvider,
    *,
    on_completed: OnCompleted = lambda job: None,
    store: JobStore | None = None,
) -> JobService:
    """The jobs of one data directory by the settings of the provider's node. Call ``open_workers`` on it to have them run.

    ``on_completed`` hands completions on, and ``store`` keeps the jobs, see ``JobService``.
    """
    node = provider.node
    limits = JobLimits(
        max_open=node.limits.max_jobs,
        queue=node.limits.queue_jobs,
        max_bytes=node.limits.max_video_bytes,
        max_seconds=node.limits.max_video_seconds,
    )
    videos = Videos(StoreSettings(node.aws.endpoint_url, node.aws.region))
    return JobService(database, videos, Analyses(provider).make, limits=limits, on_completed=on_completed, store=store)


def parse(shape: type[Options], options: dict[str, Any]) -> Options:
    """Options from JSON. Raises InputError for a key that ``shape`` does not have."""
    known = {item.name for item in fields(shape)}  # type: ignore[arg-type]
    unknown = sorted(set(options) - known)
    if unknown:
        raise InputError(f"{unknown[0]}: no such option; known are {', '.join(sorted(known))}")
    return shape(**options)
