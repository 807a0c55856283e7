"""``streamproc outbox list|retry|drop``: what waits for an output, and what one refused."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.output import errors_said, put_json, say
from streamproc.cli.places import default_data_dir
from streamproc.core.errors import InputError, NotFound

if TYPE_CHECKING:
    from streamproc.store.deliveries import DeliveryStore, Owed

app = typer.Typer(help="See, retry and drop what outputs have not taken.", no_args_is_help=True)


class Shown(StrEnum):
    """Which deliveries ``list`` shows."""

    WAITING = "waiting"
    DEAD = "dead"
    DELIVERED = "delivered"
    OPEN = "open"


DataDir = Annotated[Path | None, typer.Option(help="Where the daemon keeps its state.", show_default=False)]
Output = Annotated[str | None, typer.Option(help="Only of this output: PROCESSOR/NAME.", show_default=False)]
EventId = Annotated[str | None, typer.Option("--event", help="Only this event id.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Everything = Annotated[bool, typer.Option("--all", help="Of every output.")]


@app.command("list")
def list_deliveries(
    state: Annotated[Shown, typer.Option(help="open: waiting and dead.")] = Shown.OPEN,
    output: Output = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, oldest first.")] = 1000,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show what waits (and why), and what was refused."""
    from streamproc.store.deliveries import Selection

    with errors_said():
        store = _store(data_dir)
        states = ("waiting", "dead") if state is Shown.OPEN else (state.value,)
        found = [item for one in states for item in store.select(Selection(one, output), limit)]  # type: ignore[arg-type]
        rows = [_row(item) for item in sorted(found, key=lambda item: (item.seq, item.output))[:limit]]
        if as_json:
            put_json(rows)
        elif rows:
            _show(rows)
        else:
            say("nothing")


@app.command()
def retry(
    output: Output = None,
    event: EventId = None,
    everything: Everything = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let refused events wait again; a running daemon delivers them within seconds."""
    _change("retry", output, event, everything, data_dir, as_json)


@app.command()
def drop(
    output: Output = None,
    event: EventId = None,
    everything: Everything = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Forget events that an output has not taken, waiting or refused."""
    _change("drop", output, event, everything, data_dir, as_json)


def _change(
    verb: str, output: str | None, event: str | None, everything: bool, data_dir: Path | None, as_json: bool
) -> None:
    from streamproc.store.deliveries import Selection

    with errors_said():
        if not (output or event or everything):
            raise InputError(f"say which: --output PROCESSOR/NAME, --event ID, or --all to {verb} everything")
        store = _store(data_dir)
        selection = Selection(output=output, event=event)
        if event is not None and not store.select(selection, 1):
            raise NotFound(f"no delivery of event {event} is kept here")
        number = store.retry(selection) if verb == "retry" else store.drop(selection)
        if as_json:
            put_json({"deliveries": number})
        else:
            say(f"{number} {'wait again' if verb == 'retry' else 'dropped'}")


def _store(data_dir: Path | None) -> DeliveryStore:
    """Of an existing data directory: asking must not make one."""
    from streamproc.store.database import FILE_NAME, Database
    from streamproc.store.deliveries import DeliveryStore
    from streamproc.store.journal import Journal

    folder = data_dir or default_data_dir()
    if not (folder / FILE_NAME).is_file():
        raise InputError(f"--data-dir: there is no streamproc state in {folder}; give the folder that the daemon uses")
    return DeliveryStore(Journal(Database(folder)))


def _row(item: Owed) -> dict[str, Any]:
    return {
        "event": item.event.id,
        "type": item.event.type.value,
        "output": item.output,
        "state": item.state,
        "attempts": item.attempts,
        "reason": item.reason,
        "stored": datetime.fromtimestamp(item.stored, UTC).isoformat(timespec="seconds"),
    }


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table("stored", "output", "state", "event", "type", "tries", "reason", box=None, header_style="bold")
    for row in rows:
        table.add_row(
            row["stored"],
            row["output"],
            row["state"],
            row["event"],
            row["type"],
            str(row["attempts"]),
            row["reason"] or "",
        )
    Console(highlight=False).print(table)
