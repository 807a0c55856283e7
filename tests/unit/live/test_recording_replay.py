"""Replays of a recording in a process of their own: one at a time, and what happens to that process is said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError, InUse
from streamproc.core.video_log import FragmentInfo
from streamproc.live import recording_replay
from streamproc.live.recording_replay import RecordingReplays, ReplayState

CONFIG = ProcessorConfig.model_validate({"source": {"type": "file", "path": "clip.mp4"}, "labels": {}})


class Video:
    """A recording of a minute."""

    async def span(self, stream: str) -> tuple[int, int] | None:
        return (0, 60_000) if stream == "door" else None

    async def fragments(self, stream: str, begins_ms: int, ends_ms: int) -> Sequence[FragmentInfo]:
        return [FragmentInfo("1", begins_ms, begins_ms, ends_ms - begins_ms, 10)]

    async def read(self, stream: str, number: str) -> bytes | None:
        return None


@pytest.fixture
def replays(tmp_path: Path) -> RecordingReplays:
    return RecordingReplays(Video(), NodeConfig(), tmp_path)


def play(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """In place of the process that replays."""
    (folder / "played.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(recording_replay, "CHILD", "played")


async def test_what_is_not_recorded_is_not_replayed(replays: RecordingReplays) -> None:
    with pytest.raises(InputError, match="write record: "):
        await replays.begin("yard", CONFIG, CONFIG, 10)


async def test_one_at_a_time_and_it_can_be_cancelled(
    replays: RecordingReplays, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(monkeypatch, tmp_path, "import time; time.sleep(60)")
    begun = await replays.begin("door", CONFIG, CONFIG, 10)
    assert (begun.begins_ms, begun.ends_ms) == (50_000, 60_000), "the newest ten seconds"
    with pytest.raises(InUse, match="door is being replayed"):
        await replays.begin("door", CONFIG, CONFIG, 10)
    await asyncio.sleep(0.2)
    await replays.cancel("yard")
    assert begun.state is ReplayState.RUNNING, "that of another processor goes on"
    await replays.close()
    assert begun.state is ReplayState.CANCELLED and replays.going is None


async def test_the_last_words_of_a_process_that_broke_are_told(
    replays: RecordingReplays, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(monkeypatch, tmp_path, "import sys; sys.exit('no memory')")
    begun = await replays.begin("door", CONFIG, CONFIG, 10)
    assert begun.task is not None
    await begun.task
    assert begun.state is ReplayState.FAILED and begun.message.endswith("no memory")


async def test_fragments_are_given_as_they_are_asked_for_and_are_the_progress(
    replays: RecordingReplays, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom streamproc.live.recording_replay import receive\nreceive(sys.stdin.buffer)\n"
        "for turn in range(2):\n"
        '    print(\'{"read": "1"}\', flush=True)\n'
        "    assert receive(sys.stdin.buffer) == b''\n"
        'print(\'{"found": {"same": 1}}\', flush=True)\n'
    )
    play(monkeypatch, tmp_path, code)
    begun = await replays.begin("door", CONFIG, CONFIG, 10)
    assert begun.task is not None
    await begun.task
    assert (begun.state, begun.progress, begun.found) == (ReplayState.DONE, 1.0, {"same": 1}), begun.message
