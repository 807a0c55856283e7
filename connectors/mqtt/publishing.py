"""Retained messages over a connection: what the broker holds is made the same as what is wanted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from connectors.mqtt.client import Away, BrokerConnection, Refused
from connectors.mqtt.discovery import removing
from connectors.mqtt.retained import Payload, Retained
from connectors.mqtt.states import to_json
from connectors.mqtt.topics import NodeTopics, Topics, level
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

_AT_ONCE = 100
"""Retained messages in flight at a time."""
_ORPHAN_S = 30.0
"""What nobody of this process wants so long after a connection began is of processors that are no more."""


class RetainedPublisher:
    """Sends what ``Retained`` finds due. Owners are processors, by the level of their name, and the node itself."""

    def __init__(self, connection: BrokerConnection, caught_up: Callable[[], Awaitable[None]]) -> None:
        """``caught_up`` returns when every retained message of the subscriptions so far has been handed to ``found``."""
        self._connection = connection
        self._caught_up = caught_up
        self._retained = Retained()
        self._configs: dict[str, str] = {}
        """Owners by their discovery topic."""
        self._unread: set[str] = set()
        """Discovery topics of which nobody has looked yet what an earlier process left there."""
        self._changed = asyncio.Event()
        self._refused = Trouble("mqtt_state_refused", "mqtt_states_taken", broker=connection.settings.host)

    # -- what is wanted

    def want(self, owner: str, messages: Mapping[str, Payload]) -> None:
        """These and no others are the owner's from the next ``push`` on."""
        self._retained.want(owner, messages)

    def show(self, topics: Topics, messages: Mapping[str, Payload], pictures: bool) -> None:
        """Everything of a processor; with ``pictures`` the one that was shown last stays."""
        owner, wanted = level(topics.name), dict(messages)
        if topics.config is not None and topics.config in wanted and topics.config not in self._configs:
            self._configs[topics.config] = owner
            self._unread.add(topics.config)
        hero = self._retained.wanted(owner, topics.hero)
        if hero is not None and pictures:
            wanted[topics.hero] = hero
        self._retained.want(owner, wanted)
        self._changed.set()

    def keep(self, owner: str, topic: str, payload: Payload) -> None:
        """One more of the owner's, or another payload of it."""
        self._retained.put(owner, topic, payload)
        self._changed.set()

    async def keep_now(self, owner: str, topic: str, payload: Payload) -> None:
        """As ``keep``; returns when the broker has confirmed it. Raises Away."""
        self._retained.put(owner, topic, payload)
        await self._send(topic, payload)

    def remove(self, topics: Topics) -> None:
        """The processor is gone: nothing of it may stay, also what an earlier process published."""
        also = [topics.hero, topics.at("stats")] + ([topics.config] if topics.config else [])
        self._retained.remove(level(topics.name), also)
        self._changed.set()

    def withdraw(self, owner: str) -> None:
        """Nothing of the owner is wanted from the next ``push`` on."""
        self._retained.remove(owner)

    # -- what is there

    def reconnected(self) -> None:
        """The broker may have lost everything, and may hold whatever it held."""
        self._retained.reconnected()
        self._unread = set(self._configs)

    def show_again(self) -> None:
        """Somebody who forgot everything has come back and wants to see all of it."""
        self._retained.reconnected()
        self._changed.set()

    def found(self, topic: str, owner: str | None, payload: str) -> None:
        """The broker holds this; ``owner`` by the topic, None where that does not say it."""
        owner = self._configs.get(topic) or owner
        if owner is not None and payload:
            self._retained.found(owner, topic, payload)
            self._changed.set()

    def owners(self) -> set[str]:
        """Who wants something."""
        return self._retained.owners()

    def clean(self, owner: str) -> bool:
        """Nothing of the owner is on the broker any more."""
        return self._retained.clean(owner)

    @property
    def due(self) -> bool:
        return bool(self._retained.due())

    # -- making both the same

    async def push(self) -> None:
        """Send what is due. Raises Away."""
        if self._unread:
            unread, self._unread = self._unread, set()
            await self._connection.subscribe(*unread)
            await self._caught_up()
        while due := self._retained.due():
            for first in range(0, len(due), _AT_ONCE):
                # Sent in this order; the broker's confirmations are waited for together.
                await asyncio.gather(*(self._send(topic, payload) for topic, payload in due[first : first + _AT_ONCE]))

    async def push_changes(self) -> None:
        """Wait until something else is wanted or found, and send what is due. Raises Away; the next call tries again at once."""
        await self._changed.wait()
        self._changed.clear()
        try:
            await self._connection.ready(3600.0)
            await self.push()
        except Away:
            self._changed.set()
            raise

    async def removed(self, owner: str, within_s: float) -> bool:
        """Wait until the broker has confirmed that nothing of the owner is left, at most so long. Whether it has."""
        with suppress(TimeoutError, Away):
            async with asyncio.timeout(within_s):
                while not self._retained.clean(owner):
                    await self._connection.ready(within_s)
                    await self.push()
                return True
        return False

    async def sweep_for_ever(self, topics: Callable[[], NodeTopics]) -> None:
        """Remove what an earlier process left of processors that are no more."""
        while True:
            with suppress(Away):
                await self._connection.ready(3600.0)
                await asyncio.sleep(_ORPHAN_S)
                for owner in self._retained.orphans():
                    log.info("mqtt_leftovers_removed", processor=owner)
                    self.remove(Topics(topics(), owner))
            await asyncio.sleep(_ORPHAN_S)

    async def _send(self, topic: str, payload: Payload) -> None:
        try:
            await self._remove_entities(topic, payload)
            await self._connection.publish(topic, payload, retain=True)
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
                await self._connection.publish(topic, to_json(between), retain=True)
