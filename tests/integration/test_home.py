"""A whole daemon beside a real broker: its cameras as devices, its states through kills, commands and deletion; schedules and overrides."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import Daemon, read_lines, run_cli, wait_for
from tests.mqtt_watch import Watcher, retained
from tests.servers.mosquitto import Mosquitto

pytestmark = pytest.mark.models
Broker = Callable[..., Mosquitto]

KILLS = 4
"""Of the daemon, at seeded moments; ``benchmarks.home --kills 100`` does it as often as one likes."""


def document(clip: Path, port: int, extra: str = "") -> str:
    return (
        f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n"
        "session: {mode: continuous, gone_after: 1s}\n"
        "labels: {classes: [PERSON, PET], profile: small, min_confidence: 50}\n"
        "outputs:\n"
        "- {type: file, directory: out}\n"
        f"- {{type: mqtt, host: 127.0.0.1, port: {port}, prefix: home, commands: true}}\n{extra}"
    )


def ask(daemon: Daemon, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(daemon.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


class Door:
    """The topics of a daemon's processor ``door``."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        found = watcher.until(
            lambda: next((m for m in watcher.heard if m.topic.endswith("_door/config") and m.payload), None),
            60,
            "discovery",
        )
        self.config = found.topic
        self.root = found.json["cmps"]["PERSON"]["state_topic"].removesuffix("/PERSON/state")
        self.node = self.root.rsplit("/", 1)[0]

    def last(self, name: str) -> str | None:
        return self.watcher.last(f"{self.root}/{name}")

    def until(self, name: str, value: str, timeout: float = 60) -> None:
        self.watcher.until(lambda: self.last(name) == value, timeout, f"{name} {value}")

    def node_is(self, value: str) -> None:
        self.watcher.until(lambda: self.watcher.last(f"{self.node}/status") == value, 40, f"the node {value}")


@pytest.fixture
def watched(mosquitto: Broker) -> Iterator[tuple[Mosquitto, Watcher]]:
    broker = mosquitto()
    watcher = Watcher(broker.port)
    yield broker, watcher
    watcher.close()


def test_a_camera_is_a_device_from_its_first_frame_to_its_deletion(
    daemon: Daemon, scene: Path, watched: tuple[Mosquitto, Watcher]
) -> None:
    broker, watcher = watched
    path = daemon.put("door", document(scene, broker.port))
    daemon.start()
    door = Door(watcher)
    door.until("status", "online")
    door.until("PERSON/state", "ON")
    attributes = json.loads(door.last("PERSON/attributes") or "")
    wait_for(
        lambda: attributes["event"] in [event["id"] for event in read_lines(daemon.config / "out")],
        20,
        "the same event",
    )
    watcher.until(lambda: watcher.on(f"{door.root}/event"), what="the event itself")
    assert door.last("source/state") == "ON"
    assert (watcher.on(f"{door.root}/hero") or [None])[0] is not None

    watcher.publish(f"{door.root}/set", "OFF")
    daemon.until("door", "stopped")
    door.until("state", "OFF")
    door.until("PERSON/state", "OFF")
    assert door.last("status") == "offline"
    watcher.publish(f"{door.root}/set", "ON")
    daemon.until("door", "running")
    watcher.publish(f"{door.root}/cmd/min_confidence", "60")
    door.until("min_confidence/state", "60")
    # What cannot be followed is refused as a whole: it must not wait in the document for the next start.
    watcher.publish(f"{door.root}/cmd/profile", "nonsense")
    wait_for(lambda: "no model profile 'nonsense'" in daemon.log.read_text(), 30, "the refusal")
    assert daemon.get("/api/processors/door")["config"]["labels"]["profile"] == "small"
    watcher.publish(f"{door.root}/cmd/min_confidence", "55")
    door.until("min_confidence/state", "55")
    assert door.last("profile/state") == "small"

    path.write_text(path.read_text().replace("[PERSON, PET]", "[PERSON]"))
    watcher.until(lambda: door.last("PET/state") == "", 60, "the end of a class")
    path.unlink()
    wait_for(lambda: daemon.states() == {}, 60, "the deletion")
    watcher.until(lambda: watcher.last(door.config) == "", 30, "the device's removal")
    assert {topic for topic in retained(broker.port) if not topic.startswith("$SYS")} == set()
    assert daemon.terminate() == 0


def test_a_daemon_that_is_killed_leaves_nobody_in_view_and_keeps_what_was_said_over_its_schedule(
    daemon: Daemon, scene: Path, watched: tuple[Mosquitto, Watcher]
) -> None:
    broker, watcher = watched
    daemon.put("door", document(scene, broker.port))
    random_ = random.Random(7)
    for turn in range(KILLS):
        daemon.start()
        door = Door(watcher)
        door.until("status", "online")
        door.node_is("online")
        if turn == 0:
            watcher.publish(f"{door.root}/cmd/mode", "away")
            door.until("mode/state", "away")
        time.sleep(random_.uniform(0.5, 4.0))
        daemon.kill()
        if turn == 0:  # the last will, once: it takes as long as the broker is told to wait
            door.node_is("offline")
    # What is shown in the end is what the daemon says, whatever the kills left on the broker.
    daemon.start()
    daemon.until("door", "running")
    ask(daemon, "POST", "/api/processors/door/stop")
    daemon.until("door", "stopped")
    door.until("state", "OFF")

    def in_view() -> set[bytes]:
        held = retained(broker.port)
        return {held[f"{door.root}/{each}/state"] for each in ("PERSON", "PET")}

    wait_for(lambda: in_view() == {b"OFF"}, 30, "that nobody is in view")  # states go out one after the other
    # What somebody said by MQTT holds over all of that, until it is taken back the same way.
    assert daemon.get("/api/processors/door")["schedule"]["override"] == {"mode": "away", "until": None}
    assert door.last("mode/state") == "away"
    watcher.publish(f"{door.root}/cmd/mode", "schedule")
    door.until("mode/state", "schedule")
    assert daemon.get("/api/processors/door")["schedule"]["override"] is None
    assert daemon.terminate() == 0


def test_outside_its_schedule_nothing_is_announced_and_an_override_changes_that(daemon: Daemon, scene: Path) -> None:
    hour = (datetime.now(UTC) + timedelta(hours=3)).strftime("%H:00")
    later = (datetime.now(UTC) + timedelta(hours=5)).strftime("%H:00")
    schedule = f'schedule: {{timezone: UTC, active: ["{hour}-{later}"]}}\n'
    text = document(scene, 1, schedule)
    daemon.put("door", "\n".join(line for line in text.splitlines() if "mqtt" not in line) + "\n")
    daemon.start()
    daemon.until("door", "running")
    view = daemon.get("/api/processors/door")
    assert view["schedule"]["active"] is False
    assert view["schedule"]["next"].startswith((datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%dT%H:00:00"))
    wait_for(lambda: daemon.get("/api/processors/door")["metrics"]["frames_looked_at"] > 40, 60, "frames")
    assert read_lines(daemon.config / "out") == []

    listed = run_cli("schedule", "door", "--days", "3", "--json", "--url", daemon.url)
    changes = json.loads(listed.stdout)
    assert [change["active"] for change in changes] == [True, False] * 3
    assert changes[0]["at"] == view["schedule"]["next"].replace(".000000", "").replace("+00:00", "Z")

    shown = ask(daemon, "PUT", "/api/processors/door/override", {"mode": "away", "for": "1h"})
    assert shown["schedule"]["active"] is True
    assert shown["schedule"]["override"]["mode"] == "away"
    wait_for(lambda: read_lines(daemon.config / "out"), 60, "an announcement")
    daemon.kill()
    daemon.start()
    daemon.until("door", "running")
    assert daemon.get("/api/processors/door")["schedule"]["override"]["mode"] == "away"
    assert ask(daemon, "DELETE", "/api/processors/door/override")["schedule"]["active"] is False
    assert daemon.terminate() == 0
