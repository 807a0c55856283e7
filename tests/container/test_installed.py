"""What the image does, done for real: a bare Debian root, docker/install.sh, the daemon as its own user on a read-only tree."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.vision.store import default_cache
from tests.conftest import skip
from tests.servers.common import Unavailable, alone_in, cache_dir, free_port, run_checked

PROJECT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
HOST_CA = "/etc/host-ca.crt"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def _bootstrap(kept: Path) -> None:
    work = cache_dir() / f"debian-{SUITE}.part"
    shutil.rmtree(work, ignore_errors=True)
    run_checked(["debootstrap", "--variant=minbase", SUITE, str(work)])
    run_checked(["tar", "-C", str(work), "-cf", f"{kept}.part", "."])
    Path(f"{kept}.part").rename(kept)
    shutil.rmtree(work)


def _bare_debian(root: Path) -> None:
    """A minimal Debian root; the bootstrapped one is kept in the cache."""
    if os.geteuid() != 0:
        raise Unavailable("a Debian root can only be made by root")
    if not shutil.which("debootstrap"):
        raise Unavailable("debootstrap is not installed")
    kept = cache_dir() / f"debian-{SUITE}.tar"
    with alone_in(kept):
        if not kept.exists():
            _bootstrap(kept)
    root.mkdir()
    run_checked(["tar", "-C", str(root), "-xf", str(kept)])


def _lend_network_settings(root: Path) -> None:
    """This machine's way to its package mirrors; on a user's box none of this is needed."""
    for folder in ("etc/apt/apt.conf.d",):
        for file in Path("/", folder).glob("*proxy*"):
            shutil.copy(file, root / folder / file.name)
        for file in Path("/", folder).glob("99*"):
            shutil.copy(file, root / folder / file.name)
    for name in ("etc/resolv.conf", "etc/hosts"):
        if Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copy(bundle, root / HOST_CA.lstrip("/"))
    if Path("/etc/pip.conf").exists():
        settings = Path("/etc/pip.conf").read_text().replace(str(bundle), HOST_CA)
        (root / "etc/pip.conf").write_text(settings)


def _environment() -> dict[str, str]:
    lent = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key.startswith("PIP_")}
    lent |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), HOST_CA)
    return {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", **lent}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A Debian root with the checkout in /src and streamproc installed by docker/install.sh."""
    folder = tmp_path_factory.mktemp("debian") / "root"
    try:
        _bare_debian(folder)
    except Unavailable as error:
        skip(str(error))
    _lend_network_settings(folder)
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=PROJECT, capture_output=True, check=True
    )
    (folder / "src").mkdir()
    pack = subprocess.run(
        ["tar", "-cf", "-", "-T", "-"], input=files.stdout, cwd=PROJECT, capture_output=True, check=True
    )
    subprocess.run(["tar", "-xf", "-", "-C", str(folder / "src")], input=pack.stdout, check=True)
    done = subprocess.run(
        ["chroot", str(folder), "bash", "/src/docker/install.sh"],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_what_the_installer_leaves(root: Path) -> None:
    assert (root / "opt/streamproc/bin/streamproc").exists()
    assert (root / "usr/local/bin/streamproc").is_symlink()
    entry = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("streamproc:"))
    assert "/var/lib/streamproc" in entry
    assert entry.endswith("nologin")
    version = subprocess.run(
        ["chroot", "--userspec=streamproc", str(root), "streamproc", "--version"],
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert version.returncode == 0, version.stderr


_START = """
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --bind "$ROOT/var/lib/streamproc" "$ROOT/var/lib/streamproc"
mount --bind "$MODELS" "$ROOT/opt/streamproc/models"
mount -o remount,ro,bind "$ROOT"
mount -t tmpfs tmpfs "$ROOT/tmp"
mount -t tmpfs tmpfs "$ROOT/run"
mount -t proc proc "$ROOT/proc"
exec chroot --userspec=streamproc:streamproc "$ROOT" env -i PATH=/usr/bin:/bin HOME=/var/lib/streamproc \
  XDG_CACHE_HOME=/var/lib/streamproc/cache STREAMPROC_MODELS=/opt/streamproc/models \
  /opt/streamproc/bin/streamproc serve --config-dir /etc/streamproc --listen "127.0.0.1:$PORT" \
  --data-dir /var/lib/streamproc/data
"""


def _install_clip(root: Path, scene: Path) -> None:
    (root / "opt/streamproc/models").mkdir(exist_ok=True)
    shutil.copy(scene, root / "srv/clip.mp4")
    out = root / "var/lib/streamproc/out"
    out.mkdir(exist_ok=True)
    shutil.chown(out, *_owner(root))
    (root / "etc/streamproc/processors/door.yaml").write_text(
        "source: {type: file, path: /srv/clip.mp4}\n"
        "session: {duration: 60s}\n"
        "labels: {classes: [PERSON, PET], profile: small}\n"
        "outputs: [{type: file, directory: /var/lib/streamproc/out}]\n"
    )


def _owner(root: Path) -> tuple[int, int]:
    entry = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("streamproc:"))
    return int(entry.split(":")[2]), int(entry.split(":")[3])


def _wait_for(path: Path, words: str, process: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()[-3000:]
        if path.exists() and words in (text := path.read_text()):
            return text
        time.sleep(0.5)
    raise AssertionError(f"{words} never came: {log.read_text()[-3000:]}")


def test_the_installed_daemon_tells_what_it_sees(root: Path, scene: Path, tmp_path: Path) -> None:
    """As the unprivileged user, everything read-only but its home, /tmp and /run; with models that only others may write."""
    _install_clip(root, scene)
    port, log = free_port(), tmp_path / "daemon.log"
    with log.open("wb") as sink:
        daemon = subprocess.Popen(
            ["unshare", "--mount", "bash", "-c", _START],
            env={**os.environ, "ROOT": str(root), "PORT": str(port), "MODELS": str(default_cache())},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        text = _wait_for(root / "var/lib/streamproc/out/door.jsonl", "session_complete", daemon, log)
        health = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
        assert health.status == 200
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(60)
    assert code == 0, log.read_text()[-3000:]
    told = [json.loads(line) for line in text.splitlines()]
    assert {event["class"] for event in told if event["type"] == "label_detected"} == {"PERSON", "PET"}
    written = [path for path in (root / "etc").rglob("*") if path.is_file() and path.stat().st_uid == _owner(root)[0]]
    assert not written
