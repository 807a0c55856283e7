"""Fragments in media time, headers, start instants, and where a feed is cut."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from fractions import Fraction as F
from pathlib import Path

import av
import numpy as np
import pytest

from streamproc.core.errors import MediaError
from streamproc.core.media import EPOCH, Moment, Packet
from streamproc.logic.fragments import (
    LATEST,
    Cutter,
    FragmentClock,
    fragment_number,
    instant_of,
    parse_instant,
    producer_time,
)
from streamproc.media import jpeg
from streamproc.media.decode import Decoder
from streamproc.media.demux import Coded
from streamproc.media.fragmenter import Fragmenter
from streamproc.media.fragments import read_fragment, sniff
from streamproc.media.reader import read_frames, read_packets
from tests.builders.clips import bar_clip

T0 = datetime(2026, 11, 21, tzinfo=UTC)
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


# (producer seconds, first pts, duration) -> media time, hole
CLOCK = {
    "pts go on, producer times are rounded": (
        [(0, 10, 2), (2.004, 12, 2), (3.996, 14, 2)],
        [(0, 0), (2, 0), (4, 0)],
    ),
    "pts begin anew in each": ([(0, 0, 2), (2.004, 0, 2), (4.01, 0, 2)], [(0, 0), (2, 0), (4, 0)]),
    "a pause of the producer": ([(0, 0, 2), (9, 0, 2)], [(0, 0), (9, 7)]),
    "the producer's clock is set back": ([(0, 0, 2), (-3600, 0, 2), (-3598, 0, 2)], [(0, 0), (2, 0), (4, 0)]),
    "stills": ([(0, 0, 0), (0.04, 0, 0), (5, 0, 0)], [(0, 0), (F(1, 25), F(1, 25)), (5, F(124, 25))]),
}


@pytest.mark.parametrize("fragments,expected", CLOCK.values(), ids=CLOCK.keys())
def test_where_fragments_lie(fragments: list, expected: list) -> None:
    clock = FragmentClock()
    got = []
    for number, (producer, pts, duration) in enumerate(fragments):
        restored = FragmentClock()
        restored.restore(json.loads(json.dumps(clock.snapshot())))
        placed = clock.place(str(number), at(producer), F(pts), F(duration))
        assert restored.place(str(number), at(producer), F(pts), F(duration)) == placed
        got.append((placed.media, placed.hole))
    assert got == expected


def test_a_fragment_sent_twice_is_recognised() -> None:
    clock = FragmentClock()
    clock.place("7", T0, F(0), F(2))
    assert clock.is_repeated("7", T0)
    assert not clock.is_repeated("7", at(2)) and not clock.is_repeated("8", T0)


@pytest.mark.parametrize(
    "value,expected",
    [
        (1_795_219_200, "2026-11-21T00:00:00+00:00"),
        (1_795_219_200_500, "2026-11-21T00:00:00.500000+00:00"),
        ("1795219200500", "2026-11-21T00:00:00.500000+00:00"),
        (1795219200.25, "2026-11-21T00:00:00.250000+00:00"),
        ("2026-11-21T01:00:00+01:00", "2026-11-21T00:00:00+00:00"),
        ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00+00:00"),
        ("2026-11-21 00:00:00", "2026-11-21T00:00:00+00:00"),
        (datetime(2026, 11, 21), "2026-11-21T00:00:00+00:00"),
    ],
)
def test_instants(value: object, expected: str) -> None:
    assert parse_instant(value).isoformat() == expected


@pytest.mark.parametrize("value", ["yesterday", "", None, True, [], 1e30])
def test_no_instants(value: object) -> None:
    with pytest.raises(ValueError):
        parse_instant(value)


def test_headers_and_what_stands_in_for_them() -> None:
    given = {"Producer_Timestamp": b"1795219200500", "x-fragment-number": b"0042"}
    assert producer_time(given, EPOCH) == at(0.5)
    assert fragment_number(given, 3) == "0042"
    for missing in ({}, {"producer-timestamp": b"", "fragment-number": b"twelve"}):
        assert producer_time(missing, at(1)) == at(1)
        assert fragment_number(missing, 3) == "3"


@pytest.mark.parametrize(
    "milliseconds,expected",
    [(500, UNIX + timedelta(seconds=0.5)), (-1, UNIX), (253_402_300_800_000, LATEST), (2**63 - 1, LATEST)],
)
def test_a_record_s_own_time_is_one_of_the_calendar(milliseconds: int, expected: datetime) -> None:
    assert instant_of(milliseconds) == expected


def test_cuts_at_keyframes_only_and_never_beyond_the_longest() -> None:
    cutter = Cutter(F(2))
    times = [(F(n, 10), n % 5 == 0) for n in range(60)]
    assert [float(media) for media, key in times if cutter.cuts(media, key)] == [2.0, 4.0]
    cutter = Cutter(F(8))
    assert [n for n in range(0, 40, 6) if cutter.cuts(F(n), True)] == [6, 12, 18, 24, 30, 36]
    assert cutter.too_long(F(47)) and not cutter.too_long(F(45))


@pytest.mark.parametrize("name,tolerance", [("mkv", 0.001), ("ts", 0.0001), ("mp4", 0)])
def test_fragments_give_the_clips_frames_back(tmp_path: Path, name: str, tolerance: float) -> None:
    clip = bar_clip(tmp_path / "clip.mp4")
    said: list[str] = []
    fragmenter = Fragmenter(name, F(2), said.append)
    fragments = [out for packet in read_packets(clip) for out in fragmenter.add(packet)] + fragmenter.finish()
    assert [float(out.seconds) for out in fragments] == [2, 2] and not said
    clock, decoder, media = FragmentClock(), Decoder(), []
    for number, out in enumerate(fragments):
        fragment = read_fragment(out.data, "test")
        assert fragment.damage is None and abs(float(fragment.duration) - 2) < 0.01
        placed = clock.place(str(number), out.at.wall, fragment.first_pts, fragment.duration)
        for unit in fragment.units:
            moment = Moment(placed.media + unit.offset, out.at.wall)
            last = unit is fragment.units[-1]
            packet = Packet(Coded(unit.raw, fragment.track), moment, unit.raw.size, unit.raw.is_keyframe, ends=last)
            media += [frame.at.media for frame in decoder.decode(packet)]
    expected = [frame.at.media for frame in read_frames(clip)]
    assert len(media) == len(expected) == 60
    assert max(abs(float(a - b)) for a, b in zip(media, expected, strict=True)) <= tolerance


@pytest.mark.parametrize("codec,gop,why", [("libx264", 600, "10 s apart"), ("ffv1", 10, "cannot be put")])
def test_what_cannot_be_cut_is_encoded_anew_and_said(tmp_path: Path, codec: str, gop: int, why: str) -> None:
    clip = bar_clip(tmp_path / "clip.mkv", codec, gop, frames=180 if gop > 100 else 60)
    said: list[str] = []
    fragmenter = Fragmenter("mkv", F(2), said.append)
    fragments = [out for packet in read_packets(clip) for out in fragmenter.add(packet)] + fragmenter.finish()
    assert len(said) == 1 and why in said[0]
    assert all(abs(float(out.seconds) - 2) < 0.15 for out in fragments[:-1])
    count = sum(len(read_fragment(out.data, "test").units) for out in fragments)
    assert count == sum(1 for _ in read_frames(clip))
    assert read_fragment(fragments[0].data, "test").track.codec == "h264"


@pytest.mark.parametrize(
    "data", [b"", b"garbage" * 100, b"#EXTM3U\nfile:///etc/passwd", b"ffconcat version 1.0\nfile /etc/passwd\n"]
)
def test_what_is_no_fragment_is_refused(data: bytes) -> None:
    assert sniff(data) is None
    with pytest.raises(MediaError, match="fragment 3"):
        read_fragment(data, "fragment 3")


def test_broken_fragments_are_refused_or_read_as_far_as_they_go(tmp_path: Path) -> None:
    fragmenter = Fragmenter("mkv", F(2))
    clip = bar_clip(tmp_path / "clip.mp4")
    [first, *_] = [out for packet in read_packets(clip) for out in fragmenter.add(packet)]
    with pytest.raises(MediaError):
        read_fragment(first.data[:60], "cut")
    assert 0 < len(read_fragment(first.data[: len(first.data) * 9 // 10], "cut").units) < 30


def test_a_jpeg_is_a_fragment_of_one_picture() -> None:
    picture = read_fragment(jpeg.encode(np.full((90, 160, 3), 128, np.uint8)), "still")
    assert picture.is_still and len(picture.units) == 1 and picture.duration == 0
    unit = picture.units[0]
    packet = Packet(Coded(unit.raw, picture.track), Moment(F(0), T0), unit.raw.size, unit.raw.is_keyframe, ends=True)
    [frame] = Decoder().decode(packet)
    assert (frame.picture.width, frame.picture.height) == (160, 90)


@pytest.mark.parametrize("box", [b"free", b"skip", b"wide"])
def test_a_box_of_nothing_may_stand_before_a_fragmented_mp4(tmp_path: Path, box: bytes) -> None:
    path = tmp_path / "clip.mp4"
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(bar_clip(tmp_path / "plain.mp4"))) as given, av.open(str(path), "w", options=options) as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    data = (16).to_bytes(4, "big") + box + bytes(8) + path.read_bytes()
    assert len(read_fragment(data, "first").units) == 60


def test_a_transport_stream_with_time_codes_is_read(tmp_path: Path) -> None:
    plain = bar_clip(tmp_path / "clip.ts").read_bytes()
    data = b"".join(bytes(4) + plain[at : at + 188] for at in range(0, len(plain), 188))
    assert sniff(data) == "mpegts" and len(read_fragment(data, "m2ts").units) == 60
