"""Which face models are taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from streamproc.config.node import NodeFaceSettings
from streamproc.core.errors import ModelUnavailable
from streamproc.faces.choice import with_models

INTEL, FACE_API = "face_reidentification_retail_0095", "faceapi_recognition"
EVERYTHING = {"yunet", "centerface", INTEL, FACE_API}


@pytest.mark.parametrize(
    ("written", "made_with", "to_be_had", "detector", "embedder"),
    [
        ({}, [], EVERYTHING, "yunet", INTEL),
        ({}, [], {"centerface", FACE_API}, "centerface", FACE_API),
        # A collection stays with its embedder, whatever could be had now.
        ({}, [f"{FACE_API}/abc/1"], EVERYTHING, "yunet", FACE_API),
        ({}, [f"{INTEL}/abc/1"], {"centerface", FACE_API}, "centerface", INTEL),
        ({}, [f"{FACE_API}/abc/1", f"{INTEL}/abc/1"], EVERYTHING, "yunet", INTEL),
        ({}, ["somebody's own/1"], EVERYTHING, "yunet", INTEL),
        # What is written counts.
        ({"detector": "yunet", "embedder": INTEL}, [f"{FACE_API}/abc/1"], {FACE_API}, "yunet", INTEL),
        ({"embedder": FACE_API}, [], EVERYTHING, "yunet", FACE_API),
    ],
)
def test_what_is_taken(
    written: dict[str, Any], made_with: list[str], to_be_had: set[str], detector: str, embedder: str
) -> None:
    def first_had(names: Sequence[str]) -> str:
        return next(name for name in names if name in to_be_had)

    found = with_models(NodeFaceSettings(**written), made_with, first_had)
    assert (found.detector, found.embedder) == (detector, embedder)


def test_nothing_can_be_had() -> None:
    def none(names: Sequence[str]) -> str:
        raise ModelUnavailable("no source could be reached")

    with pytest.raises(ModelUnavailable):
        with_models(NodeFaceSettings(), [], none)
