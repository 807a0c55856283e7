from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from streamproc.core.errors import InputError
from streamproc.faces.images import ImageTooLarge, ImageTooSmall, InvalidImageFormat, decode, size


def picture(width: int = 120, height: int = 80) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2] = (0, 0, 255)
    return image


def encoded(kind: str, image: np.ndarray | None = None) -> bytes:
    return cv2.imencode(kind, picture() if image is None else image)[1].tobytes()


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    tiff = b"MM\x00*\x00\x00\x00\x08" + struct.pack(">HHHIHH", 1, 0x0112, 3, 1, orientation, 0) + b"\0\0\0\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_jpeg_and_png_are_read(kind: str) -> None:
    data = encoded(kind)
    assert size(data) == (120, 80)
    assert decode(data).image.shape == (80, 120, 3)


@pytest.mark.parametrize(
    ("orientation", "shape"), [(1, (80, 120, 3)), (3, (80, 120, 3)), (6, (120, 80, 3)), (8, (120, 80, 3))]
)
def test_a_phone_photo_comes_out_upright(orientation: int, shape: tuple[int, ...]) -> None:
    image = decode(with_exif(encoded(".jpg"), orientation)).image
    assert image.shape == shape
    # The red half lay left; orientation 3 turns it to the right, 6 to the top, 8 to the bottom.
    row, column = {1: (40, 10), 3: (40, 110), 6: (10, 40), 8: (110, 40)}[orientation]
    assert image[row, column, 2] > 128


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"GIF89a" + bytes(50), "a GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WebP"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC"),
        (b"hello, I am a text file", "not a picture"),
        (encoded(".bmp"), "a BMP"),
        (encoded(".jpg")[:-20], "cut off"),
        (encoded(".jpg")[: len(encoded(".jpg")) // 2], "cut off"),
        (encoded(".jpg")[:3], "cut off"),
        (encoded(".png")[:-15], "cut off"),
        (b"\xff\xd8\xff\xd9", "no picture"),
    ],
)
def test_what_is_no_whole_picture_is_named(data: bytes, words: str) -> None:
    with pytest.raises(InvalidImageFormat, match=words):
        decode(data)


def test_an_embedded_thumbnails_end_is_not_the_pictures_end() -> None:
    thumbnail = encoded(".jpg", picture(40, 30))
    body = b"Exif\0\0" + thumbnail
    data = encoded(".jpg")
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]
    assert decode(whole).image.shape == (80, 120, 3)
    with pytest.raises(InvalidImageFormat, match="cut off"):
        decode(whole[:-30])


def test_bytes_after_the_end_do_no_harm() -> None:
    assert decode(encoded(".jpg") + b"trailer of some phones").image.shape == (80, 120, 3)


def test_limits_are_said_before_anything_is_decoded() -> None:
    with pytest.raises(ImageTooSmall, match="1x1"):
        decode(encoded(".png", picture(2, 2)[:1, :1]))
    with pytest.raises(ImageTooLarge, match="40000x40000"):
        decode(png_of_size(40_000, 40_000))
    with pytest.raises(ImageTooLarge, match="at most 100"):
        decode(encoded(".jpg"), max_bytes=100)


def test_a_50_megapixel_photo_is_decoded_smaller() -> None:
    image = decode(encoded(".jpg", np.full((6144, 8192, 3), 90, np.uint8))).image
    assert image.shape == (3072, 4096, 3)


def test_every_refusal_is_an_input_error() -> None:
    for data in (b"", b"GIF89a", encoded(".jpg")[:-9]):
        with pytest.raises(InputError):
            decode(data)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_second_header_is_refused(kind: str) -> None:
    """The first may be small and the second ask for gigabytes; which one a decoder believes is its own affair."""
    if kind == "jpeg":
        data = encoded(".jpg")
        frame = data.index(b"\xff\xc0")
        length = int.from_bytes(data[frame + 2 : frame + 4], "big")
        header = bytearray(data[frame : frame + 2 + length])
        header[5:9] = (30_000).to_bytes(2, "big") * 2
        data = data[: frame + 2 + length] + bytes(header) + data[frame + 2 + length :]
    else:
        data = encoded(".png")
        data = data[:33] + png_of_size(30_000, 30_000)[8:33] + data[33:]
    with pytest.raises(InvalidImageFormat, match="two"):
        decode(data)


def test_a_picture_of_few_pixels_is_refused_in_words_of_every_operation() -> None:
    dot = cv2.imencode(".png", np.zeros((10, 10, 3), np.uint8))[1].tobytes()
    with pytest.raises(InputError, match="10x10 pixels is too small; the shorter side needs") as refused:
        decode(dot)
    assert "face" not in str(refused.value), "labels are asked for too"
