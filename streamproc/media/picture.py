"""Pictures whose pixels are converted only when somebody looks, and never more of them than are looked at.

Planes of YUV frames are shrunk first and the few pixels that are left are converted: half the cost of converting by
swscale, with the same freedom from aliasing (halved by 2x2 means until less than a factor of two is left).
"""

from __future__ import annotations

import functools
import math
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.media import Image
from streamproc.media.mask import PrivacyMask
from streamproc.media.orientation import Orientation

Plane = npt.NDArray[np.uint8]

PLANAR = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gray", "nv12"}
"""Pixel formats whose planes are shrunk before they are converted; others go through swscale."""
_FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG."""
MAX_SIDE = 4096
"""A picture is not stretched to square pixels beyond this, whatever aspect its pixels claim."""
_KR_KB = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Luma weights by FFmpeg's AVCOL_SPC number (ITU-T H.273 table 4)."""


def fit(width: int, height: int, max_width: int | None, max_height: int | None) -> tuple[int, int]:
    """The largest size of the same aspect within the limits; never larger than the picture itself, at least 1 x 1."""
    scale = min(1.0, (max_width or width) / width, (max_height or height) / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def square_size(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """The size in square pixels of a stored picture: the side along which pixels are long grows, so that nothing is lost."""
    if not aspect or aspect <= 0 or aspect == 1:
        return width, height
    square = (max(1, round(width * aspect)), height) if aspect > 1 else (width, max(1, round(height / aspect)))
    return fit(*square, max(MAX_SIDE, width), max(MAX_SIDE, height))


def pixel_rectangle(box: tuple[float, float, float, float], width: int, height: int) -> tuple[int, int, int, int]:
    """Pixel corners (x0, y0, x1, y1) that cover a box of ratios, clipped to the picture and at least one pixel wide and high."""
    left, top, right, bottom = box
    x0 = min(width - 1, max(0, math.floor(left * width + 1e-6)))
    y0 = min(height - 1, max(0, math.floor(top * height + 1e-6)))
    x1 = min(width, max(x0 + 1, math.ceil(right * width - 1e-6)))
    y1 = min(height, max(y0 + 1, math.ceil(bottom * height - 1e-6)))
    return x0, y0, x1, y1


def shrink(plane: npt.NDArray[Any], width: int, height: int) -> npt.NDArray[Any]:
    """``plane`` resized to exactly that size, without aliasing and cheaply: exact halves first, then linear."""
    while plane.shape[1] >= 2 * width and plane.shape[0] >= 2 * height:
        half = (plane.shape[1] // 2, plane.shape[0] // 2)
        # Linear sampling at exactly half the size is the mean of 2x2 pixels; an odd last row or column is left out.
        plane = cv2.resize(plane[: half[1] * 2, : half[0] * 2], half, interpolation=cv2.INTER_LINEAR)
    if plane.shape[1] == width and plane.shape[0] == height:
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


def _thumbnail(plane: Plane, width: int, height: int) -> Plane:
    """A new array of exactly that size from a thin sample of the pixels: good enough to see change, and a tenth of the cost."""
    if plane.shape[1] > 2 * width and plane.shape[0] > 2 * height:
        plane = np.asarray(cv2.resize(plane, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))


@functools.cache
def _yuv_to_bgr(space: int, full_range: bool) -> npt.NDArray[np.float32]:
    """(3, 4) matrix from 8-bit Y, U, V to B, G, R (ITU-T H.273 equations 47-58)."""
    kr, kb = _KR_KB[space]
    kg = 1 - kr - kb
    luma, chroma, black = (1.0, 1.0, 0.0) if full_range else (255 / 219, 255 / 224, 16.0)
    blue_u, red_v = 2 * (1 - kb) * chroma, 2 * (1 - kr) * chroma
    green_u, green_v = -blue_u * kb / kg, -red_v * kr / kg
    rows = [[luma, blue_u, 0.0], [luma, green_u, green_v], [luma, 0.0, red_v]]
    return np.array([[*row, -row[0] * black - (row[1] + row[2]) * 128] for row in rows], np.float32)


class AvPicture:
    """The picture of one ``av.VideoFrame``: upright by its display matrix, in square pixels by its sample aspect ratio."""

    def __init__(self, frame: Any, aspect: Fraction | None = None, mask: PrivacyMask | None = None) -> None:
        """``aspect``: width over height of one stored pixel; None or zero where the stream does not say (square). ``mask``: what is
        black before any pixel is looked at."""
        self._decoded = frame
        self._mask = mask if mask else None
        self._counts = mask if mask is not None and mask.regions else None
        self.aspect = aspect
        self.orientation = Orientation.of_frame(frame)
        self._square = square_size(int(frame.width), int(frame.height), aspect)
        self._cache: dict[tuple[int, int], Image] = {}
        self._thumbnail: Plane | None = None

    @property
    def _frame(self) -> Any:
        """The only way to the pixels: what is masked is painted over when somebody first looks."""
        if self._mask is not None:
            self._decoded, self._mask = self._mask.applied(self._decoded, self.orientation), None
        return self._decoded

    @property
    def _planar(self) -> bool:
        return self._frame.format.name in PLANAR

    @property
    def frame(self) -> Any:
        """The ``av.VideoFrame`` as it was decoded, masked."""
        return self._frame

    @property
    def as_stored(self) -> bool:
        """Whether it is seen just as it was decoded: not turned, mirrored or stretched."""
        return (self.width, self.height) == (self._frame.width, self._frame.height) and not self.orientation.altered

    @property
    def width(self) -> int:
        return self._square[1] if self.orientation.transposed else self._square[0]

    @property
    def height(self) -> int:
        return self._square[0] if self.orientation.transposed else self._square[1]

    def upright_frame(self) -> Any:
        """An ``av.VideoFrame`` as it is seen; the decoded one itself where that is the same."""
        return self._frame if self.as_stored else av.VideoFrame.from_ndarray(self.bgr(), format="bgr24")

    def bgr(self, max_width: int | None = None, max_height: int | None = None) -> Image:
        """See ``core.media.Picture``. The array is shared with other callers: do not write into it."""
        size = fit(self.width, self.height, max_width, max_height)
        image = self._cache.get(size)
        if image is None:
            raw = size[::-1] if self.orientation.transposed else size
            image = self.orientation.apply(self._convert(raw) if self._planar else self._scale(raw, "bgr24"))
            image.setflags(write=False)
            self._cache[size] = image
        return image

    def luma(self, width: int, height: int) -> Plane:
        """See ``core.media.Picture``. The array is shared with others who ask for that size: do not write into it."""
        if self._thumbnail is None or self._thumbnail.shape != (height, width):
            raw = (height, width) if self.orientation.transposed else (width, height)
            plane = _thumbnail(self._plane(0), *raw) if self._planar else self._scale(raw, "gray")
            upright = self.orientation.apply(plane)
            self._thumbnail = upright if self._counts is None else self._counts.where_it_counts(upright)
            self._thumbnail.setflags(write=False)
        return self._thumbnail

    def crop(self, box: tuple[float, float, float, float]) -> Image:
        """See ``core.media.Picture``."""
        x0, y0, x1, y1 = pixel_rectangle(box, self.width, self.height)
        if not self._planar or (self.width, self.height) in self._cache:
            return self.bgr()[y0:y1, x0:x1].copy()
        across, down = self._square
        left, top, right, bottom = self.orientation.stored((x0, y0, x1, y1), self.width, self.height)
        if self._square == (self._frame.width, self._frame.height):
            return self.orientation.apply(self._native(left, top, right, bottom))
        part = self._native(
            left * self._frame.width // across,
            top * self._frame.height // down,
            -(-right * self._frame.width // across),
            -(-bottom * self._frame.height // down),
        )
        return self.orientation.apply(np.asarray(cv2.resize(part, (right - left, bottom - top)), np.uint8))

    def _plane(self, index: int) -> Plane:
        plane = self._frame.planes[index]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        return rows[: plane.height, : plane.width]

    def _chroma(self) -> npt.NDArray[np.uint8] | None:
        """(h, w, 2) interleaved U and V of NV12; None for other layouts."""
        if self._frame.format.name != "nv12":
            return None
        plane = self._frame.planes[1]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
        height, width = (self._frame.height + 1) // 2, (self._frame.width + 1) // 2
        return rows[:height, : width * 2].reshape(height, width, 2)

    def _matrix(self) -> npt.NDArray[np.float32]:
        space = int(self._frame.colorspace)
        if space not in _KR_KB:
            # Untagged: by size, as players do. 10 is BT.2020 constant luminance, near enough to 9.
            space = 9 if space == 10 else 1 if max(self._frame.width, self._frame.height) >= 1280 else 6
        full = self._frame.format.name.startswith("yuvj") or int(self._frame.color_range) == _FULL_RANGE
        return _yuv_to_bgr(space, full)

    def _convert(self, size: tuple[int, int]) -> Image:
        """The whole raw picture at ``size`` (width, height)."""
        luma = shrink(self._plane(0), *size)
        if len(self._frame.planes) == 1:
            return _gray_to_bgr(luma)
        both = self._chroma()
        if both is not None:
            chroma = list(cv2.split(shrink(both, *size)))
        else:
            chroma = [shrink(self._plane(index), *size) for index in (1, 2)]
        return np.asarray(cv2.transform(cv2.merge([luma, *chroma]), self._matrix()))

    def _native(self, x0: int, y0: int, x1: int, y1: int) -> Image:
        """A rectangle of the raw picture at its own resolution."""
        luma = self._plane(0)[y0:y1, x0:x1]
        if len(self._frame.planes) == 1:
            return _gray_to_bgr(luma)
        both = self._chroma()
        planes = [both[..., 0], both[..., 1]] if both is not None else [self._plane(1), self._plane(2)]
        across = 2 if planes[0].shape[1] < self._frame.width else 1
        down = 2 if planes[0].shape[0] < self._frame.height else 1
        chroma = []
        for plane in planes:
            part = plane[y0 // down : (y1 + down - 1) // down, x0 // across : (x1 + across - 1) // across]
            part = part.repeat(across, axis=1) if across > 1 else part
            part = part.repeat(down, axis=0) if down > 1 else part
            top, left = y0 % down, x0 % across
            chroma.append(part[top : top + y1 - y0, left : left + x1 - x0])
        return np.asarray(cv2.transform(cv2.merge([luma, *chroma]), self._matrix()))

    def _scale(self, size: tuple[int, int], pixel_format: str) -> npt.NDArray[np.uint8]:
        """Any pixel format, by swscale."""
        frame = self._frame.reformat(size[0], size[1], pixel_format, interpolation="AREA")
        return np.asarray(frame.to_ndarray(), np.uint8)


class ArrayPicture:
    """A picture that is an array already: a photograph, a test image, an upright WebRTC frame."""

    def __init__(self, image: Image) -> None:
        """``image``: (height, width, 3) uint8 BGR, upright; kept, not copied."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"expected (height, width, 3) uint8, got {image.shape} {image.dtype}")
        self._image = image
        self._cache: dict[tuple[int, int], Image] = {}

    @property
    def width(self) -> int:
        return int(self._image.shape[1])

    @property
    def height(self) -> int:
        return int(self._image.shape[0])

    def bgr(self, max_width: int | None = None, max_height: int | None = None) -> Image:
        """See ``core.media.Picture``."""
        size = fit(self.width, self.height, max_width, max_height)
        if size == (self.width, self.height):
            return self._image
        if size not in self._cache:
            self._cache[size] = np.asarray(shrink(self._image, *size))
        return self._cache[size]

    def luma(self, width: int, height: int) -> Plane:
        """See ``core.media.Picture``."""
        return np.asarray(cv2.cvtColor(shrink(self._image, width, height), cv2.COLOR_BGR2GRAY))

    def crop(self, box: tuple[float, float, float, float]) -> Image:
        """See ``core.media.Picture``."""
        x0, y0, x1, y1 = pixel_rectangle(box, self.width, self.height)
        return self._image[y0:y1, x0:x1].copy()


def _gray_to_bgr(luma: Plane) -> Image:
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(luma), cv2.COLOR_GRAY2BGR))
