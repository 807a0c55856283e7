"""Who may write for a slot: the real decisions in every order in which things can happen, and each safeguard taken out in turn."""

from __future__ import annotations

import pytest

from streamproc.logic.slot_ownership import Act, Phase, Slot
from tests.builders.ownership_model import Broken, Limits, Model, Node, Rules, World, explore

NONE = Limits(kills=0, stops=0, expulsions=0, lost_answers=0, versions=1, generations=2)
ALL = Rules()
SOME = {
    "one dies": NONE._replace(kills=1),
    "one is stopped, one dies": NONE._replace(kills=1, stops=1),
    "one is expelled while it works, an answer is lost": NONE._replace(expulsions=1, lost_answers=1),
}


def owned(world: World) -> bool:
    """A node that works may commit, or none is left."""
    able = [node for node in world.nodes if node.alive and not node.stopped]
    return any(node.slot.phase is Phase.OWNED and node.epoch == world.epoch for node in able) or not any(
        node.alive for node in world.nodes
    )


def stuck(limits: Limits, rules: Rules = ALL) -> list[str] | None:
    """The shortest history after which the slot has no owner ever again. Raises Broken where the log is wrong."""
    explored = explore(World((Node(), Node()), left=limits), Model(rules))
    # Where the history has used up its assignments or its commits, nobody can get or notice any more what others still could.
    ends = [world for world in explored.stuck(owned) if world.left.generations and world.version < limits.versions]
    return min((explored.history(world) for world in ends), key=len, default=None)


@pytest.mark.slow
@pytest.mark.parametrize("limits", SOME.values(), ids=SOME)
def test_nothing_is_lost_or_twice_and_the_slot_always_finds_an_owner(limits: Limits) -> None:
    assert stuck(limits) is None


def test_without_fencing_a_node_that_was_replaced_commits() -> None:
    with pytest.raises(Broken, match="version 1 is committed after version 1"):
        stuck(NONE, Rules(fencing=False))


def test_state_that_is_read_before_the_fence_is_old() -> None:
    with pytest.raises(Broken, match="version 1 is committed after version 1"):
        stuck(NONE._replace(versions=2), Rules(fence_before_restore=False))


def test_a_commit_without_an_answer_may_have_happened() -> None:
    with pytest.raises(Broken, match="its answer is lost"):
        stuck(NONE._replace(versions=2, lost_answers=1), Rules(settle_uncertain=False))


@pytest.mark.slow
def test_a_fenced_node_that_asks_nobody_may_leave_the_slot_without_an_owner_for_ever() -> None:
    """Somebody who acted on an old assignment fenced it, and then died."""
    history = stuck(NONE._replace(kills=1, stops=1), Rules(confirm=False))
    assert history is not None and any("stops" in step for step in history)


def test_the_usual_life() -> None:
    slot, acts = Slot().assigned()
    assert (slot.phase, acts) == (Phase.FENCING, (Act.FENCE,))
    slot, acts = slot.failed(1)
    assert acts == (Act.FENCE,), "again"
    slot, acts = slot.fenced(1)
    assert acts == (Act.RESTORE,)
    slot, acts = slot.restored(1)
    assert (slot.phase, acts) == (Phase.OWNED, (Act.RUN,))
    assert slot.assigned() == (slot, ()), "who has it is not disturbed by a round of the group"
    slot, acts = slot.withdrawn()
    assert (slot.phase, acts) == (Phase.LEAVING, (Act.HAND_OVER,))
    slot, acts = slot.handed_over(1)
    assert (slot.phase, acts) == (Phase.ELSEWHERE, (Act.CLOSE,))


def test_answers_of_an_earlier_term_change_nothing() -> None:
    slot, _ = Slot().assigned()
    slot, acts = slot.withdrawn()
    assert acts == (Act.CLOSE,)
    slot, _ = slot.assigned()
    for answer in (slot.fenced, slot.restored, slot.lost, slot.uncertain, slot.failed, slot.confirmed, slot.refused):
        assert answer(1) == (slot, ())


def test_assigned_again_while_it_leaves_it_begins_anew_when_it_has_left() -> None:
    slot = Slot(Phase.OWNED, 3, True)
    slot, _ = slot.withdrawn()
    slot, acts = slot.assigned()
    assert not acts and slot.phase is Phase.LEAVING
    slot, acts = slot.handed_over(3)
    assert (slot.phase, slot.term, acts) == (Phase.FENCING, 4, (Act.CLOSE, Act.FENCE))


def test_an_old_refusal_does_not_undo_a_new_assignment() -> None:
    slot, acts = Slot(Phase.OWNED, 1, True).lost(1)
    assert acts == (Act.DROP, Act.CONFIRM)
    again, acts = slot.assigned()
    assert acts == (Act.FENCE,)
    assert again.refused(slot.term) == (again, ())
