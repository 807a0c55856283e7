"""``/api/cameras``: a look at a camera, and adding it: a file of its own in the config folder, or the node's store where that is read-only."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from aiohttp import web
from pydantic import ValidationError

from connectors.catalog import check
from connectors.rtsp.credentials import CameraAddress
from streamproc.config.faults import faults_of
from streamproc.config.folder import NODE_FILE, PROCESSORS, processor_files
from streamproc.config.load import check_name, processor_from_text
from streamproc.config.processor import ProcessorConfig
from streamproc.config.yaml_file import Document
from streamproc.core.errors import AlreadyExists, ConfigError, InputError, SourceError
from streamproc.durable import write_durably
from streamproc.live.probing import look_at_camera, look_at_file
from streamproc.live.supervisor import Supervisor
from streamproc.threads import DOCUMENTS, PROBES
from streamproc.web.answers import answered, known_keys
from streamproc.web.guard import Guard
from streamproc.web.json_body import json_object

LISTENS_S = 4.0
"""To the camera, for the facts."""
_KNOWN_SOON_S = 10.0
_SECRETS = "secrets"
_ADDRESS = ("address", "user", "password")
_BROWSER = "webrtc:"
"""The address of a phone or browser that will send by WebRTC."""


class CameraRoutes:
    """Handlers over one supervisor; ``folder``: the config folder."""

    def __init__(self, supervisor: Supervisor, guard: Guard, folder: Path) -> None:
        self._supervisor = supervisor
        self._guard = guard
        self._folder = folder

    def mount(self, app: web.Application) -> None:
        app.router.add_post("/api/cameras/probe", answered(self._guard, self.probe))
        app.router.add_post("/api/cameras", answered(self._guard, self.add))

    async def probe(self, request: web.Request) -> Any:
        """``{"address":, "user":, "password":}``: what comes from there, as ``streamproc probe --json`` says it."""
        body = await json_object(request)
        known_keys(body, _ADDRESS)
        address, credentials = _address(body)
        if address == _BROWSER:
            raise InputError("address: a phone or browser sends by itself; add it, then open /publish/NAME there")
        try:
            if is_camera(address):
                found, _ = await PROBES.run(look_at_camera, {"url": _joined(address, credentials)}, LISTENS_S)
            else:
                found, _ = await PROBES.run(look_at_file, self._folder / address)
        except SourceError as error:
            raise InputError(str(error)) from None
        return found.as_dict()

    async def add(self, request: web.Request) -> Any:
        """Beside the address ``{"name":, "classes": [...]}``: the camera, running. ``file``: where it was written, null for the store."""
        body = await json_object(request)
        known_keys(body, (*_ADDRESS, "name", "classes"))
        name, classes = body.get("name"), body.get("classes", ["PERSON"])
        if not isinstance(name, str):
            raise InputError("name: missing; give the camera a name")
        check_name(name, "camera")
        if name.startswith(".") or name == Path(NODE_FILE).stem:
            raise InputError(f"name: {name} cannot be a file's; choose another")
        address, credentials = _address(body)
        files = await DOCUMENTS.run(processor_files, self._folder)
        if self._supervisor.known(name) or name in files.values():
            raise AlreadyExists(f"there is a camera {name} already; choose another name")
        if not self._writable():
            await self._into_the_store(name, _document(_joined(address, credentials), None, classes))
            return {"name": name, "file": None}
        path = self._folder / PROCESSORS / f"{name}.yaml"
        secret = f"{_SECRETS}/{name}" if credentials is not None else None
        text = "# Added in the console.\n" + yaml.safe_dump(
            _document(address, secret, classes), sort_keys=False, default_flow_style=None, allow_unicode=True, width=120
        )
        await DOCUMENTS.run(processor_from_text, text, str(path), check)
        await DOCUMENTS.run(self._write, path, text, secret, credentials)
        await self._until_known(name)
        return {"name": name, "file": str(path)}

    async def _into_the_store(self, name: str, document: dict[str, Any]) -> None:
        try:
            config = ProcessorConfig.model_validate(document)
        except ValidationError as error:
            raise ConfigError("camera", faults_of(error, Document("camera", document, {}))) from None
        await self._supervisor.create(name, config)
        await self._supervisor.start(name)

    def _write(self, path: Path, text: str, secret: str | None, credentials: str | None) -> None:
        if secret is not None and credentials is not None:
            place = self._folder / secret
            place.parent.mkdir(mode=0o700, exist_ok=True)
            place.touch(mode=0o600)
            write_durably(place, f"{credentials}\n".encode())
            place.chmod(0o600)
        path.parent.mkdir(exist_ok=True)
        write_durably(path, text.encode())

    def _writable(self) -> bool:
        place = self._folder / PROCESSORS
        return os.access(place if place.exists() else self._folder, os.W_OK) and os.access(self._folder, os.W_OK)

    async def _until_known(self, name: str) -> None:
        """The config folder is watched; a page that asks for the camera at once shall find it."""
        changed = asyncio.Event()

        def look(_: str) -> None:
            if self._supervisor.known(name):
                changed.set()

        self._supervisor.notices.states.append(look)
        try:
            look(name)
            await asyncio.wait_for(changed.wait(), _KNOWN_SOON_S)
        except TimeoutError:
            pass
        finally:
            self._supervisor.notices.states.remove(look)


def is_camera(address: str) -> bool:
    """Whether an address is RTSP's; else it is a path on the node."""
    return re.match(r"rtsps?://", address, re.IGNORECASE) is not None


def _address(body: dict[str, Any]) -> tuple[str, str | None]:
    """Address without credentials, and ``USER:PASSWORD`` from wherever they were given. Raises InputError."""
    address, user, password = (body.get(key) or "" for key in _ADDRESS)
    if not all(isinstance(each, str) for each in (address, user, password)):
        raise InputError("send address, user and password as text")
    address = address.strip()
    if not address:
        raise InputError(
            "address: missing; write rtsp://HOST/PATH, the path of a video on the node, or webrtc: for a phone or browser"
        )
    if address == _BROWSER:
        return address, None
    if "://" in address and not is_camera(address):
        raise InputError("address: cameras are reached by rtsp:// or rtsps:// here; other sources are set in a file")
    if any(character in user + password for character in "\r\n") or ":" in user:
        raise InputError("user: no colon and no line breaks, please")
    if not is_camera(address):
        return address, None
    parsed = CameraAddress.parsed(address)
    if user:
        return parsed.url, f"{user}:{password}"
    known = parsed.credentials
    return parsed.url, f"{known.user}:{known.password}" if known is not None else None


def _joined(address: str, credentials: str | None) -> str:
    if credentials is None:
        return address
    scheme, _, rest = address.partition("://")
    user, _, password = credentials.partition(":")
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _document(address: str, secret: str | None, classes: Any) -> dict[str, Any]:
    """A camera that is watched for good: each visit is told."""
    source: dict[str, Any] = {"type": "file", "path": address, "realtime": True}
    if is_camera(address):
        source = {"type": "rtsp", "url": address}
    elif address == _BROWSER:
        source = {"type": "webrtc"}
    if secret is not None:
        source["credentials_file"] = secret
    return {"source": source, "session": {"mode": "continuous"}, "labels": {"classes": classes}}
