"""What a lane is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streamproc.config.health import HealthSettings
from streamproc.contracts import Position, SourceTraits
from streamproc.core.media import Frame
from streamproc.logic.hours import Hours
from streamproc.logic.session import Sessions
from streamproc.media.mask import PrivacyMask
from streamproc.pipeline.analysis import Analysis, FrameResult
from streamproc.pipeline.health import OFF
from streamproc.pipeline.recorder import Committer

FrameObserver = Callable[[Frame, list[FrameResult]], None]
"""Called after each analysed frame, in the worker, with the frame on the session's clock."""


@dataclass(frozen=True, slots=True)
class LaneSetup:
    """What a lane is made of."""

    name: str
    """The processor's."""
    traits: SourceTraits
    sessions: Sessions
    analyses: Sequence[Analysis]
    committer: Committer
    request: Mapping[str, Any] = field(default_factory=dict)
    """What the run was started with, a plain document; kept with the state."""
    hours: Hours = field(default_factory=Hours)
    """When and where anything may be announced; the analyses keep the same."""
    mask: PrivacyMask = field(default_factory=PrivacyMask)
    """What nobody is to see of any picture."""
    health: HealthSettings = OFF
    """Whether and when the camera's own conditions are told (never in replay)."""
    latency: bool = False
    """Events say how long they took (never in replay)."""
    takes_over: bool = False
    """What it resumes may be of another node."""
    checkpoints: bool = True
    on_over: Callable[[str | None], None] = lambda error: None
    """Called once from a worker when nothing more will come; with the error where it failed."""
    on_durable: Callable[[Position], None] = lambda position: None
    """The source may tell its broker that everything up to here is safe."""
