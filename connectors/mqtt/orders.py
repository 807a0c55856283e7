"""Commands that come from a broker, carried out one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from connectors.mqtt.topics import NodeTopics, Topics, level
from streamproc.trouble import Trouble

Command = Callable[[str, str], Coroutine[Any, Any, None]]
"""``await command(what, payload)``: what is ``set`` or the last level of a ``cmd`` topic."""
_WAITING = 100
_LONGEST = 200
"""Bytes of a payload that are looked at."""


class Orders:
    """Whoever may write to the topics may send anything: of a flood some commands are dropped, and that is said once."""

    def __init__(self, topics: NodeTopics) -> None:
        self._topics = topics
        self._commands: dict[str, Command] = {}
        """By the level of the processor's name."""
        self._waiting: asyncio.Queue[tuple[Command, str, str]] = asyncio.Queue(maxsize=_WAITING)
        self._flood = Trouble("mqtt_command_dropped", "mqtt_commands_obeyed")

    @property
    def wanted(self) -> bool:
        """Whether any processor takes commands."""
        return bool(self._commands)

    def listen(self, topics: Topics, command: Command) -> None:
        """Commands for this processor go there from now on."""
        self._commands[level(topics.name)] = command

    def forget(self, topics: Topics) -> None:
        self._commands.pop(level(topics.name), None)

    def heard(self, topic: str, payload: bytes) -> None:
        """A message that is not retained: a broker repeats retained ones at every connection, and they are nobody's command any more."""
        owner = self._topics.owner(topic)
        command = self._commands.get(owner or "")
        rest = topic.removeprefix(f"{self._topics.root}/{owner}/")
        if command is None or not (rest == "set" or rest.startswith("cmd/")):
            return
        try:
            self._waiting.put_nowait(
                (command, rest.removeprefix("cmd/"), payload[:_LONGEST].decode("utf-8", "replace"))
            )
            self._flood.over()
        except asyncio.QueueFull:
            self._flood.met("too many at once", topic=topic)

    async def obey_for_ever(self) -> None:
        while True:
            command, what, payload = await self._waiting.get()
            await command(what, payload)
