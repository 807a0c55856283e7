"""The file source: positions, loops, pace, and files that are not what they seem."""

from __future__ import annotations

import itertools
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction as F
from pathlib import Path

import av
import numpy as np
import pytest
from pydantic import ValidationError

from connectors.catalog import check, make_source, names
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Position, Source
from streamproc.core.errors import MediaError, SourceRefused
from streamproc.core.media import EndOfStream, Frame, Moment, Packet
from streamproc.media import jpeg
from streamproc.media.decode import Decoder
from streamproc.media.probe import probe_file
from streamproc.media.reader import read_frames

T0 = datetime(2026, 11, 21, tzinfo=UTC)


def encode(path: Path, codec: str = "libx264", frames: int = 60, container: str | None = None) -> Path:
    """15 fps, a keyframe every 12 frames, reordered where the codec can."""
    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=15)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 160, 96, "yuv420p", 12
        stream.max_b_frames = 2
        for n in range(frames):
            image = np.full((96, 160, 3), 60, np.uint8)
            image[:, n * 2 % 140 : n * 2 % 140 + 20] = 200
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        out.mux(stream.encode())
    return path


def coding_change(path: Path) -> Path:
    """Two seconds of H.264, then two of H.265, under the same PID or track number."""
    parts = [encode(path.with_name(f"{codec}{path.suffix}"), codec, frames=30) for codec in ("libx264", "libx265")]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def cut_without_encoding(clip: Path, path: Path, begin: F) -> Path:
    """From the keyframe before ``begin`` on, with an edit list that hides what lies before it: ``ffmpeg -ss BEGIN -i CLIP -c copy PATH``."""
    with av.open(str(clip)) as whole, av.open(str(path), "w") as out:
        video = whole.streams.video[0]
        copy = out.add_stream_from_template(video)
        whole.seek(int(begin / video.time_base), stream=video, backward=True)
        for packet in whole.demux(video):
            if packet.size:
                packet.pts -= int(begin / video.time_base)
                packet.dts -= int(begin / video.time_base)
                packet.stream = copy
                out.mux(packet)
    return path


def source(path: Path, **settings: object) -> Source:
    ref = ConnectorRef.model_validate({"type": "file", "path": str(path), **settings})
    return make_source(ref, ConnectorContext(start_wall=T0))


def moments(frames: list[Frame]) -> list[Moment]:
    return [frame.at for frame in frames]


def test_a_clip_that_was_cut_without_encoding_begins_where_it_was_cut(tmp_path: Path) -> None:
    clip = cut_without_encoding(encode(tmp_path / "whole.mp4"), tmp_path / "cut.mp4", F(18, 15))
    packets = [item for item in source(clip).items(threading.Event()) if isinstance(item, Packet)]
    decoder = Decoder()
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    assert min(packet.at.media for packet in packets) == F(-6, 15), "the keyframe before the cut is no longer there"
    assert [frame.at.media for frame in frames] == [F(n, 15) for n in range(42)] and frames[0].at.wall == T0
    assert moments(list(read_frames(clip, start_wall=T0))) == moments(frames)


@pytest.mark.parametrize(
    "name,codec,container",
    [
        ("clip.mp4", "libx264", None),
        ("clip.mkv", "libx264", None),
        ("clip.ts", "libx264", None),
        ("clip.avi", "mpeg4", None),
        ("clip.h264", "libx264", "h264"),
    ],
)
def test_stopped_anywhere_a_file_goes_on_where_it_was(
    tmp_path: Path, name: str, codec: str, container: str | None
) -> None:
    path = encode(tmp_path / name, codec, container=container)
    expected = moments(list(read_frames(path, start_wall=T0)))
    assert len(expected) == 60 and expected[0] == Moment(F(0), T0)
    for cut in (1, 2, 13, 25, 40, 59):
        first, decoder, seen, position = source(path), Decoder(), [], None
        for item in itertools.islice(first.items(threading.Event()), cut):
            assert isinstance(item, Packet)
            seen += moments(decoder.decode(item))
            position = first.position()
        assert position is not None
        position = Position(json.loads(json.dumps(position.token)))
        decoder = Decoder(after=seen[-1].media if seen else None)
        for item in source(path).items(threading.Event(), position):
            if isinstance(item, Packet):
                seen += moments(decoder.decode(item))
        assert seen == expected, f"stopped after {cut}"


def test_a_clip_ends_once_and_its_last_packet_says_so(tmp_path: Path) -> None:
    items = list(source(encode(tmp_path / "clip.mp4")).items(threading.Event()))
    assert items[-1] == EndOfStream() and not source(tmp_path).traits.live
    assert [item.ends for item in items[:-1]] == [False] * 59 + [True]


def test_a_loop_counts_on(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", frames=15)
    stop, decoder, seen = threading.Event(), Decoder(), []
    for item in source(path, loop=True).items(stop):
        assert isinstance(item, Packet)
        seen += [frame.at.media for frame in decoder.decode(item)]
        if len(seen) >= 45:
            stop.set()
    assert seen == [F(n, 15) for n in range(45)]


def test_real_time_is_kept_and_stop_is_heard(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4")
    stop = threading.Event()
    feed = source(path, realtime=True)
    assert feed.traits.live and feed.traits.replayable
    begun = time.monotonic()
    for item in feed.items(stop):
        assert isinstance(item, Packet)
        if item.at.media >= 1:
            stop.set()
    assert time.monotonic() - begun > 0.7


def test_a_photograph_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(jpeg.encode(np.full((90, 120, 3), 77, np.uint8)))
    [frame] = read_frames(path)
    assert (frame.picture.width, frame.picture.height) == (120, 90)


@pytest.mark.parametrize("content", [None, b"", b"no video", b"#EXTM3U\n/etc/passwd\n"])
def test_what_is_no_video_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "odd.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceRefused, match=r"odd\.mp4"):
        list(source(path).items(threading.Event()))


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile part.ts\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\npart.ts\n#EXT-X-ENDLIST\n",
        "v=0\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
)
@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list.sdp"])
def test_a_list_of_other_files_is_no_video(tmp_path: Path, text: str, name: str) -> None:
    """Whoever may put a file somewhere may not have the node read another one, or listen to a host."""
    encode(tmp_path / "part.ts", frames=30)
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceRefused, match=r"a list of other files|Invalid data"):
        next(iter(source(tmp_path / name).items(threading.Event())))
    with pytest.raises(MediaError, match=r"a list of other files|Invalid data"):
        probe_file(tmp_path / name)


def test_damage_is_passed_over_and_the_rest_is_seen(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.ts")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 188 * 3] = b"\0" * 188 * 3
    path.write_bytes(data)
    frames = list(read_frames(path))
    assert 20 < len(frames) < 60
    assert frames[-1].at.media == pytest.approx(F(59, 15), abs=0.01)
    media = [frame.at.media for frame in frames]
    assert media == sorted(set(media))


def test_relative_paths_start_at_the_config(tmp_path: Path) -> None:
    encode(tmp_path / "clip.mp4", frames=5)
    ref = ConnectorRef.model_validate({"type": "file", "path": "clip.mp4"})
    items = list(make_source(ref, ConnectorContext(base_dir=tmp_path)).items(threading.Event()))
    assert len(items) == 6
    wall = items[0].at.wall
    assert abs(wall - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    "ref,place",
    [
        ({"type": "fil", "path": "x"}, ("type",)),
        ({"type": "sns", "topic_arn": "x"}, ("type",)),
        ({"type": "file"}, ("path",)),
        ({"type": "file", "path": "x", "lop": True}, ("lop",)),
        ({"type": "rtsp", "url": "http://cam"}, ("url",)),
        ({"type": "rtsp", "url": "rtsp://cam", "transport": "icmp"}, ("transport",)),
        (
            {"type": "kafka", "bootstrap_servers": "b:1", "topic": "t", "start": {"fragment": "x"}},
            ("start", "FragmentStart", "fragment"),
        ),
    ],
)
def test_wrong_settings_name_their_field(ref: dict, place: tuple) -> None:
    with pytest.raises(ValidationError) as caught:
        check(ConnectorRef.model_validate(ref), "source")
    assert place in [error["loc"] for error in caught.value.errors()]


def test_the_table_knows_its_connectors() -> None:
    assert {"file", "rtsp", "kafka"} <= set(names("source"))
    assert {"file", "kafka", "s3", "sns", "stdout", "webhook"} <= set(names("sink"))


@pytest.mark.parametrize("container", ["ts", "mkv"])
def test_video_that_changes_its_coding_is_played_to_the_end_and_resumed(tmp_path: Path, container: str) -> None:
    path = coding_change(tmp_path / f"clip.{container}")
    items = list(source(path).items(threading.Event()))
    frames = decoded(items)
    assert len(frames) == 60 and frames == sorted(frames), "all pictures of both codings, in order"
    for cut in (10, 28, 33, 55):
        first, stop = source(path), threading.Event()
        before = []
        for number, item in enumerate(first.items(stop)):
            before.append(item)
            if number == cut:
                break
        second = source(path)
        after = decoded(list(second.items(threading.Event(), first.position())))
        assert after[-1] == frames[-1] and set(after) <= set(frames)


def decoded(items: list) -> list[F]:
    """Media times of the pictures that packets give."""
    decoder = Decoder()
    frames = [frame for item in items if isinstance(item, Packet) for frame in decoder.decode(item)]
    return [frame.at.media for frame in [*frames, *decoder.flush()]]
