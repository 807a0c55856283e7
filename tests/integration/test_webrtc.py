"""WHIP and WHEP through the daemon, with aiortc as the peers."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for
from tests.peers import CounterTrack, Session, Watching, publish, read_counter, watch
from tests.videos import moving_bars

pytestmark = [pytest.mark.models, pytest.mark.slow]

LABELS = "session: {duration: 3h, allow_long: true}\nlabels: {classes: [PERSON], profile: small, fps: 1, second_look: false}\n"
BOX = """server:
  tokens:
    - {name: both, token_env: T_BOTH, may: [publish, watch]}
    - {name: eyes, token_env: T_EYES, may: [watch]}
webrtc: {udp_ports: [42000, 42199]}
"""
TOKENS = {"T_BOTH": "both-token", "T_EYES": "eyes-token"}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Three files that run like cameras, and processors that wait for a publisher."""
    folder = tmp_path_factory.mktemp("webrtc")
    served = Daemon(folder, TOKENS)
    (served.config / "streamproc.yaml").write_text(BOX)
    plain = moving_bars(folder / "plain.mp4", "libx264", {"bf": "0", "g": "250"})
    reordered = moving_bars(folder / "reordered.mp4", "libx264", {"bf": "2", "g": "250"})
    hevc = moving_bars(folder / "hevc.mp4", "libx265", {"x265-params": "log-level=none"})
    for name, clip in (("plain", plain), ("reordered", reordered), ("hevc", hevc)):
        served.put(name, f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n{LABELS}")
    for name in ("door", "kill", "loss", "bad"):
        served.put(
            name, f"source: {{type: webrtc}}\n{LABELS}outputs: [{{type: file, directory: {folder}/out-{name}}}]\n"
        )
    served.put("kept", f"source: {{type: webrtc}}\n{LABELS}record: {{keep: 1h}}\n")
    served.put("over", f"source: {{type: webrtc, second_publisher: take_over}}\n{LABELS}")
    served.put("off", f"state: stopped\nsource: {{type: webrtc}}\n{LABELS}")
    served.start()
    wait_for(lambda: list(served.states().values()).count("running") == 9, 120, "all run")
    yield served
    served.close()


def source_of(box: Daemon, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api(box, name)["source"]
    return found


def api(box: Daemon, name: str) -> Any:
    return box.get(f"/api/processors/{name}")


@pytest.mark.parametrize("codec", ["video/H264", "video/VP8"])
async def test_what_is_published_is_seen_as_it_came(box: Daemon, codec: str) -> None:
    track = CounterTrack()
    session = await publish(f"{box.url}/whip/door", "both-token", track, codec, sound=True)
    assert session.status == 201, session.message
    assert session.location.startswith("/whip/door/")
    viewer = await watch(f"{box.url}/whep/door", "eyes-token")
    await viewer.until(20)
    seen = [read_counter(frame) for _, frame in viewer.frames]
    assert seen == sorted(seen) and seen[-1] in track.sent
    assert source_of(box, "door")["state"] == "running"
    assert await viewer.session.delete() == 200
    assert await session.delete() == 200
    await asyncio.sleep(0.5)
    await until(lambda: source_of(box, "door")["state"] == "gap")


async def test_what_is_published_is_recorded_as_it_came(box: Daemon, tmp_path: Path) -> None:
    """A publisher's only keyframe may be its first: it is asked for more, and what is left is written when it leaves."""
    begins, track = datetime.now(UTC) - timedelta(seconds=1), CounterTrack()
    session = await publish(f"{box.url}/whip/kept", "both-token", track)

    def fragments() -> list[Any]:
        try:
            return list(box.get(f"/api/streams/kept/fragments?from={begins.isoformat().replace('+', '%2B')}"))
        except OSError:  # the stream is made with its first fragment
            return []

    await until(lambda: len(fragments()) >= 1, 60)
    await session.delete()
    await until(lambda: len(fragments()) >= 2)
    out = tmp_path / "clip.mp4"
    words = ("streams", "clip", "kept", "--from", begins.isoformat(), "--url", box.url, "--out", out)
    done = await asyncio.to_thread(run_cli, *words)
    assert done.returncode == 0, done.stderr
    with av.open(str(out)) as clip:
        seen = [read_counter(frame) for frame in clip.decode(video=0)]
    assert seen == sorted(set(seen)) and len(seen) >= 15 and set(seen) <= track.sent.keys()


@pytest.mark.parametrize("name", ["plain", "reordered", "hevc"])
async def test_files_and_cameras_are_seen_too(box: Daemon, name: str) -> None:
    viewer = await watch(f"{box.url}/whep/{name}", "eyes-token")
    await viewer.until(25)
    times = [frame.time for _, frame in viewer.frames]
    assert times == sorted(times)
    await viewer.session.delete()
    await until(lambda: not threads_named(box, "transcode"))


@pytest.mark.rtsp
async def test_a_camera_is_passed_through(box: Daemon, scene: Path, rtsp: Any) -> None:
    server = rtsp({"/cam": scene})
    box.put("camera", f"source: {{type: rtsp, url: '{server.url('/cam')}'}}\n{LABELS}")
    await until(lambda: box.states().get("camera") == "running", 60)
    viewer = await watch(f"{box.url}/whep/camera", "eyes-token")
    await viewer.until(20)
    await viewer.session.delete()


async def test_a_viewer_that_takes_vp8_only_gets_vp8(box: Daemon) -> None:
    viewer = await watch(f"{box.url}/whep/plain", "eyes-token", "video/VP8")
    await viewer.until(10)
    await viewer.session.delete()


async def test_a_publisher_that_vanishes_is_a_gap_and_may_come_back(box: Daemon) -> None:
    first = await publish(f"{box.url}/whip/kill", "both-token", CounterTrack())
    await until(lambda: source_of(box, "kill")["state"] == "running")
    beside = await publish(f"{box.url}/whip/kill", "both-token", CounterTrack())
    assert beside.status == 409
    viewer = await watch(f"{box.url}/whep/kill", "eyes-token")
    await viewer.until(5)
    await first.vanish()
    await until(lambda: source_of(box, "kill")["state"] == "gap", 12)
    assert "publisher_gone" in source_of(box, "kill")["why"]
    before = viewer.count
    again = await publish(f"{box.url}/whip/kill", "both-token", CounterTrack())
    assert again.status == 201, again.message
    await until(lambda: source_of(box, "kill")["state"] == "running")
    await viewer.until(before + 10)
    await again.delete()
    await viewer.session.delete()

    def gaps() -> list[dict[str, Any]]:
        return [event for event in read_lines(box.config.parent / "out-kill") if event["type"] == "source_gap"]

    await until(gaps)
    assert len(gaps()) == 1 and gaps()[0]["seconds"] >= 4
    await first.connection.close()


async def test_another_publisher_may_take_over(box: Daemon) -> None:
    first = await publish(f"{box.url}/whip/over", "both-token", CounterTrack())
    await until(lambda: source_of(box, "over")["state"] == "running")
    second = await publish(f"{box.url}/whip/over", "both-token", CounterTrack())
    assert (first.status, second.status) == (201, 201)
    viewer = await watch(f"{box.url}/whep/over", "eyes-token")
    await viewer.until(5)
    assert await first.delete() == 404
    await second.delete()
    await viewer.session.delete()


async def post_offer(url: str, sdp: str) -> int:
    headers = {"Content-Type": "application/sdp", "Authorization": "Bearer both-token"}
    async with aiohttp.ClientSession() as http, http.post(url, data=sdp, headers=headers) as answer:
        return answer.status


async def test_only_an_offer_that_is_answered_takes_over(box: Daemon) -> None:
    first = await publish(f"{box.url}/whip/over", "both-token", CounterTrack())
    await until(lambda: source_of(box, "over")["state"] == "running")
    offer = await good_offer()
    broken = [
        re.sub("packetization-mode=1", "packetization-mode=0", re.sub(" VP8/", " VP7/", offer)),
        re.sub("a=mid:.*\r\n", "", re.sub("a=rtpmap:.*\r\n", "", offer)),
        re.sub("a=setup:.*", "a=setup:nonsense", offer),
    ]
    statuses = [await post_offer(f"{box.url}/whip/over", sdp) for sdp in broken]
    assert statuses[0] == 422 and all(status in (400, 422) for status in statuses), statuses
    await asyncio.sleep(1)
    assert source_of(box, "over")["state"] == "running"
    assert await first.delete() == 200


async def test_an_offer_that_never_connects_holds_no_place(box: Daemon) -> None:
    statuses = [await post_offer(f"{box.url}/whip/bad", await good_offer()) for _ in range(5)]
    assert statuses == [201] * 5


async def test_lost_packets_cost_some_pictures_at_most(box: Daemon) -> None:
    track = CounterTrack()
    session = await publish(f"{box.url}/whip/loss", "both-token", track, loss=0.05)
    viewer = await watch(f"{box.url}/whep/loss", "eyes-token")
    await viewer.until(60, timeout=30)
    seen = [read_counter(frame) for _, frame in viewer.frames]
    assert set(seen) <= track.sent.keys()
    assert len(set(seen)) > 0.6 * (max(seen) - min(seen))
    await session.delete()
    await viewer.session.delete()


async def test_twenty_viewers_come_and_go_and_leave_nothing(box: Daemon) -> None:
    await (await watch(f"{box.url}/whep/plain", "eyes-token")).session.delete()
    await until(lambda: api(box, "plain")["source"]["state"] == "running")
    before = census(box)
    drops = api(box, "plain")["metrics"]["drops"]
    for _ in range(4):
        viewers: list[Watching] = [await watch(f"{box.url}/whep/plain", "eyes-token") for _ in range(5)]
        await asyncio.gather(*(viewer.until(8) for viewer in viewers))
        await asyncio.gather(*(viewer.session.delete() for viewer in viewers))
    await until(lambda: census(box) <= before, 20)
    assert api(box, "plain")["metrics"]["drops"].get("overflow", 0) == drops.get("overflow", 0)


async def test_a_viewer_that_only_offers_is_let_go(box: Daemon) -> None:
    """It never connects; until then it holds ports of the range, which is all that it can hold."""
    session = Session(f"{box.url}/whep/plain", "eyes-token")
    session.connection.addTransceiver("video", direction="recvonly")
    await session.connection.setLocalDescription(await session.connection.createOffer())
    async with aiohttp.ClientSession() as http:
        headers = {"Authorization": "Bearer eyes-token", "Content-Type": "application/sdp"}
        async with http.post(session.url, data=session.connection.localDescription.sdp, headers=headers) as answer:
            assert answer.status == 201
            ports = {
                int(port) for port in re.findall(r"a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host", await answer.text())
            }
            location = answer.headers["Location"]
        assert ports and all(42000 <= port <= 42199 for port in ports)
        async with http.patch(
            box.url + location,
            data="a=mid:0\r\na=candidate:1 1 udp 2130706431 127.0.0.1 9 typ host\r\n",
            headers={"Authorization": "Bearer eyes-token", "Content-Type": "application/trickle-ice-sdpfrag"},
        ) as answer:
            assert answer.status == 204
        async with http.delete(box.url + location, headers=headers) as answer:
            assert answer.status == 200
        async with http.delete(box.url + location, headers=headers) as answer:
            assert answer.status == 404
    await session.connection.close()


async def good_offer(direction: str = "sendonly", kind: str = "video") -> str:
    session = Session("", None)
    session.connection.addTransceiver(kind, direction=direction)
    await session.connection.setLocalDescription(await session.connection.createOffer())
    sdp: str = session.connection.localDescription.sdp
    await session.connection.close()
    return sdp


async def test_bad_requests_get_a_clear_status_and_the_server_goes_on(box: Daemon) -> None:
    sends, receives = await good_offer(), await good_offer("recvonly")
    candidate = "a=candidate:1 1 udp 2130706431 192.0.2.9 {} typ host\r\n"
    many = sends + "".join(candidate.format(1024 + n) for n in range(10_000))
    cases: list[tuple[str, str | bytes, str | None, int]] = [
        ("/whip/bad", sends, None, 401),
        ("/whip/bad", sends, "nobody's", 401),
        ("/whip/bad", sends, "eyes-token", 403),
        ("/whip/nobody", sends, "both-token", 404),
        ("/whip/plain", sends, "both-token", 409),
        ("/whip/off", sends, "both-token", 409),
        ("/whep/off", receives, "eyes-token", 409),
        ("/whep/nobody", receives, "eyes-token", 404),
        ("/whip/bad", "", "both-token", 400),
        ("/whip/bad", "hello", "both-token", 400),
        ("/whip/bad", b"\xff\xfe\x00" * 50, "both-token", 400),
        ("/whip/bad", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "both-token", 400),
        ("/whip/bad", re.sub("a=fingerprint:.*\r\n", "", sends), "both-token", 400),
        ("/whip/bad", re.sub("a=fingerprint:.*", "a=fingerprint:sha-256 zz", sends), "both-token", 400),
        ("/whip/bad", sends + "a=x:" + "y" * 2_000_000, "both-token", 413),
        ("/whip/bad", many[:250_000], "both-token", 413),
        ("/whip/bad", many, "both-token", 413),
        ("/whip/bad", await good_offer(kind="audio"), "both-token", 422),
        ("/whip/bad", sends.replace("H264", "H999").replace("VP8", "VP7"), "both-token", 422),
        ("/whip/bad", receives, "both-token", 422),
        ("/whep/plain", sends, "eyes-token", 422),
    ]
    async with aiohttp.ClientSession() as http:
        for path, body, token, status in cases:
            headers = {"Content-Type": "application/sdp"} | ({"Authorization": f"Bearer {token}"} if token else {})
            async with http.post(box.url + path, data=body, headers=headers) as answer:
                assert answer.status == status, (path, body[:60], await answer.text())
                assert (await answer.json())["error"]["message"]
        async with http.get(f"{box.url}/watch/plain/events") as answer:
            assert answer.status == 401
    text = box.log.read_text()
    assert "both-token" not in text and "eyes-token" not in text and "request_failed" not in text
    high = re.sub("profile-level-id=......", "profile-level-id=640c1f", sends)
    async with aiohttp.ClientSession() as http:
        headers = {"Content-Type": "application/sdp", "Authorization": "Bearer both-token"}
        async with http.post(f"{box.url}/whip/bad", data=high, headers=headers) as answer:
            assert answer.status == 201 and "640c1f" in await answer.text()
            location = answer.headers["Location"]
        async with http.delete(box.url + location, headers=headers) as answer:
            assert answer.status == 200
    session = await publish(f"{box.url}/whip/bad", "both-token", CounterTrack())
    assert session.status == 201
    await session.delete()


async def until(check: Any, timeout: float = 20) -> None:
    """As ``wait_for``, while peers of this process go on."""
    deadline = time.monotonic() + timeout
    while not await asyncio.to_thread(check):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.2)


def census(box: Daemon) -> tuple[int, int]:
    """Sockets and threads of the daemon that are WebRTC's: none of them is to be left behind."""
    folder = Path(f"/proc/{process_id(box)}")
    ours = {int(line.split()[9]) for name in ("udp", "udp6") for line in lines(folder / "net" / name)}
    links = [os.readlink(link) for link in (folder / "fd").iterdir() if link.exists()]
    sockets = sum(link.startswith("socket:[") and int(link[8:-1]) in ours for link in links)
    return sockets, len(threads_named(box, "video-decoder", "transcode"))


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:]


def threads_named(box: Daemon, *names: str) -> list[str]:
    found = [(task / "comm").read_text() for task in Path(f"/proc/{process_id(box)}/task").iterdir()]
    return [thread for thread in found if thread.startswith(names)]


def process_id(box: Daemon) -> int:
    assert box._process is not None
    return box._process.pid
