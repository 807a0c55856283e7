"""What the MQTT output keeps on a real broker: states, discovery, pictures, commands, and what is left of none of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from connectors.mqtt import publishing
from connectors.mqtt.discovery import MODES
from connectors.mqtt.sink import MqttSink
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import SinkBusy
from streamproc.core.event import Pictures
from streamproc.core.status import SourceStatus
from tests.builders.brokers import STATUS, Control, Home, jpeg
from tests.builders.examples import LABEL, delivery
from tests.mqtt_watch import ids, listen, until
from tests.servers.mosquitto import Mosquitto


async def test_the_picture_is_there_before_its_event_and_small_enough(home: Home) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (1080, 1920, 3), np.uint8)
    large = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    assert len(large) > 1_000_000
    watcher = await listen(home.port, "streamproc/#")
    await home.sink().deliver(replace(delivery(LABEL), pictures=Pictures(large, large)))
    await until(watcher, lambda: ids(watcher, "streamproc/box/front-door/event"))
    topics = [message.topic for message in watcher.heard]
    assert topics.index("streamproc/box/front-door/hero") < topics.index("streamproc/box/front-door/event")
    held = await home.held()
    image = cv2.imdecode(np.frombuffer(held["streamproc/box/front-door/hero"], np.uint8), cv2.IMREAD_COLOR)
    assert len(held["streamproc/box/front-door/hero"]) <= 200_000
    assert image.shape[1] / image.shape[0] == pytest.approx(16 / 9, abs=0.02)
    watcher.close()


async def test_states_are_there_for_who_comes_later_and_events_are_not(home: Home) -> None:
    sink = home.sink()
    sink.status(STATUS)
    await sink.deliver(delivery(replace(LABEL, processor="door", has_pictures=False)))
    watcher = await listen(home.port)
    await until(watcher, lambda: watcher.last("streamproc/box/door/PERSON/state") == "ON")
    held = await home.held()
    assert held["streamproc/box/status"] == held["streamproc/box/door/status"] == b"online"
    assert held["streamproc/box/door/PET/state"] == b"OFF"
    assert "streamproc/box/door/event" not in held
    config = json.loads(held["homeassistant/device/streamproc_box_door/config"])
    assert config["cmps"]["PERSON"]["state_topic"] == "streamproc/box/door/PERSON/state"
    sink.status(replace(STATUS, in_view={}))
    await until(watcher, lambda: watcher.last("streamproc/box/door/PERSON/state") == "OFF")
    sink.status(replace(STATUS, source=SourceStatus("gap", "lost: connection refused")))
    await until(watcher, lambda: watcher.on("streamproc/box/door/health/event"))
    assert watcher.on("streamproc/box/door/health/event")[0].json["event_type"] == "gap"
    assert "streamproc/box/door/health/event" not in await home.held()
    watcher.close()


async def test_a_broker_that_forgot_everything_is_told_again(home: Home, mosquitto: Callable[..., Mosquitto]) -> None:
    broker = mosquitto(persistent=False)
    home.port = broker.port
    home.sink().status(STATUS)
    first = await listen(home.port)
    await until(first, lambda: first.last("streamproc/box/door/status") == "online")
    before = await home.held()
    first.close()
    broker.stop(kill=True)
    broker.start()
    watcher = await listen(home.port)
    await until(watcher, lambda: watcher.last("streamproc/box/door/status") == "online", 30)
    assert await home.held() == before
    watcher.close()


async def test_home_assistant_s_birth_has_everything_sent_again(home: Home) -> None:
    home.sink().status(STATUS)
    watcher = await listen(home.port)
    await until(watcher, lambda: watcher.on("streamproc/box/door/status"))
    watcher.heard.clear()
    watcher.publish("homeassistant/status", "online")
    await until(watcher, lambda: watcher.on("homeassistant/device/streamproc_box_door/config"))
    await until(watcher, lambda: watcher.on("streamproc/box/door/PERSON/state"))
    watcher.close()


async def test_an_edit_takes_entities_away_and_leaves_nothing_of_them(home: Home) -> None:
    sink = home.sink()
    sink.status(STATUS)
    watcher = await listen(home.port)
    config = "homeassistant/device/streamproc_box_door/config"
    await until(watcher, lambda: watcher.on(config))
    sink.status(replace(STATUS, watched=replace(STATUS.watched, classes=("PERSON",), regions=())))
    await until(watcher, lambda: len(watcher.on(config)) >= 3)
    between, after = (message.json["cmps"] for message in watcher.on(config)[-2:])
    assert between["PET"] == between["porch_PERSON"] == {"p": "binary_sensor"}
    assert "PET" not in after
    assert not [topic for topic in await home.held() if "PET" in topic or "region" in topic]
    watcher.close()


async def test_an_edit_while_nobody_ran_is_caught_up_with(home: Home) -> None:
    first = home.sink()
    first.status(STATUS)
    watcher = await listen(home.port)
    await until(watcher, lambda: watcher.last("streamproc/box/door/status") == "online")
    await first.aclose()
    second = home.sink()
    second.status(replace(STATUS, watched=replace(STATUS.watched, classes=("PERSON",))))
    config = "homeassistant/device/streamproc_box_door/config"
    await until(watcher, lambda: any(m.json["cmps"].get("PET") == {"p": "binary_sensor"} for m in watcher.on(config)))
    await until(watcher, lambda: watcher.last("streamproc/box/door/PET/state") == "")
    assert not [topic for topic in await home.held() if "/PET/" in topic]
    watcher.close()


async def test_nothing_is_retained_of_a_deleted_processor(home: Home) -> None:
    door, yard = home.sink("door"), home.sink("yard")
    door.status(STATUS)
    yard.status(replace(STATUS, processor="yard"))
    await door.deliver(replace(delivery(replace(LABEL, processor="door")), pictures=Pictures(jpeg(), jpeg())))
    assert "streamproc/box/door/hero" in await home.held()
    await door.retire()
    await door.aclose()
    held = await home.held()
    assert held
    assert not [topic for topic in held if "door" in topic]
    await yard.retire()
    await yard.aclose()
    assert await home.held() == {}


async def test_a_picture_from_before_a_mask_was_drawn_is_taken_away(home: Home) -> None:
    masked = replace(STATUS, watched=replace(STATUS.watched, masks=(((0.0, 0.0), (1.0, 0.0), (1.0, 0.5)),)))
    pictured = replace(delivery(replace(LABEL, processor="door")), pictures=Pictures(jpeg(), jpeg()))
    hero = "streamproc/box/door/hero"
    sink = home.sink()
    sink.status(STATUS)
    await sink.deliver(pictured)
    assert hero in await home.held()
    sink.status(masked)
    async with asyncio.timeout(20):
        while hero in await home.held():
            await asyncio.sleep(0.05)
    await sink.deliver(pictured)
    assert hero not in await home.held(), "nor does one come that was taken before"
    later = replace(pictured.event, at=replace(pictured.event.at, wall=datetime.now(UTC) + timedelta(seconds=1)))
    await sink.deliver(replace(pictured, event=later))
    sink.status(replace(masked, state="stopped"))
    assert hero in await home.held()


async def test_no_picture_is_left_where_none_is_wanted_any_more(home: Home) -> None:
    control = Control()
    before = home.sink(commands=True, control=control)
    before.status(STATUS)
    await before.deliver(replace(delivery(replace(LABEL, processor="door")), pictures=Pictures(jpeg(), jpeg())))
    assert "streamproc/box/door/hero" in await home.held()
    home.sink(commands=True, control=control, pictures=False).status(STATUS)
    await before.retire()
    await before.aclose()
    config = "homeassistant/device/streamproc_box_door/config"
    watcher = await listen(home.port, config)
    await until(
        watcher,
        lambda: not {"hero", "snapshot"} & json.loads(watcher.last(config) or '{"cmps": {"hero": 0}}')["cmps"].keys(),
    )
    for what in ("cmd/snapshot", "set"):
        watcher.publish(f"streamproc/box/door/{what}", "ON")
    await until(watcher, lambda: control.asked)
    assert control.asked == [("start", "door")]
    assert "streamproc/box/door/hero" not in await home.held()
    watcher.close()


async def test_leftovers_of_processors_that_are_no_more_are_removed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = home.sink("door")
    door.status(STATUS)
    watcher = await listen(home.port)
    await until(watcher, lambda: watcher.last("streamproc/box/door/status") == "online")
    await door.aclose()
    monkeypatch.setattr(publishing, "_ORPHAN_S", 0.2)
    home.sink("yard").status(replace(STATUS, processor="yard"))
    await until(watcher, lambda: watcher.last("homeassistant/device/streamproc_box_door/config") == "")
    await until(watcher, lambda: watcher.last("streamproc/box/door/status") == "")
    assert not [topic for topic in await home.held() if "door" in topic]
    watcher.close()


async def test_two_nodes_of_one_name_do_not_take_turns(home: Home) -> None:
    first = home.sink("door")
    first.status(STATUS)
    watcher = await listen(home.port, "streamproc/#")
    await until(watcher, lambda: watcher.last("streamproc/box/door/status") == "online")
    ref = ConnectorRef.model_validate({"type": "mqtt", "host": "127.0.0.1", "port": home.port})
    other = make_sink(ref, ConnectorContext("yard", data_dir=Path("/elsewhere"), node_id="box"))
    assert isinstance(other, MqttSink)
    with pytest.raises(SinkBusy, match=r"another node .* is online as streamproc/box"):
        await other.deliver(delivery(replace(LABEL, has_pictures=False)))
    assert watcher.last("streamproc/box/status") == "online"
    await first.aclose()
    await until(watcher, lambda: watcher.last("streamproc/box/status") == "offline")
    other.status(replace(STATUS, processor="yard"))
    await until(watcher, lambda: watcher.last("streamproc/box/yard/status") == "online", 40)
    await other.aclose()
    watcher.close()


async def test_outputs_that_differ_in_what_they_show_share_a_broker(home: Home) -> None:
    """Other prefixes, with and without discovery: no connection may end another, and Home Assistant sees what it should."""
    outputs = [home.sink("door", discovery=False), home.sink("yard"), home.sink("hall", prefix="raw", discovery=False)]
    watcher = await listen(home.port)
    for sink, name in zip(outputs, ("door", "yard", "hall"), strict=True):
        sink.status(replace(STATUS, processor=name))
    nodes = {sink._node for sink in outputs}
    assert len(nodes) == 2
    for sink, name in zip(outputs, ("door", "yard", "hall"), strict=True):
        await sink.deliver(delivery(replace(LABEL, processor=name, has_pictures=False)))
    held = await home.held()
    assert {topic for topic in held if topic.startswith("homeassistant")} == {
        "homeassistant/device/streamproc_box/config",
        "homeassistant/device/streamproc_box_yard/config",
    }
    assert held["streamproc/box/door/status"] == held["raw/box/hall/status"] == b"online"
    before = len([message for message in watcher.heard if message.text == "online"])
    await asyncio.sleep(1.0)  # long enough for a connection that is ended by another to come back
    assert len([message for message in watcher.heard if message.text == "online"]) == before
    watcher.close()


async def test_commands_are_obeyed_and_retained_ones_never(home: Home) -> None:
    control = Control()
    watcher = await listen(home.port)
    watcher.publish("streamproc/box/door/set", "OFF", retain=True)
    home.sink("door", commands=True, control=control).status(STATUS)
    home.sink("yard", control=control).status(replace(STATUS, processor="yard"))
    await until(watcher, lambda: watcher.last("streamproc/box/yard/status") == "online")
    watcher.publish("streamproc/box/yard/set", "OFF")
    for topic, payload in (
        ("set", "on"),
        ("set", "perhaps"),
        ("cmd/min_confidence", "150"),
        ("cmd/min_confidence", "65.5"),
        ("cmd/mode", "pause 30m"),
        ("cmd/mode", MODES[0]),
        ("cmd/nonsense", "1"),
        ("cmd/snapshot", "PRESS"),
    ):
        watcher.publish(f"streamproc/box/door/{topic}", payload)
    await until(watcher, lambda: watcher.on("streamproc/box/door/hero"))
    assert control.asked == [
        ("start", "door"),
        ("configure", "door", {"labels": {"min_confidence": 65.5}}),
        ("override", "door", "pause", 1800.0),
        ("override", "door", None, None),
        ("still", "door"),
    ]
    # Never optimistic: nothing is shown that the processor has not said.
    assert [message.text for message in watcher.on("streamproc/box/door/state")] == ["ON"]
    watcher.close()


async def test_a_thousand_entities_are_discovered(home: Home) -> None:
    sinks = [home.sink(f"cam{number}") for number in range(50)]
    for number, sink in enumerate(sinks):
        watched = replace(STATUS.watched, regions=("porch", "steps", "street"))
        sink.status(replace(STATUS, processor=f"cam{number}", watched=watched))
    watcher = await listen(home.port, "homeassistant/#")
    await until(watcher, lambda: len({m.topic for m in watcher.heard if "_cam" in m.topic}) == 50, 30)
    entities = {component["unique_id"] for message in watcher.heard for component in message.json["cmps"].values()}
    assert len(entities) >= 1000
    watcher.close()
