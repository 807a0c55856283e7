"""Which models the faces of this node are seen with, where its config does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from streamproc.config.node import NodeFaceSettings

DETECTORS = ("yunet", "centerface")
EMBEDDERS = ("face_reidentification_retail_0095", "faceapi_recognition")
"""Best first (``python -m benchmarks.faces_accuracy``)."""


def with_models(
    settings: NodeFaceSettings, collections: Iterable[str], first_had: Callable[[Sequence[str]], str]
) -> NodeFaceSettings:
    """The settings with a detector and an embedder: those that the config names, else what can be had.

    ``collections``: the models (``name/version``) that the node's collections were made with. They belong to their embedder: where there
    are any, no other is taken for it. ``first_had`` gives the first model of some that can be had; what it raises is passed on.
    """
    chosen: dict[str, str] = {}
    if "detector" not in settings.model_fields_set:
        chosen["detector"] = first_had(DETECTORS)
    if "embedder" not in settings.model_fields_set:
        made_with = {model.partition("/")[0] for model in collections} & set(EMBEDDERS)
        bound = [name for name in EMBEDDERS if name in made_with][:1]
        chosen["embedder"] = bound[0] if bound else first_had(EMBEDDERS)
    return settings.model_copy(update=chosen)
