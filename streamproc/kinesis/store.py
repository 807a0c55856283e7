"""What keeps fragments: the interface of its backends, and the nouns that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streamproc.core.errors import NotFound, StreamprocError
from streamproc.core.video_log import FragmentInfo


class StoreAway(StreamprocError):
    """The store takes or gives nothing at the moment; the message says what is waited for."""


class FragmentGone(NotFound):
    """A fragment was removed, by its age or because the store is full."""


class FragmentTooLarge(StreamprocError):
    """The store will never take a fragment of that size."""


@dataclass(frozen=True, slots=True)
class NewFragment:
    """A fragment on its way into the store."""

    info: FragmentInfo
    data: bytes
    """A Matroska file of its own."""
    digest: bytes
    """Of its clusters: one that a producer sends again has the same."""
    session: str = ""
    """Of the producer that sent it, where it came by PutMedia: see ``logic.contention.session_mark``."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A fragment in the store."""

    stream: str
    info: FragmentInfo
    digest: bytes
    place: str
    """Where the backend keeps it, in the backend's own words."""


class FragmentStore(Protocol):
    """Keeps the bytes of fragments. The index of what is kept lies beside it and is written by it."""

    max_fragment_bytes: int

    async def open(self) -> None:
        """Bring the index in line with what is kept. Does not wait for a broker that is away."""
        ...

    async def append(self, stream: str, fragment: NewFragment) -> None:
        """Returns when the fragment and its entry in the index are durable. Raises StoreAway or FragmentTooLarge.

        Calls for one stream come one after the other, with growing numbers; a call that failed is repeated with the same number.
        """
        ...

    async def read(self, entry: Entry) -> bytes:
        """The fragment. Raises FragmentGone or StoreAway."""
        ...

    async def prune(self, now_ms: int) -> int:
        """Remove what is too old or too much, oldest first, but nothing that is held; returns how many."""
        ...

    async def remove(self, entries: Sequence[Entry]) -> None:
        """Forget fragments (their stream is deleted)."""
        ...

    async def close(self) -> None: ...
