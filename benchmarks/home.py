"""How soon a thousand entities are discovered, and whether a daemon that is killed again and again leaves anybody in view.

Against a real broker (mosquitto) on this machine. Discovery is timed from the first status that an output is given until a listener has every
document; beside it the same messages published by a bare client, one after the other. ``--kills N`` adds N SIGKILLs of a whole daemon.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from benchmarks.common import parser, prepared, report
from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from connectors.mqtt.sink import MqttSink
from streamproc.config.processor import ConnectorRef
from streamproc.core.status import ProcessorStatus, SourceStatus, Watched
from tests.daemon import Daemon, wait_for
from tests.mqtt_watch import Watcher, retained
from tests.servers.mosquitto import Mosquitto

CAMERAS = 50
WATCHED = Watched(("PERSON", "PET", "PACKAGE"), True, ("porch", "steps", "street"), 50.0, "default")


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--kills", type=int, default=0, help="SIGKILLs of a daemon, at seeded moments")
    options = prepared(made.parse_args())
    folder = Path(tempfile.mkdtemp(prefix="streamproc-home-"))
    broker = Mosquitto(folder / "broker").start()
    try:
        rows, entities = asyncio.run(_discover(broker.port, folder))
        figures: dict[str, Any] = {
            "entities": entities,
            "discovery_s": rows[0]["seconds"],
            "bare_s": rows[1]["seconds"],
        }
        if options.kills:
            clip = next(iter(sorted((options.corpus).rglob("*.mp4"))))
            figures |= {"kills": options.kills, "stuck_on": _kill(broker.port, folder, clip, options.kills)}
        report(options, figures=figures, rows=rows)
    finally:
        broker.stop()


async def _discover(port: int, folder: Path) -> tuple[list[dict[str, Any]], int]:
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
    messages = await asyncio.to_thread(retained, port)
    for sink in sinks:
        await sink.aclose()
    watcher.close()
    bare = await asyncio.to_thread(_publish_bare, port, messages)
    rows = [
        {"what": "outputs, from status to the last document", "messages": len(messages), "seconds": round(seconds, 2)},
        {"what": "a bare client, one message after the other", "messages": len(messages), "seconds": round(bare, 2)},
    ]
    return rows, entities


def _publish_bare(port: int, messages: dict[str, bytes]) -> float:
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    began = time.monotonic()
    for topic, payload in messages.items():
        client.publish(f"bare/{topic}", payload, qos=1, retain=True).wait_for_publish(10)
    seconds = time.monotonic() - began
    client.loop_stop()
    client.disconnect()
    return seconds


def _kill(port: int, folder: Path, clip: Path, times: int) -> int:
    """How many classes are shown in view after the kills, once the processor is stopped. 0 is right."""
    daemon, random_ = Daemon(folder / "daemon"), random.Random(7)
    text = (
        f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\nsession: {{mode: continuous, gone_after: 1s}}\n"
        f"labels: {{}}\noutputs: [{{type: mqtt, host: 127.0.0.1, port: {port}, prefix: killed}}]\n"
    )
    path = daemon.put("door", text)
    for _ in range(times):
        daemon.start()
        time.sleep(random_.uniform(0.2, 4.0))
        daemon.kill()
    path.write_text(text + "state: stopped\n")
    daemon.start()

    def shown() -> dict[str, bytes]:
        return {t: p for t, p in retained(port).items() if t.startswith("killed/") and t.count("/") == 4}

    wait_for(lambda: any(topic.endswith("PERSON/state") for topic in shown()), 60, "the states")
    time.sleep(3)
    stuck = sum(
        payload == b"ON" for topic, payload in shown().items() if topic.split("/")[3] in ("PERSON", "PET", "PACKAGE")
    )
    daemon.terminate()
    return stuck


if __name__ == "__main__":
    main()
