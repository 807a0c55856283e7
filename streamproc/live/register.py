"""Which processors there are, by name, and which files were refused before they became one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

from streamproc import metrics
from streamproc.core.errors import AlreadyExists, NotFound
from streamproc.core.event import Event
from streamproc.live.documents import Origin
from streamproc.live.processor import Processor
from streamproc.live.refused import Refused
from streamproc.live.view import ProcessorView
from streamproc.logic.lifecycle import State


class Register:
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._processors: dict[str, Processor] = {}
        self._coming: set[str] = set()
        self._refused: dict[str, Refused] = {}
        self.count = 0
        """How many were ever added."""

    # -- coming and going

    @contextmanager
    def coming(self, name: str) -> Iterator[None]:
        """The name is kept for a processor that is being made. Raises AlreadyExists."""
        if name in self._processors or name in self._coming:
            raise AlreadyExists(f"there is a processor {name!r} already")
        self._coming.add(name)
        try:
            yield
        finally:
            self._coming.discard(name)

    def add(self, processor: Processor) -> None:
        """A processor is there from now on; where its file was refused until now, its life goes on from there."""
        refused = self._refused.pop(processor.name, None)
        if refused is not None:
            processor.life = refused.accept()
            processor.complaint = refused.words if processor.row.origin == "api" else None
        self.count += 1
        self._processors[processor.name] = processor

    def drop(self, processor: Processor) -> None:
        """A processor was deleted; what is wrong with its file goes on being said."""
        del self._processors[processor.name]
        if processor.complaint is not None:
            self._refused[processor.name] = Refused(processor.name, processor.complaint)

    def refuse(self, name: str, words: str | None) -> None:
        """What is wrong with the newest version of a processor's file; None: nothing any more."""
        processor = self._processors.get(name)
        self._refused.pop(name, None)
        if processor is not None:
            processor.complaint = words
        elif words is not None:
            self._refused[name] = Refused(name, words)

    def delivered(self, event: Event) -> None:
        """An output has taken one of a processor's events."""
        processor = self._processors.get(event.processor)
        if processor is not None:
            processor.delivered(event)

    # -- looking

    def __contains__(self, name: str) -> bool:
        return name in self._processors

    def by_name(self) -> Mapping[str, Processor]:
        return self._processors

    def all(self) -> list[Processor]:
        """The processors of this moment, in the order in which they came."""
        return list(self._processors.values())

    def processor(self, name: str) -> Processor:
        """Raises NotFound."""
        processor = self._processors.get(name)
        if processor is None:
            raise NotFound(f"there is no processor {name!r}")
        return processor

    @asynccontextmanager
    async def held(self, name: str) -> AsyncIterator[Processor]:
        """A processor with its lock. Raises NotFound, also where it was deleted meanwhile."""
        processor = self.processor(name)
        async with processor.lock:
            if self._processors.get(name) is not processor:
                raise NotFound(f"there is no processor {name!r}")
            yield processor

    def names(self, origin: Origin | None = None) -> list[str]:
        return sorted(name for name, each in self._processors.items() if origin is None or each.row.origin == origin)

    def refused(self) -> list[str]:
        """Names whose file is wrong, whether or not there is a good version."""
        complaints = [name for name, each in self._processors.items() if each.complaint is not None]
        return sorted([*complaints, *self._refused])

    def view(self, name: str, seen: Callable[[Processor], ProcessorView]) -> ProcessorView:
        """Raises NotFound."""
        refused = self._refused.get(name)
        return refused.view() if refused is not None else seen(self.processor(name))

    def views(self, seen: Callable[[Processor], ProcessorView]) -> list[ProcessorView]:
        """All of them, by name; a file that was refused and has no good version is among them."""
        views = [seen(processor) for processor in self._processors.values()]
        return sorted([*views, *(each.view() for each in self._refused.values())], key=lambda view: view.name)

    def count_states(self) -> None:
        """Into the metrics: how many processors are in each state."""
        lives = [each.life for each in self._processors.values()] + [each.life for each in self._refused.values()]
        for state in State:
            metrics.PROCESSORS.labels(state.value).set(sum(life.state is state for life in lives))
