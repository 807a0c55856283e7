"""The service's way to name an embedder: digits and dots."""

from __future__ import annotations

from typing import Final

_NUMBERS: Final = {"face_reidentification_retail_0095": "95", "faceapi_recognition": "128"}


def model_version(model: str) -> str:
    """``95.1`` of ``face_reidentification_retail_0095/241229ca3d20/1``: clients expect digits and dots, and nothing else."""
    name, _, rest = model.partition("/")
    revision = "".join(digit for digit in rest.rpartition("/")[2] if digit.isdigit())
    return f"{_NUMBERS.get(name, '0')}.{revision or '1'}"
