"""``streamproc models pull|list|verify``: the model files of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from streamproc.cli.output import errors_said, set_up_logs
from streamproc.cli.pulling import Bars, Pulled, people, stand_ins
from streamproc.cli.pulling import pull as fetch_all
from streamproc.config.load import load_node
from streamproc.config.model_settings import ModelSettings
from streamproc.core.errors import InputError, ModelUnavailable
from streamproc.vision.catalogue import Model
from streamproc.vision.fetch import describe
from streamproc.vision.profiles import FACE_ATTRIBUTES, FACE_MODELS, choices_of, profile
from streamproc.vision.store import ModelStore

if TYPE_CHECKING:
    from streamproc.vision.measure import Cost

app = typer.Typer(help="Fetch, list and check the model files of this machine.", no_args_is_help=True)

Names = Annotated[list[str] | None, typer.Argument(help="Models by name.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Mirror = Annotated[Path | None, typer.Option(help="A folder of model files that is tried first.", show_default=False)]
ConfigDir = Annotated[
    Path | None, typer.Option(help="Read models: of DIR/streamproc.yaml too.", metavar="DIR", show_default=False)
]
_PLAIN_WIDTH = 160


@app.command()
def pull(
    names: Names = None,
    profile_name: Annotated[
        str, typer.Option("--profile", help="default, accurate, small or one of the config's.")
    ] = "default",
    everything: Annotated[bool, typer.Option("--all", help="Every model of the catalogue.")] = False,
    mirror: Mirror = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Fetch models into the cache: those named, or what the profile and the faces need."""
    with errors_said():
        set_up_logs(as_json)
        settings = _settings(config_dir, mirror)
        bars = Bars()
        store = _store(settings, bars.tell)
        store.insist()
        groups, needed = _wanted(store, settings, names or [], profile_name, everything)
        pulled = fetch_all(store, groups, bars)
        named = bool(names) or everything
        _say_pulled(
            pulled, "" if named else stand_ins(choices_of(profile(profile_name, settings.profiles)), pulled.had)
        )
        if as_json:
            typer.echo(json.dumps(pulled.rows))
        if not all(any(map(pulled.had, group)) for group in needed):
            raise typer.Exit(1)


@app.command("list")
def list_models(
    measure: Annotated[bool, typer.Option("--measure", help="Time one look with every model that is here.")] = False,
    mirror: Mirror = None,
    config_dir: ConfigDir = None,
    as_json: AsJson = False,
) -> None:
    """Every known model: what it is for, licence, source, size, cost and whether it is here."""
    with errors_said():
        set_up_logs(as_json)
        settings = _settings(config_dir, mirror)
        store = _store(settings)
        rows = [_listed(store, name) for name in store.names()]
        if measure:
            _measure(settings, [row for row in rows if row["state"] == "ok"])
        if as_json:
            typer.echo(json.dumps(rows))
        else:
            _print_list(rows, store.cache)


@app.command()
def verify(names: Names = None, mirror: Mirror = None, config_dir: ConfigDir = None, as_json: AsJson = False) -> None:
    """Check the bytes of the models that are here (or of those named) against the catalogue."""
    with errors_said():
        set_up_logs(as_json)
        store = _store(_settings(config_dir, mirror))
        _check_names(store, names or [])
        rows = [_listed(store, name) for name in names or store.names()]
        rows = [{"name": row["name"], "state": row["state"]} for row in rows if names or row["state"] != "missing"]
        if as_json:
            typer.echo(json.dumps(rows))
        else:
            for row in rows:
                typer.echo(f"{row['name']}  {row['state']}")
            if not rows:
                people.print("no models are here yet; run streamproc models pull")
        if any(row["state"] != "ok" for row in rows):
            raise typer.Exit(1)


def _settings(config_dir: Path | None, mirror: Path | None) -> ModelSettings:
    file = config_dir / "streamproc.yaml" if config_dir else None
    settings = load_node(file).models if file is not None and file.is_file() else ModelSettings()
    if mirror is None:
        return settings
    if not mirror.is_dir():
        raise InputError(f"--mirror {mirror}: no such folder; name one that holds model files")
    return settings.model_copy(update={"mirror": mirror})


def _store(settings: ModelSettings, progress: Callable[[str, int, int | None], None] | None = None) -> ModelStore:
    return ModelStore(mirror=settings.mirror, own=settings.own, progress=progress)


def _wanted(
    store: ModelStore, settings: ModelSettings, names: list[str], profile_name: str, everything: bool
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Groups of which the first that can be had is fetched, and those of which at least one model must come."""
    _check_names(store, names)
    if names or everything:
        wanted: list[tuple[str, ...]] = [
            (name,) for name in names or [name for name in store.names() if name not in settings.own]
        ]
        return wanted, wanted
    chosen = profile(profile_name, settings.profiles)
    faces = [(name,) for name in (*FACE_MODELS, *FACE_ATTRIBUTES)]
    return [*choices_of(chosen), *faces], [chosen.person]


def _check_names(store: ModelStore, names: list[str]) -> None:
    unknown = [name for name in names if name not in store.names()]
    if unknown:
        raise InputError(f"there is no model {unknown[0]!r}; known are {', '.join(sorted(store.names()))}")


def _say_pulled(pulled: Pulled, instead: str) -> None:
    """What stands in for what, on one line; where nothing does, each reason."""
    if instead:
        people.print(f"some models cannot be had here: {instead} (streamproc doctor)", markup=False, soft_wrap=True)
    for row in pulled.rows:
        if not row["ok"] and not instead:
            people.print(f"warning: {row['reason']}", markup=False, soft_wrap=True)


def _summary(pulled: Pulled) -> str:
    fetched = sum(row["fetched"] for row in pulled.rows)
    here = len(pulled.rows) - len(pulled.missing)
    said = f"{here} of {len(pulled.rows)} models are here" + (f", {fetched} fetched now" if fetched else "")
    return f"{said}; missing: {', '.join(pulled.missing)}" if pulled.missing else said


def _listed(store: ModelStore, name: str) -> dict[str, Any]:
    model = store.find(name)
    try:
        state = "ok" if store.cached(name) else "damaged" if store.present(name) else "missing"
    except ModelUnavailable:
        state = "damaged"
    return {
        "name": name,
        "role": str(model.role),
        "adapter": model.adapter,
        "licence": model.licence,
        "origin": model.origin,
        "sources": _sources(model),
        "bytes": model.size,
        "cost_ms": model.cost_ms,
        "cost": "reference" if model.cost_ms is not None else None,
        "state": state,
    }


def _sources(model: Model) -> list[str]:
    found = [describe(source) for build in model.builds for file in build for source in file.sources]
    return list(dict.fromkeys(found))


def _measure(settings: ModelSettings, rows: list[dict[str, Any]]) -> None:
    from streamproc.vision.measure import measure
    from streamproc.vision.zoo import open_zoo

    zoo = open_zoo(settings, workers=1)
    for row in rows:
        try:
            cost: Cost = measure(zoo, row["name"])
        except ModelUnavailable as error:
            people.print(f"warning: {row['name']}: {error}", markup=False)
            continue
        row |= {"cost_ms": round(cost.cpu_ms, 2), "median_ms": round(cost.median_ms, 2), "cost": "measured"}


def _print_list(rows: list[dict[str, Any]], cache: Path) -> None:
    table = Table(box=None, pad_edge=False)
    for title in ("model", "for", "licence", "MB", "cpu-ms", "state", "source"):
        table.add_column(title, justify="right" if title in ("MB", "cpu-ms") else "left", overflow="fold")
    for row in rows:
        size = f"{row['bytes'] / 1e6:.1f}" if row["bytes"] else "?"
        cost = "?" if row["cost_ms"] is None else f"{row['cost_ms']:.1f}"
        table.add_row(row["name"], row["role"], row["licence"], size, cost, row["state"], _short(row["sources"]))
    screen = Console(highlight=False)
    (screen if screen.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)).print(table)
    measured = any(row["cost"] == "measured" for row in rows)
    people.print(f"cache: {cache}", soft_wrap=True)
    if not measured:
        people.print("cpu-ms of a look: reference figures (docs/performance.md); --measure times this machine")


def _short(sources: list[str]) -> str:
    if not sources:
        return "own file"
    first = sources[0].removeprefix("https://").removeprefix("raw.githubusercontent.com/")
    words = first.split("/")
    said = "/".join(words[:2]) if sources[0].startswith("https://") else " ".join(first.split()[:2])
    return said if len(sources) == 1 else f"{said} (+{len(sources) - 1})"
