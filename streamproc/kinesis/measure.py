"""A stored fragment taken apart again. Pure."""

from __future__ import annotations

from streamproc.kinesis.assemble import Assembler, RawFragment
from streamproc.kinesis.ebml import MatroskaError
from streamproc.kinesis.matroska import ClusterBegin, Cutter


def measure(data: bytes) -> tuple[int, bytes]:
    """(duration in milliseconds, its clusters and the tags behind them) of one fragment. Raises MatroskaError."""
    cutter, assembler = Cutter(), Assembler()
    steps = assembler.add(cutter.feed(data)) + assembler.add(cutter.finish()) + assembler.close()
    made = [step for step in steps if isinstance(step, RawFragment)]
    if not made:
        raise MatroskaError("no cluster in it")
    return sum(fragment.duration_ms for fragment in made), data[len(made[0].header.data) :]


def first_timecode_ms(data: bytes) -> int:
    """The timecode of a fragment's first cluster, as its producer sent it. Raises MatroskaError."""
    cutter = Cutter()
    for at in range(0, len(data), 4096):
        for event in cutter.feed(data[at : at + 4096]):
            if isinstance(event, ClusterBegin):
                return event.timecode_ms
    raise MatroskaError("no cluster in it")
