"""The console's files over HTTP: policy, types, caching, no way out of the folder."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streamproc.console.assets import STATIC, Assets
from streamproc.core.classes import ANNOUNCED

Client = TestClient[web.Request, web.Application]
ASSETS = Assets()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    ASSETS.mount(app)
    async with TestClient(TestServer(app)) as served:
        yield served


async def test_root_leads_to_the_console_and_every_view_has_an_address(client: Client) -> None:
    home = await client.get("/", allow_redirects=False)
    assert (home.status, home.headers["Location"]) == (302, "/console/")
    for view in ("/console/", "/console/events/abc-000001", "/console/cameras/front%20door/regions"):
        page = await client.get(view)
        assert page.status == 200 and page.content_type == "text/html"
        assert page.headers["Cache-Control"] == "no-cache"


async def test_the_policy_allows_the_import_map_and_nothing_inline(client: Client) -> None:
    page = await client.get("/console/")
    policy = page.headers["Content-Security-Policy"]
    text = await page.text()
    inline = re.findall(r"<script(?! type=\"module\")[^>]*>(.*?)</script>", text, re.DOTALL)
    assert len(inline) == 1
    digest = base64.b64encode(hashlib.sha256(inline[0].encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "VERSION" not in text
    assert page.headers["X-Content-Type-Options"] == "nosniff" and page.headers["Referrer-Policy"] == "no-referrer"


async def test_files_are_kept_for_good_under_their_version_only(client: Client) -> None:
    current = await client.get(f"/console/static/{ASSETS.version}/app.mjs")
    assert current.headers["Content-Type"].startswith("text/javascript")
    assert "immutable" in current.headers["Cache-Control"]
    assert current.headers["Content-Encoding"] == "gzip"
    old = await client.get("/console/static/000000000000/app.mjs")
    assert old.status == 200 and old.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["../assets.py", "..%2fassets.py", "%2e%2e/assets.py", "vendor/vendor.json", "/etc/passwd", "index.html"]
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    answer = await client.get(f"/console/static/{ASSETS.version}/{path}")
    body = await answer.read()
    assert answer.status == 404 or b"importmap" in body, "a path that was normalised away is a view of the console"
    assert b"root:" not in body and b"class Assets" not in body and b"licence_text" not in body


def test_a_new_camera_can_be_asked_for_every_class() -> None:
    page = (STATIC / "pages" / "add.mjs").read_text()
    offered = re.search(r"^const CLASSES = (.*);$", page, re.MULTILINE)
    assert offered is not None
    assert re.findall(r'\["(\w+)", ', offered[1]) == [group.value for group in ANNOUNCED]
