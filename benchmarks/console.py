"""The console in a real Chromium: a long list that scrolls, an event's way onto a page, and what open pages cost the analysis.

    python -m benchmarks.console [--events 10000] [--pages 20] [--json]

``scroll_*``: the events page with all of ``--events`` rows in it is scrolled by 240 px a frame, 1,000 frames long; frame times are those of
``requestAnimationFrame``, without a GPU. ``shown_*``: from the instant an event was committed (``stored`` of its delivery) until its row
stands on an open page, by the same clock. ``pages_*``: CPU of the daemon and the frames that its camera looked at in a
stretch with no page open and in one with ``--pages`` open streams and as many asking for stills as pages do.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.common import parser, percentile, progress, report
from streamproc.cli.demo import made_scene
from streamproc.core.event import EventType
from streamproc.core.media import Moment
from streamproc.store.database import Database
from streamproc.store.journal import Commit, Journal
from tests.builders.events import PICTURES, label_event, session
from tests.console import DOOR, settled
from tests.daemon import Daemon, wait_for
from tests.servers.chromium import Chromium, Page
from tests.sse import StreamClient

ROWS = "document.querySelectorAll('[data-test=event-row]').length"
LIVE = "import(performance.getEntriesByType('resource').find((one) => one.name.endsWith('/live.mjs')).name)"
"""The page's own module of that name."""
HEIGHT = "document.documentElement.scrollHeight"
SCROLL = """new Promise((done) => {
  const times = []; let before = performance.now(); scrollTo(0, 0);
  const step = (now) => {
    times.push(now - before); before = now;
    if (scrollY + innerHeight >= document.documentElement.scrollHeight - 2 || times.length >= 1000) return done(times.slice(2));
    scrollBy(0, 240); requestAnimationFrame(step);
  };
  requestAnimationFrame((now) => { before = now; requestAnimationFrame(step); });
})"""


def fill(data: Path, count: int) -> None:
    """A history of the last days."""
    journal, start = Journal(Database(data)), datetime.now(UTC) - timedelta(days=2)
    row = session(opened=start, closed=start)
    for first in range(0, count, 500):
        events = [
            label_event(
                number,
                type=EventType.LABEL_DETECTED,
                label=("PERSON", "PET", "PACKAGE")[number % 3],
                at=Moment(Fraction(number), start + timedelta(seconds=number)),
                has_pictures=False,
            )
            for number in range(first, min(first + 500, count))
        ]
        journal.commit(Commit("door", [row], [(event, PICTURES if event.has_pictures else None) for event in events]))
    journal.database.close()


async def scrolled(page: Page, daemon: Daemon, count: int) -> dict[str, Any]:
    await page.look_like(1280, 800)
    await page.open(f"{daemon.url}/console/events?processor=door")
    await page.until(f"{ROWS} > 0")
    while await page.run(HEIGHT) < count * 70:  # a row is 73 px; only those near the window stand in the page
        before = await page.run(HEIGHT)
        await page.run("scrollTo(0, document.documentElement.scrollHeight); undefined")
        await page.until(f"{HEIGHT} > {before}", 60)
    await settled(page)
    await page.run(f"window.frameTimes = null; {SCROLL}.then((times) => {{ window.frameTimes = times; }}); undefined")
    times = await page.until("window.frameTimes", 200)
    return {
        "scroll_rows": round(await page.run(HEIGHT) / 73),
        "scroll_frames": len(times),
        "scroll_fps_median": round(1000 / statistics.median(times), 1),
        "scroll_fps_mean": round(1000 / statistics.fmean(times), 1),
        "scroll_frame_p95_ms": round(percentile(times, 0.95) or 0.0, 1),
        "scroll_frame_max_ms": round(max(times), 1),
    }


async def shown(page: Page, daemon: Daemon, count: int) -> dict[str, Any]:
    """Rows note when they are put in. What happens while the page itself still loads is not counted: it is there when the page is."""
    await page.open(f"{daemon.url}/console/events?processor=front-door&type=label_detected")
    await page.until(f"{ROWS} > 0", 120)
    await page.run(f"{LIVE}.then((live) => {{ window.live = live; }}); undefined")
    await page.until("window.live?.opened.value > 0", 60)
    await settled(page)
    early = {event["id"] for event in daemon.get("/api/events?processor=front-door&limit=100")["events"]}
    await page.run(
        "window.came = {}; new MutationObserver((changes) => { for (const change of changes) for (const node of change.addedNodes) {"
        " const id = node.dataset?.id; if (id) window.came[id] ??= Date.now(); } }).observe(document.body, {childList: true, subtree: true}); undefined"
    )
    await page.until(f"Object.keys(window.came).length >= {count}", 200)
    came = {identity: at for identity, at in (await page.run("window.came")).items() if identity not in early}
    outgoing = daemon.get("/api/outputs/front-door/file/deliveries?state=delivered&limit=1000")["deliveries"]
    stored = {item["event"]["id"]: datetime.fromisoformat(item["stored"]).timestamp() * 1000 for item in outgoing}
    delays = sorted(at - stored[identity] for identity, at in came.items() if identity in stored)
    return {
        "shown_events": len(delays),
        "shown_median_ms": round(statistics.median(delays)),
        "shown_max_ms": round(delays[-1]),
    }


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def pages_cost(daemon: Daemon, pages: int, seconds: float) -> dict[str, Any]:
    async def stretch(count: int) -> tuple[float, float]:
        """CPU of the daemon and frames that were looked at, both a second."""
        streams = [StreamClient(f"{daemon.url}/api/stream") for _ in range(count)]
        try:
            await asyncio.sleep(2)
            cpu, frames, began = cpu_s(daemon.pid), looked_at(daemon), time.monotonic()
            while time.monotonic() - began < seconds:
                for _ in range(count // 10):  # a page in view asks for a still every ten seconds
                    await asyncio.to_thread(daemon.get, "/api/processors/front-door")
                await asyncio.sleep(1)
            wall = time.monotonic() - began
            return (cpu_s(daemon.pid) - cpu) / wall, (looked_at(daemon) - frames) / wall
        finally:
            for stream in streams:
                stream.close()

    turns = [(await stretch(0), await stretch(pages)) for _ in range(3)]
    alone, watched = ([turn[side] for turn in turns] for side in (0, 1))
    return {
        "pages": pages,
        "pages_none_cpu": round(statistics.median(cpu for cpu, _ in alone), 3),
        "pages_open_cpu": round(statistics.median(cpu for cpu, _ in watched), 3),
        "pages_none_frames_s": round(statistics.median(frames for _, frames in alone), 2),
        "pages_open_frames_s": round(statistics.median(frames for _, frames in watched), 2),
    }


def looked_at(daemon: Daemon) -> float:
    lines = [
        line for line in daemon.get("/metrics").splitlines() if line.startswith("streamproc_frames_analysed_total")
    ]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


async def measured(options: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        daemon = Daemon(Path(place))
        fill(daemon.data, options.events)
        daemon.start()
        try:
            async with Chromium(Path(place) / "chromium") as browser:
                page = await browser.page()
                progress("scrolling")
                figures = await scrolled(page, daemon, options.events)
                daemon.put("front-door", DOOR.format(clip=made_scene()))
                wait_for(lambda: daemon.get("/api/events?processor=front-door&limit=1")["events"], 120, "an event")
                figures |= await shown(page, daemon, options.shown)
                await page.close()
            progress("pages")
            figures |= await pages_cost(daemon, options.pages, options.seconds)
        finally:
            daemon.close()
    return figures


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--events", type=int, default=10_000)
    made.add_argument("--pages", type=int, default=20)
    made.add_argument("--shown", type=int, default=8, help="how many events are waited for")
    made.add_argument("--seconds", type=float, default=20.0, help="of each of six stretches with and without pages")
    options = made.parse_args()
    report(options, figures=asyncio.run(measured(options)))


if __name__ == "__main__":
    main()
