"""Commands that come from a broker, carried out for each processor one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from connectors.mqtt.topics import NodeTopics, Topics, level
from streamproc.trouble import Trouble

log = structlog.get_logger(__name__)

Command = Callable[[str, str], Coroutine[Any, Any, None]]
"""``await command(what, payload)``: what is ``set`` or the last level of a ``cmd`` topic."""
_WAITING = 20
"""Commands of one processor."""
_LONGEST = 200
"""Bytes of a payload that are looked at."""
PATIENCE_S = 45.0
"""So long a command may hold up the next one of its processor: longer than the end of a session may take."""
_OVERDUE = 4
"""Commands of one processor that are still being carried out after that; with so many nothing new is begun."""


class Orders:
    """Whoever may write to the topics may send anything: of a flood some commands are dropped, and that is said once."""

    def __init__(self, topics: NodeTopics) -> None:
        self._topics = topics
        self._lines: dict[str, _Line] = {}
        """By the level of the processor's name."""
        self._running: set[asyncio.Task[None]] = set()
        """Commands that are being carried out, also of those who take none any more."""
        self._flood = Trouble("mqtt_command_dropped", "mqtt_commands_obeyed")

    @property
    def wanted(self) -> bool:
        """Whether any processor takes commands."""
        return bool(self._lines)

    def listen(self, user: object, topics: Topics, command: Command) -> None:
        """Commands for this processor go there from now on."""
        before = self._lines.get(level(topics.name))
        if before is not None:
            before.task.cancel()
        self._lines[level(topics.name)] = _Line(user, topics.name, command, self._running)

    def forget(self, user: object) -> None:
        """The user takes no commands any more; one that it is carrying out is not broken off."""
        for name in [name for name, line in self._lines.items() if line.user is user]:
            self._lines.pop(name).task.cancel()

    async def aclose(self) -> None:
        """What is being carried out is given up."""
        tasks = [*(line.task for line in self._lines.values()), *self._running]
        self._lines.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def heard(self, topic: str, payload: bytes) -> None:
        """A message that is not retained: a broker repeats retained ones at every connection, and they are nobody's command any more."""
        owner = self._topics.owner(topic)
        line = self._lines.get(owner or "")
        rest = topic.removeprefix(f"{self._topics.root}/{owner}/")
        if line is None or not (rest == "set" or rest.startswith("cmd/")):
            return
        try:
            line.waiting.put_nowait((rest.removeprefix("cmd/"), payload[:_LONGEST].decode("utf-8", "replace")))
            self._flood.over()
        except asyncio.QueueFull:
            self._flood.met("too many at once", topic=topic)


class _Line:
    """Of one processor. What hangs there holds up no other's commands, and its own not for ever."""

    def __init__(self, user: object, name: str, command: Command, running: set[asyncio.Task[None]]) -> None:
        self.user = user
        self.waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue(maxsize=_WAITING)
        self._name, self._command, self._running = name, command, running
        self.task = asyncio.create_task(self._obey_for_ever(), name=f"mqtt commands {name}")

    async def _obey_for_ever(self) -> None:
        overdue: set[asyncio.Task[None]] = set()
        while True:
            what, payload = await self.waiting.get()
            if len(overdue) >= _OVERDUE:
                _, overdue = await asyncio.wait(overdue, return_when=asyncio.FIRST_COMPLETED)
            task = asyncio.create_task(self._command(what, payload), name=f"mqtt command {what} {self._name}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            done, _ = await asyncio.wait({task}, timeout=PATIENCE_S)
            if not done:  # left alone: half of an edit would be worse than a late one
                overdue.add(task)
                log.warning("mqtt_command_takes_long", processor=self._name, command=what)
