"""The project's own RTSP reader against a camera with chosen ways, by real streams over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from connectors.rtsp.credentials import CameraAddress
from connectors.rtsp.source import RtspSource
from streamproc import metrics
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import SourceRefused
from streamproc.core.media import Packet
from streamproc.media.decode import Decoder
from tests.builders.watches import Watch
from tests.servers.camera import Camera, Ways

RATE, GOP = 15, 15
ENCODERS = {"h264": "libx264", "hevc": "libx265"}


def encode(path: Path, codec: str = "h264", bframes: int = 0, gop: int = GOP, seconds: int = 4) -> Path:
    """Noise, so that pictures need many packets, under a grey that names the frame."""
    chance = np.random.default_rng(1)
    options = {"bf": str(bframes), "g": str(gop), "preset": "ultrafast", "crf": "20"}
    if codec == "hevc":
        options["x265-params"] = f"log-level=none:pools=1:bframes={bframes}:keyint={gop}"
    with av.open(str(path), "w") as out:
        stream = out.add_stream(ENCODERS[codec], rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(seconds * RATE):
            picture = np.full((240, 320, 3), 40 + 2 * number % 160, np.uint8) + chance.integers(
                0, 30, (240, 320, 1), np.uint8
            )
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture
def camera() -> Iterator[Callable[..., Camera]]:
    made: list[Camera] = []

    def make(clip: Path, speed: float = 3.0, **ways: Any) -> Camera:
        made.append(Camera(clip, Ways(**ways), speed))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    made: list[Watch] = []

    def make(**settings: Any) -> Watch:
        ref = ConnectorRef.model_validate({"type": "rtsp", **settings})
        made.append(Watch(make_source(ref, ConnectorContext())))
        return made[-1]

    yield make
    for one in made:
        one.finish()
    end = time.monotonic() + 5
    while any(thread.name.startswith("rtsp-") for thread in threading.enumerate()):
        assert time.monotonic() < end, "a thread is left over"
        time.sleep(0.05)


def pixels(packets: list[Packet]) -> list[np.ndarray]:
    decoder = Decoder()
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.flush()
    assert decoder.counts.damaged == 0
    return [frame.picture.bgr() for frame in frames]


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize(("bframes", "aggregate"), [(0, False), (2, True)])
def test_every_picture_arrives_as_it_was_sent(
    watch: Any, camera: Any, tmp_path: Path, codec: str, bframes: int, aggregate: bool
) -> None:
    path = encode(tmp_path / "clip.mp4", codec, bframes)
    feed = watch(url=camera(path, aggregate=aggregate).url())
    feed.until(lambda: len(feed.packets) >= 50)
    feed.finish()
    assert isinstance(feed.source, RtspSource) and feed.source.note == "" and feed.error is None
    packets = feed.packets[:46]
    assert packets[0].keyframe and sum(packet.keyframe for packet in packets) >= 3
    stamps = [packet.data.packet.dts for packet in packets]  # type: ignore[attr-defined]
    assert stamps == sorted(set(stamps))
    media = sorted(packet.at.media for packet in packets)
    assert all(abs(float(after - before) - 1 / RATE) < 0.01 for before, after in pairwise(media))
    with av.open(str(path)) as container:
        sent = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    for received, expected in zip(pixels(packets)[:40], sent, strict=False):
        assert np.abs(received.astype(int) - expected).mean() < 2
    track = packets[0].data.track  # type: ignore[attr-defined]
    assert (track.codec, track.width, track.height) == (codec, 320, 240) and track.template is not None


@pytest.mark.parametrize("algorithms", [("MD5",), ("SHA-256",), ("MD5", "SHA-256"), ("SHA-256", "MD5"), ("basic",)])
@pytest.mark.parametrize("password", ["secret", "Pa#ss/w?rd", "p@ss:w/rd", "ä %41"])
def test_every_way_to_ask_for_a_password_is_answered(
    watch: Any, camera: Any, clip: Path, algorithms: tuple[str, ...], password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = camera(clip, user="admin", password=password, algorithms=algorithms)
    monkeypatch.setenv("CAM_USER", "admin")
    monkeypatch.setenv("CAM_PASSWORD", password)
    feed = watch(url=served.url(), username_env="CAM_USER", password_env="CAM_PASSWORD")
    feed.until(lambda: len(feed.packets) > 2, 10)
    strongest = "SHA-256" if "SHA-256" in algorithms else algorithms[0]
    given = served.requests[-1][2]["authorization"]
    assert given.startswith("Basic ") if strongest == "basic" else f"algorithm={strongest}," in given
    bad = watch(url=served.url("admin:other"))
    bad.until(lambda: bad.error is not None, 10)
    assert isinstance(bad.error, SourceRefused) and "password" in str(bad.error) and "other" not in str(bad.error)


def test_a_password_with_odd_characters_may_stand_in_the_url(watch: Any, camera: Any, clip: Path) -> None:
    served = camera(clip, user="admin", password="Pa#ss/w?rd")
    feed = watch(url=served.url("admin:Pa#ss/w?rd"))
    feed.until(lambda: len(feed.packets) > 2, 10)
    assert all("Pa#" not in url for _, url, _ in served.requests)


def test_an_unknown_authentication_is_named(watch: Any, camera: Any, clip: Path) -> None:
    feed = watch(url=camera(clip, user="a", password="b", algorithms=("SHA-512-256",)).url("a:b"))
    feed.until(lambda: feed.error is not None, 10)
    assert "SHA-512-256" in str(feed.error)


def test_credentials_follow_to_the_same_host_only(watch: Any, camera: Any, clip: Path) -> None:
    guarded = camera(clip, user="admin", password="secret")
    same = camera(clip, redirect=guarded.url())
    feed = watch(url=same.url("admin:secret"))
    feed.until(lambda: len(feed.packets) > 2, 10)
    other = camera(clip, redirect=guarded.url(host="localhost"))
    lured = watch(url=other.url("admin:secret"))
    before = len(guarded.requests)
    lured.until(lambda: lured.error is not None, 10)
    assert all("authorization" not in headers for _, _, headers in guarded.requests[before:] if headers["cseq"] < "3")
    assert "refused" in str(lured.error) and not lured.items
    circle = camera(clip)
    circle.ways = Ways(redirect=circle.url())
    endless = watch(url=circle.url())
    endless.until(lambda: "from one address to the next" in endless.source.note, 10)


def test_a_camera_that_takes_long_to_describe_itself_is_given_the_time(watch: Any, camera: Any, clip: Path) -> None:
    feed = watch(url=camera(clip, describe_s=7.0).url(), connect_timeout="2s")
    feed.until(lambda: len(feed.packets) > 2, 15)
    assert not feed.gaps


def test_joining_a_long_group_of_pictures_is_told(watch: Any, camera: Any, tmp_path: Path) -> None:
    served = camera(encode(tmp_path / "clip.mp4", gop=60), speed=1.0, join_at=20)
    feed = watch(url=served.url())
    feed.until(lambda: feed.source.note == "connected; waiting for the camera's next keyframe", 10)
    feed.until(lambda: len(feed.packets) > 2, 10)
    assert feed.packets[0].keyframe and feed.source.note == ""


@pytest.mark.parametrize("rate", [0.0, 1 / 90, 0.1], ids=["stands", "1 kHz", "a tenth"])
def test_a_clock_of_another_pace_is_not_believed(watch: Any, camera: Any, clip: Path, rate: float) -> None:
    feed = watch(url=camera(clip, speed=1.0, clock_rate=rate).url())
    feed.until(lambda: len(feed.packets) >= 6.5 * RATE, 20)
    feed.finish()
    late = feed.packets[-RATE:]
    assert late[-1].at.seconds - late[0].at.seconds == pytest.approx((RATE - 1) / RATE, abs=0.3)
    frames = pixels(feed.packets)
    assert len(frames) > 20


def test_what_is_lost_is_counted_and_smears_nobody(watch: Any, camera: Any, clip: Path) -> None:
    before = metrics.PACKETS_LOST.labels("processor", "network")._value.get()
    feed = watch(url=camera(clip, drop=(60, 61)).url())
    feed.until(lambda: len(feed.packets) >= 40)
    assert metrics.PACKETS_LOST.labels("processor", "network")._value.get() - before == 2
    decoder = Decoder()
    frames = [frame for packet in feed.packets[:40] for frame in decoder.decode(packet)]
    assert decoder.counts.damaged >= 1 and 10 < len(frames) < 40


def test_goodbye_is_a_gap_and_the_camera_is_called_again(watch: Any, camera: Any, clip: Path) -> None:
    served = camera(clip, goodbye_after=20)
    feed = watch(url=served.url())
    feed.until(lambda: bool(feed.gaps) and len(feed.packets) > 25, 15)
    assert "ended the stream" in feed.gaps[0].detail


def test_signs_of_life_are_given(watch: Any, camera: Any, clip: Path) -> None:
    served = camera(clip, session="9;timeout=3")
    feed = watch(url=served.url())
    feed.until(lambda: sum(method == "GET_PARAMETER" for method, _, _ in served.requests) >= 2, 10)
    feed.finish()
    served.close()
    assert served.requests[-1][0] == "TEARDOWN" and served.requests[-1][2]["session"] == "9"


@pytest.mark.parametrize("odd", [{"only_udp": True}, {"described_codec": "VP8"}])
def test_what_it_does_not_know_is_left_to_ffmpeg(watch: Any, camera: Any, clip: Path, odd: dict[str, Any]) -> None:
    served = camera(clip, **odd)
    feed = watch(url=served.url())
    feed.until(lambda: any("Lavf" in headers.get("user-agent", "") for _, _, headers in served.requests), 15)


def test_what_is_no_rtsp_is_an_error_that_says_so(watch: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        feed = watch(url=f"rtsp://127.0.0.1:{server.getsockname()[1]}/x")
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        feed.until(lambda: "does not speak RTSP" in feed.source.note, 10)
        connection.close()


@pytest.mark.parametrize(
    ("url", "host", "port", "user", "password", "rest"),
    [
        ("rtsp://cam/1", "cam", 554, None, None, "rtsp://cam/1"),
        ("rtsps://cam/1?a=b", "cam", 322, None, None, "rtsps://cam/1?a=b"),
        ("rtsp://a:b@[::1]:8554/x@y", "::1", 8554, "a", "b", "rtsp://[::1]:8554/x@y"),
        ("rtsp://admin:Pa#ssw0rd@10.0.0.7:554/live", "10.0.0.7", 554, "admin", "Pa#ssw0rd", "rtsp://10.0.0.7:554/live"),
        ("rtsp://admin:Pa/s?w@rd@host/live", "host", 554, "admin", "Pa/s?w@rd", "rtsp://host/live"),
        ("rtsp://admin:p%40ss%2F@host/", "host", 554, "admin", "p@ss/", "rtsp://host/"),
        ("rtsp://cam:554/path@2x", "cam", 554, None, None, "rtsp://cam:554/path@2x"),
        ("rtsp:///nothing", "", 554, None, None, "rtsp:///nothing"),
    ],
)
def test_addresses(url: str, host: str, port: int, user: str | None, password: str | None, rest: str) -> None:
    found = CameraAddress.parsed(url)
    credentials = found.credentials
    assert (found.host, found.port, found.url) == (host, port, rest)
    assert (credentials and credentials.user, credentials and credentials.password) == (user, password)
    assert not password or password not in repr(found)
