"""``/api/processors/NAME/regions`` and ``/masks``: what is drawn, where it is kept, what it would have let through, and saving it."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from connectors.catalog import check
from streamproc.config.edit import replace_list
from streamproc.config.faults import faults_of
from streamproc.config.folder import processor_files
from streamproc.config.hidden import hide
from streamproc.config.load import processor_from_text
from streamproc.config.masks import MaskSettings
from streamproc.config.processor import ProcessorConfig
from streamproc.config.regions import RegionSettings, check_regions, to_regions
from streamproc.config.yaml_file import Document, read_text
from streamproc.console.settings import replace_text
from streamproc.core.decisions import Record
from streamproc.core.errors import ConfigError, Fault, InputError, InUse
from streamproc.core.event import Event
from streamproc.core.media import rfc3339
from streamproc.live.supervisor import Supervisor
from streamproc.logic.regions import RegionMap
from streamproc.logic.would_appear import Appearance, would_appear
from streamproc.threads import DOCUMENTS, HISTORY, TRACES
from streamproc.web.answers import answered
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object

MOST_EVENTS = 1000
DAY = timedelta(days=1)
_REGIONS = TypeAdapter(tuple[RegionSettings, ...])
_MASKS = TypeAdapter(tuple[MaskSettings, ...])
Outline = RegionSettings | MaskSettings
OutlineT = TypeVar("OutlineT", RegionSettings, MaskSettings)


class RegionRoutes:
    """Handlers over one supervisor; ``folder``: the config folder."""

    def __init__(
        self,
        supervisor: Supervisor,
        guard: Guard,
        folder: Path,
        records: Callable[[str, datetime, datetime], Sequence[Record]] | None = None,
    ) -> None:
        """``records``: what a processor decided in a span, of the trace."""
        self._records = records
        self._supervisor = supervisor
        self._guard = guard
        self._folder = folder

    def mount(self, app: web.Application) -> None:
        path = "/api/processors/{name}/{kind:regions|masks}"
        app.router.add_get(path, answered(self._guard, self.show))
        app.router.add_put(path, answered(self._guard, self.save))
        app.router.add_post("/api/processors/{name}/regions/try", answered(self._guard, self.attempt))

    async def show(self, request: web.Request) -> Any:
        """``{"regions": [...], "owner": "store|file|read-only", "file":, "mark":}``; each region (or mask) with its corners as ``points``."""
        name, kind = request.match_info["name"], request.match_info["kind"]
        view = await self._supervisor.view(name)
        owner, path = await self._owner(name, view.origin)
        outlines: Sequence[Outline] = getattr(view.config, kind)
        drawn = [entry_of(outline) | {"points": [list(point) for point in outline.points]} for outline in outlines]
        return {kind: drawn, "owner": owner, "file": str(path) if path else None, "mark": mark_of(outlines)}

    async def attempt(self, request: web.Request) -> Any:
        """``{"regions": [...]}``: which of the last day's detections would be told with these, which not, and what was in no region and would be in one."""
        name = request.match_info["name"]
        await self._supervisor.view(name)
        regions = regions_of((await json_object(request)).get("regions"))
        events = await HISTORY.run(self._supervisor.journal.recent, name, MOST_EVENTS)
        now = datetime.now(UTC)
        records = await TRACES.run(self._records, name, now - DAY, now) if self._records is not None else ()
        found = await DOCUMENTS.run(would_appear, records, RegionMap(to_regions(regions)))
        return judged(events, regions, now - DAY) | {"appearing": [_appearing(each) for each in found]}

    async def save(self, request: web.Request) -> Any:
        """``{"regions": [...], "mark":}`` (or masks): into the store, or into the processor's file; of a read-only file the answer is the patch.

        With a ``mark`` only where they are still what ``show`` answered with it.
        """
        name, kind = request.match_info["name"], request.match_info["kind"]
        view = await self._supervisor.view(name)
        body = await json_object(request)
        sent, mark = body.get(kind), body.get("mark")
        outlines: Sequence[Outline] = regions_of(sent) if kind == "regions" else masks_of(sent)
        entries = [entry_of(outline) for outline in outlines]
        owner, path = await self._owner(name, view.origin)
        before = await DOCUMENTS.run(read_text, path) if path is not None else ""
        # The daemon may not have read yet what was saved a moment ago.
        there = await DOCUMENTS.run(_read_as, before, path, view.config) if path is not None else view.config
        if mark is not None and mark != mark_of(getattr(there, kind)):
            raise InUse(f"the {kind} of {name} were changed meanwhile, here or in its file; load them anew")
        answer = {"owner": owner, "file": str(path) if path is not None else None, "mark": mark_of(outlines)}
        if path is None:
            config = changed_config(view.config, {kind: entries})
            await self._supervisor.update(name, config)
            return answer | {"saved": True, "patch": ""}
        after = replace_list(before, kind, entries)
        await DOCUMENTS.run(processor_from_text, after, str(path), check)
        patch = "".join(
            difflib.unified_diff(
                hide(before).splitlines(keepends=True),
                hide(after).splitlines(keepends=True),
                f"a/{path.name}",
                f"b/{path.name}",
            )
        )
        if owner == "file":
            await DOCUMENTS.run(replace_text, path, after)
        return answer | {"saved": owner == "file", "patch": patch}

    async def _owner(self, name: str, origin: str) -> tuple[str, Path | None]:
        if origin != "file":
            return "store", None
        files = await DOCUMENTS.run(processor_files, self._folder)
        path = next((path for path, stem in files.items() if stem == name), None)
        if path is None:
            raise InputError(f"{name}: its file is gone from {self._folder}")
        writable = os.access(path, os.W_OK) and os.access(path.resolve().parent, os.W_OK)
        return ("file" if writable else "read-only"), path


def regions_of(value: Any) -> tuple[RegionSettings, ...]:
    """Regions of a request. Raises ConfigError with every fault; keys that only pages need are passed over."""
    regions = _outlines("regions", _REGIONS, value)
    try:
        check_regions(regions)
    except ValueError as error:
        raise ConfigError("regions", [Fault("", str(error))]) from None
    return regions


def masks_of(value: Any) -> tuple[MaskSettings, ...]:
    """The same of masks."""
    return _outlines("masks", _MASKS, value)


def _outlines(kind: str, adapter: TypeAdapter[tuple[OutlineT, ...]], value: Any) -> tuple[OutlineT, ...]:
    if not isinstance(value, list):
        raise InputError(f"{kind}: send a list")
    entries = [
        {key: part for key, part in entry.items() if key != "points"} if isinstance(entry, dict) else entry
        for entry in value
    ]
    try:
        return adapter.validate_python(entries)
    except ValidationError as error:
        faults = faults_of(error, Document(kind, entries, {}))
        raise ConfigError(kind, [Fault(fault.field, fault.message) for fault in faults]) from None


def changed_config(config: ProcessorConfig, changes: dict[str, Any]) -> ProcessorConfig:
    """A document with other values of some keys. Raises ConfigError where they do not go with the rest."""
    document = config.model_dump(mode="json", exclude_unset=True) | changes
    try:
        return ProcessorConfig.model_validate(document)
    except ValidationError as error:
        faults = faults_of(error, Document("processor", document, {}))
        raise ConfigError("processor", [Fault(fault.field, fault.message) for fault in faults]) from None


def entry_of(outline: Outline) -> dict[str, Any]:
    """As it stands in a file: only what was said."""
    return outline.model_dump(mode="json", exclude_unset=True, exclude_none=True)


def _read_as(text: str, path: Path, otherwise: ProcessorConfig) -> ProcessorConfig:
    """The document in a file; ``otherwise`` where that is none."""
    try:
        return processor_from_text(text, str(path), check)
    except ConfigError:
        return otherwise


def mark_of(outlines: Sequence[Outline]) -> str:
    """Changes with them."""
    text = json.dumps([entry_of(outline) for outline in outlines], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _appearing(each: Appearance) -> dict[str, Any]:
    return {
        "time": rfc3339(each.at),
        "class": each.candidate.label,
        "score": round(each.candidate.score, 1),
        "box": [round(value, 4) for value in each.candidate.box.clipped()],
        "now": each.hit.name,
        "overlap": round(each.hit.overlap, 3),
    }


def judged(events: Sequence[Event], regions: Sequence[RegionSettings], since: datetime) -> dict[str, Any]:
    """``{"kept":, "dropped":, "events": [{"id":, "time":, "class":, "box":, "was":, "now":, "overlap":}]}``, newest first. Pure.

    Only what was told: objects that the old regions refused have no event (``would_appear``).
    """
    found = RegionMap(to_regions(regions))
    rows = []
    for event in events:
        if event.box is None or event.at.wall < since:
            continue
        hit = found.best(event.box)
        rows.append(
            {
                "id": event.id,
                "time": rfc3339(event.at.wall),
                "class": event.label or event.person,
                "box": [round(value, 4) for value in event.box.clipped()],
                "was": event.region.name if event.region else None,
                "now": hit.name if hit else None,
                "kept": hit is not None,
                "overlap": round(hit.overlap, 3) if hit else 0.0,
            }
        )
    kept = sum(1 for row in rows if row["kept"])
    return {"kept": kept, "dropped": len(rows) - kept, "events": rows}
