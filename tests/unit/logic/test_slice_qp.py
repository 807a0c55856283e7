"""Quantizers out of slice headers, beside what a real decoder used (H.264) or a real encoder wrote down (H.265)."""

from __future__ import annotations

import csv
import random
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import Type

from streamproc.logic.bits import BitReader, BrokenHeader, unescaped
from streamproc.logic.slice_qp import SliceFacts, SliceReader
from streamproc.media.nal import units

SIZE = (208, 160)
FRAMES = 60


def encode(path: Path, codec: str, options: dict[str, str], pixels: str = "yuv420p") -> list[Any]:
    """A box that moves over noise; the packets in decoding order (Annex B, parameter sets in front of keyframes)."""
    chance = np.random.default_rng(3)
    still = chance.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *SIZE, pixels, 20
        stream.codec_context.thread_count = 1  # more would cut pictures into slices of their own
        for number in range(FRAMES):
            picture = still + chance.integers(0, 6, still.shape, np.uint8)
            if number > FRAMES // 2:
                picture[40:90, number : number + 60] = (number * 4, 200, 30)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with av.open(str(path)) as source:
        return [packet for packet in source.demux(video=0) if packet.size]


def read(codec: str, packets: list[Any]) -> list[list[SliceFacts]]:
    """Of each packet: the facts of its slices."""
    reader = SliceReader(codec)
    return [[facts for unit in units(bytes(packet)) if (facts := reader.unit(unit))] for packet in packets]


def decoder_facts(path: Path) -> dict[int, tuple[int, str]]:
    """By presentation time: the coarsest quantizer of a picture's macroblocks, as libavcodec exports it (AVVideoEncParams), and its kind.

    The encoder's adaptive quantization is off, so macroblocks keep their slice's; those of an intra refresh are finer.
    """
    found = {}
    with av.open(str(path)) as source:
        context = source.streams.video[0].codec_context
        context.options = {"export_side_data": "venc_params"}
        for frame in source.decode(video=0):
            raw = bytes(frame.side_data[Type.VIDEO_ENC_PARAMS])
            count, offset, size, _, base = struct.unpack_from("@IQQii", raw)
            deltas = [struct.unpack_from("@iiiii", raw, offset + size * block)[4] for block in range(count)]
            found[frame.pts] = base + max(deltas), "?IPB"[frame.pict_type]
    return found


H264 = {
    "constant rate": "bframes=0",
    "B-frames, weights, many references": "bframes=3:b-pyramid=normal:weightb=1:weightp=2:ref=4:b-adapt=0",
    "spatial and temporal direct": "bframes=2:direct=auto:b-adapt=0",
    "four slices": "slices=4:bframes=1:b-adapt=0",
    "variable length codes": "cabac=0:bframes=1:b-adapt=0:8x8dct=0",
    "interlaced": "tff=1:bframes=2:b-adapt=0",
    "intra refresh": "intra-refresh=1:bframes=0",
    "open groups of pictures": "open-gop=1:bframes=3:b-adapt=0",
    "custom scaling lists": "cqm=jvt:bframes=0",
}


@pytest.mark.parametrize("name", H264)
@pytest.mark.parametrize("rate", ["80000", "600000"])
def test_h264_as_its_decoder_has_it(tmp_path: Path, name: str, rate: str) -> None:
    path = tmp_path / "clip.mkv"  # with timestamps, so that pictures and packets are known to each other
    params = f"aq-mode=0:mbtree=0:rc-lookahead=0:{H264[name]}"
    packets = encode(path, "libx264", {"b": rate, "x264-params": params, "preset": "fast"})
    truth = decoder_facts(path)
    expected = [truth[packet.pts] for packet in packets]
    slices = read("h264", annexb(path, packets))
    assert [each[0].qp for each in slices] == [qp for qp, _ in expected] and len(expected) == FRAMES
    assert [each[0].kind.upper() for each in slices] == [kind for _, kind in expected]
    assert len({qp for qp, _ in expected}) > 3
    assert name != "four slices" or all(len(each) == 4 for each in slices), [len(each) for each in slices]


def annexb(path: Path, packets: list[Any]) -> list[Any]:
    """Packets of a container with length prefixes as Annex B; they are used up by it."""
    with av.open(str(path)) as source:
        convert = BitStreamFilterContext("h264_mp4toannexb", source.streams.video[0])
        return [each for packet in packets for each in convert.filter(packet)]


@pytest.mark.parametrize(
    "params",
    [
        "bframes=0",
        "bframes=4:b-pyramid=1:ref=4:weightb=1:weightp=1:b-adapt=0",
        "slices=3:bframes=2:b-adapt=0",
        "open-gop=1:bframes=3:b-adapt=0:ref=3",
        "scaling-list=default:no-sao=1:no-temporal-mvp=1:bframes=0",
        "ctu=16:min-cu-size=8:intra-refresh=1:bframes=0",
    ],
)
@pytest.mark.parametrize("rate", [60, 500])
def test_h265_as_its_encoder_wrote_it_down(tmp_path: Path, params: str, rate: int) -> None:
    log = tmp_path / "frames.csv"
    fixed = f"log-level=none:aq-mode=0:no-cutree=1:pools=1:frame-threads=1:csv={log}:csv-log-level=1:bitrate={rate}"
    packets = encode(tmp_path / "clip.hevc", "libx265", {"x265-params": f"{fixed}:{params}", "preset": "superfast"})
    with log.open() as lines:
        rows = [row for row in csv.DictReader(lines, skipinitialspace=True) if row["Encode Order"].isdigit()]
    rows.sort(key=lambda row: int(row["Encode Order"]))
    truth = [min(51.0, float(row["QP"])) for row in rows]
    facts = [slices[0] for slices in read("hevc", packets)]
    qps = [each.qp for each in facts]
    assert len(qps) == len(truth) == FRAMES
    assert all(abs(qp - noted) <= 0.51 for qp, noted in zip(qps, truth, strict=True))  # written down before rounding
    assert [each.kind for each in facts] == ["I" if row["Type"][0] == "i" else row["Type"][0] for row in rows]
    assert len(set(qps)) > 3


def test_a_stream_without_its_parameter_sets_and_another_codec_tell_nothing(tmp_path: Path) -> None:
    packets = encode(tmp_path / "clip.h264", "libx264", {"x264-params": "bframes=0"})
    reader = SliceReader("h264")
    assert all(reader.unit(unit) is None for unit in units(bytes(packets[1])))
    assert read("hevc", packets[:1]) == [[]]


@pytest.mark.parametrize(("codec", "encoder"), [("h264", "libx264"), ("hevc", "libx265")])
def test_no_bytes_raise(tmp_path: Path, codec: str, encoder: str) -> None:
    options = {"x265-params": "log-level=none:pools=1"} if codec == "hevc" else {}
    packets = encode(tmp_path / f"clip.{codec}", encoder, options)
    all_units = [unit for packet in packets for unit in units(bytes(packet))]
    chance = random.Random(11)
    reader = SliceReader(codec)
    for _ in range(4000):
        unit = bytearray(chance.choice(all_units)[: chance.randrange(1, 120)])
        for _ in range(chance.randrange(6)):
            unit[chance.randrange(len(unit))] = chance.randrange(256)
        facts = reader.unit(bytes(unit))
        assert facts is None or -24 <= facts.qp <= 51
        reader.unit(chance.randbytes(chance.randrange(80)))


def test_bits() -> None:
    reader = BitReader(bytes([0b1_010_0011, 0b0_0000000]))  # 0, 1 and 5: 1, 010, 00110
    assert [reader.ue(), reader.ue(), reader.ue()] == [0, 1, 5]
    with pytest.raises(BrokenHeader):
        BitReader(b"\0\0\0\0\0\0").ue()
    with pytest.raises(BrokenHeader):
        BitReader(b"\xff").u(9)
    assert [BitReader(bytes([code])).se() for code in (0b1_0000000, 0b010_00000, 0b011_00000, 0b00100_000)] == [
        0,
        1,
        -1,
        2,
    ]
    assert unescaped(b"\1\0\0\3\1\0\0\3\0\0\3") == b"\1\0\0\1\0\0\0\0"
