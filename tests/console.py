"""A node to look at: cameras that play the made scene, and a browser at its console.

``python -m tests.console FOLDER`` writes a picture of each page, on a desk and on a phone, light and dark; with ``--docs`` the three small ones
that the documents show.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.daemon import Daemon, wait_for
from tests.servers.chromium import Chromium, Page

DOOR = """# The front door, seen from the lamp
source: {{type: file, path: "{clip}", realtime: true, loop: true}}
session: {{mode: continuous, gone_after: 2s}}   # each visit is told
labels:
  classes: [PERSON, PET, PACKAGE]
  fps: 4
regions:
  # not the street
  - {{name: doorstep, polygon: [[0.05, 0.1], [0.95, 0.1], [0.95, 1.0], [0.05, 1.0]]}}   # as measured
outputs:
  - {{type: file, directory: out}}
"""
YARD = """source: {{type: file, path: "{clip}", realtime: true, loop: true}}
session: {{mode: continuous, gone_after: 2s}}
labels: {{classes: [PERSON, PET], profile: small, fps: 2}}
"""
PAGES = {
    "home": "/console/",
    "camera": "/console/cameras/front-door",
    "regions": "/console/cameras/front-door/regions",
    "events": "/console/events",
    "why": "/console/why?camera=front-door",
    "faces": "/console/faces",
    "jobs": "/console/jobs",
    "outputs": "/console/outputs",
    "settings": "/console/settings?file=processors/front-door.yaml",
}
FORMS = {
    "add": "/console/add",
    "masks": "/console/cameras/front-door/masks",
    "nodes": "/console/nodes",
    "set-up": "/console/setup#a-secret-of-nobody",
}
"""Pages that are looked at but not photographed."""
DESK, PHONE = (1280, 800), (390, 844)


def furnish(daemon: Daemon, clip: Path) -> None:
    """Two cameras, and one whose file is wrong."""
    daemon.put("front-door", DOOR.format(clip=clip))
    daemon.put("yard", YARD.format(clip=clip))
    daemon.put("garage", 'source: {type: rtsp, url: "rtsp://127.0.0.1:9/none"}\nlabels: {}\n')


def has_events(daemon: Daemon, count: int) -> bool:
    """Whether the history has so many detections."""
    return len(daemon.get(f"/api/events?type=label_detected&limit={count}")["events"]) >= count


async def settled(page: Page) -> None:
    """Until nothing is being loaded, pictures in view among it."""
    await page.until("document.querySelector('main h1') && !document.querySelector('main .skeleton')")
    await page.until(
        "[...document.images].filter((one) => one.getBoundingClientRect().top < innerHeight).every((one) => one.complete)"
    )


async def press(page: Page, words: str) -> None:
    """Click the button or link that says ``words``."""
    await page.until(
        "(() => { document.querySelectorAll('[data-pressed]').forEach((one) => delete one.dataset.pressed);"
        f"const found = [...document.querySelectorAll('button, a')].find((one) => one.textContent.trim() === {json.dumps(words)}"
        " && !one.disabled); if (found) found.dataset.pressed = 'yes'; return Boolean(found); })()"
    )
    await page.press("[data-pressed=yes]")


def complaints(page: Page) -> list[str]:
    """What the page said on its console that a user would care for; a still that is not there yet is no fault."""
    return [words for words in page.messages if "Refused to" in words or "exception" in words.lower()]


async def photograph(daemon: Daemon, folder: Path, browser: Chromium) -> None:
    """Each page, in four looks."""
    event = daemon.get("/api/events?type=label_detected&limit=1")["events"][0]["id"]
    page = await browser.page()
    for name, path in {**PAGES, "event": f"/console/events/{event}"}.items():
        for look, (size, phone) in {"desk": (DESK, False), "phone": (PHONE, True)}.items():
            for dark in (False, True):
                await page.look_like(*size, phone=phone, dark=dark)
                await page.open(daemon.url + path)
                await settled(page)
                await page.screenshot(folder / f"{name}-{look}-{'dark' if dark else 'light'}.png")
    await page.close()


async def small_pictures(daemon: Daemon, folder: Path, browser: Chromium) -> None:
    """What the documents show."""
    page = await browser.page()
    for name in ("home", "events", "regions"):
        await page.look_like(1120, 640, dark=name == "events")
        await page.open(daemon.url + PAGES[name])
        await settled(page)
        await page.screenshot(folder / f"console-{name}.jpg")
    await page.close()


async def _main(folder: Path, docs: bool) -> None:
    from streamproc.cli.demo import made_scene

    with tempfile.TemporaryDirectory() as place:
        daemon = Daemon(Path(place))
        furnish(daemon, made_scene())
        daemon.start()
        try:
            wait_for(lambda: has_events(daemon, 6), 240, "six events")
            async with Chromium(Path(place) / "chromium") as browser:
                await (small_pictures if docs else photograph)(daemon, folder, browser)
        finally:
            daemon.close()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    asyncio.run(_main(Path(words[0]), "--docs" in sys.argv))


SCREENSHOTS = Path(__file__).parent / "integration" / "screenshots" / "console"
"""Of the last run, to look at; not in the repository."""
