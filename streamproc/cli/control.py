"""``create``, ``start``, ``stop``, ``describe``, ``list``, ``delete``: against a running daemon."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Annotated, Any

import typer

from streamproc.cli.output import errors_said, put, put_json, say
from streamproc.core.errors import InputError, NotFound, StreamprocError

DEFAULT_URL = "http://127.0.0.1:4566"
Url = Annotated[str, typer.Option("--url", envvar="STREAMPROC_URL", help="Where the daemon listens.")]
Json = Annotated[bool, typer.Option("--json", help="JSON only on standard output.")]
Name = Annotated[str, typer.Argument(help="The processor's name.")]
TIMEOUT_S = 60.0


def create(
    file: Annotated[Path, typer.Argument(help="The processor's file; its name is the file's.")],
    name: Annotated[str | None, typer.Option(help="Another name than the file's.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Make a processor out of a file, and start it when the file says state: running (as it does by default)."""
    with errors_said():
        from connectors.catalog import check
        from streamproc.config.load import load_processor

        config = load_processor(file, check).model_dump(mode="json", exclude_unset=True)
        made = call(url, "POST", "/api/processors", {"name": name or file.stem, "config": config})
        _show(made, as_json)


def start(
    name: Name,
    duration: Annotated[float | None, typer.Option(help="Longest session in seconds, for this start only.")] = None,
    url: Url = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Begin a session."""
    with errors_said():
        body = {} if duration is None else {"duration_s": duration}
        _show(call(url, "POST", f"{processor_path(name)}/start", body), as_json)


def stop(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """End the session with its summary; returns when it has ended."""
    with errors_said():
        _show(call(url, "POST", f"{processor_path(name)}/stop", {}), as_json)


def describe(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Everything about one processor: state, config, session, source, figures."""
    with errors_said():
        found = call(url, "GET", processor_path(name))
        if as_json:
            put_json(found)
        else:
            put(json.dumps(found, indent=2, ensure_ascii=False))


def list_processors(url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """All processors and their states."""
    with errors_said():
        found = call(url, "GET", "/api/processors")
        if as_json:
            put_json(found)
            return
        width = max((len(item["name"]) for item in found), default=0)
        for item in found:
            put(f"{item['name']:{width}}  {item['state']:8}  {item['message'] or _told(item)}".rstrip())
        if not found:
            say("no processors; put a file into the config folder, or `streamproc create FILE`")


def delete(name: Name, url: Url = DEFAULT_URL, as_json: Json = False) -> None:
    """Stop a processor and forget it."""
    with errors_said():
        gone = call(url, "DELETE", processor_path(name), {})
        if as_json:
            put_json(gone)
        else:
            say(f"{name} is deleted")


def call(url: str, method: str, path: str, body: Any = None) -> Any:
    """One request to the daemon; its JSON. Raises our own errors for what it answers."""
    try:
        return json.loads(ask(url, method, path, body))
    except json.JSONDecodeError:
        raise StreamprocError(f"what answers at {url} is no streamproc; give --url") from None


def ask(url: str, method: str, path: str, body: Any = None) -> bytes:
    """``call``, whatever the answer's body holds."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    token = os.environ.get("STREAMPROC_TOKEN")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--url: {url!r} is no address; write one such as {DEFAULT_URL}")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url.rstrip("/") + path, data=data, method=method, headers=headers)
    # A proxy of the environment is for the world outside, not for the daemon.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            content: bytes = answer.read()
            return content
    except urllib.error.HTTPError as error:
        raise answered_error(error.code, error.read(), url) from None
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise StreamprocError(
            f"no daemon answers at {url} ({reason}); start `streamproc serve`, or give --url"
        ) from None


def answered_error(status: int, body: bytes, url: str) -> StreamprocError:
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return StreamprocError(f"{url} answered {status}; is it a streamproc?")
    return NotFound(said) if status == 404 else InputError(said) if status == 400 else StreamprocError(said)


def processor_path(name: str) -> str:
    return "/api/processors/" + urllib.parse.quote(name, safe="")


def _show(view: dict[str, Any], as_json: bool) -> None:
    if as_json:
        put_json(view)
    else:
        say(f"{view['name']} is {view['state']}" + (f": {view['message']}" if view.get("message") else ""))


def _told(item: dict[str, Any]) -> str:
    session = item.get("session") or {}
    return ", ".join(session.get("announced") or {})
