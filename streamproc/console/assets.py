"""The console's files: read once, named by their content, served with a policy that allows nothing else."""

from __future__ import annotations

import base64
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

STATIC = Path(__file__).parent / "static"
TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
PLACEHOLDER = "VERSION"
"""Stands in index.html where the version of the files goes."""
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent."""

    body: bytes
    packed: bytes
    """The same, gzipped."""
    content_type: str


class Assets:
    """Every file of the console, in memory: 200 KB. A path is looked up among them, so none leads elsewhere."""

    def __init__(self, folder: Path = STATIC) -> None:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in TYPES
        }
        page = (folder / "index.html").read_bytes()
        digest = hashlib.sha256(page)
        for name, body in files.items():
            digest.update(name.encode() + b"\0" + body)
        self.version = digest.hexdigest()[:12]
        self.files = {name: Asset(body, gzip.compress(body, 9), _type_of(name)) for name, body in files.items()}
        self.page = page.decode().replace(PLACEHOLDER, self.version)
        self.policy = policy_of(self.page)

    def mount(self, app: web.Application) -> None:
        app.router.add_get("/", self._home)
        app.router.add_get("/console", self._home)
        app.router.add_get("/console/static/{version}/{name:.+}", self._file)
        app.router.add_get("/console/{view:.*}", self._page)

    async def _home(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/console/"} | HEADERS)

    async def _page(self, request: web.Request) -> web.Response:
        """The same for every view: what is shown depends on the address, in the browser."""
        headers = HEADERS | {"Content-Security-Policy": self.policy, "Cache-Control": "no-cache"}
        return web.Response(text=self.page, content_type="text/html", headers=headers)

    async def _file(self, request: web.Request) -> web.Response:
        asset = self.files.get(request.match_info["name"])
        if asset is None:
            return web.Response(status=404, text="there is no such file", headers=HEADERS)
        current = request.match_info["version"] == self.version
        headers = HEADERS | {
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        packed = "gzip" in request.headers.get("Accept-Encoding", "")
        if packed:
            headers["Content-Encoding"] = "gzip"
        return web.Response(
            body=asset.packed if packed else asset.body,
            content_type=asset.content_type,
            charset="utf-8",
            headers=headers,
        )


def policy_of(page: str) -> str:
    """The Content-Security-Policy of a page: its own import map is the only script that may stand in it."""
    maps = re.findall(r"<script type=\"importmap\">(.*?)</script>", page, re.DOTALL)
    hashes = "".join(f" 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in maps)
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' blob: data:; "
        "media-src 'self' blob:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def _type_of(name: str) -> str:
    return TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
