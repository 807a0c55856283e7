"""The first minutes with a node, in a real browser: the set-up link, the first camera, a picture. And what must not work."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.clips import grey_clip
from tests.caller import Caller
from tests.console import complaints, press
from tests.daemon import Daemon, wait_for
from tests.servers.chromium import Chromium, Page
from tests.servers.rtsp import lengthen


def link_of(daemon: Daemon) -> str:
    """What the log shows of the running process."""
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines() if '"set_up"' in line]
    return str(lines[-1]["link"])


async def fill(page: Page, name: str, text: str) -> None:
    await page.until(f"document.querySelector('input[name={name}]')")
    await page.run(f"document.querySelector('input[name={name}]').focus()")
    await page.type(text)


@pytest.mark.models
@pytest.mark.browser
@pytest.mark.rtsp
@pytest.mark.parametrize("hand", ["mouse", "keyboard"])
async def test_from_the_set_up_link_to_the_first_camera(
    daemon: Daemon, scene: Path, rtsp: Any, browser: Chromium, tmp_path: Path, hand: str
) -> None:
    server = rtsp({"/cam": lengthen(scene, tmp_path / "cam.mp4", 60)}, auth=("admin", "hush#hush"))
    daemon.start()
    page = await browser.page()
    await page.look_like(390, 844, phone=True)

    async def go_on(words: str) -> None:
        if hand == "mouse":
            await press(page, words)
            return
        for _ in range(40):
            await page.key("Tab")
            if await page.run("document.activeElement.textContent.trim()") == words:
                await page.key("Enter")
                return
        raise AssertionError(f"Tab reaches no {words}")

    await page.open(link_of(daemon))
    await fill(page, "name", "ann")
    await fill(page, "password", "correct horse")
    await go_on("Set up")
    await page.until("document.querySelector('.empty')?.textContent.includes('No camera yet')")
    await go_on("Add a camera")
    await fill(page, "address", server.url("/cam"))
    await fill(page, "user", "admin")
    await fill(page, "password", "wrong")
    await go_on("Look")
    await page.until("document.querySelector('[role=alert]')?.textContent.includes('refused user or password')", 60)
    await page.run("document.querySelector('input[name=password]').select()")
    await fill(page, "password", "hush#hush")
    await go_on("Look")
    await page.until("document.querySelector('.note.good')?.textContent.includes('640 x 360')", 60)
    await fill(page, "name", "Front Door")
    await go_on("Add")
    await page.until("location.pathname === '/console/cameras/front-door'", 60)
    await page.until("[...document.images].some((one) => one.naturalWidth > 300)", 90)
    assert not complaints(page)

    path = daemon.config / "processors" / "front-door.yaml"
    document = yaml.safe_load(path.read_text())
    assert document["source"] == {"type": "rtsp", "url": server.url("/cam"), "credentials_file": "secrets/front-door"}
    secret = daemon.config / "secrets" / "front-door"
    assert secret.read_text() == "admin:hush#hush\n" and secret.stat().st_mode & 0o077 == 0
    assert "hush#hush" not in daemon.log.read_text()
    assert Caller(daemon.port)("GET", "/api/processors").status == 401, "from now on everybody signs in"


def test_a_set_up_link_is_good_once_and_only_the_right_one(daemon: Daemon) -> None:
    daemon.start()
    call, secret = Caller(daemon.port), link_of(daemon).partition("#")[2]
    good = {"secret": secret, "name": "ann", "password": "correct horse"}
    wrong = call("POST", "/api/setup", good | {"secret": "x" * len(secret)})
    assert wrong.status == 403 and "its log shows the right one" in wrong.body["error"]["message"]
    assert call("POST", "/api/setup", good, Origin="http://evil.example").status == 403
    for bad in ({"name": ""}, {"name": "a b"}, {"password": "short"}, {"password": 12345678}):
        assert call("POST", "/api/setup", good | bad).status == 400, bad
    made = call("POST", "/api/setup", good)
    assert made.status == 200 and call("GET", "/api/session", Cookie=made.cookie).body["role"] == "admin"
    assert call("POST", "/api/setup", good | {"name": "eve"}).status == 410
    daemon.terminate()
    daemon.start()
    assert daemon.log.read_text().count('"set_up"') == 1, "no second link"
    assert call("POST", "/api/setup", good | {"name": "eve"}).status == 410
    assert call("GET", "/api/session", Cookie=made.cookie).body["name"] == "ann"
    assert call("POST", "/api/session", {"name": "ann", "password": "correct horse"}).status == 200


def test_guessing_the_set_up_link_is_slowed_down(daemon: Daemon) -> None:
    daemon.start()
    call = Caller(daemon.port)
    body = {"secret": "guess", "name": "eve", "password": "correct horse"}
    assert [call("POST", "/api/setup", body).status for _ in range(6)] == [403] * 5 + [429]


def test_a_camera_with_an_odd_address_or_name_is_refused_in_words(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    call, good = Caller(daemon.port), {"address": "rtsp://127.0.0.1:9/x", "name": "yard"}
    for change, words in (
        ({"address": ""}, "address: missing"),
        ({"address": "http://10.0.0.1/cam"}, "rtsp://"),
        ({"address": "rtsp://"}, "url"),
        ({"user": "a:b"}, "no colon"),
        ({"password": "a\nb"}, "line breaks"),
        ({"name": "../etc"}, "no processor name"),
        ({"name": "caf\u00e9 <b>"}, "no processor name"),
        ({"name": ".hidden"}, "cannot be a file's"),
        ({"name": "streamproc"}, "cannot be a file's"),
        ({"classes": ["DRAGON"]}, "labels.classes"),
        ({"rate": 3}, "rate"),
    ):
        refused = call("POST", "/api/cameras", good | change)
        assert refused.status == 400 and words in refused.body["error"]["message"], (change, refused.body)
    assert call("POST", "/api/cameras/probe", {"address": "rtsp://127.0.0.1:9/x"}).status == 400
    assert call("POST", "/api/cameras/probe", {"address": str(tmp_path / "none.mp4")}).status == 400
    assert list((daemon.config / "processors").iterdir()) == []
    clip = grey_clip(tmp_path / "clip.mp4", frames=30)
    assert call("POST", "/api/cameras/probe", {"address": str(clip)}).body["width"] == 320
    assert call("POST", "/api/cameras", good).body["file"].endswith("processors/yard.yaml")
    assert call("GET", "/api/processors/yard").status == 200, "it is there at once"
    assert call("POST", "/api/cameras", good).status == 409
    asked = call("POST", "/api/cameras/probe", {"address": "webrtc:"})
    assert asked.status == 400 and "/publish/NAME" in asked.body["error"]["message"]
    made = call("POST", "/api/cameras", {"address": "webrtc:", "name": "phone"})
    assert yaml.safe_load(Path(made.body["file"]).read_text())["source"] == {"type": "webrtc"}


def test_of_two_who_draw_the_second_is_told_and_nothing_is_lost(daemon: Daemon) -> None:
    path = daemon.put("door", "source: {type: file, path: none.mp4}\nstate: stopped   # for now\nlabels: {}\n")
    daemon.start()
    call, place = Caller(daemon.port), "/api/processors/door/regions"
    mine, hers = ({"name": name, "polygon": [[0, 0], [1, 0], [1, 1]]} for name in ("mine", "hers"))
    first, second = (call("GET", place).body for _ in range(2))
    saved = call("PUT", place, {"regions": [mine], "mark": first["mark"]})
    assert saved.status == 200 and saved.body["mark"] != first["mark"]
    refused = call("PUT", place, {"regions": [hers], "mark": second["mark"]})
    assert refused.status == 409 and "load them anew" in refused.body["error"]["message"]
    assert "mine" in path.read_text() and "hers" not in path.read_text()
    assert call("PUT", place, {"regions": [mine, hers], "mark": saved.body["mark"]}).status == 200, "read yet or not"
    path.write_text(path.read_text().replace("hers", "ours"))
    assert call("PUT", place, {"regions": [hers], "mark": saved.body["mark"]}).status == 409, "changed in its file"
    assert call("PUT", place, {"regions": [hers]}).status == 200 and "# for now" in path.read_text()
    masks = call("GET", "/api/processors/door/masks").body
    assert masks["masks"] == [] and masks["mark"] == first["mark"], "each kind by itself"


def test_where_the_config_folder_is_read_only_the_camera_is_kept_in_the_store(daemon: Daemon) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to root")
    daemon.start()
    (daemon.config / "processors").chmod(0o555)
    call = Caller(daemon.port)
    made = call("POST", "/api/cameras", {"address": "rtsp://u:hush@127.0.0.1:9/x", "name": "yard"})
    assert made.status == 200 and made.body["file"] is None
    wait_for(lambda: "yard" in daemon.states())
    assert "hush" not in str(call("GET", "/api/processors/yard").body)
