"""The cache of model files: looked up, fetched when missing, verified always."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

from streamproc.config.model_settings import OwnModel
from streamproc.contracts import ModelFiles
from streamproc.core.errors import ModelUnavailable, NotFound
from streamproc.vision.catalogue import Model, ModelFile
from streamproc.vision.catalogue_file import catalogue, own_model
from streamproc.vision.fetch import Fetcher, FetchFailed, Progress, describe, matches

log = structlog.get_logger(__name__)


def default_cache() -> Path:
    """``$STREAMPROC_MODELS``, else ``streamproc/models`` in the XDG cache."""
    if chosen := os.environ.get("STREAMPROC_MODELS"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "streamproc" / "models"


def default_mirror() -> Path | None:
    """``$STREAMPROC_MODEL_MIRROR``, where set."""
    chosen = os.environ.get("STREAMPROC_MODEL_MIRROR")
    return Path(chosen).expanduser() if chosen else None


class ModelStore:
    """Model files by catalogue name. Thread-safe.

    A mirror folder is tried first: ``MIRROR/FILE`` or ``MIRROR/MODEL/FILE``.
    """

    def __init__(
        self,
        cache: Path | None = None,
        mirror: Path | None = None,
        own: Mapping[str, OwnModel] | None = None,
        progress: Progress | None = None,
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self.cache = cache or default_cache()
        self.mirror = mirror or default_mirror()
        self._models = catalogue() if models is None else models
        self._own = dict(own or {})
        self._fetcher = Fetcher(self.cache, progress)
        self._lock = threading.Lock()
        self._verified: dict[str, ModelFiles] = {}

    def get(self, name: str) -> ModelFiles:
        """The model's files, fetched if need be. Raises NotFound (no such model) or ModelUnavailable (with every reason)."""
        if name in self._own:
            return self._own_files(name)
        model = self.find(name)
        with self._lock:
            if name not in self._verified:
                self._verified[name] = self._cached(model) or self._fetched_anew(model)
            return self._verified[name]

    def find(self, name: str) -> Model:
        """The catalogue entry, or the user's own model made to look like one. Raises NotFound."""
        if own := self._own.get(name):
            return own_model(name, own)
        try:
            return self._models[name]
        except KeyError:
            raise NotFound(f"there is no model {name!r}; known are {', '.join(sorted(self.names()))}") from None

    def names(self) -> tuple[str, ...]:
        """All known models: the catalogue's and the user's."""
        return tuple(dict.fromkeys([*self._models, *self._own]))

    def cached(self, name: str) -> ModelFiles | None:
        """The model's files if the cache holds them whole and right; nothing is fetched."""
        if name in self._own:
            return self._own_files(name) if self._own[name].path.expanduser().is_file() else None
        return self._cached(self.find(name))

    def present(self, name: str) -> bool:
        """Whether files of the right names lie in the cache, right or not."""
        if name in self._own:
            return self._own[name].path.expanduser().is_file()
        model = self.find(name)
        return any(all(self._path(model, file).is_file() for file in build) for build in model.builds)

    def insist(self) -> None:
        """Ask every host, also those that did not answer another process a few minutes ago."""
        self._fetcher.insists = True

    def unreachable(self) -> dict[str, str]:
        """Hosts that lately did not answer, with the reason."""
        return self._fetcher.unreachable()

    def close(self) -> None:
        """Remove temporary downloads."""
        self._fetcher.close()

    def _own_files(self, name: str) -> ModelFiles:
        own = self._own[name]
        path = own.path.expanduser()
        paths = {"model": path}
        if path.suffix == ".xml":
            paths["weights"] = path.with_suffix(".bin")
        if isinstance(own.labels, Path):
            paths["labels"] = own.labels.expanduser()
        if own.bank is not None:
            paths["bank"] = own.bank.expanduser()
        for file in paths.values():
            if not file.is_file():
                raise ModelUnavailable(f"models.own.{name}: {file} is no file; name one that this user can read")
        return ModelFiles(name, paths)

    def _path(self, model: Model, file: ModelFile) -> Path:
        return self.cache / model.name / file.name

    def _files(self, model: Model, build: tuple[ModelFile, ...]) -> ModelFiles:
        return ModelFiles(model.name, {file.role: self._path(model, file) for file in build})

    def _cached(self, model: Model) -> ModelFiles | None:
        for build in model.builds:
            if all(self._path(model, file).is_file() and matches(file, self._path(model, file)) for file in build):
                return self._files(model, build)
        return None

    def _fetched_anew(self, model: Model) -> ModelFiles:
        if self.present(model.name):
            log.warning("model_cache_damaged", model=model.name, folder=str(self.cache / model.name))
        return self._fetched(model)

    def _fetched(self, model: Model) -> ModelFiles:
        reasons: list[str] = []
        if self.mirror is not None and not self.mirror.is_dir():
            reasons.append(f"mirror {self.mirror} is no folder")
        for build in model.builds:
            try:
                if self._fetch_build(model, build, reasons):
                    return self._files(model, build)
            except OSError as error:
                reasons.append(f"{self.cache / model.name} cannot be written ({error.strerror})")
        with suppress(OSError):
            (self.cache / model.name).rmdir()
        raise ModelUnavailable(
            f"model {model.name} cannot be had: {'; '.join(dict.fromkeys(reasons))}. "
            "Put its files into a folder and name that as models.mirror or STREAMPROC_MODEL_MIRROR"
        )

    def _fetch_build(self, model: Model, build: tuple[ModelFile, ...], reasons: list[str]) -> bool:
        folder = self.cache / model.name
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder) as scratch:
            for file in build:
                if not self._fetch_file(model, file, Path(scratch) / file.name, reasons):
                    return False
            for file in build:
                (Path(scratch) / file.name).replace(self._path(model, file))
        return True

    def _fetch_file(self, model: Model, file: ModelFile, target: Path, reasons: list[str]) -> bool:
        for copy in self._mirrored(model, file):
            if matches(file, copy):
                shutil.copyfile(copy, target)
                return True
            reasons.append(f"{copy} has other bytes than the catalogue says")
        for source in file.sources:
            try:
                self._fetcher.fetch(source, file, target)
            except FetchFailed as error:
                reasons.append(f"{file.name}: {error}")
                continue
            if matches(file, target):
                return True
            reasons.append(f"{describe(source)} gave other bytes than the catalogue says")
        return False

    def _mirrored(self, model: Model, file: ModelFile) -> list[Path]:
        if self.mirror is None:
            return []
        return [path for path in (self.mirror / file.name, self.mirror / model.name / file.name) if path.is_file()]
