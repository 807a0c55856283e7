"""``demo``: a scene (or your clip) as a live feed through the whole pipeline. No camera, broker, cloud or account needed."""

from __future__ import annotations

import os
import socket
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from streamproc.cli.output import errors_said, put, put_json, say, set_up_logs
from streamproc.cli.places import default_data_dir
from streamproc.core.errors import InputError

DEMO_PORT = 4566


def demo(
    clip: Annotated[Path | None, typer.Argument(help="A video of yours; a scene is made where left out.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for records and pictures.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where state lives.")] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Play it over and over, with the console open; Ctrl-C ends.")
    ] = False,
    fast: Annotated[bool, typer.Option("--fast", help="As fast as it can be read; every frame is looked at.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One event a line, as JSON.")] = False,
) -> None:
    """Fetch the models, play a scene as a live feed, print each event as it happens, leave records, hero frames and crops in a folder."""
    from streamproc.cli.loop import run_loop
    from streamproc.cli.run import run_all
    from streamproc.config.load import load_processor

    set_up_logs(as_json, "warning" if serve else "error")  # what a first evening asks for is printed, not logged
    with errors_said():
        if clip is not None and not clip.is_file():
            raise InputError(f"{clip}: there is no such file; name a video, or none for the made scene")
        state = data_dir or default_data_dir()
        folder = (out or state / "demo" / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        played = clip.absolute() if clip is not None else made_scene()
        _fetch_models()
        if serve:
            _serve(played, folder, made=clip is None)
            return
        config = folder / "demo.yaml"
        config.write_text(
            yaml.safe_dump(_document(played, folder, made=clip is None, realtime=not fast), sort_keys=False)
        )
        say(f"playing {played} {'at full speed' if fast else 'as a live feed'}, through the config {config}")
        failed = run_loop(run_all({"demo": load_processor(config)}, config, state, as_json))
        say("records, hero frames and crops are in:")
        (say if as_json else put)(str(folder))
        say("streamproc demo --serve (make demo SERVE=1) plays it again with the console open")
    if failed:
        raise typer.Exit(1)


def _serve(clip: Path, folder: Path, *, made: bool) -> None:
    """A daemon of its own whose one camera plays the clip over and over; each round is a visit."""
    from streamproc.cli.serve import Level, serve

    document = _document(clip, folder, made=made, realtime=True)
    document["source"]["loop"] = True
    document["session"] = {"mode": "continuous", "gone_after": "2s"}
    config = folder / "conf" / "processors" / "demo.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(yaml.safe_dump(document, sort_keys=False))
    listen = f"127.0.0.1:{_free_port(DEMO_PORT)}"
    say(f"playing {clip} over and over, through the config {config}; the console is at")
    put(f"http://{listen}/console/")
    serve(config.parent.parent, listen, folder / "data", log_level=Level.WARNING)


def _free_port(wanted: int) -> int:
    """``wanted``, or any other where somebody listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _fetch_models() -> None:
    """What the three classes need and nothing else, with progress; what stands in for what is said here, once."""
    from streamproc.cli.pulling import Bars, people, pull, stand_ins
    from streamproc.vision.profiles import choices_of, profile
    from streamproc.vision.store import ModelStore
    from streamproc.vision.zoo import told_already

    bars = Bars()
    choices = choices_of(profile("default"))
    pulled = pull(ModelStore(progress=bars.tell), choices, bars)
    told_already(pulled.missing)
    if instead := stand_ins(choices, pulled.had):
        people.print(f"some models cannot be had here: {instead} (streamproc doctor)", markup=False, soft_wrap=True)


def scene(
    target: Annotated[Path, typer.Argument(help="The file to write, e.g. scene.mp4.")],
    as_json: Annotated[bool, typer.Option("--json", help="Where it is, as JSON.")] = False,
) -> None:
    """Write the demo's scene as a clip, for a camera to loop."""
    with errors_said():
        if not target.absolute().parent.is_dir():
            raise InputError(f"{target}: there is no folder {target.parent}; create it")
        _write(target)
    if as_json:
        put_json({"file": str(target)})


def _document(clip: Path, folder: Path, *, made: bool, realtime: bool) -> dict[str, Any]:
    """The processor's file. The made scene has a region on the doorstep; in a clip of yours everything counts."""
    from streamproc.config.processor import LABEL_CLASSES

    document: dict[str, Any] = {
        "source": {"type": "file", "path": str(clip), "realtime": realtime},
        "session": {"duration": 0, "allow_long": True},
        "labels": {"classes": list(LABEL_CLASSES), "min_confidence": 50},
    }
    if made:
        doorstep = [[0.05, 0.1], [0.95, 0.1], [0.95, 1.0], [0.05, 1.0]]
        document["regions"] = [{"name": "doorstep", "polygon": doorstep}]
    else:
        document["regions"] = [{"name": "whole picture", "box": {"left": 0, "top": 0, "width": 1, "height": 1}}]
    document["outputs"] = [{"type": "file", "directory": str(folder)}]
    return document


def made_scene() -> Path:
    """The made scene, from the cache after the first time."""
    home = os.environ.get("XDG_CACHE_HOME")
    target = (Path(home) if home else Path.home() / ".cache") / "streamproc" / "demo" / "scene-2.mp4"
    return target if target.exists() else _write(target)


def _write(target: Path) -> Path:
    from rich.console import Console
    from rich.progress import Progress

    from streamproc.demo.scene import write_scene

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("making the scene from photographs", total=None)
        return write_scene(target, lambda done, total: bar.update(task, completed=done, total=total))
