"""A node's supervisor and reconciler in this process, without models: its processors wait for a publisher who never comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.live.desired import Reconciler
from streamproc.live.supervisor import Supervisor
from streamproc.plain import render_plain
from streamproc.store.database import Database


class Owners:
    """Ownership as a cluster would have it: another node's until it is given to this one."""

    shared = True

    def __init__(self) -> None:
        self.away: dict[str, str] = {}
        self._changed: list[Callable[[str], None]] = []

    def elsewhere(self, name: str) -> str | None:
        return self.away.get(name)

    def subscribe(self, changed: Callable[[str], None]) -> None:
        self._changed.append(changed)

    def move(self, name: str, words: str | None) -> None:
        if words is None:
            self.away.pop(name, None)
        else:
            self.away[name] = words
        for changed in self._changed:
            changed(name)


class _Unused:
    """A perceiver that is never given a frame."""

    models: Any = None
    second_look = True

    def pace(self, fps: float) -> None: ...

    def use(self, models: Any) -> None: ...

    def reset(self) -> None: ...

    def snapshot(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None: ...


class NoModels:
    """Stands for the models, which nothing here asks for."""

    def label_perceiver(self, settings: Any) -> Any:
        return _Unused()

    def small_models(self, settings: Any) -> Any:
        return None


def config(**changes: Any) -> ProcessorConfig:
    document = {"source": {"type": "webrtc"}, "labels": {}, "session": {"mode": "continuous"}, **changes}
    return ProcessorConfig.model_validate(document)


class Node:
    """``states`` has every state that a processor came to, in order."""

    def __init__(self, folder: Path, owners: Owners | None = None, **options: Any) -> None:
        database = Database(folder / "data")
        renderers = {"plain": render_plain}
        self.supervisor = Supervisor(NodeConfig(workers=1), folder, database, renderers=renderers, ownership=owners)
        self.supervisor.provider = cast(Any, NoModels())
        self.desired = Reconciler(self.supervisor, **options)
        self.states: list[tuple[str, str]] = []
        self.supervisor.notices.states.append(self._note)

    def _note(self, name: str) -> None:
        if self.supervisor.known(name):
            self.states.append((name, self.supervisor.processor(name).life.state.value))

    async def open(self) -> Node:
        await self.supervisor.open()
        await self.desired.open()
        return self

    async def close(self, hand_over: bool = False) -> None:
        await self.desired.close()
        await self.supervisor.close(0.1, hand_over=hand_over)

    async def until(self, name: str, state: str | None) -> None:
        async with asyncio.timeout(20):
            while await self.state(name) != state:
                await asyncio.sleep(0.01)

    async def state(self, name: str) -> str | None:
        return (await self.supervisor.view(name)).state if self.supervisor.known(name) else None
