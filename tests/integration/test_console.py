"""The console in a real browser: what happens appears, and nothing is lost when the daemon is killed."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamproc.core.event import EventType, Pictures
from streamproc.core.media import Moment
from streamproc.core.vision import Box
from streamproc.store.database import Database
from streamproc.store.journal import Commit, Journal
from tests.builders.events import label_event, session
from tests.conftest import skip
from tests.console import DOOR, FORMS, PAGES, PHONE, SCREENSHOTS, complaints, has_events, photograph, press, settled
from tests.daemon import Daemon, wait_for
from tests.servers.chromium import Chromium
from tests.servers.common import Unavailable

pytestmark = [pytest.mark.models, pytest.mark.browser, pytest.mark.slow]


ROWS = "[...document.querySelectorAll('[data-test=event-row]')].map((row) => row.dataset.id)"


async def test_from_a_camera_to_an_event_without_loading_anew(door: Daemon, browser: Chromium) -> None:
    page = await browser.page()
    await page.open(door.url + "/")
    await page.until("location.pathname === '/console/'")
    await page.until("document.querySelector('[data-test=camera-card][data-name=front-door]')")
    await page.until("document.querySelector('.still img')?.naturalWidth > 300", 120)
    await press(page, "Events")
    await page.run("window.notLoadedAnew = true")
    before = await page.until(f"(({ROWS}).length && {ROWS}) || (document.querySelector('.empty') && ['none'])", 120)
    newest = await page.until(
        f"(() => {{ const rows = {ROWS}; return rows.length && rows[0] !== {json.dumps(before[0])} && rows[0]; }})()",
        120,
    )
    assert await page.run("window.notLoadedAnew"), "it came by the stream"
    lists = "performance.getEntriesByType('resource').filter((one) => new URL(one.name).pathname === '/api/processors')"
    assert await page.run(f"{lists}.length") <= 2, "how cameras stand comes by the stream too"
    assert newest in json.dumps(door.get("/api/events"))
    await page.press(f"[data-test=event-row][data-id='{newest}'] a")
    await page.until(f"document.querySelector('[data-test=event-detail][data-id=\"{newest}\"]')")
    assert newest in await page.run("location.pathname"), "every event has an address"
    await page.open(f"{door.url}/console/events/{newest}?processor=front-door")
    await page.until(f"document.querySelector('[data-test=event-detail][data-id=\"{newest}\"] h2')")
    await page.until(f"{ROWS}.length >= 2", 120)
    await page.run("document.querySelector('[data-test=event-row] a').focus()")
    first = await page.run("document.activeElement.closest('li').dataset.id")
    await page.key("ArrowDown")
    assert await page.run("document.activeElement.closest('li').dataset.id") != first
    await page.key("Enter")
    await page.until(
        "document.querySelector('[data-test=event-detail]').dataset.id === document.querySelector('.event.current').dataset.id"
    )
    assert not complaints(page)


async def test_rows_go_on_when_the_daemon_is_killed(door: Daemon, browser: Chromium) -> None:
    page = await browser.page()
    await page.open(f"{door.url}/console/cameras/front-door")
    await press(page, "Away")
    standing = "document.querySelector('[data-test=standing]')?.textContent"
    await page.until(f"{standing} === 'Away: everything is announced'")
    await page.open(f"{door.url}/console/events?type=label_detected")
    await page.until(f"{ROWS}.length >= 1", 120)
    for _ in range(2):
        door.kill()
        await page.until("document.querySelector('.chip.warn')?.textContent === 'reconnecting'")
        door.start()
        known = await page.run(ROWS)
        await page.until(f"document.querySelector('.side .chip.good') && {ROWS}.length > {len(known)}", 120)
    door.terminate()
    await asyncio.sleep(1)
    rows = await page.run(ROWS)
    door.start()
    shown, kept = rows, _ids(door)
    assert len(shown) == len(set(shown)), "none twice"
    oldest = kept.index(shown[-1])
    assert shown == kept[kept.index(shown[0]) : oldest + 1], "none missing, newest first"

    # What was said over the schedule is still so.
    await page.open(f"{door.url}/console/cameras/front-door")
    await page.until("document.querySelector('.modes [aria-pressed=true]')?.textContent === 'Away'")
    await press(page, "Pause 1 h")
    await page.until(f"{standing}?.startsWith('Paused: nothing is announced until')")
    await press(page, "By schedule")
    await page.until(f"{standing} === 'Announces at any time'")


async def test_of_thousands_of_rows_few_stand_in_the_page_and_all_are_reached(
    daemon: Daemon, browser: Chromium
) -> None:
    """How smoothly they scroll: ``python -m benchmarks.console``."""
    journal, start = Journal(Database(daemon.data)), datetime.now(UTC) - timedelta(hours=3)
    row = session(opened=start, closed=start)
    times = [Moment(Fraction(number), start + timedelta(seconds=number)) for number in range(1500)]
    events = [label_event(number, at=at, has_pictures=False) for number, at in enumerate(times)]
    journal.commit(Commit("door", [row], [(event, None) for event in events]))
    journal.database.close()
    daemon.start()
    page = await browser.page()
    await page.open(f"{daemon.url}/console/events")
    await page.until(f"{ROWS}.length > 0")
    seen: set[str] = set()
    oldest = json.dumps(events[0].id)
    drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    further = f"{ROWS}.includes({oldest}) || scrollY + innerHeight < document.documentElement.scrollHeight - 2"
    while events[0].id not in seen:
        rows = await page.run(ROWS)
        assert len(rows) == len(set(rows)) < 150
        seen |= set(rows)
        await page.until(further)
        await page.run("scrollBy(0, innerHeight); undefined")
        await page.until(drawn)
    assert seen == {event.id for event in events}


def _ids(daemon: Daemon) -> list[str]:
    return [event["id"] for event in daemon.get("/api/events?type=label_detected&limit=1000")["events"]]


async def test_an_event_appears_within_a_moment_of_its_commit(door: Daemon, browser: Chromium) -> None:
    """Not timed: the row is there while the event that follows it is not yet known to anybody."""
    page = await browser.page()
    await page.open(f"{door.url}/console/events")
    await page.until(f"{ROWS}.length >= 1", 120)
    for _ in range(2):
        before = await page.run(ROWS)
        began = time.monotonic()
        wait_for(lambda: door.get("/api/events?limit=1")["events"][0]["id"] != before[0], 120, "another event")  # noqa: B023
        newest = door.get("/api/events?limit=1")["events"][0]["id"]
        await page.until(f"{ROWS}.includes({json.dumps(newest)})", 20)
        assert time.monotonic() - began < 150

    # What comes while a list loads is in it, though the answer is of before.
    await press(page, "Cameras")
    await page.until("document.querySelector('[data-test=camera-card]')")
    await page.run(
        "window.came = []; new EventSource('/api/stream').addEventListener('event', (message) => window.came.push(JSON.parse(message.data).id));"
        "const ask = window.fetch; window.fetch = async (...what) => { const answer = await ask(...what);"
        " if (String(what[0].url || what[0]).includes('/api/events?')) { window.asked = true; while (!window.come) await new Promise((done) => setTimeout(done, 50)); }"
        " return answer; }; undefined"
    )
    await press(page, "Events")
    await page.until("window.asked")
    await page.run("window.came.length = 0")
    await page.until("window.came.length > 0", 120)
    missed = await page.run("window.came[0]")
    await page.run("setTimeout(() => { window.come = true; }, 300); undefined")
    await page.until(f"{ROWS}.includes({json.dumps(missed)})", 20)


async def test_a_viewer_signs_in_and_sees_no_faces(daemon: Daemon, scene: Path, browser: Chromium) -> None:
    from tests.daemon import run_cli

    hashed = json.loads(run_cli("passwd", "--json", stdin="only looking around\n").stdout)["hash"]
    served = Daemon(daemon.config.parent / "guarded", {"VERA_HASH": hashed})
    (served.config / "streamproc.yaml").write_text("server: {users: [{name: vera, password_hash_env: VERA_HASH}]}\n")
    served.put("front-door", DOOR.format(clip=scene))
    served.start()
    try:
        page = await browser.page()
        await page.open(f"{served.url}/console/events")
        await page.until("document.querySelector('input[name=password]')")
        for password, done in (
            ("wrong", "document.querySelector('[role=alert]')"),
            ("only looking around", "document.querySelector('nav')"),
        ):
            await page.run(
                "document.querySelector('input[name=name]').value = ''; document.querySelector('input[name=password]').value = ''; document.querySelector('input[name=name]').focus()"
            )
            await page.type("vera")
            await page.key("Tab")
            await page.type(password)
            await page.key("Enter")
            await page.until(done)
        links = await page.run("[...document.querySelectorAll('nav a')].map((link) => link.textContent.trim())")
        assert "Events" in links and "Faces" not in links and "Settings" not in links
        assert await page.run("document.cookie") == "", "no script reads the session"
        assert await page.run("fetch('/api/faces').then((answer) => answer.status)") == 403
        await press(page, "Sign out")
        await page.until("document.querySelector('input[name=password]')")
        assert await page.run("fetch('/api/events').then((answer) => answer.status)") == 401
    finally:
        served.close()


async def test_somebody_is_enrolled_and_known_from_then_on(daemon: Daemon, browser: Chromium, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="the photograph is scikit-image's")
    import cv2
    from skimage import data

    photo, wall = tmp_path / "astronaut.jpg", tmp_path / "wall.jpg"
    cv2.imwrite(str(photo), cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2BGR))
    cv2.imwrite(str(wall), data.brick())
    cv2.imwrite(str(tmp_path / "later.jpg"), cv2.convertScaleAbs(cv2.imread(str(photo)), alpha=0.9))
    visits_of_a_stranger(daemon, photo, tmp_path / "later.jpg")
    daemon.start()
    page = await browser.page()
    await page.open(f"{daemon.url}/console/faces")
    await page.until("document.querySelector('input[name=name][title]')")
    await page.run("document.querySelector('input[name=name][title]').focus()")
    await page.type("eileen")
    await page.give_files("input[type=file]", photo)
    await press(page, "Enrol")
    await page.until("document.querySelector('[data-test=face-person][data-name=eileen]')", 90)
    await page.until("document.querySelector('input[name=name][title]')")
    await page.run("document.querySelector('input[name=name][title]').focus()")
    await page.type("nobody")
    await page.give_files("input[type=file]", photo)
    await press(page, "What would change?")
    await page.until(
        "[...document.querySelectorAll('.note')].some((one) => one.textContent.includes('Most alike: eileen 100'))", 60
    )
    await page.give_files("input[type=file]", wall)
    await press(page, "Enrol")
    await page.until("document.querySelector('.note.warn')?.textContent.includes('No face was enrolled')", 60)
    people = daemon.get("/api/faces/family/people")["people"]
    assert [(person["name"], person["faces"]) for person in people] == [("eileen", 1)]

    # Who came twice without being known is one group, and is named once, after what that would do to the rates.
    await page.open(f"{daemon.url}/console/faces")
    await page.until("document.querySelector('[data-test=face-unknown]')?.textContent.includes('most like eileen')", 60)
    assert await page.run("document.querySelectorAll('[data-test=face-unknown] input[type=checkbox]').length") == 2
    await page.run("document.querySelector('input[name=stranger]').focus()")
    await page.type("eileen")
    await page.run("document.querySelector('[data-test=face-unknown] form button').click()")
    await page.until("document.querySelector('[data-test=face-unknown] .note')?.textContent.includes('A stranger')", 60)
    await page.screenshot(SCREENSHOTS / "faces-unknown.png")
    await press(page, "Name 2")
    await page.until("document.querySelector('.person')?.textContent.includes('3 photos')", 60)
    await page.until("!document.querySelector('[data-test=face-unknown]')", 60)
    assert not complaints(page)


def visits_of_a_stranger(daemon: Daemon, *photos: Path) -> None:
    """Unknown faces at the door, kept before the daemon begins."""
    daemon.put("door", "source: {type: file, path: none.mp4}\nfaces: {collection: family}\nstate: stopped\n")
    began = datetime.now(UTC) - timedelta(minutes=5)
    box, fields = Box(0.34, 0.13, 0.53, 0.37), {"type": EventType.FACE_UNKNOWN, "label": None}
    visits = [
        label_event(number, box=box, at=Moment(Fraction(number), began + timedelta(seconds=number)), **fields)
        for number in range(len(photos))
    ]
    pictures = [Pictures(photo.read_bytes(), photo.read_bytes()) for photo in photos]
    journal = Journal(Database(daemon.data))
    row = session(opened=began, closed=began)
    journal.commit(Commit("door", [row], list(zip(visits, pictures, strict=True))))
    journal.database.close()


@pytest.mark.timeout(420)
async def test_a_file_is_analysed_and_read_along_its_timeline(daemon: Daemon, scene: Path, browser: Chromium) -> None:
    daemon.start()
    page = await browser.page()
    await page.open(f"{daemon.url}/console/jobs")
    await page.until("document.querySelector('.drop')")
    await page.give_files("input[type=file]", scene)
    await press(page, "Analyse")
    await page.until("document.querySelectorAll('[data-test=job-row] .chip.good').length === 2", 300)
    await page.press("[data-test=job-row] h2 a")
    await page.until("document.querySelectorAll('.lane').length >= 2", 60)
    lanes = await page.run("[...document.querySelectorAll('.lane > span')].map((lane) => lane.textContent)")
    assert "Shots" in lanes and "Person" in lanes
    await page.until("document.querySelector('video').readyState >= 1")
    await page.run("document.querySelector('.timeline').focus()")
    await page.key("ArrowRight")
    await page.key("ArrowRight")
    await page.until("Math.abs(document.querySelector('video').currentTime - 2) < 0.1")
    await page.screenshot(SCREENSHOTS / "job-done.png")
    assert not complaints(page)


async def test_every_page_fits_a_phone_asks_no_other_host_and_is_photographed(door: Daemon, browser: Chromium) -> None:
    wait_for(lambda: has_events(door, 3), 120, "three events")
    page = await browser.page()
    asked: list[str] = []
    await page.look_like(*PHONE, phone=True)
    for name, path in {**PAGES, **FORMS}.items():
        await page.open(door.url + path)
        await settled(page)
        assert await page.run("document.documentElement.scrollWidth") <= PHONE[0], name
        asked += await page.run("performance.getEntriesByType('resource').map((one) => one.name)")
    assert asked and not [address for address in asked if not address.startswith((door.url, "blob:", "data:"))]
    assert not complaints(page)
    await page.close()
    await photograph(door, SCREENSHOTS, browser)
    assert len(list(SCREENSHOTS.glob("*-phone-dark.png"))) >= len(PAGES)


async def test_axe_finds_nothing_serious(door: Daemon, scene: Path, browser: Chromium) -> None:
    from tests.servers.axe import axe_source

    try:
        source = await asyncio.to_thread(axe_source)
    except Unavailable as error:
        skip(str(error))
    door.put("front-door", DOOR.format(clip=scene) + "record: {keep: 1h}\n")
    wait_for(lambda: has_events(door, 2), 120, "two events")
    wait_for(lambda: door.get("/api/processors/front-door/regions/replay")["recording"], 60, "a recording")
    event = door.get("/api/events?type=label_detected&limit=1")["events"][0]["id"]
    page = await browser.page()
    found: dict[str, Any] = {}
    for dark in (False, True):
        await page.look_like(1280, 900, dark=dark)
        for name, path in {**PAGES, **FORMS, "event": f"/console/events/{event}"}.items():
            await page.open(door.url + path)
            await settled(page)
            await page.run(f"{source}; undefined")
            serious = await page.run(
                "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}).then((result) => result.violations"
                ".filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => [one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160) + node.failureSummary.slice(0, 200))]))"
            )
            if serious:
                found[f"{name} {'dark' if dark else 'light'}"] = serious
    assert not found, json.dumps(found, indent=1)
