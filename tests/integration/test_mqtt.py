"""Events over MQTT against a real broker: what arrives, and what becomes of it when either side goes away."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamproc.core.errors import SinkBusy
from tests.builders.brokers import Home
from tests.builders.events import label_event
from tests.builders.examples import LABEL, delivery
from tests.builders.outboxes import Box
from tests.mqtt_watch import ids, listen, until
from tests.servers.certificates import Authority
from tests.servers.mosquitto import Mosquitto


async def test_events_wait_for_a_broker_that_is_away_and_come_in_the_order_of_their_session(
    box: Box, mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    broker.stop(kill=True)
    await box.connect({"type": "mqtt", "host": "127.0.0.1", "port": broker.port, "qos": 1})
    events = [label_event(number, f"s{session}", has_pictures=False) for number in range(100) for session in range(5)]
    for start in range(0, 500, 50):
        await box.tell(*events[start : start + 50])
    broker.start()
    watcher = await listen(broker.port, "streamproc/+/+/event", client_id="persistent")
    await until(watcher, lambda: len(set(ids(watcher))) == 500, 60, "500 events")
    await box.settled()
    for session in range(5):
        mine = list(dict.fromkeys(name for name in ids(watcher) if name.startswith(f"s{session}-")))
        assert mine == [f"s{session}-{number:06d}" for number in range(100)]
    assert box.dead() == []
    watcher.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_no_event_is_lost_with_a_broker_that_goes_in_the_middle(
    box: Box, mosquitto: Callable[..., Mosquitto], how: str
) -> None:
    broker = mosquitto(every_change=True)
    await box.connect({"type": "mqtt", "host": "127.0.0.1", "port": broker.port})
    watcher = await listen(broker.port, "streamproc/+/+/event", client_id="persistent")

    async def tell() -> None:
        for number in range(200):
            await box.tell(label_event(number, has_pictures=False))

    telling = asyncio.create_task(tell())
    await until(watcher, lambda: len(ids(watcher)) > 20)
    if how == "killed":
        broker.stop(kill=True)
        await asyncio.sleep(0.5)
        broker.start()
    else:
        broker.freeze()
        await asyncio.sleep(3)
        broker.resume()
    await telling
    await box.settled(60)
    await until(watcher, lambda: len(set(ids(watcher))) == 200, 30, "200 events")
    assert list(dict.fromkeys(ids(watcher))) == [f"s1-{number:06d}" for number in range(200)]
    watcher.close()


async def test_a_subscriber_that_was_away_gets_what_its_session_kept(
    box: Box, mosquitto: Callable[..., Mosquitto]
) -> None:
    broker = mosquitto()
    await box.connect({"type": "mqtt", "host": "127.0.0.1", "port": broker.port})
    (await listen(broker.port, "streamproc/+/+/event", client_id="away")).close()
    await box.tell(*(label_event(number, has_pictures=False) for number in range(10)))
    await box.settled()
    back = await listen(broker.port, "streamproc/+/+/event", client_id="away")
    await until(back, lambda: len(ids(back)) == 10)
    assert not any(message.retain for message in back.heard)
    back.close()


async def test_tls_and_a_password(
    box: Box, mosquitto: Callable[..., Mosquitto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "ca")
    broker = mosquitto(login=("cams", "s3cret!"), authority=authority)
    monkeypatch.setenv("MQTT_USER", "cams")
    monkeypatch.setenv("MQTT_PASSWORD", "s3cret!")
    ref = {
        "type": "mqtt",
        "host": "localhost",
        "port": broker.port,
        "username_env": "MQTT_USER",
        "password_env": "MQTT_PASSWORD",
    }
    await box.connect(ref | {"tls": True, "ca_file": str(authority.certificate)})
    trust = ssl.create_default_context(cafile=str(authority.certificate))
    watcher = await listen(broker.port, "streamproc/#", login=("cams", "s3cret!"), tls=trust)
    await box.tell(label_event(0, has_pictures=False))
    await box.settled()
    await until(watcher, lambda: ids(watcher) == ["s1-000000"])
    watcher.close()


@pytest.mark.parametrize("wrong", ["password", "certificate", "host", "nobody"])
async def test_why_a_broker_cannot_be_used_is_said_without_the_secret(
    home: Home, mosquitto: Callable[..., Mosquitto], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    authority, other = Authority(tmp_path / "ca"), Authority(tmp_path / "other", "other")
    broker = mosquitto(login=("cams", "right"), authority=authority)
    monkeypatch.setenv("MQTT_USER", "cams")
    monkeypatch.setenv("MQTT_PASSWORD", "wr0ng-s3cret" if wrong == "password" else "right")
    home.port = broker.port
    settings: dict[str, Any] = {"username_env": "MQTT_USER", "password_env": "MQTT_PASSWORD", "tls": True}
    settings["ca_file"] = str((other if wrong == "certificate" else authority).certificate)
    if wrong == "nobody":
        broker.stop()
    if wrong == "host":
        settings["host"] = "127.1"  # the same machine under a name that the certificate does not have
    with pytest.raises(SinkBusy) as caught:
        await home.sink(**settings).deliver(delivery(replace(LABEL, has_pictures=False)))
    words = str(caught.value)
    assert {"password": "authori", "certificate": "certificate", "host": "certificate", "nobody": "refused"}[
        wrong
    ] in words.lower()
    assert "s3cret" not in words
