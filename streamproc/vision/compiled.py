"""Models as OpenVINO has compiled them, kept in files: a process that starts again has its models in a fraction of the time."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import openvino as ov
import structlog

from streamproc.durable import write_durably

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a compiled model was made of. Two processes with the same recipe would compile the same."""

    model: Path
    """Its main file; whatever lies beside that may belong to it."""
    steps: str
    """What is done to the model before it is compiled, in words that change whenever that does."""
    device: str
    config: Mapping[str, Any]

    @property
    def file_name(self) -> str:
        """One file for one use of a model, so that what is out of date is replaced."""
        use = f"{self.model.absolute()} {self.steps} {self.device}"
        return f"{self.model.stem}-{hashlib.sha256(use.encode()).hexdigest()[:16]}.compiled"

    def fingerprint(self, core: ov.Core) -> str:
        """Of all that the outcome depends on: files, our code, OpenVINO, the processor. Raises OSError where the model cannot be read."""
        beside = sorted(self.model.parent.iterdir())
        files = [(each.name, (found := each.stat()).st_size, found.st_mtime_ns) for each in beside if each.is_file()]
        parts = [files, self.steps, _code(), ov.get_version(), _machine(core, self.device), sorted(self.config.items())]
        return hashlib.sha256(repr(parts).encode()).hexdigest()


class CompiledModels:
    """Files of compiled models in one folder. Never raises: where nothing can be kept, models are compiled each time. Any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, core: ov.Core, recipe: Recipe) -> tuple[ov.CompiledModel, tuple[str, ...]] | None:
        """The compiled model and its outputs' names; None where it has to be compiled. A damaged file is not given to OpenVINO."""
        try:
            head, _, blob = (self._folder / recipe.file_name).read_bytes().partition(b"\n")
            told = json.loads(head)
            if told["fingerprint"] != recipe.fingerprint(core) or told["crc32"] != zlib.crc32(blob):
                return None
            return core.import_model(blob, recipe.device, dict(recipe.config)), tuple(told["outputs"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            log.debug("compiled_model_not_used", model=recipe.model.name, reason=str(error).strip()[-200:])
            return None

    def keep(self, core: ov.Core, recipe: Recipe, compiled: ov.CompiledModel, outputs: tuple[str, ...]) -> None:
        """For the next process."""
        try:
            blob = _exported(compiled)
            head = {"fingerprint": recipe.fingerprint(core), "crc32": zlib.crc32(blob), "outputs": outputs}
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(self._folder / recipe.file_name, json.dumps(head).encode() + b"\n" + blob)
        except (OSError, RuntimeError) as error:
            log.debug("compiled_model_not_kept", model=recipe.model.name, reason=str(error).strip()[-200:])


def _exported(compiled: ov.CompiledModel) -> bytes:
    blob = compiled.export_model()
    return blob if isinstance(blob, bytes) else bytes(blob.getvalue())


@cache
def _code() -> str:
    """A hash of the modules that read models and put them into shape."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _machine(core: ov.Core, device: str) -> str:
    return f"{core.get_property(device, 'FULL_DEVICE_NAME')} {core.get_property(device, 'OPTIMIZATION_CAPABILITIES')}"
