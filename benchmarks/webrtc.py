"""Delay from source to viewer, and what a viewer costs when the picture is passed through and when it is transcoded.

The delay is that of a counter drawn into the picture: from the moment it is drawn, through the publisher's encoder, the box and
the viewer's decoder, to the moment it is read back. CPU is the daemon's own, for four viewers of a 720p clip, less what it
uses while nobody watches. Publisher and viewers are aiortc in this process, on the same machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import parser, percentile, prepared, progress, report
from tests.daemon import STREAMPROC, Daemon, wait_for
from tests.peers import CounterTrack, Watching, publish, read_counter, watch

VIEWERS = 4
SETTLE_S = 3.0
LABELS = "session: {duration: 1h, allow_long: true}\nlabels: {classes: [PERSON], fps: 1, second_look: false}\n"
CLIPS = {"passed_through": ("-bf", "0"), "transcoded": ("-bf", "2")}


def main() -> None:
    options = _arguments()
    folder = Path(tempfile.mkdtemp(prefix="streamproc-webrtc-"))
    daemon = Daemon(folder)
    try:
        daemon.put("live", f"source: {{type: webrtc}}\n{LABELS}")
        for name, flags in CLIPS.items():
            clip = _make_clip(folder / f"{name}.mp4", flags)
            daemon.put(
                name, f"state: stopped\nsource: {{type: file, path: {clip}, realtime: true, loop: true}}\n{LABELS}"
            )
        daemon.start()
        wait_for(lambda: daemon.states()["live"] == "running", 120)
        figures, rows = asyncio.run(_measure(daemon, options.seconds))
    finally:
        daemon.close()
        shutil.rmtree(folder, ignore_errors=True)
    report(options, figures=figures, rows=rows)


def _arguments() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=10.0, help="how long each figure is measured")
    return prepared(made.parse_args())


def _make_clip(path: Path, flags: tuple[str, ...]) -> Path:
    source = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25:duration=20"]
    codec = ["-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-b:v", "2M", "-g", "50", *flags]
    subprocess.run(["ffmpeg", "-v", "error", *source, *codec, str(path)], check=True)
    return path


async def _measure(daemon: Daemon, seconds: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    progress("delay of a published picture")
    figures: dict[str, Any] = await _delay(daemon, seconds)
    await _control(daemon, "live", "stop")
    rows = []
    for name in CLIPS:
        progress(f"CPU of {VIEWERS} viewers, {name}")
        await _control(daemon, name, "start")
        await asyncio.to_thread(wait_for, partial(_runs, daemon, name), 60)
        await asyncio.sleep(SETTLE_S)
        idle = await _cpu(daemon, seconds)
        viewers = [await watch(f"{daemon.url}/whep/{name}", None) for _ in range(VIEWERS)]
        for viewer in viewers:
            _do_not_decode(viewer)
        await asyncio.sleep(SETTLE_S)
        watched = await _cpu(daemon, seconds)
        for viewer in viewers:
            await viewer.session.delete()
        await _control(daemon, name, "stop")
        rows.append({"way": name, "viewers": VIEWERS, "cpu_idle": round(idle, 3), "cpu_watched": round(watched, 3)})
        figures[f"cpu_per_viewer_{name}"] = round((watched - idle) / VIEWERS, 4)
    return figures, rows


def _runs(daemon: Daemon, name: str) -> bool:
    return daemon.states()[name] == "running"


async def _delay(daemon: Daemon, seconds: float) -> dict[str, Any]:
    track = CounterTrack(fps=25)
    session = await publish(f"{daemon.url}/whip/live", None, track)
    viewer = await watch(f"{daemon.url}/whep/live", None)
    await viewer.until(25)
    viewer.frames.clear()
    await asyncio.sleep(seconds)
    delays = sorted(came - track.sent[read_counter(frame)] for came, frame in viewer.frames)
    await viewer.session.delete()
    await session.delete()
    return {
        "delay_median_s": round(percentile(delays, 0.5) or 0.0, 4),
        "delay_p95_s": round(percentile(delays, 0.95) or 0.0, 4),
        "delay_frames": len(delays),
    }


def _do_not_decode(viewer: Watching) -> None:
    """Their decoding would take the machine from the daemon that is measured."""

    class Nothing:
        def add(self, packet: Any) -> tuple[bool, None]:
            return False, None

    for transceiver in viewer.session.connection.getTransceivers():
        transceiver.receiver._RTCRtpReceiver__jitter_buffer = Nothing()


async def _control(daemon: Daemon, name: str, verb: str) -> None:
    command = [*STREAMPROC, verb, name, "--url", daemon.url]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)


async def _cpu(daemon: Daemon, seconds: float) -> float:
    """Cores in use."""
    before = _ticks(daemon)
    await asyncio.sleep(seconds)
    return (_ticks(daemon) - before) / os.sysconf("SC_CLK_TCK") / seconds


def _ticks(daemon: Daemon) -> int:
    assert daemon._process is not None
    fields = Path(f"/proc/{daemon._process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    main()
