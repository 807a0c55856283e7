"""What is masked is black on every way to the pixels, and nothing else is; the decoder's own pictures stay as they are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamproc.core.vision import Box
from streamproc.media.blur import blur
from streamproc.media.decode import Decoder
from streamproc.media.mask import PrivacyMask
from streamproc.media.orientation import Orientation
from streamproc.media.picture import AvPicture

LEFT = ((0.1, 0.2), (0.4, 0.2), (0.4, 0.7), (0.1, 0.7))
TRIANGLE = ((0.6, 0.1), (0.9, 0.1), (0.9, 0.6))
FORMATS = ["yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12", "gray", "bgr24", "rgb24", "yuv420p10le", "yuyv422"]


def frame(pixel_format: str, width: int = 320, height: int = 180) -> Any:
    noise = np.random.default_rng(3).integers(120, 255, (height, width, 3), np.uint8)
    return av.VideoFrame.from_ndarray(noise, format="bgr24").reformat(format=pixel_format)


def part(image: Any, left: float, top: float, right: float, bottom: float) -> Any:
    height, width = image.shape[:2]
    return image[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_every_way_to_the_pixels_is_masked(pixel_format: str) -> None:
    mask = PrivacyMask([LEFT, TRIANGLE])
    for look in (
        lambda p: p.bgr(),
        lambda p: p.bgr(160, 90),
        lambda p: p.luma(160, 90),
        lambda p: p.upright_frame().to_ndarray(format="bgr24"),
        lambda p: p.frame.to_ndarray(format="bgr24"),
    ):
        image = look(AvPicture(frame(pixel_format), None, mask))
        assert part(image, 0.11, 0.22, 0.39, 0.68).max() <= 17, "inside the mask"  # 16 is black in limited range
        assert part(image, 0.87, 0.12, 0.89, 0.5).max() <= 17
        assert part(image, 0.45, 0.0, 0.55, 1.0).min() > 60, "beside it"
        assert part(image, 0.6, 0.5, 0.68, 0.6).min() > 60, "beside the triangle's long side"
    crop = AvPicture(frame(pixel_format), None, mask).crop((0.05, 0.1, 0.5, 0.9))
    assert part(crop, 0.15, 0.2, 0.7, 0.7).max() <= 1
    assert part(crop, 0.85, 0.0, 1.0, 1.0).min() > 60


def test_a_clock_outside_the_regions_is_no_movement_and_what_is_inside_is() -> None:
    watched = PrivacyMask(regions=[((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))])

    def thumbnail(*changed: tuple[slice, slice]) -> Any:
        image = np.full((180, 320), 90, np.uint8)
        for place in changed:
            image[place] = 250
        return AvPicture(av.VideoFrame.from_ndarray(image, format="gray"), None, watched).luma(96, 54)

    still = thumbnail()
    assert (thumbnail((slice(8, 17), slice(280, 310))) == still).all(), "the clock in the corner"
    assert (thumbnail((slice(60, 160), slice(40, 80))) != still).any(), "somebody inside"


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("flips", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "bgr24"])
def test_masks_are_drawn_on_the_picture_as_it_is_seen(
    pixel_format: str, transposed: bool, flips: tuple[bool, bool]
) -> None:
    picture = AvPicture(frame(pixel_format), None, PrivacyMask([LEFT]))
    picture.orientation = Orientation(transposed, *flips)
    image = picture.bgr()
    assert part(image, 0.11, 0.22, 0.39, 0.68).max() <= 1
    assert part(image, 0.45, 0.0, 1.0, 1.0).min() > 60
    assert part(image, 0.0, 0.75, 1.0, 1.0).min() > 60


def test_the_decoder_predicts_from_its_own_pictures(tmp_path: Path) -> None:
    """What lies outside the mask is bit for bit what is decoded without one: nothing painted gets into later pictures."""
    from streamproc.media.reader import read_frames

    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 180, "yuv420p", 50
        for number in range(30):
            pixels = np.roll(np.random.default_rng(1).integers(90, 200, (180, 320, 3), np.uint8), number * 3, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="bgr24")))
        container.mux(stream.encode())
    mask = PrivacyMask([((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))])
    plain = [each.picture.bgr() for each in read_frames(clip, decoder=Decoder())]
    masked = [each.picture.bgr() for each in read_frames(clip, decoder=Decoder(mask=mask))]
    assert len(plain) == len(masked) == 30
    for one, other in zip(plain, masked, strict=True):
        assert part(other, 0, 0, 0.49, 1).max() == 0
        assert np.array_equal(part(one, 0.53, 0, 1, 1), part(other, 0.53, 0, 1, 1))


def test_another_outline_counts_from_the_next_picture_on() -> None:
    mask = PrivacyMask()
    assert not mask
    before = AvPicture(frame("yuv420p"), Fraction(1), mask)
    mask.outlines = (LEFT,)
    assert mask
    assert part(before.bgr(), 0.15, 0.3, 0.35, 0.6).min() > 60
    assert part(AvPicture(frame("yuv420p"), Fraction(1), mask).bgr(), 0.15, 0.3, 0.35, 0.6).max() <= 1


def test_a_blurred_face_is_a_few_squares() -> None:
    image = np.random.default_rng(2).integers(0, 255, (200, 200, 3), np.uint8)
    blurred = blur(image, [Box(0.4, 0.4, 0.6, 0.6)])
    assert len(np.unique(part(blurred, 0.4, 0.4, 0.6, 0.6).reshape(-1, 3), axis=0)) <= 25
    assert np.array_equal(part(blurred, 0, 0, 0.3, 1), part(image, 0, 0, 0.3, 1))
