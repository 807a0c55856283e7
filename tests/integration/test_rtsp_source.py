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

import pytest

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Position
from streamproc.core.errors import SourceRefused
from streamproc.core.media import GapReason
from streamproc.media.decode import Decoder
from tests.builders.clips import grey_clip
from tests.builders.watches import Watch
from tests.servers.rtsp import lengthen

pytestmark = pytest.mark.rtsp


@pytest.fixture(scope="module")
def camera_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("camera")
    return lengthen(grey_clip(folder / "one.mp4"), folder / "cam.mp4", 60)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    watches: list[Watch] = []

    def make(resume: Position | None = None, **settings: Any) -> Watch:
        source = make_source(ConnectorRef.model_validate({"type": "rtsp", **settings}), ConnectorContext())
        watches.append(Watch(source, resume))
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
    clip = lengthen(grey_clip(tmp_path / "one.mp4", "libx265"), tmp_path / "cam.h265.mp4", 20)
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
        assert feed.stop(2)


def test_after_a_restart_media_time_goes_on_by_the_clock(rtsp: Any, watch: Any, camera_clip: Path) -> None:
    server = rtsp({"/cam": camera_clip})
    ended = datetime.now(UTC) - timedelta(seconds=100)
    feed = watch(resume=Position({"media": "40", "wall": ended.isoformat()}), url=server.url("/cam"))
    feed.until(lambda: len(feed.packets) > 2)
    assert 140 <= feed.packets[0].at.seconds < 160
