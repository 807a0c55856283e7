"""One-to-one matching of least cost: of candidate pairs (``cheapest_matches``), and of a whole matrix (``cheapest_pairs``).

Candidate pairs are few beside all pairs, so they are first split into groups that share no row and no column; most groups are one pair.

A group is solved by shortest augmenting paths with dual variables (Kuhn 1955; for unequal sides Crouse 2016, "On implementing 2D
rectangular assignment algorithms"): one row after the other gets a column, moving earlier rows along the cheapest path where need be.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
Costs = npt.NDArray[np.float64]


def cheapest_matches(a: Rows, b: Rows, cost: Costs, unmatched: float) -> list[tuple[int, int]]:
    """The chosen ones of the candidate pairs (``a``, ``b``), by ascending ``a``; each row and each column is used at most once.

    ``cost`` is one of each pair. What stays unmatched counts ``unmatched``, and only pairs that cost less are candidates: with a very
    high value as many pairs as possible are matched, whatever they cost.
    """
    candidate = cost < unmatched
    a, b, cost = a[candidate], b[candidate], cost[candidate]
    if not len(a):
        return []
    if len(set(a.tolist())) == len(a) and len(set(b.tolist())) == len(b):
        return sorted(zip(a.tolist(), b.tolist(), strict=True))
    # A row and a column are different nodes, whatever their numbers.
    rows = int(a.max()) + 1
    group = groups(a, b + rows, rows + int(b.max()) + 1)[a]
    order = np.argsort(group, kind="stable")
    found: list[tuple[int, int]] = []
    for members in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        heads, i = np.unique(a[members], return_inverse=True)
        tails, j = np.unique(b[members], return_inverse=True)
        matrix = np.full((len(heads), len(tails)), unmatched)
        matrix[i, j] = cost[members]
        chosen = zip(*cheapest_pairs(matrix), strict=True)
        found += [(int(heads[x]), int(tails[y])) for x, y in chosen if matrix[x, y] < unmatched]
    return sorted(found)


def cheapest_pairs(cost: Costs) -> tuple[Rows, Rows]:
    """Rows (ascending) and the column of each, of (N, M) finite costs: min(N, M) pairs of the lowest sum.

    Of several choices with one sum the same one is taken every time. ValueError where a cost is not finite.
    """
    if not np.isfinite(cost).all():
        raise ValueError("every cost must be a finite number")
    if cost.shape[0] > cost.shape[1]:
        rows = _columns_of_rows(np.ascontiguousarray(cost.T))
        order = np.argsort(rows)
        return rows[order], order
    return np.arange(cost.shape[0]), _columns_of_rows(cost)


def _columns_of_rows(cost: Costs) -> Rows:
    """The column of each row; there are at least as many columns as rows."""
    count, width = cost.shape
    if count and width:
        lowest: Rows = cost.argmin(1)
        if len(set(lowest.tolist())) == count:  # every row can have its cheapest column
            return lowest
    row_of = np.full(width, -1, np.intp)
    column_of = np.full(count, -1, np.intp)
    row_price, column_price = np.zeros(count), np.zeros(width)
    for row in range(count):
        _place(row, cost, row_of, column_of, row_price, column_price)
    return column_of


def _place(
    start: int,
    cost: Costs,
    row_of: Rows,
    column_of: Rows,
    row_price: Costs,
    column_price: Costs,
) -> None:
    """Gives row ``start`` a column: the cheapest path to a free one, along which other rows change theirs."""
    width = cost.shape[1]
    distance = np.full(width, np.inf)
    before = np.full(width, -1, np.intp)  # the row from which a column is reached
    open_columns = np.ones(width, bool)
    row, length, passed = start, 0.0, [start]
    while True:
        through = length + cost[row] - row_price[row] - column_price
        nearer = open_columns & (through < distance)
        distance[nearer] = through[nearer]
        before[nearer] = row
        reach = np.where(open_columns, distance, np.inf)
        length = float(reach.min())
        nearest = np.flatnonzero(reach == length)
        free = nearest[row_of[nearest] < 0]
        column = int(free[0] if len(free) else nearest[-1])
        open_columns[column] = False
        if row_of[column] < 0:
            break
        row = int(row_of[column])
        passed.append(row)
    row_price[start] += length
    for other in passed[1:]:
        row_price[other] += length - distance[column_of[other]]
    closed = ~open_columns
    column_price[closed] -= length - distance[closed]
    while True:
        row = int(before[column])
        row_of[column] = row
        column_of[row], column = column, int(column_of[row])
        if row == start:
            return


def groups(a: Rows, b: Rows, count: int) -> Rows:
    """(count,) a number for each node, the same for all that pairs (a, b) tie together: the smallest node of the group."""
    label = np.arange(count)
    while True:
        lower = np.minimum(label[a], label[b])
        settled = label.copy()
        np.minimum.at(settled, a, lower)
        np.minimum.at(settled, b, lower)
        settled = settled[settled]
        if (settled == label).all():
            return label
        label = settled
