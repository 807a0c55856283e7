"""Pages of lists: tokens that nobody can make up, that expire, and that hold for one question only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from streamproc.core.errors import BadPageToken

LIFE_S = 24 * 3600
MOST = 1000
_MAC = 16
_LONGEST_NAME = 150  # so that a token stays within the service's 255 characters
_HEAD = struct.Struct(">QI")  # when it expires; where the next page begins


class PageTokens:
    """Cuts lists of names into pages. ``secret`` lives as long as the data folder, so tokens outlive a restart."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def page(
        self, question: str, names: Sequence[str], token: str | None, size: int | None, now: float
    ) -> tuple[list[str], str | None]:
        """(names of the page, token of the next one). ``question`` is the operation and whatever narrows it.

        ``names`` is sorted; names that come or go between two pages move nothing else. Raises BadPageToken.
        """
        start = self._start(question, names, token, now) if token else 0
        end = start + max(0, MOST if size is None else min(size, MOST))
        page = list(names[start:end])
        if end >= len(names) or not page:
            return page, None
        return page, self._make(question, page[-1], end, now)

    def _make(self, question: str, last: str, end: int, now: float) -> str:
        payload = _HEAD.pack(int(now) + LIFE_S, end) + last.encode()[:_LONGEST_NAME]
        return base64.urlsafe_b64encode(payload + self._mac(question, payload)).decode("ascii")

    def _start(self, question: str, names: Sequence[str], token: str, now: float) -> int:
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadPageToken("Invalid Pagination Token") from None
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        if len(payload) < _HEAD.size or not hmac.compare_digest(mac, self._mac(question, payload)):
            raise BadPageToken("Invalid Pagination Token")
        expires, index = _HEAD.unpack(payload[: _HEAD.size])
        if now > expires:
            raise BadPageToken("Invalid Pagination Token")
        last = payload[_HEAD.size :].decode("utf-8", "ignore")
        if len(payload) - _HEAD.size < _LONGEST_NAME:
            return bisect_right(names, last)
        # Cut short, so several names may begin like it: the place where it was tells which.
        if 0 < index <= len(names) and names[index - 1].startswith(last):
            return int(index)
        return bisect_left(names, last)

    def _mac(self, question: str, payload: bytes) -> bytes:
        return hmac.new(self._secret, question.encode() + b"\0" + payload, hashlib.sha256).digest()[:_MAC]
