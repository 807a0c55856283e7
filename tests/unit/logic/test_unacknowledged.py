"""What goes over the next connection, whatever was told on the one before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamproc.logic.unacknowledged import Unacknowledged


def handed(held: Unacknowledged) -> list[bytes]:
    return list(iter(held.next, None))


def test_what_was_not_told_goes_again_in_order() -> None:
    held = Unacknowledged(100)
    for n in range(4):
        held.add(1000 * n, bytes([n]))
    assert handed(held) == [b"\0", b"\1", b"\2", b"\3"]
    assert held.persisted(1000) and not held.persisted(1000) and not held.persisted(7)
    held.rewind()
    held.add(4000, b"\4")
    assert handed(held) == [b"\0", b"\2", b"\3", b"\4"]


def test_it_is_full_at_its_limit_and_takes_one_that_is_larger() -> None:
    held = Unacknowledged(10)
    held.add(0, bytes(50))
    assert held.full
    held.persisted(0)
    assert not held.full and len(held) == 0


@given(st.lists(st.sampled_from(["add", "send", "told", "lost"]), max_size=60))
def test_every_fragment_is_handed_over_until_it_is_told(steps: list[str]) -> None:
    held, made, told, sent = Unacknowledged(1000), 0, set[int](), list[int]()
    for step in steps:
        if step == "add":
            held.add(made, bytes([made]))
            made += 1
        elif step == "send" and (data := held.next()) is not None:
            sent.append(data[0])
        elif step == "told" and sent:
            told.add(sent[0])
            assert held.persisted(sent.pop(0))
        elif step == "lost":
            held.rewind()
            sent = []
    held.rewind()
    assert handed(held) == [bytes([n]) for n in range(made) if n not in told]
