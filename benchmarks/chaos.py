"""Chaos: a daemon with cameras and outputs whose disk fills, whose database is locked and which is killed, at random; then everything is counted.

    python -m benchmarks.chaos CLIP --minutes 3 --seed 1

Cameras are clips in a loop. A full disk needs root (a tmpfs of its own); without it that fault is left out and said. Brokers are not part of it.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.daemon import Daemon, read_lines

CAMERAS = 3


def document(path: Path) -> str:
    return (
        f"source: {{type: file, path: {path}, realtime: true, loop: true}}\n"
        "session: {mode: continuous, gone_after: 2s}\nlabels: {classes: [PERSON, PET], min_confidence: 50}\n"
        "outputs: [{type: file, directory: out}]\n"
    )


def full_disk(daemon: Daemon, dice: random.Random) -> None:
    ballast = daemon.data / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        time.sleep(dice.uniform(1, 6))
    finally:
        ballast.unlink(missing_ok=True)


def locked(daemon: Daemon, dice: random.Random) -> None:
    with sqlite3.connect(daemon.data / "streamproc.db", isolation_level=None, timeout=10) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(dice.uniform(1, 6))
        other.execute("ROLLBACK")


def killed(daemon: Daemon, dice: random.Random) -> None:
    daemon.kill()
    daemon.start()


def count(folder: Path) -> dict[str, int]:
    """Of what the outputs were told: numbers that are missing in a session, told twice, sessions without one summary."""
    sessions: dict[str, list[tuple[int, str]]] = {}
    for line in read_lines(folder):
        session, _, sequence = line["id"].rpartition("-")
        sessions.setdefault(session, []).append((int(sequence), line["type"]))
    numbers = {session: [number for number, _ in told] for session, told in sessions.items()}
    return {
        "sessions": len(sessions),
        "events": sum(map(len, numbers.values())),
        "lost": sum(max(found) + 1 - len(set(found)) for found in numbers.values()),
        "told twice": sum(len(found) - len(set(found)) for found in numbers.values()),
        "without one summary": sum(
            [kind for _, kind in told].count("session_complete") != 1 for told in sessions.values()
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path, help="A person or a pet comes and goes in it.")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        daemon = Daemon(Path(place))
        daemon.data.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(daemon.data)]
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        faults = [killed, locked] + ([full_disk] if mounted else [])
        try:
            path = options.clip.absolute()
            for number in range(CAMERAS):
                daemon.put(f"cam{number}", document(path))
            daemon.start()
            done: Counter[str] = Counter()
            until = time.monotonic() + options.minutes * 60
            while time.monotonic() < until:
                time.sleep(dice.uniform(2, 8))
                fault = dice.choice(faults)
                fault(daemon, dice)
                done[fault.__name__] += 1
            time.sleep(8)
            stuck = sum(state != "running" for state in daemon.states().values())
            code = daemon.terminate()
            figures = {**count(daemon.config / "out"), "stuck": stuck, "exit code": code}
            print("faults:", dict(done), "" if mounted else "(no tmpfs: no full disk)")
            for name, value in figures.items():
                print(f"{name:>20}  {value}")
        finally:
            daemon.close()
            if mounted:
                subprocess.run(["umount", "-l", str(daemon.data)], check=False)


if __name__ == "__main__":
    main()
