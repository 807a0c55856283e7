"""A signal that comes while the verbs are still being imported."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

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


def imported(*words: str) -> set[str]:
    """The modules that a command line imports."""
    program = (
        "import sys; from streamproc.__main__ import main\ntry: main()\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_the_version_is_said_without_importing_a_verb() -> None:
    assert not imported("--version") & {"typer", "pydantic", "numpy", "rich"}


def test_faces_import_no_more_than_they_use(tmp_path: Path) -> None:
    """Nothing of video, servers, regions or sealing; inference only where a picture is looked at."""
    assert not imported("faces", "list", "--data-dir", str(tmp_path)) & {
        *("openvino", "av", "aiohttp", "botocore", "aiokafka", "aiortc", "shapely", "cryptography", "scenedetect"),
    }
