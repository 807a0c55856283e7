"""Single pictures: what is in them, faces in them, and two of them compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from streamproc.aws import face_documents as documents
from streamproc.aws.core import Core
from streamproc.aws.operations.table import Served
from streamproc.aws.operations.videos import label_filters
from streamproc.aws.pictures import fetch, keep_asked, wants_attributes
from streamproc.aws.video_documents import LABEL_MODEL_VERSION, bounding_box, label_words
from streamproc.aws.wire import Call
from streamproc.core.faces import QualityFilter
from streamproc.core.media import Image
from streamproc.logic.colours import Colour
from streamproc.perception.still_labels import LabelOptions
from streamproc.perception.stills import Part, colours_in, properties

_MIN_CONFIDENCE = 55.0
_MOST_LABELS = 1000
_MOST_COLOURS = 10
_NO_ROTATION = "pictures are turned upright by their own orientation tag"


async def detect_faces(core: Core, call: Call) -> dict[str, Any]:
    asked = call.input.get("Attributes") or ("DEFAULT",)
    faces = await core.workers.run(
        core.faces.searches.detect, await fetch(core, call.input["Image"]), attributes=wants_attributes(asked)
    )
    return {"FaceDetails": [keep_asked(detail, asked) for detail in documents.detected_faces(faces)["FaceDetails"]]}


async def compare_faces(core: Core, call: Call) -> dict[str, Any]:
    answer = await core.workers.run(
        core.faces.searches.compare,
        await fetch(core, call.input["SourceImage"], "SourceImage"),
        await fetch(core, call.input["TargetImage"], "TargetImage"),
        threshold=call.input.get("SimilarityThreshold", 80.0),
        quality_filter=QualityFilter(call.input.get("QualityFilter", "NONE")),
    )
    return documents.comparison(answer)


async def detect_labels(core: Core, call: Call) -> dict[str, Any]:
    data = await fetch(core, call.input["Image"])
    return await core.workers.run(_labels_document, core, call.input, data)


def _labels_document(core: Core, request: dict[str, Any], data: bytes) -> dict[str, Any]:
    image = core.faces.engine.decode(data)
    features = request.get("Features") or ["GENERAL_LABELS"]
    options = LabelOptions(request.get("MinConfidence", _MIN_CONFIDENCE), **label_filters(request))
    found = core.stills.labels(image, options)[: request.get("MaxLabels", _MOST_LABELS)]
    asked = ((request.get("Settings") or {}).get("ImageProperties") or {}).get("MaxDominantColors", _MOST_COLOURS)
    colours = asked if "IMAGE_PROPERTIES" in features else None
    document: dict[str, Any] = {}
    if "GENERAL_LABELS" in features:
        document["Labels"] = [_label(label, image, colours) for label in found]
        document["LabelModelVersion"] = LABEL_MODEL_VERSION
    if colours is not None:
        boxes = [each["box"] for label in found for each in label["instances"]]
        seen = properties(image, boxes, colours)
        parts = {"Foreground": seen.foreground, "Background": seen.background}
        document["ImageProperties"] = _part(seen.whole) | {
            name: _part(part) for name, part in parts.items() if part is not None
        }
    return document


def _label(label: dict[str, Any], image: Image, colours: int | None) -> dict[str, Any]:
    instances = []
    for each in label["instances"]:
        instance: dict[str, Any] = {"BoundingBox": bounding_box(each["box"]), "Confidence": each["confidence"]}
        if colours is not None:
            instance["DominantColors"] = _colours(colours_in(image, each["box"], colours))
        instances.append(instance)
    return {
        "Name": label["name"],
        "Confidence": label["confidence"],
        "Instances": instances,
        **label_words(label["entry"]),
    }


def _part(part: Part) -> dict[str, Any]:
    quality = part.quality
    return {
        "Quality": {
            "Brightness": quality.brightness,
            "Sharpness": quality.sharpness,
            "Contrast": quality.contrast,
        },
        "DominantColors": _colours(part.colours),
    }


def _colours(colours: Iterable[Colour]) -> list[dict[str, Any]]:
    return [
        {
            "Red": colour.red,
            "Green": colour.green,
            "Blue": colour.blue,
            "HexCode": colour.hex,
            "CSSColor": colour.css,
            "SimplifiedColor": colour.simplified,
            "PixelPercent": colour.share,
        }
        for colour in colours
    ]


OPERATIONS: dict[str, Served] = {
    "DetectLabels": Served(
        detect_labels,
        absent={"OrientationCorrection": _NO_ROTATION},
        notes="Labels are this node's own taxonomy; surest first. Foreground is what is inside the boxes of objects.",
    ),
    "DetectFaces": Served(detect_faces, absent={"OrientationCorrection": _NO_ROTATION}),
    "CompareFaces": Served(
        compare_faces,
        absent={
            "SourceImageOrientationCorrection": _NO_ROTATION,
            "TargetImageOrientationCorrection": _NO_ROTATION,
        },
    ),
}
