"""What packets weigh, in both forms of real streams."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.core.media import EPOCH, Moment, Packet, Weight
from streamproc.media.reader import read_packets
from streamproc.media.weight import FeedScales, TrackScales

ENCODERS = {"h264": "libx264", "hevc": "libx265"}


def encode(path: Path, codec: str, **options: str) -> Path:
    """Two seconds of a box over a still picture."""
    quiet = {"x265-params": "log-level=none:pools=1"} if codec == "hevc" else {}
    with av.open(str(path), "w") as out:
        stream = out.add_stream(ENCODERS[codec], rate=15, options=quiet | options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 96, "yuv420p", 15
        stream.codec_context.thread_count = 1
        for number in range(30):
            picture = np.full((96, 160, 3), 90, np.uint8)
            picture[20:60, number : number + 30] = 220
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode())
    return path


def weights(path: Path) -> list[Weight]:
    scales = FeedScales()
    return [scales.weigh(packet) for packet in read_packets(path)]


@pytest.mark.parametrize("codec", ENCODERS)
def test_length_prefixes_and_start_codes_tell_the_same(tmp_path: Path, codec: str) -> None:
    """MP4 keeps parameter sets in a record of its own, MPEG-TS repeats them in the stream."""
    prefixed = weights(encode(tmp_path / "clip.mp4", codec))
    plain = weights(encode(tmp_path / "clip.ts", codec))
    assert [(each.kind, each.qp) for each in prefixed] == [(each.kind, each.qp) for each in plain]
    assert (
        prefixed[0].kind == "I" and {each.kind for each in prefixed} > {"I", "P"} and all(each.qp for each in prefixed)
    )


def test_filler_does_not_count(tmp_path: Path) -> None:
    rate = {"b": "800k", "minrate": "800k", "maxrate": "800k", "bufsize": "200k", "nal-hrd": "cbr", "bf": "0"}
    path = encode(tmp_path / "clip.ts", "h264", **rate)
    heavy = [packet.size for packet in read_packets(path)]
    light = [weight.size for weight in weights(path)]
    assert sum(light) < sum(heavy) / 2 and all(0 < less <= more for less, more in zip(light, heavy, strict=True))


def test_other_codecs_and_other_data_weigh_their_size(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
        out.mux(stream.encode())
    [packet] = read_packets(path)
    assert FeedScales().weigh(packet) == Weight(packet.size)
    assert FeedScales().weigh(Packet(object(), Moment(Fraction(0), EPOCH), 7, False)) == Weight(7)


@pytest.mark.parametrize("codec", ENCODERS)
def test_no_bytes_raise(codec: str) -> None:
    chance = random.Random(3)
    for _ in range(500):
        extradata = chance.choice((b"", b"\1", b"\0\0\1")) + chance.randbytes(chance.randrange(60))
        scales = TrackScales(codec, extradata)
        data = b"\0\0\1".join(chance.randbytes(chance.randrange(12)) for _ in range(5))
        assert 0 <= scales.weigh(data).size <= len(data)
