// Outlines in 0..1 of the picture. Pure.

export const SNAP = 0.015;
/** How many corners an outline may have, and how little of the picture it may enclose. */
export const LIMITS = { regions: { corners: 10, area: 0.01 }, masks: { corners: 50, area: 0 } };

const rounded = (value) => Math.round(value * 10_000) / 10_000;

/** Within the picture; what is nearly at its border is at it. */
export const snapped = (value) => (value < SNAP ? 0 : value > 1 - SNAP ? 1 : rounded(value));
export const within = (value) => rounded(Math.min(1, Math.max(0, value)));

export const boxOf = ([left, top, right, bottom]) => [[left, top], [right, top], [right, bottom], [left, bottom]].map((point) => point.map(within));

/** The share of the picture that an outline encloses. */
export function area(points) {
  let twice = 0;
  points.forEach(([x, y], i) => {
    const [nextX, nextY] = points[(i + 1) % points.length];
    twice += x * nextY - nextX * y;
  });
  return Math.abs(twice) / 2;
}

const side = ([ax, ay], [bx, by], [cx, cy]) => Math.sign((bx - ax) * (cy - ay) - (by - ay) * (cx - ax));
const between = ([ax, ay], [bx, by], [cx, cy]) => Math.min(ax, bx) <= cx && cx <= Math.max(ax, bx) && Math.min(ay, by) <= cy && cy <= Math.max(ay, by);

function meet(a, b, c, d) {
  const [first, second, third, fourth] = [side(a, b, c), side(a, b, d), side(c, d, a), side(c, d, b)];
  if (first !== second && third !== fourth) return true;
  return (!first && between(a, b, c)) || (!second && between(a, b, d)) || (!third && between(c, d, a)) || (!fourth && between(c, d, b));
}

/** The numbers of two edges that cross or touch though they are no neighbours; null where none do. Edge 0 goes from corner 0 to 1. */
export function crossing(points) {
  const count = points.length;
  for (let i = 0; i < count; i += 1) {
    for (let j = i + 2; j < count; j += 1) {
      if (i === 0 && j === count - 1) continue;
      if (meet(points[i], points[i + 1], points[j], points[(j + 1) % count])) return [i, j];
    }
  }
  const twin = points.findIndex((point, i) => points.some((other, j) => j > i && other[0] === point[0] && other[1] === point[1]));
  return twin < 0 ? null : [twin, twin];
}

/** What is wrong with an outline, for people; empty where it is good. */
export function fault(points, limits = LIMITS.regions) {
  if (points.length < 3) return "An outline needs three corners or more.";
  if (points.length > limits.corners) return `An outline may have at most ${limits.corners} corners.`;
  const crossed = crossing(points);
  if (crossed) return `The outline crosses itself at edges ${crossed[0] + 1} and ${crossed[1] + 1}; put the corners in order around it.`;
  if (area(points) <= 0) return "The outline encloses nothing.";
  return area(points) < limits.area ? "The outline encloses less than 1 % of the picture; make it larger." : "";
}

/** The outline with a corner more, in the middle of an edge or at a place on it. */
export function split(points, edge, at) {
  const [ax, ay] = points[edge];
  const [bx, by] = points[(edge + 1) % points.length];
  const corner = (at || [(ax + bx) / 2, (ay + by) / 2]).map(within);
  return [...points.slice(0, edge + 1), corner, ...points.slice(edge + 1)];
}

export const moved = (points, index, to) => points.map((point, i) => (i === index ? to : point));

/** All corners by the same way, as far as the picture's border lets the whole outline go. */
export function shifted(points, dx, dy) {
  const limit = (values, way) => Math.min(1 - Math.max(...values), Math.max(-Math.min(...values), way));
  const x = limit(points.map((point) => point[0]), dx);
  const y = limit(points.map((point) => point[1]), dy);
  return points.map((point) => [within(point[0] + x), within(point[1] + y)]);
}
