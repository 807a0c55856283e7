"""``replay``: what would have been told, of a stored clip."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamproc.cli import replay_explain as explanation
from streamproc.cli.output import errors_said, event_line, names_are_input, put, set_up_logs
from streamproc.cli.places import CLIP_SOURCE, default_data_dir
from streamproc.config.folder import node_of
from streamproc.config.load import load_processor
from streamproc.config.node import NodeConfig
from streamproc.config.processor import LABEL_CLASSES, ConnectorRef, ProcessorConfig
from streamproc.core.errors import InputError

if TYPE_CHECKING:
    from streamproc.contracts import Images
    from streamproc.core.event import Event, Pictures
    from streamproc.live.replay import Stored


class Form(StrEnum):
    PLAIN = "plain"
    AWS = "aws"


def replay(
    clips: Annotated[
        list[str], typer.Argument(help="Video (or picture) files, or kvs://NAME?from=TIME&to=TIME.", metavar="CLIP...")
    ],
    config: Annotated[Path | None, typer.Option(help="A processor's file; CLIP replaces its source.")] = None,
    classes: Annotated[str, typer.Option(help="Classes to look for, by comma.")] = ",".join(LABEL_CLASSES),
    collection: Annotated[str | None, typer.Option(help="Also search faces in this collection.")] = None,
    form: Annotated[Form, typer.Option("--format", help="The documents' form.")] = Form.PLAIN,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="OLD.yaml|EVENTS.jsonl",
            help="Show only what is different: from another config, or from earlier events. Exit 0: the same, 3: different.",
        ),
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="Seconds by which the same detection may differ.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Folder for hero frames and crops.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where collections and recordings live.")] = None,
    url: Annotated[str | None, typer.Option(help="The daemon that has the recording; STREAMPROC_URL.")] = None,
    explain: Annotated[
        str | None,
        typer.Option(help="Instead of events say what happened at this second of the clip (12.5, 1:02.5), and why."),
    ] = None,
    window: Annotated[str, typer.Option(help="How much time about --explain.")] = "10s",
    as_json: Annotated[bool, typer.Option("--json", help="One event a line.")] = False,
) -> None:
    """Run stored clips through the live pipeline: the same clip and config give byte-identical events."""
    set_up_logs(as_json, "warning")
    with errors_said(), names_are_input():
        document, name = _document(config, classes, collection)
        from streamproc.live.replay import replay as events_of
        from streamproc.live.replay import whole_clip
        from streamproc.perception.provider import ModelProvider

        document = document if config is not None else whole_clip(document)
        node = node_of(config) if config is not None else NodeConfig()
        place = data_dir or node.stores.data_dir or default_data_dir()
        if against is not None:
            from streamproc.cli import comparing

            replay_again = comparing.Replayer(name, place, lambda clip: _stored(clip, url, data_dir))
            found = comparing.compare_replays(clips, (document, node), against, tolerance, replay_again)
            raise typer.Exit(comparing.show(found, as_json))
        provider = ModelProvider(node, place)
        if explain is not None:
            if len(clips) > 1:
                raise InputError("--explain: asks about one clip; give one CLIP")
            stored = _stored(clips[0], url, data_dir)
            asked = explanation.Asked(
                stored, document, name, explanation.second_of(explain), explanation.window_of(window)
            )
            explanation.show(explanation.of_clip(asked, provider), as_json)
            return
        write = _writer(document, name, form, as_json)
        for clip in clips:
            for event, pictures in events_of(_stored(clip, url, data_dir), document, provider, name):
                write(event, _save(out, event, pictures))


def _stored(clip: str, url: str | None, data_dir: Path | None) -> Stored:
    """The file, or the recording: of the daemon at ``url``, else of the data directory."""
    from streamproc.logic.clips import SCHEME, parse_clip

    if not clip.startswith(SCHEME):
        return Path(clip)
    from connectors.kvs.recording import RecordingSource
    from streamproc.cli.recordings import fragments_of, open_recordings

    wanted = parse_clip(clip)
    recordings = open_recordings(url, data_dir)
    infos = fragments_of(recordings, wanted)
    return RecordingSource(wanted, infos, lambda info: recordings.read(wanted.stream, info))


def _document(config: Path | None, classes: str, collection: str | None) -> tuple[ProcessorConfig, str]:
    if config is not None:
        document, name = load_processor(config, source=CLIP_SOURCE), config.stem
    else:
        wanted = [word.strip().upper() for word in classes.split(",") if word.strip()]
        unknown = [word for word in wanted if word not in (*LABEL_CLASSES, "ALL")]
        if unknown:
            raise InputError(f"--classes: {unknown[0]!r} is no class; use {', '.join(LABEL_CLASSES)}")
        if not wanted and collection is None:
            raise InputError(f"--classes: nothing to look for; use {', '.join(LABEL_CLASSES)}, or give --collection")
        base: dict[str, Any] = {"source": CLIP_SOURCE}
        if wanted:
            base["labels"] = {"classes": wanted}
        else:
            base["faces"] = {"collection": collection}
        document, name = ProcessorConfig.model_validate(base), "replay"
    if collection is not None:
        from streamproc.config.processor import FaceSettings

        document = document.model_copy(update={"faces": FaceSettings(collection=collection)})
    return document, name


def _save(out: Path | None, event: Event, pictures: Pictures | None) -> Images:
    from streamproc.contracts import NOWHERE, Images

    if out is None or pictures is None:
        return NOWHERE
    places = []
    for folder, data in (("frames", pictures.frame), ("crops", pictures.crop)):
        path = out.absolute() / folder / f"{event.id}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        places.append(str(path))
    return Images(*places)


def _writer(document: ProcessorConfig, name: str, form: Form, as_json: bool) -> Any:
    from streamproc.aws.results import render_aws
    from streamproc.config.routes import event_types
    from streamproc.contracts import Delivery
    from streamproc.plain import plain_document, to_line

    ref = ConnectorRef.model_validate({"type": "stdout", "format": form.value})
    types = event_types(ref, labels=document.labels is not None, faces=document.faces is not None)
    context = {"tags": dict(document.tags), "start_request": {"Name": name}}

    def write(event: Event, images: Images) -> None:
        if event.type not in types:
            return
        if form is Form.AWS:
            put(json.dumps(render_aws(Delivery(event, None, context), images), ensure_ascii=False))
        elif as_json:
            put(to_line(plain_document(event, images)))
        else:
            put(event_line(plain_document(event, images)))

    return write
