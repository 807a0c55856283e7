"""The console's libraries are the packages' own files, with their licences."""

from __future__ import annotations

import hashlib
import json
import re

from scripts.vendor import PINNED, VENDOR

FREE = {"MIT", "Apache-2.0", "BSD-3-Clause", "0BSD", "ISC"}
LISTED = json.loads((VENDOR / "vendor.json").read_text())


def test_every_file_is_listed_with_its_hash() -> None:
    known = {name: facts["sha256"] for library in LISTED.values() for name, facts in library["files"].items()}
    present = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir() if path.suffix != ".json"
    }
    assert present == known, "run scripts/vendor.py"


def test_versions_are_the_pinned_ones_and_licences_free() -> None:
    assert {name: library["version"] for name, library in LISTED.items()} == {
        name: library.version for name, library in PINNED.items()
    }
    for name, library in LISTED.items():
        assert library["licence"] in FREE, name
        assert len(library["licence_text"] or "") > 500, name
        assert library["integrity"].startswith("sha512-")


def test_imports_are_mapped_and_lead_nowhere_else() -> None:
    static = VENDOR.parent
    page = (static / "index.html").read_text()
    mapped = set(json.loads(re.search(r'importmap">(.*?)</script>', page, re.DOTALL).group(1))["imports"])  # type: ignore[union-attr]
    for path in static.rglob("*.mjs"):
        text = path.read_text()
        for found in re.findall(r'(?m)^import .*?"([^"]+)";', text):
            assert found in mapped or (path.parent / found).resolve().is_file(), f"{path.name} imports {found}"


def test_no_file_of_ours_names_another_host_or_writes_html() -> None:
    for path in [*VENDOR.parent.glob("*.*"), *(VENDOR.parent / "pages").glob("*")]:
        text = path.read_text()
        assert not re.search(r"\bhttps?://(?!www\.w3\.org/2000/svg| address)", text), path.name
        assert not re.search(r"innerHTML|dangerouslySetInnerHTML|\beval\(|new Function", text), path.name
