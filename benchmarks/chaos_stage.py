"""What chaos is made on: a daemon with cameras and a Kafka feed, and four outputs of each that can be broken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import av
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streamproc.media.fragmenter import Fragmenter, Outgoing
from streamproc.media.reader import read_packets

SIZE, FPS = (480, 270), 8
STILL_S = {"camera": 20, "feed": 4}
"""The empty scene after a visit."""
PAUSE_S = 25.0
"""Between two visits of the Kafka feed."""
TOPIC, OUT_TOPIC, BUCKET = "video", "events", "events"


def make_clip(source: Path, target: Path, still_s: float) -> Path:
    """The clip, small, then its first picture for so long: who was in it is gone."""
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream("libx264", rate=FPS, options={"g": str(FPS * 2), "bf": "0", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        first, number = None, 0
        for frame in read.decode(video=0):
            if frame.time is None or frame.time * FPS < number:
                continue
            small = frame.reformat(*SIZE, format="yuv420p")
            first = first or small
            number += _encode(write, stream, small, number)
        for _ in range(round(still_s * FPS)):
            number += _encode(write, stream, first, number)
        write.mux(stream.encode(None))
    return target


def _encode(write: Any, stream: Any, picture: Any, number: int) -> int:
    frame = av.VideoFrame.from_ndarray(picture.to_ndarray(), format="yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    write.mux(stream.encode(frame))
    return 1


class Feed:
    """Publishes the clip again and again in real time, as a camera does that keeps what the broker does not take."""

    def __init__(self, bootstrap: str, clip: Path) -> None:
        self._bootstrap = bootstrap
        self._clip = clip
        self._stop = threading.Event()
        self.visits = 0
        self.number = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """After the visit that is being published."""
        self._stop.set()
        self._thread.join(180)

    async def _run(self) -> None:
        producer = None
        while not self._stop.is_set():
            begun = datetime.now(UTC)
            for out in self._fragments(begun):
                await asyncio.sleep(max(0.0, (out.at.wall - datetime.now(UTC)).total_seconds()))
                producer = await self._send(producer, out)
            self.visits += 1
            for _ in range(int(PAUSE_S)):
                if not self._stop.is_set():
                    await asyncio.sleep(1)
        if producer is not None:
            await producer.stop()

    def _fragments(self, begun: datetime) -> list[Outgoing]:
        fragmenter = Fragmenter("mkv", Fraction(2))
        return [
            out for packet in read_packets(self._clip, begun) for out in fragmenter.add(packet)
        ] + fragmenter.finish()

    async def _send(self, producer: AIOKafkaProducer | None, out: Outgoing) -> AIOKafkaProducer:
        """Until the broker has it; the same number again is the same fragment."""
        self.number += 1
        stamp = str(round(out.at.wall.timestamp() * 1000)).encode()
        headers = [("producer-timestamp", stamp), ("fragment-number", str(self.number).encode())]
        while True:
            try:
                if producer is None:
                    producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, acks="all", request_timeout_ms=5000)
                    await producer.start()
                await producer.send_and_wait(TOPIC, out.data, key=b"cam", headers=headers)
                return producer
            except (KafkaError, OSError):
                if producer is not None:
                    with contextlib.suppress(KafkaError, OSError, TimeoutError):
                        await asyncio.wait_for(producer.stop(), 5)
                producer = None
                await asyncio.sleep(1)


Mood = Literal["well", "hangs", "refuses", "fails"]


class Hook:
    """A web hook that keeps what it confirmed, and can be in a mood: hang, answer 503, or listen no more."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.mood: Mood = "well"
        self._server = self._listen(0)
        self.port = int(self._server.server_address[1])

    def set(self, mood: Mood) -> None:
        if (mood == "refuses") != (self.mood == "refuses"):
            if mood == "refuses":
                self._server.shutdown()
                self._server.server_close()
            else:
                self._server = self._listen(self.port)
        self.mood = mood

    def stop(self) -> None:
        self.set("refuses")

    def _listen(self, port: int) -> ThreadingHTTPServer:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                while hook.mood == "hangs":
                    time.sleep(0.2)
                well = hook.mood == "well"
                if well:
                    hook.taken.append(json.loads(body))
                with contextlib.suppress(OSError):
                    self.send_response(200 if well else 503)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return server


def document(source: str, outputs: str) -> str:
    return (
        f"source: {source}\nsession: {{mode: continuous, gone_after: 2s}}\n"
        "labels: {classes: [PERSON, PET], min_confidence: 50, fps: 2, second_look: false}\n"
        f"outputs:\n{outputs}"
    )


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """The folder on a file system of its own; whether that could be done (it needs root)."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)
