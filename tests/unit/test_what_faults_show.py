"""The table of docs/faults.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)`((?:[, ]+`test_\w+`)+)")


def test_every_line_of_the_table_names_a_test_that_there_is() -> None:
    table = (PROJECT / "docs" / "faults.md").read_text().partition("## What shows it")[2]
    rows = [
        line for line in table.splitlines() if line.startswith("| ") and not line.startswith(("| what", "| ---", "|--"))
    ]
    assert len(rows) > 50
    for row in rows:
        named = NAMED.findall(row)
        assert named, f"no test is named: {row}"
        for path, tests in named:
            text = (PROJECT / path).read_text()
            missing = [name for name in re.findall(r"test_\w+", tests) if f"def {name}(" not in text]
            assert not missing, f"{path} has no {missing}"
