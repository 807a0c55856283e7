"""``passwd``: the line for the environment variable of one of ``server.users``."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from streamproc.cli.output import errors_said, put, put_json
from streamproc.core.errors import InputError

SHORTEST = 8


def passwd(as_json: Annotated[bool, typer.Option("--json", help="JSON only on standard output.")] = False) -> None:
    """Print the hash of a password: asked for twice at a terminal, the first line of standard input elsewhere."""
    with errors_said():
        from streamproc.web.passwords import hash_password

        hashed = hash_password(_password())
        if as_json:
            put_json({"hash": hashed})
        else:
            put(hashed)


def _password() -> str:
    if sys.stdin.isatty():
        password = getpass.getpass("password: ")
        if getpass.getpass("once more: ") != password:
            raise InputError("the two were not the same; try again")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise InputError("the password is empty; type it, or give it on standard input")
    if len(password) < SHORTEST and sys.stdin.isatty():
        raise InputError(f"the password has fewer than {SHORTEST} characters; choose a longer one")
    return password
