"""Video seconds a wall second: each analysis alone, all of them in one decode, and decode alone, on the same clip in the same run.

Then a long video (the clip looped, ``--minutes``, 60 for the hour) is searched for segments and the resident memory is watched:
``memory_growth_mb`` is what it gained between a third of the way and the end.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import av

from benchmarks.common import Stopwatch, parser, prepared, progress, report
from streamproc.config.box import BoxConfig
from streamproc.jobs.build import Analyses, open_jobs
from streamproc.jobs.model import JobKind, JobRequest, VideoRef
from streamproc.jobs.run import Advance
from streamproc.jobs.video import StoredVideo, VideoFrame
from streamproc.store.database import Database

KINDS = (JobKind.SEGMENTS, JobKind.LABELS, JobKind.PERSONS, JobKind.FACES)


def run(folder: Path, video: Path, kinds: tuple[JobKind, ...], analyses: Analyses, tell: Any = None) -> Stopwatch:
    """One run of these kinds over one decode."""
    service = open_jobs(Database(folder), BoxConfig(), folder, analyses=analyses)
    name = f"{time.monotonic_ns()}"
    jobs = [service.start(JobRequest(kind, VideoRef(str(video))), owner="benchmark", run=name) for kind in kinds]
    with Stopwatch() as took:
        service.run(jobs, stop=lambda: False, tell=tell or (lambda advance: None))
    failed = [service.show(job.id).message for job in jobs if service.show(job.id).state != "succeeded"]
    if failed:
        raise SystemExit(f"a job failed: {failed[0]}")
    return took


def decode(video: Path) -> Stopwatch:
    """Every frame decoded, none converted."""
    with Stopwatch() as took:
        opened = StoredVideo(str(video), video.name)
        for item in opened.items():
            assert isinstance(item, VideoFrame)
        opened.close()
    return took


def looped(clip: Path, path: Path, minutes: float) -> Path:
    """The clip's packets again and again, without encoding anew."""
    with av.open(str(path), "w") as target:
        stream, offset = None, 0
        while stream is None or offset * stream.time_base < minutes * 60:
            with av.open(str(clip)) as source:
                video = source.streams.video[0]
                if stream is None:
                    stream = target.add_stream_from_template(video)
                    stream.time_base = video.time_base
                last = 0
                for packet in source.demux(video):
                    if packet.dts is None:
                        continue
                    last = max(last, packet.pts + (packet.duration or 1))
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = stream
                    target.mux(packet)
                offset += last
    return path


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clip", default="video/kvs_bezos_vogels.mkv", help="within the corpus")
    arguments.add_argument("--minutes", type=float, default=5.0, help="length of the looped video; 60 for the hour")
    options = prepared(arguments.parse_args())
    clip: Path = options.corpus / options.clip
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        analyses = Analyses(BoxConfig(), folder)
        opened = StoredVideo(str(clip), clip.name)
        frames = [item for item in opened.items() if isinstance(item, VideoFrame)][-1]
        seconds = float(frames.at)
        opened.close()
        # Models are compiled when they are first asked for: not part of the speed.
        run(folder, clip, KINDS, analyses)
        cases: list[tuple[str, tuple[JobKind, ...]]] = [(str(kind), (kind,)) for kind in KINDS]
        for name, kinds in [("decode", ()), *cases, ("all", KINDS)]:
            progress(name)
            took = run(folder, clip, kinds, analyses) if kinds else decode(clip)
            figures[f"{name}_speed"] = round(seconds / took.wall, 2)
            rows.append({"what": name, "speed": seconds / took.wall, "wall_s": took.wall, "cpu_s": took.cpu})
        alone = sum(row["cpu_s"] for row in rows if row["what"] in {str(kind) for kind in KINDS})
        figures["all_cpu_over_sum"] = round(next(row["cpu_s"] for row in rows if row["what"] == "all") / alone, 3)
        figures |= memory(folder, clip, options.minutes, analyses)
    report(options, figures=figures, rows=rows)


def memory(folder: Path, clip: Path, minutes: float, analyses: Analyses) -> dict[str, Any]:
    """How resident memory goes over a long video."""
    progress(f"{minutes:g} minutes")
    video = looped(clip, folder / "long.mkv", minutes)
    seen: list[tuple[float, float]] = []

    def tell(advance: Advance) -> None:
        seen.append((advance.seconds, resident_mb()))

    took = run(folder, video, (JobKind.SEGMENTS,), analyses, tell)
    early = next(size for at, size in seen if at >= minutes * 60 / 3)
    return {
        "long_minutes": minutes,
        "long_speed": round(minutes * 60 / took.wall, 2),
        "memory_peak_mb": round(max(size for _, size in seen), 1),
        "memory_growth_mb": round(seen[-2][1] - early, 1),
    }


if __name__ == "__main__":
    main()
