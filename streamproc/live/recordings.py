"""The recordings of a node: a recorder for each run whose document asks for one."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from streamproc.config.processor import RecordSettings
from streamproc.contracts import GivesKeyframes
from streamproc.core.video_log import FragmentWriter
from streamproc.live.processor import Processor
from streamproc.live.recorder import Recorder
from streamproc.live.run import Run
from streamproc.live.supervisor import Supervisor
from streamproc.threads import CONTROL


@dataclass(frozen=True, slots=True)
class _Recording:
    run: Run
    settings: RecordSettings
    recorder: Recorder


class Recordings:
    """Use in the event loop. Follows what starts, ends and changes; a recording begins with its run's first packet."""

    def __init__(self, supervisor: Supervisor, writer: FragmentWriter) -> None:
        self._supervisor = supervisor
        self._writer = writer
        self._going: dict[str, _Recording] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Look on at every run from now on."""
        self._supervisor.notices.runs.append(self._look)
        self._supervisor.notices.states.append(self._look)

    async def close(self) -> None:
        """End all recordings; what they hold is written."""
        for name in list(self._going):
            self._end(name)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _look(self, name: str) -> None:
        processor = self._supervisor.processor(name) if self._supervisor.known(name) else None
        run = processor.run if processor is not None else None
        wanted = processor.config.record if processor is not None else None
        going = self._going.get(name)
        if going is not None and (going.run is not run or going.settings != wanted):
            self._end(name)
            going = None
        if going is None and processor is not None and run is not None and wanted is not None:
            self._begin(processor, run, wanted)

    def _begin(self, processor: Processor, run: Run, settings: RecordSettings) -> None:
        loop = asyncio.get_running_loop()

        def ask_keyframe() -> None:
            with contextlib.suppress(RuntimeError):  # the daemon ends
                loop.call_soon_threadsafe(_ask_keyframe, run)

        recorder = Recorder(
            processor.name, settings.keep, self._writer, unmasked=settings.unmasked, ask_keyframe=ask_keyframe
        )
        self._going[processor.name] = _Recording(run, settings, recorder)
        processor.committer.recorded_as = processor.name
        recorder.start()
        run.items.add(recorder.observe)

    def _end(self, name: str) -> None:
        going = self._going.pop(name)
        going.run.items.remove(going.recorder.observe)
        going.run.committer.recorded_as = None
        task = asyncio.create_task(CONTROL.run(going.recorder.close), name=f"end recording {name}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _ask_keyframe(run: Run) -> None:
    source = run.feeder.source
    if isinstance(source, GivesKeyframes):
        source.ask_keyframe()
