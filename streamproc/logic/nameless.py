"""Documents for somebody who may not know who was seen: everything but the people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.core.classes import Group
from streamproc.logic.event_query import FACES

_PEOPLE = frozenset({"person", "persons", "unknown_faces"})
_CLASSES = frozenset(group.value for group in Group)


def nameless(document: Mapping[str, Any]) -> dict[str, Any]:
    """An event, a processor or a look without people: names, announcements of faces, whose face a box is."""
    shown = {key: value for key, value in document.items() if key not in _PEOPLE}
    session = shown.get("session")
    if isinstance(session, Mapping) and "announced" in session:
        announced = {key: at for key, at in session["announced"].items() if key.partition(":")[0] not in FACES}
        shown["session"] = {**session, "announced": announced}
    if "boxes" in shown:
        shown["boxes"] = [box if box["label"] in _CLASSES else {**box, "label": "face"} for box in shown["boxes"]]
    return shown
