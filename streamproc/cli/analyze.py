"""``analyze``: everything about a stored video, as the service would answer it, with pictures for people."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamproc.cli.output import FAILED, errors_said, put, put_json, say, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.core.errors import InputError
from streamproc.durable import write_durably

if TYPE_CHECKING:
    from streamproc.jobs.job_run import Advance
    from streamproc.jobs.model import Job, JobKind
    from streamproc.jobs.service import JobService

MARKER = ".analyze.json"
WRITTEN = ".analyze-files.json"
"""Names of the files that the last run wrote: a new one takes away these and no others."""


def analyze(
    video: Annotated[str, typer.Argument(help="A file, s3://BUCKET/KEY, http(s) URL or kvs://NAME?from=TIME&to=TIME.")],
    out: Annotated[Path, typer.Option(help="Folder for the answers and pictures.")],
    labels: Annotated[bool, typer.Option("--labels", help="Objects and scenes.")] = False,
    segments: Annotated[bool, typer.Option("--segments", help="Shots and technical cues.")] = False,
    persons: Annotated[bool, typer.Option("--persons", help="People, each with a number.")] = False,
    detect_faces: Annotated[bool, typer.Option("--detect-faces", help="Every face.")] = False,
    faces: Annotated[str | None, typer.Option(help="Search faces in this collection.", metavar="COLLECTION")] = None,
    min_confidence: Annotated[float, typer.Option(help="Labels from this confidence on.", min=0, max=100)] = 50.0,
    config: Annotated[Path | None, typer.Option(help="The box's streamproc.yaml.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where jobs, collections and recordings live.")] = None,
    url: Annotated[str | None, typer.Option(help="The daemon that has the recording; STREAMPROC_URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
) -> None:
    """Analyse a stored video. One decode feeds everything that is asked; started again after a crash it goes on."""
    set_up_logs(as_json, "warning")
    with errors_said():
        from streamproc.jobs.model import JobKind

        asked: dict[JobKind, dict[str, Any]] = {}
        if labels:
            asked[JobKind.LABELS] = {"min_confidence": min_confidence}
        if segments:
            asked[JobKind.SEGMENTS] = {}
        if persons:
            asked[JobKind.PERSONS] = {}
        if detect_faces:
            asked[JobKind.FACES] = {}
        if faces is not None:
            asked[JobKind.FACE_SEARCH] = {"collection": faces}
        if not asked:
            raise InputError(
                "nothing is asked; add --labels, --segments, --persons, --detect-faces or --faces COLLECTION"
            )
        folder = data_dir or default_data_dir()
        if faces is not None:
            _check_collection(faces, folder)
        video = _recorded(video, out, url, data_dir) if video.startswith("kvs://") else video
        summary = _analyze(video, out, asked, _service(config, folder), as_json)
        (put_json if as_json else _print)(summary)


def _recorded(uri: str, out: Path, url: str | None, data_dir: Path | None) -> str:
    """The recording as a file of the folder; the same fragments give the same file, so an unfinished job is found again."""
    from streamproc.cli.recordings import fragments_of, open_recordings, write_mp4
    from streamproc.logic.clips import parse_clip

    wanted, recordings = parse_clip(uri), open_recordings(url, data_dir)
    _make_folder(out)
    numbers = " ".join(info.number for info in fragments_of(recordings, wanted))
    target = out / f"recording-{hashlib.sha256(f'{wanted.stream} {numbers}'.encode()).hexdigest()[:12]}.mp4"
    if not target.exists():
        write_mp4(recordings, wanted, target)
    return str(target)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out {out}: {error.strerror}; name a folder that can be made") from None


def _service(config: Path | None, data_dir: Path) -> JobService:
    from streamproc.cli.jobs import open_service

    return open_service(config, data_dir)


def _check_collection(name: str, data_dir: Path) -> None:
    """Before the video is decoded, not after."""
    from streamproc.core.errors import NotFound
    from streamproc.faces.service import open_service

    try:
        open_service(data_dir).describe_collection(name)
    except NotFound:
        raise InputError(
            f"--faces {name}: there is no such collection; `streamproc faces create {name}` makes one"
        ) from None


def _analyze(
    video: str, out: Path, asked: dict[JobKind, dict[str, Any]], service: JobService, as_json: bool
) -> dict[str, Any]:
    _make_folder(out)
    with _alone(out):
        service.forget_old()
        jobs = _jobs(video, out, asked, service)
        with _until_signal() as stop, _progress(video, as_json) as tell:
            service.run(jobs, stop=stop.is_set, tell=tell)
        ended = [service.show(job.id) for job in jobs]
        (out / MARKER).unlink(missing_ok=True)
        failed = [job for job in ended if job.state != "succeeded"]
        if failed:
            _raise(video, failed[0])
        return _write(out, ended, service)


def _raise(video: str, job: Job) -> None:
    """A video that cannot be decoded is the caller's input; anything else went wrong on the way."""
    from streamproc.core.errors import MediaError, StreamprocError
    from streamproc.logic.redact import redact_url

    words = f"{redact_url(video)}: {job.message}"
    raise MediaError(words) if job.bad_video else StreamprocError(words)


def _jobs(video: str, out: Path, asked: dict[JobKind, dict[str, Any]], service: JobService) -> list[Job]:
    """The unfinished jobs of the same arguments that this folder holds, else new ones."""
    from streamproc.jobs.model import JobRequest, VideoRef

    url = video if "://" in video else str(Path(video).absolute())
    ref = VideoRef(url)
    version = service.version(ref)
    print_of = hashlib.sha256(json.dumps([url, version, asked], sort_keys=True).encode()).hexdigest()
    marker = out / MARKER
    unfinished = _unfinished(marker, print_of, service)
    if unfinished:
        say(f"going on at frame {unfinished[0].frames}")
        return unfinished
    run = secrets.token_hex(8)
    owner = f"analyze:{run}"
    jobs = [service.start(JobRequest(kind, ref, options), owner=owner, run=run) for kind, options in asked.items()]
    known = {"fingerprint": print_of, "jobs": [job.id for job in jobs]}
    write_durably(marker, json.dumps(known).encode())
    _take_away(out)
    return jobs


def _take_away(out: Path) -> None:
    """What an earlier run wrote, so that no answer about another video lies beside the new ones."""
    try:
        names = [str(name) for name in json.loads((out / WRITTEN).read_text())]
    except (OSError, ValueError, TypeError):
        return
    for name in names:
        path = (out / name).resolve()
        if path.is_relative_to(out.resolve()) and path.is_file():
            path.unlink()
    (out / WRITTEN).unlink()


def _unfinished(marker: Path, print_of: str, service: JobService) -> list[Job]:
    from streamproc.core.errors import NotFound

    try:
        known = json.loads(marker.read_text())
        jobs = [service.show(job) for job in known["jobs"]] if known["fingerprint"] == print_of else []
    except (OSError, ValueError, KeyError, NotFound):
        return []
    # A crash between two of the last commits leaves some jobs ended: then nothing is lost by starting anew.
    return jobs if jobs and all(job.state == "running" for job in jobs) else []


def _write(out: Path, jobs: list[Job], service: JobService) -> dict[str, Any]:
    from streamproc.cli.answers import documents, summary_of
    from streamproc.cli.drawings import draw

    names: list[str] = []
    for name, document in documents(service, jobs).items():
        write_durably(out / name, (json.dumps(document, indent=1) + "\n").encode())
        names.append(name)
    names += draw(out, jobs, service)
    write_durably(out / WRITTEN, json.dumps(names).encode())
    return summary_of(service, jobs) | {"out": str(out), "files": names}


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two analyses into one folder would write over each other."""
    with (out / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"--out {out}: another analyze is at work there; name another folder") from None
        try:
            yield
        finally:
            (out / ".lock").unlink(missing_ok=True)


@contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """SIGINT and SIGTERM stop at the next frame, with a checkpoint."""
    from streamproc.jobs.job_run import Interrupted

    stop = threading.Event()
    known = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    except Interrupted as interrupted:
        say(f"{interrupted}")
        raise typer.Exit(FAILED) from None
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)


@contextmanager
def _progress(video: str, quiet: bool) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield lambda advance: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} frames"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(os.path.basename(video), total=None, speed="")  # noqa: PTH119 - may be a URL
        started: list[float] = []

        def tell(advance: Advance) -> None:
            started[:] = started or [advance.seconds - 1e-3]
            elapsed = bars.tasks[0].elapsed or 0.0
            speed = f"{(advance.seconds - started[0]) / elapsed:.1f}x" if elapsed > 0.5 else ""
            bars.update(task, completed=advance.frames, total=max(advance.expected, advance.frames), speed=speed)

        yield tell


def _print(summary: dict[str, Any]) -> None:
    for line in summary["lines"]:
        put(line)
    put(f"written to {summary['out']}: {', '.join(summary['files'])}")
