"""Single pictures: faces in them, and two of them compared."""

from __future__ import annotations

from typing import Any

from streamproc.aws import face_documents as documents
from streamproc.aws.core import Core
from streamproc.aws.operations.table import Served
from streamproc.aws.pictures import fetch, keep_asked, wants_attributes
from streamproc.aws.wire import Call
from streamproc.core.faces import QualityFilter

_NO_ROTATION = "pictures are turned upright by their own orientation tag"


async def detect_faces(core: Core, call: Call) -> dict[str, Any]:
    asked = call.input.get("Attributes") or ("DEFAULT",)
    faces = await core.workers.run(
        core.faces.detect_faces, await fetch(core, call.input["Image"]), attributes=wants_attributes(asked)
    )
    return {"FaceDetails": [keep_asked(detail, asked) for detail in documents.detected_faces(faces)["FaceDetails"]]}


async def compare_faces(core: Core, call: Call) -> dict[str, Any]:
    answer = await core.workers.run(
        core.faces.compare_faces,
        await fetch(core, call.input["SourceImage"], "SourceImage"),
        await fetch(core, call.input["TargetImage"], "TargetImage"),
        threshold=call.input.get("SimilarityThreshold", 80.0),
        quality_filter=QualityFilter(call.input.get("QualityFilter", "NONE")),
    )
    return documents.comparison(answer)


OPERATIONS: dict[str, Served] = {
    "DetectFaces": Served(detect_faces, absent={"OrientationCorrection": _NO_ROTATION}),
    "CompareFaces": Served(
        compare_faces,
        absent={
            "SourceImageOrientationCorrection": _NO_ROTATION,
            "TargetImageOrientationCorrection": _NO_ROTATION,
        },
    ),
}
