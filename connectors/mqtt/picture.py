"""A picture small enough for a broker and for a phone."""

from __future__ import annotations

import cv2

from streamproc.media.jpeg import decode, encode

MAX_BYTES = 200_000
_QUALITIES = (85, 75, 60, 45)
_SMALLEST = 160
"""Pixels; nothing is made smaller than that."""


def fitting(jpeg: bytes, limit: int = MAX_BYTES) -> bytes:
    """``jpeg`` itself where it is small enough, else a smaller one of at most ``limit`` bytes: quality first, then size."""
    if len(jpeg) <= limit:
        return jpeg
    image = decode(jpeg)
    while True:
        for quality in _QUALITIES:
            smaller = encode(image, quality)
            if len(smaller) <= limit:
                return smaller
        height, width = image.shape[:2]
        if min(height, width) <= _SMALLEST:
            return smaller
        image = cv2.resize(image, (max(1, width * 3 // 4), max(1, height * 3 // 4)), interpolation=cv2.INTER_AREA)
