"""What becomes of the session that an earlier process left of a processor. In the event loop, by who holds the processor's lock."""

from __future__ import annotations

from streamproc.core.start import StartRequest
from streamproc.live.documents import echoed
from streamproc.live.leftover import LeftOver, by_itself
from streamproc.live.processor import Processor
from streamproc.threads import CONTROL


async def go_on(processor: Processor) -> None:
    """Go on with the session that an earlier process left, else begin one, unless that one ended by itself."""
    processor.require_storage()
    left = left_by(processor)
    resumed = left.resumable()
    reason = left.ended_with(resumed) if resumed is not None else None
    if resumed is not None and reason is not None:  # killed between the summary and the end of its run
        await CONTROL.run(left.forget)
        if by_itself(reason) and processor.row.finished is None:
            processor.record.note(message="", finished=processor.row.document_hash)
            return
        resumed = resumed.without_session()
    elif resumed is None and left:
        await CONTROL.run(_end, processor, left, "changed while streamproc was not running")
    processor.start(resumed.request if resumed is not None else StartRequest(), resumed)


async def settle(processor: Processor) -> None:
    """For a processor that is not to run: the session that an earlier process left gets its summary, unless it has it."""
    processor.require_storage()
    left = left_by(processor)
    if processor.row.finished is not None:
        await CONTROL.run(left.forget)
    else:
        await CONTROL.run(_end, processor, left, "stopped")


def left_by(processor: Processor) -> LeftOver:
    """What an earlier process left of it. Only while nothing of it runs."""
    return LeftOver(processor.services.shared.journal, processor.name, processor.config)


def _end(processor: Processor, left: LeftOver, reason: str) -> None:
    processor.committer.context = echoed(processor.config, StartRequest())
    left.end(reason, processor.committer)
