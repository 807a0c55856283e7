"""What the operations of the endpoint work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver
from streamproc.aws.pages import PageTokens
from streamproc.aws.ports import ProcessorApi
from streamproc.config.box import Limits


@dataclass(frozen=True, slots=True)
class Core:
    """The box behind the endpoint."""

    processors: ProcessorApi
    arns: Arns
    resolver: Resolver
    pages: PageTokens
    limits: Limits
    clock: Callable[[], float] = time.time
    """Epoch seconds."""
