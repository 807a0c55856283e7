"""``capacity``: how many cameras this node holds, before you buy the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamproc.cli.measuring import measuring, wanted
from streamproc.cli.output import errors_said, put, put_json, say, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.config.processor import LABEL_CLASSES

if TYPE_CHECKING:
    from streamproc.measure.capacity import Capacity

SHOWS = {"idle": "cameras that show nothing, in idle mode", "quiet": "such, all decoded", "busy": "always busy ones"}


def capacity(
    camera: Annotated[
        str | None, typer.Argument(help="A recording of your camera, or rtsp://...; a made scene where left out.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A processor's file; what it looks for is measured.")] = None,
    classes: Annotated[str, typer.Option(help="Classes to look for, by comma.")] = ",".join(LABEL_CLASSES),
    data_dir: Annotated[Path | None, typer.Option(help="Where state lives.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Measure this node with the configured models: how many idle, quiet and busy cameras it holds at 80 % CPU, and what limits."""
    set_up_logs(as_json, "error")
    with errors_said():
        from streamproc.measure.capacity import measure

        document = wanted(config, classes)
        say("measuring; nothing else should be running")
        with measuring(camera, config, data_dir or default_data_dir()) as (sample, provider, folder):
            answer = measure(sample, document, provider, folder)
        if as_json:
            put_json(answer.document())
        else:
            _tell(answer)


def _tell(answer: Capacity) -> None:
    sample, costs = answer.sample, answer.costs
    put(
        f"a camera of {sample.width}x{sample.height} at {sample.fps:g} pictures a second ({sample.name}) takes, in cores:"
    )
    put(
        f"  ingest {costs.ingest:.4f}, decoding {costs.decode:.3f}; in all idle {costs.idle:.4f}, quiet {costs.quiet:.3f},"
    )
    put(f"  busy {costs.busy:.3f}; and {costs.memory / 1e6:.0f} MB of memory")
    put(f"{answer.cores:g} cores at 80 % hold one of these:")
    if answer.never_idle is not None:
        put(f"        (such a camera never sleeps: {answer.never_idle})")
    for kind, words in SHOWS.items():
        held = answer.held(kind)
        put(f"{held.cameras:7} {words} (limit: {held.limit})")
