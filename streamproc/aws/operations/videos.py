"""Stored video: a Start for each kind of analysis, and a Get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from streamproc.aws.bindings import Unbound
from streamproc.aws.core import Core
from streamproc.aws.faults import invalid_parameter
from streamproc.aws.operations.table import Operation, Served
from streamproc.aws.topics import check_topic
from streamproc.aws.video_documents import get_document
from streamproc.aws.wire import Call
from streamproc.aws_protocol.faults import AwsFault
from streamproc.core.errors import LimitExceeded, NotFound
from streamproc.jobs.answers import Aggregate, Sort
from streamproc.jobs.model import Channel, JobKind, JobRequest, VideoRef
from streamproc.jobs.service import MAX_RESULTS, PageRequest
from streamproc.threads import FACES, JOBS

_ROLE = "there are no roles here: topics use the credentials of their binding or the usual AWS chain"


def _labels(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"min_confidence": request.get("MinConfidence", 50.0)} | label_filters(request)


def label_filters(request: Mapping[str, Any]) -> dict[str, Any]:
    """Settings.GeneralLabels of StartLabelDetection and DetectLabels, in our words."""
    general = (request.get("Settings") or {}).get("GeneralLabels") or {}
    return {
        "include_labels": general.get("LabelInclusionFilters", []),
        "exclude_labels": general.get("LabelExclusionFilters", []),
        "include_categories": general.get("LabelCategoryInclusionFilters", []),
        "exclude_categories": general.get("LabelCategoryExclusionFilters", []),
    }


def _segments(request: Mapping[str, Any]) -> dict[str, Any]:
    filters = request.get("Filters") or {}
    cues = filters.get("TechnicalCueFilter") or {}
    black = cues.get("BlackFrame") or {}
    return {
        "shots": "SHOT" in request["SegmentTypes"],
        "cues": "TECHNICAL_CUE" in request["SegmentTypes"],
        "min_shot_confidence": (filters.get("ShotFilter") or {}).get("MinSegmentConfidence", 50.0),
        "min_cue_confidence": cues.get("MinSegmentConfidence", 50.0),
        "max_pixel_threshold": black.get("MaxPixelThreshold", 0.2),
        "min_coverage": black.get("MinCoveragePercentage", 99.0) / 100,
    }


def _persons(request: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _faces(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"attributes": request.get("FaceAttributes") == "ALL"}


def _face_search(request: Mapping[str, Any]) -> dict[str, Any]:
    return {"collection": request["CollectionId"], "threshold": request.get("FaceMatchThreshold", 80.0)}


def _start(kind: JobKind, options: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Operation:
    async def start(core: Core, call: Call) -> dict[str, Any]:
        request = call.input
        if "CollectionId" in request:  # a missing one is told at once, not when the job runs
            await FACES.run(core.faces.describe_collection, request["CollectionId"])
        asked = JobRequest(
            kind,
            await _video(core, request["Video"]),
            options(request),
            request.get("ClientRequestToken"),
            request.get("JobTag"),
            await _channel(core, request.get("NotificationChannel")),
            call.key.access_key_id if call.key else None,
        )
        try:
            job = await JOBS.run(core.jobs.known, asked)  # before the video is asked for, which may be gone by now
            if job is None:
                size = await core.buckets.in_folder(asked.video.bucket, core.jobs.size, asked.video)
                job = await JOBS.run(partial(core.jobs.start, asked, size=size))
        except LimitExceeded as error:
            raise _too_many(core, call, error) from None
        return {"JobId": job.id}

    return start


async def _video(core: Core, video: Mapping[str, Any]) -> VideoRef:
    if "S3Object" not in video:
        raise invalid_parameter("Request has invalid parameters. Video.S3Object is required.")
    place = await core.buckets.find(video["S3Object"])
    named = (video["S3Object"]["Bucket"], video["S3Object"]["Name"], video["S3Object"].get("Version"))
    if place.path is not None:
        return VideoRef(str(place.path), {}, *named)
    return VideoRef(f"s3://{place.bucket}/{place.key}", dict(place.options), *named)


async def _channel(core: Core, channel: Mapping[str, Any] | None) -> Channel | None:
    if channel is None:
        return None
    try:
        await check_topic(core.resolver, channel["SNSTopicArn"])
    except Unbound as unbound:
        # Not when the job ends: nobody would hear of it then.
        raise invalid_parameter(
            f"Request has invalid parameters. NotificationChannel.SNSTopicArn: {unbound}."
        ) from None
    return Channel(channel["SNSTopicArn"], channel["RoleArn"])


def _too_many(core: Core, call: Call, error: LimitExceeded) -> AwsFault:
    user = f"arn:aws:iam::{core.arns.account}:user/{call.key.access_key_id if call.key else 'local'}"
    text = f"{error.used}  open Jobs for User {user} Maximum limit: {core.limits.max_jobs}"
    return AwsFault("LimitExceededException", text)


def _get(kind: JobKind) -> Operation:
    async def get(core: Core, call: Call) -> dict[str, Any]:
        request = call.input
        page = PageRequest(
            limit=min(request.get("MaxResults", MAX_RESULTS), MAX_RESULTS),
            token=request.get("NextToken"),
            sort=Sort(request.get("SortBy", "TIMESTAMP")),
            aggregate=Aggregate(request.get("AggregateBy", "TIMESTAMPS")),
        )

        def read() -> dict[str, Any]:
            found = core.jobs.get(request["JobId"], kind, page)
            # A key that is held to some processors sees its own jobs only: results name places and persons.
            limited = call.key is not None and call.key.processors is not None
            if limited and call.key and found.job.request.asked_by != call.key.access_key_id:
                raise NotFound("Could not find JobId")
            return get_document(found)

        return await JOBS.run(read)

    return get


_NO_ROLE = {"NotificationChannel.RoleArn": _ROLE}
_PAGES = "NextToken holds for one SortBy and AggregateBy; MaxResults may change from page to page."

OPERATIONS: dict[str, Served] = {
    "StartLabelDetection": Served(
        _start(JobKind.LABELS, _labels),
        ignored={"Features": "GENERAL_LABELS is all there is", **_NO_ROLE},
        notes="Filters match names, aliases and categories in any case of letters; exclusion wins over inclusion.",
    ),
    "GetLabelDetection": Served(_get(JobKind.LABELS), notes=_PAGES),
    "StartSegmentDetection": Served(_start(JobKind.SEGMENTS, _segments), ignored=_NO_ROLE),
    "GetSegmentDetection": Served(_get(JobKind.SEGMENTS), notes=_PAGES),
    "StartPersonTracking": Served(
        _start(JobKind.PERSONS, _persons),
        notes="The service itself ended this operation on 31 October 2025.",
        ignored=_NO_ROLE,
    ),
    "GetPersonTracking": Served(_get(JobKind.PERSONS), notes=_PAGES),
    "StartFaceDetection": Served(_start(JobKind.FACES, _faces), ignored=_NO_ROLE),
    "GetFaceDetection": Served(_get(JobKind.FACES), notes=_PAGES),
    "StartFaceSearch": Served(_start(JobKind.FACE_SEARCH, _face_search), ignored=_NO_ROLE),
    "GetFaceSearch": Served(_get(JobKind.FACE_SEARCH), notes=_PAGES),
}
