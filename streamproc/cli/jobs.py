"""``streamproc jobs list|show|cancel|results``: the stored-video jobs of a data directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamproc.cli.output import errors_said, put, put_json, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.core.errors import InputError

if TYPE_CHECKING:
    from streamproc.jobs.model import Job
    from streamproc.jobs.service import JobService

app = typer.Typer(help="Stored-video jobs of this machine.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option(help="Where jobs live.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
JobId = Annotated[str, typer.Argument(help="A job's id, or enough of its beginning.")]


def open_service(config: Path | None, data_dir: Path) -> JobService:
    """The jobs of a data directory, without workers of its own."""
    from streamproc.config.load import load_node
    from streamproc.config.node import NodeConfig
    from streamproc.jobs.build import open_jobs
    from streamproc.perception.provider import ModelProvider
    from streamproc.store.database import Database

    node = load_node(config) if config is not None else NodeConfig()
    # Two threads infer: the detectors of one picture look side by side.
    return open_jobs(Database(data_dir), ModelProvider(node, data_dir, workers=2))


@app.command("list")
def list_jobs(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every job of the last seven days, newest first."""
    set_up_logs(as_json, "warning")
    with errors_said():
        rows = [_row(job) for job in open_service(None, data_dir or default_data_dir()).jobs()]
        if as_json:
            put_json(rows)
            return
        for row in rows:
            done = f"{row['frames']}/{row['expected'] or '?'}"
            put(f"{row['id'][:12]}  {row['kind']:<12} {row['state']:<10} {done:>14}  {row['created']}  {row['video']}")
        if not rows:
            put("no jobs")


@app.command()
def show(job: JobId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """One job: what was asked, how far it is, why it failed."""
    set_up_logs(as_json, "warning")
    with errors_said():
        service = open_service(None, data_dir or default_data_dir())
        row = _row(_find(service, job))
        if as_json:
            put_json(row)
            return
        for key, value in row.items():
            put(f"{key:<9} {value if value is not None else '-'}")


@app.command()
def cancel(job: JobId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """End an open job. Jobs that share its decode go on."""
    set_up_logs(as_json, "warning")
    with errors_said():
        service = open_service(None, data_dir or default_data_dir())
        row = _row(service.cancel(_find(service, job).id))
        if as_json:
            put_json(row)
        else:
            put(f"cancelled {row['id']}")


@app.command()
def results(
    job: JobId,
    sort: Annotated[str, typer.Option(help="TIMESTAMP, NAME (labels) or INDEX (persons).")] = "TIMESTAMP",
    aggregate: Annotated[str, typer.Option(help="TIMESTAMPS or SEGMENTS (labels).")] = "TIMESTAMPS",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """The whole answer of the service's Get operation."""
    set_up_logs(as_json, "warning")
    with errors_said():
        import json

        from streamproc.aws.video_documents import whole
        from streamproc.jobs.answers import Aggregate, Sort
        from streamproc.jobs.service import PageRequest

        try:
            page = PageRequest(sort=Sort(sort.upper()), aggregate=Aggregate(aggregate.upper()))
        except ValueError as error:
            raise InputError(f"{error}; see --help") from None
        service = open_service(None, data_dir or default_data_dir())
        document = whole(service, _find(service, job), page)
        put(json.dumps(document, ensure_ascii=False, indent=None if as_json else 1))


def _find(service: JobService, start: str) -> Job:
    from streamproc.core.errors import NotFound

    found = [job for job in service.jobs() if job.id.startswith(start)]
    if not found:
        raise NotFound(f"there is no job {start}; `streamproc jobs list` shows them")
    if len(found) > 1:
        raise InputError(f"{len(found)} jobs begin with {start}; give more of the id")
    return found[0]


def _row(job: Job) -> dict[str, Any]:
    from streamproc.jobs.documents import job_document

    return job_document(job)
