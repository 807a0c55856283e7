"""The seams between rooms. Whoever implements one of these keeps the call order and the promises written here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from streamproc.core.event import Event, Pictures
from streamproc.core.media import Image, StreamItem
from streamproc.core.status import ProcessorStatus
from streamproc.core.vision import Detections, FaceBox, FloatArray


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on after a restart. JSON-ready. It carries the session's origin, so media time goes on in the same count."""

    token: dict[str, Any]
    """The source's own words: a media position, a Kafka partition and offset; of a live feed its clock."""


@dataclass(frozen=True, slots=True)
class SourceTraits:
    """What one source, with its settings, can do. Nobody tells it from the source's type or class."""

    live: bool
    """True: the world sets the pace, and frames that nobody has time for are dropped. False: durable, the reader sets the pace and
    nothing is dropped."""
    replayable: bool = False
    """The same frames can be read again from a Position, and are then decided the same."""
    keeps_backlog: bool = False
    """It keeps what came while nobody read, so the next session begins where the last one stopped reading."""
    waits_for_publisher: bool = False
    """Others connect to it: no frames before the first publisher is no failure, however long that takes."""


@runtime_checkable
class Source(Protocol):
    """A feed. ``items`` is called in a thread of its own, once; it may block, and must look at ``stop`` at least twice a second.

    A live source survives losses by itself: it yields a Gap, backs off, reconnects and goes on. It raises SourceRefused
    when trying again is useless, and any other SourceError only where it cannot go on. A finite source ends with EndOfStream.
    """

    traits: SourceTraits

    def items(self, stop: threading.Event, resume: Position | None = None) -> Iterator[StreamItem]: ...

    def position(self) -> Position | None:
        """After the item that was yielded last: where to resume so that nothing behind it is missed. None: not here.

        Called in the thread of ``items``. A resumed file begins at an earlier keyframe, so frames that were already seen come
        again: give the media time of the last frame that was seen to ``Decoder(after=...)``, which drops them.
        """
        ...

    def durable(self, position: Position) -> None:
        """Everything up to ``position`` is safely on disk here; a broker may be told. Called from another thread."""
        ...


@runtime_checkable
class Explains(Protocol):
    """A source that can say what it waits for."""

    note: str
    """What keeps it from giving frames, for people and without secrets; empty while it gives them."""


@runtime_checkable
class GivesKeyframes(Protocol):
    """A source whose sender makes a keyframe when it is asked for one, and seldom otherwise."""

    def ask_keyframe(self) -> None:
        """In the event loop. Nothing where nobody sends."""
        ...


@runtime_checkable
class Examines(Protocol):
    """A source whose feed is on this node and can be looked at before it is played."""

    def examine(self) -> None:
        """Raises SourceRefused where nothing can be played."""
        ...


class Images(NamedTuple):
    """Where the pictures of an event are (or will be): a path or a URI each, None where there are none."""

    frame: str | None = None
    crop: str | None = None


NOWHERE = Images()
"""No pictures."""

Renderer = Callable[["Delivery", Images], dict[str, Any]]
"""Turns a delivery into the JSON-ready document of one form (``plain``, ``aws``). Pure: the same delivery, the same bytes."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one output."""

    event: Event
    pictures: Pictures | None
    """Only for sinks that are an ImageKeeper."""
    context: dict[str, Any]
    """Session facts that a form may echo, as whoever made the processor gave them; ``tags`` and ``start_request`` among them."""
    images: Images = NOWHERE
    """Where another output of the same processor keeps the pictures."""
    renderers: Mapping[str, Renderer] = field(default_factory=dict)
    """By form."""

    def document(self, form: str, images: Images | None = None) -> dict[str, Any]:
        """The event in that form; ``images`` where this sink itself keeps the pictures."""
        return self.renderers[form](self, self.images if images is None else images)


class Sink(Protocol):
    """An output. Built cheaply, connects on first use. ``deliver`` returns when the outside has confirmed.

    Raises SinkBusy (try again) or SinkRejected (never). Is given the same event again after a crash; must make that harmless or say
    that it cannot in ``guarantee``. Events of one session come one after the other, those of several at the same time.
    """

    guarantee: str
    """For people: what it promises about loss, order and repetition."""

    async def deliver(self, delivery: Delivery) -> None: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class ImageKeeper(Protocol):
    """A sink that stores pictures, and knows beforehand where."""

    def locate(self, event: Event) -> Images: ...


@runtime_checkable
class StatusSink(Protocol):
    """A sink that shows how its processor stands, beside the events that it is given."""

    def status(self, status: ProcessorStatus) -> None:
        """The processor stands like this now. Called in the event loop: when the sink is made, whenever something changes, and every
        few seconds. Must be quick; only the last one counts."""
        ...

    async def retire(self) -> None:
        """The processor is deleted, or its document no longer has this output: nothing may stay of it outside. ``aclose`` follows."""
        ...


class ProcessorControl(Protocol):
    """What an output may ask of the node in its user's name. Raises as the control API does: NotFound, InUse, ConfigError, InputError."""

    async def start(self, name: str) -> object: ...

    async def stop(self, name: str) -> None: ...

    async def configure(self, name: str, changes: Mapping[str, Any]) -> None:
        """Lay ``changes`` over the processor's document, table by table, and apply it with the least disturbance."""
        ...

    async def override(self, name: str, mode: str | None, seconds: float | None = None) -> None:
        """``home``, ``away`` or ``pause``, at most so long; None: the schedule rules again."""
        ...

    async def still(self, name: str) -> bytes | None:
        """JPEG of what the processor sees at this moment; None where there is no picture."""
        ...


class Detector(Protocol):
    """Finds objects in one picture. Thread-safe: each calling thread has its own inference request."""

    name: str
    names: tuple[str, ...]
    """Class names, by index."""
    input_size: tuple[int, int]
    """(width, height) that it looks at; giving it more pixels than this is waste."""

    def detect(self, image: Image, min_score: float) -> Detections:
        """Objects in ``image`` with the model's own score at or above ``min_score``; boxes in 0..1 of ``image``."""
        ...


class Classifier(Protocol):
    """Names the one thing in a crop. Thread-safe."""

    name: str
    names: tuple[str, ...]
    """Class names, by index."""

    def classify(self, image: Image) -> FloatArray:
        """(classes,) float32 probabilities. Give a square crop; anything else is stretched."""
        ...


class FaceDetector(Protocol):
    """Finds faces with five landmarks. Thread-safe."""

    name: str
    input_size: tuple[int, int]

    def detect(self, image: Image, min_score: float | None = None) -> list[FaceBox]: ...


class Embedder(Protocol):
    """Turns an image chip into a vector. Thread-safe."""

    name: str
    version: str
    """Changes when vectors stop being comparable."""
    dimensions: int

    def embed(self, image: Image, landmarks_px: Any) -> Any:
        """L2-normalised float32 vector of the face with these five landmarks ((5, 2) pixels of ``image``)."""
        ...


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Files of one model on disk, verified."""

    name: str
    paths: dict[str, Path]
    """By role: model, weights, labels..."""
