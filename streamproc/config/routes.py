"""Which events go to which output of a processor, by its document alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.config.base import OutputSettings
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.core.event import EventType
from streamproc.core.route import Route

STREAMS = frozenset({"file", "stdout", "kafka", "kinesis"})
"""Connectors that are read like a log: in the aws form they carry face search records."""
_NOTIFICATIONS = frozenset(EventType) - {EventType.FACE_RECORD, EventType.JOB_COMPLETE}
_SERVICE = frozenset({EventType.LABEL_DETECTED, EventType.SESSION_COMPLETE})


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a processor: where it is, and what it is told."""

    key: str
    """``PROCESSOR/NAME``: NAME is the output's own, else its type, with a number from the second of a type on."""
    ref: ConnectorRef
    types: frozenset[EventType]

    @property
    def route(self) -> Route:
        return Route(self.key, self.types)


def outputs(name: str, config: ProcessorConfig, defaults: Sequence[ConnectorRef] = ()) -> tuple[Output, ...]:
    """The outputs of processor ``name``: its own, else the node's ``defaults``. ValueError where two have one name."""
    seen: Counter[str] = Counter()
    found: dict[str, Output] = {}
    for ref in config.outputs or defaults:
        own = ref.options.get("name")
        seen[ref.type] += own is None
        label = own or (ref.type if seen[ref.type] == 1 else f"{ref.type}-{seen[ref.type]}")
        key = f"{name}/{label}"
        if key in found:
            raise ValueError(f"two outputs are called {label!r}; give each its own name")
        found[key] = Output(
            key, ref, event_types(ref, labels=config.labels is not None, faces=config.faces is not None)
        )
    return tuple(found.values())


def event_types(ref: ConnectorRef, *, labels: bool, faces: bool) -> frozenset[EventType]:
    """What an output takes, of a processor that looks for labels, faces or both.

    The aws form leaves out by default what the service has no form for. A log of face search records holds nothing else unless
    labels are looked for too: its readers expect one shape.
    """
    fields = OutputSettings.model_fields
    common = OutputSettings.model_validate({key: value for key, value in ref.options.items() if key in fields})
    service = common.format == "aws" or (ref.type == "kinesis" and "format" not in ref.options)
    log = ref.type in STREAMS
    records = faces and (common.records if common.records is not None else service and log)
    if common.events is not None:
        types = frozenset(common.events)
        return types | {EventType.FACE_RECORD} if records else types
    if not service:
        types = _NOTIFICATIONS
    elif labels or not log:
        types = _SERVICE
    else:
        types = frozenset()
    return types | {EventType.FACE_RECORD} if records else types
