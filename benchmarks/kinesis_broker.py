"""A broker that is away: producers send into a store in Apache Kafka, which is killed and comes back; then all is counted.

    python -m benchmarks.kinesis_broker [--streams 4] [--away 60] [--json]

Every fragment that was told PERSISTED has to be there with its number and its bytes, and no fragment twice. It fails (exit 1) where one is missing, there twice or not what
was sent, and where anything was told PERSISTED while no broker was there.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import logging
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.common import clean_up_when_terminated, parser, progress, report
from benchmarks.kinesis_load import HEADER, Server, gop, make_streams, serving
from streamproc.media.matroska import Cutter
from streamproc.media.matroska_events import ClusterEnd, TagsRead
from tests.servers.common import Unavailable
from tests.servers.kafka import KafkaServer

GOP_MS = 2000
BEFORE_S, AFTER_S = 6.0, 10.0
SETTLE_S = 120.0
"""For the node to find its broker again and for the last fragment to be told."""
TOKEN = "AWS_KINESISVIDEO_CONTINUATION_TOKEN"


class Producer:
    """A camera of 2 Mbit/s: held back by TCP while the store is away, it catches up afterwards."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self.name = url, name
        self.sent: dict[int, bytes] = {}
        """Digests of fragments by timecode."""
        self.told: dict[int, tuple[str, float]] = {}
        """(number, when) of each PERSISTED by timecode."""
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """To the end of the body and of the acknowledgements. Raises RuntimeError for an ERROR."""
        headers = {"x-amzn-stream-name": self.name, "x-amzn-producer-start-timestamp": f"{time.time():.3f}"}
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
            session.post(f"{self._url}/putMedia", data=self._body(), headers=headers) as answer,
        ):
            async for line in answer.content:
                ack = json.loads(line)
                if ack["EventType"] == "ERROR" or answer.status != 200:
                    raise RuntimeError(line.decode())
                if ack["EventType"] == "PERSISTED":
                    if ack["FragmentTimecode"] in self.told:
                        raise RuntimeError(f"{self.name}: {ack['FragmentTimecode']} was told PERSISTED twice")
                    self.told[ack["FragmentTimecode"]] = ack["FragmentNumber"], time.monotonic()

    async def _body(self) -> AsyncIterator[bytes]:
        yield HEADER
        begin, number = time.monotonic(), 0
        while not self.ended.is_set():
            data = gop(GOP_MS * number)
            self.sent[GOP_MS * number] = hashlib.sha256(data).digest()
            yield data
            number += 1
            await asyncio.sleep(max(0.0, begin + number * GOP_MS / 1000 - time.monotonic()))


async def kept(url: str, name: str, count: int) -> Counter[tuple[str, int, bytes]]:
    """(number, timecode, digest) of the stream's first ``count`` fragments and what comes within 2 s behind them."""
    asked = {"StreamName": name, "StartSelector": {"StartSelectorType": "EARLIEST"}}
    found: Counter[tuple[str, int, bytes]] = Counter()
    cutter, cluster = Cutter(), None
    async with aiohttp.ClientSession() as session, session.post(f"{url}/getMedia", json=asked) as answer:
        while True:
            try:
                part = await asyncio.wait_for(answer.content.readany(), 2 if found.total() >= count else 60)
            except TimeoutError:
                return found
            for event in cutter.feed(part):
                if isinstance(event, ClusterEnd):
                    cluster = event
                elif isinstance(event, TagsRead) and cluster is not None and TOKEN in dict(event.pairs):
                    digest = hashlib.sha256(cluster.data).digest()
                    found[dict(event.pairs)[TOKEN], cluster.timecode_ms, digest] += 1


async def outage(server: Server, broker: KafkaServer, options: argparse.Namespace) -> dict[str, Any]:
    producers = [Producer(server.url, name) for name in await make_streams(server.url, options.streams)]
    sending = [asyncio.create_task(producer.run()) for producer in producers]
    await asyncio.sleep(BEFORE_S)
    await asyncio.to_thread(broker.stop, kill=True)
    gone = time.monotonic()
    progress(f"no broker for {options.away:g} s")
    await asyncio.sleep(options.away)
    back = time.monotonic()
    await asyncio.to_thread(broker.start)
    await asyncio.sleep(AFTER_S)
    for producer in producers:
        producer.ended.set()
    async with asyncio.timeout(SETTLE_S):
        await asyncio.gather(*sending)
    told_meanwhile = [at for producer in producers for _, at in producer.told.values() if gone + 1 < at < back]
    if told_meanwhile:
        raise RuntimeError(f"{len(told_meanwhile)} fragments were told PERSISTED without a broker")
    first = min(at for producer in producers for _, at in producer.told.values() if at > back)
    for producer in producers:
        there = await kept(server.url, producer.name, len(producer.told))
        wanted = Counter((number, at, producer.sent[at]) for at, (number, _) in producer.told.items())
        if there != wanted or producer.sent.keys() != producer.told.keys():
            raise RuntimeError(
                f"{producer.name}: {len(producer.sent)} sent, {wanted.total()} told PERSISTED, {there.total()} there; "
                f"{(wanted - there).total()} missing, {(there - wanted).total()} too many"
            )
    return {
        "streams": options.streams,
        "away_s": options.away,
        "fragments_sent": sum(len(producer.sent) for producer in producers),
        "fragments_persisted": sum(len(producer.told) for producer in producers),
        "missing": 0,
        "twice": 0,
        "first_persisted_after_s": round(first - back, 1),
        "server_memory_mb": round(server.used()[1], 1),
    }


def measured(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        broker = KafkaServer(Path(place) / "kafka").start()
        try:
            store = {"type": "kafka", "bootstrap_servers": broker.bootstrap, "topic": "video"}
            with serving("node", store) as server:
                return asyncio.run(outage(server, broker, options))
        finally:
            broker.stop(kill=True)


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--streams", type=int, default=4)
    made.add_argument("--away", type=float, default=60.0, help="seconds without a broker")
    options = made.parse_args()
    clean_up_when_terminated()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what clients say of a dead broker
    try:
        report(options, figures=measured(options))
    except Unavailable as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
