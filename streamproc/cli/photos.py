"""Photos that are named on the command line: whom they show, their bytes, and their names in what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streamproc.core.errors import InputError, MediaError

_PHOTOS = {".jpg", ".jpeg", ".png"}


def people(photos: list[Path], name: str | None) -> Iterator[tuple[Path, str]]:
    """Every photo with whom it shows. Folders are gone through; each holds one person unless a name is given."""
    found = False
    for path in photos:
        if path.is_dir():
            for photo in sorted(each for each in path.rglob("*") if each.suffix.lower() in _PHOTOS and each.is_file()):
                found = True
                yield photo, name or photo.parent.name
        elif name is None:
            raise InputError(f"{path}: give --name NAME (without it only folders are taken, one for each person)")
        else:
            found = True
            yield path, name
    if not found:
        raise InputError(f"{', '.join(str(path) for path in photos)}: no photos (.jpg, .jpeg, .png) in there")


def read_photo(photo: Path) -> bytes:
    try:
        return photo.read_bytes()
    except OSError as error:
        raise MediaError(f"cannot be read ({error.strerror})") from error


class naming:
    """Puts the file's name before what is wrong with it."""

    def __init__(self, photo: Path) -> None:
        self._photo = photo

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            raise InputError(f"{self._photo}: {error}") from error


def evidence(wrong: str, data_dir: Path) -> bytes:
    """A photo's bytes, or the crop of an event that is still kept."""
    path = Path(wrong)
    if path.is_file():
        return path.read_bytes()
    from streamproc.store.spool import Spool

    session, _, _ = wrong.rpartition("-")
    try:
        pictures = Spool(data_dir / "spool").read(session, wrong) if session else None
    except ValueError:
        pictures = None
    if pictures is None:
        raise InputError(f"--not {wrong}: no such photo, and no event of that id whose pictures are still kept")
    return pictures.crop
