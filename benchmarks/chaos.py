"""Chaos: a daemon with cameras, a Kafka feed and four outputs of each, and everything they stand on broken at random; then all is counted.

    python -m benchmarks.chaos CLIP --minutes 60 --seed 1 [--keep FOLDER]

Two cameras are the clip in a loop, a third feed is the clip as fragments in Apache Kafka. Each tells a folder, a web hook, a bucket (Versity S3
Gateway) and a Kafka topic; the first camera also a network share that hangs all the time. Meanwhile, each at its own random times: the daemon is killed or ended and started,
its disk is filled, its database locked, its wall clock set hours off, the broker and the bucket are killed or stopped and come back, the hook
hangs, fails or refuses. Afterwards every output must have every event of every session, and the Kafka feed's detections must be those of a
daemon that nothing happened to. A full disk needs root (a tmpfs), the clock a C compiler: left out and said otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import signal
import sqlite3
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import chaos_count as count
from benchmarks.cameras import counts, tree_memory
from benchmarks.chaos_stage import BUCKET, OUT_TOPIC, STILL_S, TOPIC, Feed, Hook, document, make_clip, small_disk
from benchmarks.common import clean_up_when_terminated, progress, table
from tests.daemon import Daemon, read_lines
from tests.servers.clock import WrongClock
from tests.servers.common import Unavailable
from tests.servers.frozen import FrozenShare
from tests.servers.kafka import KafkaServer
from tests.servers.s3 import S3Server

CAMERAS = ("cam0", "cam1")
FEED = "log"
DISK_MB = 96
READY_S = 300.0
"""How long a start may take; how long the slowest took is printed."""
SETTLE_S = 240.0
"""After the last fault: until everything is delivered and everybody runs."""
LAST_VISIT_S = 20.0
"""After the last fragment was published: it is read and decided."""
VISIT_S = 8.0
"""Detections further apart are not of the same visit to the Kafka feed."""
SHIFTS_S = (-7200, -600, -30, 45, 900, 7200)


class Stage:
    """Everything that can be broken."""

    def __init__(self, place: Path, clip: Path, disk: bool) -> None:
        self.place = place
        self.clip = make_clip(clip, place / "camera.mp4", STILL_S["camera"])
        self.broker = KafkaServer(place / "kafka").start()
        self.bucket = S3Server(place / "s3")
        self.bucket.make_bucket(BUCKET)
        self.bucket.start()
        self.hook = Hook()
        self.clock = self._clock()
        keys = {"AWS_ACCESS_KEY_ID": self.bucket.access_key, "AWS_SECRET_ACCESS_KEY": self.bucket.secret_key}
        environ = {**keys, **(self.clock.environ if self.clock else {})}
        self.daemon = Daemon(place, environ)
        self.has_disk = disk
        self.share = self._share()
        self.slowest_start_s = 0.0
        self.ended_itself = 0
        self.begin()
        self.feed = Feed(self.broker.bootstrap, make_clip(clip, place / "feed.mp4", STILL_S["feed"]))

    def _clock(self) -> WrongClock | None:
        try:
            return WrongClock(self.place)
        except Unavailable as error:
            progress(f"the clock is left alone: {error}")
            return None

    def _share(self) -> FrozenShare | None:
        try:
            return FrozenShare(self.daemon.config / "share")
        except Unavailable as error:
            progress(f"no frozen share: {error}")
            return None

    def outputs(self) -> str:
        return (
            "  - {type: file, directory: out}\n"
            f"  - {{type: webhook, url: 'http://127.0.0.1:{self.hook.port}/', timeout: 3s}}\n"
            f"  - {{type: s3, bucket: {BUCKET}, endpoint_url: '{self.bucket.endpoint}'}}\n"
            f"  - {{type: kafka, bootstrap_servers: '{self.broker.bootstrap}', topic: {OUT_TOPIC}}}\n"
        )

    def begin(self) -> None:
        source = f"{{type: file, path: {self.clip}, realtime: true, loop: true}}"
        for name in CAMERAS:
            more = "  - {type: file, directory: share, name: share}\n" if self.share and name == CAMERAS[0] else ""
            self.daemon.put(name, document(source, self.outputs() + more))
        kafka = f"{{type: kafka, bootstrap_servers: '{self.broker.bootstrap}', topic: {TOPIC}, stream: cam, start: earliest}}"
        self.daemon.put(FEED, document(kafka, self.outputs()))
        self.start()

    def start(self) -> None:
        """Start the daemon until it is ready. One that ends instead is started again, as an init system would."""
        begun = time.monotonic()
        while True:
            self.daemon.launch()
            while self.daemon.running() and not self.daemon.ready():
                if time.monotonic() - begun > READY_S:
                    raise TimeoutError(f"not ready within {READY_S:.0f} s: see {self.daemon.log}")
                time.sleep(0.2)
            if self.daemon.running():
                break
            self.ended_itself += 1
            time.sleep(2)
        self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - begun)

    def close(self) -> None:
        self.daemon.close()
        self.hook.stop()
        if self.share:
            self.share.thaw()
        for server in (self.bucket, self.broker):
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGCONT)
            server.stop(kill=True)


Fault = Callable[[Stage, random.Random], None]


def killed(stage: Stage, dice: random.Random) -> None:
    stage.daemon.kill()
    stage.start()


def ended(stage: Stage, dice: random.Random) -> None:
    stage.daemon.terminate(timeout=60)
    stage.start()


def full_disk(stage: Stage, dice: random.Random) -> None:
    ballast = stage.daemon.data / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        time.sleep(dice.uniform(1, 20))
    finally:
        ballast.unlink(missing_ok=True)


def locked(stage: Stage, dice: random.Random) -> None:
    backup = sqlite3.connect(stage.daemon.data / "streamproc.db", isolation_level=None, timeout=30)
    with contextlib.closing(backup), contextlib.suppress(sqlite3.OperationalError):
        backup.execute("BEGIN IMMEDIATE")
        time.sleep(dice.uniform(1, 25))
        backup.execute("ROLLBACK")


def wrong_clock(stage: Stage, dice: random.Random) -> None:
    assert stage.clock is not None
    stage.clock.wrong_by(dice.choice(SHIFTS_S))
    time.sleep(dice.uniform(2, 40))
    stage.clock.wrong_by(0)


def broker_killed(stage: Stage, dice: random.Random) -> None:
    stage.broker.stop(kill=True)
    time.sleep(dice.uniform(1, 30))
    stage.broker.start()


def broker_stands(stage: Stage, dice: random.Random) -> None:
    _stands(stage.broker.pid, dice.uniform(5, 40))


def bucket_killed(stage: Stage, dice: random.Random) -> None:
    stage.bucket.stop(kill=True)
    time.sleep(dice.uniform(1, 30))
    stage.bucket.start()


def bucket_stands(stage: Stage, dice: random.Random) -> None:
    _stands(stage.bucket.pid, dice.uniform(5, 60))


def hook_moody(stage: Stage, dice: random.Random) -> None:
    stage.hook.set(dice.choice(("hangs", "refuses", "fails")))
    time.sleep(dice.uniform(2, 40))
    stage.hook.set("well")


def _stands(pid: int, seconds: float) -> None:
    """The server hangs: it is there and does not answer."""
    os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(pid, signal.SIGCONT)


CHANNELS: dict[str, tuple[tuple[Fault, ...], tuple[float, float]]] = {
    "daemon": ((killed, killed, ended), (20, 90)),
    "storage": ((full_disk, locked), (15, 90)),
    "clock": ((wrong_clock,), (30, 150)),
    "broker": ((broker_killed, broker_stands), (60, 240)),
    "bucket": ((bucket_killed, bucket_stands), (30, 150)),
    "hook": ((hook_moody,), (20, 90)),
}
"""Each works beside the others: its faults, and the pause before each in seconds."""


class Chaos:
    """Runs the channels until told to end."""

    def __init__(self, stage: Stage, seed: int, only: set[str] | None = None) -> None:
        self.done: Counter[str] = Counter()
        self.broke: list[str] = []
        """What the harness itself could not do."""
        self._stage = stage
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(name, random.Random(f"{seed} {name}")), daemon=True)
            for name in CHANNELS
            if only is None or name in only
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Every fault is over afterwards."""
        self._stop.set()
        for thread in self._threads:
            thread.join(READY_S + 120)

    def _run(self, name: str, dice: random.Random) -> None:
        faults, pause = CHANNELS[name]
        possible = [
            fault
            for fault in faults
            if (fault is not full_disk or self._stage.has_disk) and (fault is not wrong_clock or self._stage.clock)
        ]
        while possible and not self._stop.wait(dice.uniform(*pause)):
            fault = dice.choice(possible)
            try:
                fault(self._stage, dice)
            except Exception as error:  # noqa: BLE001 - the boundary: one channel's trouble is told at the end
                self.broke.append(f"{fault.__name__}: {type(error).__name__}: {error}"[:300])
                progress(self.broke[-1])
            self.done[fault.__name__] += 1


def settled(stage: Stage) -> list[str]:
    """Wait until everybody runs and nothing waits; who does not, in words."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        stuck = [f"{name} is {state}" for name, state in stage.daemon.states().items() if state != "running"]
        waits = count.undelivered(stage.daemon.data / "streamproc.db")
        stuck += [f"{output}: {number}" for output, number in waits.items()]
        if not stuck or time.monotonic() > deadline:
            return stuck
        time.sleep(2)


def undisturbed(stage: Stage, expected: int) -> set[tuple[str, str]]:
    """What a daemon tells of the same topic that nothing happens to: until it has been quiet for a while."""
    calm = Daemon(stage.place / "calm")
    kafka = (
        f"{{type: kafka, bootstrap_servers: '{stage.broker.bootstrap}', topic: {TOPIC}, stream: cam, start: earliest}}"
    )
    calm.put(FEED, document(kafka, "  - {type: file, directory: out}\n"))
    calm.start()
    told: set[tuple[str, str]] = set()
    changed = time.monotonic()
    while len(told) < expected or time.monotonic() - changed < 20:
        now = count.detections(read_lines(calm.config / "out"), FEED)
        if now != told:
            told, changed = now, time.monotonic()
        if time.monotonic() - changed > 90:
            break
        time.sleep(0.5)
    calm.terminate()
    return told


def figures_of(stage: Stage) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A row an output, and what is asked of all together. Call it when the daemon has ended."""
    places: dict[str, Sequence[count.Told]] = {
        "file": read_lines(stage.daemon.config / "out"),
        "webhook": stage.hook.taken,
        "s3": count.in_bucket(stage.bucket.root / BUCKET),
        "kafka": count.in_topic(stage.broker.bootstrap, OUT_TOPIC),
    }
    everything = [event for told in places.values() for event in told]
    if stage.share:
        places["share"] = read_lines(stage.daemon.config / "share")
    of = {"share": [event for event in everything if event["processor"] == CAMERAS[0]]}
    rows = [
        {
            "output": name,
            "events": len(told),
            "lost": count.lost(told),
            "not told here": count.missing(told, of.get(name, everything)),
            "again under one id": count.repeated(told),
            "sessions": len(count.sessions_of(told)),
            "without one summary": count.without_one_summary(told),
        }
        for name, told in places.items()
    ]
    right = undisturbed(stage, stage.feed.visits)
    told = count.detections(places["file"], FEED)
    summary = {
        "told under two ids": count.under_two_ids(everything),
        "one id, two meanings": count.id_with_two_meanings([*places["webhook"], *places["kafka"]]),
        "visits published to Kafka": stage.feed.visits,
        "its detections, undisturbed": len(right),
        "of them not told": count.without_a_pair(right, told, VISIT_S),
        "told beside them": count.without_a_pair(told, right, VISIT_S),
        "its detections": len(told),
    }
    return rows, summary


def _size(pid: int) -> str:
    threads, files = counts(pid)
    return f"{tree_memory(pid):.0f} MB, {threads} threads, {files} files"


def run(stage: Stage, options: argparse.Namespace) -> None:
    chaos = Chaos(stage, options.seed, set(options.only) if options.only else None)
    until = time.monotonic() + options.minutes * 60
    while time.monotonic() < until:
        time.sleep(min(60.0, max(0.0, until - time.monotonic())))
        with contextlib.suppress(Exception):
            progress(f"{(until - time.monotonic()) / 60:5.1f} min left ", _size(stage.daemon.pid), dict(chaos.done))
    chaos.end()
    if stage.share:
        stage.share.thaw()
    stage.feed.stop()
    time.sleep(LAST_VISIT_S)
    stuck = settled(stage)
    code = stage.daemon.terminate(timeout=60)
    rows, summary = figures_of(stage)
    dead = count.undelivered(stage.daemon.data / "streamproc.db")
    print("faults:", dict(chaos.done), "" if stage.has_disk else "(no tmpfs: no full disk)")
    print(table(rows))
    summary |= {
        "stuck": len(stuck),
        "exit code": code,
        "ended by itself": stage.ended_itself,
        "slowest start, s": round(stage.slowest_start_s, 1),
        "not delivered": dead,
        "the harness failed": len(chaos.broke),
    }
    for name, value in summary.items():
        print(f"{name:>28}  {value}")
    for words in [*stuck, *chaos.broke]:
        print(" ", words)


def main() -> None:
    clean_up_when_terminated()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", type=Path, help="A person or a pet comes into view in it.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", choices=sorted(CHANNELS), help="break only these")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    options = parser.parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what the harness's own clients say of a dead broker
    with contextlib.ExitStack() as stack:
        place = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place.mkdir(parents=True, exist_ok=True)
        disk = stack.enter_context(small_disk(place / "data", DISK_MB))
        stage = Stage(place, options.clip.absolute(), disk)
        stack.callback(stage.close)
        run(stage, options)


if __name__ == "__main__":
    main()
