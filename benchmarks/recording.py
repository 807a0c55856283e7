"""What a recording costs: CPU milliseconds a camera-second beside reading the same packets without recording them."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import parser, prepared, report
from connectors.catalog import make_source
from connectors.context import ConnectorContext
from streamproc.config.kinesis_video import KinesisVideoSettings
from streamproc.config.processor import ConnectorRef
from streamproc.core.media import Packet
from streamproc.core.video_log import FragmentWriter
from streamproc.kinesis.local import LocalWriter
from streamproc.kinesis.setup import open_video_log
from streamproc.live.recorder import Recorder
from streamproc.store.database import Database

CLIP = "xr_doorbell_delivery.mp4"


def read(path: Path) -> list[Packet]:
    source = make_source(ConnectorRef.model_validate({"type": "file", "path": str(path)}), ConnectorContext())
    return [item for item in source.items(threading.Event()) if isinstance(item, Packet)]


def _record(packets: Sequence[Packet], stream: str, writer: FragmentWriter) -> None:
    recorder = Recorder(stream, 3600, writer)
    recorder.start()
    for packet in packets:
        recorder.observe(packet)
    recorder.close(60)


async def measure(path: Path, passes: int) -> list[dict[str, float | str]]:
    """Rows without and with recording, of ``passes`` passes over the clip."""
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = Database(folder, "kinesis-video.db")
        video = await open_video_log(KinesisVideoSettings(), database, ConnectorContext(data_dir=folder))
        writer = LocalWriter(video, asyncio.get_running_loop())
        for what in ("reading", "reading and recording"):
            begun, seconds, sent = time.process_time(), 0.0, 0
            for _ in range(passes):
                packets = await asyncio.to_thread(read, path)
                seconds += float(packets[-1].at.media - packets[0].at.media)
                sent += sum(packet.size for packet in packets)
                if what != "reading":
                    await asyncio.to_thread(_record, packets, "cam", writer)
            cost = 1000 * (time.process_time() - begun) / seconds
            kept = video.index.bytes
            rows.append(
                {"what": what, "cpu_ms_per_camera_s": round(cost, 2), "disk_to_stream_bytes": round(kept / sent, 3)}
            )
        await video.close()
        database.close()
    return rows


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--passes", type=int, default=20)
    options = prepared(arguments.parse_args())
    rows = asyncio.run(measure(options.corpus / "video" / CLIP, options.passes))
    costs = [float(row["cpu_ms_per_camera_s"]) for row in rows]
    report(options, figures={"recording_cpu_ms_per_camera_s": round(costs[1] - costs[0], 2)}, rows=rows)


if __name__ == "__main__":
    main()
