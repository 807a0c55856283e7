"""What a connector is told about the node and the processor that it serves."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from streamproc.contracts import ProcessorControl
from streamproc.core.errors import InputError
from streamproc.core.video_log import FragmentReader
from streamproc.logic.redact import shown_variable


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ConnectorContext:
    """Handed to every source and sink when it is made."""

    processor: str = "processor"
    """Its name."""
    base_dir: Path = field(default_factory=Path)
    """Relative paths of settings start here: the folder of the config."""
    data_dir: Path | None = None
    node_id: str = "box"
    """The data directory's own id; consumer groups are named after it."""
    region: str = "us-east-1"
    endpoint_url: str | None = None
    """The user's own AWS endpoint, where one is set."""
    account: str = "000000000000"
    start_wall: datetime | None = None
    """Wall time of a stored clip's first frame; None: the clock when it is opened."""
    clock: Callable[[], datetime] = utc_now
    control: ProcessorControl | None = None
    """What an output may ask of the node; None where nothing can be asked (replay, checks)."""
    fragments: FragmentReader | None = None
    """This node's own video streams, where it has any."""

    def path(self, path: Path) -> Path:
        """``path`` as meant by the config."""
        return path if path.is_absolute() else self.base_dir / path.expanduser()


def secret(variable: str, setting: str) -> str:
    """The environment variable that a setting names. Raises InputError where it is not set."""
    value = os.environ.get(variable)
    if value is None:
        raise InputError(
            f"{setting}: the environment variable {shown_variable(variable)} is not set; set it for the daemon"
        )
    return value
