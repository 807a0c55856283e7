"""Resident memory over a long stored video, made by looping a clip's packets: does it stay where it was?

``growth_mb`` is what the process gained from a tenth of the way to the end of the reading; ``conclude_mb`` what deciding over the whole
video and writing the results took on top.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import parser, prepared, progress, report
from benchmarks.job_runs import KINDS, looped, run
from streamproc.config.node import NodeConfig
from streamproc.jobs.job_run import Advance
from streamproc.jobs.model import JobKind
from streamproc.perception.provider import ModelProvider


def resident_mb() -> tuple[float, float]:
    """Now, and the most so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: float(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return found["VmRSS"], found["VmHWM"]


def memory(
    folder: Path, clip: Path, minutes: float, kinds: Sequence[JobKind], provider: ModelProvider
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures, and resident memory at twenty places of the video."""
    video = looped(clip, folder / "long.mkv", minutes)
    seen: list[tuple[float, float]] = []
    told = 0.0

    def tell(advance: Advance) -> None:
        nonlocal told
        seen.append((advance.seconds, resident_mb()[0]))
        if advance.seconds >= told:
            progress(f"minute {advance.seconds / 60:.1f}: {seen[-1][1]:.0f} MB")
            told += minutes * 60 / 20

    took = run(folder, video, kinds, provider, tell)
    read = seen[:-1]  # the last one is told when all is concluded
    early = next(size for at, size in read if at >= minutes * 6)
    figures = {
        "minutes": minutes,
        "analyses": ",".join(kinds),
        "speed": round(minutes * 60 / took.wall, 2),
        "early_mb": round(early, 1),
        "end_mb": round(read[-1][1], 1),
        "growth_mb": round(read[-1][1] - early, 1),
        "most_while_reading_mb": round(max(size for _, size in read), 1),
        "conclude_mb": round(resident_mb()[1] - max(size for _, size in read), 1),
        "peak_mb": round(resident_mb()[1], 1),
    }
    marks = [next(each for each in read if each[0] >= min(read[-1][0], minutes * 3 * step)) for step in range(21)]
    return figures, [{"minute": round(at / 60, 1), "resident_mb": round(size, 1)} for at, size in marks]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--clip", default="video/whitehouse_hamilton.mp4", help="within the corpus")
    arguments.add_argument("--minutes", type=float, default=60.0, help="length of the looped video")
    arguments.add_argument("--analyses", default=",".join(KINDS), help="of segments, labels, persons, faces")
    options = prepared(arguments.parse_args())
    kinds = [JobKind(name) for name in options.analyses.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        figures, rows = memory(
            folder,
            options.corpus / options.clip,
            options.minutes,
            kinds,
            ModelProvider(NodeConfig(), folder, workers=2),
        )
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
