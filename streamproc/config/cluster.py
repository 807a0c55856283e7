"""The part of ``streamproc.yaml`` about several nodes that take over from one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, StringConstraints

from connectors.kafka.settings import KafkaConnection, KafkaServers
from connectors.s3.picture_settings import S3PictureSettings
from streamproc.config.duration import Duration

TagWord = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,62}$")]
Tags = dict[TagWord, TagWord]


@dataclass(frozen=True, slots=True)
class NodePlace:
    """What is this node's own, where several share one document."""

    node_id: str | None = None
    """None: the data directory's own id."""
    address: str | None = None
    """URL under which the other nodes reach it; None: they cannot."""
    tags: Mapping[str, str] = field(default_factory=dict)


class ClusterSettings(KafkaServers):
    """This node shares its processors with others over Apache Kafka. Left out: it is alone, and no broker is needed."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._\-]{0,62}$")
    """The same on all nodes of the cluster. Its topics, group and transactional ids begin with it."""
    partitions: int = Field(default=64, ge=1, le=4096)
    """Shares into which processors are divided, fixed when the topics are first made: 64 for up to about twenty nodes, 1024 for thousands of streams."""
    pictures: S3PictureSettings | None = None
    """Where pictures go that are too large to travel with their event, so that other nodes can show and deliver them. Left out: those stay with
    the node that took them."""
    tags: Tags = {}
    """What this node can reach or has; a processor's ``require`` asks for it. ``serve --tag KEY=VALUE`` adds to it."""
    session_timeout: Duration = Field(default=6.0, ge=1.0, le=300.0)
    """A node that the brokers did not hear for so long counts as dead. Less than 6 s needs ``group.min.session.timeout.ms`` of the brokers lowered."""
    token_env: str | None = None
    """Environment variable with the bearer token by which nodes ask one another, the same on all of them; it may do everything. Left out: only
    requests that need no token are passed on."""

    def connection(self, topic: str) -> KafkaConnection:
        """To one of the cluster's topics; ``topic`` without the cluster's name."""
        shared = {field: getattr(self, field) for field in KafkaServers.model_fields}
        return KafkaConnection(topic=f"{self.name}.{topic}", **shared)
