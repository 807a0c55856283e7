from __future__ import annotations

import threading

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.faces.index import FaceIndex


def unit(rows: int, seed: int = 0, dimensions: int = 16) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def filled(rows: int) -> tuple[FaceIndex, np.ndarray]:
    index, vectors = FaceIndex(16), unit(rows)
    index.add(np.arange(1, rows + 1), vectors)
    return index, vectors


def test_search_is_exact_and_ordered() -> None:
    index, vectors = filled(5000)
    query = unit(1, seed=9)
    (hits,) = index.snapshot().search(query, 0.3, 25)
    cosines = vectors @ query[0]
    expected = [row for row in np.argsort(-cosines) if cosines[row] >= 0.3][:25]
    assert hits.numbers.tolist() == [row + 1 for row in expected]
    assert np.allclose(hits.cosines, cosines[expected])


def test_many_queries_give_what_each_gives_alone() -> None:
    index, _ = filled(700)
    queries = unit(5, seed=3)
    together = index.snapshot().search(queries, 0.2, 10)
    alone = [index.snapshot().search(query[None], 0.2, 10)[0] for query in queries]
    assert [hits.numbers.tolist() for hits in together] == [hits.numbers.tolist() for hits in alone]


def test_nothing_enrolled_nothing_found() -> None:
    (hits,) = FaceIndex(16).snapshot().search(unit(1), -1, 5)
    assert len(hits.numbers) == 0
    assert FaceIndex(16).snapshot().search(unit(0), 0, 5) == []
    assert not FaceIndex(16).take(np.array([1])).any()


def test_a_snapshot_does_not_see_what_comes_later_but_forgets_what_is_deleted() -> None:
    index, vectors = filled(300)
    before = index.snapshot()
    index.add(np.arange(301, 1301), unit(1000, seed=4))
    (hits,) = before.search(vectors[:1], -1, 5000)
    assert len(hits.numbers) == 300
    early = index.snapshot()
    index.keep(np.arange(2, 1301))
    (hits,) = early.search(vectors[:1], 0.99, 5)
    assert 1 not in hits.numbers
    assert not early.vectors[0].any(), "the vector itself must be gone from memory"


def test_deleting_most_compacts_and_keeps_the_rest() -> None:
    index, vectors = filled(2000)
    kept = np.arange(7, 2001, 7)
    index.keep(kept)
    assert len(index) == len(kept)
    (hits,) = index.snapshot().search(vectors[6:7], 0.99, 3)
    assert hits.numbers.tolist() == [7]
    assert np.allclose(index.take(np.array([14, 15])), [vectors[13], np.zeros(16)])


def test_adding_what_is_there_changes_nothing() -> None:
    index, vectors = filled(10)
    index.add(np.arange(1, 11), vectors[::-1])
    assert len(index) == 10
    assert np.allclose(index.take(np.array([1]))[0], vectors[0])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=20))
def test_it_holds_what_a_dictionary_holds(steps: list[tuple[bool, int]]) -> None:
    index, model, last = FaceIndex(16), {}, 0
    for adding, amount in steps:
        if adding:
            numbers, vectors = np.arange(last + 1, last + amount + 1), unit(amount, seed=last)
            last += amount
            index.add(numbers, vectors)
            model.update(zip(numbers.tolist(), vectors, strict=True))
        else:
            model = {number: vector for number, vector in model.items() if number % (amount + 1)}
            index.keep(np.array(sorted(model), np.int64))
    assert len(index) == len(model)
    (hits,) = index.snapshot().search(unit(1, seed=5), -1.1, 10_000)
    assert sorted(hits.numbers.tolist()) == sorted(model)


def test_readers_and_writers_at_once() -> None:
    index, vectors = filled(500)
    wrong: list[str] = []

    def read() -> None:
        for _ in range(60):
            (hits,) = index.snapshot().search(vectors[499:500], 0.99, 3)
            if 500 not in hits.numbers:
                wrong.append("face 500 was not found")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for block in range(30):
        index.add(np.arange(501 + block * 50, 551 + block * 50), unit(50, seed=block))
        index.keep(np.setdiff1d(np.arange(1, 551 + block * 50), np.arange(1, block * 10)))
    for reader in readers:
        reader.join()
    assert not wrong
