"""The pictures of a request: bytes in it, or an object of a bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streamproc.aws.core import Core
from streamproc.aws.faults import invalid_parameter

# What each attribute of a request adds to a face's details.
_ATTRIBUTE_MEMBERS = {
    "AGE_RANGE": "AgeRange",
    "BEARD": "Beard",
    "EMOTIONS": "Emotions",
    "EYE_DIRECTION": "EyeDirection",
    "EYEGLASSES": "Eyeglasses",
    "EYES_OPEN": "EyesOpen",
    "GENDER": "Gender",
    "MOUTH_OPEN": "MouthOpen",
    "MUSTACHE": "Mustache",
    "FACE_OCCLUDED": "FaceOccluded",
    "SMILE": "Smile",
    "SUNGLASSES": "Sunglasses",
}


async def fetch(core: Core, image: Mapping[str, Any], path: str = "Image") -> bytes:
    """The picture's bytes. Raises AwsFault."""
    if ("Bytes" in image) == ("S3Object" in image):
        raise invalid_parameter(f"Request has invalid parameters. {path} must have exactly one of Bytes and S3Object.")
    if "Bytes" in image:
        data: bytes = image["Bytes"]
        return data
    return await core.buckets.read(image["S3Object"], core.limits.max_image_bytes)


def wants_attributes(asked: Iterable[str]) -> bool:
    """Whether more than the default details are asked for."""
    return any(name != "DEFAULT" for name in asked)


def keep_asked(detail: dict[str, Any], asked: Iterable[str]) -> dict[str, Any]:
    """A FaceDetail without the attributes that were not asked for. ALL asks for every one."""
    wanted = set(asked)
    if "ALL" in wanted:
        return detail
    dropped = {member for name, member in _ATTRIBUTE_MEMBERS.items() if name not in wanted}
    return {name: value for name, value in detail.items() if name not in dropped}
