"""Video seconds a wall second: each analysis alone, all of them in one decode, and decode alone, on the same clip in the same run.

With ``--minutes`` the clip is then looped to so long a video, of which segments are searched; see ``benchmarks.jobs_memory``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.common import Stopwatch, parser, prepared, progress, report
from benchmarks.job_runs import KINDS, run
from benchmarks.jobs_memory import memory
from streamproc.config.node import NodeConfig
from streamproc.jobs.model import JobKind
from streamproc.jobs.video import StoredVideo, VideoFrame
from streamproc.perception.provider import ModelProvider


def decode(video: Path) -> Stopwatch:
    """Every frame decoded, none converted."""
    with Stopwatch() as took:
        opened = StoredVideo(str(video), video.name)
        for item in opened.items():
            assert isinstance(item, VideoFrame)
        opened.close()
    return took


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clip", default="video/kvs_bezos_vogels.mkv", help="within the corpus")
    arguments.add_argument("--minutes", type=float, default=0.0, help="also watch the memory over so long a video")
    options = prepared(arguments.parse_args())
    clip: Path = options.corpus / options.clip
    figures: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        provider = ModelProvider(NodeConfig(), folder, workers=2)
        opened = StoredVideo(str(clip), clip.name)
        frames = [item for item in opened.items() if isinstance(item, VideoFrame)][-1]
        seconds = float(frames.at)
        opened.close()
        # Models are compiled when they are first asked for: not part of the speed.
        run(folder, clip, KINDS, provider)
        cases: list[tuple[str, tuple[JobKind, ...]]] = [(str(kind), (kind,)) for kind in KINDS]
        for name, kinds in [("decode", ()), *cases, ("all", KINDS)]:
            progress(name)
            took = run(folder, clip, kinds, provider) if kinds else decode(clip)
            figures[f"{name}_speed"] = round(seconds / took.wall, 2)
            rows.append({"what": name, "speed": seconds / took.wall, "wall_s": took.wall, "cpu_s": took.cpu})
        alone = sum(row["cpu_s"] for row in rows if row["what"] in {str(kind) for kind in KINDS})
        figures["all_cpu_over_sum"] = round(next(row["cpu_s"] for row in rows if row["what"] == "all") / alone, 3)
        if options.minutes:
            found, _ = memory(folder, clip, options.minutes, [JobKind.SEGMENTS], provider)
            figures |= {f"long_{name}": value for name, value in found.items()}
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
