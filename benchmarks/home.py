"""Home Assistant's side of a node: discovery, a broker that is away, daemons that are killed, and what is left after a deletion.

Against a real broker (mosquitto) on this machine. Discovery is timed from the first status that an output is given until a listener has every
document; beside it the same messages published by a bare client, one after the other. Then every processor is deleted, and what the broker still
retains is counted. ``--away SECONDS``: so long the broker is away while 500 events are told. ``--kills N``: so often a whole daemon is killed by
SIGKILL at seeded moments, and what is shown in view is compared with what the daemon knows after each start.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import paho.mqtt.client as paho

from benchmarks.common import parser, prepared, progress, report
from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from connectors.mqtt.sink import MqttSink
from streamproc.config.processor import ConnectorRef
from streamproc.core.status import ProcessorStatus, SourceStatus, Watched
from tests.builders.events import label_event
from tests.builders.outboxes import Box
from tests.daemon import Daemon, wait_for
from tests.mqtt_watch import Watcher, retained
from tests.servers.mosquitto import Mosquitto

CAMERAS = 50
WATCHED = Watched(("PERSON", "PET", "PACKAGE"), True, ("porch", "steps", "street"), 50.0, "default")
EVENTS, SESSIONS = 500, 5
EMPTY_EVERY = 5
"""After each so many kills the camera shows nobody when the daemon is back."""


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--away", type=float, default=30.0, help="seconds without a broker while 500 events are told")
    made.add_argument("--kills", type=int, default=0, help="SIGKILLs of a daemon, at seeded moments")
    made.add_argument("--seed", type=int, default=7, help="of those moments")
    options = prepared(made.parse_args())
    folder = Path(tempfile.mkdtemp(prefix="streamproc-home-"))
    broker = Mosquitto(folder / "broker").start()
    try:
        rows, figures = asyncio.run(_discover(broker.port, folder))
        figures |= asyncio.run(_absence(broker, folder / "absence", options.away))
        if options.kills:
            clip = next(iter(sorted((options.corpus).rglob("*.mp4"))))
            figures |= Killed(broker.port, folder, clip).times(options.kills, options.seed)
        report(options, figures=figures, rows=rows)
    finally:
        broker.stop()


async def _discover(port: int, folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    watcher = await asyncio.to_thread(Watcher, port, "homeassistant/#")
    ref = ConnectorRef.model_validate({"type": "mqtt", "host": "127.0.0.1", "port": port})
    names = [f"cam{number}" for number in range(CAMERAS)]
    sinks = [make_sink(ref, ConnectorContext(name, data_dir=folder)) for name in names]
    began = time.monotonic()
    for name, sink in zip(names, sinks, strict=True):
        assert isinstance(sink, MqttSink)
        sink.status(replace(ProcessorStatus(name, "running", watched=WATCHED), source=SourceStatus("running")))
    await asyncio.to_thread(
        watcher.until, lambda: len({m.topic for m in watcher.heard if "_cam" in m.topic}) == CAMERAS, 60
    )
    seconds = time.monotonic() - began
    entities = len({c["unique_id"] for m in watcher.heard if m.payload for c in m.json["cmps"].values()})
    messages = await asyncio.to_thread(_held, port, "")
    for sink in sinks:
        assert isinstance(sink, MqttSink)
        await sink.retire()
    for sink in sinks:
        await sink.aclose()
    left = await asyncio.to_thread(_held, port, "")
    watcher.close()
    bare = await asyncio.to_thread(_publish_bare, port, messages)
    rows = [
        {"what": "outputs, from status to the last document", "messages": len(messages), "seconds": round(seconds, 2)},
        {"what": "a bare client, one message after the other", "messages": len(messages), "seconds": round(bare, 2)},
    ]
    figures = {"entities": entities, "discovery_s": rows[0]["seconds"], "bare_s": rows[1]["seconds"]}
    return rows, figures | {"retained_before_deletion": len(messages), "retained_after_deletion": len(left)}


def _held(port: int, prefix: str) -> dict[str, bytes]:
    return {t: p for t, p in retained(port, qos=0).items() if t.startswith(prefix) and not t.startswith("$SYS")}


def _publish_bare(port: int, messages: dict[str, bytes]) -> float:
    """Seconds; takes the messages off again."""
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    began = time.monotonic()
    for topic, payload in messages.items():
        client.publish(f"bare/{topic}", payload, qos=1, retain=True).wait_for_publish(10)
    seconds = time.monotonic() - began
    for topic in messages:
        client.publish(f"bare/{topic}", b"", qos=1, retain=True).wait_for_publish(10)
    client.loop_stop()
    client.disconnect()
    return seconds


async def _absence(broker: Mosquitto, folder: Path, seconds: float) -> dict[str, Any]:
    """500 events of five sessions, told evenly while the broker is away; what a listener has of them a while after it is back."""
    box = Box(folder)
    await box.outbox.start()
    port, topic = broker.port, "streamproc/+/+/event"
    await box.connect({"type": "mqtt", "host": "127.0.0.1", "port": port, "discovery": False})
    watcher = await asyncio.to_thread(lambda: Watcher(port, topic, client_id="persistent"))
    broker.stop()  # what it knows of the listener's session is on disk then
    began = time.monotonic()
    for number in range(EVENTS):
        await box.tell(label_event(number // SESSIONS, f"s{number % SESSIONS}", has_pictures=False))
        await asyncio.sleep(max(0.0, began + seconds * (number + 1) / EVENTS - time.monotonic()))
    broker.start()
    back = time.monotonic()
    await box.settled(120)
    settled = time.monotonic() - back
    await asyncio.sleep(2)
    told = [message.json["id"] for message in watcher.heard]
    watcher.close()
    await box.outbox.aclose()
    ordered = all(
        (mine := [name for name in told if name.startswith(f"s{session}-")]) == sorted(mine)
        for session in range(SESSIONS)
    )
    return {
        "away_s": seconds,
        "told_meanwhile": EVENTS,
        "arrived": len(set(told)),
        "twice": len(told) - len(set(told)),
        "in_order": ordered,
        "all_delivered_after_s": round(settled, 1),
    }


@dataclass
class Killed:
    """A daemon that is killed again and again, one camera, and a listener."""

    port: int
    folder: Path
    clip: Path
    """Somebody is in it."""
    while_on: int = 0
    """Kills while somebody was shown in view."""
    stuck: int = 0
    """Starts after which somebody was shown in view of whom the daemon knows nothing."""

    def times(self, kills: int, seed: int) -> dict[str, Any]:
        self.daemon, random_ = Daemon(self.folder / "daemon"), random.Random(seed)
        empty = _empty(self.folder / "empty.mp4")
        self._put(self.clip)
        self.watcher = Watcher(self.port, "killed/#")
        for number in range(1, kills + 1):
            self._start()
            time.sleep(random_.uniform(0.2, 3.0))
            self.while_on += self._shown() > 0
            self.daemon.kill()
            if number % EMPTY_EVERY == 0:
                self._put(empty)
                self._start()
                self._settle()
                self.daemon.kill()
                self._put(self.clip)
            progress(f"{number} of {kills} kills, {self.while_on} while somebody was in view, {self.stuck} stuck")
        self._put(self.clip, "state: stopped\n")
        self._start(running=False)
        self._settle()
        self.daemon.terminate()
        self.watcher.close()
        return {"kills": kills, "kills_while_on": self.while_on, "stuck_on": self.stuck}

    def _put(self, clip: Path, more: str = "") -> None:
        self.daemon.put(
            "door",
            f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n"
            "session: {mode: continuous, gone_after: 1s}\nlabels: {profile: small}\n"
            f"outputs: [{{type: mqtt, host: 127.0.0.1, port: {self.port}, prefix: killed}}]\n{more}",
        )

    def _start(self, *, running: bool = True) -> None:
        """Until the new process has said how the camera is; who is shown in view then is in the journal, or counted as stuck."""
        before = len(self.watcher.heard)
        self.daemon.start()

        def online() -> bool:
            """The new process says so of the node; of a camera it does not repeat what the broker holds already."""
            heard = list(self.watcher.heard)[before:]
            return any(m.text == "online" and m.topic.count("/") == 2 and m.topic.endswith("/status") for m in heard)

        wait_for(online, 90, "the node")
        wait_for(lambda: self._last("status") == ("online" if running else "offline"), 30, "the camera")
        deadline = time.monotonic() + 10
        while (unknown := self._unknown()) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.stuck += len(unknown)

    def _unknown(self) -> list[str]:
        """Classes that are shown in view by an event that the daemon does not know."""
        found = []
        for label in WATCHED.classes:
            attributes = json.loads(self._last(f"{label}/attributes") or "{}")
            if self._last(f"{label}/state") == "ON" and not self._known(str(attributes.get("event"))):
                found.append(label)
        return found

    def _settle(self) -> None:
        """Nobody is there, so nobody may be shown for longer than a start and ``gone_after`` take."""
        deadline = time.monotonic() + 30
        while self._shown() and time.monotonic() < deadline:
            time.sleep(0.1)
        held = _held(self.port, "killed/")
        self.stuck += sum(
            payload == b"ON" for topic, payload in held.items() if topic.split("/")[-2] in WATCHED.classes
        )

    def _shown(self) -> int:
        return sum(self._last(f"{label}/state") == "ON" for label in WATCHED.classes)

    def _last(self, name: str) -> str | None:
        """What was said there last, by whichever process."""
        for message in reversed(list(self.watcher.heard)):
            if message.topic.endswith(f"/door/{name}"):
                return message.text
        return None

    def _known(self, event: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.daemon.url}/api/events/{event}", timeout=10) as answer:
                return bool(json.loads(answer.read())["id"] == event)
        except OSError:
            return False


def _empty(path: Path) -> Path:
    """Four seconds of a wall."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        chance = np.random.default_rng(1)
        for _ in range(40):
            image = chance.normal(110, 2, (360, 640, 1)).repeat(3, axis=2).clip(0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


if __name__ == "__main__":
    main()
