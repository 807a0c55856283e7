"""File descriptors of the process: as many as it may have."""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)


def raise_limit() -> int:
    """The soft limit becomes the hard one; how many descriptors there may be then."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # some systems name a hard limit that the kernel does not grant
        log.warning("descriptor_limit_kept", soft=soft, hard=hard, reason=str(error))
        return soft
    return hard
