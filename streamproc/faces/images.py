"""Photos as people send them: JPEG or PNG, upright, whole, of a sensible size. Everything else gets a clear answer."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from streamproc.core.errors import MediaError
from streamproc.core.media import Image

MAX_PIXELS: Final = 120_000_000
_MIN_SIDE: Final = 16
_REDUCE_ABOVE: Final = 24_000_000
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_OTHER_KINDS: Final = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"%PDF", "a PDF"),
    (b"II*\x00", "a TIFF"),
    (b"MM\x00*", "a TIFF"),
)


class InvalidImageFormat(MediaError):
    """No JPEG or PNG, or not all of it."""


class ImageTooLarge(MediaError):
    """More bytes or pixels than are taken."""


class ImageTooSmall(MediaError):
    """Too few pixels to see anything in."""


@dataclass(frozen=True, slots=True)
class Photo:
    """A decoded picture."""

    image: Image
    """Upright (EXIF orientation applied). Photos beyond 24 megapixels are decoded at half or quarter size."""


def decode(data: bytes, *, max_bytes: int | None = None) -> Photo:
    """Decode a JPEG or PNG. Raises InvalidImageFormat, ImageTooLarge or ImageTooSmall with what is wrong."""
    if not data:
        raise InvalidImageFormat("the file is empty; give a JPEG or PNG")
    if max_bytes is not None and len(data) > max_bytes:
        raise ImageTooLarge(f"{len(data):,} bytes, at most {max_bytes:,} are taken; send a smaller picture")
    width, height = size(data)
    if width * height > MAX_PIXELS:
        raise ImageTooLarge(f"{width}x{height} pixels, at most {MAX_PIXELS // 1_000_000} megapixels are taken")
    if min(width, height) < _MIN_SIDE:
        raise ImageTooSmall(f"{width}x{height} pixels is too small; the shorter side needs {_MIN_SIDE}")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _mode(width * height))
    except cv2.error:  # the decoder has limits of its own
        image = None
    if image is None:
        raise InvalidImageFormat("the picture is damaged and cannot be decoded")
    return Photo(np.ascontiguousarray(image))


def size(data: bytes) -> tuple[int, int]:
    """(width, height) as stored, after walking through the file to its end. Raises InvalidImageFormat."""
    if data[:2] == b"\xff\xd8":
        return _jpeg_size(data)
    if data[:8] == _PNG:
        return _png_size(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = "a WebP"
    elif data[4:12] in (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1"):
        kind = "a HEIC"
    else:
        kind = next((name for magic, name in _OTHER_KINDS if data.startswith(magic)), "not a picture")
    raise InvalidImageFormat(f"the file is {kind}; give a JPEG or PNG (the contents count, not the file's name)")


def _mode(pixels: int) -> int:
    # libjpeg scales while it decodes: a 50 megapixel photo then costs a quarter of the time and memory.
    if pixels > 4 * _REDUCE_ABOVE:
        return int(cv2.IMREAD_REDUCED_COLOR_4)
    return int(cv2.IMREAD_REDUCED_COLOR_2 if pixels > _REDUCE_ABOVE else cv2.IMREAD_COLOR)


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Walk the markers of ITU T.81 annex B; a decoder would fill a truncated picture with grey and say nothing."""
    found: tuple[int, int] | None = None
    at, end = 2, len(data)
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= end:
            raise InvalidImageFormat("the JPEG is cut off: its end is missing")
        marker = data[at + 1]
        if marker == 0xD9:
            break
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > end:
            raise InvalidImageFormat("the JPEG is cut off: its end is missing")
        length = struct.unpack_from(">H", data, at + 2)[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= end:
            if found is not None:  # a decoder may believe the other one, and ask for the memory of it
                raise InvalidImageFormat("the JPEG has two frame headers; save the picture anew")
            height, width = struct.unpack_from(">HH", data, at + 5)
            found = (int(width), int(height))
        at += 2 + length
    if found is None or 0 in found:
        raise InvalidImageFormat("the JPEG has no picture in it")
    return found


def _png_size(data: bytes) -> tuple[int, int]:
    """Walk the chunks of a PNG (ISO/IEC 15948) to IEND."""
    at = 8
    found: tuple[int, int] | None = None
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        if kind == b"IHDR" and length >= 8:
            if found is not None:  # a decoder may believe the other one, and ask for the memory of it
                raise InvalidImageFormat("the PNG has two headers; save the picture anew")
            width, height = struct.unpack_from(">II", data, at + 8)
            found = (int(width), int(height))
        if kind == b"IEND" and found is not None and 0 not in found:
            return found
        at += 12 + length
    raise InvalidImageFormat("the PNG is cut off or damaged: its end is missing")
