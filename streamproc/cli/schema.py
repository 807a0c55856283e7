"""JSON Schema of the config documents, the connectors' own settings included."""

from __future__ import annotations

import importlib.util
from typing import Any

from connectors.catalog import Role, names, settings_class
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def processor_schema() -> dict[str, Any]:
    """Of ``processors/NAME.yaml``."""
    document = ProcessorConfig.model_json_schema()
    document["$schema"] = DIALECT
    document["title"] = "streamproc processor"
    document["properties"]["source"] = _either("source", document)
    document["properties"]["outputs"]["items"] = _either("sink", document)
    document["properties"].pop("aws", None)
    return document


def box_schema() -> dict[str, Any]:
    """Of ``streamproc.yaml``."""
    document = NodeConfig.model_json_schema()
    document["$schema"] = DIALECT
    document["title"] = "streamproc box"
    source, sink = _either("source", document), _either("sink", document)
    document["properties"]["outputs"]["items"] = sink
    bindings = document["$defs"]["Bindings"]["properties"]
    bindings["streams"]["additionalProperties"] = source
    for key in ("data_streams", "topics", "buckets"):
        bindings[key]["additionalProperties"] = sink
    return document


def _either(role: Role, document: dict[str, Any]) -> dict[str, Any]:
    """A reference to one of the connectors: ``type`` says which, the other keys are its own."""
    shapes = []
    for name in names(role):
        if name == "unbound" or not present(name):
            continue
        shape = settings_class(name, role).model_json_schema()
        document.setdefault("$defs", {}).update(shape.pop("$defs", {}))
        shape["properties"] = {"type": {"const": name}, **shape.get("properties", {})}
        shape["required"] = ["type", *shape.get("required", [])]
        shapes.append(shape)
    return {"oneOf": shapes}


def present(name: str) -> bool:
    """Whether the connector is part of this installation."""
    return (
        importlib.util.find_spec(f"connectors.{name}") is not None
        and importlib.util.find_spec(f"connectors.{name}.settings") is not None
    )
