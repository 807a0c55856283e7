"""Pictures that were cut in two are put together again."""

from __future__ import annotations

from fractions import Fraction

import av
import pytest

from streamproc.media.nal import PictureJoiner, continues_picture, units

SPS, PPS = b"\0\0\0\1\x67abc", b"\0\0\1\x68de"
WHOLE, REST = b"\0\0\1\x65\x88xyz", b"\0\0\1\x65\x00\x64uvw"
HEVC_FIRST, HEVC_REST = b"\0\0\1\x26\x01\xafxyz", b"\0\0\1\x26\x01\x2fuvw"


@pytest.mark.parametrize(
    "data,codec,expected",
    [
        (SPS + PPS + WHOLE, "h264", False),
        (SPS + PPS + REST, "h264", True),
        (REST, "h264", True),
        (HEVC_FIRST, "hevc", False),
        (HEVC_REST, "hevc", True),
        (SPS, "h264", False),
        (b"", "h264", False),
    ],
)
def test_which_data_go_on_with_a_picture(data: bytes, codec: str, expected: bool) -> None:
    assert continues_picture(data, codec) is expected


def packet(data: bytes, key: bool, pts: int | None) -> av.Packet:
    made = av.Packet(data)
    made.is_keyframe, made.pts, made.dts, made.time_base = key, pts, pts, Fraction(1, 90_000)
    return made


def test_halves_become_one_keyframe_and_parameter_sets_are_not_repeated() -> None:
    joiner = PictureJoiner("h264")
    assert joiner.add(packet(SPS + PPS + WHOLE, True, None), 1.0) == []
    assert joiner.add(packet(SPS + PPS + REST, True, 90), 2.0) == []
    [(joined, came), (following, _)] = joiner.add(packet(b"\0\0\1\x41\x9a", False, 180), 3.0)
    assert (joined.pts, joined.is_keyframe, came) == (90, True, 2.0)
    assert [unit[0] & 31 for unit in units(bytes(joined))] == [7, 8, 5, 5]
    assert following.pts == 180


def test_whole_keyframes_soon_pass_at_once() -> None:
    joiner = PictureJoiner("h264")
    out = [pts.pts for n in range(10) for pts, _ in joiner.add(packet(WHOLE, True, n), n)]
    assert out == list(range(10))
    assert PictureJoiner("mjpeg").add(packet(b"\xff\xd8", True, 1), 0)
