"""The console in a real Chromium: a long list that scrolls, an event's way onto a page, and what open pages cost the analysis.

    python -m benchmarks.console [--events 10000] [--pages 20] [--json]

``scroll_*``: the events page with all of ``--events`` rows in it is scrolled by 240 px a frame, 1,000 frames long; frame times are those of
``requestAnimationFrame``, without a GPU. ``shown_*``: from the instant an event was committed (``stored`` of its delivery) until its row
stands on an open page, by the same clock. ``pages_*``: medians of stretches with no page open (``none``) and with ``--pages`` open, by turns: CPU of the
daemon, of its thread that serves (``loop_cpu``: the pages' own share, without the scatter of the analysis), frames that the camera
looked at, and mean latency from a frame's arrival to its decision. A page is what the page of cameras does: stream and stills.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp

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


def cpu_s(pid: int, thread: int | None = None) -> float:
    """Of a process, or of one of its threads."""
    place = Path(f"/proc/{pid}") if thread is None else Path(f"/proc/{pid}/task/{thread}")
    fields = (place / "schedstat").read_text().split() if thread is not None else []
    if fields:
        return int(fields[0]) / 1e9
    ticks = (place / "stat").read_text().rsplit(")", 1)[1].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


async def watching(daemon: Daemon, client: aiohttp.ClientSession) -> None:
    """What the page of cameras does while it is open: the list and the last events once, then the stream, and a still every ten seconds."""
    for path in ("/api/session", "/api/processors", "/api/events?processor=front-door&limit=5"):
        async with client.get(daemon.url + path) as answer:
            await answer.read()

    async def stills() -> None:
        while True:
            async with client.get(f"{daemon.url}/api/processors/front-door/still.jpg?width=640") as answer:
                await answer.read()
            await asyncio.sleep(10 - time.time() % 10 + random.uniform(0, 5))  # its clock ticks every five seconds

    looking = asyncio.create_task(stills())
    try:
        async with client.get(f"{daemon.url}/api/stream") as answer:
            async for _ in answer.content.iter_any():
                pass
    finally:
        looking.cancel()


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of the daemon, all but the latency a second."""

    cpu: float
    loop_cpu: float
    """Of the thread that serves requests and streams."""
    frames: float
    latency_ms: float
    """Mean, from a frame's arrival until what it shows is decided."""


async def stretch(daemon: Daemon, pages: int, seconds: float) -> Stretch:
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None), connector=aiohttp.TCPConnector(limit=0)
    ) as client:
        open_pages = [asyncio.create_task(watching(daemon, client)) for _ in range(pages)]
        try:
            await asyncio.sleep(3)
            before, cpu, loop_cpu = figures(daemon), cpu_s(daemon.pid), cpu_s(daemon.pid, daemon.pid)
            began = time.monotonic()
            await asyncio.sleep(seconds)
            wall = time.monotonic() - began
            used, used_by_loop = cpu_s(daemon.pid) - cpu, cpu_s(daemon.pid, daemon.pid) - loop_cpu
            frames, late_s, counted = (now - then for now, then in zip(figures(daemon), before, strict=True))
            return Stretch(used / wall, used_by_loop / wall, frames / wall, 1000 * late_s / max(1.0, counted))
        finally:
            for page in open_pages:
                page.cancel()
            ended = await asyncio.gather(*open_pages, return_exceptions=True)
            broken = [each for each in ended if not isinstance(each, asyncio.CancelledError)]
            if broken:
                raise RuntimeError(f"{len(broken)} pages ended: {broken[0]!r}")


async def pages_cost(daemon: Daemon, pages: int, seconds: float, turns: int) -> dict[str, Any]:
    found = [(await stretch(daemon, 0, seconds), await stretch(daemon, pages, seconds)) for _ in range(turns)]

    def median(side: int, name: str) -> float:
        return float(statistics.median(getattr(turn[side], name) for turn in found))

    units = {"cpu": 3, "loop_cpu": 4, "frames": 2, "latency_ms": 1}
    told: dict[str, Any] = {"pages": pages}
    for name, digits in units.items():
        told |= {
            f"pages_none_{name}": round(median(0, name), digits),
            f"pages_open_{name}": round(median(1, name), digits),
        }
    more = sorted(turn[1].loop_cpu - turn[0].loop_cpu for turn in found)
    return told | {"pages_more_loop_cpu": round(statistics.median(more), 4)}


def figures(daemon: Daemon) -> tuple[float, float, float]:
    """Frames that were looked at; seconds of latency of those that were decided, and how many."""
    text = daemon.get("/metrics")

    def total(name: str, label: str = "") -> float:
        lines = (line for line in text.splitlines() if line.startswith(f"{name}{{") and label in line)
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    decided = 'stage="decide"'
    return (
        total("streamproc_frames_analysed_total"),
        total("streamproc_stage_latency_seconds_sum", decided),
        total("streamproc_stage_latency_seconds_count", decided),
    )


def put_camera(daemon: Daemon) -> None:
    daemon.put("front-door", DOOR.format(clip=made_scene()))
    wait_for(lambda: daemon.get("/api/events?processor=front-door&limit=1")["events"], 120, "an event")


async def in_chromium(daemon: Daemon, place: Path, options: Any) -> dict[str, Any]:
    async with Chromium(place / "chromium") as browser:
        page = await browser.page()
        progress("scrolling")
        found = await scrolled(page, daemon, options.events)
        put_camera(daemon)
        found |= await shown(page, daemon, options.shown)
        await page.close()
    return found


async def measured(options: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place:
        daemon = Daemon(Path(place))
        fill(daemon.data, options.events)
        daemon.start()
        try:
            found: dict[str, Any] = {}
            if not options.only_pages:
                found = await in_chromium(daemon, Path(place), options)
            else:
                put_camera(daemon)
            progress("pages")
            found |= await pages_cost(daemon, options.pages, options.seconds, options.turns)
        finally:
            daemon.close()
    return found


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--events", type=int, default=10_000)
    made.add_argument("--pages", type=int, default=20)
    made.add_argument("--shown", type=int, default=8, help="how many events are waited for")
    made.add_argument("--seconds", type=float, default=20.0, help="of each stretch with and without pages")
    made.add_argument("--turns", type=int, default=5, help="stretches of either kind, by turns")
    made.add_argument("--only-pages", action="store_true", help="leave out Chromium")
    options = made.parse_args()
    report(options, figures=asyncio.run(measured(options)))


if __name__ == "__main__":
    main()
