"""A stored fragment taken apart again. Pure."""

from __future__ import annotations

from streamproc.kinesis.assemble import Assembler, RawFragment
from streamproc.media.ebml import MatroskaError
from streamproc.media.matroska import Cutter


def measure(data: bytes) -> tuple[int, bytes]:
    """(duration in milliseconds, its clusters and the tags behind them) of one fragment. Raises MatroskaError."""
    cutter, assembler = Cutter(), Assembler()
    steps = assembler.add(cutter.feed(data)) + assembler.add(cutter.finish()) + assembler.close()
    made = [step for step in steps if isinstance(step, RawFragment)]
    if not made:
        raise MatroskaError("no cluster in it")
    return sum(fragment.duration_ms for fragment in made), data[len(made[0].header.data) :]
