"""What a request is refused with, whichever service it is for."""

from __future__ import annotations


class AwsFault(Exception):
    """An answer other than success. ``code`` is the error's name on the wire; ``status`` is the HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
