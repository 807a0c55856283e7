"""The verbs, gathered. A family that is not installed here is simply not offered."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any

import typer

app = typer.Typer(
    name="streamproc",
    help="Rekognition Video on your own edge box.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

GROUPS = {
    "models": "models",
    "faces": "faces",
    "outbox": "outbox",
    "jobs": "jobs",
    "aws": "aws",
    "streams": "streams",
    "cluster": "cluster",
}
"""Families with verbs of their own: the verb, and the module (of this folder) whose ``app`` it is."""
VERBS = {
    "replay": "replay:replay",
    "run": "run:run",
    "serve": "serve:serve",
    "passwd": "passwd:passwd",
    "create": "control:create",
    "start": "control:start",
    "stop": "control:stop",
    "describe": "control:describe",
    "list": "control:list_processors",
    "delete": "control:delete",
    "events": "events:events",
    "schedule": "schedule:schedule",
    "explain": "explain:explain",
    "validate": "files:validate",
    "schema": "files:schema",
    "doctor": "doctor:doctor",
    "probe": "probe:probe",
    "publish": "publish:publish",
    "put": "put:put",
    "analyze": "analyze:analyze",
    "capacity": "capacity:capacity",
    "bench": "bench:bench",
    "demo": "demo:demo",
    "scene": "demo:scene",
}
"""Single verbs: the verb, and MODULE:FUNCTION."""


def _add(verb: str) -> bool:
    """Put one verb into the app; its module is imported only now."""
    if verb in GROUPS:
        module = _module(GROUPS[verb])
        if module is not None:
            app.add_typer(module.app, name=verb)
        return module is not None
    name, _, function = VERBS[verb].partition(":")
    module = _module(name)
    if module is not None:
        app.command(verb)(getattr(module, function))
    return module is not None


def _module(name: str) -> Any:
    full = f"streamproc.cli.{name}"
    if importlib.util.find_spec(full) is None:
        return None
    return importlib.import_module(full)


@app.callback(invoke_without_command=True)
def _top(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("streamproc"))
        raise typer.Exit


def main(arguments: list[str] | None = None) -> None:
    """The console script. Only the verb that is called is imported, so that it starts at once."""
    arguments = sys.argv[1:] if arguments is None else arguments
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    known = {**GROUPS, **VERBS}
    for verb in [wanted] if wanted in known else known:
        _add(verb)
    app(arguments, prog_name="streamproc")
