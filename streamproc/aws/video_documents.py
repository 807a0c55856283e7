"""What the Get operations of stored video answer, and the completion message, in the service's shapes.

Shapes after the service's model (botocore); order and rounding after the developer guide's samples. ``JobPage`` holds our own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from streamproc.aws import face_documents
from streamproc.aws.face_documents import face_detail, face_matches
from streamproc.core.vision import Box
from streamproc.jobs.answers import Aggregate
from streamproc.jobs.facefacts import face_from, match_from
from streamproc.jobs.model import Job, JobKind, JobState, VideoRef
from streamproc.jobs.service import JobPage, JobService, PageRequest
from streamproc.jobs.video_facts import VideoFacts
from streamproc.perception.taxonomy import Label

START_OPERATIONS: Mapping[JobKind, str] = {
    JobKind.LABELS: "StartLabelDetection",
    JobKind.SEGMENTS: "StartSegmentDetection",
    JobKind.PERSONS: "StartPersonTracking",
    JobKind.FACES: "StartFaceDetection",
    JobKind.FACE_SEARCH: "StartFaceSearch",
}
LABEL_MODEL_VERSION = "3.0"
SEGMENT_MODEL_VERSION = "2.0"
_STATES = {JobState.QUEUED: "IN_PROGRESS", JobState.RUNNING: "IN_PROGRESS", JobState.SUCCEEDED: "SUCCEEDED"}
_LISTS = {
    JobKind.LABELS: "Labels",
    JobKind.SEGMENTS: "Segments",
    JobKind.PERSONS: "Persons",
    JobKind.FACES: "Faces",
    JobKind.FACE_SEARCH: "Persons",
}
Document = dict[str, Any]
WHOLE = PageRequest()


def whole(service: JobService, job: Job, page: PageRequest = WHOLE) -> dict[str, Any]:
    """The whole answer of the job's Get operation, all pages joined."""
    items: list[Any] = []
    token = None
    while True:
        asked = PageRequest(page.limit, token, page.sort, page.aggregate)
        found = service.get(job.id, page=asked)
        items += found.items
        token = found.next_token
        if token is None:
            return get_document(JobPage(found.job, items, None, page))


def get_document(page: JobPage) -> Document:
    """The answer of the job's Get operation."""
    job, kind = page.job, page.job.request.kind
    document: Document = {"JobStatus": _STATES.get(job.state, "FAILED")}
    if job.message and document["JobStatus"] == "FAILED":
        document["StatusMessage"] = job.message
    if job.state is JobState.SUCCEEDED and job.facts is not None:
        metadata = video_metadata(job.facts)
        document["VideoMetadata"] = [metadata] if kind is JobKind.SEGMENTS else metadata
        if kind is JobKind.SEGMENTS:
            document["AudioMetadata"] = audio_metadata(job.facts)
    if page.next_token:
        document["NextToken"] = page.next_token
    document[_LISTS[kind]] = [_ELEMENTS[kind](item) for item in page.items]
    document |= _of_kind(page)
    document |= {"JobId": job.id, "Video": video(job.request.video)}
    if job.request.tag:
        document["JobTag"] = job.request.tag
    return document


def _of_kind(page: JobPage) -> Document:
    options = page.job.request.options
    if page.job.request.kind is JobKind.LABELS:
        asked = {"SortBy": str(page.page.sort), "AggregateBy": str(page.page.aggregate)}
        return {"LabelModelVersion": LABEL_MODEL_VERSION, "GetRequestMetadata": asked}
    if page.job.request.kind is JobKind.SEGMENTS:
        kinds = [("SHOT", "shots"), ("TECHNICAL_CUE", "cues")]
        chosen = [
            {"Type": name, "ModelVersion": SEGMENT_MODEL_VERSION} for name, key in kinds if options.get(key, True)
        ]
        return {"SelectedSegmentTypes": chosen}
    return {}


def video(ref: VideoRef) -> Document:
    """The Video structure. A video that was not named as an S3 object is named after its place."""
    name = ref.name if ref.name is not None else ref.url.rsplit("/", 1)[-1]
    found = {"Bucket": ref.bucket if ref.bucket is not None else "local", "Name": name}
    return {"S3Object": found | ({"Version": ref.version} if ref.version else {})}


def video_metadata(facts: VideoFacts) -> Document:
    """FrameRate is a 32-bit float widened, as the service sends it."""
    return {
        "Codec": facts.codec,
        "DurationMillis": facts.duration_ms,
        "Format": facts.format,
        "FrameRate": float(np.float32(float(facts.rate))),
        "FrameHeight": facts.height,
        "FrameWidth": facts.width,
        "ColorRange": "FULL" if facts.full_range else "LIMITED",
    }


def audio_metadata(facts: VideoFacts) -> list[Document]:
    return [
        {
            "Codec": stream.codec,
            "DurationMillis": stream.duration_ms,
            "SampleRate": stream.sample_rate,
            "NumberOfChannels": stream.channels,
        }
        for stream in facts.audio
    ]


def completion(job: Job) -> Document:
    """The message that is published when a job ends. JobTag only where one was given; Timestamp in epoch milliseconds."""
    named = video(job.request.video)["S3Object"]
    message: Document = {
        "JobId": job.id,
        "Status": "SUCCEEDED" if job.state is JobState.SUCCEEDED else "FAILED",
        "API": START_OPERATIONS[job.request.kind],
    }
    if job.request.tag:
        message["JobTag"] = job.request.tag
    message["Timestamp"] = round((job.ended or job.created) * 1000)
    message["Video"] = {"S3ObjectName": named["Name"], "S3Bucket": named["Bucket"]}
    return message


def _segment(item: Mapping[str, Any]) -> Document:
    document: Document = {
        "Type": "TECHNICAL_CUE" if "type" in item else "SHOT",
        "StartTimestampMillis": item["start_ms"],
        "EndTimestampMillis": item["end_ms"],
        "DurationMillis": item["end_ms"] - item["start_ms"],
        "StartTimecodeSMPTE": item["start_smpte"],
        "EndTimecodeSMPTE": item["end_smpte"],
        "DurationSMPTE": item["duration_smpte"],
    }
    if "type" in item:
        document["TechnicalCueSegment"] = {"Type": item["type"], "Confidence": item["confidence"]}
    else:
        document["ShotSegment"] = {"Index": item["index"], "Confidence": item["confidence"]}
    return document | {
        "StartFrameNumber": item["start"],
        "EndFrameNumber": item["end"],
        "DurationFrames": item["end"] - item["start"],
    }


def _label(item: Mapping[str, Any]) -> Document:
    entry: Label = item["entry"]
    label: Document = {"Name": item["name"], "Confidence": item["confidence"]}
    spanned = "start_ms" in item
    if not spanned:
        label["Instances"] = [
            {"BoundingBox": bounding_box(each["box"]), "Confidence": each["confidence"]} for each in item["instances"]
        ]
    label |= label_words(entry)
    if not spanned:
        return {"Timestamp": item["ms"], "Label": label}
    return {
        "Timestamp": item["start_ms"],
        "Label": label,
        "StartTimestampMillis": item["start_ms"],
        "EndTimestampMillis": item["end_ms"],
        "DurationMillis": item["end_ms"] - item["start_ms"],
    }


def label_words(entry: Label) -> Document:
    """What a label belongs to and is also called."""
    return {
        "Parents": [{"Name": name} for name in entry.parents],
        "Aliases": [{"Name": name} for name in entry.aliases],
        "Categories": [{"Name": name} for name in entry.categories],
    }


def _person(item: Mapping[str, Any]) -> Document:
    person: Document = {"Index": item["index"]}
    if item.get("box"):
        person["BoundingBox"] = bounding_box(item["box"])
    if item.get("face"):
        person["Face"] = face_detail(face_from(item["face"]))
    document: Document = {"Timestamp": item["ms"], "Person": person}
    if "matches" in item:
        document["FaceMatches"] = face_matches(map(match_from, item["matches"]))
    return document


def _face(item: Mapping[str, Any]) -> Document:
    return {"Timestamp": item["ms"], "Face": face_detail(face_from(item["face"]))}


def bounding_box(corners: Any) -> Document:
    """Ratios of the frame from (left, top, right, bottom); may reach beyond it."""
    return face_documents.bounding_box(Box(*corners))


_ELEMENTS: Mapping[JobKind, Callable[[Mapping[str, Any]], Document]] = {
    JobKind.LABELS: _label,
    JobKind.SEGMENTS: _segment,
    JobKind.PERSONS: _person,
    JobKind.FACES: _face,
    JobKind.FACE_SEARCH: _person,
}

__all__ = ["START_OPERATIONS", "Aggregate", "completion", "get_document", "video_metadata"]
