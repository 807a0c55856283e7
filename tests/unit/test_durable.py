"""Files that are written beside their place and renamed into it."""

from pathlib import Path

import pytest

from streamproc.durable import sync_folder, write_durably


def test_a_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path) -> None:
    place = tmp_path / "event.json"
    write_durably(place, b"first")
    with place.open("rb") as reader:
        write_durably(place, b"second")
        assert reader.read() == b"first", "who reads meanwhile reads the file that was there"
    sync_folder(tmp_path)
    assert place.read_bytes() == b"second"
    assert [each.name for each in tmp_path.iterdir()] == ["event.json"]


def test_what_a_crash_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".event.json.part").write_bytes(b"torn")
    write_durably(tmp_path / "event.json", b"whole")
    assert [each.name for each in tmp_path.iterdir()] == ["event.json"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_durably(tmp_path / "away" / "event.json", b"x")
