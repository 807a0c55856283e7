"""Where models come from, a user's own models, and which model plays which part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from streamproc.config.base import Settings

Adapter = Literal[
    "yolox",
    "ssd_tflite",
    "deimv2",
    "ssd_detection_output",
    "boxes_labels",
    "mobile_localizer",
    "classifier",
    "yunet",
    "centerface",
    "embedding",
    "embedding_bank",
]
Side = Annotated[int, Field(ge=32, le=4096)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]
Alternatives = Annotated[Names, BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)]


class OwnModel(Settings):
    """A model file of the user's: OpenVINO IR (.xml with its .bin beside it), ONNX or TFLite."""

    path: Path
    """The model file."""
    adapter: Adapter
    """How it is fed and read; docs/models.md says what each expects."""
    labels: tuple[str, ...] | Path | None = None
    """Class names by index: a list, or a text file with one a line. Left out: COCO's 80, or the adapter's own."""
    size: tuple[Side, Side] | None = None
    """[width, height] to feed it; left out: what the file says."""
    bank: Path | None = None
    """Of an embedding_bank: the words with their vectors, .npz or .json."""
    licence: str = "own"

    @model_validator(mode="after")
    def _bank_belongs(self) -> Self:
        if (self.bank is not None) != (self.adapter == "embedding_bank"):
            raise ValueError("adapter: embedding_bank and bank: FILE go together; give both or neither")
        return self


class Profile(Settings):
    """Which models see for the labels. What is left out is as in the default profile."""

    person: Names = ("yolox_nano", "nanodet_g", "ssd_oidv4")
    """The first of these that can be had."""
    pet: Names = ("ssd_oidv4", "deimv2_femto", "yolox_nano")
    """All of these that can be had, merged."""
    proposals: Annotated[tuple[str | Names, ...], Field(min_length=1)] = (
        ("deimv2_femto", "nanodet_g"),
        "mobile_object_localizer",
        "ssd_oidv4",
    )
    """Where a package could be: all of these that can be had; of a list within the list only the first."""
    verifier: Alternatives = ("mobilenet_v2", "efficientnet_lite0")
    """The classifier that says whether it is one: one name, or a list of which the first that can be had is used."""


class ModelSettings(Settings):
    """Where models come from, and a user's own."""

    mirror: Path | None = None
    """A folder that is tried first (air-gapped sites)."""
    device: str = "CPU"
    """OpenVINO's device name."""
    precision: Literal["f32", "bf16", "f16"] = "f32"
    """INFERENCE_PRECISION_HINT; f32 gives the same numbers on every machine."""
    own: dict[str, OwnModel] = {}
    """Own models by name; a name of the catalogue replaces that model."""
    profiles: dict[str, Profile] = {}
    """Own profiles by name; ``default``, ``accurate``, ``registry`` and ``small`` are there without."""

    def below(self, folder: Path) -> ModelSettings:
        """The same with relative paths taken from ``folder``, where the document lies."""
        own = {}
        for name, model in self.own.items():
            update: dict[str, object] = {"path": _below(folder, model.path)}
            if isinstance(model.labels, Path):
                update["labels"] = _below(folder, model.labels)
            if model.bank is not None:
                update["bank"] = _below(folder, model.bank)
            own[name] = model.model_copy(update=update)
        mirror = None if self.mirror is None else _below(folder, self.mirror)
        return self.model_copy(update={"mirror": mirror, "own": own})


def _below(folder: Path, path: Path) -> Path:
    return folder / path.expanduser()
