"""One connection for all outputs of this process that name the same broker, prefix and user."""

from __future__ import annotations

import asyncio
import hashlib
import socket
from typing import Any
from weakref import WeakKeyDictionary

from connectors.context import ConnectorContext
from connectors.mqtt.node import NodeOnBroker
from connectors.mqtt.settings import MqttSinkSettings

_nodes: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[Any, ...], NodeOnBroker]] = WeakKeyDictionary()


def node_on_broker(settings: MqttSinkSettings, context: ConnectorContext) -> NodeOnBroker:
    """The one of this event loop for that broker, prefix and user. Made where there is none yet."""
    shared = _nodes.setdefault(asyncio.get_running_loop(), {})
    key = (_place(settings), context.node_id, context.data_dir)
    found = shared.get(key)
    if found is None or found.closing:
        found = shared[key] = NodeOnBroker(settings, context, _identifier(context, settings))
    elif settings.discovery:
        found.discover(settings.discovery)
    return found


def _identifier(context: ConnectorContext, settings: MqttSinkSettings) -> str:
    """The same for these settings, this data directory and this host, whenever it connects; another for any other: a broker ends the older of two
    connections of one name."""
    place = f"{socket.gethostname()}:{context.data_dir}:{_place(settings)}"
    return f"streamproc-{context.node_id[:12]}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _place(settings: MqttSinkSettings) -> str:
    """What two outputs have in common that share a connection."""
    return settings.model_dump_json(
        include={"host", "port", "tls", "ca_file", "cert_file", "key_file", "username_env", "password_env", "prefix"}
    )
