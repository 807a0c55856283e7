"""How fast a backlog of fragments is worked off, beside bare decoding and the same inferences alone.

    python -m benchmarks.kafka_backlog [--streams 4] [--seconds 10] [--corpus DIR] [--json]

Each stream is a clip of the corpus in a topic of a real broker (Apache Kafka), in fragments of two seconds that lie there before the node begins to read
(``start: earliest``). The whole product works them off, all streams at once and all three classes at five looks a second, until every session
has ended with its summary; models are compiled before. ``speed`` is video seconds a wall second over all streams. Decoding and inferences
alone are measured right after, one after the other in one thread; ``over_limit`` is the product's CPU over the two together.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import structlog

from benchmarks.common import Stopwatch, clean_up_when_terminated, parser, prepared, progress, report
from benchmarks.live_cost import Recorder, cut, run_decode, run_inferences
from connectors.context import ConnectorContext
from connectors.kafka.publisher import FragmentPublisher
from connectors.kafka.settings import KafkaConnection
from streamproc.config.node import NodeConfig
from streamproc.config.processor import LabelSettings, ProcessorConfig
from streamproc.core.event import Event, EventType
from streamproc.live.supervisor import Supervisor
from streamproc.media.fragmenter import Fragmenter
from streamproc.media.reader import read_frames
from streamproc.server.renderers import RENDERERS
from streamproc.store.database import Database
from tests.servers.kafka import KafkaServer

TOPIC = "video"
FRAGMENT_S = Fraction(2)
LIMIT_S = 420.0


async def publish(bootstrap: str, stream: str, clip: Path, seconds: float) -> int:
    """The clip's first seconds into the topic; how many fragments that were."""
    settings = KafkaConnection(bootstrap_servers=bootstrap, topic=TOPIC)
    publisher = FragmentPublisher(settings, ConnectorContext(processor=stream), stream)
    await publisher.start()
    fragmenter = Fragmenter("mkv", FRAGMENT_S)
    made = [out for packet in cut(clip, seconds) for out in fragmenter.add(packet)] + fragmenter.finish()
    for out in made:
        await publisher.send(out.data, out.at.wall)
    await publisher.stop()
    return len(made)


def length_of(clip: Path, seconds: float) -> float:
    """Up to the last packet that is published."""
    return min(seconds, max(float(packet.at.media) for packet in cut(clip, seconds)))


async def work_off(place: Path, bootstrap: str, lengths: Sequence[float], warm: Path) -> tuple[Stopwatch, Recorder]:
    """All streams from the first fragment to the end of their sessions."""
    supervisor = Supervisor(NodeConfig(), place, Database(place / "data"), renderers=RENDERERS)
    left, over = len(lengths), asyncio.Event()

    def told(events: Sequence[Event]) -> None:
        nonlocal left
        left -= sum(event.type is EventType.SESSION_COMPLETE for event in events)
        if left <= 0:
            over.set()

    supervisor.notices.committed.append(told)
    await supervisor.open()
    perceiver = supervisor.provider.label_perceiver(LabelSettings())
    for frame in islice(read_frames(warm), 1):
        await asyncio.to_thread(perceiver.look, frame)
    for index, seconds in enumerate(lengths):
        source = {"type": "kafka", "bootstrap_servers": bootstrap, "topic": TOPIC, "start": "earliest"}
        document = {
            "source": source | {"stream": f"camera-{index}"},
            "session": {"duration": seconds, "allow_long": True},
            "labels": {},
        }
        await supervisor.create(f"camera-{index}", ProcessorConfig.model_validate(document))
    with Recorder() as recorder, Stopwatch() as took:
        await asyncio.gather(*(supervisor.start(f"camera-{index}") for index in range(len(lengths))))
        await asyncio.wait_for(over.wait(), LIMIT_S)
    await supervisor.close(drain_s=0.0)
    return took, recorder


def measured(clips: Sequence[Path], seconds: float, place: Path) -> dict[str, Any]:
    broker = KafkaServer(place / "kafka").start()
    try:
        progress("filling the topic")
        fragments = sum(
            asyncio.run(publish(broker.bootstrap, f"camera-{index}", clip, seconds)) for index, clip in enumerate(clips)
        )
        # A session ends by its own time, which has to lie within what was published.
        lengths = [length_of(clip, seconds) for clip in clips]
        progress("working it off")
        took, recorder = asyncio.run(work_off(place, broker.bootstrap, lengths, clips[0]))
    finally:
        broker.stop(kill=True)
    progress("decode only, inference only")
    decode, infer = run_decode(list(clips), seconds), run_inferences(recorder)
    return {
        "streams": len(clips),
        "fragments": fragments,
        "video_s": round(sum(lengths), 1),
        "wall_s": round(took.wall, 2),
        "speed": round(sum(lengths) / took.wall, 2),
        "cpu_s": round(took.cpu, 2),
        "decode_cpu_s": round(decode.cpu, 2),
        "infer_cpu_s": round(infer.cpu, 2),
        "inferences": sum(recorder.counts.values()),
        "over_limit": round(took.cpu / (decode.cpu + infer.cpu), 3),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--streams", type=int, default=4, help="feeds at the same time")
    made.add_argument("--seconds", type=float, default=10.0, help="of each clip")
    options = prepared(made.parse_args())
    clean_up_when_terminated()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = sorted(path for path in (options.corpus / "video").iterdir() if path.suffix in (".mp4", ".mkv"))
    clips = [found[index % len(found)] for index in range(options.streams)]
    with tempfile.TemporaryDirectory() as place:
        report(options, figures=measured(clips, options.seconds, Path(place)))


if __name__ == "__main__":
    main()
