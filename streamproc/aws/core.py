"""What the operations of the endpoint work with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from streamproc.aws.arns import Arns
from streamproc.aws.bindings import Resolver
from streamproc.aws.buckets import Buckets
from streamproc.aws.ports import ProcessorApi
from streamproc.aws.stream_builder import Builder
from streamproc.aws.work import Workers
from streamproc.config.node import Limits
from streamproc.faces.service import FaceService
from streamproc.jobs.service import JobService
from streamproc.logic.pages import PageTokens
from streamproc.perception.stills import Stills
from streamproc.store.tokens import TokenStore


@dataclass(frozen=True, slots=True)
class Core:
    """The node behind the endpoint."""

    processors: ProcessorApi
    faces: FaceService
    jobs: JobService
    stills: Stills
    arns: Arns
    resolver: Resolver
    builder: Builder
    buckets: Buckets
    pages: PageTokens
    tokens: TokenStore
    limits: Limits
    workers: Workers
    clock: Callable[[], float] = time.time
    """Epoch seconds."""
