"""No file descriptors left: nothing ends, and everything goes on when there are some again."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from tests.daemon import Daemon, wait_for


def starve(daemon: Daemon) -> tuple[int, int]:
    """Let the daemon open nothing any more; its limits of before."""
    before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    opened = len(os.listdir(f"/proc/{daemon.pid}/fd"))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (opened, before[1]))
    return before


def test_without_descriptors_the_daemon_goes_on(daemon: Daemon, tmp_path: Path) -> None:
    daemon.start()
    time.sleep(1)  # the config folder is being watched by then
    before = starve(daemon)
    for number in range(5):  # each of these is a file to be read and, where it is refused, a line to be logged
        daemon.put(f"camera{number}", "source: {type: webrtc}\nlabels: {}\nstate: stopped\n")
        time.sleep(1.2)
    assert Path(f"/proc/{daemon.pid}").exists()
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, before)
    wait_for(daemon.ready, 20, "an answer")
    wait_for(lambda: set(daemon.states().values()) == {"stopped"} and len(daemon.states()) == 5, 30, "the processors")
    assert daemon.terminate() == 0
