"""The command line: one file a family of verbs. Heavy imports (media, models) happen inside the verbs."""

from streamproc.cli.main import main

__all__ = ["main"]
