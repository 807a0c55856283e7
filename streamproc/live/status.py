"""How each processor stands, for outputs that show states: made out of its run, its document and the journal whenever something changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

from prometheus_client import Gauge

from streamproc import metrics
from streamproc.config.processor import ProcessorConfig
from streamproc.config.regions import to_regions
from streamproc.core.event import Event, EventType
from streamproc.core.media import Frame
from streamproc.core.status import Figures, LastFace, Presence, ProcessorStatus, SourceStatus, Watched
from streamproc.live.outputs import Outputs
from streamproc.live.processor import Processor, hours_of
from streamproc.live.run import Run
from streamproc.live.view import source_of
from streamproc.logic.lifecycle import State
from streamproc.pipeline.analysis import FrameResult
from streamproc.store.journal import Journal
from streamproc.trouble import Trouble

_REMEMBERED = 200
"""Events of the journal that are read for what was last seen."""


@dataclass
class _Memory:
    """What is known of a processor beside its run."""

    announced: dict[str, Event] = field(default_factory=dict)
    """The last detection of each class."""
    face: LastFace | None = None
    visits: set[str] = field(default_factory=set)
    people: int | None = None
    last_frame: datetime | None = None
    watched: Run | None = None
    """The run whose looks are counted."""
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """Of outputs that could not be told, by output."""

    def take(self, event: Event) -> None:
        if event.type is EventType.LABEL_DETECTED and event.label is not None:
            self.announced[event.label] = event
        elif event.type in (EventType.FACE_MATCHED, EventType.FACE_UNKNOWN):
            self.face = LastFace(event.person, event.id, event.at.wall, event.confidence)

    def looked(self, frame: Frame, results: Sequence[FrameResult]) -> None:
        """In a worker."""
        self.last_frame = frame.at.wall
        self.people = sum(seen["label"] == "PERSON" for result in results for seen in result.in_view)


class StatusBoard:
    """Tells status sinks. Belongs to the event loop."""

    def __init__(self, journal: Journal, outputs: Outputs, processors: Callable[[], Mapping[str, Processor]]) -> None:
        self._journal = journal
        self._sinks = outputs.status_sinks
        outputs.appeared = self.show
        self._processors = processors
        self._memories: dict[str, _Memory] = {}

    def told(self, events: Sequence[Event]) -> None:
        """These have just become durable."""
        for event in events:
            if self._sinks(event.processor):
                memory = self._memory(event.processor)
                memory.take(event)
                if event.box is not None:
                    memory.visits.add(event.session)
        for name in {event.processor for event in events}:
            self.show(name)

    def show_all(self) -> None:
        for name in list(self._processors()):
            self.show(name)

    def show(self, name: str) -> None:
        """The processor, or one of its outputs, is new or different."""
        processor, sinks = self._processors().get(name), self._sinks(name)
        if processor is None:
            self._memories.pop(name, None)
            return
        if not sinks:
            return
        memory = self._memory(name)
        if processor.run is not None and memory.watched is not processor.run:
            memory.watched, memory.people = processor.run, None
            processor.run.lane.frames.observers.add(memory.looked)
        for key, sink in sinks.items():
            trouble = memory.troubles.setdefault(
                key, Trouble("status_not_told", "status_told_again", processor=name, output=key)
            )
            try:
                sink.status(self._status(processor, memory, key))
            except Exception as error:  # noqa: BLE001 - an output that breaks must not keep a processor from starting or stopping
                trouble.met(repr(error), bug=error)
            else:
                trouble.over()

    def _memory(self, name: str) -> _Memory:
        memory = self._memories.get(name)
        if memory is None:
            memory = self._memories[name] = _Memory()
            for event in reversed(self._journal.recent(name, _REMEMBERED)):
                memory.take(event)
        return memory

    def _status(self, processor: Processor, memory: _Memory, key: str) -> ProcessorStatus:
        run, config, now = processor.run, processor.config, datetime.now(UTC)
        watched = watched_of(config)
        in_view = {label: _presence(memory, label, since) for label, since in self._in_view(processor).items()}
        hours = hours_of(processor)
        override = hours.override
        return ProcessorStatus(
            processor=processor.name,
            state="starting" if self._will_go_on(processor) else processor.life.state.value,
            message=processor.row.message or processor.complaint,
            watched=watched,
            session=run.lane.sessions.session if run is not None else None,
            in_view={label: seen for label, seen in in_view.items() if label in watched.classes},
            face=memory.face if watched.faces else None,
            source=_source(run),
            health=run.lane.frames.health.active if run is not None else (),
            figures=_figures(run, memory, key),
            scheduled_on=hours.active(now),
            override=override.mode if override is not None and override.rules(now) else None,
        )

    def _in_view(self, processor: Processor) -> dict[str, str]:
        """Classes that were announced and are not gone, and since when (RFC 3339): of the run, or of the session that it will go on with."""
        if processor.run is not None:
            sessions = processor.run.lane.sessions
            announced = sessions.announced
            return {key: announced.get(key, "") for key in sessions.in_view}
        if not self._will_go_on(processor) and processor.life.state is not State.STARTING:
            return {}
        rows = self._journal.open_sessions(processor.name)
        return {
            key: since for row in rows for key, since in cast(dict[str, str], row.state.get("announced", {})).items()
        }

    @staticmethod
    def _will_go_on(processor: Processor) -> bool:
        """Whether the processor is to run and this process has not started it yet: what the journal says of it still stands."""
        row = processor.row
        return (
            processor.life.state is State.STOPPED and row.wanted == "running" and not (row.finished or processor.tried)
        )


def watched_of(config: ProcessorConfig) -> Watched:
    labels = config.labels
    return Watched(
        classes=tuple(labels.classes) if labels is not None else (),
        faces=config.faces is not None,
        regions=tuple(region.name for region in to_regions(config.regions)),
        min_confidence=labels.min_confidence if labels is not None else None,
        profile=labels.profile if labels is not None else None,
        scheduled=config.schedule is not None or any(region.schedule for region in config.regions),
        masks=tuple(mask.points for mask in config.masks),
    )


def _presence(memory: _Memory, label: str, since: str) -> Presence:
    event = memory.announced.get(label)
    if event is None:
        return Presence(datetime.fromisoformat(since) if since else datetime.now(UTC))
    region = event.region.name if event.region is not None else None
    return Presence(event.at.wall, event.id, event.confidence, region)


def _source(run: Run | None) -> SourceStatus:
    if run is None:
        return SourceStatus()
    view = source_of(run)
    return SourceStatus(view["state"], str(view["why"]))


def _figures(run: Run | None, memory: _Memory, key: str) -> Figures:
    view: dict[str, Any] = run.lane.stats.view() if run is not None else {}
    return Figures(
        people=memory.people if run is not None else 0,
        visits=len(memory.visits),
        fps=view.get("fps"),
        latency_p95_ms=view.get("latency_p95_ms"),
        cpu_share=_value([metrics.CPU_SHARE]),
        waiting=round(_value([metrics.OUTBOX_WAITING.labels(key)]) or 0),
        last_frame=memory.last_frame,
    )


def _value(gauges: Iterable[Gauge]) -> float | None:
    return next((sample.value for gauge in gauges for metric in gauge.collect() for sample in metric.samples), None)
