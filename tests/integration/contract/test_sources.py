"""Every source of the catalogue: it starts, stops from another thread, resumes, refuses clearly, tells of losses, and may be kept waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.catalog import TABLE
from streamproc.contracts import Source, SourceTraits
from streamproc.core.errors import SourceRefused
from tests.builders.clips import grey_clip
from tests.builders.watches import Watch
from tests.integration.contract.feeds import (
    SECRET,
    Feed,
    FileFeed,
    KafkaFeed,
    KvsFeed,
    KvsNetworkFeed,
    RtspFeed,
    UnboundFeed,
    WebrtcFeed,
)
from tests.servers.rtsp import lengthen

SOURCES = sorted(name for name, entry in TABLE.items() if entry.source is not None)
FEEDS: dict[str, Callable[[Path, pytest.FixtureRequest], Feed]] = {
    "file": lambda clip, request: FileFeed(clip),
    "kafka": lambda clip, request: KafkaFeed(request.getfixturevalue("kafka").bootstrap, clip),
    "kvs": lambda clip, request: KvsFeed(request.getfixturevalue("tmp_path"), clip),
    "rtsp": lambda clip, request: RtspFeed(request.getfixturevalue("rtsp"), clip),
    "unbound": lambda clip, request: UnboundFeed(),
    "webrtc": lambda clip, request: WebrtcFeed(clip),
}
MORE_FEEDS: dict[str, Callable[[Path, pytest.FixtureRequest], Feed]] = {
    "kvs over the network": lambda clip, request: KvsNetworkFeed(clip),
}
"""Sources that have two ways to their outside."""
STOP_S = 2.0
"""``contracts.Source``: it looks at ``stop`` at least twice a second."""


def test_every_source_is_held_to_the_contract() -> None:
    assert sorted(FEEDS) == SOURCES, "a new source needs a feed here"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    return lengthen(grey_clip(folder / "one.mp4"), folder / "long.mp4", 20)


@pytest.fixture(params=[*sorted(FEEDS), *sorted(MORE_FEEDS)])
def feed(request: pytest.FixtureRequest, clip: Path) -> Iterator[Feed]:
    made = (FEEDS | MORE_FEEDS)[request.param](clip, request)
    yield made
    made.close()


@pytest.fixture
def read(feed: Feed) -> Iterator[Callable[..., Watch]]:
    """Read the feed's source; a source that gives no frames is left out."""
    readers: list[Watch] = []

    def begin(*arguments: Any, **options: Any) -> Watch:
        if not feed.frames:
            pytest.skip("this source gives no frames by design")
        readers.append(Watch(feed.source(), *arguments, **options))
        return readers[-1]

    yield begin
    for reader in readers:
        assert reader.stop()


def test_it_says_what_it_can_do(feed: Feed) -> None:
    source = feed.source()
    assert isinstance(source, Source) and isinstance(source.traits, SourceTraits)
    assert source.traits.live or source.traits.replayable, "frames that nobody dropped can be read again"
    assert source.traits.replayable or not source.traits.keeps_backlog


def test_it_starts_at_a_keyframe_and_time_grows(read: Callable[..., Watch]) -> None:
    reader = read()
    reader.until(lambda: len(reader.packets) >= 20)
    packets = reader.packets
    assert packets[0].keyframe
    assert all(before.at.media < after.at.media for before, after in pairwise(packets))
    assert all(packet.at.wall.tzinfo is not None and packet.size > 0 for packet in packets)


def test_it_stops_when_another_thread_says_so(read: Callable[..., Watch]) -> None:
    reader = read()
    reader.until(lambda: reader.packets)
    assert reader.stop(STOP_S) and reader.error is None


def test_it_stops_while_its_outside_is_away(feed: Feed, read: Callable[..., Watch]) -> None:
    reader = read()
    reader.until(lambda: reader.packets)
    feed.lose()
    assert reader.stop(STOP_S) and reader.error is None


def test_it_resumes_from_its_position(feed: Feed, read: Callable[..., Watch]) -> None:
    first = read()
    first.until(lambda: len(first.packets) >= 40 and first.positions[-1] is not None)
    assert first.stop()
    position, last = first.positions[-1], first.packets[-1].at.media
    second = read(position)
    second.until(lambda: second.packets and second.packets[-1].at.media > last)
    if first.source.traits.replayable:
        media = {packet.at.media: packet.size for packet in first.packets}
        again = {packet.at.media: packet.size for packet in second.packets if packet.at.media <= last}
        assert again.items() <= media.items(), "the same frames, at the same times"
        following = min(packet.at.media for packet in second.packets if packet.at.media > last)
        assert following - last <= max(b - a for a, b in pairwise(sorted(media)))
    else:
        assert second.packets[0].at.media >= last, "time goes on while nobody reads"


def test_it_refuses_with_a_clear_word(feed: Feed) -> None:
    wrong = feed.wrong()
    if wrong is None:
        pytest.skip("nothing can be refused here")
    reader = Watch(feed.source(wrong))
    reader.until(reader.ended)
    assert isinstance(reader.error, SourceRefused) and len(str(reader.error)) > 10
    assert SECRET not in str(reader.error)


def test_a_loss_is_a_gap_and_only_where_frames_are_lost(feed: Feed, read: Callable[..., Watch]) -> None:
    reader = read()
    reader.until(lambda: len(reader.packets) >= 5)
    if not feed.has_gaps:
        reader.until(lambda: len(reader.packets) >= 40)
        assert reader.gaps == []
        return
    feed.lose()
    reader.until(lambda: reader.gaps)
    assert reader.gaps[0].detail and reader.gaps[0].at.media >= reader.packets[-1].at.media


def test_a_slow_reader_loses_nothing_that_a_durable_source_has(feed: Feed, read: Callable[..., Watch]) -> None:
    slow, quick = read(pause_s=0.05), read()
    slow.until(lambda: len(slow.packets) >= 30)
    quick.until(lambda: len(quick.packets) >= 30)
    if not slow.source.traits.live:
        assert [packet.size for packet in slow.packets[:30]] == [packet.size for packet in quick.packets[:30]]
    assert slow.error is None and slow.gaps == []
