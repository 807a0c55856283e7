"""``/api/settings``: the node's documents as text, checked with line and fix before they are written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from connectors.catalog import check
from streamproc.config.folder import NODE_FILE, processor_files
from streamproc.config.hidden import NotKnown, hide, put_back
from streamproc.config.load import node_from_text, processor_from_text
from streamproc.config.yaml_file import read_text
from streamproc.core.errors import ConfigError, Fault, InputError, InUse, NotFound
from streamproc.durable import write_durably
from streamproc.threads import DOCUMENTS
from streamproc.web.answers import answered
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object


class SettingsRoutes:
    """Handlers over the config folder."""

    def __init__(self, guard: Guard, folder: Path) -> None:
        self._guard = guard
        self._folder = folder

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/api/settings", answered(self._guard, self.show))
        app.router.add_post("/api/settings/check", answered(self._guard, self.check))
        app.router.add_put("/api/settings", answered(self._guard, self.save))

    async def show(self, request: web.Request) -> Any:
        """``?file=``: ``{"file":, "files": [...], "text":, "mark":, "writable":}``; ``mark`` tells later whether the file changed meanwhile.

        What may be secret is ``***``; where that comes back it stands for what the file has there.
        """
        files = await DOCUMENTS.run(self._files)
        name = request.query.get("file", NODE_FILE)
        path = _known(files, name)
        text = await DOCUMENTS.run(read_text, path) if path.exists() else ""
        return {
            "file": name,
            "files": list(files),
            "text": hide(text),
            "mark": _mark(text),
            "writable": _writable(path),
        }

    async def check(self, request: web.Request) -> Any:
        """``{"file":, "text":}``: ``{"faults": [{"line":, "field":, "message":}]}``, empty where it is good."""
        path, name, text, _ = await self._asked(request)
        return {"faults": (await DOCUMENTS.run(_judged, path, name, text)).faults}

    async def save(self, request: web.Request) -> Any:
        """``{"file":, "text":, "mark":}``: the file is written where it is good and has not changed since ``mark``."""
        path, name, text, mark = await self._asked(request)
        judged = await DOCUMENTS.run(_judged, path, name, text)
        if judged.faults:
            return {"saved": False, "faults": judged.faults}
        if not _writable(path):
            raise InUse(f"{name} is read-only here; copy the text and change the file where it is kept")
        if mark is not None and mark != _mark(judged.before):
            raise InUse(f"{name} was changed meanwhile; load it again")
        await DOCUMENTS.run(replace_text, path, judged.text)
        return {"saved": True, "faults": [], "mark": _mark(judged.text)}

    async def _asked(self, request: web.Request) -> tuple[Path, str, str, Any]:
        body = await json_object(request)
        name, text = body.get("file", NODE_FILE), body.get("text")
        if not isinstance(name, str) or not isinstance(text, str):
            raise InputError("send file and text")
        return _known(await DOCUMENTS.run(self._files), name), name, text, body.get("mark")

    def _files(self) -> dict[str, Path]:
        """Every document of the folder by its name below it; the node's own first, also where it is not there yet."""
        found = {NODE_FILE: self._folder / NODE_FILE}
        return found | {path.relative_to(self._folder).as_posix(): path for path in processor_files(self._folder)}


@dataclass(frozen=True, slots=True)
class _Judged:
    """A text that somebody sent: as it would be written, the file as it is, and what is wrong."""

    text: str
    before: str
    faults: Sequence[dict[str, Any]]


def _judged(path: Path, name: str, sent: str) -> _Judged:
    before = read_text(path) if path.exists() else ""
    try:
        text = put_back(sent, before)
    except NotKnown as error:
        return _Judged(sent, before, [_fault(Fault("", str(error), error.line))])
    return _Judged(text, before, faults_in(name, text))


def faults_in(name: str, text: str) -> Sequence[dict[str, Any]]:
    """What is wrong with a document, in file order."""
    try:
        if name == NODE_FILE:
            node_from_text(text, name, check)
        else:
            processor_from_text(text, name, check)
    except ConfigError as error:
        return [_fault(fault) for fault in error.faults]
    return []


def replace_text(path: Path, text: str) -> None:
    """Write a document in one step, through a link, with the rights that the file had."""
    target = path.resolve()
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    write_durably(target, text.encode())
    if mode is not None:
        target.chmod(mode)


def _fault(fault: Fault) -> dict[str, Any]:
    return {"line": fault.line, "field": fault.field, "message": fault.message}


def _known(files: dict[str, Path], name: str) -> Path:
    if name not in files:
        raise NotFound(f"there is no document {name}")
    return files[name]


def _writable(path: Path) -> bool:
    return os.access(path if path.exists() else path.parent, os.W_OK) and os.access(path.resolve().parent, os.W_OK)


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
