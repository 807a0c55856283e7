"""Lazy pictures against swscale's own conversion, for sizes, turns and colour tags."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from streamproc.core.errors import MediaError
from streamproc.media import jpeg
from streamproc.media.picture import ArrayPicture, AvPicture, fit, pixel_rectangle


def scene(width: int = 320, height: int = 180) -> np.ndarray:
    """A smooth BGR picture whose corners all differ."""
    across = np.linspace(20, 230, width, dtype=np.float32)[None, :].repeat(height, 0)
    down = np.linspace(10, 240, height, dtype=np.float32)[:, None].repeat(width, 1)
    return np.stack([across, down, 255 - (across + down) / 2], axis=2).astype(np.uint8)


def frame(pixel_format: str, image: np.ndarray | None = None) -> av.VideoFrame:
    source = av.VideoFrame.from_ndarray(scene() if image is None else image, format="bgr24")
    return source.reformat(format=pixel_format)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


@pytest.mark.parametrize(
    "pixel_format", ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuvj420p", "yuv420p10le", "rgb24", "yuv410p"]
)
def test_any_pixel_format_gives_the_picture_back(pixel_format: str) -> None:
    picture = AvPicture(frame(pixel_format))
    assert difference(picture.bgr(), scene()) < 3
    assert difference(picture.bgr(80, 80), cv2.resize(scene(), (80, 45), interpolation=cv2.INTER_AREA)) < 3


@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "rgb24"])
@pytest.mark.parametrize(
    "box", [(0.1, 0.2, 0.53, 0.71), (0.0, 0.0, 1.0, 1.0), (-0.5, 0.9, 2.0, 3.0), (0.5, 0.5, 0.5, 0.5)]
)
def test_crop_is_the_same_pixels_as_the_whole(pixel_format: str, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = pixel_rectangle(box, 320, 180)
    assert difference(AvPicture(frame(pixel_format)).crop(box), AvPicture(frame(pixel_format)).bgr()[y0:y1, x0:x1]) < 2


@pytest.mark.parametrize("width,height", [(321, 181), (2, 2), (17, 5)])
def test_odd_sizes(width: int, height: int) -> None:
    picture = AvPicture(frame("yuv420p", scene(width, height)))
    assert picture.bgr().shape == (height, width, 3)
    assert picture.crop((0.2, 0.2, 0.9, 0.9)).size > 0
    assert picture.luma(16, 9).shape == (9, 16)


@pytest.mark.parametrize("space,weight", [(1, 0.2126), (5, 0.299), (9, 0.2627)])
def test_colour_tags_decide_the_matrix(space: int, weight: float) -> None:
    tagged = av.VideoFrame(16, 16, "yuv444p")
    for plane, value in zip(tagged.planes, (128, 128, 200), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    tagged.colorspace, tagged.color_range = space, 2
    red = int(AvPicture(tagged).bgr()[0, 0, 2])
    assert red == pytest.approx(128 + 2 * (1 - weight) * 72, abs=1)


def test_limited_and_full_range() -> None:
    grey = av.VideoFrame(16, 16, "yuv420p")
    for plane, value in zip(grey.planes, (235, 128, 128), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    assert AvPicture(grey).bgr()[0, 0].tolist() == [255, 255, 255]
    grey.color_range = 2
    assert AvPicture(grey).bgr()[0, 0].tolist() == [235, 235, 235]


@pytest.mark.parametrize(
    "degrees,turn", [(90, cv2.ROTATE_90_COUNTERCLOCKWISE), (180, cv2.ROTATE_180), (-90, cv2.ROTATE_90_CLOCKWISE)]
)
def test_upright_by_the_display_matrix(degrees: int, turn: int, tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 180, "yuv420p", 4_000_000
        stream.set_display_rotation(degrees)
        picture = frame("yuv420p")
        picture.pts, picture.time_base = 0, Fraction(1, 10)
        container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        turned = AvPicture(next(container.decode(video=0)))
    upright = cv2.rotate(scene(), turn)
    assert (turned.width, turned.height) == (upright.shape[1], upright.shape[0])
    assert difference(turned.bgr(), upright) < 6
    assert turned.bgr(90, 90).shape[:2] == fit(turned.width, turned.height, 90, 90)[::-1]
    box = (0.1, 0.3, 0.4, 0.9)
    x0, y0, x1, y1 = pixel_rectangle(box, turned.width, turned.height)
    fresh = AvPicture(turned._frame)
    assert difference(fresh.crop(box), upright[y0:y1, x0:x1]) < 6


def test_fit_never_enlarges() -> None:
    assert fit(100, 50, 200, 200) == (100, 50)
    assert fit(1920, 1080, 640, 640) == (640, 360)
    assert fit(1000, 1, 10, 10) == (10, 1)


def test_array_picture_and_jpeg() -> None:
    picture = ArrayPicture(scene())
    assert picture.bgr() is picture.bgr(400, 400)
    assert picture.bgr(32, 32).shape == (18, 32, 3)
    back = jpeg.decode(jpeg.encode_frame(picture))
    assert difference(back, scene()) < 3
    assert jpeg.encode_frame(picture) == jpeg.encode_frame(picture)
    crop = jpeg.decode(jpeg.encode_crop(picture, (0.25, 0.25, 0.5, 0.5), margin=0.1))
    assert crop.shape[:2] == pytest.approx((54, 96), abs=2)
    for bad in (b"", b"no picture"):
        with pytest.raises(MediaError):
            jpeg.decode(bad)


def test_a_thumbnail_is_made_once_for_all_who_ask_for_its_size() -> None:
    picture = AvPicture(frame("yuv420p"))
    first = picture.luma(48, 27)
    assert picture.luma(48, 27) is first and not first.flags.writeable
    assert picture.luma(32, 18).shape == (18, 32)
