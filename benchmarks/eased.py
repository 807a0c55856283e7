"""What each step of the governor costs in accuracy and saves in CPU: the clips with truth, live sampling, one level after the other.

    python -m benchmarks.eased [--match NAME] [--corpus DIR] [--json]

Level 0 gives up nothing; each further one takes the next step too. Idle mode plays no part here, so `eager_idle` is left out. CPU is
that of the looks (motion gate, detectors, decision), not of decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.common import parser, prepared, progress, report
from benchmarks.live_accuracy import Score, clips, judge, run_session
from streamproc.config.processor import LABEL_CLASSES, LabelSettings
from streamproc.core.media import Frame
from streamproc.logic.load_shedding import QualityLevel, Step
from streamproc.perception.label_models import LabelModels, load_models, load_small_models
from streamproc.pipeline.label_analysis import LabelAnalysis
from streamproc.vision.zoo import ModelZoo, open_zoo

LEVELS: tuple[tuple[Step, ...], ...] = (
    (),
    (Step.SECOND_LOOK,),
    (Step.SECOND_LOOK, Step.HALF_RATE),
    (Step.SECOND_LOOK, Step.HALF_RATE, Step.QUARTER_RATE),
    (Step.SECOND_LOOK, Step.HALF_RATE, Step.QUARTER_RATE, Step.SMALL_MODEL),
    (Step.SMALL_MODEL,),
)
"""The last shows what the small model costs by itself."""


def level(steps: Sequence[Step], zoo: ModelZoo, models: LabelModels, corpus: Any, match: str) -> dict[str, Any]:
    """All clips with these steps taken."""
    small = load_small_models(zoo, LABEL_CLASSES)

    def ease(analysis: LabelAnalysis) -> None:
        eased = QualityLevel.by(steps)
        analysis.ease(eased)
        if eased.small_model and small is not None:
            analysis.perceiver.use(small)

    total, looks, cpu, seconds = Score(), 0, 0.0, 0.0
    for name, frames, truth in clips(corpus):
        if match not in name:
            continue
        last: list[Frame] = []

        def watched(frames: Any = frames, last: list[Frame] = last) -> Any:
            for frame in frames:
                last[:] = [frame]
                yield frame

        run = run_session(watched(), models, truth.visits(), ease)
        score = judge(run.told, truth)
        for label, hits in score.found.items():
            total.found[label] += hits
        total.latencies += score.latencies
        total.false += score.false
        looks, cpu, seconds = looks + run.looks, cpu + run.cpu, seconds + last[0].at.seconds
    row: dict[str, Any] = {"steps": " ".join(steps) or "none"}
    for label in LABEL_CLASSES:
        hits = total.found.get(label, [])
        row[label] = f"{sum(hits)} of {len(hits)}"
    return row | {
        "false": len(total.false),
        "latency_s": round(median(total.latencies), 2) if total.latencies else None,
        "looks_per_s": round(looks / seconds, 2),
        "cpu_ms_a_camera_s": round(1000 * cpu / seconds, 1),
    }


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--match", default="", help="only clips whose name contains this")
    options = prepared(made.parse_args())
    zoo = open_zoo(workers=1)
    models = load_models(zoo, LABEL_CLASSES, LabelSettings().profile)
    rows = []
    for steps in LEVELS:
        rows.append(level(steps, zoo, models, options.corpus, options.match))
        progress(rows[-1])
    figures = {
        f"cpu_share_level_{number}": round(row["cpu_ms_a_camera_s"] / rows[0]["cpu_ms_a_camera_s"], 3)
        for number, row in enumerate(rows[:-1])
    }
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
