"""One node's MQTT outputs on a broker, and who answers their commands."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from connectors.mqtt.sink import MqttSink
from streamproc.config.processor import ConnectorRef
from streamproc.core.status import Presence, ProcessorStatus, SourceStatus, Watched
from tests.builders.events import START
from tests.mqtt_watch import retained

STATUS = ProcessorStatus(
    "door",
    "running",
    watched=Watched(("PERSON", "PET"), False, ("porch",), 50.0, "default"),
    in_view={"PERSON": Presence(START, "s1-000000", 90.0, "porch")},
    source=SourceStatus("running"),
)


class Home:
    """One node's outputs on a broker, and somebody who listens there."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self._folder = port, folder
        self.sinks: list[MqttSink] = []

    def sink(self, name: str = "door", node: str = "box", control: Any = None, **settings: Any) -> MqttSink:
        ref = ConnectorRef.model_validate({"type": "mqtt", "host": "127.0.0.1", "port": self.port, **settings})
        context = ConnectorContext(name, self._folder, self._folder / node, node_id=node, control=control)
        made = make_sink(ref, context)
        assert isinstance(made, MqttSink)
        self.sinks.append(made)
        return made

    async def held(self, *filters: str, **options: Any) -> dict[str, bytes]:
        found = await asyncio.to_thread(retained, self.port, *filters, **options)
        return {topic: payload for topic, payload in found.items() if not topic.startswith("$SYS")}


class Control:
    """What a supervisor would be asked; keeps the questions."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    async def start(self, name: str) -> None:
        self.asked.append(("start", name))

    async def stop(self, name: str) -> None:
        self.asked.append(("stop", name))

    async def configure(self, name: str, changes: Any) -> None:
        self.asked.append(("configure", name, changes))

    async def override(self, name: str, mode: str | None, seconds: float | None = None) -> None:
        self.asked.append(("override", name, mode, seconds))

    async def still(self, name: str) -> bytes | None:
        self.asked.append(("still", name))
        return jpeg()


def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.full((90, 160, 3), 128, np.uint8))[1].tobytes()
