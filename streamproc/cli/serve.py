"""``serve``: the edge daemon."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from streamproc.cli.output import errors_said, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.config.cluster import NodePlace
from streamproc.config.folder import NODE_FILE
from streamproc.config.load import load_node
from streamproc.config.node import NodeConfig
from streamproc.core.errors import InputError

NODE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}")
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Level(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def serve(
    config_dir: Annotated[Path, typer.Option(help="The config folder: streamproc.yaml, processors/NAME.yaml.")],
    listen: Annotated[str | None, typer.Option(help="HOST:PORT; overrides server.listen.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where state lives.")] = None,
    node_id: Annotated[str | None, typer.Option(help="This node's name in its cluster.")] = None,
    address: Annotated[
        str | None, typer.Option(help="URL under which other nodes of the cluster reach this one.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; what this node can reach, in its cluster.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Log lines as JSON.")] = False,
    log_level: Annotated[Level, typer.Option(help="What is logged.")] = Level.INFO,
) -> None:
    """Run every processor of a config folder, the control API and the AWS endpoint, until SIGTERM.

    SIGHUP begins anew without ending a session: everything is read again, the program too.
    """
    from streamproc.cli.loop import run_loop
    from streamproc.server.memory import bound

    bound()
    set_up_logs(as_json, log_level.value, data=False)
    with errors_said():
        read_node = partial(_read_node, config_dir, listen)
        own = _own_place(node_id, address, tag or [])
        node = read_node()
        place = data_dir or node.stores.data_dir or default_data_dir()
        place = place.absolute() if data_dir is not None else (config_dir / place).absolute()
        again = run_loop(_serve(config_dir.absolute(), node, place, read_node, own))
    if again:
        execute_again()


async def _serve(
    folder: Path, node: NodeConfig, data_dir: Path, read_node: Callable[[], NodeConfig], own: NodePlace
) -> bool:
    from streamproc.cli.loop import on_signals
    from streamproc.server.daemon import Daemon
    from streamproc.threads import LOOKUPS, Threads

    asyncio.get_running_loop().set_default_executor(Threads("lookups", LOOKUPS))
    daemon = Daemon(folder, node, data_dir, read_node, asyncio.Event(), asyncio.Event(), place=own)
    on_signals(daemon.stop.set, signal.SIGINT, signal.SIGTERM)
    on_signals(daemon.reload.set, signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
    again = await daemon.serve()
    if again:
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    return again


def execute_again() -> NoReturn:
    """Replace this process by a new one: same command line, environment and process id.

    Blocked signals stay blocked and pending over it (execve(2)), until the new process can take them.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _read_node(config_dir: Path, listen: str | None) -> NodeConfig:
    from connectors.catalog import check

    if not config_dir.is_dir():
        raise InputError(f"--config-dir: {config_dir} is no folder; create it")
    return _overridden(load_node(config_dir / NODE_FILE, check), listen)


def _own_place(node_id: str | None, address: str | None, tags: list[str]) -> NodePlace:
    """Raises InputError."""
    if node_id is not None and not NODE_ID.fullmatch(node_id):
        raise InputError(f"--node-id: {node_id!r}; use letters, digits and . _ -, at most 63")
    if address is not None and not address.startswith(("http://", "https://")):
        raise InputError(f"--address: {address!r} is no URL such as http://node-1:4566")
    pairs = [each.partition("=") for each in tags]
    for each, (key, _, value) in zip(tags, pairs, strict=True):
        if not NODE_ID.fullmatch(key) or not NODE_ID.fullmatch(value):
            raise InputError(f"--tag: {each!r} is no KEY=VALUE such as site=north")
    return NodePlace(node_id, address, {key: value for key, _, value in pairs})


def _overridden(node: NodeConfig, listen: str | None) -> NodeConfig:
    if listen is None:
        return node
    from pydantic import ValidationError

    try:
        server = type(node.server).model_validate({**node.server.model_dump(exclude_unset=True), "listen": listen})
    except ValidationError:
        raise InputError(f"--listen: {listen!r} is no HOST:PORT, such as 127.0.0.1:4566") from None
    return node.model_copy(update={"server": server})
