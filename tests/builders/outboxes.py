"""An outbox as in the daemon: a journal, routes, real sinks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from streamproc.aws.results import render_aws
from streamproc.config.processor import ProcessorConfig
from streamproc.config.routes import outputs
from streamproc.core.event import Event, Pictures
from streamproc.outbox.outbox import Outbox
from streamproc.plain import render_plain
from streamproc.store.database import Database
from streamproc.store.deliveries import DeliveryStore, Selection
from streamproc.store.journal import Commit, Journal, SessionRow
from tests.builders.events import START

PICTURES = Pictures(b"\xff\xd8 frame", b"\xff\xd8 crop")


class Box:
    """A journal and an outbox with one processor, ``door``."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(Database(folder / "data"))
        self.store = DeliveryStore(self.journal)
        self.outbox = Outbox(self.journal, {"plain": render_plain, "aws": render_aws})
        self._context = ConnectorContext("door", base_dir=folder)
        self._routes: list[Any] = []

    async def connect(self, *refs: dict[str, Any], faces: bool = False) -> None:
        what = {"faces": {"collection": "family"}} if faces else {"labels": {}}
        config = ProcessorConfig.model_validate({"source": {"type": "file"}, "outputs": list(refs), **what})
        found = outputs("door", config)
        self._routes = [output.route for output in found]
        await self.outbox.set_outputs("door", {item.key: make_sink(item.ref, self._context) for item in found})

    async def tell(self, *events: Event) -> None:
        for event in events:
            row = SessionRow(event.session, "door", START, context={"tags": {"site": "home"}})
            pictures = PICTURES if event.has_pictures else None
            commit = Commit("door", [row], [(event, pictures)], self._routes)
            await asyncio.to_thread(self.journal.commit, commit)

    async def settled(self, seconds: float = 30) -> None:
        """Everything was delivered or put aside."""
        async with asyncio.timeout(seconds):
            while self.store.select(Selection(state="waiting")):
                await asyncio.sleep(0.02)

    def dead(self) -> list[tuple[str, str]]:
        return [(item.event.id, item.reason or "") for item in self.store.select(Selection(state="dead"))]


def s3_ref(server: Any, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    monkeypatch.setenv("EDGE_KEY", server.access_key)
    monkeypatch.setenv("EDGE_SECRET", server.secret_key)
    keys = {"access_key_id_env": "EDGE_KEY", "secret_access_key_env": "EDGE_SECRET"}
    return {"type": "s3", "endpoint_url": server.endpoint, **keys, **options}
