"""Copy the console's libraries out of npm's packages: ``python scripts/vendor.py [NAME@VERSION]``.

Without an argument every library of ``PINNED`` is fetched anew; with one, that library in that version. ``npm`` checks each package
against the registry's checksum; the files are copied as they are and listed in ``vendor.json`` with their own. ``tests/unit/console/test_vendor.py``
compares them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VENDOR = Path(__file__).resolve().parent.parent / "streamproc" / "console" / "static" / "vendor"


@dataclass(frozen=True)
class Library:
    """A package, and which of its files the pages load under which name."""

    version: str
    files: dict[str, str]


PINNED = {
    "preact": Library("11.2.0", {"dist/preact.mjs": "preact.mjs", "hooks/dist/hooks.mjs": "preact-hooks.mjs"}),
    "htm": Library("3.1.1", {"dist/htm.mjs": "htm.mjs"}),
    "@preact/signals-core": Library("1.14.5", {"dist/signals-core.mjs": "signals-core.mjs"}),
    "@preact/signals": Library("2.11.4", {"dist/signals.mjs": "signals.mjs"}),
}
LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt")


def main(arguments: list[str]) -> None:
    """Fetch what was asked for, and write ``vendor.json`` anew."""
    listed: dict[str, Any] = (
        json.loads((VENDOR / "vendor.json").read_text()) if (VENDOR / "vendor.json").exists() else {}
    )
    wanted = {name: library.version for name, library in PINNED.items()}
    if arguments:
        name, _, version = arguments[0].rpartition("@")
        if name not in PINNED or not version:
            raise SystemExit(
                f"name one of {', '.join(PINNED)} with its version, such as preact@{PINNED['preact'].version}"
            )
        wanted = {name: version}
    VENDOR.mkdir(parents=True, exist_ok=True)
    for name, version in wanted.items():
        listed[name] = fetch(name, version)
        print(f"{name} {version}: {', '.join(listed[name]['files'])}")
    (VENDOR / "vendor.json").write_text(json.dumps(dict(sorted(listed.items())), indent=2, ensure_ascii=False) + "\n")


def fetch(name: str, version: str) -> dict[str, Any]:
    """Copy a package's files; its entry of ``vendor.json``."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", "--json", "--pack-destination", folder, f"{name}@{version}"],
            check=True,
            capture_output=True,
            text=True,
        )
        facts = json.loads(packed.stdout)
        facts = facts[0] if isinstance(facts, list) else next(iter(facts.values()))
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:

            def read(path: str) -> bytes | None:
                try:
                    file = archive.extractfile(f"package/{path}")
                except KeyError:
                    return None
                return file.read() if file else None

            manifest = json.loads(read("package.json") or b"{}")
            files = {}
            for source, target in PINNED[name].files.items():
                body = read(source)
                if body is None:
                    raise SystemExit(f"{name}@{version} has no {source}; look where it went and fix PINNED")
                (VENDOR / target).write_bytes(body)
                files[target] = {"from": source, "sha256": hashlib.sha256(body).hexdigest()}
            licence = next((text for file in LICENCE_FILES if (text := read(file))), None)
    return {
        "version": version,
        "licence": manifest["license"],
        "licence_text": licence.decode() if licence else None,
        "integrity": facts["integrity"],
        "files": files,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
