"""``streamproc`` and ``python -m streamproc``: hears signals from the first instant on, then calls the command line."""

from __future__ import annotations

import signal
import sys
from types import FrameType

DRAINING = {"run", "serve", "demo"}
"""Verbs that SIGINT and SIGTERM end well. Before their loop listens itself nothing has begun, so there is nothing to drain."""


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """The console script. Importing the verbs takes a second or more on a small box; a signal in it is no failure."""
    if sys.argv[1:] == ["--version"]:  # not worth importing any verb
        from importlib.metadata import version

        sys.stdout.write(version("streamproc") + "\n")
        return
    if DRAINING.intersection(sys.argv[1:2]):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave)
    from streamproc.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
