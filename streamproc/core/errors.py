"""The error tree. A class says what its catcher should do; its message says what is wrong and how to fix it.

StreamprocError
  InputError              the caller's input is wrong (CLI exit 2)
    ConfigError             ... in a config file: file, line, field and fix
    MediaError              ... the bytes are no media that can be read
  NotFound                no such processor, collection, face, user, job, model
  AlreadyExists           the name is taken
  InUse                   not possible in the present state
  LimitExceeded           a quota of the box
  TokenMismatch           an idempotency token came back with other parameters
  BadPageToken            a pagination token is forged, expired or for another question
  ModelUnavailable        no source of a model could be reached, or its bytes are wrong
  SourceError             a feed cannot be read; trying again may help
    SourceRefused           ... and trying again will not help: wrong password, no such stream
    SourceStalled           ... connected, but no frames arrive
  StorageUnavailable      the node's own disk takes nothing for now: full, locked, no descriptors
  HeldUp                  what went before has not come back; the same may be asked for again
  StateError              saved state cannot be gone on from: begin anew
    StateDamaged            ... its bytes are none that were written
    StateVersionUnknown     ... another version of streamproc wrote it
  SinkError               an output did not take an event
    SinkBusy                ... for now: try again
      SinkDenied              ... until somebody acts: rights, or what it writes to is missing
    SinkRejected            ... and never will: goes to the dead letters
"""

from __future__ import annotations

from dataclasses import dataclass


class StreamprocError(Exception):
    """Base of every error that this project raises on purpose."""


class InputError(StreamprocError):
    """The caller's input is wrong; the message names the field and the fix."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a config document."""

    field: str
    """Dotted path with list indexes, e.g. ``regions[0].polygon``; empty for the whole document."""
    message: str
    """What is wrong and the fix."""
    line: int | None = None
    """1-based line in the file, where known."""

    def text(self, file: str) -> str:
        """``FILE:LINE: FIELD: what is wrong and the fix``, on one line."""
        place = f"{file}:{self.line}" if self.line is not None else file
        words = " ".join(self.message.split())
        return f"{place}: {self.field}: {words}" if self.field else f"{place}: {words}"


class ConfigError(InputError):
    """A config document was refused. ``faults`` holds every fault that was found, in file order."""

    def __init__(self, file: str, faults: list[Fault]) -> None:
        self.file = file
        self.faults = faults
        super().__init__("\n".join(fault.text(file) for fault in faults))


class MediaError(InputError):
    """These bytes are no image or video that can be read."""


class NotFound(StreamprocError):
    """There is no such thing."""


class AlreadyExists(StreamprocError):
    """The name is taken."""


class InUse(StreamprocError):
    """Not possible in the present state."""


class LimitExceeded(StreamprocError):
    """A quota of the node is used up."""

    def __init__(self, message: str, *, used: int | None = None) -> None:
        """``used``: how much of it, where that is known."""
        super().__init__(message)
        self.used = used


class TokenMismatch(StreamprocError):
    """An idempotency token came back with other parameters."""


class BadPageToken(StreamprocError):
    """A pagination token is forged, expired or belongs to another question."""


class ModelUnavailable(StreamprocError):
    """No source of a model could be reached, or what came has the wrong bytes."""


class SourceError(StreamprocError):
    """A feed cannot be read at the moment."""


class SourceRefused(SourceError):
    """A feed will not be served however often it is asked for (wrong password, no such stream)."""


class SourceStalled(SourceError):
    """Connected, but no frames arrive."""


class StorageUnavailable(StreamprocError):
    """The node's own storage cannot be used at the moment; nothing was changed, and the same may be asked for again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"waits for storage: {reason}" if not reason.startswith("waits for storage") else reason)


class HeldUp(StreamprocError):
    """What went before has not come back, and this was not begun; the same may be asked for again."""


class OwnershipLost(StreamprocError):
    """Another node of the cluster has the processor: what was decided here and not committed yet counts for nothing."""


class NodeUnreachable(StreamprocError):
    """Another node of the cluster, which a request has to be passed on to, does not answer."""


class StateError(StreamprocError):
    """Saved state cannot be gone on from."""


class StateDamaged(StateError):
    """These bytes are no state document, or not that of the object that reads it."""


class StateVersionUnknown(StateError):
    """Another version of streamproc wrote the state."""


class SinkError(StreamprocError):
    """An output did not take an event."""


class SinkBusy(SinkError):
    """An output cannot take the event now; try again, after ``retry_after`` seconds if given."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SinkDenied(SinkBusy):
    """An output takes nothing until somebody has corrected its rights or made what it writes to. The event waits, as with SinkBusy."""

    def __init__(self, message: str, service: str, *, missing: bool = False) -> None:
        """``service``: the output's type, as in a config file. ``missing``: what it writes to is not there; else it may not."""
        super().__init__(message)
        self.service = service
        self.missing = missing


class SinkRejected(SinkError):
    """An output will never take this event."""
