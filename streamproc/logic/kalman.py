"""Where boxes that belong together are going: a constant-velocity Kalman filter, run forward, backward and as a smoother.

Boxes are rows (middle x, middle y, width, height) in one square unit, float64. Each of the four is filtered on its own; all noise is
in proportion to the box's height, so near and far people are treated alike. Every function takes any leading shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MotionPolicy:
    """Deviations, in box heights (a second, a second squared)."""

    measure: float = 0.06
    """Of a detector's box."""
    accelerate: float = 1.0
    """Of the acceleration of the middle."""
    swell: float = 0.3
    """Of the acceleration of width and height."""
    start: float = 0.6
    """Of the speed of somebody who is seen for the first time."""

    def noise(self) -> Array:
        """(4,) accelerations, squared."""
        return np.array([self.accelerate, self.accelerate, self.swell, self.swell]) ** 2


@dataclass(frozen=True, slots=True)
class State:
    """Where boxes are and how they move, each (..., 4), with the covariance of place and speed."""

    place: Array
    speed: Array
    pp: Array
    pv: Array
    vv: Array

    def take(self, rows: int | slice | npt.NDArray[np.intp]) -> State:
        """Some of the leading rows."""
        return State(*(np.asarray(part[rows]) for part in (self.place, self.speed, self.pp, self.pv, self.vv)))


def scale_of(place: Array) -> Array:
    """(..., 1): what noise is in proportion to, the box's height."""
    return np.maximum(place[..., 3:4], 1e-4)


def begin(boxes: Array, policy: MotionPolicy) -> State:
    """Seen once, speed unknown."""
    square = scale_of(boxes) ** 2 * np.ones(4)
    drift = np.array([1.0, 1.0, policy.swell, policy.swell]) ** 2
    zero = np.zeros_like(boxes)
    return State(boxes, zero, square * policy.measure**2, zero, square * policy.start**2 * drift)


def predict(state: State, dt: Array | float, policy: MotionPolicy) -> State:
    """Predict by ``dt`` seconds: a number, or an array that fits (..., 1)."""
    q = policy.noise() * scale_of(state.place) ** 2
    return State(
        state.place + state.speed * dt,
        state.speed,
        state.pp + 2 * dt * state.pv + dt**2 * state.vv + q * dt**3 / 3,
        state.pv + dt * state.vv + q * dt**2 / 2,
        state.vv + q * dt,
    )


def update(state: State, boxes: Array, policy: MotionPolicy) -> State:
    """Take in measured boxes."""
    spread = state.pp + (policy.measure * scale_of(state.place)) ** 2
    gain_p, gain_v = state.pp / spread, state.pv / spread
    surprise = boxes - state.place
    return State(
        state.place + gain_p * surprise,
        state.speed + gain_v * surprise,
        (1 - gain_p) * state.pp,
        (1 - gain_p) * state.pv,
        state.vv - gain_v * state.pv,
    )


def passed(times: Array, boxes: Array, policy: MotionPolicy) -> State:
    """(N, 4): the state after each of the boxes at ``times``, knowing those up to it."""
    state = begin(boxes[0], policy)
    states = [state]
    for index in range(1, len(times)):
        state = update(predict(state, float(times[index] - times[index - 1]), policy), boxes[index], policy)
        states.append(state)
    return stacked(states)


def backward_pass(times: Array, boxes: Array, policy: MotionPolicy) -> State:
    """(N, 4): the state at each of the boxes, knowing those from it on. Speeds are those of time running forward."""
    back = passed(-times[::-1], boxes[::-1], policy)
    turned = State(back.place, -back.speed, back.pp, -back.pv, back.vv)
    return turned.take(slice(None, None, -1))


def stacked(states: list[State]) -> State:
    """States of shape (...) as one of shape (N, ...)."""
    parts = zip(*((s.place, s.speed, s.pp, s.pv, s.vv) for s in states), strict=True)
    return State(*(np.stack(part) for part in parts))


def unlikeness(before: State, after: State, dt: Array | float, policy: MotionPolicy) -> Array:
    """(...): negative log-likelihood ratio that ``after``, ``dt`` seconds later, goes on with ``before``, in box heights.

    ``before`` knows only what was up to it, ``after`` (from ``backward_pass``) only what came from it on.
    """
    come = predict(before, dt, policy)
    scale = np.minimum(scale_of(before.place), scale_of(after.place))
    place, speed = (come.place - after.place) / scale, (come.speed - after.speed) / scale
    pp, pv, vv = ((a + b) / scale**2 for a, b in ((come.pp, after.pp), (come.pv, after.pv), (come.vv, after.vv)))
    det = np.maximum(pp * vv - pv**2, 1e-12)
    far = (place**2 * vv - 2 * place * speed * pv + speed**2 * pp) / det
    return np.asarray((0.5 * (far + np.log(det))).sum(-1))


def rts_smooth(times: Array, boxes: Array, at: Array, policy: MotionPolicy) -> tuple[Array, Array]:
    """Boxes (M, 4) at the times ``at``, knowing all of ``boxes``, and the deviation (M,) of their middles in box heights.

    ``at`` ascends, begins and ends with ``times``, and holds them all.
    """
    seen = {float(time): box for time, box in zip(times, boxes, strict=True)}
    states = [begin(boxes[0], policy)]
    come = [states[0]]
    for index in range(1, len(at)):
        guess = predict(states[-1], float(at[index] - at[index - 1]), policy)
        box = seen.get(float(at[index]))
        come.append(guess)
        states.append(guess if box is None else update(guess, box, policy))
    place, speed, pp, pv, vv = states[-1].place, states[-1].speed, states[-1].pp, states[-1].pv, states[-1].vv
    places, spreads = [place], [pp]
    for index in range(len(at) - 2, -1, -1):
        now, then = states[index], come[index + 1]
        dt = float(at[index + 1] - at[index])
        det = np.maximum(then.pp * then.vv - then.pv**2, 1e-30)
        # The gain C = P Fᵀ (P⁺)⁻¹ of Rauch, Tung and Striebel, written out for two by two.
        a, b, c = now.pp + dt * now.pv, now.pv, now.pv + dt * now.vv
        d = now.vv
        c11, c12 = (a * then.vv - b * then.pv) / det, (b * then.pp - a * then.pv) / det
        c21, c22 = (c * then.vv - d * then.pv) / det, (d * then.pp - c * then.pv) / det
        dp, dv = place - then.place, speed - then.speed
        epp, epv, evv = pp - then.pp, pv - then.pv, vv - then.vv
        place, speed = now.place + c11 * dp + c12 * dv, now.speed + c21 * dp + c22 * dv
        pp = now.pp + c11**2 * epp + 2 * c11 * c12 * epv + c12**2 * evv
        pv = now.pv + c11 * c21 * epp + (c11 * c22 + c12 * c21) * epv + c12 * c22 * evv
        vv = now.vv + c21**2 * epp + 2 * c21 * c22 * epv + c22**2 * evv
        places.append(place)
        spreads.append(pp)
    out, spread = np.stack(places[::-1]), np.stack(spreads[::-1])
    return out, np.sqrt(np.maximum(spread[:, :2].max(-1), 0)) / scale_of(out)[:, 0]
