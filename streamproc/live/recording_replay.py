"""A recording replayed twice: by a processor's document as it is and as it would be. In a process of its own, after everything else in the queue for the CPU.

One at a time on a node. The process asks for the recording's fragments one by one, which is how its progress is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import structlog

from streamproc.config.base import Settings
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError, InUse, StreamprocError
from streamproc.core.video_log import FragmentInfo, RecordedVideo
from streamproc.live.replay import asked, whole_clip
from streamproc.logic.clips import ClipRange

log = structlog.get_logger(__name__)

CHILD = "streamproc.live.recording_replay_process"
LINE_BYTES = 64_000_000
"""Longest line that is read: a result with its pictures."""
PASSES = 2
_LENGTH = struct.Struct(">I")


class ReplayState(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Question(Settings):
    """What the process is given."""

    node: NodeConfig
    """Its models and faces; the rest has nothing to do with what is seen."""
    data_dir: Path
    """Where the face collections are."""
    name: str
    before: ProcessorConfig
    after: ProcessorConfig
    clip: str
    """``kvs://...``"""
    fragments: tuple[FragmentInfo, ...]

    @classmethod
    def of(
        cls,
        node: NodeConfig,
        data_dir: Path,
        documents: tuple[ProcessorConfig, ProcessorConfig],
        clip: ClipRange,
        infos: Sequence[FragmentInfo],
    ) -> Question:
        """``documents``: before and after. Secrets stay here."""
        before, after = (
            ProcessorConfig.model_validate(asked(config) | {"source": {"type": "kvs"}}) for config in documents
        )
        seen = NodeConfig(models=node.models, faces=node.faces)
        return cls(
            node=seen,
            data_dir=data_dir,
            name=clip.stream,
            before=before,
            after=after,
            clip=clip.uri,
            fragments=tuple(infos),
        )


@dataclass
class RecordingReplay:
    """How one stands."""

    processor: str
    begins_ms: int
    ends_ms: int
    """Of the recording, UTC epoch."""
    began: datetime
    state: ReplayState = ReplayState.RUNNING
    progress: float = 0.0
    """0..1, of both replays."""
    message: str = ""
    found: dict[str, Any] | None = None
    """What appears, vanishes and moves, as ``replay --against --json`` says it, each with a ``crop`` (JPEG, base64)."""
    ended: datetime | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)


class RecordingReplays:
    """Belongs to the event loop. The last one is kept until the next begins."""

    def __init__(self, video: RecordedVideo, node: NodeConfig, data_dir: Path) -> None:
        self.video = video
        self._node = node
        self._data_dir = data_dir
        self._last: RecordingReplay | None = None

    def last(self, name: str) -> RecordingReplay | None:
        """The newest replay of a processor, going on or over."""
        return self._last if self._last is not None and self._last.processor == name else None

    @property
    def going(self) -> RecordingReplay | None:
        return self._last if self._last is not None and self._last.state is ReplayState.RUNNING else None

    async def begin(
        self, name: str, before: ProcessorConfig, after: ProcessorConfig, seconds: float
    ) -> RecordingReplay:
        """Of the newest ``seconds`` that are recorded. Raises InUse while another goes on, InputError where nothing is recorded."""
        span = await self.video.span(name)
        infos: Sequence[FragmentInfo] = ()
        if span is not None:
            clip = ClipRange(name, _instant(max(span[0], span[1] - round(seconds * 1000))), _instant(span[1]))
            infos = await self.video.fragments(name, clip.begins_ms, clip.ends_ms)
        if not infos:
            raise InputError(f"{name} has no recording; write record: {{keep: 24h}} into its document")
        if self.going is not None:
            raise InUse(f"a recording of {self.going.processor} is being replayed; wait for it or cancel it")
        if before.session.mode == "session":
            before, after = whole_clip(before), whole_clip(after)
        question = Question.of(self._node, self._data_dir, (before, after), clip, infos)
        begun = self._last = RecordingReplay(name, clip.begins_ms, clip.ends_ms, datetime.now(UTC))
        begun.task = asyncio.create_task(self._work(begun, question), name=f"replay of {name}")
        return begun

    async def cancel(self, name: str) -> None:
        """Nothing happens where none of that processor goes on."""
        going = self.going
        if going is not None and going.processor == name and going.task is not None:
            going.task.cancel()
            await asyncio.gather(going.task, return_exceptions=True)

    async def close(self) -> None:
        if self.going is not None:
            await self.cancel(self.going.processor)

    async def _work(self, replay: RecordingReplay, question: Question) -> None:
        try:
            with tempfile.TemporaryFile() as said:
                replay.found = await self._ask(replay, question, said)
            replay.state, replay.progress = ReplayState.DONE, 1.0
        except asyncio.CancelledError:
            replay.state = ReplayState.CANCELLED
            raise
        except StreamprocError as error:
            replay.state, replay.message = ReplayState.FAILED, str(error)
        except Exception as error:  # the boundary of the task: whoever asked hears of it
            log.exception("replay_failed", processor=replay.processor)
            replay.state, replay.message = ReplayState.FAILED, f"it broke: {error!r}"
        finally:
            replay.ended = datetime.now(UTC)

    async def _ask(self, replay: RecordingReplay, question: Question, said: IO[bytes]) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            limit=LINE_BYTES,
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            read = 0
            await _send(process.stdin, question.model_dump_json().encode())
            while line := await process.stdout.readline():
                message: dict[str, Any] = json.loads(line)
                if "read" not in message:
                    return _answer(message)
                await _send(process.stdin, await self.video.read(question.name, message["read"]) or b"")
                replay.progress = read / (PASSES * len(question.fragments))
                read += 1
        except (ConnectionError, ValueError):
            pass  # it is gone; what it said last tells why
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        raise StreamprocError(f"the process that replays ended: {_last_line(said)}")


def _answer(message: dict[str, Any]) -> dict[str, Any]:
    if "failed" in message:
        raise StreamprocError(message["failed"])
    found: dict[str, Any] = message["found"]
    return found


async def _send(pipe: asyncio.StreamWriter, data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    await pipe.drain()


def receive(pipe: IO[bytes]) -> bytes:
    """The other end of ``_send``. Raises EOFError where nobody sends any more."""
    head = pipe.read(_LENGTH.size)
    data = pipe.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(data) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return data


def _last_line(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, 2) - 4000))
    lines = said.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
