"""One connection to a broker that is made again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random

import aiomqtt
import structlog
from aiomqtt import Client, Message, MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.context import ConnectorContext, secret
from connectors.mqtt.confirming import ConfirmingClient, NotTaken
from connectors.mqtt.settings import MqttSinkSettings
from connectors.tls import tls_context
from streamproc.core.errors import InputError, SinkBusy
from streamproc.logic.backoff import BackoffRule
from streamproc.threads import CLIENTS

log = structlog.get_logger(__name__)

RECONNECT = BackoffRule(first_s=0.25, factor=2.0, cap_s=15.0, low=0.5)
KEEPALIVE_S = 15
"""A broker that is silent for this and half as much again is given up."""
ANSWER_S = 8.0
WILL_DELAY_S = 10
"""So long may this node be away before it is said to be: a connection that is made again at once should not flap every entity."""
SESSION_S = 3 * WILL_DELAY_S
"""The broker must remember the session for longer than that, or it would send the will at once."""

LARGEST_PACKET = 1_000_000
"""Bytes. A broker sends nothing larger (MQTT 5, 3.1.2.11.4): whoever may write to a topic that is read here may not take this node's memory. Its
own pictures, which come back when it looks for what it left, have 200,000."""

_UNSUPPORTED_VERSION = 0x84
"""Answer to a connection, MQTT 5, 3.2.2.2; what brokers of older versions say is translated to it by paho."""

_QUIET = logging.getLogger("streamproc.mqtt.client")
_QUIET.setLevel(logging.ERROR)


class Away(SinkBusy):
    """Not connected at the moment."""


class Refused(Away):
    """Connected, and the broker does not take this message."""


class BrokerConnection:
    """Connects, calls ``on_session`` with each new connection, hands messages to ``on_message``; for ever, until ``aclose``.

    All methods belong to the event loop.
    """

    def __init__(self, settings: MqttSinkSettings, context: ConnectorContext, identifier: str, will_topic: str) -> None:
        self.settings = settings
        self.identifier = identifier
        self.why = "not connected yet"
        """Why there is no connection, for people and without secrets; empty while there is one."""
        self.on_session: Callable[[], Awaitable[None]] = _nothing
        """Awaited after each connect, before ``ready``; raises SinkBusy to give the connection up again."""
        self.on_message: Callable[[Message], None] = lambda message: None
        self._context = context
        self._will_topic = will_topic
        self._client: Client | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._confirmed_at = float("-inf")
        """When the broker confirmed a message last, by the loop's clock."""
        self._random = Random()

    def start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"mqtt {self.settings.host}")

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def connected(self) -> bool:
        return self._ready.is_set()

    async def ready(self, within_s: float) -> None:
        """Wait for a connection. Raises Away."""
        try:
            async with asyncio.timeout(within_s):
                await self._ready.wait()
        except TimeoutError:
            raise Away(self.why or "not connected") from None

    async def publish(
        self,
        topic: str,
        payload: str | bytes,
        *,
        retain: bool = False,
        properties: Properties | None = None,
        qos: int = 1,
    ) -> None:
        """Returns when the broker has confirmed it. Raises Away, and Refused where the broker says that it does not take it."""
        client = self._client
        if client is None:
            raise Away(self.why or "not connected")
        clock = asyncio.get_running_loop().time
        try:
            await client.publish(topic, payload, qos, retain, properties, timeout=ANSWER_S)
            self._confirmed_at = clock()
        except NotTaken as refused:
            self._confirmed_at = clock()
            raise Refused(f"{self.settings.host}: it does not take messages on {topic}: {refused}") from None
        except MqttError as error:
            timed_out = isinstance(error.__cause__ or error.__context__, TimeoutError)
            if timed_out and clock() - self._confirmed_at >= ANSWER_S:
                # A broker that answers pings and confirms nothing. What was sent is held until it is confirmed, each new attempt beside it.
                self.drop(f"{self.settings.host}: it confirms nothing")
            raise Away(self._words(error)) from error
        except ValueError as error:
            raise Away(f"{topic!r} cannot be published: {error}") from error

    async def subscribe(self, *filters: str, qos: int = 0) -> None:
        """Raises Away. With QoS 0 the broker keeps nothing while this node is away: a command that comes late is not obeyed."""
        client = self._client
        if client is None:
            raise Away(self.why or "not connected")
        try:
            codes = await client.subscribe([(name, qos) for name in filters], timeout=ANSWER_S)
        except MqttError as error:
            raise Away(self._words(error)) from error
        if any(getattr(code, "value", code) >= 0x80 for code in codes):
            raise Away(f"{self.settings.host}: this user may not subscribe to {', '.join(filters)}")

    def drop(self, why: str) -> None:
        """Give the connection up; it is tried again later."""
        self.why = why
        self._lost.set()

    async def _run(self) -> None:
        failures = 0
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._connection()
                words = self.why
            except (MqttError, SinkBusy, InputError, OSError, ValueError) as error:
                words = str(error) if isinstance(error, SinkBusy | InputError) else self._words(error)
            if words != self.why or not failures:
                log.warning("mqtt_away", broker=self.settings.host, reason=words)
            self.why = words
            healthy = asyncio.get_running_loop().time() - began > RECONNECT.cap_s
            failures = 1 if healthy else failures + 1
            await asyncio.sleep(RECONNECT.wait(failures, self._random))

    async def _connection(self) -> None:
        """One connection, from connect to its end."""
        client = await self._make()
        try:
            await client.__aenter__()
        except BaseException:
            _close_socket(client)
            raise
        reader: asyncio.Task[None] | None = None
        try:
            self._client = client
            self._lost.clear()
            reader = asyncio.create_task(self._read(client), name="mqtt messages")
            lost = asyncio.create_task(self._lost.wait(), name="mqtt lost")
            begin = asyncio.create_task(self._begin(), name="mqtt session")
            try:
                await asyncio.wait({reader, lost, begin}, return_when=asyncio.FIRST_COMPLETED)
                if begin.done() and begin.exception() is None:
                    await asyncio.wait({reader, lost}, return_when=asyncio.FIRST_COMPLETED)
                for task in (begin, reader):
                    if task.done() and (error := task.exception()) is not None:
                        raise error
            finally:
                lost.cancel()
                begin.cancel()
        finally:
            self._client = None
            self._ready.clear()
            if reader is not None:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
            await _leave(client)

    async def _begin(self) -> None:
        await self.on_session()
        self.why = ""
        self._ready.set()
        log.info("mqtt_connected", broker=self.settings.host)

    async def _read(self, client: Client) -> None:
        async for message in client.messages:
            self.on_message(message)

    async def _make(self) -> Client:
        settings = self.settings
        host, port = settings.address
        connect, will = Properties(PacketTypes.CONNECT), Properties(PacketTypes.WILLMESSAGE)
        connect.SessionExpiryInterval, will.WillDelayInterval = SESSION_S, WILL_DELAY_S
        connect.MaximumPacketSize = LARGEST_PACKET
        will.UserProperty = [("holder", self.identifier)]
        client = ConfirmingClient(
            host,
            port,
            identifier=self.identifier,
            username=secret(settings.username_env, "username_env") if settings.username_env else None,
            password=secret(settings.password_env, "password_env") if settings.password_env else None,
            protocol=ProtocolVersion.V5,
            clean_start=False,
            properties=connect,
            will=Will(self._will_topic, "offline", 1, True, will),
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_S,
            tls_context=await CLIENTS.run(tls_context, settings, self._context) if settings.tls else None,
            max_inflight_messages=200,
            logger=_QUIET,
        )
        client.pending_calls_threshold = 100_000
        return client

    def _words(self, error: Exception) -> str:
        host, port = self.settings.address
        said = str(error) or type(error).__name__
        if getattr(getattr(error, "rc", None), "value", None) == _UNSUPPORTED_VERSION:
            said = "this broker does not speak MQTT 5; mosquitto does from 1.6 on"
        cause = error.__cause__ or error.__context__
        if isinstance(cause, OSError) and cause.strerror and cause.strerror not in said:
            said = f"{said} ({cause.strerror})"
        return f"{host}:{port}: {said}"


async def _nothing() -> None:
    """No session work."""


async def _leave(client: Client) -> None:
    """Say goodbye where that is still possible; the will is then not sent."""
    with suppress(MqttError, OSError, ValueError, aiomqtt.MqttReentrantError):
        await client.__aexit__(None, None, None)
    _close_socket(client)


def _close_socket(client: Client) -> None:
    """aiomqtt leaves the socket open when a connection was never made or is broken; the next one is another client's."""
    with suppress(Exception):
        client._client.disconnect()
