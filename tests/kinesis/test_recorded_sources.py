"""Recordings of what comes over a network: packets as they were sent, found by time, in a clip that plays."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import av
import pytest

from tests.daemon import Daemon, run_cli, wait_for
from tests.matroska import Clip
from tests.servers.camera import Camera

pytestmark = [pytest.mark.models]

PROCESSOR = (
    "state: running\nsession: {mode: continuous}\nlabels: {classes: [PERSON], profile: small}\nrecord: {keep: 1h}\n"
)


@pytest.fixture
def daemon(tmp_path: Path) -> Any:
    made = Daemon(tmp_path / "node").start()
    yield made
    made.close()


def units(data: bytes) -> list[bytes]:
    """The pictures' NAL units of one packet with lengths before them: parameter sets and what describes a stream may be added or left out."""
    found, at = [], 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return [unit for unit in found if unit[0] & 31 in (1, 5)]


def recorded(daemon: Daemon, name: str, out: Path) -> list[list[bytes]]:
    """The pictures of all that was recorded, by ``streams clip``; it also has to decode without an error."""

    def fragments() -> int:
        found = [each for each in daemon.get("/api/streams") if each["name"] == name]
        return int(found[0]["fragments"]) if found else 0

    wait_for(lambda: fragments() >= 3, 60, "three fragments")
    listed = run_cli("streams", "fragments", name, "--url", daemon.url, "--json")
    third = json.loads(listed.stdout)[2]
    # What begins before the third fragment: the two before it, whole, as pre-roll of an instant in it would be.
    made = run_cli("streams", "clip", name, "--to", third["time"], "--url", daemon.url, "--out", out)
    assert made.returncode == 0, made.stderr
    with av.open(str(out)) as container:
        pictures = [units(bytes(packet)) for packet in container.demux(video=0) if packet.size]
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(pictures)
    return pictures


def holds(kept: list[list[bytes]], sent: list[list[bytes]]) -> bool:
    """Whether ``kept`` is a part without a gap of ``sent``, repeated."""
    around = sent * (len(kept) // len(sent) + 2)
    begins = around.index(kept[0])
    return around[begins : begins + len(kept)] == kept


def test_a_cameras_packets_are_kept_as_it_sent_them(
    daemon: Daemon, clip_file: Path, clip: Clip, tmp_path: Path
) -> None:
    camera = Camera(clip_file)
    try:
        daemon.put("cam", f"source: {{type: rtsp, url: 'rtsp://127.0.0.1:{camera.port}/cam'}}\n{PROCESSOR}")
        kept = recorded(daemon, "cam", tmp_path / "clip.mp4")
    finally:
        camera.close()
    assert len(kept) >= 100 and holds(kept, [units(data) for _, _, data in clip.packets])


@pytest.mark.kafka
def test_fragments_of_a_topic_are_kept_as_they_were_sent(
    daemon: Daemon, kafka: Any, clip_file: Path, clip: Clip, tmp_path: Path
) -> None:
    topic = f"recorded-{tmp_path.name.lower()}"
    for _ in range(2):  # the second one's beginning ends the first one's last fragment
        begun = time.monotonic()
        sent = run_cli("publish", clip_file, "--kafka", kafka.bootstrap, "--topic", topic, "--stream", "cam")
        assert sent.returncode == 0, sent.stderr
        time.sleep(max(0.0, 6.5 - (time.monotonic() - begun)))  # its six seconds, which are dated from when it was sent
    source = f"{{type: kafka, bootstrap_servers: '{kafka.bootstrap}', topic: {topic}, stream: cam, start: earliest}}"
    daemon.put("cam", f"source: {source}\n{PROCESSOR}")
    kept = recorded(daemon, "cam", tmp_path / "clip.mp4")
    assert len(kept) >= 50 and holds(kept, [units(data) for _, _, data in clip.packets])
