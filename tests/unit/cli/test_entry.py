"""A signal that comes while the verbs are still being imported."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

IMPORTING = """
import os, sys, types
from streamproc import __main__ as entry
verbs = types.ModuleType("streamproc.cli")
verbs.main = lambda: (os.kill(os.getpid(), int(sys.argv[2])), print("went on"))
sys.modules["streamproc.cli"] = verbs
entry.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("verb", ["run", "serve"])
def test_before_anything_began_a_signal_ends_it_well(verb: str, number: signal.Signals) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTING, verb, str(int(number))], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_verb_that_answers_has_failed_then() -> None:
    command = [sys.executable, "-c", IMPORTING, "replay", str(int(signal.SIGTERM))]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGTERM
