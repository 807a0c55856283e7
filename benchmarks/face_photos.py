"""The face photos of a corpus: who is on which, by the layout of its ``faces`` folder.

Any folder with a ``pairs.csv`` (file, file, Yes|No): people are what ``Yes`` joins. Any other folder whose subfolders hold photos: each
subfolder is a person. ``video_gallery``: each photo is a person by its name. Everything else, and ``images``, is strangers.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True, slots=True)
class FacePhoto:
    """One photo; its largest face is ``person``'s, or with no person every face is a stranger's."""

    path: Path
    person: str | None


def face_photos(corpus: Path) -> list[FacePhoto]:
    """Every photo, in a fixed order; one content is listed once."""
    found: dict[bytes, FacePhoto] = {}
    for photo in _all(corpus):
        content = photo.path.read_bytes()
        known = found.get(content)
        if known is None or known.person is None:
            found[content] = photo
    return sorted(found.values(), key=lambda photo: str(photo.path))


def _all(corpus: Path) -> Iterator[FacePhoto]:
    faces = corpus / "faces"
    folders = sorted({path.parent for path in faces.rglob("*") if path.suffix.lower() in SUFFIXES})
    for folder in folders:
        if (folder / "pairs.csv").is_file():
            yield from _joined(folder)
        elif folder.name == "video_gallery":
            yield from (FacePhoto(path, _plain(path.stem)) for path in _photos(folder))
        elif folder.parent != faces and folder.name != "test":
            yield from (FacePhoto(path, _plain(folder.name)) for path in _photos(folder))
        elif folder.name != "test":
            yield from (FacePhoto(path, None) for path in _photos(folder))
    if (corpus / "images").is_dir():
        yield from (
            FacePhoto(path, None) for path in sorted((corpus / "images").rglob("*")) if path.suffix.lower() in SUFFIXES
        )


def _joined(folder: Path) -> Iterator[FacePhoto]:
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        parent.setdefault(name, name)
        return name if parent[name] == name else root(parent[name])

    with (folder / "pairs.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            one, other, same = row["file_x"], row["file_y"], row["Decision"]
            one, other = sorted((root(one), root(other)))
            if same.strip().lower() == "yes":
                parent[other] = one
    for path in _photos(folder):
        if path.name in parent:
            yield FacePhoto(path, f"{folder.name}:{root(path.name)}")


def _photos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)


def _plain(name: str) -> str:
    """One person may lie in two folders: alex-lacamoire, alex_lacamoire."""
    return name.lower().replace("-", "_").replace(" ", "_")
