"""Another document for a processor that may be running. In the event loop, by who holds the processor's lock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import StreamprocError
from streamproc.core.start import StartRequest
from streamproc.live.assembly import same_perception
from streamproc.live.documents import Origin, document_of, echoed
from streamproc.live.processor import Processor
from streamproc.live.resume import source_key
from streamproc.logic.lifecycle import State
from streamproc.threads import CONTROL


async def follow(
    processor: Processor,
    config: ProcessorConfig,
    origin: Origin,
    set_outputs: Callable[[Processor, ProcessorConfig], Awaitable[None]],
) -> None:
    """Another document from now on, stored and applied. Raises what keeps it from that (models or a face collection that are not there,
    a disk that takes nothing); the one before stays in force then."""
    before, row = processor.config, processor.row
    await set_outputs(processor, config)
    changes: dict[str, Any] = {"document": document_of(config), "origin": origin, "tags": dict(config.tags)}
    if origin == "file":
        changes["wanted"] = config.state
    try:
        processor.record.save(**changes)
        await _apply(processor, config)
    except StreamprocError:
        processor.config = before
        if processor.row is not row:
            processor.record.note(document=row.document, origin=row.origin, tags=dict(row.tags), wanted=row.wanted)
        await set_outputs(processor, before)
        raise


async def _apply(processor: Processor, config: ProcessorConfig) -> None:
    """Another document, with the least disturbance."""
    before, processor.config = processor.config, config
    await processor.made()  # what is being made still has the old document
    run = processor.run
    if run is None or processor.life.state is not State.RUNNING:
        return
    if config.session.mode != before.session.mode or (config.labels is None) != (before.labels is None):
        await processor.stop("restart")
        processor.start(StartRequest())
        return
    if not same_perception(before, config):
        await CONTROL.run(run.replace_perceivers, config)
    else:
        await CONTROL.run(run.adjust, config)
    if source_key(before.source) != source_key(config.source):
        await CONTROL.run(run.replace_source, config)
    processor.committer.context = echoed(config, run.spec.request)
    processor.tried = processor.row.document_hash
