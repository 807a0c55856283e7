"""Processors whose first document was refused: they exist only so that the user sees why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from streamproc.config.processor import ConnectorRef, ProcessorConfig
from streamproc.live.view import ProcessorView
from streamproc.logic.lifecycle import Lifecycle, Trigger


@dataclass
class Refused:
    """A name in state REFUSED until a good document comes or its file goes."""

    name: str
    words: str
    """``FILE:LINE: FIELD: what is wrong and the fix``."""
    life: Lifecycle = field(default_factory=Lifecycle)

    def __post_init__(self) -> None:
        self.life.fire(Trigger.REFUSE)

    def accept(self) -> Lifecycle:
        """A good document has come: the life with which the processor begins."""
        self.life.fire(Trigger.ACCEPT)
        return self.life

    def view(self) -> ProcessorView:
        now = datetime.now(UTC)
        config = ProcessorConfig.model_construct(source=ConnectorRef.model_construct(type="unknown"), state="stopped")
        return ProcessorView(self.name, config, self.life.state.value, self.words, now, now, "file")
