#!/usr/bin/env python3
"""What an installation takes: the packages that the wheel asks for, with everything these ask for, in megabytes on disk.

    .venv/bin/python scripts/closure.py [--extra demo] [--top 12]

Sizes are of the files that each installed package lists as its own, as they lie in the environment of this Python (compiled caches left out).
"""

from __future__ import annotations

import argparse
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def closure(root: str, extras: frozenset[str]) -> dict[str, int]:
    """Bytes by package: ``root`` and all that it needs here. PackageNotFoundError where one is not installed."""
    sizes: dict[str, int] = {}
    waiting = [(root, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        package = metadata.distribution(name)
        sizes[name] = _size(package)
        for text in package.requires or ():
            need = Requirement(text)
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append((canonicalize_name(need.name), frozenset(need.extras)))
    return sizes


def _size(package: metadata.Distribution) -> int:
    paths = (Path(str(file.locate())) for file in package.files or () if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--extra", action="append", default=[])
    parser.add_argument("--top", type=int, default=12, help="so many packages are listed")
    options = parser.parse_args()
    sizes = closure("streamproc", frozenset(options.extra))
    for name, size in sorted(sizes.items(), key=lambda item: -item[1])[: options.top]:
        print(f"{name:28} {size / 1e6:8.1f}")
    print(f"{f'{len(sizes)} packages':28} {sum(sizes.values()) / 1e6:8.1f} MB")


if __name__ == "__main__":
    main()
