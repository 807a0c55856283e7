"""Password hashes: Argon2id with the parameters that argon2-cffi takes from RFC 9106 (its second recommendation, 64 MiB)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

_HASHER = PasswordHasher()
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$OavRQuo4Td7b9yGCN0bc3g$+w5xWf/U/Jb4Ys4GlfqnN+nG+AcgZFOHeAgL/r++Z0c"
"""Nobody signs in with it: an unknown name costs as much time as a wrong password."""


def hash_password(password: str) -> str:
    """One line to be kept in an environment variable."""
    return _HASHER.hash(password)


def is_hash(text: str) -> bool:
    """Whether ``text`` is a line that ``hash_password`` made."""
    return text.startswith("$argon2") and text.count("$") == 5


def matches(hashed: str | None, password: str) -> bool:
    """Whether the password is the one of ``hashed``; False for None, after the same work."""
    try:
        return _HASHER.verify(hashed or _NOBODY, password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False
