"""The MQTT output among strangers: a broker that confirms nothing, and what others publish where it listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamproc.core.errors import SinkBusy
from tests.builders.brokers import STATUS, Control, Home
from tests.builders.examples import LABEL, delivery
from tests.mqtt_watch import Watcher
from tests.servers.mosquitto import Mosquitto

EVENT = replace(LABEL, has_pictures=False)


class Forgetful:
    """A way to a broker on which confirmations of published messages (PUBACK) get lost, and nothing else; ``hears``: not any more."""

    PUBACK = 0x40

    def __init__(self, port: int) -> None:
        self._to, self.port = port, 0
        self.connections = 0
        self.hears = True
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[Any]] = set()

    async def start(self) -> Forgetful:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        for way in (self._pass(reader, back, set()), self._pass(there, writer, {self.PUBACK})):
            task = asyncio.ensure_future(way)
            self._ways.add(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lost: set[int]) -> None:
        """Packet by packet (MQTT 5, 2.1): a byte of kind, a length of seven bits a byte, so many bytes."""
        with suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(2)
                while head[-1] & 0x80:
                    head += await reader.readexactly(1)
                length = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[1:]))
                packet = head + await reader.readexactly(length)
                if self.hears or head[0] & 0xF0 not in lost:
                    writer.write(packet)
                    await writer.drain()
        writer.close()


@pytest.fixture
async def home(mosquitto: Callable[..., Mosquitto], tmp_path: Path) -> AsyncIterator[Home]:
    made = Home(mosquitto().port, tmp_path)
    yield made
    for sink in made.sinks:
        await sink.aclose()


async def until(watcher: Watcher, check: Callable[[], Any], what: str) -> Any:
    return await asyncio.to_thread(watcher.until, check, 30, what)


async def test_a_broker_that_confirms_nothing_is_left_and_told_everything_when_it_does(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent again and again for want of a confirmation must not pile up; states that were not confirmed are sent once more."""
    watcher = await asyncio.to_thread(Watcher, home.port)
    way = await Forgetful(home.port).start()
    home.port = way.port
    sink = home.sink()
    sink.status(STATUS)
    await sink.deliver(delivery(EVENT))
    assert sink._node is not None
    connection = sink._node.connection
    monkeypatch.setattr("connectors.mqtt.client.ANSWER_S", 0.5)
    way.hears = False
    with pytest.raises(SinkBusy):
        await sink.deliver(delivery(EVENT))
    await until(watcher, lambda: "confirms nothing" in connection.why, "the reason")
    sink.status(replace(STATUS, state="failed"))
    await until(watcher, lambda: way.connections >= 2, "another connection")
    way.hears = True
    monkeypatch.undo()
    await until(watcher, lambda: connection.connected, "the broker's return")
    await sink.deliver(delivery(EVENT))
    await until(watcher, lambda: watcher.last("streamproc/box/door/problem/state") == "ON", "the state")
    await sink.aclose()
    await way.stop()
    watcher.close()


async def test_what_strangers_publish_stops_no_command(home: Home) -> None:
    """Payloads without measure, of no encoding, retained ones by the hundred, and a flood."""
    watcher = await asyncio.to_thread(Watcher, home.port)
    for number in range(200):
        watcher.publish(f"streamproc/box/door/other/{number}", "x" * 2000, retain=True)
    control = Control()
    sink = home.sink(control=control, commands=True)
    sink.status(STATUS)
    await sink.deliver(delivery(EVENT))
    assert sink._node is not None
    heard: list[int] = []
    hear = sink._node.connection.on_message
    sink._node.connection.on_message = lambda message: (heard.append(len(message.payload or b"")), hear(message))[1]
    for payload in (b"x" * 1_500_000, b"\xff\xfe\x00", b"9" * 900_000, b"", b"nan", b"1e400"):
        for topic in ("set", "cmd/min_confidence", "cmd/mode", "cmd/" + "y" * 5000, "set/set", "hero", "status"):
            await asyncio.to_thread(watcher.publish, f"streamproc/box/door/{topic}", payload)
    await asyncio.gather(
        *(asyncio.to_thread(watcher.publish, "streamproc/box/door/cmd/mode", "away") for _ in range(300))
    )
    await until(watcher, lambda: ("override", "door", "away", None) in control.asked, "a command of the flood")
    assert heard and max(heard) < 1_000_000, "the broker keeps back what is too large"
    watcher.publish("streamproc/box/door/set", "OFF")
    await until(watcher, lambda: control.asked[-1] == ("stop", "door"), "the last command")
    assert {asked[0] for asked in control.asked} == {"override", "stop"}
    watcher.close()


async def test_a_broker_of_an_older_mqtt_is_named_as_such(home: Home) -> None:
    """A stand-in: no broker that old can be had from Debian."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(200)
        writer.write(bytes([0x20, 2, 0, 1]))  # CONNACK of MQTT 3.1.1: unacceptable protocol version
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    home.port = server.sockets[0].getsockname()[1]
    with pytest.raises(SinkBusy, match="does not speak MQTT 5"):
        await home.sink().deliver(delivery(EVENT))
    server.close()


HOME_RIGHTS = """user cams
topic readwrite streamproc/#
topic readwrite homeassistant/device/+/config
topic read homeassistant/status
"""
"""As docs/home-assistant.md has them."""


async def test_the_rights_that_the_documents_name_are_enough_and_without_them_nothing_counts_as_delivered(
    home: Home, mosquitto: Callable[..., Mosquitto], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_USER", "cams")
    monkeypatch.setenv("MQTT_PASSWORD", "right")
    login: dict[str, Any] = {"username_env": "MQTT_USER", "password_env": "MQTT_PASSWORD"}
    home.port = mosquitto(login=("cams", "right"), rights=HOME_RIGHTS + "topic readwrite mark/#\n").port
    door = home.sink("door", commands=True, control=Control(), **login)
    door.status(STATUS)
    await door.deliver(delivery(EVENT))
    held = await home.held(login=("cams", "right"))
    assert {"homeassistant/device/streamproc_box_door/config", "streamproc/box/door/PERSON/state"} <= held.keys()
    await door.aclose()

    # Without discovery everything else goes on; an event that the broker does not take waits.
    fewer = (
        "user cams\ntopic read #\ntopic write streamproc/box/+\ntopic write streamproc/box/door/#\ntopic write mark/#\n"
    )
    home.port = mosquitto(login=("cams", "right"), rights=fewer).port
    door, yard = home.sink("door", **login), home.sink("yard", **login)
    door.status(STATUS)
    await door.deliver(delivery(replace(EVENT, processor="door")))
    with pytest.raises(SinkBusy, match=r"does not take messages on streamproc/box/yard/event: Not authorized"):
        await yard.deliver(delivery(replace(EVENT, processor="yard")))
    held = await home.held(login=("cams", "right"))
    assert held["streamproc/box/door/PERSON/state"] == b"ON"
    assert not [topic for topic in held if topic.startswith("homeassistant")]


class Hanging(Control):
    """Of one processor, a still never comes."""

    async def still(self, name: str) -> bytes | None:
        await super().still(name)
        if name == "door":
            await asyncio.Event().wait()
        return None


async def test_a_command_that_hangs_holds_up_no_other_camera_and_its_own_not_for_ever(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.mqtt.orders.PATIENCE_S", 0.3)
    watcher = await asyncio.to_thread(Watcher, home.port)
    control = Hanging()
    for name in ("door", "yard"):
        sink = home.sink(name, control=control, commands=True)
        sink.status(replace(STATUS, processor=name))
        await sink.deliver(delivery(replace(EVENT, processor=name)))

    def ask(name: str, *commands: tuple[str, str]) -> None:
        for what, payload in commands:
            watcher.publish(f"streamproc/box/{name}/{what}", payload)

    await asyncio.to_thread(ask, "door", ("cmd/snapshot", ""), ("cmd/mode", "away"), ("set", "OFF"))
    await until(watcher, lambda: ("still", "door") in control.asked, "the command that hangs")
    await asyncio.to_thread(ask, "yard", ("set", "OFF"))
    await until(watcher, lambda: ("stop", "yard") in control.asked, "another camera's command")
    await until(watcher, lambda: ("stop", "door") in control.asked, "the camera's last command")
    assert [asked for asked in control.asked if asked[1] == "door"] == [
        ("still", "door"),
        ("override", "door", "away", None),
        ("stop", "door"),
    ]

    # With too many of them nothing new is begun, and what comes then is dropped; others go on.
    await asyncio.to_thread(ask, "door", *[("cmd/snapshot", "")] * 40)
    await until(watcher, lambda: control.asked.count(("still", "door")) == 4, "as many as may hang")
    await asyncio.to_thread(ask, "yard", ("set", "ON"))
    await until(watcher, lambda: ("start", "yard") in control.asked, "another camera's command")
    assert control.asked.count(("still", "door")) == 4
    watcher.close()


async def test_commands_are_not_obeyed_any_more_once_the_document_says_so(home: Home) -> None:
    watcher = await asyncio.to_thread(Watcher, home.port)
    control = Control()
    before, yard = home.sink(control=control, commands=True), home.sink("yard", control=control, commands=True)
    for sink, name in ((before, "door"), (yard, "yard")):
        sink.status(replace(STATUS, processor=name))
        await sink.deliver(delivery(replace(EVENT, processor=name)))
    # As an edit does it: the new output shows the processor before the old one leaves.
    home.sink(control=control, commands=False).status(STATUS)
    await before.retire()
    await before.aclose()
    for name in ("door", "yard"):
        await asyncio.to_thread(watcher.publish, f"streamproc/box/{name}/set", "OFF")
    await until(watcher, lambda: ("stop", "yard") in control.asked, "the command that is obeyed")
    assert control.asked == [("stop", "yard")]
    watcher.close()
