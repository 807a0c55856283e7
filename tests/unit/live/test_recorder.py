"""A recorder never holds its source up: what a stuck or full store does not take is dropped, counted, and begins again at a keyframe."""

from __future__ import annotations

import threading
from pathlib import Path

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc import metrics
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import StreamprocError
from streamproc.core.media import Packet
from streamproc.core.video_log import Recorded
from streamproc.live.recorder import Recorder
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
