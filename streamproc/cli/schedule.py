"""``schedule``: when a processor will begin to announce, and when it will stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from streamproc.cli.control import DEFAULT_URL, Json, Name, Url, call, processor_path
from streamproc.cli.output import errors_said, put, put_json
from streamproc.core.errors import InputError
from streamproc.logic.schedule import LOOK_AHEAD_DAYS, Change


def schedule(
    name: Name,
    days: Annotated[int, typer.Option(min=1, max=LOOK_AHEAD_DAYS, help="How far to look ahead.")] = 7,
    region: Annotated[str | None, typer.Option(help="A region's own schedule, by its name.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """When a processor begins to announce and stops, by its schedule, in the days that come."""
    with errors_said():
        from streamproc.config.schedule import ScheduleSettings

        view = call(url, "GET", processor_path(name))
        document = _document(view["config"], region)
        if document is None:
            put_json([]) if as_json else put(f"{region or name} has no schedule: it is always active")
            return
        try:
            settings = ScheduleSettings.model_validate(document)
        except ValidationError as error:
            raise InputError(f"{name}: schedule: {error.errors()[0]['msg']}") from None
        now = datetime.now(UTC)
        changes = list(settings.schedule().changes(now, now + timedelta(days=days)))
        if as_json:
            put_json([{"at": _stamp(change), "active": change.active} for change in changes])
            return
        zone = settings.schedule().zone
        for change in changes:
            put(f"{change.at.astimezone(zone):%a %Y-%m-%d %H:%M %Z}  {'active' if change.active else 'quiet'}")
        if not changes:
            state = "active" if settings.schedule().active(now) else "quiet"
            put(f"nothing changes within {days} days: it stays {state}")


def _document(config: dict[str, Any], region: str | None) -> dict[str, Any] | None:
    """The schedule's part of a processor's document. Raises InputError where there is no such region."""
    if region is None:
        found: dict[str, Any] | None = config.get("schedule")
        return found
    names = {each.get("name") or f"region-{index}": each for index, each in enumerate(config.get("regions", ()), 1)}
    if region not in names:
        raise InputError(f"--region: there is no region {region!r}; there are {', '.join(names) or 'none'}")
    own: dict[str, Any] | None = names[region].get("schedule")
    return own


def _stamp(change: Change) -> str:
    return change.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
