"""A job of every analysis, killed with SIGKILL at random moments and gone on with each time: are the results those of an undisturbed run?

Exit status 1 where one differs. The killed runs are slowed down where the clip is short, so that every kill falls into the middle of one.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import PROJECT, parser, prepared, progress, report
from streamproc.config.node import NodeConfig
from streamproc.faces.service import open_service
from streamproc.jobs import job_run as job_run
from streamproc.jobs.build import open_jobs
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.perception.provider import ModelProvider
from streamproc.store.database import Database
from streamproc.store.jobs import JobStore

COLLECTION = "gallery"
ENDED, CUT_OFF = 0, 3
_CHECKPOINT_S = 0.2
_LINGER_S = 1.0
"""How long, at most, a run goes on behind the checkpoint that it is to reach before it is killed."""
_PATIENCE_S = 1800.0


def work(folder: Path, clip: Path, slow: float) -> int:
    """Go on with the jobs of ``folder``, or start them; what a daemon does with one run."""
    job_run.RunPolicy.__init__.__defaults__ = (_CHECKPOINT_S, *(job_run.RunPolicy.__init__.__defaults__ or ())[1:])
    service = open_jobs(Database(folder), ModelProvider(NodeConfig(), folder, workers=2))
    jobs = [job for job in service.jobs() if job.state == "running"]
    if not service.jobs():
        for kind in JobKind:
            options = {"collection": COLLECTION} if kind is JobKind.FACE_SEARCH else {}
            asked = JobRequest(kind, VideoRef(str(clip)), options)
            jobs.append(service.start(asked, owner="benchmark", run="one"))

    def dawdle(advance: Any) -> None:
        time.sleep(slow)

    if jobs:
        service.run(jobs, stop=lambda: False, tell=dawdle)
    return ENDED if all(job.state == "succeeded" for job in service.jobs()) else 1


def spawn(folder: Path, clip: Path, slow: float = 0.0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.jobs_crash", "--work", str(folder), str(clip), str(slow)]
    return subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"PYTHONPATH": str(PROJECT)})


def frames_done(folder: Path) -> int:
    return min((row.frames for row in JobStore(Database(folder)).all()), default=0)


def results(folder: Path) -> dict[str, bytes]:
    store = JobStore(Database(folder))
    return {row.kind: store.result(row.id) or b"" for row in store.all()}


def kill_once(folder: Path, clip: Path, at: int, linger_s: float) -> bool:
    """Let a run get past frame ``at`` and a moment further, and kill it; False where it was done before."""
    worker = spawn(folder, clip, slow=0.3)
    deadline = time.monotonic() + _PATIENCE_S
    while worker.poll() is None and frames_done(folder) <= at and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        worker.wait(linger_s)
    except subprocess.TimeoutExpired:
        worker.send_signal(signal.SIGKILL)
    return worker.wait() == -signal.SIGKILL


def enrol(folder: Path, corpus: Path) -> None:
    """A collection of who is in the corpus's videos, so that there is somebody to find."""
    service = open_service(folder)
    service.create_collection(COLLECTION)
    for photo in sorted((corpus / "faces" / "video_gallery").glob("*.*g")):
        service.index_faces(COLLECTION, photo.read_bytes(), external_image_id=photo.stem)
    service.close()


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        raise SystemExit(work(Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])))
    arguments = parser(__doc__)
    arguments.add_argument("--clip", default="video/whitehouse_hamilton.mp4", help="within the corpus")
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=4)
    options = prepared(arguments.parse_args())
    with tempfile.TemporaryDirectory() as temporary:
        compare(options, Path(temporary))


def compare(options: argparse.Namespace, folder: Path) -> None:
    clip: Path = options.corpus / options.clip
    (folder / "calm").mkdir()
    enrol(folder / "calm", options.corpus)
    shutil.copytree(folder / "calm", folder / "rough")  # with the same ids of faces
    progress("undisturbed")
    if spawn(folder / "calm", clip).wait(_PATIENCE_S) != ENDED:
        raise SystemExit("the undisturbed run failed")
    expected = results(folder / "calm")
    chance = random.Random(options.seed)
    most = frames_done(folder / "calm")
    places: list[int] = []
    for at in sorted(chance.sample(range(most * 9 // 10), options.kills)):
        if not kill_once(folder / "rough", clip, at, chance.uniform(0.0, _LINGER_S)):
            break
        places.append(frames_done(folder / "rough"))
        progress(f"killed behind frame {places[-1]}")
    if spawn(folder / "rough", clip).wait(_PATIENCE_S) != ENDED:
        raise SystemExit("the killed run could not be ended")
    found = results(folder / "rough")
    rows = [
        {"analysis": kind, "bytes": len(expected[kind]), "equal": found[kind] == expected[kind]} for kind in expected
    ]
    report(options, figures={"kills": len(places), "equal": sum(row["equal"] for row in rows)}, rows=rows)
    raise SystemExit(0 if all(row["equal"] for row in rows) and len(places) == options.kills else 1)


if __name__ == "__main__":
    main()
