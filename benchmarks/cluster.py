"""Nodes that share cameras, killed, stopped for a while, drained, cut off, and without a broker, at random; then everything is counted.

    python -m benchmarks.cluster CLIP --kills 10 --zombies 3 --drains 3 --cuts 1 --outages 1 --seed 1 [--keep FOLDER]

Real daemons and a real broker. The feeds are the clip in a loop, at its own pace: some in one endless session, some in a session a visit. One
node finds the broker through a relay, which falls silent for a "cut". A "zombie" is stopped (SIGSTOP) until the others have what it had, then goes on. After each fault
everything must run again on exactly one node. In the end the cluster's log, as a consumer of committed records sees it, is held against what the
outputs of all nodes were told.

Exit code 1 where something was lost, told twice beyond one repetition a kill, committed twice, announced twice in a session, or a survivor disturbed.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import clean_up_when_terminated, percentile, progress, report
from connectors.context import ConnectorContext
from connectors.kafka.settings import KafkaConnection
from connectors.kafka.slot_log import read_slot
from streamproc.store.takeover import EventRecord
from tests.cluster import ENDLESS, SLOTS, Node, Nodes
from tests.daemon import run_cli, wait_for
from tests.servers.common import free_port
from tests.servers.kafka import KafkaServer
from tests.servers.relay import Relay

FAULTS = ("kill", "zombie", "drain", "cut", "outage")
READY_S = 240.0
AWAY_S = 15.0
"""How long the broker is away."""
CALM_S = 3.0


@dataclass
class Tally:
    """What happened at the faults so far."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    disturbed: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    """Faults after which not everything ran again in time."""


class Ground:
    """The nodes, their broker, and the relay before one of them."""

    def __init__(self, place: Path, clip: Path, feeds: int, stack: ExitStack) -> None:
        port = free_port()
        self.relay = Relay(port)
        stack.callback(self.relay.close)
        self.broker = KafkaServer(place / "kafka", behind={port: self.relay.port}).start()
        stack.callback(lambda: self.broker.stop(kill=True))
        self.nodes = Nodes(place, self.broker.bootstrap)
        stack.callback(self.nodes.close)
        for number in range(feeds):
            source = f"source: {{type: file, path: {clip}, realtime: true, loop: true}}\n"
            visits = "session: {mode: continuous, gone_after: 2s}\n" + ENDLESS.splitlines()[1] + "\n"
            self.nodes.put(f"feed{number}", source + (visits if number % 2 else ENDLESS))
        self.names = {f"feed{number}" for number in range(feeds)}
        self.nodes.add("a")
        self.nodes.add("b")
        self.behind = self.nodes.add("c", f"127.0.0.1:{self.relay.port}")

    def where(self) -> dict[str, str]:
        """Node by processor, of the nodes that answer; ``two`` where it runs on more than one."""
        found: dict[str, str] = {}
        for node in self.nodes.all:
            if node.answers():
                for name in runs(node):
                    found[name] = "two" if name in found else node.name
        return found

    def level(self) -> bool:
        """Whether every node that answers has its part and knows that the others have theirs."""
        try:
            return self._level()
        except OSError:  # one answers late
            return False

    def _level(self) -> bool:
        up = {node.name for node in self.nodes.all if node.answers()}
        for node in self.nodes.all:
            if node.answers():
                status = node.get("/api/cluster")
                having = {each["id"] for each in status["nodes"] if each["alive"] and each["slots"]}
                if status["moving"] or having != up:
                    return False
        return True

    def calm(self) -> dict[str, str]:
        """Until every feed runs on exactly one node, and nothing is moved any more: a node that is back gets its part of what the others run a
        moment after it answers, and that is not the doing of the next fault."""
        last: dict[str, str] = {}
        counted: Counter[str] = Counter()

        def still() -> bool:
            nonlocal last, counted
            found, taken = self.where(), self.takeovers()
            same = (found, taken) == (last, counted)
            last, counted = found, taken
            return same and set(found) == self.names and "two" not in found.values() and self.level()

        def stays() -> bool:
            if not still():
                return False
            time.sleep(CALM_S / 3)
            return still()

        wait_for(stays, READY_S, "that everything runs once")
        return dict(last)

    def busy(self, dice: random.Random) -> Node:
        """A node that runs something."""
        found = set(self.calm().values())
        return dice.choice([node for node in self.nodes.all if node.name in found])

    def takeovers(self) -> Counter[str]:
        """By processor, as the nodes log them: what outputs are told of one may come when the next fault is on its way."""
        return Counter(line["processor"] for node in self.nodes.all for line in node.logged("took_over"))


def runs(node: Node) -> set[str]:
    """What a node says that it runs; nothing where it does not answer in time, as on a machine that is busy with other things."""
    try:
        return node.runs()
    except OSError:
        return set()


def strike(ground: Ground, fault: str, node: Node, tally: Tally) -> None:
    """One fault from beginning to end."""
    before, taken = ground.calm(), ground.takeovers()
    theirs = {name for name, owner in before.items() if owner == node.name}
    progress(f"{fault} {node.name}, which runs {', '.join(sorted(theirs)) or 'nothing'}")
    row: dict[str, Any] = {"fault": fault, "node": node.name, "feeds": len(theirs)}
    begun = time.monotonic()

    def others_run() -> bool:
        return theirs <= {
            name for each in ground.nodes.all if each is not node and each.answers() for name in runs(each)
        }

    ACTS[fault](ground, node, row, others_run)
    if fault != "outage":
        row["moved_s"] = row.pop("moved_at") - begun
    after = ground.calm() if fault in ("outage", "drain") else None
    moved = {name for name in ground.names - theirs if (ground.takeovers() - taken)[name]}
    if fault == "outage":
        moved = {name for name in ground.names if after and after[name] != before[name]}
    row["disturbed"] = len(moved)
    tally.disturbed += [f"{name} at {fault} of {node.name}" for name in sorted(moved)]
    if not node.running():
        node.launch()
        wait_for(node.ready, READY_S, f"readiness of {node.name}")
    row["whole_s"] = time.monotonic() - begun
    tally.rows.append(row)


def kill(ground: Ground, node: Node, row: dict[str, Any], others_run: Callable[[], bool]) -> None:
    node.kill()
    wait_for(others_run, READY_S, "that the others run what it ran")
    row["moved_at"] = time.monotonic()
    time.sleep(CALM_S)


def zombie(ground: Ground, node: Node, row: dict[str, Any], others_run: Callable[[], bool]) -> None:
    node.signal(signal.SIGSTOP)
    wait_for(others_run, READY_S, "that the others run what it ran")
    row["moved_at"] = time.monotonic()
    time.sleep(CALM_S)
    node.signal(signal.SIGCONT)
    back = time.monotonic()
    wait_for(lambda: "two" not in ground.where().values(), READY_S, "that it lets go")
    row["let_go_s"] = time.monotonic() - back


def drain(ground: Ground, node: Node, row: dict[str, Any], others_run: Callable[[], bool]) -> None:
    done = run_cli("cluster", "drain", "--url", node.url)
    assert done.returncode == 0, done.stderr
    wait_for(others_run, READY_S, "that the others run what it ran")
    row["moved_at"] = time.monotonic()
    assert node.terminate() == 0


def cut(ground: Ground, node: Node, row: dict[str, Any], others_run: Callable[[], bool]) -> None:
    ground.relay.cut()
    wait_for(others_run, READY_S, "that the others run what it ran")
    row["moved_at"] = time.monotonic()
    time.sleep(CALM_S)
    ground.relay.heal()
    back = time.monotonic()
    wait_for(lambda: "two" not in ground.where().values(), READY_S, "that it lets go")
    row["let_go_s"] = time.monotonic() - back


def outage(ground: Ground, node: Node, row: dict[str, Any], others_run: Callable[[], bool]) -> None:
    ground.broker.stop(kill=True)
    time.sleep(AWAY_S)
    ground.broker.start()


ACTS = {"kill": kill, "zombie": zombie, "drain": drain, "cut": cut, "outage": outage}


async def committed(ground: Ground, place: Path) -> list[EventRecord]:
    """Every event of the cluster's log, as whoever reads committed records sees it."""
    topic = KafkaConnection(topic=f"{ground.nodes.name}.events", bootstrap_servers=ground.broker.bootstrap)
    context = ConnectorContext("count", place)
    found = [await read_slot(topic, context, slot) for slot in range(SLOTS)]
    return [EventRecord.read(each.value or b"", each.headers) for records in found for each in records]


@dataclass
class Outcome:
    """The feeds go on while it is counted: what is told after the log was read may well be behind its end."""

    before: list[dict[str, Any]] = field(default_factory=list)
    """What had been told before the log was read."""
    log: list[EventRecord] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    """What had been told after it was read."""


def settled(ground: Ground, place: Path) -> Outcome:
    """The log, when everything in it was told, or nothing more of it comes."""
    found = Outcome()

    def told() -> bool:
        found.before = ground.nodes.events()
        found.log = asyncio.run(committed(ground, place))
        found.told = ground.nodes.events()
        return {each.event.id for each in found.log} <= {each["id"] for each in found.told}

    try:
        wait_for(told, 60, "that everything is told")
    except AssertionError:
        progress("not everything is told")
    return found


def count(outcome: Outcome) -> dict[str, Any]:
    log, told = outcome.log, outcome.told
    ids, heard = Counter(each.event.id for each in log), Counter(each["id"] for each in told)
    numbers: dict[str, list[int]] = {}
    for each in log:
        numbers.setdefault(each.event.session, []).append(each.event.sequence)
    unique = {each["id"]: each for each in told if each["type"] == "label_detected"}.values()
    announced = Counter((each["session"], each["class"]) for each in unique)
    return {
        "events": len(ids),
        "sessions": len(numbers),
        "lost": len(ids.keys() - heard.keys()),
        "holes": sum(max(each) + 1 - len(set(each)) for each in numbers.values()),
        "committed_twice": sum(ids.values()) - len(ids),
        "told_without_commit": len({each["id"] for each in outcome.before} - ids.keys()),
        "told_twice": sum(heard.values()) - len(heard),
        "announced_twice": sum(number - 1 for number in announced.values()),
    }


def plan(options: argparse.Namespace) -> list[str]:
    wanted = [fault for fault in FAULTS for _ in range(getattr(options, f"{fault}s"))]
    random.Random(options.seed).shuffle(wanted)
    return wanted


def run(options: argparse.Namespace, place: Path) -> tuple[Tally, dict[str, Any]]:
    tally, dice = Tally(), random.Random(options.seed)
    with ExitStack() as stack:
        ground = Ground(place, options.clip.absolute(), options.feeds, stack)
        for node in ground.nodes.all:
            node.launch()
        for node in ground.nodes.all:
            wait_for(node.ready, READY_S, f"readiness of {node.name}")
        for fault in plan(options):
            try:
                node = ground.behind if fault == "cut" else ground.busy(dice)
                strike(ground, fault, node, tally)
            except (AssertionError, OSError) as error:
                tally.unsettled.append(f"{fault}: {str(error)[:200]}")
                progress(tally.unsettled[-1])
                break
        if not tally.unsettled:
            ground.calm()
        return tally, count(settled(ground, place))


def main() -> int:
    clean_up_when_terminated()
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--json", action="store_true", help="one JSON document on standard output")
    made.add_argument("clip", type=Path, help="somebody comes and goes in it")
    made.add_argument("--feeds", type=int, default=4)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--keep", type=Path, help="a folder where nodes and broker leave what they wrote")
    for fault, number in zip(FAULTS, (10, 3, 3, 1, 1), strict=True):
        made.add_argument(f"--{fault}s", type=int, default=number)
    options = made.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        tally, figures = run(options, options.keep or Path(temporary))
    for fault in FAULTS:
        for key in ("moved_s", "let_go_s"):
            times = [row[key] for row in tally.rows if row["fault"] == fault and key in row]
            if times:
                figures[f"{fault}_{key}_p50"] = round(percentile(times, 0.5) or 0.0, 1)
                figures[f"{fault}_{key}_max"] = round(max(times), 1)
    figures |= {"disturbed": len(tally.disturbed), "unsettled": len(tally.unsettled)}
    report(options, figures=figures, rows=[{key: _short(value) for key, value in row.items()} for row in tally.rows])
    kills = sum(row["fault"] in ("kill", "cut", "zombie") for row in tally.rows)
    zero = ("lost", "holes", "committed_twice", "told_without_commit", "announced_twice", "disturbed", "unsettled")
    return 1 if any(figures[key] for key in zero) or figures["told_twice"] > kills else 0


def _short(value: Any) -> Any:
    return round(value, 1) if isinstance(value, float) else value


if __name__ == "__main__":
    raise SystemExit(main())
