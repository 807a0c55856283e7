"""``streamproc streams``: the node's video streams and recordings, and clips of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.output import errors_said, put, put_json, say, set_up_logs
from streamproc.cli.recordings import as_json as shown
from streamproc.cli.recordings import open_recordings, write_mp4
from streamproc.logic.clips import clip_between

app = typer.Typer(help="Video streams and recordings of a node.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The stream's name; a recording has its processor's.")]
Url = Annotated[str | None, typer.Option(help="Where the daemon listens; STREAMPROC_URL.")]
DataDir = Annotated[Path | None, typer.Option(help="The store, where no daemon is asked.")]
ConfigDir = Annotated[
    Path | None, typer.Option(help="The node's config folder, where its store has a folder of its own.")
]
From = Annotated[str | None, typer.Option("--from", help="RFC 3339, e.g. 2026-11-26T02:00:00Z.")]
To = Annotated[str | None, typer.Option("--to", help="RFC 3339.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON only on standard output.")]


@app.command("list")
def list_streams(
    url: Url = None, data_dir: DataDir = None, config_dir: ConfigDir = None, as_json: AsJson = False
) -> None:
    """All streams: how much of which time is kept."""
    set_up_logs(as_json, "warning")
    with errors_said():
        found = open_recordings(url, data_dir, config_dir).documents()
        if as_json:
            put_json(found)
            return
        for each in found:
            span = f"{each['from']} to {each['to']}" if each["from"] else "empty"
            put(f"{each['name']:<24} {each['fragments']:>7} fragments {each['bytes'] / 1e6:>10.1f} MB  {span}")
        if not found:
            say("no streams; `record: {keep: 24h}` in a processor keeps what its camera sends")


@app.command()
def describe(
    name: Name, url: Url = None, data_dir: DataDir = None, config_dir: ConfigDir = None, as_json: AsJson = False
) -> None:
    """One stream."""
    set_up_logs(as_json, "warning")
    with errors_said():
        found = open_recordings(url, data_dir, config_dir).document(name)
        if as_json:
            put_json(found)
        else:
            put(shown(found))


@app.command()
def delete(
    name: Name, url: Url = None, data_dir: DataDir = None, config_dir: ConfigDir = None, as_json: AsJson = False
) -> None:
    """Forget a stream with all of its video. A recording that still runs begins anew."""
    set_up_logs(as_json, "warning")
    with errors_said():
        open_recordings(url, data_dir, config_dir).delete(name)
        if as_json:
            put_json({"name": name, "deleted": True})
        else:
            say(f"{name} is deleted")


@app.command()
def fragments(
    name: Name,
    begins: From = None,
    ends: To = None,
    url: Url = None,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """The fragments that hold something of a time, all where none is given."""
    set_up_logs(as_json, "warning")
    with errors_said():
        clip = clip_between(name, begins, ends)
        found = open_recordings(url, data_dir, config_dir).fragments(name, clip.begins_ms, clip.ends_ms)
        if as_json:
            put_json(found)
            return
        for each in found:
            put(f"{each['time']}  {each['seconds']:6.2f} s {each['bytes']:>10} bytes  {each['number']}")


@app.command()
def clip(
    name: Name,
    out: Annotated[Path, typer.Option(help="The MP4 to write.")],
    begins: From = None,
    ends: To = None,
    url: Url = None,
    data_dir: DataDir = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """A part of a stream as MP4, packets as they came. It begins with the fragment that holds --from; NAME may be a kvs:// address."""
    set_up_logs(as_json, "warning")
    with errors_said():
        from streamproc.logic.clips import SCHEME, parse_clip

        wanted = parse_clip(name) if name.startswith(SCHEME) else clip_between(name, begins, ends)
        made = write_mp4(open_recordings(url, data_dir, config_dir), wanted, out)
        if as_json:
            put_json(made)
        else:
            put(f"{made['file']}: {made['from']} to {made['to']}, {made['bytes'] / 1e6:.1f} MB")
