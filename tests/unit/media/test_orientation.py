"""Pictures as they are to be seen: turned and mirrored by their display matrix, in square pixels."""

from __future__ import annotations

import gc
import io
import struct
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from streamproc.media.orientation import STORED, Orientation
from streamproc.media.picture import AvPicture, square_size
from streamproc.media.reader import read_frames

ALL = [Orientation(*flags) for flags in product((False, True), repeat=3)]


def matrix_of(orientation: Orientation) -> tuple[int, int, int, int]:
    """The linear part of the display matrix, worked out from where two stored corners go."""
    x, y = (-1 if orientation.flipped_x else 1), (-1 if orientation.flipped_y else 1)
    return (0, y, x, 0) if orientation.transposed else (x, 0, 0, y)


@pytest.mark.parametrize("orientation", ALL, ids=str)
def test_pixels_go_where_the_display_matrix_says(orientation: Orientation) -> None:
    a, b, c, d = matrix_of(orientation)
    assert Orientation.from_matrix(a * 65536, b * 65536, c * 65536, d * 65536) == orientation
    stored = np.arange(3 * 5, dtype=np.uint8).reshape(3, 5)
    seen = orientation.apply(stored)
    places = {(a * x + c * y, b * x + d * y): stored[y, x] for y in range(3) for x in range(5)}
    least_x, least_y = min(x for x, _ in places), min(y for _, y in places)
    expected = np.zeros_like(seen)
    for (x, y), value in places.items():
        expected[y - least_y, x - least_x] = value
    assert np.array_equal(seen, expected)


@pytest.mark.parametrize("orientation", ALL, ids=str)
def test_a_rectangle_is_found_again_in_the_stored_picture(orientation: Orientation) -> None:
    stored = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9)
    seen = orientation.apply(stored)
    left, top, right, bottom = orientation.stored((1, 2, 4, 5), seen.shape[1], seen.shape[0])
    assert np.array_equal(orientation.apply(stored[top:bottom, left:right]), seen[2:5, 1:4])


@pytest.mark.parametrize("orientation", ALL, ids=str)
def test_degrees_and_mirror_describe_it_whole(orientation: Orientation) -> None:
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4)
    mirrored = stored[:, ::-1] if orientation.mirrored else stored
    assert np.array_equal(np.rot90(mirrored, orientation.degrees // 90), orientation.apply(stored))


def clip(filter_options: str, path: str) -> str:
    """Five H.264 pictures, red on the left and blue on the right, with what a bitstream filter writes into them."""
    image = np.zeros((96, 160, 3), np.uint8)
    image[:, :80, 2], image[:, 80:, 0] = 220, 220
    with av.open(path, "w", format="h264") as out:  # an elementary stream: the filter needs start codes
        stream = out.add_stream("libx264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        metadata = BitStreamFilterContext(f"h264_metadata={filter_options}", stream)
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            for packet in stream.encode(frame):
                out.mux(metadata.filter(packet))
        for packet in stream.encode(None):
            out.mux(metadata.filter(packet))
    return path


@pytest.mark.parametrize(
    "options,left_is_red",
    [
        ("display_orientation=insert:flip=horizontal", False),
        ("display_orientation=insert:rotate=180", False),
        ("level=auto", True),
    ],
)
def test_a_mirrored_clip_is_seen_mirrored(tmp_path, options: str, left_is_red: bool) -> None:
    picture = next(iter(read_frames(clip(options, str(tmp_path / "clip.h264"))))).picture
    blue, _, red = picture.bgr()[48, 20].tolist()
    assert (red > blue) is left_is_red
    blue, _, red = picture.crop((0.0, 0.2, 0.4, 0.8))[5, 5].tolist()
    assert (red > blue) is left_is_red


def photograph(path: Path, exif_orientation: int) -> Path:
    """A JPEG as phones write it: red in its upper left quarter as stored, with an EXIF tag that says how it is to be seen (EXIF 2.3, 4.6.4)."""
    image = np.zeros((96, 160, 3), np.uint8)
    image[:48, :80, 2] = 220
    encoded = cv2.imencode(".jpg", image)[1].tobytes()
    tag = struct.pack("<HHIHH", 0x0112, 3, 1, exif_orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag + struct.pack("<I", 0)
    path.write_bytes(encoded[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + encoded[2:])
    return path


@pytest.mark.parametrize(
    "exif_orientation,wide,right,low",
    [
        (1, True, False, False),
        (2, True, True, False),
        (3, True, True, True),
        (4, True, False, True),
        (5, False, False, False),
        (6, False, True, False),
        (7, False, True, True),
        (8, False, False, True),
    ],
)
def test_a_photograph_is_seen_as_its_exif_says(
    tmp_path: Path, exif_orientation: int, wide: bool, right: bool, low: bool
) -> None:
    picture = next(iter(read_frames(photograph(tmp_path / "photo.jpg", exif_orientation)))).picture
    assert (picture.width, picture.height) == ((160, 96) if wide else (96, 160))
    red = picture.bgr()[:, :, 2]
    corner = red[-20 if low else 0 :, -20 if right else 0 :][:20, :20]
    assert corner.mean() > 150 and red.mean() < 80


@pytest.mark.parametrize("aspect,size", [("2/1", (320, 96)), ("1/2", (160, 192)), ("32/11", (465, 96))])
def test_pixels_that_are_not_square_are_stretched(tmp_path, aspect: str, size: tuple[int, int]) -> None:
    picture = next(iter(read_frames(clip(f"sample_aspect_ratio={aspect}", str(tmp_path / "clip.h264"))))).picture
    assert (picture.width, picture.height) == size
    assert picture.bgr().shape == (size[1], size[0], 3)
    part = picture.crop((0.25, 0.25, 0.75, 0.75))
    assert abs(part.shape[1] - size[0] / 2) <= 1 and abs(part.shape[0] - size[1] / 2) <= 1
    assert part[0, 2, 2] > 100 > part[0, 2, 0], "the left of the middle is red"
    assert picture.luma(16, 9).shape == (9, 16)


def test_an_absurd_aspect_does_not_blow_a_picture_up() -> None:
    assert max(square_size(1920, 1080, Fraction(1000))) <= 4096
    assert square_size(1920, 1080, Fraction(0)) == square_size(1920, 1080, None) == (1920, 1080)


def test_a_picture_without_a_matrix_is_itself() -> None:
    frame = av.VideoFrame.from_ndarray(np.zeros((8, 8, 3), np.uint8), format="bgr24")
    picture = AvPicture(frame)
    assert picture.orientation == STORED and picture.as_stored and picture.upright_frame() is frame


def test_what_is_encoded_anew_stands_upright(tmp_path) -> None:
    from streamproc.media.demux import VideoTrack
    from streamproc.media.remux import Encoder, write_fragment

    frames = list(read_frames(clip("display_orientation=insert:flip=horizontal", str(tmp_path / "clip.h264"))))
    encoder = Encoder(VideoTrack("h264", 160, 96, Fraction(1, 1000), Fraction(5), None))
    shots = [
        shot for number, frame in enumerate(frames) for shot in encoder.encode(frame, number == 0)
    ] + encoder.flush()
    with av.open(io.BytesIO(write_fragment(shots, encoder.template, "mkv"))) as again:
        shown = AvPicture(next(again.decode(video=0))).bgr()
    assert shown[48, 20, 0] > shown[48, 20, 2], "blue is on the left now"


def test_a_decoded_picture_is_let_go_with_its_last_user(tmp_path) -> None:
    """FFmpeg's pictures are megabytes, of which Python's collector sees a few bytes: none may wait for it."""
    path = clip("display_orientation=insert:flip=horizontal", str(tmp_path / "clip.h264"))
    gc.collect()
    before = pictures_in_memory()
    gc.disable()
    try:
        for frame in read_frames(path):
            frame.picture.bgr()
            frame.picture.crop((0.1, 0.1, 0.5, 0.5))
        assert pictures_in_memory() == before + 1, "the last one has a user"
        del frame
        assert pictures_in_memory() == before
    finally:
        gc.enable()


def pictures_in_memory() -> int:
    return sum(isinstance(found, av.VideoFrame) for found in gc.get_objects())
