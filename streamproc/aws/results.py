"""Live results in the service's own words: the SNS messages of label detection and the records of face search.

Shapes after the developer guide's pages on streaming label detection and on streaming video results. Where the guide is silent the
choice is stated beside the code.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any

from streamproc.contracts import Delivery, Images
from streamproc.core.event import Event, EventType
from streamproc.core.vision import Box

_NAMESPACES = {
    EventType.LABEL_DETECTED: "LABEL_DETECTED",
    EventType.SESSION_COMPLETE: "STREAM_PROCESSING_COMPLETE",
    # The service has no messages for these; they come in the same envelope, only where an output asks for them by name.
    EventType.FACE_MATCHED: "FACE_MATCHED",
    EventType.FACE_UNKNOWN: "FACE_UNKNOWN",
    EventType.SOURCE_GAP: "SOURCE_GAP",
    EventType.CAMERA_HEALTH: "CAMERA_HEALTH",
}
_LANDMARKS = ("eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight")
_LABEL_IDS = uuid.UUID("6a4bd1f8-2a43-5f2b-9a57-6d0c51f5b0c1")


def render_aws(delivery: Delivery, images: Images) -> dict[str, Any]:
    """A renderer of form ``aws``: a face search record (PascalCase), or a notification (lower camel case)."""
    if delivery.event.type is EventType.FACE_RECORD:
        return _face_record(delivery)
    if delivery.event.type is EventType.JOB_COMPLETE:
        return dict(delivery.event.data["message"])
    return _notification(delivery, images)


def _notification(delivery: Delivery, images: Images) -> dict[str, Any]:
    event = delivery.event
    video: dict[str, Any] = {"streamArn": stream_arn(delivery)}
    document: dict[str, Any] = {
        "inputInformation": {"kinesisVideo": video},
        "eventNamespace": {"type": _NAMESPACES[event.type]},
    }
    match event.type:
        case EventType.LABEL_DETECTED:
            document["labels"] = [_seen(event, images)]
        case EventType.FACE_MATCHED | EventType.FACE_UNKNOWN:
            document["faces"] = [_seen(event, images)]
        case EventType.SOURCE_GAP:
            document["sourceGap"] = {key: event.data[key] for key in ("reason", "seconds") if key in event.data}
        case EventType.CAMERA_HEALTH:
            document["cameraHealth"] = dict(event.data)
        case EventType.SESSION_COMPLETE:
            video["processedVideoDurationMillis"] = round(1000 * float(event.data.get("processed_s", 0.0)))
            document["streamProcessingResults"] = {"message": str(event.data.get("message", ""))}
    document["eventId"] = event.id
    document["tags"] = dict(delivery.context.get("tags") or {})
    document["sessionId"] = event.session
    document["startStreamProcessorRequest"] = _start_request(delivery)
    return document


def _seen(event: Event, images: Images) -> dict[str, Any]:
    """One entry of ``labels`` (or ``faces``)."""
    entry: dict[str, Any] = {"id": str(uuid.uuid5(_LABEL_IDS, event.id))}
    name = event.label or event.person
    if name is not None:
        entry["name"] = name
    if event.confidence is not None:
        entry["confidence"] = round(event.confidence, 4)
    if event.has_pictures and images.frame is not None:
        entry["frameImageUri"] = _uri(images.frame)
    if event.has_pictures and images.crop is not None:
        entry["croppedImageUri"] = _uri(images.crop)
    entry["videoMapping"] = {"kinesisVideoMapping": _video_mapping(event)}
    if event.box is not None:
        box = event.box.clipped()
        entry["boundingBox"] = {
            "left": round(box.left, 6),
            "top": round(box.top, 6),
            "height": round(box.height, 6),
            "width": round(box.width, 6),
        }
    return entry


def _video_mapping(event: Event) -> dict[str, Any]:
    """Times in epoch milliseconds. A feed without fragments counts every frame as a fragment that begins with it."""
    number, producer, server, offset_s = _fragment(event)
    return {
        "fragmentNumber": number,
        "serverTimestamp": _millis(server),
        "producerTimestamp": _millis(producer),
        "frameOffsetMillis": round(offset_s * 1000),
    }


def _face_record(delivery: Delivery) -> dict[str, Any]:
    """Times in epoch seconds, as face search has them."""
    event = delivery.event
    number, producer, server, offset_s = _fragment(event)
    return {
        "InputInformation": {
            "KinesisVideo": {
                "StreamArn": stream_arn(delivery),
                "FragmentNumber": number,
                "ServerTimestamp": _millis(server) / 1000,
                "ProducerTimestamp": _millis(producer) / 1000,
                "FrameOffsetInSeconds": round(offset_s, 6),
            }
        },
        "StreamProcessorInformation": {"Status": "RUNNING"},
        "FaceSearchResponse": [_face_entry(face) for face in event.data.get("faces", ())],
    }


def _face_entry(face: Mapping[str, Any]) -> dict[str, Any]:
    """One face as ``core.records.face_record_data`` has it."""
    pose, quality = face["pose"], face["quality"]
    return {
        "DetectedFace": {
            "BoundingBox": bounding_box(Box(*face["box"])),
            "Confidence": face["confidence"],
            "Landmarks": [
                {"X": x, "Y": y, "Type": kind} for (x, y), kind in zip(face["landmarks"], _LANDMARKS, strict=True)
            ],
            "Pose": {"Pitch": pose["pitch"], "Roll": pose["roll"], "Yaw": pose["yaw"]},
            "Quality": {"Brightness": quality["brightness"], "Sharpness": quality["sharpness"]},
        },
        "MatchedFaces": [_matched(match) for match in face["matches"]],
    }


def _matched(match: Mapping[str, Any]) -> dict[str, Any]:
    face: dict[str, Any] = {
        "BoundingBox": bounding_box(Box(*match["box"])),
        "FaceId": match["face_id"],
        "Confidence": match["confidence"],
        "ImageId": match["image_id"],
    }
    if match.get("external_image_id"):
        face["ExternalImageId"] = match["external_image_id"]
    return {"Similarity": match["similarity"], "Face": face}


def bounding_box(box: Box) -> dict[str, float]:
    """The service's box: ratios of the frame; may reach beyond it."""
    return {
        "Height": round(box.height, 6),
        "Width": round(box.width, 6),
        "Left": round(box.left, 6),
        "Top": round(box.top, 6),
    }


def stream_arn(delivery: Delivery) -> str:
    """The video stream's ARN: the client's own where it gave one, else one after the processor's name."""
    given = delivery.context.get("stream_arn")
    if given:
        return str(given)
    parts = str(delivery.context.get("arn", "")).split(":")
    partition, region, account = (parts[1], parts[3], parts[4]) if len(parts) > 5 else ("aws", "us-east-1", "0" * 12)
    return f"arn:{partition}:kinesisvideo:{region}:{account}:stream/{delivery.event.processor}/0"


def _fragment(event: Event) -> tuple[str, datetime, datetime, float]:
    """Number, producer and server time, offset in seconds."""
    mark = event.fragment
    if mark is not None:
        return mark.number, mark.producer, mark.server, event.offset_s
    return str(_millis(event.at.wall)), event.at.wall, event.at.wall, 0.0


def _millis(instant: datetime) -> int:
    return round((instant - datetime.fromtimestamp(0, instant.tzinfo)) / timedelta(milliseconds=1))


def _uri(place: str) -> str:
    return place if "://" in place else PurePath(place).as_uri()


def _start_request(delivery: Delivery) -> dict[str, Any]:
    """The Start call as it came, keys in lower camel case (the guide says only: object)."""
    request = delivery.context.get("start_request") or {"Name": delivery.event.processor}
    lowered: dict[str, Any] = _lower_keys(request)
    return lowered


def _lower_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_lower(str(key)): _lower_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_lower_keys(item) for item in value]
    return value


def _lower(key: str) -> str:
    """``MaxDurationInSeconds`` to ``maxDurationInSeconds``, ``KVSStreamStartSelector`` to ``kvsStreamStartSelector``."""
    head = len(key) - len(key.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    if head == 0:
        return key
    cut = head if head in (1, len(key)) else head - 1
    return key[:cut].lower() + key[cut:]
