"""Orders, aggregation, page tokens, the vocabulary and the service's documents, without a video."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import botocore.session
import pytest

from streamproc.aws.video_documents import completion, get_document
from streamproc.core.vision import Box
from streamproc.jobs.answers import Aggregate, Sort, items_of
from streamproc.jobs.model import Job, JobKind, JobRequest, JobState, VideoRef, facts_from, facts_to, request_from
from streamproc.jobs.service import JobPage, PageRequest
from streamproc.jobs.video_facts import AudioFacts, VideoFacts
from streamproc.perception.claims import Claim
from streamproc.perception.still_labels import LabelOptions, labels_of
from streamproc.perception.taxonomy import taxonomy
from streamproc.vision.names import COCO, OPEN_IMAGES_24

FACTS = VideoFacts(
    "h264", "QuickTime / MOV", 15015, Fraction(30000, 1001), 1280, 720, False, (AudioFacts("aac", 15000, 48000, 2),)
)


def seen(name: str, confidence: float) -> Claim:
    return Claim(name, confidence, Box(0.1, 0.2, 0.3, 0.6))


def label(ms: int, name: str, confidence: float) -> dict[str, Any]:
    return {"ms": ms, "name": name, "confidence": confidence, "instances": []}


RESULT = {
    "sampled_ms": [0, 500, 1000, 1500, 2000],
    "labels": [label(0, "Dog", 70.0), label(0, "Cat", 60.0), label(500, "Dog", 90.0), label(1500, "Dog", 80.0)],
}


def job(kind: JobKind, state: JobState = JobState.SUCCEEDED, tag: str | None = "tag") -> Job:
    video = VideoRef("s3://b/v.mp4", {}, "bucket", "v.mp4")
    return Job("ab" * 32, JobRequest(kind, video, tag=tag), state, 1.0, 1510865364.756, facts=FACTS)


def test_labels_by_time_and_by_name() -> None:
    by_time = items_of(JobKind.LABELS, RESULT, Sort.TIMESTAMP, Aggregate.TIMESTAMPS)
    assert [(item["ms"], item["name"]) for item in by_time] == [(0, "Cat"), (0, "Dog"), (500, "Dog"), (1500, "Dog")]
    by_name = items_of(JobKind.LABELS, RESULT, Sort.NAME, Aggregate.TIMESTAMPS)
    assert [(item["name"], item["confidence"]) for item in by_name] == [
        ("Cat", 60),
        ("Dog", 90),
        ("Dog", 80),
        ("Dog", 70),
    ]


def spans_of(sampled: list[int], seen: list[int], duration_ms: int) -> list[tuple[int, int]]:
    result = {"sampled_ms": sampled, "duration_ms": duration_ms, "labels": [label(ms, "Dog", 70.0) for ms in seen]}
    spans = items_of(JobKind.LABELS, result, Sort.TIMESTAMP, Aggregate.SEGMENTS)
    return [(span["start_ms"], span["end_ms"]) for span in spans]


def test_a_span_lasts_to_the_sample_that_no_longer_shows_it_or_to_the_end() -> None:
    spans = items_of(JobKind.LABELS, RESULT, Sort.TIMESTAMP, Aggregate.SEGMENTS)
    assert [(s["name"], s["start_ms"], s["end_ms"], s["confidence"]) for s in spans] == [
        ("Cat", 0, 500, 60.0),
        ("Dog", 0, 2000, 90.0),
    ]
    samples = list(range(0, 4000, 500))
    assert spans_of(samples, [0], 3960) == [(0, 500)]
    assert spans_of(samples, [2500, 3000, 3500], 3960) == [(2500, 3960)]
    assert spans_of(samples, [500, 1500, 3000], 3960) == [(500, 2000), (3000, 3500)], "one miss is bridged, two are not"


def test_broader_labels_come_along_without_boxes() -> None:
    found = {
        item["name"]: item for item in labels_of(40, [seen("Dog", 80), seen("Dog", 60)], LabelOptions(), taxonomy())
    }
    assert set(found) == {"Dog", "Animal", "Canine", "Mammal", "Pet"}
    assert found["Pet"] == {"ms": 40, "name": "Pet", "confidence": 80, "instances": []}
    assert [each["confidence"] for each in found["Dog"]["instances"]] == [80, 60]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (LabelOptions(include_labels=["pet"]), {"Pet"}),
        (LabelOptions(include_labels=["Automobile"]), {"Car"}),
        (LabelOptions(include_categories=["Vehicles and Automotive"]), {"Car", "Vehicle", "Transportation"}),
        (LabelOptions(exclude_categories=["Animals and Pets"]), {"Car", "Vehicle", "Transportation"}),
        (LabelOptions(include_labels=["Dog", "Car"], exclude_labels=["Dog"]), {"Car"}),
        (LabelOptions(include_labels=["Nothing"]), set()),
    ],
)
def test_filters(options: LabelOptions, names: set[str]) -> None:
    found = labels_of(0, [seen("Dog", 80), seen("Car", 70)], options, taxonomy())
    assert {item["name"] for item in found} == names


def test_every_class_of_the_models_is_a_label() -> None:
    from streamproc.perception.detect import common_name

    words = taxonomy()
    missing = [name for name in (*COCO, *OPEN_IMAGES_24[1:]) if words.of_class(common_name(name)) is None]
    assert missing == []
    assert words.labels["Car"].parents == ("Transportation", "Vehicle")
    assert all(entry.categories for entry in words.labels.values())


FACE = {
    "box": [0.1, 0.1, 0.2, 0.3],
    "score": 0.9,
    "landmarks": [[0.1, 0.1]] * 5,
    "quality": {"brightness": 50.0, "sharpness": 60.0, "eye_distance_px": 40.0, "pose": [1.0, 2.0, 3.0]},
}
MATCH = {
    "similarity": 91.0,
    "face": {
        "face_id": "f" * 36, "image_id": "i" * 36, "external_image_id": "ann", "box": [0, 0, 1, 1], "confidence": 99.0,
        "model_version": "1.0", "user_id": None, "sharpness": 0.0, "brightness": 0.0, "eye_distance_px": 0.0, "yaw": 0.0, "pitch": 0.0,
    },
}  # fmt: skip
STRETCH = {
    "start": 0, "end": 9, "start_ms": 0, "end_ms": 300, "start_smpte": "a", "end_smpte": "b", "duration_smpte": "c", "confidence": 90.0,
}  # fmt: skip
PERSON = {"index": 0, "ms": 0, "box": [-0.1, 0, 0.5, 1.1], "confidence": 80.0, "face": FACE}
RESULTS: dict[JobKind, dict[str, Any]] = {
    JobKind.LABELS: RESULT,
    JobKind.SEGMENTS: {"cues": [STRETCH | {"type": "ColorBars"}], "shots": [STRETCH]},
    JobKind.PERSONS: {"persons": [PERSON]},
    JobKind.FACES: {"faces": [{"ms": 5, "face": FACE}]},
    JobKind.FACE_SEARCH: {"persons": [PERSON | {"matches": [MATCH]}, PERSON | {"matches": []}]},
}
OPERATIONS = {
    JobKind.LABELS: "GetLabelDetection",
    JobKind.SEGMENTS: "GetSegmentDetection",
    JobKind.PERSONS: "GetPersonTracking",
    JobKind.FACES: "GetFaceDetection",
    JobKind.FACE_SEARCH: "GetFaceSearch",
}


def unknown_members(value: Any, shape: Any, path: str = "") -> list[str]:
    """Members that the service's model does not have, and required enum values it does not know."""
    if shape.type_name == "structure":
        wrong = [f"{path}.{name}" for name in value if name not in shape.members]
        known = {name: inner for name, inner in value.items() if name in shape.members}
        return wrong + [
            each
            for name, inner in known.items()
            for each in unknown_members(inner, shape.members[name], f"{path}.{name}")
        ]
    if shape.type_name == "list":
        return [each for inner in value for each in unknown_members(inner, shape.member, f"{path}[]")]
    if shape.type_name == "string" and getattr(shape, "enum", None) and value not in shape.enum:
        return [f"{path}={value}"]
    return []


@pytest.mark.parametrize("kind", list(JobKind))
@pytest.mark.parametrize("aggregate", list(Aggregate))
def test_documents_fit_the_service_model(kind: JobKind, aggregate: Aggregate) -> None:
    items = items_of(kind, RESULTS[kind], Sort.TIMESTAMP, aggregate)
    document = get_document(JobPage(job(kind), items, "next", PageRequest(aggregate=aggregate)))
    model = botocore.session.get_session().get_service_model("rekognition").operation_model(OPERATIONS[kind])
    assert unknown_members(document, model.output_shape) == []
    assert document["JobStatus"] == "SUCCEEDED" and document["NextToken"] == "next" and document["JobTag"] == "tag"
    metadata = document["VideoMetadata"][0] if kind is JobKind.SEGMENTS else document["VideoMetadata"]
    assert metadata["FrameRate"] == 29.970029830932617
    if kind is JobKind.LABELS and aggregate is Aggregate.TIMESTAMPS:
        assert all("Instances" in each["Label"] for each in document["Labels"])
    if kind is JobKind.SEGMENTS:
        assert [each["Type"] for each in document["Segments"]] == ["TECHNICAL_CUE", "SHOT"]


def test_while_it_runs_and_when_it_failed() -> None:
    running = get_document(JobPage(job(JobKind.LABELS, JobState.RUNNING), [], None, PageRequest()))
    assert running["JobStatus"] == "IN_PROGRESS" and running["Labels"] == [] and "VideoMetadata" not in running
    failed = replace(job(JobKind.LABELS, JobState.FAILED), message="Unsupported codec/format.")
    document = get_document(JobPage(failed, [], None, PageRequest()))
    assert (document["JobStatus"], document["StatusMessage"]) == ("FAILED", "Unsupported codec/format.")


def test_completion_message() -> None:
    assert completion(job(JobKind.LABELS)) == {
        "JobId": "ab" * 32,
        "Status": "SUCCEEDED",
        "API": "StartLabelDetection",
        "JobTag": "tag",
        "Timestamp": 1510865364756,
        "Video": {"S3ObjectName": "v.mp4", "S3Bucket": "bucket"},
    }
    assert "JobTag" not in completion(job(JobKind.FACES, tag=None))


def test_jobs_survive_json() -> None:
    from dataclasses import asdict

    request = job(JobKind.FACES).request
    assert request_from(asdict(request)) == request
    assert facts_from(facts_to(FACTS)) == FACTS
