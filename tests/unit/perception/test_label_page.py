"""docs/labels.md is what the command writes."""

from pathlib import Path

from streamproc.perception.label_page import page

PAGE = Path(__file__).resolve().parents[3] / "docs" / "labels.md"


def test_the_page_of_labels_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "make docs"


def test_every_label_has_something_that_finds_it():
    rows = [line.split(" | ") for line in page().splitlines() if line.startswith("| ") and line.count(" | ") == 4]
    assert len(rows) > 600
    assert [row[0] for row in rows if not row[3].strip()] == []
