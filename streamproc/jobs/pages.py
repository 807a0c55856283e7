"""Opaque page tokens: signed, short-lived, and good only for the question they were given for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct

from streamproc.core.errors import BadPageToken

LIFE_S = 24 * 3600
_SHAPE = struct.Struct(">BIQ8s")
_MAC = 16


class PageTokens:
    """Makes and reads page tokens with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, question: str, offset: int, now: float) -> str:
        """A token for what follows ``offset`` elements of the answer to ``question``; 50 characters or so."""
        body = _SHAPE.pack(1, offset, int(now) + LIFE_S, _digest(question))
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def read(self, token: str, question: str, now: float) -> int:
        """The offset. Raises BadPageToken where the token is forged, expired or for another question."""
        try:
            data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadPageToken("Invalid Pagination Token") from None
        if len(data) != _SHAPE.size + _MAC or not hmac.compare_digest(self._mac(data[:-_MAC]), data[-_MAC:]):
            raise BadPageToken("Invalid Pagination Token")
        _, offset, until, digest = _SHAPE.unpack(data[:-_MAC])
        if now > until:
            raise BadPageToken("Invalid Pagination Token: it has expired")
        if digest != _digest(question):
            raise BadPageToken("Invalid Pagination Token: it was given for another job, order or aggregation")
        return int(offset)

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()[:_MAC]


def _digest(question: str) -> bytes:
    return hashlib.sha256(question.encode()).digest()[:8]
