"""What the broker is told of a processor: discovery, states, messages. Values in, values out."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from connectors.mqtt.discovery import ENABLED_REGIONS, Offer, device, node_device, removing
from connectors.mqtt.messages import DETECTIONS, event_type, interrupted, message
from connectors.mqtt.states import states
from connectors.mqtt.topics import NodeTopics, level, slug
from streamproc.core.classes import ANNOUNCED
from streamproc.core.event import EventType
from streamproc.core.status import Figures, LastFace, Presence, ProcessorStatus, SourceStatus, Watched
from streamproc.logic.camera_health import Condition
from tests.builders.examples import GAP, LABEL, MATCHED, delivery

HERE = Path(__file__).parent
SCHEMA = json.loads((HERE / "discovery.schema.json").read_text())
TOPICS = NodeTopics("streamproc", "box").processor("front-door")
WATCHED = Watched(("PERSON", "PET", "PACKAGE"), True, ("porch", "front steps/1"), 50.0, "default")
STATUS = ProcessorStatus(
    "front-door",
    "running",
    None,
    WATCHED,
    "s",
    {"PERSON": Presence(datetime(2026, 5, 4, 6, 30, tzinfo=UTC), "s-000000", 97.125, "porch")},
    LastFace("ann", "s-000001", datetime(2026, 5, 4, 6, 30, 1, tzinfo=UTC), 99.0375),
    SourceStatus("running"),
    figures=Figures(people=1, visits=3),
)


VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
PLATFORMS = {component["p"]: component for component in device(TOPICS, WATCHED, Offer(commands=True))["cmps"].values()}
"""One entity of each platform that is offered."""


def valid(document: dict[str, Any]) -> dict[str, Any]:
    VALIDATOR.validate(document)
    return document


def of_one(component: dict[str, Any]) -> dict[str, Any]:
    """A discovery document with one entity."""
    return {"dev": {"identifiers": ["a"], "name": "A"}, "o": {"name": "a"}, "cmps": {"one": component}}


def documented(platform: str) -> set[str]:
    """Every key that Home Assistant knows of the platform's entities."""
    return {*SCHEMA["$defs"]["entity"]["properties"], *SCHEMA["$defs"][platform]["properties"]}


@pytest.mark.parametrize("commands", [False, True])
@pytest.mark.parametrize("watched", [WATCHED, Watched(("PET",)), Watched((), True, ("a b",))])
def test_every_discovery_document_is_one_that_home_assistant_takes(watched: Watched, commands: bool) -> None:
    document = valid(device(TOPICS, watched, Offer(commands, configuration_url="https://node/console")))
    ids = [component["unique_id"] for component in document["cmps"].values()]
    names = [component["default_entity_id"] for component in document["cmps"].values()]
    assert len(set(ids)) == len(ids)
    assert len(set(names)) == len(names)
    # An entity whose name repeats the device's would be called "front-door front-door person".
    assert not any("front-door" in component["name"] for component in document["cmps"].values())
    platforms = {component["p"] for component in document["cmps"].values()}
    assert commands == bool(platforms & {"switch", "select", "number", "button"})


@pytest.mark.parametrize(
    "platform", ["binary_sensor", "sensor", "event", "image", "switch", "button", "number", "select"]
)
def test_a_key_that_home_assistant_does_not_know_of_a_platform_is_none(platform: str) -> None:
    """It would be dropped there without a word."""
    component = PLATFORMS[platform]
    valid(of_one(component))
    foreign = {"object_id", "device", "platform"}.union(*map(documented, PLATFORMS)) - documented(platform)
    assert len(foreign) > 10
    wrong = [component | {key: "1"} for key in foreign]
    for key in component.keys() - {"p"}:
        rest = {name: value for name, value in component.items() if name != key}
        wrong += [rest | {f"{key}s": component[key]}, rest | {key.title(): component[key]}]
    for changed in wrong:
        assert not VALIDATOR.is_valid(of_one(changed)), changed


@pytest.mark.parametrize(
    "place", [("qoss",), ("dev", "swversion"), ("o", "support"), ("availability", 0, "payload_on")]
)
def test_nor_is_one_beside_the_entities(place: tuple[Any, ...]) -> None:
    document = device(TOPICS, WATCHED, Offer())
    table = document
    for step in place[:-1]:
        table = table[step]
    table[place[-1]] = 1
    assert not VALIDATOR.is_valid(document)


def test_the_golden_document() -> None:
    """Entities of users hang on these ids and topics: a change here is a breaking one."""
    golden = json.loads((HERE / "golden.json").read_text())
    assert device(TOPICS, WATCHED, Offer(commands=True)) | {"o": golden["o"], "dev": golden["dev"]} == golden


def test_the_node_is_a_device_that_its_cameras_are_below() -> None:
    document = valid(node_device(TOPICS.of, "attic"))
    assert document["dev"]["name"] == "streamproc attic"
    assert device(TOPICS, WATCHED, Offer())["dev"]["via_device"] in document["dev"]["identifiers"]
    assert document["cmps"]["status"]["state_topic"] == "streamproc/box/status"


def test_only_what_the_document_looks_for_has_entities() -> None:
    keys = device(TOPICS, Watched(("PET",), regions=("yard",)), Offer())["cmps"].keys()
    assert {"PET", "yard_PET"} <= keys
    assert not {"PERSON", "PACKAGE", "people", "face"} & keys


def test_entities_of_many_regions_wait_to_be_wanted() -> None:
    regions = tuple(f"r{number}" for number in range(ENABLED_REGIONS + 2))
    components = device(TOPICS, Watched(("PERSON",), regions=regions), Offer())["cmps"]
    off = [key for key, component in components.items() if component.get("enabled_by_default") is False]
    assert off == ["r6_PERSON", "r7_PERSON"]


def test_entities_that_go_are_named_by_their_platform_alone_first() -> None:
    before = device(TOPICS, WATCHED, Offer(commands=True))
    after = device(TOPICS, replace(WATCHED, classes=("PERSON",)), Offer())
    between = removing(before, after)
    assert between is not None
    assert valid(between)["cmps"]["PET"] == {"p": "binary_sensor"}
    assert between["cmps"]["analyse"] == {"p": "switch"}
    assert between["cmps"]["PERSON"] == after["cmps"]["PERSON"]
    assert removing(before, before) is None


def test_every_topic_of_discovery_is_one_that_is_published() -> None:
    document = device(TOPICS, WATCHED, Offer(commands=True))
    published = {
        *states(STATUS, TOPICS),
        TOPICS.at("stats"),
        TOPICS.hero,
        TOPICS.at("event"),
        TOPICS.at("health", "event"),
    }
    for component in document["cmps"].values():
        for key in ("state_topic", "json_attributes_topic", "image_topic"):
            assert component.get(key) in published | {None}, component


def test_states_say_who_is_in_view_and_where() -> None:
    found = states(STATUS, TOPICS)
    assert found["streamproc/box/front-door/PERSON/state"] == "ON"
    assert found["streamproc/box/front-door/PET/state"] == "OFF"
    assert found["streamproc/box/front-door/region/porch/PERSON/state"] == "ON"
    assert found["streamproc/box/front-door/region/front steps%2F1/PERSON/state"] == "OFF"
    attributes = json.loads(found["streamproc/box/front-door/PERSON/attributes"])
    assert attributes == {
        "event": "s-000000",
        "since": "2026-05-04T06:30:00.000000Z",
        "confidence": 97.12,
        "region": "porch",
    }
    assert found["streamproc/box/front-door/face/state"] == "ann"
    assert json.loads(found["streamproc/box/front-door/face/attributes"])["confidence"] == 99.04
    assert json.loads(found["streamproc/box/front-door/count"]) == {"people": 1, "sessions": 3}
    assert found["streamproc/box/front-door/status"] == "online"


def test_nothing_is_on_of_a_processor_that_stopped() -> None:
    found = states(replace(STATUS, state="stopped", in_view={}, source=SourceStatus()), TOPICS)
    assert "ON" not in [payload for topic, payload in found.items() if "schedule" not in topic]
    assert found["streamproc/box/front-door/status"] == "offline"


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (STATUS, ""),
        (replace(STATUS, state="failed", message="no such collection"), "no such collection"),
        (replace(STATUS, source=SourceStatus("gap", "connection lost")), "connection lost"),
        (replace(STATUS, state="stopped", source=SourceStatus("gap", "x")), ""),
    ],
)
def test_a_problem_is_said_with_its_reason(status: ProcessorStatus, problem: str) -> None:
    found = states(status, TOPICS)
    assert found[TOPICS.at("problem", "state")] == ("ON" if problem else "OFF")
    assert json.loads(found[TOPICS.at("problem", "attributes")])["reason"] == problem


def test_messages_are_the_plain_form_and_say_their_event_type() -> None:
    topic, payload = message(delivery(LABEL), TOPICS, "plain")
    document = json.loads(payload)
    assert topic == "streamproc/box/front-door/event"
    assert document.pop("event_type") == "person"
    assert document == delivery(LABEL).document("plain")
    assert json.loads(message(delivery(MATCHED), TOPICS, "plain")[1])["event_type"] in DETECTIONS
    assert message(delivery(GAP), TOPICS, "plain")[0] == "streamproc/box/front-door/health/event"
    away = replace(GAP, data={**GAP.data, "over": False})
    assert [json.loads(message(delivery(gap), TOPICS, "plain")[1])["event_type"] for gap in (GAP, away)] == [
        "gap_over",
        "gap",
    ]


NOW = datetime(2026, 5, 4, 6, 30, tzinfo=UTC)
AWAY = replace(STATUS, source=SourceStatus("gap", "lost: connection refused"))


@pytest.mark.parametrize("before", [STATUS, replace(STATUS, source=SourceStatus())])
def test_a_feed_that_begins_to_be_away_is_said_at_once(before: ProcessorStatus) -> None:
    told = interrupted(before, AWAY, NOW, TOPICS)
    assert told is not None
    topic, document = told[0], json.loads(told[1])
    camera = device(TOPICS, WATCHED, Offer())["cmps"]["camera"]
    assert topic == camera["state_topic"]
    assert document.pop("event_type") in camera["event_types"]
    assert document == {
        "processor": "front-door",
        "session": "s",
        "time": "2026-05-04T06:30:00.000000Z",
        "reason": "lost",
        "detail": "connection refused",
    }


@pytest.mark.parametrize(
    ("before", "status"), [(None, AWAY), (AWAY, AWAY), (AWAY, STATUS), (STATUS, replace(AWAY, state="stopped"))]
)
def test_it_is_said_once_and_not_of_what_was_away_already(
    before: ProcessorStatus | None, status: ProcessorStatus
) -> None:
    assert interrupted(before, status, NOW, TOPICS) is None


def test_every_kind_of_event_is_one_that_home_assistant_was_told_of() -> None:
    """It drops others with a warning; what is declared and never sent would be an automation that never runs."""
    conditions = [
        replace(GAP, type=EventType.CAMERA_HEALTH, data={"condition": condition.value, "active": active})
        for condition in Condition
        for active in (True, False)
    ]
    told = interrupted(STATUS, AWAY, NOW, TOPICS)
    assert told is not None
    sent = {event_type(event) for event in (GAP, *conditions)} | {json.loads(told[1])["event_type"]}
    assert sent == set(device(TOPICS, WATCHED, Offer())["cmps"]["camera"]["event_types"])
    faces = {event_type(replace(MATCHED, type=kind)) for kind in (EventType.FACE_MATCHED, EventType.FACE_UNKNOWN)}
    classes = {event_type(replace(LABEL, label=group.name)) for group in ANNOUNCED}
    assert faces | classes == set(DETECTIONS)


def test_the_service_s_form_is_sent_as_it_is() -> None:
    payload = message(delivery(LABEL), TOPICS, "aws")[1]
    assert json.loads(payload) == delivery(LABEL).document("aws")


def test_names_become_levels_and_ids_without_meeting() -> None:
    assert level("a/b+c#d%") == "a%2Fb%2Bc%23d%25"
    assert slug("front-door_2") == "front-door_2"
    assert len({slug(name) for name in ("a b", "a_b", "a.b", "ä b")}) == 4
    assert NodeTopics("home/cams", "box").owner("home/cams/box/front-door/PERSON/state") == "front-door"
    assert NodeTopics("home/cams", "box").owner("home/cams/box/status") is None
    assert NodeTopics("home/cams", "box").owner("home/cams/other/front-door/state") is None
