"""How everything stands that the stream tells of beside events: documents by topic and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamproc.live.supervisor import Supervisor


class States:
    """``state``: each processor as the list of processors has it. ``health``: the conditions of its camera that are active."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    async def snapshot(self) -> Mapping[tuple[str, str], Mapping[str, Any]]:
        documents = [view.to_json(brief=True) for view in await self._supervisor.views()]
        states = {("state", document["name"]): document for document in documents}
        conditions = {
            ("health", document["name"]): {"name": document["name"], "health": document["health"]}
            for document in documents
            if "health" in document
        }
        return states | conditions
