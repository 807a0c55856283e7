"""Settings of the source ``unbound``."""

from streamproc.config.base import Settings


class UnboundSourceSettings(Settings):
    """Stands where another service's name means nothing here."""

    reason: str
    """Why there is no feed; becomes the processor's status message."""
