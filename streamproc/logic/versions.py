"""Documents of several versions: raised to the newest to be read, lowered to an older one to be written for who reads no newer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from streamproc.core.errors import StateVersionUnknown

Step = Callable[[Any], Any]
"""Makes a document of one version into one of its neighbour. Takes nothing away from what it is given."""


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of one kind of document. Who changes the form of it raises ``newest`` and adds a step up and, where it can be, a step down."""

    kind: str
    """For people: "a lane's record"."""
    newest: int
    """The one that is written where nothing else is asked for."""
    up: Mapping[int, Step] = field(default_factory=dict)
    """By the version that it begins with: 3 makes a 3 into a 4."""
    down: Mapping[int, Step] = field(default_factory=dict)
    """By the version that it ends with: 3 makes a 4 into a 3."""

    def raised(self, document: Any, version: int) -> Any:
        """The document as the newest version has it. Raises StateVersionUnknown."""
        if version > self.newest:
            raise StateVersionUnknown(
                f"{self.kind} has version {version}, this streamproc reads up to {self.newest}; update this node"
            )
        for each in range(version, self.newest):
            if each not in self.up:
                raise StateVersionUnknown(f"{self.kind} has version {version}, which this streamproc reads no more")
            document = self.up[each](document)
        return document

    def lowered(self, document: Any, version: int) -> tuple[int, Any]:
        """A document of the newest version as that version has it, or the lowest above it that there are steps to; and which that is."""
        at = self.newest
        while at > version and at - 1 in self.down:
            at -= 1
            document = self.down[at](document)
        return at, document
