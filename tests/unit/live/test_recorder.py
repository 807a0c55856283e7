"""A recorder never holds its source up: what a stuck or full store does not take is dropped, counted, and begins again at a keyframe."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import av

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc import metrics
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import StreamprocError
from streamproc.core.media import Gap, GapReason, Moment, Packet
from streamproc.core.video_log import Recorded
from streamproc.live.recorder import Recorder
from streamproc.media.demux import Coded, VideoTrack
from streamproc.media.fragments import read_fragment
from tests.builders.clips import grey_clip


class Store:
    """A fake, because no disk can be made to stand still: takes fragments while ``opened`` is set."""

    def __init__(self, opened: bool = True, full: bool = False) -> None:
        self.opened = threading.Event()
        self.full = full
        self.taken: list[Recorded] = []
        if opened:
            self.opened.set()

    def keep(self, stream: str, keep_ms: int, *, unmasked: bool = False) -> None:
        assert keep_ms == 60_000

    def append(self, stream: str, fragment: Recorded, give_up: threading.Event) -> None:
        if self.full:
            raise StreamprocError("no space left")
        self.opened.wait(20)
        self.taken.append(fragment)


def packets(folder: Path) -> list[Packet]:
    clip = grey_clip(folder / "grey.mp4")
    source = make_source(ConnectorRef.model_validate({"type": "file", "path": str(clip)}), ConnectorContext())
    return [item for item in source.items(threading.Event()) if isinstance(item, Packet)]


def dropped(stream: str, reason: str) -> float:
    labels = {"processor": stream, "reason": reason}
    return metrics.REGISTRY.get_sample_value("streamproc_recording_dropped_total", labels) or 0.0


def units(store: Store) -> int:
    return sum(len(read_fragment(fragment.data, "a recording").units) for fragment in store.taken)


def test_all_packets_are_kept_where_the_store_takes_them(tmp_path: Path) -> None:
    store, fed = Store(), packets(tmp_path)
    recorder = Recorder("whole", 60, store)
    recorder.start()
    for packet in fed:
        recorder.observe(packet)
    recorder.close(20)
    assert units(store) == len(fed) and dropped("whole", "behind") == 0


def test_a_store_that_stands_still_drops_up_to_a_keyframe(tmp_path: Path) -> None:
    store, fed = Store(opened=False), packets(tmp_path)
    recorder = Recorder("stuck", 60, store, queue_bytes=sum(packet.size for packet in fed) // 4)
    recorder.start()
    for _ in range(4):
        for packet in fed:
            recorder.observe(packet)  # would block here for ever
    store.opened.set()
    recorder.close(20)
    assert dropped("stuck", "behind") > 0
    assert 0 < units(store) == 4 * len(fed) - dropped("stuck", "behind")
    assert all(read_fragment(fragment.data, "it").units[0].raw.is_keyframe for fragment in store.taken)


def test_a_full_disk_is_counted(tmp_path: Path) -> None:
    recorder = Recorder("full", 60, Store(full=True))
    recorder.start()
    for packet in packets(tmp_path):
        recorder.observe(packet)
    recorder.close(20)
    assert dropped("full", "store") > 0


def test_what_came_before_a_gap_is_written_at_once_and_a_keyframe_is_asked_for_in_time(tmp_path: Path) -> None:
    """As of a browser, whose only keyframe is its first."""
    store, fed, asked = Store(), packets(tmp_path)[:25], list[int]()
    recorder = Recorder("browser", 60, store, ask_keyframe=lambda: asked.append(len(asked)))
    recorder.start()
    for number in range(8):
        for packet in fed:
            media = packet.at.media - fed[0].at.media + number
            keyframe = packet.keyframe and number == 0
            recorder.observe(replace(packet, at=Moment(media, packet.at.wall), keyframe=keyframe))
    assert len(asked) == 2, "after four seconds, and again after two"
    recorder.observe(Gap(GapReason.PUBLISHER_GONE, fed[-1].at, "gone"))
    deadline = time.monotonic() + 20
    while not store.taken and time.monotonic() < deadline:
        time.sleep(0.01)
    assert units(store) == 8 * len(fed)
    recorder.close(20)


def test_vp8_is_kept_as_a_browser_sends_it() -> None:
    """Packets alone: their size is in the keyframe."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 320, 240, "yuv420p", Fraction(1, 15)
    pictures = [av.VideoFrame(320, 240, "yuv420p") for _ in range(30)]
    sent = [packet for picture in [*pictures, None] for packet in encoder.encode(picture)]
    track = VideoTrack("vp8", 0, 0, Fraction(1, 90_000), None, None)
    store = Store()
    recorder = Recorder("vp8", 60, store)
    recorder.start()
    for number, packet in enumerate(sent):
        at = Moment(Fraction(number, 15), datetime.fromtimestamp(number / 15, UTC))
        packet.pts = packet.dts = None
        recorder.observe(Packet(Coded(packet, track), at, packet.size, packet.is_keyframe))
    recorder.close(20)
    with av.open(io.BytesIO(store.taken[0].data)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (320, 240)
        assert sum(1 for _ in container.decode(video=0)) == units(store) == len(sent)
