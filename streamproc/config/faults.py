"""What pydantic finds wrong in a document, as faults with field, line and fix."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic import BaseModel, ValidationError

from streamproc.config.base import WRONG_FIELD
from streamproc.config.yaml_file import Document, Path_, field_name
from streamproc.core.errors import Fault
from streamproc.logic.redact import HIDDEN, echo, may_be_echoed


def faults_of(
    error: ValidationError, document: Document, model: type[BaseModel] | None = None, prefix: Path_ = ()
) -> list[Fault]:
    """Pydantic's errors as faults with field and line, in file order."""
    faults = []
    items = error.errors(include_url=False, include_input=True)
    for item in items:
        if item["type"] == "too_short" and any(_inside(other["loc"], item["loc"]) for other in items):
            continue  # short only because the wrong ones were left out
        at = (item["ctx"]["field"],) if item["type"] == WRONG_FIELD else ()
        where = prefix + tuple(part for part in item["loc"] if _in_document(part)) + at
        line = document.line(where) if (where in document.lines or not where) else document.line(where[:-1])
        fault = Fault(field_name(where), _words(item, model if not prefix else None), line)
        if fault not in faults:
            faults.append(fault)
    return sorted(faults, key=lambda fault: fault.line or 0)


def _inside(inner: tuple[str | int, ...], outer: tuple[str | int, ...]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _in_document(part: str | int) -> bool:
    """Pydantic names union members and validators within a location; those are no keys of the file."""
    return isinstance(part, int) or bool(re.fullmatch(r"[A-Za-z0-9_.\-:/*]+", part))


def _words(item: Any, model: type[BaseModel] | None) -> str:
    kind, said = item["type"], item["msg"]
    if kind == "missing":
        return "missing; add it"
    if kind == "extra_forbidden":
        key = str(item["loc"][-1])
        known = _known_keys(model, item["loc"][:-1]) if model else []
        close = difflib.get_close_matches(key, known, 1)
        if close:
            return f"unknown key; did you mean {close[0]}?"
        return f"unknown key; remove it{' or use one of ' + ', '.join(known) if known else ''}"
    if kind == WRONG_FIELD:
        return str(said)
    echoed = may_be_echoed(item["loc"]) and not isinstance(item["input"], dict | list | tuple)
    repeated = echo(item["input"]) if echoed else HIDDEN
    shown = "" if repeated == HIDDEN else f", not {repeated}"
    if kind in ("tuple_type", "list_type"):
        return f"write a list, such as [first, second]{shown}"
    if kind == "too_short" and item["ctx"]["actual_length"] == 0:
        return "the list is empty; write something into it or leave the key out"
    if kind in ("too_short", "too_long") and item["ctx"]["field_type"] in ("Tuple", "List"):
        least, most = item["ctx"].get("min_length"), item["ctx"].get("max_length")
        words = f"the list needs at least {least}" if kind == "too_short" else f"the list may have at most {most}"
        return f"{words} entries, not {item['ctx']['actual_length']}"
    if kind in ("model_type", "model_attributes_type"):
        return f"write keys and their values, such as {{name: value}}{shown}"
    if kind == "value_error":
        return str(said).removeprefix("Value error, ")
    return f"{said[:1].lower()}{said[1:]}{shown}"


def _known_keys(model: type[BaseModel] | None, where: tuple[str | int, ...]) -> list[str]:
    """The keys that may stand at ``where``; empty where that is not known."""
    for part in where:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if model is not None else None
        model = _model_in(field.annotation) if field is not None else None
    return sorted(model.model_fields) if model is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None
