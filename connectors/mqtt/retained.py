"""Which retained messages a node wants on the broker, which are there, and what has to be sent to make both the same. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Payload = str | bytes
REMOVE = ""
"""An empty payload takes a retained message off the broker."""
MOST = 50_000
"""Topics that are kept account of, many times those of a thousand cameras. What is beyond is found by a later connection, when these are gone."""
_SHORT = 1000
"""Of a payload, in letters: states are shorter."""


class Retained:
    """Wanted messages by owner (a processor, or the node itself), against what the broker is known to hold.

    Topics that an earlier process left are told by ``found``; those of an owner that is known here and does not want them are removed
    with its next ``due``, those of nobody with ``adopt``.
    """

    def __init__(self) -> None:
        self._wanted: dict[str, dict[str, Payload]] = {}
        self._held: dict[str, Payload | None] = {}
        """What the broker holds; None: something, but nobody here knows what."""
        self._owners: dict[str, str] = {}

    def want(self, owner: str, messages: Mapping[str, Payload]) -> None:
        """These and no others are the owner's from now on; sent in this order."""
        self._wanted[owner] = dict(messages)
        self._owners |= dict.fromkeys(messages, owner)

    def put(self, owner: str, topic: str, payload: Payload) -> None:
        """One more of the owner's, or another payload of it."""
        self._wanted.setdefault(owner, {})[topic] = payload
        self._owners[topic] = owner

    def wanted(self, owner: str, topic: str) -> Payload | None:
        return self._wanted.get(owner, {}).get(topic)

    def held(self, topic: str) -> Payload | None:
        return self._held.get(topic)

    def remove(self, owner: str, also: Iterable[str] = ()) -> None:
        """The owner is gone: nothing of it may stay, nor ``also``, which may be there without anybody knowing."""
        for topic in also:
            self._held.setdefault(topic, None)
            self._owners[topic] = owner
        self._wanted[owner] = {}

    def found(self, owner: str, topic: str, payload: Payload) -> None:
        """The broker holds this. Of something long that is not wanted, it is only known that it is there: others may have left anything."""
        if len(self._held) >= MOST and topic not in self._held:
            return
        short = len(payload) <= _SHORT or topic in self._wanted.get(owner, {})
        self._held[topic] = payload if short else None
        self._owners.setdefault(topic, owner)

    def reconnected(self) -> None:
        """The broker may have lost everything, and may hold whatever it held: all of it is due again."""
        self._held = dict.fromkeys(self._held, None)

    def due(self) -> list[tuple[str, Payload]]:
        """(topic, payload) to send, removals first; an empty payload removes."""
        wanted = {topic: payload for mine in self._wanted.values() for topic, payload in mine.items()}
        gone = [topic for topic in self._held if topic not in wanted and self._owners.get(topic) in self._wanted]
        return [(topic, REMOVE) for topic in gone] + [
            (topic, payload) for topic, payload in wanted.items() if self._held.get(topic) != payload
        ]

    def sent(self, topic: str, payload: Payload) -> None:
        """The broker has confirmed it."""
        if payload == REMOVE:
            self._held.pop(topic, None)
            self._owners.pop(topic, None)
        else:
            self._held[topic] = payload

    def owners(self) -> set[str]:
        """Who wants something."""
        return {owner for owner, messages in self._wanted.items() if messages}

    def orphans(self) -> set[str]:
        """Owners of messages that the broker holds and nobody here knows."""
        return {owner for topic, owner in self._owners.items() if topic in self._held and owner not in self._wanted}

    def clean(self, owner: str) -> bool:
        """Nothing of the owner is on the broker any more, as far as is known; then it is forgotten."""
        if any(self._owners.get(topic) == owner for topic in self._held):
            return False
        self._wanted.pop(owner, None)
        return True
