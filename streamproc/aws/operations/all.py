"""Every operation that is served."""

from __future__ import annotations

from functools import partial

from streamproc.aws.core import Core
from streamproc.aws.operations import collections, images, processors, tags, users, videos
from streamproc.aws.operations.table import Served
from streamproc.aws.wire import Handler

OPERATIONS: dict[str, Served] = (
    processors.OPERATIONS
    | tags.OPERATIONS
    | videos.OPERATIONS
    | collections.OPERATIONS
    | users.OPERATIONS
    | images.OPERATIONS
)


def handlers(core: Core) -> dict[str, Handler]:
    """The operations, working on ``core``."""
    return {name: partial(served.call, core) for name, served in OPERATIONS.items()}
