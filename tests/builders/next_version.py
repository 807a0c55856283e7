"""A copy of this checkout's packages that keeps its state in a later version, as the next release may: what a rolling update meets."""

from __future__ import annotations

import shutil
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
RECORD = """
VERSIONS = Versions(
    VERSIONS.kind,
    VERSIONS.newest + 1,
    up={VERSIONS.newest: lambda found: found},
    down={VERSIONS.newest: lambda found: found},
)
"""
"""A lane's record under another number, which the version before refuses."""
SNAPSHOT = """
VERSIONS = Versions(
    VERSIONS.kind,
    VERSIONS.newest + 1,
    up={VERSIONS.newest: lambda found: found | {"mood": "calm"}},
    down={VERSIONS.newest: lambda found: {key: found[key] for key in found if key != "mood"}},
)


def _encode(self):
    return pack(KIND, VERSIONS.newest, to_document(self) | {"mood": "calm"})


def _decode(cls, data):
    version, document = unpack_any(data, KIND)
    document = dict(VERSIONS.raised(document, version))
    assert document.pop("mood") == "calm"
    return from_document(cls, document)


LaneSnapshot.encode, LaneSnapshot.decode = _encode, classmethod(_decode)
"""
"""A lane's state with a field more, which the version before refuses."""
FORMATS = """
_last = FORMATS[newest()]
FORMATS = {**FORMATS, newest() + 1: Format(_last.record + 1, _last.snapshot + 1)}
"""


def next_version(folder: Path) -> dict[str, str]:
    """Make the copy there; the environment with which ``python -m streamproc`` is that copy."""
    for package in ("streamproc", "connectors"):
        shutil.copytree(PROJECT / package, folder / package)  # with what is compiled of them
    changes = {"store/takeover.py": RECORD, "pipeline/snapshot.py": SNAPSHOT, "cluster/formats.py": FORMATS}
    for name, more in changes.items():
        with (folder / "streamproc" / name).open("a") as file:
            file.write(more)
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}  # not the folder that it is started in
