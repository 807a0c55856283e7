"""A processor's slot is the partition that Kafka's own clients choose for its name."""

from __future__ import annotations

import os

import pytest

from streamproc.logic.slots import murmur2, slot_of


@pytest.mark.parametrize("text, expected", [(b"", 275646681), (b"21", -973932308), (b"foobar", -790332482)])
def test_the_values_of_kafka_s_own_tests(text: bytes, expected: int) -> None:
    assert murmur2(text) == expected & 0xFFFFFFFF


def test_the_same_as_the_client_s() -> None:
    from aiokafka.partitioner import murmur2 as theirs

    for length in range(200):
        data = os.urandom(length % 37)
        assert murmur2(data) == theirs(data) & 0xFFFFFFFF


def test_every_name_has_a_slot() -> None:
    assert {slot_of(f"camera{number}", 8) for number in range(200)} == set(range(8))
