"""One feed for each source of the catalogue: how it is had, lost, and refused."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import av

from connectors.catalog import make_source
from connectors.context import ConnectorContext
from connectors.webrtc.source import Unit, WebrtcSource
from streamproc.config.kinesis_video import KinesisVideoSettings
from streamproc.config.processor import ConnectorRef
from streamproc.contracts import Source
from streamproc.core.video_log import FragmentInfo
from streamproc.kinesis.local import LocalReader
from streamproc.kinesis.measure import measure
from streamproc.kinesis.setup import open_video_log
from streamproc.kinesis.store import NewFragment
from streamproc.media.matroska import first_timecode_ms
from streamproc.store.database import Database
from tests.daemon import run_cli
from tests.matroska import Clip, read_clip

T = TypeVar("T")

SECRET = "a-password-nobody-may-see"


class Feed:
    """A source's outside. Subclasses exist once per source of the catalogue."""

    frames = True
    """Whether it ever gives frames."""
    has_gaps = True
    """Whether losing it is a gap; a log or a file keeps what came meanwhile."""

    def ref(self) -> dict[str, Any]:
        raise NotImplementedError

    def wrong(self) -> dict[str, Any] | None:
        """Settings that the outside refuses; None where nothing can be refused."""
        raise NotImplementedError

    def source(self, ref: dict[str, Any] | None = None) -> Source:
        context = ConnectorContext(processor=f"door-{uuid.uuid4().hex[:6]}", node_id="test")
        return make_source(ConnectorRef.model_validate(ref or self.ref()), context)

    def lose(self) -> None:
        """The outside goes away."""

    def close(self) -> None:
        """Nothing of it is left."""


class FileFeed(Feed):
    has_gaps = False

    def __init__(self, clip: Path) -> None:
        self.clip = clip

    def ref(self) -> dict[str, Any]:
        return {"type": "file", "path": str(self.clip), "loop": True}

    def wrong(self) -> dict[str, Any]:
        return {"type": "file", "path": str(self.clip.with_name("missing.mp4"))}


class RtspFeed(Feed):
    def __init__(self, serve: Callable[..., Any], clip: Path) -> None:
        self._serve = serve
        self.clip = clip
        self.server = serve({"/cam": clip})

    def ref(self) -> dict[str, Any]:
        return {"type": "rtsp", "url": self.server.url("/cam")}

    def wrong(self) -> dict[str, Any]:
        """A wrong password; a path that is not there yet is waited for."""
        guarded = self._serve({"/cam": self.clip}, auth=("viewer", "another password"))
        os.environ |= {"CONTRACT_USER": "viewer", "CONTRACT_PASSWORD": SECRET}
        return {
            "type": "rtsp", "url": guarded.url("/cam"), "username_env": "CONTRACT_USER", "password_env": "CONTRACT_PASSWORD",
        }  # fmt: skip

    def close(self) -> None:
        os.environ.pop("CONTRACT_USER", None)
        os.environ.pop("CONTRACT_PASSWORD", None)

    def lose(self) -> None:
        self.server.stop()


class KafkaFeed(Feed):
    has_gaps = False

    def __init__(self, bootstrap: str, clip: Path) -> None:
        self.bootstrap = bootstrap
        self.topic = f"contract-{uuid.uuid4().hex[:8]}"
        words = ("--kafka", bootstrap, "--topic", self.topic, "--stream", "cam", "--fragment-seconds", "1")
        published = run_cli("publish", clip, *words)
        assert published.returncode == 0, published.stderr

    def ref(self) -> dict[str, Any]:
        return {
            "type": "kafka", "bootstrap_servers": self.bootstrap, "topic": self.topic, "stream": "cam", "start": "earliest",
        }  # fmt: skip

    def wrong(self) -> None:
        return None  # an open broker lets everybody in; test_kafka_security has brokers that refuse


class KvsFeed(Feed):
    """A stream of this node: the log and its loop as the daemon has them, filled before anybody reads."""

    has_gaps = False

    def __init__(self, folder: Path, clip: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._database = Database(folder, "kinesis-video.db")
        self._log = self._run(open_video_log(KinesisVideoSettings(), self._database, ConnectorContext(data_dir=folder)))
        self._log.streams.create("cam", 0)
        self._run(self._fill(read_clip(clip)))

    async def _fill(self, clip: Clip) -> None:
        begin_ms = 1_700_000_000_000
        for part in clip.clusters():
            data = clip.header() + part
            duration_ms, body = measure(data)
            at_ms = begin_ms + first_timecode_ms(data)
            head = self._log.begin("cam", at_ms)
            info = FragmentInfo(head.number, at_ms, head.server_ms, duration_ms, len(data))
            await self._log.append("cam", NewFragment(info, data, hashlib.sha256(body).digest()))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def ref(self) -> dict[str, Any]:
        return {"type": "kvs", "stream": "cam", "endpoint_url": "local", "start": "earliest"}

    def wrong(self) -> dict[str, Any]:
        """On a node that has no streams."""
        return self.ref()

    def source(self, ref: dict[str, Any] | None = None) -> Source:
        reader = None if ref is not None else LocalReader(self._log, self._loop)
        context = ConnectorContext(processor="door", node_id="test", fragments=reader)
        return make_source(ConnectorRef.model_validate(self.ref()), context)

    def close(self) -> None:
        self._run(self._log.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._database.close()


class KvsNetworkFeed(Feed):
    """A service that ends its sessions all the time; tests/kinesis reads another node as well."""

    has_gaps = False

    def __init__(self, clip: Path) -> None:
        from tests.kinesis.cutting import CuttingService, cut

        os.environ |= {"CONTRACT_KEY": "AKIDEXAMPLE", "CONTRACT_SECRET": SECRET}
        fragments = cut(read_clip(clip), 1_700_000_000_000)
        self.service = CuttingService(fragments, 2 * max(len(data) for _, data in fragments))
        self._lost = False

    def ref(self) -> dict[str, Any]:
        return {
            "type": "kvs", "stream": "cam", "endpoint_url": self.service.url, "start": "earliest",
            "access_key_id_env": "CONTRACT_KEY", "secret_access_key_env": "CONTRACT_SECRET",
        }  # fmt: skip

    def wrong(self) -> dict[str, Any]:
        self.service.refuse = (403, "UnrecognizedClientException", "The security token is invalid")
        return self.ref()

    def lose(self) -> None:
        self._lost = True
        self.service.close()

    def close(self) -> None:
        if not self._lost:
            self.service.close()
        for name in ("CONTRACT_KEY", "CONTRACT_SECRET"):
            os.environ.pop(name, None)


class WebrtcFeed(Feed):
    """Encoded pictures handed over as the WHIP endpoint does it; test_webrtc has real publishers."""

    def __init__(self, clip: Path) -> None:
        self.clip = clip
        self._publishing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sources: list[WebrtcSource] = []

    def ref(self) -> dict[str, Any]:
        return {"type": "webrtc"}

    def wrong(self) -> None:
        return None  # it is the publisher who asks

    def source(self, ref: dict[str, Any] | None = None) -> Source:
        source = super().source(ref)
        assert isinstance(source, WebrtcSource)
        source.join(self)
        self._publishing.set()
        self._sources.append(source)
        self._threads.append(threading.Thread(target=self._publish, args=(source,), daemon=True))
        self._threads[-1].start()
        return source

    connected = True

    def request_keyframe(self) -> None:
        """Every second picture begins anew anyway."""

    def _publish(self, source: WebrtcSource) -> None:
        for number, data, keyframe in self._pictures():
            if not self._publishing.is_set():
                return
            source.push(self, Unit("h264", data, keyframe, number * 6000, time.monotonic()))
            time.sleep(1 / 15)

    def _pictures(self) -> Iterator[tuple[int, bytes, bool]]:
        number = 0
        while True:
            with av.open(str(self.clip)) as container:
                annex_b = av.BitStreamFilterContext("h264_mp4toannexb", container.streams.video[0])
                for packet in container.demux(video=0):
                    for unit in annex_b.filter(packet) if packet.size else []:
                        yield number, bytes(unit), bool(unit.is_keyframe)
                        number += 1

    def lose(self) -> None:
        self._publishing.clear()
        for source in self._sources:
            source.leave(self, "the publisher closed the connection")

    def close(self) -> None:
        self.lose()
        for thread in self._threads:
            thread.join(5)


class UnboundFeed(Feed):
    frames = False
    has_gaps = False

    def ref(self) -> dict[str, Any]:
        return {"type": "unbound", "reason": "Stream door doesn't exist"}

    def wrong(self) -> dict[str, Any]:
        return self.ref()
