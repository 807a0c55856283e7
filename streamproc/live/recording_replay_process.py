"""``python -m streamproc.live.recording_replay_process``: the process behind ``live.recording_replay``, which talks to it over standard input and output."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

LEAST_PRIORITY = 19


def main() -> None:
    """Imports what it needs only once it stands last in the queue for the CPU."""
    with suppress(OSError):
        os.nice(LEAST_PRIORITY)
    from streamproc.core.errors import StreamprocError
    from streamproc.live.recording_replay_answer import Asker, answer

    # Libraries that write to standard output must not come between the lines.
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asker = Asker(sys.stdin.buffer, told)
    try:
        asker.say({"found": answer(asker)})
    except StreamprocError as error:
        asker.say({"failed": str(error)})
    except (EOFError, BrokenPipeError):
        pass  # nobody waits any more


if __name__ == "__main__":
    main()
