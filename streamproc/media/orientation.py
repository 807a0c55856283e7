"""How a stored picture is turned and mirrored to be seen: one of the eight symmetries of a rectangle.

The display matrix of a container or bitstream is row-major, ``[a b u; c d v; x y w]``, in 16.16 fixed point (ISO/IEC 14496-12, 6.2.2): a stored
point goes to ``(a*x + c*y, b*x + d*y)``. FFmpeg's own angle of it leaves out whether the picture is mirrored as well.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import SideDataContainer
from av.sidedata.sidedata import Type as SideData

Pixels = npt.NDArray[np.uint8]
Rectangle = tuple[int, int, int, int]
"""Pixel corners: left, top, right, bottom."""

_MATRIX_BYTES = 36


def _unnamed(cls: type[SideData], value: object) -> SideData | None:
    """A member for a kind of side data that this PyAV has no name for."""
    if not isinstance(value, int):
        return None
    member = object.__new__(cls)
    member._name_ = f"UNNAMED_{value}"
    member._value_ = value  # type: ignore[assignment]  # what the stub says of it
    return member


# FFmpeg attaches more kinds than PyAV's enumeration knows (EXIF of photographs, views of spatial video), and without this hook of it no side data
# at all can be read of such a frame.
SideData._missing_ = classmethod(_unnamed)  # type: ignore[assignment,method-assign]


@dataclass(frozen=True, slots=True)
class Orientation:
    """What is done to a stored picture, in this order, so that it stands as it is to be seen."""

    transposed: bool = False
    """Rows become columns."""
    flipped_x: bool = False
    """Left becomes right."""
    flipped_y: bool = False
    """Top becomes bottom."""

    @classmethod
    def from_matrix(cls, a: float, b: float, c: float, d: float) -> Orientation:
        """From the linear part of a display matrix; angles between quarter turns go to the nearest."""
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @classmethod
    def of_frame(cls, frame: Any) -> Orientation:
        """Of an ``av.VideoFrame``; as stored where it has no display matrix."""
        # Not ``frame.side_data``: the frame keeps that container, which refers to the frame, and megabytes wait for the garbage collector.
        data = SideDataContainer(frame).get(SideData.DISPLAYMATRIX)  # type: ignore[call-arg]  # its stub names no argument
        if data is None:
            return STORED
        raw = bytes(data)
        if len(raw) < _MATRIX_BYTES:
            return STORED
        a, b, _, c, d, *_ = struct.unpack_from("<9i", raw)
        return cls.from_matrix(a, b, c, d)

    @property
    def altered(self) -> bool:
        """Whether anything is done at all."""
        return self.transposed or self.flipped_x or self.flipped_y

    @property
    def mirrored(self) -> bool:
        """Whether no turn alone does it."""
        return self.transposed ^ self.flipped_x ^ self.flipped_y

    @property
    def degrees(self) -> int:
        """The counter-clockwise turn, 0, 90, 180 or 270; of a mirrored picture the one after mirroring left and right."""
        if self.transposed:
            return 270 if self.flipped_x else 90
        return 180 if self.flipped_y else 0

    def apply(self, image: Pixels) -> Pixels:
        """A stored (height, width[, channels]) picture as it is to be seen. A new array, or ``image`` itself where nothing is done."""
        if self.transposed:
            image = np.asarray(cv2.transpose(image))
        if self.flipped_x or self.flipped_y:
            code = -1 if self.flipped_x and self.flipped_y else 1 if self.flipped_x else 0
            image = np.asarray(cv2.flip(image, code))
        return image

    def stored(self, rectangle: Rectangle, width: int, height: int) -> Rectangle:
        """Where a rectangle of the seen picture (``width`` x ``height``) lies in the stored one."""
        left, top, right, bottom = rectangle
        if self.flipped_x:
            left, right = width - right, width - left
        if self.flipped_y:
            top, bottom = height - bottom, height - top
        return (top, left, bottom, right) if self.transposed else (left, top, right, bottom)


STORED = Orientation()
"""Seen as it is stored."""
