"""Encoded pictures in and out of RTP packets."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import vp8_depayload

from streamproc.webrtc import vp8
from streamproc.webrtc.assembler import PATIENCE_S, Assembler, Gatekeeper, Whole
from streamproc.webrtc.h264 import (
    ParameterSets,
    for_viewers,
    is_keyframe,
    packetize,
    parameter_sets,
    split,
    why_unplayable,
)
from streamproc.webrtc.stamps import RATE, Stamper


@dataclass
class Rtp:
    sequence_number: int
    timestamp: int
    marker: int
    data: bytes


def stream(pictures: int, start: int = 65_530, size: int = 4) -> list[Rtp]:
    """``pictures`` of ``size`` packets each, across the wraps of both counters."""
    packets = []
    for number in range(pictures):
        for part in range(size):
            at = (start + number * size + part) & 0xFFFF
            stamp = (2**32 - 9000 + number * 3000) & 0xFFFFFFFF
            packets.append(Rtp(at, stamp, part == size - 1, b"%03d:%d " % (number, part)))
    return packets


def feed(assembler: Assembler, packets: list[Rtp], step: float = 0.01) -> list[Whole]:
    return [whole for n, p in enumerate(packets) for whole in assembler.add(p, p.data, 96, n * step)]


def test_pictures_come_whole_at_their_last_packet_and_in_order() -> None:
    packets = stream(20)
    assert len(Assembler().add(packets[0], b"x", 96, 0.0)) == 0
    whole = feed(Assembler(), packets)
    assert [picture.data for picture in whole] == [
        b"".join(p.data for p in packets[n * 4 : n * 4 + 4]) for n in range(20)
    ]
    assert [b.timestamp - a.timestamp for a, b in itertools.pairwise(whole)] == [3000] * 19
    dice = random.Random(3)
    mixed = sorted(packets, key=lambda p: packets.index(p) + dice.random() * 3)
    mixed.remove(packets[0])
    assert feed(Assembler(), [packets[0], *mixed], 0.001) == whole


def test_a_packet_that_never_comes_costs_its_picture() -> None:
    packets = stream(60)
    lost = packets[41]
    assembler = Assembler()
    whole = feed(assembler, [p for p in packets if p is not lost])
    assert len(whole) == 59 and assembler.losses == 1
    assert not any(picture.data.startswith(b"010") for picture in whole)


def test_a_packet_that_is_sent_again_in_time_costs_nothing() -> None:
    packets = stream(20)
    late = packets.pop(41)
    packets.insert(41 + int(PATIENCE_S / 0.01) - 2, late)
    assembler = Assembler()
    assert len(feed(assembler, packets)) == 20 and assembler.losses == 0


def test_packets_without_data_are_no_pictures() -> None:
    packets = stream(3)
    padding = Rtp((packets[-1].sequence_number + 1) & 0xFFFF, packets[-1].timestamp, 0, b"")
    assert len(feed(Assembler(), [*packets, padding])) == 3


def test_nothing_passes_before_a_keyframe_nor_after_a_loss() -> None:
    gate = Gatekeeper()
    assert not gate.passes(False, 0, 0.0) and gate.asks(0, 0.0) and not gate.asks(0, 0.1) and gate.asks(0, 0.6)
    assert gate.passes(True, 0, 1.0) and gate.passes(False, 0, 1.1) and not gate.asks(0, 2.0)
    assert not gate.passes(False, 1, 2.0) and gate.asks(1, 2.0)
    assert gate.passes(True, 1, 2.3) and gate.passes(False, 1, 2.4)
    assert not gate.passes(False, 2, 3.0) and gate.passes(False, 2, 5.1), "some senders never send a keyframe"


def encode(codec: str, options: dict[str, str], pix_fmt: str = "yuv420p", frames: int = 12) -> tuple[list[Any], bytes]:
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt = 320, 240, pix_fmt
    encoder.time_base = Fraction(1, 15)
    encoder.options = options
    dice, packets = np.random.default_rng(1), []
    for number in range(frames):
        frame = av.VideoFrame.from_ndarray(dice.integers(0, 255, (240, 320, 3), np.uint8), format="rgb24")
        frame = frame.reformat(format=pix_fmt)
        frame.pts = number
        packets += encoder.encode(frame)
    return packets + encoder.encode(None), bytes(encoder.extradata or b"")


@pytest.mark.parametrize(
    ("options", "pix_fmt", "word"),
    [
        ({"profile": "baseline"}, "yuv420p", None),
        ({"profile": "main", "bf": "0"}, "yuv420p", None),
        ({"profile": "high", "bf": "0"}, "yuv420p", None),
        ({"profile": "high", "bf": "2"}, "yuv420p", "B-frames"),
        ({"profile": "main", "bf": "3", "b-pyramid": "normal"}, "yuv420p", "B-frames"),
        ({"profile": "high422"}, "yuv422p", "profile 122"),
        ({"profile": "high444"}, "yuv444p", "profile 244"),
        ({"x264-params": "interlaced=1"}, "yuv420p", "interlaced"),
    ],
)
def test_what_browsers_play(options: dict[str, str], pix_fmt: str, word: str | None) -> None:
    packets, _ = encode("libx264", options, pix_fmt)
    sps = next(nal for nal in split(bytes(packets[0]), 0) if nal[0] & 0x1F == 7)
    why = why_unplayable(sps)
    assert (why is None) if word is None else (why is not None and word in why), why
    assert why_unplayable(sps[:4]) is not None


def test_a_picture_survives_its_way_through_rtp() -> None:
    packets, _ = encode("libx264", {"profile": "baseline", "slices": "3"})
    for packet in packets:
        nals = for_viewers(split(bytes(packet), 0), ParameterSets(0, ()))
        payloads = packetize(nals)
        assert max(map(len, payloads)) <= 1200
        assert split(b"".join(h264_depayload(payload) for payload in payloads), 0) == nals
    packets, _ = encode("libvpx", {"deadline": "realtime"})
    for packet in packets:
        assert b"".join(vp8_depayload(payload) for payload in vp8.packetize(bytes(packet))) == bytes(packet)


def test_the_form_of_mp4_becomes_annex_b_with_its_parameter_sets() -> None:
    packets, _ = encode("libx264", {"profile": "baseline"})
    nals = split(bytes(packets[0]), 0)
    sps, pps = (next(nal for nal in nals if nal[0] & 0x1F == kind) for kind in (7, 8))
    record = bytes([1, *sps[1:4], 0xFF, 0xE1]) + len(sps).to_bytes(2, "big") + sps + b"\1" + len(pps).to_bytes(2, "big")
    sets = parameter_sets(record + pps)
    assert sets == ParameterSets(4, (sps, pps))
    slices = [nal for nal in nals if nal[0] & 0x1F == 5]
    stored = b"".join(len(nal).to_bytes(4, "big") + nal for nal in slices)
    shown = for_viewers(split(stored, 4), sets)
    assert shown == [sps, pps, *slices] and is_keyframe(shown)
    assert parameter_sets(None) == ParameterSets(0, ()) and split(b"\0\0\0\x09ab", 4) == []


def test_stamps_follow_media_time_never_go_back_and_can_be_asked_for() -> None:
    stamper, wall = Stamper(), datetime(2026, 1, 1, tzinfo=UTC)
    steps = [stamper.stamp(Fraction(n, 25), wall + timedelta(seconds=n / 25), n / 25) for n in range(50)]
    assert {b - a for a, b in itertools.pairwise(steps)} == {RATE // 25}
    assert stamper.of(wall + timedelta(seconds=1)) == steps[25] and stamper.of(wall - timedelta(1)) is None
    anew = stamper.stamp(Fraction(0), wall + timedelta(hours=1), 3.0)
    assert steps[0] + 2.9 * RATE < anew < steps[0] + 3.1 * RATE, "a feed that begins again goes on by the clock"
    fast = [stamper.stamp(Fraction(n), wall + timedelta(hours=2, seconds=n), 3.0 + n / 100) for n in range(1, 100)]
    assert fast == sorted(set(fast)) and fast[-1] - anew < 3 * RATE, "a file that runs faster than the clock"


def test_what_a_viewer_catches_up_with_is_over_in_a_blink() -> None:
    stamper, wall = Stamper(), datetime(2026, 1, 1, tzinfo=UTC)
    early = [stamper.hasten(wall + timedelta(seconds=n)) for n in range(5)]
    first = stamper.stamp(Fraction(7), wall + timedelta(seconds=7), 1.0)
    assert [b - a for a, b in itertools.pairwise(early)] == [90] * 4 and 0 < first - early[-1] <= RATE
