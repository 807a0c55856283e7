"""Pages of lists: tokens that nobody can make up, that expire, and that hold for one question only."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from streamproc.core.errors import BadPageToken

LIFE_S = 24 * 3600
MOST = 1000
_MAC = 16
_LONGEST_NAME = 120  # so that a token stays within the service's 255 characters
_HEAD = struct.Struct(">Q")  # when it expires


class PageTokens:
    """Seals where a list goes on. ``secret`` lives as long as the data folder, so tokens outlive a restart."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def seal(self, question: str, place: str, now: float) -> str:
        """A token for ``place`` (up to 150 bytes) that holds for ``question``: the operation and whatever narrows it."""
        payload = _HEAD.pack(int(now) + LIFE_S) + place.encode()
        return base64.urlsafe_b64encode(payload + self._mac(question, payload)).decode("ascii")

    def open(self, question: str, token: str, now: float) -> str:
        """The place in ``token``. Raises BadPageToken where it was made up, has expired or is for another question."""
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _bad() from None
        payload, mac = raw[:-_MAC], raw[-_MAC:]
        if len(payload) < _HEAD.size or not hmac.compare_digest(mac, self._mac(question, payload)):
            raise _bad()
        if now > _HEAD.unpack(payload[: _HEAD.size])[0]:
            raise _bad()
        return payload[_HEAD.size :].decode()

    def page(
        self, question: str, names: Sequence[str], token: str | None, size: int | None, now: float
    ) -> tuple[list[str], str | None]:
        """(names of the page, token of the next one). ``names`` is sorted; names that come or go between two pages
        move nothing else. Raises BadPageToken."""
        start = _start(names, self.open(question, token, now)) if token else 0
        end = start + (MOST if size is None else size)
        page = list(names[start:end])
        if end >= len(names) or not page:
            return page, None
        return page, self.seal(question, json.dumps([end, page[-1][:_LONGEST_NAME]]), now)

    def _mac(self, question: str, payload: bytes) -> bytes:
        return hmac.new(self._secret, question.encode() + b"\0" + payload, hashlib.sha256).digest()[:_MAC]


def _start(names: Sequence[str], place: str) -> int:
    index, last = json.loads(place)
    if len(last) < _LONGEST_NAME:
        return bisect_right(names, last)
    # Cut short, so several names may begin like it: the place where it was tells which.
    if 0 < index <= len(names) and names[index - 1].startswith(last):
        return int(index)
    return bisect_left(names, last)


def _bad() -> BadPageToken:
    return BadPageToken("Invalid Pagination Token")
