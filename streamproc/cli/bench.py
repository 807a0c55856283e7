"""``bench``: what each stage of the pipeline costs on this node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.measuring import measuring, wanted
from streamproc.cli.output import errors_said, put, put_json, say, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.config.processor import LABEL_CLASSES

if TYPE_CHECKING:
    from streamproc.measure.stage_costs import Stage


def bench(
    clip: Annotated[
        str | None, typer.Option(help="A recording of your camera, or rtsp://...; a made scene where left out.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A processor's file; its models are measured.")] = None,
    classes: Annotated[str, typer.Option(help="Classes to look for, by comma.")] = ",".join(LABEL_CLASSES),
    data_dir: Annotated[Path | None, typer.Option(help="Where state lives: that disk is measured.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON.")] = False,
) -> None:
    """Measure every stage on this node, one after the other in one thread: milliseconds, and how many a core does a second."""
    set_up_logs(as_json, "error")
    with errors_said():
        from streamproc.measure import stage_costs as stages
        from streamproc.pipeline.cores import usable_cores

        document = wanted(config, classes)
        say("measuring; nothing else should be running")
        with measuring(clip, config, data_dir or default_data_dir()) as (sample, provider, folder):
            if not as_json:
                put(f"{sample.name}: {sample.width}x{sample.height}, {sample.fps:g} pictures a second")
                put(f"{'stage':44}{'of a':>20}{'cpu ms':>10}{'wall ms':>10}{'a core/s':>12}")
            rows = []
            for stage in stages.measure(sample, document, provider, folder):
                rows.append(stage.document())
                if not as_json:
                    put(_row(stage))
            if as_json:
                put_json({"cores": usable_cores(), "camera": sample.document(), "stages": rows})


def _row(stage: Stage) -> str:
    return f"{stage.name:44}{stage.unit:>20}{stage.cpu_ms:10.3f}{stage.wall_ms:10.3f}{stage.per_second:12,.0f}"
