"""Fetching models with progress for people, and saying in one line what stands in for what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

from streamproc.core.errors import ModelUnavailable, NotFound
from streamproc.vision.store import ModelStore

people = Console(stderr=True, highlight=False)


class Bars:
    """A progress bar a download, on standard error; where that is no terminal a line when it begins."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._progress = Progress(*columns, console=people)
        self._tasks: dict[str, TaskID] = {}

    def shown(self) -> AbstractContextManager[object]:
        """Draws the bars while it is open."""
        return self._progress if people.is_terminal else nullcontext()

    def tell(self, what: str, done: int, total: int | None) -> None:
        """A ``vision.fetch.Progress``."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
            if not people.is_terminal:
                size = f", {total / 1e6:.1f} MB" if total else ""
                people.print(f"fetching {what}{size}", markup=False, soft_wrap=True)
        self._progress.update(self._tasks[what], completed=done, total=total)


@dataclass
class Pulled:
    """What came of fetching."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    """One for each model that was tried: name, ok, fetched, and files or reason."""

    def had(self, name: str) -> bool:
        """Whether the model is here now."""
        return any(row["ok"] for row in self.rows if row["name"] == name)

    @property
    def missing(self) -> list[str]:
        return [row["name"] for row in self.rows if not row["ok"]]


def pull(store: ModelStore, groups: Iterable[Sequence[str]], bars: Bars) -> Pulled:
    """Of each group the first model that can be had; what is here already is not fetched."""
    pulled = Pulled()
    with bars.shown():
        for group in groups:
            for name in group:
                if name not in {row["name"] for row in pulled.rows}:
                    pulled.rows.append(_row(store, name))
                if pulled.had(name):
                    break
    store.close()
    return pulled


def _row(store: ModelStore, name: str) -> dict[str, Any]:
    before = store.cached(name) is not None
    try:
        files = store.get(name)
    except (ModelUnavailable, NotFound) as error:
        return {"name": name, "ok": False, "fetched": False, "reason": str(error)}
    paths = {role: str(path) for role, path in files.paths.items()}
    return {"name": name, "ok": True, "fetched": not before, "files": paths}


def stand_ins(groups: Iterable[Sequence[str]], had: Callable[[str], bool]) -> str:
    """What does the work of the models that are not here, on one line; empty where all first choices are.

    ``groups``: alternatives, as ``vision.profiles.choices_of`` gives them.
    """
    instead: dict[str, list[str]] = {}
    without: list[str] = []
    for group in groups:
        missing = [name for name in group if not had(name)]
        used = next((name for name in group if had(name)), None)
        if used is None:
            without += missing
        elif used != group[0]:
            instead.setdefault(used, []).append(group[0])
    replaced = {name for names in instead.values() for name in names}
    said = [f"{used} does the work of {_listed(names)}" for used, names in instead.items()]
    if left := [name for name in dict.fromkeys(without) if name not in replaced]:
        said.append(f"nothing does that of {_listed(left)}")
    return "; ".join(said)


def _listed(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"
