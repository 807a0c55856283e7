"""The names on the broker: topics of a node and of its processors, ids of Home Assistant."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

_WILD = re.compile(r"[/+#\x00-\x1f%]")
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")


def level(name: str) -> str:
    """A name as one level of a topic: what would mean something to a broker is percent-encoded."""
    return _WILD.sub(lambda match: f"%{ord(match.group()):02X}", name)


def slug(name: str) -> str:
    """A name of ``[a-zA-Z0-9_-]``, which is all that discovery ids may hold. Two names never become one."""
    plain = _FOREIGN.sub("_", name)
    return plain if plain == name else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


@dataclass(frozen=True, slots=True)
class NodeTopics:
    """``PREFIX/NODE/...``"""

    prefix: str
    node: str
    discovery: str | None = "homeassistant"

    @property
    def root(self) -> str:
        return f"{self.prefix}/{level(self.node)}"

    @property
    def status(self) -> str:
        """``online`` or, as the last will, ``offline``."""
        return f"{self.root}/status"

    @property
    def who(self) -> str:
        """Asked by a client that finds somebody else online under this node's name."""
        return f"{self.root}/who"

    @property
    def birth(self) -> str | None:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery}/status" if self.discovery else None

    @property
    def object_id(self) -> str:
        return slug(f"streamproc_{self.node}")

    @property
    def config(self) -> str | None:
        """Discovery of the node as a device of its own, which cameras hang below."""
        return f"{self.discovery}/device/{self.object_id}/config" if self.discovery else None

    @property
    def filters(self) -> tuple[str, ...]:
        """Everything retained below the node except pictures: what an earlier process may have left."""
        below = ("+/status", "+/state", "+/count", "+/stats", "+/+/state", "+/+/attributes")
        return tuple(f"{self.root}/{name}" for name in (*below, "+/region/+/+/state", "+/region/+/+/attributes"))

    @property
    def command_filters(self) -> tuple[str, ...]:
        return f"{self.root}/+/set", f"{self.root}/+/cmd/+"

    def processor(self, name: str) -> Topics:
        return Topics(self, name)

    def owner(self, topic: str) -> str | None:
        """The level of the processor that a topic belongs to; None: the node's own, or somebody else's."""
        rest = topic.removeprefix(f"{self.root}/")
        name, _, below = rest.partition("/")
        return name if rest != topic and below else None


@dataclass(frozen=True, slots=True)
class Topics:
    """``PREFIX/NODE/PROCESSOR/...``"""

    of: NodeTopics
    name: str

    @property
    def root(self) -> str:
        return f"{self.of.root}/{level(self.name)}"

    @property
    def object_id(self) -> str:
        return slug(f"streamproc_{self.of.node}_{self.name}")

    @property
    def config(self) -> str | None:
        return f"{self.of.discovery}/device/{self.object_id}/config" if self.of.discovery else None

    def at(self, *levels: str) -> str:
        """A topic below the processor's."""
        return "/".join((self.root, *map(level, levels)))

    @property
    def hero(self) -> str:
        return self.at("hero")
