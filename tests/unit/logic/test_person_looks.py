"""Which pictures are looked at for people."""

import numpy as np

from streamproc.logic.boxes import as_boxes
from streamproc.logic.person_looks import LookPlan
from streamproc.logic.structure import from_document, to_document

STEP = 4


def looked_at(plan, found, pictures, first=0):
    """The numbers of the pictures that are looked at. ``found``: boxes and scores of a picture."""
    numbers = []
    for index in range(first, first + pictures):
        if plan.due(index):
            numbers.append(index)
            boxes, scores = found(index)
            plan.took(index, as_boxes(boxes), np.array(scores, np.float32))
    return numbers


def walker(index, speed=0.002):
    left = 0.1 + speed * index
    return [left, 0.2, left + 0.1, 0.8]


def test_who_walks_alone_is_looked_at_half_as_often_once_known():
    assert looked_at(LookPlan(STEP), lambda index: ([walker(index)], [0.9]), 33) == [0, 4, 12, 20, 28]


def test_a_picture_without_people_is_as_calm():
    assert looked_at(LookPlan(STEP), lambda index: ([], []), 21) == [0, 4, 12, 20]


def test_who_runs_who_is_doubtful_and_who_comes_is_looked_at_at_every_step():
    every = [0, 4, 8, 12, 16]
    assert looked_at(LookPlan(STEP), lambda index: ([walker(index, 0.02)], [0.9]), 17) == every
    assert looked_at(LookPlan(STEP), lambda index: ([walker(index)], [0.4]), 17) == every

    def comes(index):
        return ([walker(index)], [0.9]) if index >= 12 else ([], [])

    assert looked_at(LookPlan(STEP), comes, 33) == [0, 4, 12, 16, 24, 32]


def test_people_who_touch_are_looked_at_at_every_step():
    def pair(index):
        return [[0.1, 0.2, 0.2, 0.8], [0.15, 0.2, 0.25, 0.8]], [0.9, 0.9]

    assert looked_at(LookPlan(STEP), pair, 13) == [0, 4, 8, 12]


def test_a_plan_goes_on_from_its_document():
    def found(index):
        return [walker(index)], [0.9]

    plan = LookPlan(STEP)
    before = looked_at(plan, found, 10)
    again = from_document(LookPlan, to_document(plan))
    assert [*before, *looked_at(again, found, 23, first=10)] == [0, 4, 12, 20, 28]
