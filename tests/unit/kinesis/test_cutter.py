from __future__ import annotations

import io
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.kinesis.assemble import Assembler, Buffering, RawFragment, Received, Step, TimecodeLesser
from streamproc.media.ebml import MatroskaError, TooLarge
from streamproc.media.fragments import read_fragment
from streamproc.media.matroska import Cutter, read_header
from streamproc.media.matroska_events import Event, Header, TagsRead
from tests.matroska import block, cluster, el, group, head, num, tags, track

END = tags(AWS_KINESISVIDEO_END_OF_FRAGMENT="")
TWO_TRACKS = head(track(1), track(2, kind=2, codec="A_AAC"))


def gop(timecode: int, frames: int = 3, *, unknown: bool = False, key: bool = True) -> bytes:
    first = block(0, b"picture 0", key=key)
    return cluster(timecode, first, *(block(40 * n, b"picture %d" % n) for n in range(1, frames)), unknown=unknown)


def cut(data: bytes, piece: int | None = None) -> list[Event]:
    cutter = Cutter()
    step = piece or max(1, len(data))
    events = [event for at in range(0, len(data), step) for event in cutter.feed(data[at : at + step])]
    return events + cutter.finish()


def assembled(data: bytes, piece: int | None = None) -> list[Step]:
    assembler = Assembler()
    steps = [step for event in cut(data, piece) for step in assembler.add([event])]
    return steps + assembler.close()


def fragments(data: bytes) -> list[RawFragment]:
    return [step for step in assembled(data) if isinstance(step, RawFragment)]


SENT = {
    "unknown sizes and tags": head() + gop(0, unknown=True) + tags(a="1") + tags(b="2") + gop(120, unknown=True) + END,
    "known sizes, cues behind": head(more=el("114D9B74", b"\xec\x80"))
    + gop(0)
    + gop(120)
    + el("1C53BB6B", b"\xec\x80"),
    "several files": head() + gop(0) + head() + gop(0) + gop(120),
    "groups, audio first": TWO_TRACKS
    + cluster(0, block(0, b"sound", number=2), group(5, b"picture", key=True), group(45, b"more"))
    + cluster(120, block(0, b"sound", number=2), group(3, b"picture", key=True), unknown=True),
    "clusters without keyframes": head() + gop(0) + gop(120, key=False) + gop(240, key=False) + gop(360),
}


@pytest.mark.parametrize("name", SENT)
@pytest.mark.parametrize("piece", [1, 7, 100])
def test_however_the_bytes_come_the_fragments_are_the_same(name: str, piece: int) -> None:
    assert assembled(SENT[name], piece) == assembled(SENT[name])


@given(st.lists(st.integers(1, 60), min_size=1, max_size=20), st.sampled_from(sorted(SENT)))
def test_any_split_gives_the_same_events(sizes: list[int], name: str) -> None:
    data, cutter, events, at = SENT[name], Cutter(), [], 0
    while at < len(data):
        for size in sizes:
            events += cutter.feed(data[at : at + size])
            at += size
    assert events + cutter.finish() == cut(data)


def test_fragments_hold_what_was_sent() -> None:
    data = head() + gop(0, unknown=True) + tags(color="red") + gop(120, unknown=True) + END
    first, second = fragments(data)
    assert first.body == gop(0, unknown=True) + tags(color="red")
    assert second.body == gop(120, unknown=True)  # the end mark is no metadata
    assert first.header.data == head()
    assert (first.duration_ms, first.timecodes_ms) == (120, (0,))
    assert first.header.tracks[0].codec_private == b"\x01avcC"


def test_positions_that_have_gone_stale_are_left_out() -> None:
    assert fragments(SENT["known sizes, cues behind"])[0].header.data == head()


def test_each_file_brings_its_own_header_and_may_begin_again_at_zero() -> None:
    other = head(track(private=b"other"))
    made = fragments(head() + gop(5000) + other + gop(0))
    assert [fragment.header.tracks[0].codec_private for fragment in made] == [b"\x01avcC", b"other"]


def test_clusters_without_a_keyframe_join_the_one_before() -> None:
    steps = assembled(SENT["clusters without keyframes"])
    made = [step for step in steps if isinstance(step, RawFragment)]
    assert [fragment.timecodes_ms for fragment in made] == [(0, 120, 240), (360,)]
    assert made[0].body == gop(0) + gop(120, key=False) + gop(240, key=False)
    assert made[0].duration_ms == 360
    assert [s for s in steps if isinstance(s, Buffering)] == [
        Buffering(0, True),
        Buffering(120, False),
        Buffering(240, False),
        Buffering(360, True),
    ]
    assert [s.timecode_ms for s in steps if isinstance(s, Received)] == [0, 120, 240, 360]


def test_joining_ends_after_ten_seconds() -> None:
    data = head() + gop(0) + b"".join(gop(1000 * n, key=False) for n in range(1, 12))
    assert [fragment.timecodes_ms[0] for fragment in fragments(data)] == [0, 10_000]


def test_audio_alone_is_never_joined() -> None:
    sound = head(track(1, kind=2, codec="A_AAC"))
    data = sound + cluster(0, block(0, b"a"), block(20, b"b")) + cluster(40, block(0, b"c"))
    assert len(fragments(data)) == 2


def test_a_fragment_ends_at_its_mark_while_the_body_stays_open() -> None:
    cutter, assembler = Cutter(), Assembler()
    assembler.add(cutter.feed(head() + gop(0, unknown=True)))
    assert [type(step) for step in assembler.add(cutter.feed(END))] == [Received, RawFragment]


def test_equal_timecodes_are_taken_and_lesser_ones_refused() -> None:
    assert len(fragments(head() + gop(40) + gop(40))) == 2
    with pytest.raises(TimecodeLesser):
        fragments(head() + gop(40) + gop(39))


def test_timecodes_are_scaled_to_milliseconds() -> None:
    assert fragments(head(scale=1_000_000_000) + gop(3))[0].timecodes_ms == (3000,)


@pytest.mark.parametrize(
    "data",
    [
        b"\0" * 40,
        b"RIFF and no Matroska",
        gop(0),
        head() + el("1F43B675", block(0, b"before its time")),
        head() + bytes.fromhex("1F43B675") + b"\x85" + num("E7", 0) + block(0, b"longer than its cluster"),
        head() + cluster(0, el("A3", b"\x81")),
        head() + cluster(0, el("A3", b"\x00\x00\x00\x00")),
        head() + cluster(0, bytes.fromhex("A3") + b"\xff"),
        head() + cluster(0, el("A0", b"\xa1\x90")),
        head() + b"\x0f\xff\xff",
        el("1A45DFA3") + el("18538067", unknown=True) + el("1654AE6B", el("AE", el("D7", b"123456789"))) + gop(0),
        el("1A45DFA3") + gop(0),
        el("1A45DFA3") + el("18538067", unknown=True) + bytes.fromhex("1549A966") + b"\xff",
    ],
)
def test_garbage_is_refused_with_the_cutters_own_error(data: bytes) -> None:
    with pytest.raises(MatroskaError):
        cut(data)


def test_huge_elements_are_refused_before_they_are_buffered() -> None:
    eight = b"\x01\x00\x00\x00\xff\xff\xff\xff"
    for start, kind in (
        (head() + bytes.fromhex("1F43B675") + eight, TooLarge),
        (head() + cluster(0, unknown=True) + bytes.fromhex("A3") + eight, TooLarge),
        (bytes.fromhex("1A45DFA3") + eight, MatroskaError),
        (el("1A45DFA3") + el("18538067", unknown=True) + bytes.fromhex("1254C367") + eight, MatroskaError),
        (head() + bytes.fromhex("1C53BB6B") + eight, MatroskaError),
    ):
        with pytest.raises(kind):
            Cutter().feed(start)


def test_an_endless_cluster_is_refused_at_the_limit() -> None:
    cutter, most = Cutter(max_fragment_bytes=100_000), 0
    with pytest.raises(TooLarge):
        cutter.feed(head() + cluster(0, unknown=True))
        for _ in range(100):
            cutter.feed(block(0, bytes(2000)))
            most = max(most, cutter.buffered)
    assert most <= 110_000


def test_an_endless_header_is_refused_at_the_limit() -> None:
    cutter = Cutter()
    with pytest.raises(MatroskaError):
        cutter.feed(el("1A45DFA3") + el("18538067", unknown=True))
        for _ in range(2000):
            cutter.feed(tags(filler="x" * 1000))


def test_tags_nested_without_end_do_not_recurse() -> None:
    inner = b""
    for _ in range(500):
        inner = el("67C8", el("45A3", b"n") + inner)
    events = cut(head() + gop(0) + el("1254C367", el("7373", inner)) + gop(120))
    assert [event.pairs for event in events if isinstance(event, TagsRead)] == [(("n", ""),)]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_comes_only_its_own_error_and_bounded_memory(data: st.DataObject) -> None:
    base = data.draw(st.sampled_from(list(SENT.values())))
    bad = bytearray(base)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(bad) - 1))
        kind = data.draw(st.sampled_from(["change", "insert", "remove"]))
        if kind == "change":
            bad[at] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            bad[at:at] = data.draw(st.binary(max_size=20))
        else:
            del bad[at : at + data.draw(st.integers(0, 30))]
            if not bad:
                return
    cutter, assembler = Cutter(max_fragment_bytes=10_000), Assembler(10_000)
    try:
        for at in range(0, len(bad), 16):
            assembler.add(cutter.feed(bad[at : at + 16]))
            assert cutter.buffered < 10_000 + len(base) + 16
        assembler.add(cutter.finish())
        assembler.close()
    except (MatroskaError, TimecodeLesser):
        pass


def test_the_header_of_a_stored_fragment() -> None:
    header = read_header(head() + gop(0))
    assert header.data == head() and header.has_video
    with pytest.raises(MatroskaError):
        read_header(head())


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["kvs_bezos_vogels.mkv", "intel_one_by_one_person.mp4", "sam2_dog_person.mp4"])
def test_files_of_the_corpus_keep_every_packet(corpus: Path, name: str) -> None:
    """As FFmpeg's muxer writes them to a pipe: small clusters of its own choice, B-frames, cues behind."""
    packets, data = _muxed(corpus / "video" / name)
    made = fragments(data)
    got = [bytes(unit.raw) for fragment in made for unit in _units(fragment)]
    assert got == packets
    assert all(_units(fragment)[0].raw.is_keyframe for fragment in made)


def _units(fragment: RawFragment) -> list:  # type: ignore[type-arg]
    return list(read_fragment(fragment.header.data + fragment.body, "a fragment").units)


def _muxed(path: Path) -> tuple[list[bytes], bytes]:
    class Pipe(io.RawIOBase):
        data = b""

        def writable(self) -> bool:
            return True

        def write(self, part: bytes) -> int:  # type: ignore[override]
            self.data += bytes(part)
            return len(part)

    pipe, packets = Pipe(), []
    with av.open(str(path)) as source, av.open(pipe, "w", format="matroska") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size and packet.pts is not None and packet.pts * packet.time_base < 12:
                packets.append(bytes(packet))
                packet.stream = copy
                out.mux(packet)
    return packets, pipe.data


def test_what_the_service_answered_once_is_cut_chunk_by_chunk() -> None:
    """The layout of GetMedia: a chunk is complete at the tags behind its cluster."""
    chunk = (
        head(more=b"")
        + tags(AWS_KINESISVIDEO_FRAGMENT_NUMBER="1")
        + gop(0)
        + tags(AWS_KINESISVIDEO_CONTINUATION_TOKEN="1")
    )
    events = cut(chunk + chunk)
    assert [type(event) for event in events].count(Header) == 2
    assert [e.pairs for e in events if isinstance(e, TagsRead)] == [(("AWS_KINESISVIDEO_CONTINUATION_TOKEN", "1"),)] * 2
