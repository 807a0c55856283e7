"""Everything this node has on one broker: its own status, its processors' retained states, commands. One connection for all outputs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from aiomqtt import Message

from connectors.context import ConnectorContext
from connectors.mqtt.claim import Claim
from connectors.mqtt.client import Away, BrokerConnection, Refused
from connectors.mqtt.discovery import node_device, removing
from connectors.mqtt.orders import Command, Orders
from connectors.mqtt.retained import REMOVE, Payload, Retained
from connectors.mqtt.settings import MqttSinkSettings
from connectors.mqtt.states import OFFLINE, ONLINE, to_json
from connectors.mqtt.topics import NodeTopics, Topics, level
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

_AT_ONCE = 100
"""Retained messages in flight at a time."""
_ORPHAN_S = 30.0
"""What nobody of this process wants so long after a connection began is of processors that are no more."""
_CLOSE_S = 3.0
_AGAIN_S = 1.0
"""After states that the broker did not confirm."""
_OWN = ""
"""The owner of the node's own messages; processors own theirs by the level of their name."""


class NodeOnBroker:
    """Shared by the outputs of all processors that name the same broker and prefix. All methods belong to the event loop."""

    def __init__(self, settings: MqttSinkSettings, context: ConnectorContext) -> None:
        self.topics = NodeTopics(settings.prefix, context.node_id, settings.discovery or None)
        self.connection = BrokerConnection(settings, context, _identifier(context, settings), self.topics.status)
        self.connection.on_session = self._session
        self.connection.on_message = self._message
        self._claim = Claim(self.connection, self.topics)
        self._retained = Retained()
        self._retained.want(_OWN, {})  # the first, so that the node is known before the cameras that name it
        self._users: set[object] = set()
        self._orders = Orders(self.topics)
        self._configs: dict[str, str] = {}
        """Owners by their discovery topic."""
        self._unread: set[str] = set()
        """Discovery topics of which nobody has looked yet what an earlier process left there."""
        self._changed = asyncio.Event()
        self._refused = Trouble("mqtt_state_refused", "mqtt_states_taken", broker=settings.host)
        self._tasks: list[asyncio.Task[None]] = []
        self.closing = False
        """Its outputs have gone; it takes no others."""
        self._shown_by: dict[str, object] = {}
        self._leaving: set[str] = set()
        """Processors that have to be taken off the broker, also when nobody uses it any more."""
        self._last_words: asyncio.Task[None] | None = None

    # -- who uses it

    def attach(self, user: object) -> None:
        self._users.add(user)
        if not self._tasks:
            self.connection.start()
            loops = (self._push_for_ever, self._sweep_for_ever)
            self._tasks = [asyncio.create_task(loop(), name=f"mqtt {loop.__name__}") for loop in loops]

    async def detach(self, user: object) -> None:
        """The last one says goodbye; what still has to be removed from the broker is tried for a moment more."""
        self._users.discard(user)
        self._orders.forget(user)
        if self._users or self.closing or not self._tasks or (self._leaving and not self.connection.connected):
            return  # what has to be removed from a broker that is away is removed when it is back
        await self._close()

    async def _close(self) -> None:
        self.closing = True
        await self._orders.aclose()
        with suppress(TimeoutError, Away):
            async with asyncio.timeout(_CLOSE_S):
                if self._retained.due():
                    await self.connection.ready(_CLOSE_S)
                if self.connection.connected:
                    await self._goodbye()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.connection.aclose()

    def discover(self, prefix: str) -> None:
        """One of its outputs is for Home Assistant; the first of them says under which prefix the node itself is found."""
        if self.topics.discovery is None:
            self.topics = replace(self.topics, discovery=prefix)
            if self.connection.connected:
                self.connection.drop("to be discovered")

    # -- what is published

    def show(self, user: object, topics: Topics, messages: Mapping[str, Payload], pictures: bool) -> None:
        """Everything retained of a processor: its discovery document, its states, and with ``pictures`` the one that was shown last."""
        owner, wanted = level(topics.name), dict(messages)
        self._shown_by[owner] = user
        self._leaving.discard(owner)
        if topics.config is not None and topics.config in wanted and topics.config not in self._configs:
            self._configs[topics.config] = owner
            self._unread.add(topics.config)
        hero = self._retained.wanted(owner, topics.hero)
        if hero is not None and pictures:
            wanted[topics.hero] = hero
        self._retained.want(owner, wanted)
        self._changed.set()

    def keep(self, topics: Topics, topic: str, payload: Payload) -> None:
        """One retained message of a processor, beside what ``show`` said last."""
        self._retained.put(level(topics.name), topic, payload)
        self._changed.set()

    async def keep_now(self, topics: Topics, topic: str, payload: Payload) -> None:
        """As ``keep``; returns when the broker has confirmed it. Raises Away."""
        self._retained.put(level(topics.name), topic, payload)
        await self._send(topic, payload)

    def tell(self, topic: str, payload: str) -> None:
        """A message for who listens at this moment: not kept, and lost where the broker is away."""
        self._spawn(self.connection.publish(topic, payload))

    def retire(self, user: object, topics: Topics) -> bool:
        """The processor, or its output here, is no more. False: another output shows it here by now."""
        self._orders.forget(user)
        if self._shown_by.get(level(topics.name), user) is not user:
            return False
        self._shown_by.pop(level(topics.name), None)
        self._leaving.add(level(topics.name))
        self._remove(topics)
        return True

    def _remove(self, topics: Topics) -> None:
        also = [topics.hero, topics.at("stats")] + ([topics.config] if topics.config else [])
        self._retained.remove(level(topics.name), also)
        self._changed.set()

    async def removed(self, topics: Topics, within_s: float) -> None:
        """Wait until the broker has confirmed that nothing is left, at most so long."""
        with suppress(TimeoutError, Away):
            async with asyncio.timeout(within_s):
                while not self._retained.clean(level(topics.name)):
                    await self.connection.ready(within_s)
                    await self._push()
                self._leaving.discard(level(topics.name))

    def obey(self, user: object, topics: Topics, command: Command) -> None:
        """Commands for this processor go there from now on."""
        first = not self._orders.wanted
        self._orders.listen(user, topics, command)
        if first and self.connection.connected:
            self.connection.drop("to listen for commands")

    # -- a new connection

    async def _session(self) -> None:
        connection, topics = self.connection, self.topics
        self._retained.reconnected()
        self._unread = set(self._configs)
        await connection.subscribe(topics.status, topics.who)
        await self._claim.take()
        await connection.subscribe(*topics.filters)
        if topics.birth:
            await connection.subscribe(topics.birth)
        if self._orders.wanted:
            await connection.subscribe(*topics.command_filters)
        await self._online()
        await self._push()
        # Others see the states first, then the events that were waiting.

    async def _online(self) -> None:
        config = (
            {self.topics.config: to_json(node_device(self.topics, socket.gethostname()))} if self.topics.config else {}
        )
        self._retained.want(_OWN, config)
        await self.connection.publish(self.topics.status, ONLINE, retain=True, properties=self._claim.mark())

    async def _goodbye(self) -> None:
        self._claim.release()
        left = self._retained.owners() - {_OWN}
        if left:
            await self._push()
            await self.connection.publish(self.topics.status, OFFLINE, retain=True, properties=self._claim.mark())
            return
        self._retained.remove(_OWN)
        await self._push()
        await self.connection.publish(self.topics.status, REMOVE, retain=True)

    # -- what comes in

    def _message(self, message: Message) -> None:
        topic, payload = str(message.topic), bytes(message.payload or b"")
        if topic in (self.topics.status, self.topics.who):
            if self._claim.heard(topic, payload.decode("utf-8", "replace"), message):
                self._spawn(self._online())
        elif topic == self.topics.birth:
            if payload == b"online" and not message.retain:
                self._retained.reconnected()
                self._changed.set()
        elif message.retain:
            owner = self._configs.get(topic) or self.topics.owner(topic)
            if owner is not None and payload:
                self._retained.found(owner, topic, payload.decode("utf-8", "replace"))
                self._changed.set()
        else:
            self._orders.heard(topic, payload)

    # -- loops

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_quietly(work), name="mqtt answer")
        self._tasks.append(task)
        task.add_done_callback(lambda done: self._tasks.remove(done) if done in self._tasks else None)

    async def _push_for_ever(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.connection.ready(3600.0)
                await self._push()
            except Away:
                self._changed.set()
                await asyncio.sleep(_AGAIN_S)
                continue
            self._leaving = {owner for owner in self._leaving if not self._retained.clean(owner)}
            if not self._users and not self._leaving and not self.closing:
                self._last_words = asyncio.create_task(self._close(), name="mqtt close")
                return

    async def _push(self) -> None:
        """Send what is due. Raises Away."""
        if self._unread:
            unread, self._unread = self._unread, set()
            await self.connection.subscribe(*unread)
            await self._claim.caught_up()
        while due := self._retained.due():
            for first in range(0, len(due), _AT_ONCE):
                # Sent in this order; the broker's confirmations are waited for together.
                await asyncio.gather(*(self._send(topic, payload) for topic, payload in due[first : first + _AT_ONCE]))

    async def _send(self, topic: str, payload: Payload) -> None:
        try:
            await self._remove_entities(topic, payload)
            await self.connection.publish(topic, payload, retain=True)
        except Refused as refused:
            # Asked again with the next connection; meanwhile everything else goes on, events above all.
            self._refused.met(refused)
        self._retained.sent(topic, payload)

    async def _remove_entities(self, topic: str, payload: Payload) -> None:
        """Between two discovery documents, the one that tells Home Assistant which entities are gone."""
        before = self._retained.held(topic)
        if not topic.endswith("/config") or not before or not payload:
            return
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            between = removing(json.loads(before), json.loads(payload))
            if between is not None:
                await self.connection.publish(topic, to_json(between), retain=True)

    async def _sweep_for_ever(self) -> None:
        """Remove what an earlier process left of processors that are no more."""
        while True:
            with suppress(Away):
                await self.connection.ready(3600.0)
                await asyncio.sleep(_ORPHAN_S)
                for owner in self._retained.orphans():
                    log.info("mqtt_leftovers_removed", processor=owner)
                    self._remove(Topics(self.topics, owner))
            await asyncio.sleep(_ORPHAN_S)


def _identifier(context: ConnectorContext, settings: MqttSinkSettings) -> str:
    """The same for these settings, this data directory and this host, whenever it connects; another for any other: a broker ends the older of two
    connections of one name."""
    place = f"{socket.gethostname()}:{context.data_dir}:{_place(settings)}"
    return f"streamproc-{context.node_id[:12]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _place(settings: MqttSinkSettings) -> str:
    """What two outputs have in common that share a connection."""
    return settings.model_dump_json(
        include={"host", "port", "tls", "ca_file", "cert_file", "key_file", "username_env", "password_env", "prefix"}
    )


_nodes: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], NodeOnBroker]] = WeakKeyDictionary()


def node_on_broker(settings: MqttSinkSettings, context: ConnectorContext) -> NodeOnBroker:
    """The one of this event loop for that broker, prefix and user. Made where there is none yet."""
    shared = _nodes.setdefault(asyncio.get_running_loop(), {})
    key = (_place(settings), context.node_id, context.data_dir)
    found = shared.get(key)
    if found is None or found.closing:
        found = shared[key] = NodeOnBroker(settings, context)
    elif settings.discovery:
        found.discover(settings.discovery)
    return found


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(Away):
        await work
