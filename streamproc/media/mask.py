"""Privacy masks: parts of the picture that are black before anybody or anything sees it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.media.orientation import Orientation

Points = tuple[tuple[float, float], ...]
"""Corners in 0..1 of the upright picture."""

_FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG."""
_REACH = 0.03
"""Of the longer side: so far beyond a region movement still counts."""
_SHIFT = 8
"""Corners are given to OpenCV in 1/256 of a pixel."""
_PLANAR_8BIT = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"})


class PrivacyMask:
    """The masks of one processor. Shared by everything that decodes its feed; other outlines count from the next picture on.

    Truthy while anything is masked.
    """

    def __init__(self, outlines: Sequence[Points] = (), regions: Sequence[Points] = ()) -> None:
        """``regions``: the only parts in which movement counts; none drawn: everywhere."""
        self.outlines = tuple(outlines)
        self.regions = tuple(regions)

    def adopt(self, other: PrivacyMask) -> None:
        """As another document has it from now on."""
        self.outlines, self.regions = other.outlines, other.regions

    def __bool__(self) -> bool:
        return bool(self.outlines)

    def applied(self, frame: Any, orientation: Orientation) -> Any:
        """``frame`` (an ``av.VideoFrame`` as decoded) with the masked parts black; a copy, for the decoder still predicts from its own.

        Of pixel formats that are not planar with 8 bits the copy is ``bgr24``.
        """
        if not self.outlines:
            return frame
        if frame.format.name not in _PLANAR_8BIT:
            frame = frame.reformat(format="bgr24")
        frame.make_writable()
        full = frame.format.name.startswith(("yuvj", "gray")) or int(frame.color_range) == _FULL_RANGE
        for index, plane in enumerate(frame.planes):
            self._paint(_pixels(plane, frame.format.name, index), orientation, _black(frame.format.name, index, full))
        return frame

    def where_it_counts(self, thumbnail: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """An upright grey thumbnail that is black outside the regions: a clock in the picture's corner is no movement."""
        if not self.regions:
            return thumbnail
        return np.asarray(cv2.bitwise_and(thumbnail, _regions(self.regions, *thumbnail.shape[:2])))

    def _paint(self, pixels: npt.NDArray[np.uint8], orientation: Orientation, black: Sequence[int]) -> None:
        height, width = pixels.shape[:2]
        for outline in self.outlines:
            corners = np.array([_stored(point, orientation, width, height) for point in outline])
            fixed = np.round((corners - 0.5) * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(pixels, [fixed], black, shift=_SHIFT)
            # The edge itself too, so that no pixel that is partly masked keeps anything of what it showed.
            cv2.polylines(pixels, [fixed], True, black, thickness=2, shift=_SHIFT)


@functools.lru_cache(maxsize=64)
def _regions(regions: tuple[Points, ...], height: int, width: int) -> npt.NDArray[np.uint8]:
    """255 within the regions and a little around them, 0 elsewhere: what is half inside moves at the border first."""
    inside = np.zeros((height, width), np.uint8)
    for outline in regions:
        cv2.fillPoly(inside, [np.round(np.array(outline) * (width, height)).astype(np.int32)], (255,))
    reach = 2 * round(_REACH * max(width, height)) + 1
    return np.asarray(cv2.dilate(inside, np.ones((reach, reach), np.uint8)))


def _pixels(plane: Any, pixel_format: str, index: int) -> npt.NDArray[np.uint8]:
    """The plane's memory as an array to write into: (h, w), or (h, w, channels) where channels lie side by side."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    if pixel_format == "bgr24":
        return rows[: plane.height, : plane.width * 3].reshape(plane.height, plane.width, 3)
    if pixel_format == "nv12" and index == 1:
        return rows[: plane.height, : plane.width * 2].reshape(plane.height, plane.width, 2)
    return rows[: plane.height, : plane.width]


def _black(pixel_format: str, index: int, full_range: bool) -> tuple[int, ...]:
    if pixel_format == "bgr24":
        return 0, 0, 0
    if index:
        return 128, 128
    return (0 if full_range else 16,)


def _stored(point: tuple[float, float], orientation: Orientation, width: int, height: int) -> tuple[float, float]:
    """Where a corner of the upright picture lies in a stored plane of that size, in pixels."""
    x, y = point
    x, y = (1 - x if orientation.flipped_x else x), (1 - y if orientation.flipped_y else y)
    x, y = (y, x) if orientation.transposed else (x, y)
    return x * width, y * height
