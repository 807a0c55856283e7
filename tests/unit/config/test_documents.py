"""The forms of events: what docs/events.md shows is what comes out, and the facts of the service's form hold."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.config.routes import event_types, outputs
from streamproc.contracts import NOWHERE
from streamproc.core.event import EventType
from streamproc.core.vision import Box
from streamproc.plain import plain_document, to_line, to_text
from tests.builders.examples import ARN, COMPLETE, GAP, LABEL, MATCHED, RECORD, SESSION, delivery, documents

DOC = Path(__file__).resolve().parents[3] / "docs" / "events.md"
EXAMPLE = re.compile(r"<!-- example: (.+?) -->\n+```json\n(.+?)\n```", re.DOTALL)


def test_the_documentation_shows_what_comes_out() -> None:
    shown = {name: json.loads(text) for name, text in EXAMPLE.findall(DOC.read_text())}
    assert shown == json.loads(json.dumps(documents()))


def test_plain_keys_come_in_one_order_and_lines_are_deterministic() -> None:
    document = plain_document(LABEL)
    assert list(document)[:6] == ["id", "type", "processor", "session", "time", "media_time_s"]
    assert list(document)[6:13] == ["class", "confidence", "box", "region", "overlap", "frame", "crop"]
    assert to_line(document) == to_line(plain_document(LABEL))
    assert document["frame"] is None, "nobody keeps pictures"


def test_data_never_overrides_what_the_form_promises() -> None:
    document = plain_document(replace(COMPLETE, data={"id": "other", "time": "never", "counts": {}}))
    assert document["id"] == f"{SESSION}-000003"
    assert document["time"].startswith("2026-05-04")


def test_a_box_that_reaches_beyond_the_frame_is_clipped() -> None:
    event = replace(LABEL, box=Box(-0.2, 0.5, 0.4, 1.3))
    assert plain_document(event)["box"] == [0.0, 0.5, 0.4, 1.0]
    box = delivery(event).document("aws")["labels"][0]["boundingBox"]
    assert box == {"left": 0.0, "top": 0.5, "height": 0.5, "width": 0.4}


def test_an_unknown_face_and_a_face_without_region() -> None:
    document = plain_document(replace(MATCHED, type=EventType.FACE_UNKNOWN, person=None, region=None))
    assert (document["person"], document["region"], document["overlap"]) == (None, None, None)
    assert "class" not in document


@pytest.mark.parametrize("event", [LABEL, MATCHED, GAP, COMPLETE, RECORD])
def test_every_event_has_a_line_for_people(event: Any) -> None:
    line = to_text(event)
    assert "\n" not in line and "front-door" in line


# -- the service's form


def test_label_times_are_milliseconds_and_face_times_seconds() -> None:
    label = delivery(LABEL).document("aws")["labels"][0]["videoMapping"]["kinesisVideoMapping"]
    assert label == {
        "fragmentNumber": "91343852333289682796718532614445757584843717598",
        "serverTimestamp": 1777876200310,
        "producerTimestamp": 1777876200000,
        "frameOffsetMillis": 1600,
    }
    face = delivery(RECORD).document("aws")["InputInformation"]["KinesisVideo"]
    assert (face["ProducerTimestamp"], face["ServerTimestamp"]) == (1777876200.0, 1777876200.31)
    assert face["FrameOffsetInSeconds"] == 2.0


def test_a_feed_without_fragments_still_has_digits_and_the_frame_s_time() -> None:
    mapping = delivery(replace(LABEL, fragment=None, offset_s=0.0)).document("aws")["labels"][0]["videoMapping"]
    fields = mapping["kinesisVideoMapping"]
    assert fields["fragmentNumber"].isdigit()
    assert fields["producerTimestamp"] + fields["frameOffsetMillis"] == 1777876201600


def test_without_a_client_the_stream_is_named_after_the_processor() -> None:
    document = delivery(LABEL, {"arn": ARN}).document("aws")
    arn = "arn:aws:kinesisvideo:eu-west-1:123456789012:stream/front-door/0"
    assert document["inputInformation"] == {"kinesisVideo": {"streamArn": arn}}
    assert document["tags"] == {}
    assert document["startStreamProcessorRequest"] == {"name": "front-door"}
    nowhere = delivery(LABEL, {}).document("aws")["inputInformation"]["kinesisVideo"]["streamArn"]
    assert nowhere == "arn:aws:kinesisvideo:us-east-1:000000000000:stream/front-door/0"


def test_pictures_that_are_nowhere_are_not_named() -> None:
    label = delivery(LABEL).document("aws", NOWHERE)["labels"][0]
    assert not {"frameImageUri", "croppedImageUri"} & label.keys()


def test_a_frame_without_faces_is_a_record_too() -> None:
    document = delivery(replace(RECORD, data={"faces": []})).document("aws")
    assert document["FaceSearchResponse"] == []
    assert document["StreamProcessorInformation"] == {"Status": "RUNNING"}


def test_an_unmatched_face_has_an_empty_list() -> None:
    (face,) = RECORD.data["faces"]
    document = delivery(replace(RECORD, data={"faces": [face | {"matches": []}]})).document("aws")
    assert document["FaceSearchResponse"][0]["MatchedFaces"] == []


# -- what goes where

NOTES = {"label_detected", "face_matched", "face_unknown", "source_gap", "camera_health", "session_complete"}


@pytest.mark.parametrize(
    ("ref", "labels", "faces", "expected"),
    [
        ({"type": "file"}, True, True, NOTES),
        ({"type": "file", "records": True}, True, True, NOTES | {"face_record"}),
        ({"type": "file", "records": True}, True, False, NOTES),
        ({"type": "kafka", "format": "aws"}, True, False, {"label_detected", "session_complete"}),
        ({"type": "kafka", "format": "aws"}, False, True, {"face_record"}),
        ({"type": "kafka", "format": "aws"}, True, True, {"label_detected", "session_complete", "face_record"}),
        ({"type": "kafka", "format": "aws", "records": False}, True, True, {"label_detected", "session_complete"}),
        ({"type": "kinesis"}, False, True, {"face_record"}),
        ({"type": "sns", "format": "aws"}, False, True, {"label_detected", "session_complete"}),
        ({"type": "sns", "format": "aws", "events": ["face_matched"]}, False, True, {"face_matched"}),
        ({"type": "webhook", "events": ["session_complete"]}, True, True, {"session_complete"}),
    ],
)
def test_who_takes_what(ref: dict[str, Any], labels: bool, faces: bool, expected: set[str]) -> None:
    assert event_types(ConnectorRef.model_validate(ref), labels=labels, faces=faces) == expected


def test_outputs_have_names_that_stay() -> None:
    refs = [{"type": "file"}, {"type": "webhook"}, {"type": "webhook"}, {"type": "webhook", "name": "chat"}]
    config = ProcessorConfig.model_validate({"source": {"type": "file"}, "labels": {}, "outputs": refs})
    keys = [output.key for output in outputs("door", config)]
    assert keys == ["door/file", "door/webhook", "door/webhook-2", "door/chat"]
    default = ConnectorRef.model_validate({"type": "stdout"})
    assert [item.key for item in outputs("door", config.model_copy(update={"outputs": ()}), [default])] == [
        "door/stdout"
    ]


def test_two_outputs_of_one_name_are_refused() -> None:
    refs = [{"type": "file", "name": "a"}, {"type": "webhook", "name": "a"}]
    config = ProcessorConfig.model_validate({"source": {"type": "file"}, "labels": {}, "outputs": refs})
    with pytest.raises(ValueError, match="'a'"):
        outputs("door", config)
