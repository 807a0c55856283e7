"""The console's region editor in a real browser: by mouse, keyboard and finger, replayed, and on a file that may not be written."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.caller import Caller
from tests.console import DOOR, PHONE, SCREENSHOTS, YARD, complaints, press, settled
from tests.daemon import Daemon, wait_for
from tests.servers.chromium import Chromium

pytestmark = [pytest.mark.models, pytest.mark.browser, pytest.mark.slow]


POINTS = "document.querySelectorAll('[data-test=region-point]').length"


async def test_regions_by_mouse_and_by_keyboard_keep_the_files_comments(door: Daemon, browser: Chromium) -> None:
    page = await browser.page()
    await page.look_like(1280, 900)
    await page.open(f"{door.url}/console/cameras/front-door/regions")
    await page.until(f"{POINTS} === 4")
    await settled(page)
    path = door.config / "processors" / "front-door.yaml"
    before = path.read_text()

    await press(page, "Add")
    await page.until(f"{POINTS} === 4 && document.querySelectorAll('.choose button').length === 2")
    left, top, width, height = await page.run(
        "(() => { const r = document.querySelector('[data-test=region-editor]').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * width, top + y * height

    for x, y in ((0.1, 0.2), (0.5, 0.2), (0.5, 0.6), (0.002, 0.6)):
        await page.click(*at(x, y))
    await page.until(f"{POINTS} === 4")
    await page.click(*at(0.1, 0.2))
    await page.drag(at(0.5, 0.6), at(0.6, 0.7))
    await page.click(*at(0.3, 0.2))
    await page.until(f"{POINTS} === 5")

    await page.run("document.querySelectorAll('[data-test=region-point]')[0].focus()")
    await page.key("ArrowRight")
    await page.key("ArrowDown", shift=True)
    await page.key("z", ctrl=True)
    await page.until("!document.querySelectorAll('.toolbar button')[2].disabled")

    # Dragged across another edge it says at once that it crosses itself, and cannot be saved.
    await page.drag(at(0.6, 0.7), at(0.3, 0.05))
    await page.until("document.querySelector('.note.bad')?.textContent.includes('crosses itself')")
    assert await page.run("document.querySelector('[data-test=region-save]').disabled")
    await press(page, "Undo")
    await page.until("!document.querySelector('.note.bad')")

    await press(page, "Test")
    await page.until("document.querySelector('[aria-live=polite] h2')?.textContent.includes('last day')")
    await page.screenshot(SCREENSHOTS / "regions-tested.png")
    await page.press("[data-test=region-save]")
    await page.until("document.querySelector('.note.good')?.textContent.includes('Saved in')")
    after = path.read_text()
    document = yaml.safe_load(after)
    drawn = document["regions"][1]
    assert drawn["name"] == "region-2" and len(drawn["polygon"]) == 5
    assert [0.0, 0.6] in [[round(x, 1), round(y, 1)] for x, y in drawn["polygon"]], "near the border means the border"
    assert [round(value, 1) for value in drawn["polygon"][0]] == [0.1, 0.2]
    lines = after.splitlines()
    assert [line for line in lines if line in before.splitlines()] == before.splitlines(), "every line that was there"
    wait_for(
        lambda: len(door.get("/api/processors/front-door")["config"]["regions"]) == 2, what="the daemon to read it"
    )
    door.until("front-door", "running")

    # Somebody draws in the file meanwhile.
    await page.run("document.querySelectorAll('[data-test=region-point]')[0].focus()")
    await page.key("ArrowRight")
    path.write_text(path.read_text().replace("name: doorstep", "name: step"))
    await page.press("[data-test=region-save]")
    await page.until("document.querySelector('.note.bad')?.textContent.includes('changed meanwhile')")
    wait_for(
        lambda: "step" in [each["name"] for each in door.get("/api/processors/front-door")["config"]["regions"]],
        what="the daemon to read what somebody wrote",
    )
    await press(page, "Load anew")
    await page.until("document.querySelector('.choose button').textContent.startsWith('step')")
    await page.run("document.querySelectorAll('[data-test=region-point]')[0].focus()")
    await page.key("ArrowRight")
    await page.press("[data-test=region-save]")
    await page.until("document.querySelector('.note.good')?.textContent.includes('Saved in')")
    assert "name: step" in path.read_text()
    assert not complaints(page)


async def test_a_recording_is_replayed_with_the_drawn_regions(daemon: Daemon, scene: Path, browser: Chromium) -> None:
    daemon.put("front-door", DOOR.format(clip=scene).replace("fps: 4", "profile: small") + "record: {keep: 1h}\n")
    daemon.put("yard", YARD.format(clip=scene))
    daemon.start()
    call, path = Caller(daemon.port), "/api/processors/front-door/regions/replay"

    def recorded() -> bool:
        span = call("GET", path).body["recording"]
        ends, begins = (datetime.fromisoformat(span[end]) for end in ("to", "from")) if span else (datetime.min,) * 2
        return ends - begins > timedelta(seconds=12)

    wait_for(recorded, 120, "twelve seconds of recording")
    page = await browser.page()
    await page.open(f"{daemon.url}/console/cameras/front-door/regions?box=0,0,0.12,0.12")
    await page.until("document.querySelectorAll('.choose button').length === 2")
    await page.press(".choose button")
    await press(page, "Delete")
    await press(page, "Replay")
    await page.until("document.querySelector('[data-test=recording] progress')")
    for refused in (
        call("POST", path, {"regions": []}),
        call("POST", "/api/processors/yard/regions/replay", {"regions": []}),
    ):
        assert refused.status in (400, 409) and "record" in refused.body["error"]["message"]
    (child,) = children(daemon.pid)
    wait_for(lambda: os.getpriority(os.PRIO_PROCESS, child) == 19, what="the process to step back")
    shown = "document.querySelector('[data-test=replayed]')"
    await page.until(shown, 240)
    found = call("GET", path).body["replay"]["found"]
    assert found["vanishes"] and not (found["appears"] or found["moves"] or found["same"]), "nothing is in that corner"
    count = len(found["vanishes"])
    assert f"{count} would vanish" in await page.run(f"{shown}.textContent")
    await page.until(f"[...{shown}.querySelectorAll('img')].filter((one) => one.naturalWidth > 0).length === {count}")
    assert await page.run("document.querySelectorAll('.found.dropped').length") == count, "drawn into the picture"
    await page.screenshot(SCREENSHOTS / "regions-replayed.png")

    await press(page, "Replay")
    await press(page, "Cancel")
    await page.until("document.querySelector('[data-test=recording]').textContent.includes('Cancelled at')")
    assert not children(daemon.pid)
    assert not complaints(page)


def children(pid: int) -> list[int]:
    """Its processes, by id."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_region_and_a_mask_are_drawn_by_finger_and_the_mask_blackens_the_picture(
    door: Daemon, browser: Chromium
) -> None:
    import cv2
    import numpy as np

    page = await browser.page()
    await page.look_like(*PHONE, phone=True)
    await page.open(f"{door.url}/console/cameras/front-door/regions")
    await page.until(f"{POINTS} === 4")
    await settled(page)
    await press(page, "Add")
    await page.until("document.querySelectorAll('.choose button').length === 2")
    left, top, width, height = await page.run(
        "(() => { const r = document.querySelector('[data-test=region-editor]').getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
    )
    for x, y in ((0.2, 0.3), (0.7, 0.3), (0.7, 0.8), (0.2, 0.3), (0.45, 0.3)):
        place = (left + x * width, top + y * height)
        await page.swipe(place, place, steps=1)
    await page.until(f"{POINTS} === 4")  # three corners, the first again to close it, and one on an edge
    await press(page, "Test")
    await page.until("document.querySelector('[aria-live=polite] h2')?.textContent.includes('last day')")
    await page.press("[data-test=region-save]")
    await page.until("document.querySelector('.note.good')?.textContent.includes('Saved in')")
    drawn = yaml.safe_load((door.config / "processors" / "front-door.yaml").read_text())["regions"][1]["polygon"]
    assert [[round(value, 1) for value in corner] for corner in drawn][::2] == [[0.2, 0.3], [0.7, 0.3]]
    await page.press(".tabs a[href$=masks]")
    await page.until(f"location.pathname.endsWith('/masks') && {POINTS} === 0")
    await page.press(".toolbar .main")
    await page.until(f"{POINTS} === 4")
    await settled(page)
    corner = await page.centre("[data-test=region-point]:nth-last-of-type(2)")
    edge = await page.run("document.querySelector('[data-test=region-editor]').getBoundingClientRect().bottom")
    await page.swipe(corner, (corner[0], edge - 2))
    said = "document.querySelector('[data-test=region-point]:nth-last-of-type(2)').getAttribute('aria-label')"
    await page.until(f"{said}.endsWith('100 % from the top')")
    await page.screenshot(SCREENSHOTS / "masks-phone.png")
    await page.press("[data-test=region-save]")
    await page.until("document.querySelector('.note.good')?.textContent.includes('Saved in')")
    text = (door.config / "processors" / "front-door.yaml").read_text()
    assert len(yaml.safe_load(text)["masks"][0]["polygon"]) == 4 and "# as measured" in text

    def blackened() -> bool:
        try:
            with urllib.request.urlopen(f"{door.url}/api/processors/front-door/still.jpg", timeout=10) as answer:
                still = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
        except urllib.error.HTTPError:
            return False  # nothing was analysed yet
        height, width = still.shape[:2]
        return bool(still[height // 2, width // 2].max() < 24 and still[height // 2, width // 8].max() > 24)

    wait_for(blackened, 60, "a picture with the mask in it")
    assert not complaints(page)


async def test_a_read_only_file_gives_the_patch(door: Daemon, browser: Chromium) -> None:
    path = door.config / "processors" / "front-door.yaml"
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to root")
    path.chmod(0o444)
    page = await browser.page()
    await page.open(f"{door.url}/console/cameras/front-door/regions")
    await page.until(f"{POINTS} === 4")
    await press(page, "Add")
    await page.press("[data-test=region-save]")
    await page.until("document.querySelector('pre')?.textContent.includes('+  - name: region-2')")
