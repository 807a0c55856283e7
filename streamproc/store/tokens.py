"""Idempotency tokens (the same request again, also after a restart, gets the answer of the first time) and the secret of page tokens."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from streamproc.core.errors import TokenMismatch
from streamproc.store.database import Database

_PAGE_SECRET = "page_secret"
TOKEN_SCHEMA = (
    """
    CREATE TABLE request_tokens (
        scope TEXT NOT NULL, token TEXT NOT NULL, digest TEXT NOT NULL, answer TEXT NOT NULL, expires REAL NOT NULL,
        PRIMARY KEY (scope, token)
    ) WITHOUT ROWID;
    """,
)


class TokenStore:
    """Answers by token, within a scope (the operation). Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.migrate("request_tokens", TOKEN_SCHEMA)

    def find(self, scope: str, token: str, request: dict[str, Any], now: float) -> dict[str, Any] | None:
        """The answer that this token had. Raises TokenMismatch where it came with another request."""
        row = (
            self._database.read()
            .execute(
                "SELECT digest, answer FROM request_tokens WHERE scope = ? AND token = ? AND expires > ?",
                (scope, token, now),
            )
            .fetchone()
        )
        if row is None:
            return None
        if row["digest"] != _digest(request):
            raise TokenMismatch(f"The ClientRequestToken: {token} you have supplied is already in use.")
        answer: dict[str, Any] = json.loads(row["answer"])
        return answer

    def keep(
        self, scope: str, token: str, request: dict[str, Any], answer: dict[str, Any], *, now: float, life_s: float
    ) -> None:
        """Remember ``answer`` for ``life_s`` seconds; what has expired is forgotten."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM request_tokens WHERE expires <= ?", (now,))
            connection.execute(
                "INSERT OR REPLACE INTO request_tokens VALUES (?, ?, ?, ?, ?)",
                (scope, token, _digest(request), json.dumps(answer), now + life_s),
            )


def page_secret(database: Database) -> bytes:
    """Signs page tokens; made once, so that tokens outlive a restart."""
    known = database.get(_PAGE_SECRET)
    if known is None:
        known = secrets.token_hex(32)
        database.put(_PAGE_SECRET, known)
    return bytes.fromhex(known)


def _digest(request: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
