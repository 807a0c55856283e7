"""``streamproc outbox list|retry|drop``: what waits for an output, and what one refused."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from streamproc.cli.output import errors_said, put, put_json, say
from streamproc.cli.places import default_data_dir
from streamproc.core.errors import InputError, NotFound

if TYPE_CHECKING:
    from streamproc.store.deliveries import DeliveryStore, PendingDelivery, State

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
        states: tuple[State, ...] = ("waiting", "dead") if state is Shown.OPEN else (cast("State", state.value),)
        selections = [Selection(one, output) for one in states]
        found = [item for store in _stores(data_dir) for chosen in selections for item in store.select(chosen, limit)]
        rows = [_row(item) for item in sorted(found, key=lambda item: (item.stored, item.seq, item.output))[:limit]]
        if as_json:
            put_json(rows)
            return
        for row in rows:
            put(_line(row))
        if not rows:
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
        stores = _stores(data_dir)
        selection = Selection(output=output, event=event)
        if event is not None and not any(store.select(selection, 1) for store in stores):
            raise NotFound(f"no delivery of event {event} is kept here")
        number = sum(store.retry(selection) if verb == "retry" else store.drop(selection) for store in stores)
        if as_json:
            put_json({"deliveries": number})
        else:
            say(f"{number} {'wait again' if verb == 'retry' else 'dropped'}")


def _stores(data_dir: Path | None) -> list[DeliveryStore]:
    """Of an existing data directory (asking must not make one): the daemon's, and those of ``streamproc run`` below it."""
    from streamproc.store.database import FILE_NAME, Database
    from streamproc.store.deliveries import DeliveryStore
    from streamproc.store.journal import Journal

    folder = data_dir or default_data_dir()
    places = [
        path.parent for path in (folder / FILE_NAME, *sorted(folder.glob(f"run/*/{FILE_NAME}"))) if path.is_file()
    ]
    if not places:
        raise InputError(f"--data-dir: there is no streamproc state in {folder}; give the folder that the daemon uses")
    return [DeliveryStore(Journal(Database(place))) for place in places]


def _row(item: PendingDelivery) -> dict[str, Any]:
    return {
        "event": item.event.id,
        "type": item.event.type.value,
        "output": item.output,
        "state": item.state,
        "attempts": item.attempts,
        "reason": item.reason,
        "stored": datetime.fromtimestamp(item.stored, UTC).isoformat(timespec="seconds"),
    }


def _line(row: dict[str, Any]) -> str:
    """Whole ids, so that they can be copied into ``--event``."""
    words = [row["stored"], row["state"].ljust(9), row["output"], row["event"], row["type"], f"tries {row['attempts']}"]
    return "  ".join([*words, row["reason"] or ""]).rstrip()
