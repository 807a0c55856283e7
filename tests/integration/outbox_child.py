"""A process to be killed: decides events, commits them, delivers them to a file. ``python -m ... DIR COUNT``.

Which events it decides follows from the journal alone, so a new process goes on where the last commit stands.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from connectors.context import ConnectorContext
from connectors.file.settings import FileSinkSettings
from connectors.file.sink import FileSink
from streamproc.contracts import Position
from streamproc.core.event import EventType, Pictures
from streamproc.core.route import Route
from streamproc.outbox.outbox import Outbox
from streamproc.plain import render_plain
from streamproc.store.database import Database
from streamproc.store.journal import Checkpoint, Commit, Journal, SessionRow
from tests.builders.events import START, label_event

ROUTES = (Route("door/file", frozenset(EventType)),)
STEP = 3
"""Events of one commit."""


def pictures(sequence: int) -> Pictures:
    return Pictures(b"frame %d " % sequence * 2000, b"crop %d " % sequence * 200)


def decide(journal: Journal, count: int) -> None:
    checkpoint = journal.checkpoint("door")
    start = checkpoint.position.token["next"] if checkpoint and checkpoint.position else 0
    # One step back: what was committed last is decided again, as a lane does that resumes from an older checkpoint.
    for first in range(max(0, start - STEP), count, STEP):
        events = [(label_event(number), pictures(number)) for number in range(first, min(first + STEP, count))]
        after = Checkpoint(None, Position({"next": first + STEP}))
        journal.commit(Commit("door", [SessionRow("s1", "door", START)], events, ROUTES, after))


async def main(folder: Path, count: int) -> None:
    journal = Journal(Database(folder / "data"))
    outbox = Outbox(journal, {"plain": render_plain})
    sink = FileSink(FileSinkSettings(directory=Path("out")), ConnectorContext("door", base_dir=folder))
    await outbox.set_outputs("door", {"door/file": sink})
    await outbox.start()
    print("ready", flush=True)
    await asyncio.to_thread(decide, journal, count)
    left = await outbox.drain(60)
    await outbox.aclose()
    print(f"left {left}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
