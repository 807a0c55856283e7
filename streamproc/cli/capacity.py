"""``capacity``: how many cameras this box holds, before you buy the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.output import errors_said, put, put_json, say, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.config.box import BoxConfig
from streamproc.config.processor import LABEL_CLASSES, ProcessorConfig
from streamproc.core.errors import InputError


def capacity(
    clip: Annotated[
        Path | None, typer.Argument(help="A recording of your camera; a made scene where left out.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A processor's file; what it looks for is measured.")] = None,
    classes: Annotated[str, typer.Option(help="Classes to look for, by comma.")] = ",".join(LABEL_CLASSES),
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON.")] = False,
) -> None:
    """Measure this box with the configured models: how many quiet and how many busy cameras it holds at 80 % CPU."""
    set_up_logs(as_json, "error")
    with errors_said():
        from streamproc.cli.demo import made_scene
        from streamproc.live.assembly import Seers
        from streamproc.live.capacity import measure

        if clip is not None and not clip.is_file():
            raise InputError(f"{clip}: there is no such file; name a recording, or none for the made scene")
        document = _document(config, classes)
        say("measuring; nothing else should be running")
        answer = measure(clip or made_scene(), document, Seers(BoxConfig(), default_data_dir(), workers=1)).document()
        if as_json:
            put_json(answer)
            return
        camera, cost = answer["camera"], answer["cpu_s_per_camera_second"]
        assert isinstance(camera, dict)
        assert isinstance(cost, dict)
        put(f"a camera of {camera['width']}x{camera['height']} at {camera['fps']:g} frames a second costs, in cores:")
        put(f"  decoding alone {cost['decode_only']:.3f}, quiet {cost['idle']:.3f}, busy {cost['busy']:.3f}")
        put(f"{answer['cores']} cores at {answer['cpu_share']:.0%} hold {answer['idle_cameras']} quiet cameras,")
        put(f"or {answer['busy_cameras']} that are busy all the time; {answer['limit']} is the limit of these")


def _document(config: Path | None, classes: str) -> ProcessorConfig:
    if config is not None:
        from streamproc.config.load import load_processor

        return load_processor(config)
    wanted = [word.strip().upper() for word in classes.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in (*LABEL_CLASSES, "ALL")]
    if unknown or not wanted:
        raise InputError(f"--classes: {(unknown or [classes])[0]!r} is no class; use {', '.join(LABEL_CLASSES)}")
    return ProcessorConfig.model_validate({"source": {"type": "file", "path": "clip"}, "labels": {"classes": wanted}})
