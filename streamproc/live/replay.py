"""Replay: a clip through the live pipeline as fast as it can be analysed, with ids and times that come from the clip and the config."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from connectors.kvs.recording import RecordingSource
from streamproc.config.processor import ConnectorRef, ProcessorConfig, SessionSettings
from streamproc.contracts import Source
from streamproc.core.errors import InputError, MediaError, SourceRefused
from streamproc.core.media import EPOCH
from streamproc.live.assembly import make_analyses, make_mask, session_rules
from streamproc.logic.session import Sessions
from streamproc.media.demux import open_file
from streamproc.perception.provider import ModelProvider
from streamproc.pipeline.lane import Lane
from streamproc.pipeline.recorder import Decision
from streamproc.pipeline.setup import LaneSetup
from streamproc.pipeline.snapshot import LaneState
from streamproc.pipeline.trace import TraceObserver

_NOT_SEEN = {"state", "outputs", "source", "aws", "tags", "record", "require"}
"""Parts of the document that cannot change what is decided."""
_LATER = {"health", "masks", "schedule"}
_LATER_INSIDE = ("schedule", "blur_unknown")
"""Keys that came after the first release, of the document and of its regions and faces: left out while they are not used, so that a clip and
a config keep their session ids."""


Stored = Path | RecordingSource
"""A video file, or a part of a stream."""


class Collector:
    """A committer that keeps decisions in memory, in order; nothing is durable."""

    def __init__(self) -> None:
        self.told: list[Decision] = []

    def commit(self, told: Sequence[Decision], sessions: Sessions, state: LaneState | None) -> bool:
        self.told += told
        return True


def whole_clip(config: ProcessorConfig) -> ProcessorConfig:
    """One session from the first frame to the last, however long."""
    return config.model_copy(update={"session": SessionSettings(duration=0.0, allow_long=True)})


def run_id(clip: Stored, config: ProcessorConfig) -> str:
    """From the clip's bytes (a recording's fragment numbers) and what the config asks; the same on every machine."""
    if isinstance(clip, RecordingSource):
        return hashlib.sha256(clip.identity.encode() + _bytes(asked(config))).hexdigest()[:32]
    digest = hashlib.sha256()
    try:
        with clip.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{clip}: cannot be read: {error.strerror}; give the path of a video") from None
    digest.update(_bytes(asked(config)))
    return digest.hexdigest()[:32]


def asked(config: ProcessorConfig) -> dict[str, Any]:
    """The part of the document that decides, always the same, also in versions that know more keys."""
    parts = config.model_dump(mode="json", exclude=_NOT_SEEN)
    said = config.model_dump(mode="json", exclude=_NOT_SEEN, exclude_defaults=True)
    for key in _LATER - said.keys():
        parts.pop(key, None)
    for part in [*parts["regions"], parts["faces"] or {}]:
        for key in _LATER_INSIDE:
            if not part.get(key):
                part.pop(key, None)
    return parts


def _bytes(parts: dict[str, Any]) -> bytes:
    return json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()


def _source_of(clip: Path, name: str) -> Source:
    return make_source(
        ConnectorRef.model_validate({"type": "file", "path": str(clip.absolute())}),
        ConnectorContext(processor=name, start_wall=recorded_at(clip)),
    )


MAX_YEAR = 9000
"""A container that says it was made later says nonsense, at the end of what dates can hold."""


def recorded_at(clip: Stored) -> datetime:
    """When the container says it was made, else the epoch; of a recording its own clock."""
    if isinstance(clip, RecordingSource):
        return clip.begins
    try:
        with open_file(str(clip)) as container:
            text = container.metadata.get("creation_time", "")
        made = datetime.fromisoformat(text)
    except (av.FFmpegError, OSError, ValueError, MediaError):
        return EPOCH
    if not 1 < made.year < MAX_YEAR:
        return EPOCH
    return made.astimezone(UTC) if made.tzinfo else made.replace(tzinfo=UTC)  # never by this machine's zone


def replay(
    clip: Stored,
    config: ProcessorConfig,
    provider: ModelProvider,
    name: str = "replay",
    trace: TraceObserver | None = None,
) -> Iterator[Decision]:
    """Events in order, with their pictures, as they are decided. Raises InputError where the clip cannot be read.

    ``trace``: also told what was decided about each frame.
    """
    run = run_id(clip, config)
    source = clip if isinstance(clip, RecordingSource) else _source_of(clip, name)
    told = Collector()
    sessions = Sessions(name, session_rules(config), run)
    setup = LaneSetup(
        name,
        source.traits,
        sessions,
        make_analyses(config, provider),
        told,
        mask=make_mask(config),
        checkpoints=False,
    )
    lane = Lane(setup)
    if trace is not None:
        lane.frames.trace.observers.add(trace)
    stop = threading.Event()
    try:
        for item in source.items(stop):
            lane.offer(item, None, stop)
            while not lane.over and lane.urgency() is not None:
                lane.step()
            if sessions.last is not None:
                yield from told.told
                told.told = []
            if lane.over:
                stop.set()
                break
    except SourceRefused as error:
        raise InputError(str(error)) from None
    if sessions.last is None:
        which = "that part of the recording" if isinstance(clip, RecordingSource) else clip
        raise InputError(f"{which}: it holds no pictures that can be decoded; give another clip")
    yield from told.told
