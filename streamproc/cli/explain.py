"""``explain``: what happened at an instant before one camera, and why nothing was announced."""

from __future__ import annotations

import re
import urllib.parse
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from streamproc.cli.control import DEFAULT_URL, Json, Name, Url, call
from streamproc.cli.output import errors_said, put, put_json
from streamproc.core.errors import InputError
from streamproc.core.media import rfc3339

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_WINDOW = "10s"


def explain(
    name: Name,
    at: Annotated[
        str | None, typer.Option(help="21:14, 21:14:03 (the last such local time) or RFC 3339; left out: now.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="How much time about it, such as 10s or 2m.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """What was announced at an instant, and what kept everything else from it."""
    with errors_said():
        query = {}
        if at is not None:
            instant, span = instant_of(at, datetime.now().astimezone())
            query["at"] = rfc3339(instant)
            window = window or span
        query["window"] = window or _WINDOW
        path = f"/api/processors/{urllib.parse.quote(name, safe='')}/explain?{urllib.parse.urlencode(query)}"
        answer = call(url, "GET", path)
        show(answer, as_json)


def instant_of(text: str, now: datetime) -> tuple[datetime, str | None]:
    """The instant that is meant, and the window that fits where none is given: of ``21:14`` the whole minute.

    ``now``: local time with its offset. Raises InputError.
    """
    clock = _CLOCK.fullmatch(text.strip())
    if clock is not None and int(clock[1]) < 24 and int(clock[2]) < 60 and int(clock[3] or 0) < 60:
        # Of the wall clock: a day with another offset between is still one day earlier.
        wall = now.replace(tzinfo=None)
        meant = wall.replace(hour=int(clock[1]), minute=int(clock[2]), second=int(clock[3] or 0), microsecond=0)
        if meant > wall:
            meant -= timedelta(days=1)
        instant = meant.astimezone().astimezone(UTC)
        return (instant, None) if clock[3] else (instant + timedelta(seconds=30), "60s")
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"--at: {text!r} is no time; write 21:14, 21:14:03 or 2026-11-26T21:14:03Z") from None
    return instant.astimezone(UTC), None


def show(answer: dict[str, Any], as_json: bool) -> None:
    """Print an answer."""
    if as_json:
        put_json(answer)
        return
    for line in lines(answer):
        put(line)


def lines(answer: dict[str, Any]) -> list[str]:
    """The answer for people: the whole first, then the candidates in order of time."""
    frames = answer["frames"]
    found = [answer["text"]]
    found.append(
        f"{answer['processor']}, {answer['from']} to {answer['to']}: {frames['decoded']} frames decoded, "
        f"{frames['analysed']} analysed, {frames['gated']} passed over by the motion gate, {frames['dropped']} dropped"
    )
    for each in answer["candidates"]:
        track = f"track {each['track']}" if each["track"] else "-"
        found.append(f"  {each['at'][11:23]}Z  {track:>10}  {each['gate'] or 'announced':9}  {each['text']}")
    return found
