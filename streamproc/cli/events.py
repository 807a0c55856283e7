"""``events``: what happened, from a running daemon, or from the data directory where none runs."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from streamproc.cli.control import DEFAULT_URL, Url, call
from streamproc.cli.output import errors_said, put, put_json, say
from streamproc.cli.places import default_data_dir
from streamproc.core.errors import InputError, NotFound, StreamprocError
from streamproc.logic.event_query import EventQuery, parse_instant

PAGE = 500


def events(
    name: Annotated[str | None, typer.Argument(help="Only this processor's.", show_default=False)] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="A time (RFC 3339), or how long ago (2h).", show_default=False)
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="The same, exclusive.", show_default=False)] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Only this type; may be given again.")] = None,
    classes: Annotated[list[str] | None, typer.Option("--class", help="Only this class; may be given again.")] = None,
    person: Annotated[str | None, typer.Option(help="Only this person's.", show_default=False)] = None,
    region: Annotated[str | None, typer.Option(help="Only in this region.", show_default=False)] = None,
    text: Annotated[str | None, typer.Option(help="Words that must occur.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes; end with Ctrl-C.")] = False,
    url: Url = DEFAULT_URL,
    data_dir: Annotated[
        Path | None, typer.Option(help="Read this data directory instead of asking a daemon.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line.")] = False,
) -> None:
    """What happened, oldest first."""
    with errors_said():
        now = datetime.now(UTC)
        asked = {
            "processor": [name] if name else [],
            "type": types or [],
            "class": [each.upper() for each in classes or []],
            "person": [person] if person else [],
            "region": [region] if region else [],
            "text": [text] if text else [],
            "from": [_instant("--from", since, now)] if since else [],
            "to": [_instant("--to", until, now)] if until else [],
        }
        if follow and data_dir is not None:
            raise InputError("--follow: asks a daemon; leave --data-dir out")
        show = _put_json if as_json else _put_line
        found, latest = _past(asked, limit, url, data_dir, follow)
        for document in reversed(found):
            show(document)
        if follow:
            try:
                for document in _coming(url, latest, asked):
                    show(document)
            except KeyboardInterrupt:
                return
        elif not found and not as_json:
            say("no events")


def _past(
    asked: dict[str, list[str]], limit: int, url: str, data_dir: Path | None, follow: bool
) -> tuple[list[dict[str, Any]], str]:
    """Newest first, and the place in the stream behind them."""
    if data_dir is not None:
        return _stored(asked, limit, data_dir), "0"
    try:
        return _asked(asked, limit, url)
    except (InputError, NotFound):
        raise
    except StreamprocError as error:
        from streamproc.store.database import FILE_NAME

        folder = default_data_dir()
        if follow or url != DEFAULT_URL or not (folder / FILE_NAME).is_file():
            raise
        say(f"{error}; read from {folder}")
        return _stored(asked, limit, folder), "0"


def _asked(asked: dict[str, list[str]], limit: int, url: str) -> tuple[list[dict[str, Any]], str]:
    found: list[dict[str, Any]] = []
    latest, before = None, ""
    pairs = [(key, value) for key, values in asked.items() for value in values]
    while len(found) < limit:
        more = {"limit": str(min(PAGE, limit - len(found)))} | ({"before": before} if before else {})
        page = call(url, "GET", f"/api/events?{urllib.parse.urlencode([*pairs, *more.items()])}")
        found += page["events"]
        latest, before = latest or page["latest"], page["next"]
        if before is None:
            break
    return found, latest or "0"


def _stored(asked: dict[str, list[str]], limit: int, data_dir: Path) -> list[dict[str, Any]]:
    from streamproc.plain import plain_document
    from streamproc.store.database import FILE_NAME, Database
    from streamproc.store.journal import Journal

    if not (data_dir / FILE_NAME).is_file():
        raise InputError(
            f"--data-dir: there is no streamproc state in {data_dir}; give the folder that the daemon uses"
        )
    page = Journal(Database(data_dir)).history.page(_query(asked), limit=limit)
    return [plain_document(kept.event) for kept in page.kept]


def _query(asked: dict[str, list[str]]) -> EventQuery:
    since, until = (parse_instant(asked[key][0]) if asked[key] else None for key in ("from", "to"))
    return EventQuery(
        processors=tuple(asked["processor"]),
        types=tuple(asked["type"]),
        labels=tuple(asked["class"]),
        persons=tuple(asked["person"]),
        regions=tuple(asked["region"]),
        since=since,
        until=until,
        text=" ".join(asked["text"]),
    )


def _coming(url: str, latest: str, asked: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """What is asked for, of everything that comes."""
    from streamproc.cli.following import follow
    from streamproc.logic.event_query import document_kind

    query = _query(asked)
    for document in follow(url, latest):
        at = parse_instant(document["time"])
        late = query.until is not None and at >= query.until
        if query.takes(document_kind(document)) and not late and (query.since is None or at >= query.since):
            yield document


def _instant(option: str, text: str, now: datetime) -> str:
    """RFC 3339; without an offset the clock of this machine is meant."""
    from streamproc.config.duration import parse_duration

    try:
        return (now - timedelta(seconds=parse_duration(text))).isoformat()
    except (ValueError, OverflowError):
        pass
    try:
        found = parse_instant(text)
        return (found if _has_offset(text) else found.replace(tzinfo=None).astimezone()).astimezone(UTC).isoformat()
    except ValueError as error:
        raise InputError(f"{option}: {error}, or how long ago: 2h") from None


def _has_offset(text: str) -> bool:
    return datetime.fromisoformat(text.strip()).tzinfo is not None


def _put_json(document: dict[str, Any]) -> None:
    put_json(document)


def _put_line(document: dict[str, Any]) -> None:
    """Local time, processor, what, how sure, where."""
    at = parse_instant(document["time"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    what = document.get("class") or document.get("person") or document.get("condition") or ""
    words = [at, str(document["processor"]).ljust(16), str(document["type"]).ljust(16), str(what).ljust(12)]
    if document.get("confidence") is not None:
        words.append(f"{document['confidence']:5.1f} %")
    words += [f"in {document['region']}"] if document.get("region") else []
    words += [str(document["reason"])] if document.get("reason") else []
    put("  ".join(words).rstrip())
