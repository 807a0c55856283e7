"""The RTSP source against a real server."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Position
from streamproc.core.errors import SourceRefused
from streamproc.core.media import Gap, GapReason, Packet, StreamItem
from streamproc.media.decode import Decoder
from tests.servers.rtsp import lengthen

pytestmark = pytest.mark.rtsp


def encode_clip(path: Path, codec: str = "libx264", frames: int = 30, rate: int = 15, gop: int = 15) -> Path:
    """A grey level that names the frame."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 320, 240, "yuv420p", gop
        stream.max_b_frames = 0
        if codec == "libx264":
            stream.options = {"x264-params": "scenecut=0"}
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=error:bframes=0:pools=1"}
        for index in range(frames):
            out.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((240, 320, 3), index * 8 % 255, np.uint8), "bgr24"))
            )
        out.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camera")
    return lengthen(encode_clip(folder / "one.mp4"), folder / "cam.mp4", 60)


class Watch:
    """Runs a source in a thread, as its owner would, and keeps what came."""

    def __init__(self, settings: dict[str, Any], resume: Position | None = None) -> None:
        self.source = make_source(ConnectorRef.model_validate({"type": "rtsp", **settings}), ConnectorContext())
        self.stop = threading.Event()
        self.items: list[StreamItem] = []
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, args=(resume,))
        self.thread.start()

    def _run(self, resume: Position | None) -> None:
        try:
            for item in self.source.items(self.stop, resume):
                self.items.append(item)
        except BaseException as error:
            self.error = error

    @property
    def packets(self) -> list[Packet]:
        return [item for item in list(self.items) if isinstance(item, Packet)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in list(self.items) if isinstance(item, Gap)]

    def until(self, true: Callable[[], bool], seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"waited {seconds} s; {len(self.items)} items, error {self.error!r}"
            time.sleep(0.02)

    def finish(self) -> None:
        self.stop.set()
        self.thread.join(5)
        assert not self.thread.is_alive()


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    watches: list[Watch] = []

    def make(resume: Position | None = None, **settings: Any) -> Watch:
        watches.append(Watch(settings, resume))
        return watches[-1]

    yield make
    for one in watches:
        one.finish()
        assert one.error is None or isinstance(one.error, SourceRefused)
    end = time.monotonic() + 5
    while any(thread.name == "rtsp-read" for thread in threading.enumerate()):
        assert time.monotonic() < end, "a reading thread is left over"
        time.sleep(0.05)


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_camera_gives_frames_with_their_arrival(rtsp: Any, watch: Any, camera_clip: Path, transport: str) -> None:
    server = rtsp({"/cam": camera_clip})
    before = datetime.now(UTC)
    feed = watch(url=server.url("/cam"), transport=transport)
    feed.until(lambda: len(feed.packets) >= 20)
    feed.finish()
    packets = feed.packets
    assert packets[0].keyframe and packets[0].at.media == 0
    assert before < packets[0].at.wall < packets[-1].at.wall < datetime.now(UTC)
    for packet in packets:
        lag = packet.at.wall - packets[0].at.wall - timedelta(seconds=packet.at.seconds)
        assert abs(lag) < timedelta(seconds=0.5)
    decoder = Decoder()
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.flush()
    assert len(frames) == len(packets) and frames[0].picture.width == 320
    assert decoder.counts.damaged == 0


def test_h265(rtsp: Any, watch: Any, tmp_path: Path) -> None:
    clip = lengthen(encode_clip(tmp_path / "one.mp4", "libx265"), tmp_path / "cam.h265.mp4", 20)
    feed = watch(url=rtsp({"/cam": clip}).url("/cam"))
    feed.until(lambda: len(feed.packets) >= 16)
    decoder = Decoder()
    frames = [frame for packet in feed.packets for frame in decoder.decode(packet)]
    assert len(frames) >= 15 and frames[0].picture.height == 240


def test_a_password_from_the_environment_opens_and_a_wrong_one_stops(
    rtsp: Any, watch: Any, camera_clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = rtsp({"/cam": camera_clip}, auth=("admin", "p@ss:w/rd"))
    monkeypatch.setenv("CAM_USER", "admin")
    monkeypatch.setenv("CAM_PASSWORD", "p@ss:w/rd")
    good = watch(url=server.url("/cam"), username_env="CAM_USER", password_env="CAM_PASSWORD")
    good.until(lambda: len(good.packets) > 3)
    monkeypatch.setenv("CAM_PASSWORD", "secret-but-wrong")
    for settings in (
        {"url": server.url("/cam"), "username_env": "CAM_USER", "password_env": "CAM_PASSWORD"},
        {"url": server.url("/cam", credentials="admin:secret-but-wrong")},
        {"url": server.url("/cam")},
    ):
        bad = watch(**settings)
        bad.until(lambda bad=bad: bad.error is not None, 15)
        assert isinstance(bad.error, SourceRefused)
        assert "password" in str(bad.error) and "secret-but-wrong" not in str(bad.error)
        assert not bad.items


def test_a_camera_that_dies_comes_back_in_the_same_session(rtsp: Any, watch: Any, camera_clip: Path) -> None:
    server = rtsp({"/cam": camera_clip})
    feed = watch(url=server.url("/cam"))
    feed.until(lambda: len(feed.packets) > 10)
    server.stop()
    feed.until(lambda: bool(feed.gaps), 15)
    count = len(feed.packets)
    time.sleep(1.0)
    server.start()
    feed.until(lambda: len(feed.packets) > count + 10)
    feed.finish()
    [gap] = feed.gaps
    assert gap.reason is GapReason.LOST
    media = [packet.at.media for packet in feed.packets]
    assert media == sorted(media)
    for packet in feed.packets:
        assert abs((packet.at.wall - feed.packets[0].at.wall).total_seconds() - packet.at.seconds) < 1.0
    back = feed.packets[count]
    assert back.at.media - gap.at.media > 1
    decoder = Decoder()
    decoder.decode(feed.packets[0])
    decoder.reset()
    assert [frame for packet in feed.packets[count:] for frame in decoder.decode(packet)]


def test_a_stall_is_noticed_and_a_short_one_is_not(rtsp: Any, watch: Any, camera_clip: Path) -> None:
    server = rtsp({"/cam": camera_clip})
    feed = watch(url=server.url("/cam"), stall_after="3s", connect_timeout="2s")
    feed.until(lambda: len(feed.packets) > 10)
    os.kill(server.pid, signal.SIGSTOP)
    try:
        time.sleep(1.0)
        os.kill(server.pid, signal.SIGCONT)
        count = len(feed.packets)
        feed.until(lambda: len(feed.packets) > count + 5)
        assert not feed.gaps
        os.kill(server.pid, signal.SIGSTOP)
        feed.until(lambda: bool(feed.gaps), 15)
        assert feed.gaps[0].reason is GapReason.STALLED
    finally:
        os.kill(server.pid, signal.SIGCONT)
    count = len(feed.packets)
    feed.until(lambda: len(feed.packets) > count + 5)
    assert len(feed.gaps) == 1


def test_a_wrong_path_is_tried_again_and_says_so(rtsp: Any, watch: Any, camera_clip: Path) -> None:
    feed = watch(url=rtsp({"/cam": camera_clip}).url("/garden"))
    feed.until(lambda: "404" in feed.source.note, 15)
    assert feed.error is None and not feed.items


def test_stop_is_heard_while_the_camera_does_not_answer(watch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        feed = watch(url=f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam", connect_timeout="3s")
        time.sleep(0.3)
        started = time.monotonic()
        feed.stop.set()
        feed.thread.join(2)
        assert not feed.thread.is_alive() and time.monotonic() - started < 2


def test_after_a_restart_media_time_goes_on_by_the_clock(rtsp: Any, watch: Any, camera_clip: Path) -> None:
    server = rtsp({"/cam": camera_clip})
    ended = datetime.now(UTC) - timedelta(seconds=100)
    feed = watch(resume=Position({"media": "40", "wall": ended.isoformat()}), url=server.url("/cam"))
    feed.until(lambda: len(feed.packets) > 2)
    assert 140 <= feed.packets[0].at.seconds < 160
