"""``doctor``: whether this machine has what streamproc needs, and the fix where it has not."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from streamproc.cli.output import FAILED, put, put_json
from streamproc.cli.places import default_data_dir

MIN_FREE_BYTES = 2 * 1024**3
DECODERS = ("h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "mpeg4")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "warn", "bad"]
    found: str
    mend: str = ""


def doctor(
    data_dir: Annotated[Path | None, typer.Option(help="Where state is to live.")] = None,
    listen: Annotated[str, typer.Option(help="Where the daemon is to listen.")] = "127.0.0.1:4566",
    as_json: Annotated[bool, typer.Option("--json", help="An array of findings.")] = False,
) -> None:
    """Look at this machine. Exit code 1 where something needs fixing."""
    findings: list[Finding] = []
    for look in (python, cores, decoders, devices, models, lambda: disk(data_dir or default_data_dir()), clock):
        findings += _tried(look)
    findings += _tried(lambda: port(listen))
    if as_json:
        put_json([asdict(finding) for finding in findings])
    else:
        signs = {"ok": "✓", "warn": "!", "bad": "✗"}
        for item in findings:
            put(f"{signs[item.state]} {item.what:14} {item.found}" + (f" — {item.mend}" if item.mend else ""))
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(FAILED)


def _tried(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """A look that itself breaks is a finding too."""
    try:
        return list(look())
    except Exception as error:  # noqa: BLE001  the doctor's purpose is to say what is broken, whatever it is
        return [Finding(getattr(look, "__name__", "check"), "bad", f"{type(error).__name__}: {error}")]


def python() -> Iterator[Finding]:
    version = platform.python_version()
    fine = sys.version_info >= (3, 11)
    yield Finding("python", "ok" if fine else "bad", version, "" if fine else "use Python 3.11 or newer")


def cores() -> Iterator[Finding]:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    yield Finding("cores", "ok" if count > 1 else "warn", str(count), "" if count > 1 else "two or more are advised")


def decoders() -> Iterator[Finding]:
    import av

    missing = [name for name in DECODERS if name not in av.codecs_available]
    found = f"PyAV {av.__version__}, FFmpeg decodes {', '.join(name for name in DECODERS if name not in missing)}"
    yield Finding("video", "warn" if missing else "ok", found, f"cannot decode {', '.join(missing)}" if missing else "")


def devices() -> Iterator[Finding]:
    import openvino

    core = openvino.Core()
    found = core.available_devices
    yield Finding("openvino", "ok" if found else "bad", f"{openvino.__version__.split('-')[0]} on {', '.join(found)}")


def models() -> Iterator[Finding]:
    from streamproc.cli.pulling import stand_ins
    from streamproc.vision.profiles import choices_of, profile
    from streamproc.vision.store import ModelStore

    store = ModelStore()
    chosen = profile("default")
    needed = choices_of(chosen)
    here = sum(any(map(store.present, group)) for group in needed)
    silent = [f"{host} {reason}" for host, reason in store.unreachable().items()]
    if not all(any(map(store.present, group)) for group in (chosen.person, chosen.verifier)):
        yield Finding("models", "bad", f"{here} of {len(needed)}", "run `streamproc models pull`")
    elif instead := stand_ins(needed, store.present):
        why = f" ({'; '.join(silent)})" if silent else ""
        mend = "`streamproc models pull` tries again; or name a folder of model files as models.mirror"
        yield Finding("models", "warn", instead + why, mend)
    else:
        yield Finding("models", "ok", f"{len(needed)} of {len(needed)}")


def disk(folder: Path) -> Iterator[Finding]:
    place = folder
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        yield Finding("data folder", "bad", str(folder), "cannot be written; give another --data-dir")
        return
    free = shutil.disk_usage(place).free
    state: Literal["ok", "warn"] = "ok" if free >= MIN_FREE_BYTES else "warn"
    yield Finding(
        "data folder", state, f"{folder}, {free / 1024**3:.1f} GB free", "" if state == "ok" else "free some space"
    )


def clock() -> Iterator[Finding]:
    synchronised = Path("/run/systemd/timesync/synchronized").exists() or Path("/run/chrony").exists()
    year = time.gmtime().tm_year
    if year < 2025:
        yield Finding("clock", "bad", f"the year is {year}", "set the clock: events carry its time")
    else:
        mend = "" if synchronised else "no time service was seen; AWS clients refuse a clock that is 15 minutes off"
        yield Finding(
            "clock", "ok" if synchronised else "warn", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), mend
        )


def port(listen: str) -> Iterator[Finding]:
    host, _, number = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            probe.bind((host.strip("[]"), int(number)))
            yield Finding("port", "ok", f"{listen} is free")
            return
    yield Finding("port", "warn", f"{listen} is taken", "a daemon that runs already, or choose another --listen")
