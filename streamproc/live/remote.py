"""What outputs may ask of the node: start, stop, settings, overrides, a still. See ``contracts.ProcessorControl``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import structlog
from pydantic import ValidationError

from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError
from streamproc.core.media import Frame
from streamproc.live.processor import Processor
from streamproc.logic.hours import MODES, Override
from streamproc.media import jpeg
from streamproc.pipeline.analysis import FrameResult
from streamproc.pipeline.pictures import without
from streamproc.store.processors import ProcessorStore
from streamproc.threads import CONTROL

log = structlog.get_logger(__name__)
_STILL_S = 5.0


class Processors(Protocol):
    """Of a supervisor, what is asked for here."""

    store: ProcessorStore

    def processor(self, name: str) -> Processor: ...

    async def start(self, name: str) -> str: ...

    async def stop(self, name: str) -> None: ...

    async def update(self, name: str, config: ProcessorConfig) -> object: ...


class NodeControl:
    """Over one supervisor."""

    def __init__(self, supervisor: Processors) -> None:
        self._supervisor = supervisor

    async def start(self, name: str) -> str:
        return await self._supervisor.start(name)

    async def stop(self, name: str) -> None:
        await self._supervisor.stop(name)

    async def configure(self, name: str, changes: Mapping[str, Any]) -> None:
        """Raises InputError where the document would be wrong with them."""
        before = self._supervisor.processor(name).config
        document = laid_over(before.model_dump(mode="json", exclude_unset=True), changes)
        try:
            config = ProcessorConfig.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        await self._supervisor.update(name, config)

    async def override(self, name: str, mode: str | None, seconds: float | None = None) -> None:
        await put_override(self._supervisor, name, made_override(mode, seconds))

    async def still(self, name: str) -> bytes | None:
        """The next frame that is looked at; a camera that sleeps is woken for it."""
        run = self._supervisor.processor(name).run
        if run is None:
            return None
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[bytes] = loop.create_future()

        def put(picture: bytes) -> None:
            if not taken.done():
                taken.set_result(picture)

        def observe(frame: Frame, results: Sequence[FrameResult]) -> None:
            if not taken.done():
                picture = without(frame.picture, frames.analyses.hides(frame.picture))
                loop.call_soon_threadsafe(put, jpeg.encode_frame(picture))

        frames, observers = run.lane.frames, run.lane.frames.observers
        observers.add(observe)
        try:
            await CONTROL.run(run.lane.edit, lambda: run.lane.idle.wake("settings"))
            async with asyncio.timeout(_STILL_S):
                return await taken
        except TimeoutError:
            return None
        finally:
            observers.remove(observe)


async def put_override(processors: Processors, name: str, override: Override | None) -> None:
    """Say something over a processor's schedules, or take that back (None). Survives restarts. Raises NotFound."""
    processor = processors.processor(name)
    async with processor.lock:
        await CONTROL.run(processors.store.put_override, name, override)
        processor.override = override
        if processor.run is not None:
            await CONTROL.run(processor.run.override, override)
    log.info("overridden", processor=name, mode=override.mode if override is not None else None)


def made_override(mode: str | None, seconds: float | None, now: datetime | None = None) -> Override | None:
    """Raises InputError where the mode is none of home, away and pause, or the time makes no sense."""
    if mode is None:
        return None
    if mode not in MODES:
        raise InputError(f"mode: {mode!r} is none; use {', '.join(MODES)}")
    if seconds is not None and not 0 < seconds <= 366 * 86400:
        raise InputError("for: give a duration of up to a year, such as 1h")
    until = (now or datetime.now(UTC)) + timedelta(seconds=seconds) if seconds is not None else None
    return Override(next(known for known in MODES if known == mode), until)


def laid_over(document: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with ``changes``, table by table."""
    merged = dict(document)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = laid_over(inner, value) if isinstance(value, Mapping) and isinstance(inner, Mapping) else value
    return merged


def want(processors: Processors, name: str, wanted: Literal["running", "stopped"]) -> None:
    """What a caller of another node asked for: it is so as soon as the processor is this node's to run. Raises NotFound."""
    processor = processors.processor(name)
    processor.record.note(wanted=wanted, **({"finished": None} if wanted == "running" else {}))
    processor.services.on_state(processor)
