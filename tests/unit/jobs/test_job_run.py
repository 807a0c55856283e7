"""Checkpoints of a run that cannot be read: the run begins anew and finds the same."""

from __future__ import annotations

import json
import os
import pickle
import zlib
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamproc.core.errors import StateDamaged
from streamproc.jobs.job_run import Interrupted, Run, RunPolicy
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.jobs.service import JobService
from streamproc.jobs.sources import Videos
from streamproc.store.database import Database
from streamproc.store.jobs import JobStore, Progress
from tests import videos


class Counter:
    """Notes the number of every frame."""

    name = "counter"
    hears = False

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.seen = 0

    def wants(self, index: int, at: Any) -> bool:
        return True

    def add(self, frame: Any) -> None:
        self.rows.append(frame.index)
        self.seen += 1

    def hear(self, sound: Any) -> None: ...

    def take(self) -> Any:
        rows, self.rows = self.rows, []
        return rows or None

    def finish(self) -> None: ...

    def snapshot(self) -> Any:
        return {"seen": self.seen}

    def restore(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise StateDamaged("not ours")
        self.seen = state["seen"]

    def conclude(self, rows: Sequence[Any], video: Any, frames: int) -> dict[str, Any]:
        return {"frames": [number for part in rows for number in part], "seen": self.seen}


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def service(tmp_path: Path) -> JobService:
    return JobService(Database(tmp_path / "data"), Videos(threads=1), lambda kind, asked, video: Counter())


def run_of(service: JobService, tmp_path: Path, frames_before_stop: int | None = None) -> tuple[Run, str]:
    clip = videos.write(tmp_path / "clip.mp4", videos.scene(1, 30), rate=Fraction(25))
    known = service.jobs()
    job = known[0] if known else service.start(
        JobRequest(JobKind.SEGMENTS, VideoRef(str(clip))), owner="test", run="one"
    )  # fmt: skip
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return frames_before_stop is not None and asked >= frames_before_stop

    make = lambda kind, options, facts: Counter()  # noqa: E731
    return Run("one", [job], service.store, Videos(threads=1).open, make, RunPolicy(0.0), stop), job.id


def result(service: JobService, job: str) -> dict[str, Any]:
    packed = service.store.result(job)
    assert packed is not None
    found: dict[str, Any] = json.loads(zlib.decompress(packed))
    return found


def test_it_goes_on_where_it_was_interrupted(service: JobService, tmp_path: Path) -> None:
    run, job = run_of(service, tmp_path, frames_before_stop=10)
    with pytest.raises(Interrupted):
        run.work()
    assert service.store.get(job).frames == 10
    run_of(service, tmp_path)[0].work()
    assert result(service, job) == {"frames": list(range(30)), "seen": 30}


@pytest.mark.parametrize("what", ["place", "state"])
def test_yesterdays_checkpoint_is_dropped_unread(service: JobService, tmp_path: Path, what: str) -> None:
    run, job = run_of(service, tmp_path, frames_before_stop=10)
    with pytest.raises(Interrupted):
        run.work()
    store: JobStore = service.store
    old = zlib.compress(pickle.dumps(Planted(tmp_path / "unpickled"), protocol=5), 1)
    place, state = store.place("one") or b"", store.state(job) or b""
    store.checkpoint(
        "one", old if what == "place" else place, [Progress(job, old if what == "state" else state, None)], 10
    )
    run_of(service, tmp_path)[0].work()
    assert result(service, job) == {"frames": list(range(30)), "seen": 30}
    assert not (tmp_path / "unpickled").exists()
