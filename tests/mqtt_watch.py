"""Somebody else at the broker: hears everything, publishes, and says what is retained."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho


@dataclass(frozen=True)
class Heard:
    """One message."""

    topic: str
    payload: bytes
    retain: bool

    @property
    def text(self) -> str:
        return self.payload.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Watcher:
    """Subscribes to ``filters`` at every connect; ``heard`` grows in a thread of paho's.

    ``qos`` 0 for more than a thousand messages at once: brokers queue no more of the others for one client.
    """

    def __init__(
        self,
        port: int,
        *filters: str,
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        client_id: str = "",
        qos: int = 1,
    ) -> None:
        self.heard: list[Heard] = []
        self._filters = filters or ("#",)
        self._subscribed = threading.Event()
        self._client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=not client_id, protocol=paho.MQTTv311
        )
        self._client.reconnect_delay_set(0.1, 0.5)
        if login:
            self._client.username_pw_set(*login)
        if tls:
            self._client.tls_set_context(tls)
        self._client.on_connect = lambda *_: self._client.subscribe([(name, qos) for name in self._filters])
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda client, data, m: self.heard.append(Heard(m.topic, m.payload, bool(m.retain)))
        self._client.connect("127.0.0.1", port, keepalive=10)
        self._client.loop_start()
        assert self._subscribed.wait(10), "the broker did not answer"

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def on(self, topic: str) -> list[Heard]:
        return [message for message in list(self.heard) if message.topic == topic]

    def last(self, topic: str) -> str | None:
        """What was heard there last."""
        found = self.on(topic)
        return found[-1].text if found else None

    def until(self, check: Callable[[], Any], timeout: float = 20, what: str = "it") -> Any:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if found := check():
                return found
            time.sleep(0.02)
        tail = "\n".join(f"{m.topic} {m.payload[:80]!r} {m.retain}" for m in self.heard[-40:])
        raise AssertionError(f"{what} did not happen within {timeout:g} s; heard last:\n{tail}")

    def close(self) -> None:
        # The client closes the sockets by which its thread is woken only when nobody holds it any more.
        client = self._client
        del self._client
        client.disconnect()
        client.loop_stop()


def retained(port: int, *filters: str, **options: Any) -> dict[str, bytes]:
    """Everything that the broker holds at this moment."""
    watcher = Watcher(port, *filters, **options)
    mark = f"mark/{time.monotonic_ns()}"
    try:
        if filters:
            watcher._client.subscribe(mark, 1)
        watcher.publish(mark, "now")  # what is retained was sent before it
        watcher.until(lambda: watcher.on(mark), 10, "the mark")
        return {m.topic: m.payload for m in watcher.heard if m.retain}
    finally:
        watcher.close()


async def listen(port: int, *filters: str, **options: Any) -> Watcher:
    return await asyncio.to_thread(lambda: Watcher(port, *filters, **options))


async def until(watcher: Watcher, check: Callable[[], Any], timeout: float = 20, what: str = "it") -> Any:
    return await asyncio.to_thread(watcher.until, check, timeout, what)


def ids(watcher: Watcher, topic: str = "streamproc/box/door/event") -> list[str]:
    return [message.json["id"] for message in watcher.on(topic)]
