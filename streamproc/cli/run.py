"""``run``: one or more processors in the foreground."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamproc.cli.output import errors_said, event_line, put, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.config.folder import base_dir_of, node_of
from streamproc.config.load import load_processor
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import ConfigError, Fault, InputError, SourceRefused

if TYPE_CHECKING:
    from streamproc.core.event import Event
    from streamproc.live.supervisor import Supervisor

MIXED = "they belong to different config folders; run those of one folder at a time"


def run(
    files: Annotated[list[Path], typer.Argument(help="Processors' files.")],
    data_dir: Annotated[Path | None, typer.Option(help="Where state lives.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
) -> None:
    """Run processors in the foreground; Ctrl-C drains, sends the summaries and exits 0. Ends when all of them have ended."""
    from streamproc.cli.loop import run_loop

    set_up_logs(as_json, "warning")
    with errors_said():
        from connectors.catalog import check

        configs = {path.stem: load_processor(path, check) for path in files}
        if len(configs) < len(files):
            raise InputError("two files have one name; a processor is named after its file")
        if len({base_dir_of(path) for path in files}) > 1:
            raise InputError(MIXED)
        for path in files:
            examine(path, configs[path.stem])
        failed = run_loop(run_all(configs, files[0], data_dir or default_data_dir(), as_json))
    if failed:
        raise typer.Exit(1)


def examine(path: Path, config: ProcessorConfig) -> None:
    """Raises ConfigError where the processor's source lacks a secret, or is on this node and cannot be played."""
    from connectors.catalog import make_source
    from connectors.context import ConnectorContext
    from streamproc.config.yaml_file import parse, read_text
    from streamproc.contracts import Examines

    document = parse(read_text(path), str(path))
    try:
        source = make_source(config.source, ConnectorContext(processor=path.stem, base_dir=base_dir_of(path)))
        if isinstance(source, Examines):
            source.examine()
    except InputError as error:
        raise ConfigError(str(path), [Fault("source", str(error), document.line(("source",)))]) from None
    except SourceRefused as error:
        words = f"{error}; give the path of a video that can be played"
        raise ConfigError(str(path), [Fault("source.path", words, document.line(("source", "path")))]) from None


async def run_all(configs: dict[str, ProcessorConfig], file: Path, data_dir: Path, as_json: bool) -> bool:
    """Until all have ended or a signal comes. True: one of them failed."""
    from streamproc.cli.loop import on_signals
    from streamproc.server.lock import DirectoryLock

    place = _place(data_dir, file, configs)
    with DirectoryLock(place):
        supervisor = _supervisor(file, data_dir, place)
        supervisor.notices.committed.append(_printer(supervisor, as_json))
        stop = asyncio.Event()
        on_signals(stop.set, signal.SIGINT, signal.SIGTERM)
        await supervisor.open()
        try:
            for name, config in configs.items():
                if supervisor.known(name):
                    await supervisor.delete(name)
                await supervisor.create(name, config)
                await supervisor.start(name)
            await _first(_all_over(supervisor, list(configs)), stop.wait())
        finally:
            await supervisor.close()
        views = [await supervisor.view(name) for name in configs]
    return any(view.state == "failed" for view in views)


def _place(data_dir: Path, file: Path, names: Iterable[str]) -> Path:
    """A state folder of these processors' own, so that a daemon and other runs can go on beside this one."""
    which = ",".join([str(file.absolute().parent), *sorted(names)])
    return data_dir / "run" / hashlib.sha256(which.encode()).hexdigest()[:12]


async def _all_over(supervisor: Supervisor, names: list[str]) -> None:
    for name in names:
        await supervisor.wait(name)


async def _first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Until one of them is done; the others are given up."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


def _supervisor(file: Path, data_dir: Path, place: Path) -> Supervisor:
    from streamproc.live.supervisor import Supervisor
    from streamproc.server.renderers import RENDERERS
    from streamproc.store.database import Database

    box = node_of(file)
    database = Database(place)
    return Supervisor(box, base_dir_of(file), database, renderers=RENDERERS, collections_dir=data_dir)


def _printer(supervisor: Supervisor, as_json: bool) -> Callable[[Sequence[Event]], None]:
    from streamproc.core.event import EventType
    from streamproc.plain import plain_document, to_line

    def show(events: Sequence[Event]) -> None:
        for event in events:
            if event.type is EventType.FACE_RECORD:
                continue
            document = plain_document(event, supervisor.outputs.images_of(event))
            put(to_line(document) if as_json else event_line(document))

    return show
