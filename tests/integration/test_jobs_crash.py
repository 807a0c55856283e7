"""A killed job goes on where its last checkpoint stands and finds what an undisturbed one finds."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamproc.config.node import NodeConfig
from streamproc.core.errors import ModelUnavailable
from streamproc.core.faces import QualityFilter
from streamproc.jobs import job_run as run
from streamproc.jobs.build import open_jobs
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.jobs.video import Place, StoredVideo, VideoFrame
from streamproc.media.jpeg import encode
from streamproc.perception.provider import ModelProvider
from streamproc.store.database import Database
from streamproc.store.jobs import JobStore
from tests.videos import edit

WORKER = """
import sys
from pathlib import Path
from streamproc.jobs import job_run as run
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.jobs.segment_analysis import SegmentAnalysis, SegmentOptions
from streamproc.jobs.service import JobService
from streamproc.jobs.sources import Videos
from streamproc.jobs.video import Place, StoredVideo, VideoFrame
from streamproc.media.jpeg import encode
from streamproc.store.database import Database

folder, video, kinds, slow = Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(","), float(sys.argv[4])
run.RunPolicy.__init__.__defaults__ = (0.03, *run.RunPolicy.__init__.__defaults__[1:])
if slow:
    import time
    feed = run._feed
    def slowly(frame, analyses):
        time.sleep(slow)
        feed(frame, analyses)
    run._feed = slowly
service = JobService(Database(folder), Videos(), lambda kind, options, video: SegmentAnalysis(SegmentOptions(), video))
jobs = [job for job in service.jobs() if job.state == "running"]
if not service.jobs():
    for kind in kinds:
        jobs.append(service.start(JobRequest(JobKind(kind), VideoRef(video)), owner="test", run="one"))
print("started", flush=True)
if jobs:
    service.run(jobs, stop=lambda: False, tell=lambda advance: None)
"""


def start(folder: Path, video: Path, kinds: str, slow: float = 0.0) -> subprocess.Popen[str]:
    environ = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WORKER, str(folder), str(video), kinds, str(slow)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)


def results(folder: Path) -> dict[str, bytes]:
    store = JobStore(Database(folder))
    rows = store.all()
    assert {row.state for row in rows} == {"succeeded"}
    return {row.kind: store.result(row.id) or b"" for row in rows}


@pytest.mark.slow
def test_ten_kills_change_nothing(tmp_path: Path) -> None:
    video = edit(tmp_path / "edit.mp4", sound=True)
    assert start(tmp_path / "calm", video, "segments").wait(60) == 0
    expected = results(tmp_path / "calm")
    chance = random.Random(4)
    killed = 0
    seen: list[int] = []
    while killed < 10:
        worker = start(tmp_path / "rough", video, "segments", slow=0.012)
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(chance.uniform(0.05, 0.4))
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        killed += 1
        seen.append(JobStore(Database(tmp_path / "rough")).all()[0].frames)
    assert seen == sorted(seen) and seen[-1] > 0, "no checkpoint was reached, or work was lost"
    assert start(tmp_path / "rough", video, "segments").wait(60) == 0
    assert results(tmp_path / "rough") == expected


class Cut(BaseException):
    """The process is gone: nothing may catch this, nothing is written after it."""


def test_every_analysis_goes_on_as_if_nothing_had_been(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten cuts at random frames; the models stay loaded. ``python -m benchmarks.jobs_crash`` kills processes for the same."""
    clip = corpus / "video" / "intel_faces_pause.mp4"
    try:
        provider = with_somebody_known(tmp_path, clip)
    except ModelUnavailable as missing:
        pytest.skip(f"{missing}")
    monkeypatch.setattr("streamproc.jobs.service.RunPolicy", partial(run.RunPolicy, checkpoint_s=0.0))
    expected = all_kinds(tmp_path / "calm", clip, provider)
    assert {kind for kind, result in expected.items() if any(result.values())} == set(JobKind)
    assert any(person["matches"] for person in expected["face-search"]["persons"])

    cuts = sorted(random.Random(4).sample(range(1, 41), 10))
    feed, died = run._feed, []

    def dying(frame: VideoFrame, given: dict[str, Any]) -> None:
        feed(frame, given)
        if len(died) < len(cuts) and frame.index == cuts[len(died)]:
            died.append(frame.index)
            raise Cut

    monkeypatch.setattr(run, "_feed", dying)
    found = None
    while found is None:
        with contextlib.suppress(Cut):
            found = all_kinds(tmp_path / "rough", clip, provider)
    assert died == cuts
    assert found == expected


def with_somebody_known(folder: Path, clip: Path) -> ModelProvider:
    """The box's own models, and a collection with the faces of the clip's first frame."""
    provider = ModelProvider(NodeConfig(), folder / "faces", workers=2)
    faces = provider.faces
    faces.create_collection("seen")
    video = StoredVideo(str(clip), clip.name)
    first = next(item for item in video.items() if isinstance(item, VideoFrame))
    photo = encode(first.picture.bgr())
    answer = faces.index_faces("seen", photo, external_image_id="somebody", quality_filter=QualityFilter.NONE)
    assert answer.records
    video.close()
    return provider


def all_kinds(folder: Path, clip: Path, provider: ModelProvider) -> dict[str, Any]:
    """One run of every analysis, or the rest of one that was cut off."""
    service = open_jobs(Database(folder), provider)
    jobs = service.jobs()
    if not jobs:
        options: dict[JobKind, dict[str, Any]] = {JobKind.FACE_SEARCH: {"collection": "seen"}}
        asked = [JobRequest(kind, VideoRef(str(clip)), options.get(kind, {})) for kind in JobKind]
        jobs = [service.start(request, owner="test", run="one") for request in asked]
    service.run(jobs, stop=lambda: False, tell=lambda advance: None)
    return {str(job.request.kind): dict(service.result(job.id)) for job in jobs}


def test_analyze_goes_on_after_a_kill_and_never_returns_an_older_answer(tmp_path: Path) -> None:
    video = edit(tmp_path / "edit.mp4", sound=False)
    command = [sys.executable, "-m", "streamproc", "analyze", str(video), "--segments", "--json"]
    environ = os.environ | {"STREAMPROC_DATA": str(tmp_path / "data")}
    first = subprocess.run(
        [*command, "--out", str(tmp_path / "a")], env=environ, capture_output=True, text=True, timeout=60
    )
    assert first.returncode == 0, first.stderr
    answer = json.loads((tmp_path / "a" / "segments.json").read_text())
    assert json.loads(first.stdout)["segments"]["shots"] == len([s for s in answer["Segments"] if s["Type"] == "SHOT"])
    again = subprocess.run(
        [*command, "--out", str(tmp_path / "a")], env=environ, capture_output=True, text=True, timeout=60
    )
    assert again.returncode == 0
    new = json.loads((tmp_path / "a" / "segments.json").read_text())
    assert new["JobId"] != answer["JobId"]
    assert new["Segments"] == answer["Segments"]


def test_analyze_leaves_no_answer_of_an_earlier_run_and_everything_that_is_not_its_own(tmp_path: Path) -> None:
    video, out = edit(tmp_path / "edit.mp4", sound=False), tmp_path / "a"
    command = [sys.executable, "-m", "streamproc", "analyze", str(video), "--json", "--out", str(out)]
    environ = os.environ | {"STREAMPROC_DATA": str(tmp_path / "data")}
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    first = subprocess.run([*command, "--segments"], env=environ, capture_output=True, text=True, timeout=60)
    files = json.loads(first.stdout)["files"]
    assert "segments.json" in files
    (out / "labels.json").write_text("somebody else's")
    second = subprocess.run([*command, "--detect-faces"], env=environ, capture_output=True, text=True, timeout=60)
    assert second.returncode == 0, second.stderr
    assert not [name for name in files if (out / name).exists() and name not in json.loads(second.stdout)["files"]]
    assert (out / "notes.txt").read_text() == "mine" and (out / "labels.json").read_text() == "somebody else's"


@pytest.mark.parametrize("name", ["edit.mp4", "edit.mkv", "edit.avi", "edit.ts", "edit.m4v"])
def test_going_on_in_the_middle_gives_the_same_frames(tmp_path: Path, name: str) -> None:
    path = edit(tmp_path / name, sound=name.endswith(("mp4", "ts", "mkv")))
    whole = frames_of(path, None)
    assert len(whole) == 203
    for at in (0, 60, 141):
        video = StoredVideo(str(path), name)
        reading = (item for item in video.items(sound=True) if isinstance(item, VideoFrame))
        frame = next(item for item in reading if item.index == at)
        place = Place(frame.index, frame.at, video.origin or Fraction(0), {1: frame.at - 1}, video.regular)
        video.close()
        assert frames_of(path, place) == whole[at + 1 :]


def frames_of(path: Path, place: Place | None) -> list[tuple[int, Fraction, int]]:
    """Number, time and a checksum of each picture."""
    video = StoredVideo(str(path), path.name)
    items = [item for item in video.items(sound=True, after=place) if isinstance(item, VideoFrame)]
    found = [(item.index, item.at, zlib.crc32(item.luma_sample().tobytes())) for item in items]
    video.close()
    return found
