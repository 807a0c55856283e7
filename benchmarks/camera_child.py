"""The process of one contestant: a load as JSON on standard input, its outcome as JSON on standard output. Started by ``cameras.carry``."""

from __future__ import annotations

import dataclasses
import faulthandler
import json
import sys

from benchmarks.cameras import Load

HANGS_S = 300
"""After so long it says on standard error what each thread does, for whoever ends it."""


def main() -> None:
    faulthandler.dump_traceback_later(HANGS_S)
    document = json.load(sys.stdin)
    load = Load(**{**document, "clips": tuple(document["clips"])})
    if load.contestant == "streamproc":
        from benchmarks.camera_ours import run
    elif load.contestant == "opencv":
        from benchmarks.rival_opencv import run
    elif load.contestant == "processes":
        from benchmarks.rival_processes import run
    else:
        raise SystemExit(f"no contestant is called {load.contestant}")
    outcome = run(load)
    print(json.dumps(dataclasses.asdict(outcome)))


if __name__ == "__main__":
    main()
