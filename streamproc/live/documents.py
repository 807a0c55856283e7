"""A processor's document: checked, hashed, and as the store keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import ValidationError

from connectors.catalog import check
from streamproc.config.model_settings import Profile
from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.core.errors import ConfigError, Fault, InputError
from streamproc.core.start import StartRequest
from streamproc.store.processors import ProcessorRow, ProcessorStore
from streamproc.vision.profiles import profile

Origin = Literal["file", "api"]
"""Who owns a document: a config file, or the control API and the AWS endpoint."""


def check_document(name: str, config: ProcessorConfig, profiles: Mapping[str, Profile] | None) -> None:
    """Raises ConfigError with every fault in the settings of the source and the outputs (a file's were checked when it was loaded), and where the
    models' profile is none that is there. ``profiles``: the node's own; None: other nodes may have others."""
    places: list[tuple[str, ConnectorRef, Literal["source", "sink"]]] = [("source", config.source, "source")]
    places += [(f"outputs[{index}]", ref, "sink") for index, ref in enumerate(config.outputs)]
    faults = []
    for place, ref, role in places:
        try:
            check(ref, role)
        except ValidationError as error:
            for item in error.errors():
                where = ".".join([place, *(str(part) for part in item["loc"])])
                faults.append(Fault(where, item["msg"]))
    if config.labels is not None and profiles is not None:
        try:
            profile(config.labels.profile, profiles)
        except InputError as error:
            faults.append(Fault("labels.profile", str(error)))
    if faults:
        raise ConfigError(name, faults)


def document_of(config: ProcessorConfig) -> dict[str, Any]:
    """JSON-ready: what was said, without the defaults."""
    return config.model_dump(mode="json", exclude_unset=True)


def new_row(name: str, config: ProcessorConfig, origin: Origin) -> ProcessorRow:
    """A file's ``state`` is what is wanted; a caller's processor is stopped until it is started."""
    now = datetime.now(UTC)
    wanted = config.state if origin == "file" else "stopped"
    return ProcessorRow(
        name, document_of(config), origin, wanted=wanted, tags=dict(config.tags), created=now, updated=now
    )


def stored_row(store: ProcessorStore, row: ProcessorRow) -> ProcessorRow:
    """The new row, stored. What an earlier process wrote of the same owner's document counts, unless the document changed."""
    known = store.get(row.name)
    if known is None or known.origin != row.origin:
        return store.put(row)
    if known.document == row.document:
        return replace(known, state="stopped", message="")
    return store.put(replace(row, finished=known.finished))


def echoed(config: ProcessorConfig, request: StartRequest) -> dict[str, Any]:
    """Facts of a session that its outputs repeat; JSON-ready."""
    context: dict[str, Any] = {"tags": dict(config.tags)}
    if request.echo:
        context["start_request"] = dict(request.echo)
    for key in ("arn", "stream_arn"):
        if config.aws.get(key):
            context[key] = config.aws[key]
    return context
