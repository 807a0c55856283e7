"""Single pictures of a stream, as GetImages gives them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import cv2

from streamproc.core.errors import InputError, MediaError
from streamproc.core.media import EPOCH, Image, Moment, Packet, Picture
from streamproc.kinesis.index import Clock
from streamproc.media.decode import Decoder
from streamproc.media.demux import Coded
from streamproc.media.fragments import Fragment, read_fragment
from streamproc.media.jpeg import encode

DEFAULT_INTERVAL_MS, LEAST_INTERVAL_MS = 3000, 200
DEFAULT_PAGE = 25
"""The service's."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """What GetImages is asked for."""

    clock: Clock
    begin_ms: int
    end_ms: int
    interval_ms: int
    is_png: bool
    quality: int
    width: int | None
    height: int | None
    most: int
    """Images a page."""

    @staticmethod
    def of(members: Mapping[str, Any]) -> ImageRequest:
        """Raises InputError."""
        interval = members.get("SamplingInterval", DEFAULT_INTERVAL_MS)
        if interval < LEAST_INTERVAL_MS:
            raise InputError(f"SamplingInterval is at least {LEAST_INTERVAL_MS} ms.")
        begin, end = (round(members[name] * 1000) for name in ("StartTimestamp", "EndTimestamp"))
        if end < begin:
            raise InputError("EndTimestamp lies before StartTimestamp.")
        quality = str((members.get("FormatConfig") or {}).get("JPEGQuality", "80"))
        if not quality.isdigit() or not 1 <= int(quality) <= 100:
            raise InputError("JPEGQuality is a number from 1 to 100.")
        return ImageRequest(
            "producer_ms" if members["ImageSelectorType"] == "PRODUCER_TIMESTAMP" else "server_ms",
            begin,
            end,
            interval,
            members["Format"] == "PNG",
            int(quality),
            members.get("WidthPixels"),
            members.get("HeightPixels"),
            min(members.get("MaxResults", DEFAULT_PAGE), 100),
        )


def instants(request: ImageRequest) -> list[int]:
    """The instants asked for, in milliseconds."""
    return list(range(request.begin_ms, request.end_ms + 1, request.interval_ms))


def image_at(data: bytes, offset_ms: int, request: ImageRequest) -> str | None:
    """The picture that is seen ``offset_ms`` after the fragment's first, as base64; None where it cannot be decoded."""
    try:
        fragment = read_fragment(data, "the fragment")
    except MediaError:
        return None
    picture = _seen_at(fragment, Fraction(offset_ms, 1000))
    if picture is None:
        return None
    image = picture.bgr(request.width, request.height)
    content = _png(image) if request.is_png else encode(image, request.quality)
    return base64.b64encode(content).decode("ascii")


def _seen_at(fragment: Fragment, offset: Fraction) -> Picture | None:
    decoder, found = Decoder(), None
    last = len(fragment.units) - 1
    for index, unit in enumerate(fragment.units):
        moment = Moment(unit.offset, EPOCH)
        packet = Packet(
            Coded(unit.raw, fragment.track), moment, unit.raw.size, unit.raw.is_keyframe, ends=index == last
        )
        for frame in decoder.decode(packet):
            if frame.at.media > offset and found is not None:
                return found
            found = frame.picture
    return found


def _png(image: Image) -> bytes:
    return bytes(cv2.imencode(".png", image)[1])
