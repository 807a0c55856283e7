"""The source kvs over the network: sessions that end are no gaps, nothing is read twice, and refusals say what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc import metrics
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Source
from streamproc.core.errors import SourceRefused
from streamproc.core.media import Packet
from streamproc.core.video_log import FragmentInfo
from streamproc.media.demux import Coded
from tests.builders.watches import Watch
from tests.kinesis.cutting import CuttingService, cut
from tests.matroska import Clip

BEGIN_MS = 1_700_000_000_000
KEYS = {"KVS_TEST_KEY": "AKIDEXAMPLE", "KVS_TEST_SECRET": "a-secret-nobody-may-see"}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def fragments(clip: Clip) -> list[tuple[FragmentInfo, bytes]]:
    return cut(clip, BEGIN_MS)


@pytest.fixture
def service(fragments: list[tuple[FragmentInfo, bytes]]) -> Iterator[CuttingService]:
    made = CuttingService(fragments)
    yield made
    made.close()


def source(service: CuttingService, **options: Any) -> Source:
    named = {"access_key_id_env": "KVS_TEST_KEY", "secret_access_key_env": "KVS_TEST_SECRET"}
    ref = {"type": "kvs", "stream": "door", "endpoint_url": service.url, "start": "earliest", **named, **options}
    return make_source(ConnectorRef.model_validate(ref), ConnectorContext(processor="door"))


def read(made: Source, count: int, **options: Any) -> Watch:
    reader = Watch(made, **options)
    reader.until(lambda: len(reader.packets) >= count or reader.ended(), 60)
    return reader


def stopped(reader: Watch) -> Watch:
    assert reader.stop() and reader.error is None
    return reader


def bytes_of(packets: list[Packet]) -> list[bytes]:
    found = []
    for packet in packets:
        assert isinstance(packet.data, Coded)
        found.append(bytes(packet.data.packet))
    return found


@pytest.mark.parametrize("clean", [False, True])
def test_sessions_that_end_anywhere_are_no_gap_and_nothing_comes_twice(
    fragments: list[tuple[FragmentInfo, bytes]], clip: Clip, clean: bool
) -> None:
    """Cut within fragments, within headers and between two; the packets are the clip's."""
    sizes = [len(data) for _, data in fragments]
    service = CuttingService(fragments, max(sizes) + 1500, clean=clean)
    try:
        reader = stopped(read(source(service), len(clip.packets)))
        assert bytes_of(reader.packets) == [data for _, _, data in clip.packets]
        assert reader.gaps == []
        media = [packet.at.media for packet in reader.packets]
        assert media == sorted(media) and media[-1] - media[0] < Fraction(61, 10)
        assert len(service.selectors) >= len(fragments) - 1 and service.endpoint_calls == 1
        number = service.selectors[-1]["AfterFragmentNumber"]
        assert number in [info.number for info, _ in fragments]
    finally:
        service.close()


def test_the_last_fragment_does_not_wait_for_the_next(service: CuttingService, clip: Clip) -> None:
    reader = stopped(read(source(service), len(clip.packets)))
    assert len(reader.packets) == len(clip.packets)


def test_time_and_marks_are_the_services(service: CuttingService, fragments: list[tuple[FragmentInfo, bytes]]) -> None:
    reader = stopped(read(source(service), 60))
    packet = reader.packets[25]
    mark = packet.fragment
    assert mark is not None and mark.number == fragments[1][0].number
    assert mark.producer.timestamp() * 1000 == pytest.approx(fragments[1][0].producer_ms)
    assert mark.server.timestamp() * 1000 == pytest.approx(fragments[1][0].server_ms)
    assert packet.at.wall == mark.producer
    behind = metrics.REGISTRY.get_sample_value("streamproc_kvs_behind_seconds", {"processor": "door"})
    assert behind is not None and behind < len(fragments)


def test_it_goes_on_behind_the_last_fragment_after_a_crash(service: CuttingService, clip: Clip) -> None:
    first = stopped(read(source(service), 70))
    index = max(n for n, packet in enumerate(first.packets[:70]) if packet.ends)
    position = first.positions[first.items.index(first.packets[index])]
    second = stopped(read(source(service), len(clip.packets) - index - 1, resume=position))
    assert bytes_of(second.packets) == [data for _, _, data in clip.packets[index + 1 :]]
    assert second.packets[0].at.media == first.packets[index].at.media + Fraction(1, 25)


@pytest.mark.parametrize(
    "start",
    [lambda info: {"fragment": info.number}, lambda info: {"timestamp": info.producer_ms + 300}],
    ids=["fragment", "timestamp"],
)
def test_it_begins_where_the_settings_say(
    service: CuttingService, fragments: list[tuple[FragmentInfo, bytes]], start: Any
) -> None:
    info = fragments[2][0]
    reader = stopped(read(source(service, start=start(info)), 10))
    mark = reader.packets[0].fragment
    assert mark is not None and mark.number == info.number


def test_a_place_that_is_gone_is_a_gap_and_reading_goes_on(
    service: CuttingService, fragments: list[tuple[FragmentInfo, bytes]]
) -> None:
    first = stopped(read(source(service), 30))
    position = first.positions[first.items.index(next(packet for packet in first.packets if packet.ends))]
    service.fragments = fragments[4:]
    service.refuse_media = (400, "InvalidArgumentException", "the fragment is older than the retention")
    second = Watch(source(service), position)
    second.until(lambda: second.packets)
    stopped(second)
    assert second.gaps and second.packets[0].fragment is not None
    assert second.packets[0].fragment.number == fragments[4][0].number


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((404, "ResourceNotFoundException", "The requested stream is not found"), "no stream door"),
        ((403, "AccessDeniedException", "User is not authorized"), "kinesisvideo:GetMedia"),
        ((401, "NotAuthorizedException", "no"), "kinesisvideo:GetMedia"),
        ((403, "UnrecognizedClientException", "The security token included in the request is invalid"), "credentials"),
        ((403, "InvalidSignatureException", "The request signature we calculated does not match"), "secret is wrong"),
    ],
)
def test_refusals_say_what_to_do(service: CuttingService, answer: tuple[int, str, str], says: str) -> None:
    service.refuse = answer
    reader = Watch(source(service))
    reader.until(reader.ended)
    assert isinstance(reader.error, SourceRefused) and says in str(reader.error)
    assert KEYS["KVS_TEST_SECRET"] not in str(reader.error)


@pytest.mark.parametrize(
    "answer",
    [
        (500, "InternalFailure", "try again"),
        (400, "ClientLimitExceededException", "too many"),
        (403, "InvalidSignatureException", "Signature expired: 20261126T000000Z is now earlier than"),
    ],
)
def test_what_passes_is_waited_for(service: CuttingService, answer: tuple[int, str, str]) -> None:
    service.refuse = answer
    made = source(service)
    reader = Watch(made)
    reader.until(lambda: answer[2].split(":")[0] in getattr(made, "note", ""))
    service.refuse = None
    reader.until(lambda: reader.packets)
    stopped(reader)


def test_a_service_that_is_away_is_waited_for(service: CuttingService) -> None:
    url, service.url = service.url, "http://127.0.0.1:9"
    made = source(service, endpoint_url=service.url)
    reader = Watch(made)
    reader.until(lambda: "127.0.0.1:9" in getattr(made, "note", ""))
    service.url = url
    stopped(reader)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"access_key_id_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"profile": "nobodys-profile"}, "nobodys-profile"),
    ],
)
def test_missing_credentials_are_named(service: CuttingService, options: dict[str, str], says: str) -> None:
    os.environ.pop("NOT_SET_ANYWHERE", None)
    reader = Watch(source(service, **options))
    reader.until(reader.ended)
    assert isinstance(reader.error, SourceRefused) and says in str(reader.error)
