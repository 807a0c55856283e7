"""Home Assistant's device discovery: one document a camera, out of what its processor looks for. Pure.

The shape is that of https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload: ``dev``, ``o`` and ``cmps`` at the root. A key that
Home Assistant does not know has it refuse the whole device there, and is dropped without a word in an entity.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.mqtt.messages import CAMERA, DETECTIONS
from connectors.mqtt.states import OFFLINE, ONLINE
from connectors.mqtt.topics import NodeTopics, Topics, slug
from streamproc import __version__
from streamproc.core.classes import STILL_CLASSES
from streamproc.core.status import Watched

ENABLED_REGIONS = 6
"""Entities of more regions than that are there, and switched off until somebody wants them."""
MODES = ("schedule", "home", "away", "pause")

_STILL = {"icon": "mdi:package-variant-closed"}
"""Of a class that stays where it was put: nobody occupies anything."""
_DIAGNOSTIC = {"entity_category": "diagnostic"}
_FIGURES: dict[str, dict[str, Any]] = {
    "fps": {"name": "Frames a second", "state_class": "measurement", "icon": "mdi:filmstrip"},
    "latency_p95_ms": {
        "name": "Latency p95",
        "state_class": "measurement",
        "unit_of_measurement": "ms",
        "device_class": "duration",
    },
    "cpu_percent": {"name": "CPU share", "state_class": "measurement", "unit_of_measurement": "%", "icon": "mdi:chip"},
    "outbox_waiting": {"name": "Events waiting", "state_class": "measurement", "icon": "mdi:tray-full"},
    "last_frame": {"name": "Last frame", "device_class": "timestamp"},
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What of a processor is offered, beside what it looks for."""

    commands: bool = False
    events: bool = True
    """False where messages are not in the plain form, which alone carries ``event_type``."""
    pictures: bool = True
    configuration_url: str | None = None


def device(topics: Topics, watched: Watched, offer: Offer) -> dict[str, Any]:
    """The discovery document of a processor."""
    info: dict[str, Any] = {
        "identifiers": [topics.object_id],
        "name": topics.name,
        "manufacturer": "streamproc",
        "model": "Camera",
        "sw_version": __version__,
        "via_device": topics.of.object_id,
    }
    if offer.configuration_url:
        info["configuration_url"] = offer.configuration_url
    components = dict(_components(topics, watched, offer))
    return {
        "dev": info,
        "o": {"name": "streamproc", "sw": __version__},
        "cmps": {key: _named(topics, key, component) for key, component in components.items()},
        "availability": _availability(topics.of.status, topics.at("status")),
        "availability_mode": "all",
        "qos": 1,
    }


def node_device(topics: NodeTopics, host: str) -> dict[str, Any]:
    """The node itself, which its cameras are below. ``host`` is the machine's name, for people."""
    connectivity = {
        "p": "binary_sensor",
        "unique_id": f"{topics.object_id}_status",
        "default_entity_id": f"binary_sensor.{topics.object_id}_status".lower(),
        "name": "Connection",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "state_topic": topics.status,
        "payload_on": ONLINE,
        "payload_off": OFFLINE,
    }
    return {
        "dev": {
            "identifiers": [topics.object_id],
            "name": f"streamproc {host or topics.node}",
            "manufacturer": "streamproc",
            "model": "Node",
            "sw_version": __version__,
        },
        "o": {"name": "streamproc", "sw": __version__},
        "cmps": {"status": connectivity},
        "qos": 1,
    }


def removing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    """A document to send between the two: entities that are gone are named by their platform alone. None: none are gone."""
    old, new = before.get("cmps") or {}, after["cmps"]
    gone = {
        key: {"p": old[key]["p"]} for key in old if key not in new and isinstance(old[key], dict) and "p" in old[key]
    }
    return {**after, "cmps": {**new, **gone}} if gone else None


def _availability(*topics: str) -> list[dict[str, str]]:
    return [{"topic": topic, "payload_available": ONLINE, "payload_not_available": OFFLINE} for topic in topics]


def _named(topics: Topics, key: str, component: dict[str, Any]) -> dict[str, Any]:
    ids = {
        "unique_id": f"{topics.object_id}_{key}",
        "default_entity_id": f"{component['p']}.{slug(topics.name)}_{key}".lower().replace("-", "_"),
    }
    return {"p": component.pop("p"), **ids, **component}


def _components(topics: Topics, watched: Watched, offer: Offer) -> Iterator[tuple[str, dict[str, Any]]]:
    for label in watched.classes:
        yield label, _presence(label.capitalize(), label, topics, (label,))
    for number, region in enumerate(watched.regions):
        for label in watched.classes:
            place = _presence(f"{region} {label.capitalize()}", label, topics, ("region", region, label))
            yield (
                f"{slug(region)}_{label}",
                place | ({"enabled_by_default": False} if number >= ENABLED_REGIONS else {}),
            )
    if offer.events:
        yield "event", _event("Detections", topics.at("event"), list(DETECTIONS))
        yield "camera", _event("Camera", topics.at("health", "event"), list(CAMERA)) | _DIAGNOSTIC
    if offer.pictures:
        yield "hero", {"p": "image", "name": "Last detection", "image_topic": topics.hero, "content_type": "image/jpeg"}
    if watched.faces:
        yield (
            "face",
            {
                "p": "sensor",
                "name": "Last person",
                "icon": "mdi:face-recognition",
                "state_topic": topics.at("face", "state"),
                "json_attributes_topic": topics.at("face", "attributes"),
            },
        )
    if "PERSON" in watched.classes:
        yield "people", _count("People", "people", "mdi:account-multiple", topics)
    yield "sessions", _count("Sessions", "sessions", "mdi:counter", topics) | _DIAGNOSTIC
    yield from _diagnostics(topics)
    if offer.commands:
        yield from _commands(topics, watched, offer.pictures)


def _presence(name: str, label: str, topics: Topics, place: tuple[str, ...]) -> dict[str, Any]:
    looks: dict[str, Any] = _STILL if label in STILL_CLASSES else {"device_class": "occupancy"}
    return {
        "p": "binary_sensor",
        "name": name,
        **looks,
        "state_topic": topics.at(*place, "state"),
        "json_attributes_topic": topics.at(*place, "attributes"),
    }


def _event(name: str, topic: str, kinds: list[str]) -> dict[str, Any]:
    return {"p": "event", "name": name, "state_topic": topic, "event_types": kinds}


def _count(name: str, key: str, icon: str, topics: Topics) -> dict[str, Any]:
    return {
        "p": "sensor",
        "name": name,
        "icon": icon,
        "state_class": "measurement",
        "state_topic": topics.at("count"),
        "value_template": f"{{{{ value_json.{key} }}}}",
    }


def _diagnostics(topics: Topics) -> Iterator[tuple[str, dict[str, Any]]]:
    """What there is to see also of a processor that does not run: available while the node is."""
    always = {"availability": _availability(topics.of.status), **_DIAGNOSTIC}
    for key, name, kind in (("source", "Source", "connectivity"), ("problem", "Problem", "problem")):
        yield (
            key,
            {
                "p": "binary_sensor",
                "name": name,
                "device_class": kind,
                "state_topic": topics.at(key, "state"),
                "json_attributes_topic": topics.at(key, "attributes"),
                **always,
            },
        )
    for key, looks in _FIGURES.items():
        template = f"{{{{ value_json.{key} }}}}"
        yield key, {"p": "sensor", **looks, "state_topic": topics.at("stats"), "value_template": template, **always}
    running = {"p": "binary_sensor", "name": "Running", "device_class": "running", "state_topic": topics.at("state")}
    yield "running", running | always
    schedule = {"p": "binary_sensor", "name": "In schedule", "state_topic": topics.at("schedule", "state")}
    yield "schedule", schedule | always


def _commands(topics: Topics, watched: Watched, pictures: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Never optimistic: what is shown is what the processor answers with."""
    always = {"availability": _availability(topics.of.status)}
    yield (
        "analyse",
        {
            "p": "switch",
            "name": "Analyse",
            "icon": "mdi:cctv",
            "state_topic": topics.at("state"),
            "command_topic": topics.at("set"),
            "optimistic": False,
            **always,
        },
    )
    settings = {"entity_category": "config", "optimistic": False, **always}
    mode = {"p": "select", "name": "Mode", "options": list(MODES), "state_topic": topics.at("mode", "state")}
    yield "mode", mode | {"command_topic": topics.at("cmd", "mode")} | settings
    if watched.min_confidence is not None:
        number = {"p": "number", "name": "Minimum confidence", "min": 0, "max": 100, "step": 1, "mode": "box"}
        places = {
            "state_topic": topics.at("min_confidence", "state"),
            "command_topic": topics.at("cmd", "min_confidence"),
        }
        yield "min_confidence", number | {"unit_of_measurement": "%"} | places | settings
    if watched.profile is not None:
        options = list(dict.fromkeys([watched.profile, "default", "accurate", "small"]))
        select = {"p": "select", "name": "Models", "options": options, "state_topic": topics.at("profile", "state")}
        yield "profile", select | {"command_topic": topics.at("cmd", "profile")} | settings
    snapshot = {"p": "button", "name": "Snapshot", "icon": "mdi:camera", "command_topic": topics.at("cmd", "snapshot")}
    if pictures:
        yield "snapshot", snapshot | {"entity_category": "config"}
