"""What is sent so that the broker holds what is wanted, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mqtt.retained import REMOVE, Retained


def settle(retained: Retained, broker: dict[str, str]) -> list[str]:
    """Send everything to a broker; the topics that were sent."""
    told = []
    for topic, payload in retained.due():
        told.append(topic)
        broker.pop(topic, None)
        if payload != REMOVE:
            broker[topic] = str(payload)
        retained.sent(topic, payload)
    return told


def test_only_differences_are_sent() -> None:
    retained, broker = Retained(), {}
    retained.want("door", {"a": "1", "b": "1"})
    assert settle(retained, broker) == ["a", "b"]
    retained.want("door", {"a": "1", "b": "2"})
    assert settle(retained, broker) == ["b"]
    assert settle(retained, broker) == []


def test_what_is_no_longer_wanted_is_removed() -> None:
    retained, broker = Retained(), {}
    retained.want("door", {"a": "1", "b": "1"})
    retained.want("yard", {"y": "1"})
    settle(retained, broker)
    retained.want("door", {"a": "1"})
    settle(retained, broker)
    assert broker == {"a": "1", "y": "1"}
    retained.remove("door", ["hero"])
    assert settle(retained, broker) == ["a", "hero"]
    assert broker == {"y": "1"}
    assert retained.clean("door")


def test_everything_is_sent_again_to_a_broker_that_may_have_lost_it() -> None:
    retained, broker = Retained(), {}
    retained.want("door", {"a": "1"})
    settle(retained, broker)
    broker.clear()
    retained.reconnected()
    settle(retained, broker)
    assert broker == {"a": "1"}


def test_what_an_earlier_process_left_goes_with_its_owner() -> None:
    retained, broker = Retained(), {"old": "1", "foreign": "1"}
    retained.want("door", {"a": "1"})
    retained.found("door", "old", "1")
    retained.found("gone", "foreign", "1")
    settle(retained, broker)
    assert broker == {"a": "1", "foreign": "1"}
    assert retained.orphans() == {"gone"}
    retained.remove("gone")
    settle(retained, broker)
    assert broker == {"a": "1"}


def test_what_is_found_as_it_is_wanted_is_not_sent_again() -> None:
    retained = Retained()
    retained.found("door", "a", "1")
    retained.want("door", {"a": "1"})
    assert retained.due() == []


TOPIC = st.sampled_from("abcdef")
STEP = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(["one", "two"]), st.dictionaries(TOPIC, st.sampled_from("123"))),
    st.tuples(st.just("remove"), st.sampled_from(["one", "two"]), st.just({})),
    st.tuples(st.just("reconnect"), st.just(""), st.just({})),
    st.tuples(st.just("send"), st.just(""), st.just({})),
)


@given(st.lists(STEP, max_size=12))
def test_whatever_happens_the_broker_ends_up_with_what_is_wanted(steps: list[tuple[str, str, dict[str, str]]]) -> None:
    retained, broker = Retained(), {}
    wanted: dict[str, dict[str, str]] = {}
    for what, owner, messages in steps:
        mine = {f"{owner}/{topic}": payload for topic, payload in messages.items()}
        if what == "want":
            wanted[owner] = mine
            retained.want(owner, mine)
        elif what == "remove":
            wanted[owner] = {}
            retained.remove(owner)
        elif what == "reconnect":
            retained.reconnected()
        else:
            settle(retained, broker)
    settle(retained, broker)
    assert broker == {topic: payload for messages in wanted.values() for topic, payload in messages.items()}


def test_what_others_left_in_quantity_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.mqtt.retained.MOST", 3)
    retained = Retained()
    for number in range(10):
        retained.found("door", f"t{number}", "x" * 1_000_000)
    assert [retained.held(f"t{number}") for number in range(3)] == [None] * 3
    retained.want("door", {"t0": "1"})
    assert retained.due() == [("t1", REMOVE), ("t2", REMOVE), ("t0", "1")]
    retained.sent("t1", REMOVE)
    retained.found("door", "t9", "x")
    assert ("t9", REMOVE) in retained.due()
