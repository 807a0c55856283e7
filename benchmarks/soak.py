"""A soak: the daemon with cameras that are busier than real ones and fail and come back, for as long as is asked.

    python -m benchmarks.soak [--minutes 60] [--every 60] [--corpus DIR] [--json]

``streamproc serve`` runs on a folder of processors: files played as cameras with a visit every eight seconds or in a quiet room, RTSP
cameras (where GStreamer's server can be had) whose server is killed and started again, a camera whose file is taken away and put back,
one whose document is edited, one that is deleted and made anew, and a session that is started over and over. Outputs are files, pictures
too. Every ``--every`` seconds a row of the daemon's memory, threads and open files, and of what it has done; ``..._slope_mb_per_hour``
is a least-squares line through the second half; anonymous memory is what no other process shares (libraries count by how many processes use them).
"""

from __future__ import annotations

import itertools
import os
import statistics
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.camera_clips import SCENES, Maker
from benchmarks.camera_figures import slope
from benchmarks.cameras import counts, tree_cpu, tree_memory
from benchmarks.common import clean_up_when_terminated, parser, prepared, progress, report
from tests.daemon import Daemon, wait_for
from tests.servers.common import Unavailable
from tests.servers.rtsp import RtspServer, lengthen

SIZE = (960, 540)
"""Of its cameras: small, so that a core plays many of their hours."""
SAMPLE_S = 2.0
STEP_S = 7.0
"""Between two disturbances."""
LABELS = "labels: {classes: [PERSON], fps: 2, second_look: false}"
CONTINUOUS = "session: {mode: continuous, gone_after: 1s}"
OUTPUT = "outputs: [{type: file, directory: out}]"


@dataclass(frozen=True)
class Sample:
    """The daemon at one instant."""

    at: float
    memory_mb: float
    anonymous_mb: float
    threads: int
    files: int


def processor(source: str, session: str = CONTINUOUS, extra: str = "") -> str:
    return f"source: {source}\n{session}\n{LABELS}\n{OUTPUT}\n{extra}"


def file_source(path: Path) -> str:
    return f"{{type: file, path: {path}, realtime: true, loop: true}}"


class Soak:
    """The daemon, its cameras and what is done to them in turn."""

    def __init__(self, folder: Path, maker: Maker, stack: ExitStack) -> None:
        self.daemon = Daemon(folder)
        self._folder = folder
        self._busy = [camera.path for camera in maker.busy()]
        self._quiet = maker.camera(SCENES[0], "quality", "ssssvss").path
        self._linked = folder / "camera.mp4"
        self._turn = itertools.count()
        self.server: RtspServer | None = self._rtsp(stack)
        self.outages = self.refused = 0

    def _rtsp(self, stack: ExitStack) -> RtspServer | None:
        folder = self._folder / "rtsp"
        folder.mkdir()
        try:
            long = lengthen(self._busy[0], folder / "long.mp4", 600)
            server = RtspServer(folder, {"/one": long, "/two": long}).start()
        except Unavailable as error:
            progress(f"no RTSP cameras: {error}")
            return None
        stack.callback(server.stop)
        return server

    def begin(self) -> None:
        """Write the processors, start the daemon, and wait until they run."""
        self._linked.symlink_to(self._busy[1])
        self.daemon.put("door", processor(file_source(self._busy[0])))
        self.daemon.put("yard", processor(file_source(self._quiet)))
        self.daemon.put("moved", processor(file_source(self._linked)))
        self.daemon.put("guest", processor(file_source(self._busy[2]), "session: {duration: 6s}"))
        if self.server is not None:
            for name in ("one", "two"):
                self.daemon.put(name, processor(f"{{type: rtsp, url: '{self.server.url('/' + name)}'}}"))
        self.daemon.start()
        self.daemon.until("door", "running")

    def disturb(self) -> str:
        """The next disturbance; what was done."""
        acts: list[Callable[[], str]] = [
            self._edit,
            self._guest,
            self._outage,
            self._remake,
            self._take_away,
            self._guest,
        ]
        return acts[next(self._turn) % len(acts)]()

    def _edit(self) -> str:
        self.daemon.put("door", processor(file_source(self._busy[0]), extra=f"tags: {{at: '{time.time():.0f}'}}"))
        return "edited a camera"

    def _guest(self) -> str:
        self._start("guest")
        return "started a session"

    def _outage(self) -> str:
        if self.server is None:
            return "no RTSP server to kill"
        self.server.stop()
        time.sleep(3)
        self.server.start()
        self.outages += 1
        return "killed the RTSP server and started it again"

    def _remake(self) -> str:
        path = self.daemon.config / "processors" / "yard.yaml"
        path.unlink(missing_ok=True)
        self.daemon.until("yard", None)
        self.daemon.put("yard", processor(file_source(self._quiet)))
        return "deleted a camera and made it anew"

    def _take_away(self) -> str:
        """Its file vanishes; when it begins again it fails; then the file is back and it is started."""
        self._linked.unlink()
        self.daemon.put("moved", processor(file_source(self._linked), extra="state: stopped"))
        self.daemon.until("moved", "stopped", "failed")
        self.daemon.put("moved", processor(file_source(self._linked)))
        self.daemon.until("moved", "failed")
        self._linked.symlink_to(self._busy[1])
        self.daemon.put("moved", processor(file_source(self._linked), extra=f"tags: {{at: '{time.time():.0f}'}}"))
        self._start("moved")
        return "took a camera's file away and put it back"

    def _start(self, name: str) -> None:
        """It may run still (409), or the machine be so busy that its storage is waited for (503)."""
        request = urllib.request.Request(f"{self.daemon.url}/api/processors/{name}/start", data=b"{}", method="POST")
        request.add_header("Content-Type", "application/json")
        try:
            urllib.request.urlopen(request, timeout=10).close()
        except urllib.error.HTTPError as error:
            self.refused += error.code == 503
            if error.code not in (409, 503):
                raise

    @property
    def pid(self) -> int:
        process = self.daemon._process
        assert process is not None
        return process.pid

    def sample(self) -> Sample:
        return Sample(time.monotonic(), tree_memory(self.pid), tree_memory(self.pid, "Pss_Anon"), *counts(self.pid))

    def _metrics(self) -> str:
        with suppress(TimeoutError):  # whatever else runs here may starve it for a while
            return str(self.daemon.get("/metrics"))
        return ""

    def done(self) -> dict[str, float]:
        """Sums of the daemon's counters."""
        wanted = ("streamproc_events_total", "streamproc_source_gaps_total", "streamproc_frames_analysed_total")
        found = dict.fromkeys(wanted, 0.0)
        metrics = wait_for(self._metrics, 120, "an answer of the daemon")
        for line in metrics.splitlines():
            name = line.partition("{")[0]
            if name in found:
                found[name] += float(line.rpartition(" ")[2])
        return {name.removeprefix("streamproc_").removesuffix("_total"): value for name, value in found.items()}


def rows_of(soak: Soak, minutes: float, every_s: float) -> Iterator[tuple[dict[str, Any], list[Sample]]]:
    """A row and the samples it rests on, every so many seconds."""
    begun = time.monotonic()
    disturbed, samples, cpu = begun, [], tree_cpu(soak.pid)
    row_at = begun + every_s
    while time.monotonic() < begun + minutes * 60:
        if time.monotonic() - disturbed >= STEP_S:
            disturbed = time.monotonic()
            progress(f"{disturbed - begun:7.0f} s  {soak.disturb()}")
        samples.append(soak.sample())
        if time.monotonic() >= row_at:
            now = tree_cpu(soak.pid)
            yield row(samples, begun, (now - cpu) / every_s) | soak.done(), samples
            samples, cpu, row_at = [], now, row_at + every_s
        time.sleep(SAMPLE_S)


def row(samples: list[Sample], begun: float, cpu: float) -> dict[str, Any]:
    return {
        "minute": round((samples[-1].at - begun) / 60, 1),
        "memory_mb": round(statistics.median(each.memory_mb for each in samples), 1),
        "anonymous_mb": round(statistics.median(each.anonymous_mb for each in samples), 1),
        "threads": statistics.median_low(each.threads for each in samples),
        "most_threads": max(each.threads for each in samples),
        "files": statistics.median_low(each.files for each in samples),
        "most_files": max(each.files for each in samples),
        "cpu_cores": round(cpu, 2),
    }


def figures_of(rows: list[dict[str, Any]], samples: list[Sample]) -> dict[str, Any]:
    """Growth over the second half: by then caches are filled."""
    late = samples[len(samples) // 2 :]
    half = rows[len(rows) // 2 :]
    return {
        "minutes": rows[-1]["minute"],
        "memory_first_mb": rows[0]["memory_mb"],
        "memory_last_mb": rows[-1]["memory_mb"],
        "memory_slope_mb_per_hour": round(3600 * slope([(each.at, each.memory_mb) for each in late]), 1),
        "anonymous_first_mb": rows[0]["anonymous_mb"],
        "anonymous_last_mb": rows[-1]["anonymous_mb"],
        "anonymous_slope_mb_per_hour": round(3600 * slope([(each.at, each.anonymous_mb) for each in late]), 1),
        "threads_least": min(each["threads"] for each in half),
        "threads_most": max(each["threads"] for each in half),
        "files_least": min(each["files"] for each in half),
        "files_most": max(each["files"] for each in half),
        "events": rows[-1]["events"],
        "gaps": rows[-1]["source_gaps"],
    }


def main() -> None:
    clean_up_when_terminated()
    made = parser(__doc__)
    made.add_argument("--minutes", type=float, default=60.0)
    made.add_argument("--every", type=float, default=60.0, help="seconds between rows")
    options = prepared(made.parse_args())
    os.environ.setdefault("STREAMPROC_LOG_LEVEL", "warning")
    rows: list[dict[str, Any]] = []
    samples: list[Sample] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        soak = Soak(folder, Maker(options.corpus, size=SIZE), stack)
        soak.begin()
        stack.callback(soak.daemon.close)
        for found, some in rows_of(soak, options.minutes, options.every):
            rows.append(found)
            samples += some
            progress("  ".join(f"{name} {value}" for name, value in found.items()))
        figures = figures_of(rows, samples) | {"outages": soak.outages, "refused": soak.refused}
        figures |= {"exit_code": soak.daemon.terminate()}
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
