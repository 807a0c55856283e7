"""Tells who asked that a stored-video job has ended: through the outbox, so that a topic that is away is told later."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

import structlog

from connectors.catalog import make_sink
from connectors.context import ConnectorContext
from streamproc.aws.bindings import Resolver, Unbound
from streamproc.aws.video_documents import completion
from streamproc.contracts import Sink
from streamproc.core.event import Event, EventType
from streamproc.core.media import Moment
from streamproc.core.route import Route
from streamproc.jobs.model import Job
from streamproc.outbox.outbox import Outbox
from streamproc.store.jobs import COMPLETIONS
from streamproc.store.journal import Commit, Journal, SessionRow
from streamproc.threads import DATABASE

log = structlog.get_logger(__name__)

OWNER = COMPLETIONS
"""Whose outputs these are in the outbox."""
_TOPICS = "aws_completion_topics"
_ATTACH_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Mailroom:
    """Where completions are made durable, and how they get out."""

    journal: Journal
    outbox: Outbox
    resolver: Resolver
    context: Callable[[str], ConnectorContext]
    """By owner, for the outputs."""


class Completions:
    """The topics of jobs as outputs of one owner. Made and opened in the event loop; ``tell`` is for worker threads."""

    def __init__(self, mailroom: Mailroom) -> None:
        self._room = mailroom
        self._sinks: dict[str, Sink] = {}
        self._topics: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Attach the topics of earlier: what they were not told yet is told now."""
        self._loop = asyncio.get_running_loop()
        known = self._room.journal.database.get(_TOPICS)
        for topic in json.loads(known) if known else ():
            try:
                await self._attach(topic)
            except Unbound as unbound:
                log.warning("completion_topic_gone", topic=topic, reason=str(unbound))

    def tell(self, job: Job) -> None:
        """Durable when it returns. Telling a job twice tells it once."""
        channel = job.request.channel
        if channel is None or self._loop is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(self._attach(channel.topic), self._loop).result(_ATTACH_TIMEOUT_S)
        except Unbound as unbound:
            log.error("completion_not_told", job=job.id, reason=str(unbound))
            return
        ended = datetime.fromtimestamp(job.ended or job.created, UTC)
        event = Event(
            EventType.JOB_COMPLETE,
            OWNER,
            job.id,
            0,
            Moment(Fraction(0), ended),
            data={"message": completion(job)},
        )
        self._room.journal.commit(
            Commit(
                OWNER,
                [SessionRow(job.id, OWNER, ended, closed=ended)],
                [(event, None)],
                [Route(_key(channel.topic), frozenset({EventType.JOB_COMPLETE}))],
            )
        )

    async def _attach(self, topic: str) -> None:
        """Raises Unbound."""
        async with self._changing:
            if topic in self._topics:
                return
            ref = self._room.resolver.topic(topic)
            self._sinks[_key(topic)] = make_sink(ref, self._room.context(OWNER))
            self._topics.add(topic)
            await self._room.outbox.set_outputs(OWNER, self._sinks)
            known = json.dumps(sorted(self._topics))
            await DATABASE.run(self._room.journal.database.put, _TOPICS, known)


def _key(topic: str) -> str:
    """An output's key must stay the same over restarts; ARNs are long and of any characters."""
    return f"{OWNER}/{hashlib.sha256(topic.encode()).hexdigest()[:16]}"
