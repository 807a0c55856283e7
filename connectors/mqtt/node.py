"""Everything this node has on one broker: its own status, its processors' retained states, commands. One connection for all outputs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from aiomqtt import Message

from connectors.context import ConnectorContext
from connectors.mqtt.claim import Claim
from connectors.mqtt.client import Away, BrokerConnection
from connectors.mqtt.discovery import node_device
from connectors.mqtt.orders import Command, Orders
from connectors.mqtt.publishing import RetainedPublisher
from connectors.mqtt.retained import REMOVE, Payload
from connectors.mqtt.settings import MqttSinkSettings
from connectors.mqtt.states import OFFLINE, ONLINE, to_json
from connectors.mqtt.topics import NodeTopics, Topics, level

_CLOSE_S = 3.0
_AGAIN_S = 1.0
"""After states that the broker did not confirm."""
_OWN = ""
"""The owner of the node's own messages; processors own theirs by the level of their name."""


class NodeOnBroker:
    """Shared by the outputs of all processors that name the same broker and prefix. All methods belong to the event loop."""

    def __init__(self, settings: MqttSinkSettings, context: ConnectorContext, identifier: str) -> None:
        self.topics = NodeTopics(settings.prefix, context.node_id, settings.discovery or None)
        self.connection = BrokerConnection(settings, context, identifier, self.topics.status)
        self.connection.on_session = self._session
        self.connection.on_message = self._message
        self.closing = False
        """Its outputs have gone; it takes no others."""
        self._claim = Claim(self.connection, self.topics)
        self._retained = RetainedPublisher(self.connection, self._claim.caught_up)
        self._retained.want(_OWN, {})  # the first, so that the node is known before the cameras that name it
        self._orders = Orders(self.topics)
        self._users: set[object] = set()
        self._shown_by: dict[str, object] = {}
        self._leaving: set[str] = set()
        """Processors that have to be taken off the broker, also when nobody uses it any more."""
        self._tasks: list[asyncio.Task[None]] = []
        self._last_words: asyncio.Task[None] | None = None

    # -- who uses it

    def attach(self, user: object) -> None:
        self._users.add(user)
        if not self._tasks:
            self.connection.start()
            self._tasks = [
                asyncio.create_task(self._push_for_ever(), name="mqtt states"),
                asyncio.create_task(self._retained.sweep_for_ever(lambda: self.topics), name="mqtt leftovers"),
            ]

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
                if self._retained.due:
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
        self._shown_by[level(topics.name)] = user
        self._leaving.discard(level(topics.name))
        self._retained.show(topics, messages, pictures)

    def keep(self, topics: Topics, topic: str, payload: Payload) -> None:
        """One retained message of a processor, beside what ``show`` said last."""
        self._retained.keep(level(topics.name), topic, payload)

    async def keep_now(self, topics: Topics, topic: str, payload: Payload) -> None:
        """As ``keep``; returns when the broker has confirmed it. Raises Away."""
        await self._retained.keep_now(level(topics.name), topic, payload)

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
        self._retained.remove(topics)
        return True

    async def removed(self, topics: Topics, within_s: float) -> None:
        """Wait until the broker has confirmed that nothing is left, at most so long."""
        if await self._retained.removed(level(topics.name), within_s):
            self._leaving.discard(level(topics.name))

    def obey(self, user: object, topics: Topics, command: Command) -> None:
        """Commands for this processor go there from now on."""
        first = not self._orders.wanted
        self._orders.listen(user, topics, command)
        if first and self.connection.connected:
            self.connection.drop("to listen for commands")

    # -- a connection's begin and end

    async def _session(self) -> None:
        connection, topics = self.connection, self.topics
        self._retained.reconnected()
        await connection.subscribe(topics.status, topics.who)
        await self._claim.take()
        await connection.subscribe(*topics.filters)
        if topics.birth:
            await connection.subscribe(topics.birth)
        if self._orders.wanted:
            await connection.subscribe(*topics.command_filters)
        await self._online()
        await self._retained.push()
        # Others see the states first, then the events that were waiting.

    async def _online(self) -> None:
        config = self.topics.config
        self._retained.want(_OWN, {config: to_json(node_device(self.topics, socket.gethostname()))} if config else {})
        await self._claim.say(ONLINE)

    async def _goodbye(self) -> None:
        self._claim.release()
        left = self._retained.owners() - {_OWN}
        if left:
            await self._retained.push()
            await self._claim.say(OFFLINE)
            return
        self._retained.withdraw(_OWN)
        await self._retained.push()
        await self.connection.publish(self.topics.status, REMOVE, retain=True)

    # -- what comes in

    def _message(self, message: Message) -> None:
        topic, payload = str(message.topic), bytes(message.payload or b"")
        if topic in (self.topics.status, self.topics.who):
            if self._claim.heard(topic, payload.decode("utf-8", "replace"), message):
                self._spawn(self._online())
        elif topic == self.topics.birth:
            if payload == b"online" and not message.retain:
                self._retained.show_again()
        elif message.retain:
            self._retained.found(topic, self.topics.owner(topic), payload.decode("utf-8", "replace"))
        else:
            self._orders.heard(topic, payload)

    # -- tasks

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_quietly(work), name="mqtt answer")
        self._tasks.append(task)
        task.add_done_callback(lambda done: self._tasks.remove(done) if done in self._tasks else None)

    async def _push_for_ever(self) -> None:
        while True:
            try:
                await self._retained.push_changes()
            except Away:
                await asyncio.sleep(_AGAIN_S)
                continue
            self._leaving = {owner for owner in self._leaving if not self._retained.clean(owner)}
            if not self._users and not self._leaving and not self.closing:
                self._last_words = asyncio.create_task(self._close(), name="mqtt close")
                return


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    with suppress(Away):
        await work
