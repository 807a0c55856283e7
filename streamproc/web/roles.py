"""What each role may do, and which right a request needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_VIEW: Final = frozenset({"view", "watch"})
_REVIEW: Final = _VIEW | {"review"}
_CONTROL: Final = _REVIEW | {"control", "publish", "metrics"}
ROLES: Final[Mapping[str, frozenset[str]]] = {
    "view": _VIEW,
    "review": _REVIEW,
    "control": _CONTROL,
    "admin": _CONTROL | {"admin"},
}
"""Rights by role; each role has those of the roles before it."""
_IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    "view": frozenset({"view"}),
    "review": frozenset({"view", "review"}),
    "control": frozenset({"view", "review", "control"}),
    "admin": frozenset({"view", "review", "control", "admin"}),
}
"""Rights of a token by a word of its ``may``; other words stand for themselves alone."""
_OF_TOKENS: Final = frozenset({"publish", "watch", "metrics"})
"""Rights that tokens are also given alone."""
_REVIEWED: Final = ("/api/faces", "/api/jobs")
"""Paths whose answers hold faces and names of people."""
_NODE: Final = ("/api/settings", "/api/cluster/drain")
"""Paths of the node's own document, which can hold secrets, and of taking a whole node out."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks, and what they may do."""

    name: str
    may: frozenset[str]

    @property
    def role(self) -> str:
        """The highest role whose rights they have all; view where none fits."""
        had = [role for role, rights in ROLES.items() if rights - _OF_TOKENS <= self.may]
        return had[-1] if had else "view"


LOCAL: Final = Identity("this host", ROLES["admin"])
"""Requests of this host where no users are set."""


def rights_of_token(may: frozenset[str]) -> frozenset[str]:
    """Everything that a token's ``may`` allows."""
    return may.union(*(_IMPLIED.get(word, frozenset()) for word in may))


def needed(method: str, path: str) -> str:
    """The right that a request of the control API needs."""
    if _under(path, _NODE):
        return "admin"
    if _under(path, _REVIEWED) or path.endswith("/feedback"):
        return "review"
    return "view" if method in ("GET", "HEAD") else "control"


def _under(path: str, prefixes: tuple[str, ...]) -> bool:
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)
