"""The pure parts of the wire: numbers, start times, acknowledgements, tokens."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.aws_protocol.faults import AwsFault
from streamproc.core.errors import InputError
from streamproc.kinesis import acks
from streamproc.kinesis.acks import AckError, AckWriter, line
from streamproc.kinesis.control import make_token, page_of, read_token
from streamproc.kinesis.put_request import parse_start, read_put_request
from streamproc.logic import fragment_numbers as numbers

MILLISECONDS = st.integers(0, 2**42)


@given(st.lists(st.tuples(MILLISECONDS, st.integers(0, 2**28 - 1)), min_size=2, max_size=20))
def test_numbers_grow_as_text_whatever_the_clock_does(times: list[tuple[int, int]]) -> None:
    last, made = "", []
    for server_ms, low in times:
        last = numbers.next_number(server_ms, low, last)
        made.append(last)
    assert made == sorted(set(made)) and {len(number) for number in made} == {47}


@given(MILLISECONDS, st.integers(0, 2**28 - 1))
def test_a_number_tells_its_server_time(server_ms: int, low: int) -> None:
    assert numbers.server_ms(numbers.next_number(server_ms, low, "")) == server_ms


def test_a_number_of_the_service_tells_its_server_time() -> None:
    """Out of a capture of GetMedia, with SERVER_TIMESTAMP 1511852109.126."""
    assert numbers.server_ms("91343852333181432392682062607743920146159169392") == 1_511_852_109_126


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1795648994.449", 1_795_648_994_449),
        ("2023-11-14T22:13:20.005Z", 1_700_000_000_005),
        ("2023-11-14T23:13:20+01:00", 1_700_000_000_000),
        ("1700000000", 1_700_000_000_000),
        ("0", 0),
    ],
)
def test_start_times_come_in_three_forms(text: str, milliseconds: int) -> None:
    assert parse_start(text) == milliseconds


@pytest.mark.parametrize("text", ["yesterday", "-5", "1e9", "nan", "12345678901234567890"])
def test_start_times_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(AwsFault):
        parse_start(text)


def test_what_is_left_out_of_a_request_has_its_default() -> None:
    asked = read_put_request({}, 5_000)
    assert (asked.absolute, asked.wants_acks, asked.producer_ms(40)) == (False, True, 5_040)
    assert read_put_request({"x-amzn-fragment-timecode-type": "ABSOLUTE"}, 5_000).producer_ms(40) == 40
    with pytest.raises(AwsFault):
        read_put_request({"x-amzn-fragment-timecode-type": "SOMETIMES"}, 0)


def test_an_acknowledgement_is_one_compact_line() -> None:
    assert line("IDLE") == b'{"EventType":"IDLE"}\n'
    assert line("PERSISTED", 1044, "91") == b'{"EventType":"PERSISTED","FragmentTimecode":1044,"FragmentNumber":"91"}\n'
    told = line("ERROR", 0, "91", AckError.INVALID_MKV_DATA)
    assert told.endswith(b'"ErrorId":4006,"ErrorCode":"INVALID_MKV_DATA"}\n')


async def test_acknowledgements_are_written_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acks, "GAP_S", 0.001)
    written: list[bytes] = []

    async def write(data: bytes) -> None:
        written.append(data)

    writer = AckWriter(write, wanted=True)
    for n in range(5):
        writer.say("RECEIVED", n)
    await writer.drain()
    assert written == [line("RECEIVED", n) for n in range(5)]


async def test_a_producer_that_is_faster_than_its_acknowledgements_is_held_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acks, "MOST_WAITING", 10)
    read = asyncio.Event()

    async def write(data: bytes) -> None:
        await read.wait()

    writer = AckWriter(write, wanted=True)
    for n in range(12):
        writer.say("RECEIVED", n)
    waiting = asyncio.create_task(writer.room())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    read.set()
    await waiting
    await writer.drop()


async def test_nobody_waits_for_a_connection_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acks, "MOST_WAITING", 1)

    async def write(data: bytes) -> None:
        raise ConnectionResetError

    writer = AckWriter(write, wanted=True)
    for n in range(5):
        writer.say("RECEIVED", n)
    await writer.room()
    await writer.drain()


def test_pages_go_on_behind_their_last_name() -> None:
    page, token = page_of(["a", "b", "c"], None, 2)
    assert page == ["a", "b"] and token is not None
    assert page_of(["a", "bb", "c"], token, 2) == (["bb", "c"], None)
    assert read_token(make_token("Straße")) == "Straße"
    with pytest.raises(InputError):
        read_token("no base64!")
