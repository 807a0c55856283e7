"""JPEG out of pictures and arrays."""

from __future__ import annotations

import cv2
import numpy as np

from streamproc.core.errors import MediaError
from streamproc.core.media import Image, Picture

FRAME_QUALITY = 85
CROP_QUALITY = 92


def encode(image: Image, quality: int = FRAME_QUALITY) -> bytes:
    """JPEG of a (height, width, 3) BGR array. The same array always gives the same bytes."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise MediaError(f"a picture of {image.shape} cannot be written as JPEG")
    return bytes(data)


def encode_frame(picture: Picture, quality: int = FRAME_QUALITY) -> bytes:
    """The whole upright picture at its own size."""
    return encode(picture.bgr(), quality)


def encode_crop(
    picture: Picture, box: tuple[float, float, float, float], margin: float = 0.0, quality: int = CROP_QUALITY
) -> bytes:
    """The part within ``box`` (ratios) at native resolution, widened by ``margin`` of its own size on each side."""
    left, top, right, bottom = box
    across, down = (right - left) * margin, (bottom - top) * margin
    return encode(picture.crop((left - across, top - down, right + across, bottom + down)), quality)


def decode(data: bytes) -> Image:
    """An image file's bytes (JPEG, PNG...) as an upright BGR array. Raises MediaError where they are none."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise MediaError("these bytes are no image that can be read")
    return np.asarray(image)
