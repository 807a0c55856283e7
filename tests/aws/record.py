"""What the tests of this folder have seen: members of requests that an operation read, members of answers that came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from botocore.model import ListShape, Shape, StructureShape

from streamproc.aws.service import service_model
from streamproc.aws.wire import Call, Handler

READ: set[str] = set()
"""``OPERATION.MEMBER``."""
WRITTEN: set[str] = set()
"""``STRUCTURE.MEMBER``."""


class Watched(dict[str, Any]):
    """A request that notes which of its members are asked for."""

    def __init__(self, operation: str, members: Mapping[str, Any]) -> None:
        super().__init__(members)
        self._operation = operation

    def __getitem__(self, name: str) -> Any:
        READ.add(f"{self._operation}.{name}")
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        READ.add(f"{self._operation}.{name}")
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        READ.add(f"{self._operation}.{name}")
        return super().get(name, default)


def watched(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The same handlers, watched."""

    def wrap(handler: Handler) -> Handler:
        async def call(asked: Call) -> dict[str, Any]:
            return await handler(replace(asked, input=Watched(asked.operation, asked.input)))

        return call

    return {name: wrap(handler) for name, handler in handlers.items()}


def note_answer(operation: str, document: Any) -> None:
    """Remember which members an answer had."""
    _walk(service_model().operation_model(operation).output_shape, document)


def _walk(shape: Shape, value: Any) -> None:
    if isinstance(shape, StructureShape):
        for name, item in value.items():
            WRITTEN.add(f"{shape.name}.{name}")
            _walk(shape.members[name], item)
    elif isinstance(shape, ListShape):
        for item in value:
            _walk(shape.member, item)
