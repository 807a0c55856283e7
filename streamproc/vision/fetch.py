"""Getting a model's bytes: from a web server, an npm package or a PyPI wheel."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from streamproc.core.errors import InputError
from streamproc.vision.catalogue import Https, ModelFile, Npm, Source, Wheel
from streamproc.vision.packages import FetchFailed, Packages

__all__ = ["FetchFailed", "Fetcher", "Progress", "describe", "matches", "web_allowed"]

CONNECT_TIMEOUT_S = 5.0
SILENT_S = 600.0
"""For so long no process asks a host again that did not answer another."""
SOURCES = "STREAMPROC_MODEL_SOURCES"
Progress = Callable[[str, int, int | None], None]
"""Called with the name of the file or package, its bytes so far and its bytes in all (None: unknown)."""


def describe(source: Source) -> str:
    """For people, on one line."""
    match source:
        case Https(url):
            return url
        case Npm(package, version, member):
            return f"npm {package}@{version} {member}"
        case Wheel(package, version, member):
            return f"PyPI {package} {version} {member}"


def matches(file: ModelFile, path: Path) -> bool:
    """Whether these are the bytes the catalogue means."""
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.sha256:
        # Git's name for a file's content.
        digest.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest() == (file.sha256 or file.git_blob)


def web_allowed() -> bool:
    """False where ``STREAMPROC_MODEL_SOURCES=registries`` leaves package registries only. Raises InputError for another word."""
    chosen = os.environ.get(SOURCES) or "all"
    if chosen not in ("all", "registries"):
        raise InputError(f"{SOURCES}={chosen}: say all, or registries for package registries alone")
    return chosen == "all"


class Fetcher:
    """Fetches files from their sources into the cache folder ``home``.

    A host that did not answer is not asked again, by this process at all and by others for ten minutes. A download from a web server
    that was cut off goes on where it stopped, also in another process; packages come whole.
    """

    def __init__(self, home: Path, progress: Progress | None = None) -> None:
        self._partial = home / ".partial"
        self._hosts = home / ".unreachable.json"
        self._progress = progress
        self._silent: dict[str, str] = {}
        self._packages = Packages(home / ".tools")
        self.insists = False
        """Ask hosts that did not answer another process lately, too."""

    def fetch(self, source: Source, file: ModelFile, target: Path) -> None:
        """Write the file's bytes to ``target``. Raises FetchFailed."""
        if isinstance(source, Https):
            self._https(source.url, file, target)
            return
        total = source.download
        name = f"{'npm' if isinstance(source, Npm) else 'PyPI'} {source.package}"

        def grown(done: int) -> None:
            # Clients keep files of their own beside the package, so what grew may exceed it.
            self._tell(name, min(done, total or done), total)

        fresh = not self._packages.has(source)
        self._packages.copy(source, target, grown)
        if fresh:
            self._tell(name, total or target.stat().st_size, total or target.stat().st_size)

    def close(self) -> None:
        """Remove what was unpacked."""
        self._packages.close()

    def _https(self, url: str, file: ModelFile, target: Path) -> None:
        host = urllib.parse.urlsplit(url).hostname or url
        if not web_allowed():
            raise FetchFailed(f"{host} is not asked ({SOURCES}=registries)")
        reason = self._silent.get(host) or self._silent_lately(host)
        if reason:
            raise FetchFailed(f"{host} {reason}")
        try:
            resumed = self._download(url, file, target)
            if resumed and not matches(file, target):  # the beginning was another file's
                self._download(url, file, target)
        except urllib.error.HTTPError as error:
            raise FetchFailed(f"{host} answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            self._silent[host] = f"cannot be reached ({getattr(error, 'reason', None) or error})"
            self._remember()
            raise FetchFailed(f"{host} {self._silent[host]}") from error

    def _download(self, url: str, file: ModelFile, target: Path) -> bool:
        """Into a file of its own beside the cache's models first, which outlives an interruption. Whether it went on with one."""
        self._partial.mkdir(parents=True, exist_ok=True)
        part = self._partial / (file.sha256 or file.git_blob or file.name)
        have = part.stat().st_size if part.exists() else 0
        request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
        try:
            with urllib.request.urlopen(request, timeout=CONNECT_TIMEOUT_S) as reply:
                resumed = have > 0 and reply.status == 206
                have = have if resumed else 0
                total = have + int(reply.headers.get("Content-Length") or 0) or file.size
                with part.open("ab" if resumed else "wb") as out:
                    self._tell(file.name, have, total)
                    while chunk := reply.read(1 << 16):
                        out.write(chunk)
                        have += len(chunk)
                        self._tell(file.name, have, total)
            if total is not None and have < total:
                raise http.client.IncompleteRead(b"", total - have)
            part.replace(target)
            return resumed
        except urllib.error.HTTPError:
            part.unlink(missing_ok=True)
            raise
        finally:
            with suppress(OSError):
                self._partial.rmdir()

    def unreachable(self) -> dict[str, str]:
        """Hosts that did not answer in the last ten minutes, with the reason."""
        with suppress(OSError, ValueError, AttributeError):
            return {host: reason for host in json.loads(self._hosts.read_text(encoding="utf-8"))
                    if (reason := self._silent_lately(host))}  # fmt: skip
        return {}

    def _silent_lately(self, host: str) -> str | None:
        if self.insists:
            return None
        with suppress(OSError, ValueError, KeyError, TypeError):
            asked, reason = json.loads(self._hosts.read_text(encoding="utf-8"))[host]
            if 0 <= time.time() - float(asked) < SILENT_S:
                return str(reason)
        return None

    def _remember(self) -> None:
        """Only a saving of time: a folder that cannot be written is no fault here."""
        entries = {host: [time.time(), reason] for host, reason in self._silent.items()}
        with suppress(OSError):
            part = self._hosts.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(entries), encoding="utf-8")
            part.replace(self._hosts)

    def _tell(self, what: str, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(what, done, total)
