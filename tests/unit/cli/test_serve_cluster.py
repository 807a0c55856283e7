"""What a node says of its place in a cluster on its command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.daemon import run_cli


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--node-id", "north 1", "--node-id: 'north 1'; use letters"),
        ("--address", "north-1:4566", "--address: 'north-1:4566' is no URL"),
        ("--tag", "north", "--tag: 'north' is no KEY=VALUE"),
    ],
)
def test_a_wrong_place_is_refused(tmp_path: Path, option: str, value: str, words: str) -> None:
    done = run_cli("serve", "--config-dir", tmp_path, "--data-dir", tmp_path / "data", option, value)
    assert done.returncode == 2 and words in done.stderr
    assert not (tmp_path / "data").exists()
