"""Answers to a camera's challenges: Basic (RFC 7617) and Digest with MD5 and SHA-256 (RFC 7616, RFC 2069 where there is no qop)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_PARAMETER = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
_NEXT = re.compile(r",\s*([A-Za-z][A-Za-z0-9_-]*)(?=\s+[A-Za-z0-9_-]+\s*=|\s*$|\s*,)")
"""A scheme behind a comma: a word that is no parameter's name."""
_STRENGTH = {"SHA-256": 3, "SHA-256-SESS": 3, "MD5": 2, "MD5-SESS": 2, "": 1}


@dataclass(frozen=True, slots=True)
class Credentials:
    """User and password as they are, not escaped."""

    user: str
    password: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate header."""

    scheme: str
    """basic or digest."""
    realm: str = ""
    nonce: str = ""
    algorithm: str = ""
    """In capitals: MD5, SHA-256, MD5-SESS, SHA-256-SESS; of Basic empty."""
    opaque: str | None = None
    auth: bool = False
    """The camera knows qop=auth."""
    stale: bool = False
    """The password was right, the nonce too old."""


def challenges(headers: Sequence[str]) -> tuple[list[Challenge], list[str]]:
    """What can be answered, the strongest first, and the names of what cannot."""
    known, unknown = [], []
    for header in (each for listed in headers for each in _separated(listed)):
        scheme, _, rest = header.strip().partition(" ")
        values = {name.lower(): quoted.replace('\\"', '"') or plain for name, quoted, plain in _PARAMETER.findall(rest)}
        algorithm = values.get("algorithm", "MD5").upper() if scheme.lower() == "digest" else ""
        if scheme.lower() not in ("basic", "digest") or algorithm not in _STRENGTH:
            unknown.append(f"{scheme} {algorithm}".strip())
            continue
        qop = [each.strip().lower() for each in values.get("qop", "").split(",") if each.strip()]
        if qop and "auth" not in qop:
            unknown.append(f"{scheme} qop={','.join(qop)}")
            continue
        known.append(
            Challenge(
                scheme.lower(), values.get("realm", ""), values.get("nonce", ""), algorithm, values.get("opaque"),
                bool(qop), values.get("stale", "").lower() == "true",
            )
        )  # fmt: skip
    return sorted(known, key=lambda each: -_STRENGTH[each.algorithm]), unknown


def _separated(header: str) -> list[str]:
    """Several challenges may stand in one header, by comma as their parameters are (RFC 9110, 11.6.1)."""
    quoted = [match.span() for match in _QUOTED.finditer(header)]
    begins = [
        match.start(1)
        for match in _NEXT.finditer(header)
        if not any(begin < match.start(1) < end for begin, end in quoted)
    ]
    return [header[begin:end].strip(" ,") for begin, end in pairwise([0, *begins, len(header)])]


class Authorizer:
    """Authorization headers for one challenge; counts its uses."""

    def __init__(self, challenge: Challenge, credentials: Credentials, client_nonce: str) -> None:
        """``client_nonce``: hexadecimal digits by chance."""
        self.challenge = challenge
        self._credentials = credentials
        self._client_nonce = client_nonce
        self._uses = 0

    def header(self, method: str, url: str) -> str:
        """The value of Authorization for this request."""
        user, password = self._credentials.user, self._credentials.password
        if self.challenge.scheme == "basic":
            return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._uses += 1
        asked = self.challenge
        digest = _digest("sha256" if asked.algorithm.startswith("SHA") else "md5")
        first = digest(f"{user}:{asked.realm}:{password}")
        if asked.algorithm.endswith("-SESS"):
            first = digest(f"{first}:{asked.nonce}:{self._client_nonce}")
        second = digest(f"{method}:{url}")
        count = f"{self._uses:08x}"
        middle = f"{asked.nonce}:{count}:{self._client_nonce}:auth" if asked.auth else asked.nonce
        parts = [
            f'username="{_quoted(user)}"', f'realm="{_quoted(asked.realm)}"', f'nonce="{_quoted(asked.nonce)}"',
            f'uri="{url}"', f'response="{digest(f"{first}:{middle}:{second}")}"', f"algorithm={asked.algorithm}",
        ]  # fmt: skip
        if asked.auth:
            parts += ["qop=auth", f"nc={count}"]
        if asked.auth or asked.algorithm.endswith("-SESS"):
            parts.append(f'cnonce="{self._client_nonce}"')
        if asked.opaque is not None:
            parts.append(f'opaque="{_quoted(asked.opaque)}"')
        return "Digest " + ", ".join(parts)


def _digest(name: str) -> Callable[[str], str]:
    # MD5 is what most cameras ask for; nothing here rests on it but their own door.
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
