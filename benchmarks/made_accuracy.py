"""Whether live sessions announce what clips of new kinds show (``made_clips``), by kind and by half.

``chosen_`` figures are of the photographs that something may be chosen by, ``held_`` of those kept out of it. Each class that a clip shows is asked
for once, from the first picture to the last; everything else that is told is false.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median
from typing import Any

from benchmarks.common import parser, prepared, progress, report
from benchmarks.live_accuracy import Score, Truth, judge, run_session
from benchmarks.made_clips import KINDS, SECONDS, MadeClip, Studio
from streamproc.config.processor import LABEL_CLASSES
from streamproc.perception.label_models import LabelModels, load_models
from streamproc.vision.zoo import open_zoo


def measure(
    clips: list[MadeClip], models: LabelModels, classes: Sequence[str] = LABEL_CLASSES
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Figures by kind and half, and a row for each clip where something went wrong."""
    totals: dict[str, Score] = defaultdict(Score)
    looks, cpu = 0, 0.0
    rows: list[dict[str, Any]] = []
    for clip in clips:
        run = run_session(clip.frames(), models, visits=False, classes=classes)
        looks, cpu = looks + run.looks, cpu + run.cpu
        score = judge(run.told, Truth({label: [(0.0, SECONDS)] for label in clip.labels if label in classes}))
        total = totals[f"{'held' if clip.held_out else 'chosen'}_{clip.kind}"]
        for label, hits in score.found.items():
            total.found[label] += hits
        total.latencies += score.latencies
        total.false += score.false
        missed = " ".join(label for label, hits in score.found.items() if not all(hits))
        if missed or score.false:
            told = " ".join(f"{label}@{at:.1f}s({confidence:.0f})" for label, at, confidence in run.told)
            half = "held" if clip.held_out else "chosen"
            rows.append(
                {"clip": clip.name, "half": half, "missed": missed, "false": " ".join(score.false), "told": told or "-"}
            )
            progress(rows[-1])
    figures = _figures(totals)
    figures["cpu_ms_a_look"] = round(1000 * cpu / max(1, looks), 1)
    return figures, rows


def _figures(totals: dict[str, Score]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, score in sorted(totals.items()):
        for label in LABEL_CLASSES:
            if hits := score.found.get(label):
                figures[f"{name}_recall_{label}"] = round(sum(hits) / len(hits), 3)
                figures[f"{name}_asked_{label}"] = len(hits)
        figures[f"{name}_false"] = len(score.false)
        figures[f"{name}_latency_median_s"] = round(median(score.latencies), 2) if score.latencies else None
    return figures


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--kind", action="append", choices=KINDS, help="only clips of this kind; several: all of them")
    made.add_argument("--half", choices=["chosen", "held"], help="only clips of these photographs")
    made.add_argument("--profile", default="default", help="models of this profile")
    made.add_argument(
        "--class", action="append", choices=LABEL_CLASSES, dest="classes", help="ask for this class alone"
    )
    options = prepared(made.parse_args())
    classes = options.classes or LABEL_CLASSES
    clips = [
        clip
        for clip in Studio(options.corpus).clips()
        if clip.kind in (options.kind or KINDS) and options.half in (None, "held" if clip.held_out else "chosen")
    ]
    figures, rows = measure(clips, load_models(open_zoo(workers=1), classes, options.profile), classes)
    report(options, figures=figures, rows=rows)


if __name__ == "__main__":
    main()
