"""Which processors this node is to run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Ownership(Protocol):
    """Says of every processor whether it is this node's to run. Belongs to the event loop."""

    shared: bool
    """Whether other nodes may have run a processor before."""

    def elsewhere(self, name: str) -> str | None:
        """None: it is this node's. Else why it is not, for people: it becomes the processor's ``message``."""
        ...

    def subscribe(self, changed: Callable[[str], None]) -> None:
        """``changed`` is called in the event loop with the name of each processor whose owner has changed."""
        ...


class SoleNode:
    """The ownership of a node that is alone: every processor is its own."""

    shared = False

    def elsewhere(self, name: str) -> str | None:
        return None

    def subscribe(self, changed: Callable[[str], None]) -> None:
        """Nothing ever changes."""
