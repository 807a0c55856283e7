"""Whose node this is: two that have the same name under one prefix would make every entity flap."""

from __future__ import annotations

import asyncio

import structlog
from aiomqtt import Message
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from connectors.mqtt.client import ANSWER_S, Away, BrokerConnection
from connectors.mqtt.states import OFFLINE, ONLINE
from connectors.mqtt.topics import NodeTopics

log = structlog.get_logger(__name__)

_ALIVE_S = 2.0
_HOLDER = "holder"


class Claim:
    """The node's status carries its holder's client id as a user property. Who finds another one's asks whether it is alive."""

    def __init__(self, connection: BrokerConnection, topics: NodeTopics) -> None:
        self._connection = connection
        self._topics = topics
        self._mine = connection.identifier
        self._held = False
        self._found: str | None = None
        """Another holder, by the retained status."""
        self._alive = asyncio.Event()
        """It has answered."""
        self._echo = asyncio.Event()
        self._one = asyncio.Lock()

    async def say(self, status: str) -> None:
        """Publish the node's status under this holder's name. Raises Away."""
        mark = Properties(PacketTypes.PUBLISH)
        mark.UserProperty = [(_HOLDER, self._mine)]
        await self._connection.publish(self._topics.status, status, retain=True, properties=mark)

    async def caught_up(self) -> None:
        """Returns when every retained message of the subscriptions so far has been handled: one's own question comes back after them."""
        async with self._one:
            self._echo.clear()
            await self._connection.publish(self._topics.who, self._mine)
            try:
                async with asyncio.timeout(ANSWER_S):
                    await self._echo.wait()
            except TimeoutError:
                raise Away(
                    f"{self._topics.who}: what was published does not come back; may this user read there?"
                ) from None

    async def take(self) -> None:
        """Called after the subscription to status and who. Raises Away while another one that is alive holds the node's name."""
        self._held = False
        self._found = None
        self._alive.clear()
        await self.caught_up()
        if self._found is not None:
            try:
                async with asyncio.timeout(_ALIVE_S):
                    await self._alive.wait()
            except TimeoutError:
                log.info("mqtt_node_taken_over", node=self._topics.node, holder=self._found)
            else:
                raise Away(self._words(self._found))
        self._held = True

    def release(self) -> None:
        """This node is about to say itself that it is offline."""
        self._held = False

    def heard(self, topic: str, payload: str, message: Message) -> bool:
        """Whether this node has to say now that it is online."""
        if topic == self._topics.who:
            if payload == self._mine:
                self._echo.set()
            return self._held and payload != self._mine
        holder = _holder(message)
        if holder == self._mine or holder is None:
            # Somebody or a late will said that this node is offline.
            return self._held and not message.retain and payload == OFFLINE
        if payload != ONLINE:
            self._found = None if holder == self._found else self._found
            return self._held and not message.retain
        self._found = holder
        if message.retain:
            return False
        self._alive.set()
        if self._held and holder < self._mine:
            # Both began at the same time; one of them gives in.
            self._held = False
            self._connection.drop(self._words(holder))
            return False
        return self._held

    def _words(self, holder: str) -> str:
        return (
            f"another node ({holder}) is online as {self._topics.root}; give this output another prefix, "
            "or one of the two nodes another name"
        )


def _holder(message: Message) -> str | None:
    properties = dict(getattr(message.properties, "UserProperty", None) or [])
    return properties.get(_HOLDER)
