"""How every verb speaks: data on standard output, words for people on standard error, exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

import typer

from streamproc.core.errors import InputError, ModelUnavailable, NotFound, StreamprocError

FAILED = 1
WRONG_INPUT = 2


def say(text: str) -> None:
    """A line for people."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def put(text: str) -> None:
    """A line of data."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def put_json(value: Any) -> None:
    """One JSON value on a line."""
    put(json.dumps(value, ensure_ascii=False, default=str))


@contextmanager
def names_are_input() -> Iterator[None]:
    """What a command line names and is not there (a collection, a recording) is wrong input, as a file that is not there is."""
    try:
        yield
    except NotFound as error:
        raise InputError(str(error)) from None


@contextmanager
def errors_said() -> Iterator[None]:
    """Our own errors as words and an exit code; anything else is a bug and shows itself."""
    try:
        yield
    except InputError as error:
        say(str(error))
        raise typer.Exit(WRONG_INPUT) from None
    except ModelUnavailable as error:
        say(f"{error}; try `streamproc models pull`")
        raise typer.Exit(FAILED) from None
    except StreamprocError as error:
        say(str(error))
        raise typer.Exit(FAILED) from None
    except BrokenPipeError:
        # The reader of our output left; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def set_up_logs(as_json: bool, level: str = "info", data: bool = True) -> None:
    """Log lines for people, or one JSON object a line. ``data``: standard output is for data, so logs go to standard error."""
    import structlog  # a third of a second that most verbs need not wait for

    target = Unfailing(sys.stderr if data or not as_json else sys.stdout)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    # Tracebacks are formatted here: the console's own way shows local variables.
    shared += [structlog.processors.format_exc_info, _without_secrets]
    if as_json:
        renderer = structlog.processors.JSONRenderer(default=str)
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=_unfailing(structlog.make_filtering_bound_logger(level)),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, target)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(target)
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[remove, renderer]))
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, logging.getLevelName(level.upper())), force=True)


def _without_secrets(logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The last line of defence, for texts of libraries: whoever logs hides what he knows to be secret himself."""
    from streamproc.logic.redact import redact

    if line.get("event") == "set_up":
        return line  # the link is good once, and the log is where the owner of the node finds it
    for key, value in line.items():
        if isinstance(value, str) and ("://" in value or "=" in value):
            line[key] = redact(value)
    return line


class Unfailing:
    """A text stream that drops what cannot be written: a full disk under the log must not end what is logged about."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        return False


def _unfailing(logger_class: type[Any]) -> type[Any]:
    """A logger whose processors may fail too: to show a traceback they open source files, and there may be no descriptor left."""

    class UnfailingLogger(logger_class):  # type: ignore[misc]
        def _proxy_to_logger(self, method: str, event: str | None = None, *args: Any, **words: Any) -> Any:
            try:
                return super()._proxy_to_logger(method, event, *args, **words)
            except Exception as error:  # noqa: BLE001 - there is nowhere to log that logging failed
                words.pop("exc_info", None)
                with suppress(Exception):
                    return super()._proxy_to_logger(method, event, *args, **words, log_failed=repr(error))

    return UnfailingLogger


def event_line(document: Mapping[str, Any]) -> str:
    """One event for people: time, processor, what, how sure, where."""
    at = str(document["time"])[11:19]
    what = str(document.get("class") or document.get("person") or "").ljust(8)
    words = {
        "label_detected": f"{what} {_sure(document)}{_where(document)}",
        "face_matched": f"{what} {_sure(document)}{_where(document)}",
        "face_unknown": f"unknown face {_sure(document)}{_where(document)}",
        "source_gap": f"source was away for {document.get('seconds')} s ({document.get('reason')})",
        "session_complete": f"session over ({document.get('reason')}): {_counts(document)}",
    }.get(str(document["type"]), str(document["type"]))
    return f"{at}  {document['media_time_s']:8.2f} s  {document['processor']}  {words}"


def _sure(document: Mapping[str, Any]) -> str:
    return f"{document.get('confidence') or 0:5.1f} %"


def _where(document: Mapping[str, Any]) -> str:
    return f"  in {document['region']}" if document.get("region") else ""


def _counts(document: Mapping[str, Any]) -> str:
    counts = {key: value for key, value in (document.get("counts") or {}).items() if value}
    parts = [f"{value} {key}" for key, value in counts.items()]
    parts += [str(person) for person in document.get("persons") or ()]
    return ", ".join(parts) or "nothing seen"
