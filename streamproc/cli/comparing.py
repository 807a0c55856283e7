"""``replay --against``: what another config, or an earlier replay, says of the same clips."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamproc.cli.output import put, put_json, say
from streamproc.cli.places import CLIP_SOURCE
from streamproc.config.folder import node_of
from streamproc.config.load import load_processor
from streamproc.config.node import NodeConfig
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import InputError
from streamproc.logic.comparison import Announcement, Comparison, compare, told

if TYPE_CHECKING:
    from streamproc.live.replay import Stored
    from streamproc.perception.provider import ModelProvider

DIFFERENT = 3
"""Exit code."""


class Replayer:
    """Replays clips; models are loaded once for each document of a node."""

    def __init__(self, name: str, data_dir: Path, open_clip: Callable[[str], Stored]) -> None:
        self.open_clip = open_clip
        self._name = name
        self._data_dir = data_dir
        self._providers: list[tuple[NodeConfig, ModelProvider]] = []

    def events(self, clip: str, document: ProcessorConfig, node: NodeConfig) -> Iterator[dict[str, Any]]:
        """In plain form."""
        from streamproc.live.replay import replay
        from streamproc.perception.provider import ModelProvider
        from streamproc.plain import plain_document

        provider = next((each for known, each in self._providers if known == node), None)
        if provider is None:
            provider = ModelProvider(node, self._data_dir)
            self._providers.append((node, provider))
        for event, _ in replay(self.open_clip(clip), document, provider, self._name):
            yield plain_document(event)


def is_events(against: Path) -> bool:
    """Whether it holds events rather than a config."""
    return against.suffix in (".jsonl", ".json", ".ndjson")


def compare_replays(
    clips: Sequence[str], now: tuple[ProcessorConfig, NodeConfig], against: Path, tolerance_s: float, replayer: Replayer
) -> Comparison:
    """Replays every clip by the new config, and by the old one where ``against`` is one. Raises InputError."""
    from_events = is_events(against)
    if from_events:
        _distinct(clips, replayer)
        before = _read(against)
    else:
        old = load_processor(against, source=CLIP_SOURCE), node_of(against)
        before = [each for clip in clips for each in _told(replayer.events(clip, *old), clip)]
    after = [each for clip in clips for each in _told(replayer.events(clip, *now), "" if from_events else clip)]
    return compare(before, after, tolerance_s)


def show(found: Comparison, as_json: bool) -> int:
    """Print it; the exit code."""
    if as_json:
        put_json(
            {
                "same": len(found.same),
                "appears": [dict(each.document) for each in found.appears],
                "vanishes": [dict(each.document) for each in found.vanishes],
                "moves": [{"before": dict(old.document), "after": dict(new.document)} for old, new in found.moves],
            }
        )
    else:
        lines = [(each.clip, each.at, f"+ appears   {_words(each)}") for each in found.appears]
        lines += [(each.clip, each.at, f"- vanishes  {_words(each)}") for each in found.vanishes]
        lines += [(new.clip, new.at, f"~ moves     {_words(old)}  ->  {_words(new)}") for old, new in found.moves]
        for clip, _, line in sorted(lines):
            put(f"{line}  {clip}".rstrip())
        counts = {"the same": found.same, "appear": found.appears, "vanish": found.vanishes, "move": found.moves}
        say(", ".join(f"{len(each)} {what}" for what, each in counts.items()))
    return 0 if found.equal else DIFFERENT


def _told(documents: Iterable[dict[str, Any]], clip: str) -> list[Announcement]:
    return [each for document in documents if (each := told(document, clip)) is not None]


def _read(path: Path) -> list[Announcement]:
    """Events of JSON lines, as ``replay --json``, ``events --json`` and the file output write them."""
    found: list[Announcement] = []
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--against: {path} cannot be read: {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            each = told(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{path}:{number}: this is no event in plain form; give what `replay --json` printed"
            ) from None
        if each is not None:
            found.append(each)
    return found


def _distinct(clips: Sequence[str], replayer: Replayer) -> None:
    """An events file has one clock for all clips: they must not overlap on it."""
    from streamproc.live.replay import recorded_at

    starts = sorted(recorded_at(replayer.open_clip(clip)) for clip in clips)
    if any(later - earlier < timedelta(seconds=1) for earlier, later in pairwise(starts)):
        raise InputError(
            "--against: events of several clips cannot be told apart where the clips do not say when they were recorded; "
            "give one CLIP, or the earlier config"
        )


def _words(each: Announcement) -> str:
    seconds = each.document.get("media_time_s")
    sure = each.document.get("confidence")
    parts = [f"{seconds:8.2f} s" if seconds is not None else "", each.what or each.type]
    parts += [f"{sure:.0f} %" if sure is not None else "", f"in {each.region}" if each.region else ""]
    return " ".join(part for part in parts if part)
