// Regions over a picture: outlines in SVG, corners as buttons that mouse, finger and keyboard move alike.
import { useRef } from "preact/hooks";
import { html } from "./ui.mjs";
import { crossing, moved, shifted, snapped, split, within } from "./geometry.mjs";

const STEPS = { ArrowLeft: [-0.01, 0], ArrowRight: [0.01, 0], ArrowUp: [0, -0.01], ArrowDown: [0, 0.01] };
const LARGE = 5;
const CLICK_PX = 4;

/**
 * `regions`: [{name, points}]; `chosen`: which one is edited; `drawing`: its outline is still open; `armed`: clicks draw, whatever lies below.
 * `onChoose(index)`, `onChange(points, done)`: `done` false while a drag goes on; `onClick(point)`: a place where nothing is.
 */
export function Drawing({ word = "region", regions, chosen, drawing, armed, boxes, onChoose, onChange, onClick, children }) {
  const stage = useRef(null);
  const points = regions[chosen]?.points || [];
  const place = (pointer) => {
    const { left, top, width, height } = stage.current.getBoundingClientRect();
    return [(pointer.clientX - left) / width, (pointer.clientY - top) / height];
  };

  /** Follow a pointer until it is lifted; `step(from, to)` gives the outline. */
  const drag = (down, step, click) => {
    if (down.button) return;
    down.preventDefault();
    down.stopPropagation();
    const from = place(down);
    const start = [down.clientX, down.clientY];
    let last = null;
    const move = (pointer) => {
      if (!last && Math.hypot(pointer.clientX - start[0], pointer.clientY - start[1]) < CLICK_PX) return;
      last = step(from, place(pointer));
      onChange(last, false);
    };
    const end = (pointer) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", end);
      removeEventListener("pointercancel", end);
      if (last) onChange(last, true);
      else if (pointer.type === "pointerup") click?.(from);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", end);
    addEventListener("pointercancel", end);
  };

  const corner = (index) => ({
    onPointerDown: (down) => {
      down.currentTarget.focus();
      drag(down, (_, to) => moved(points, index, to.map(snapped)), () => drawing && index === 0 && points.length > 2 && onChange(points, true, true));
    },
    onKeyDown: (key) => {
      const step = STEPS[key.key];
      if (step) {
        key.preventDefault();
        const way = key.shiftKey ? LARGE : 1;
        onChange(moved(points, index, points[index].map((value, axis) => within(value + step[axis] * way))), true);
      } else if ((key.key === "Delete" || key.key === "Backspace") && points.length > 3) {
        key.preventDefault();
        key.stopPropagation();
        onChange(points.filter((_, i) => i !== index), true);
      }
    },
  });
  const edgeKey = (index) => (key) => {
    if (key.key !== "Enter" && key.key !== " ") return;
    key.preventDefault();
    onChange(split(points, index), true);
  };
  const bad = points.length > 2 && !drawing ? crossing(points) : null;
  // The chosen one lies on top.
  const order = regions.map((_, i) => i).filter((i) => regions[i].points.length > 0).sort((a, b) => (a === chosen) - (b === chosen));
  const outline = (list) => list.map(([x, y]) => `${x * 1000},${y * 1000}`).join(" ");

  return html`<div class="stage ${drawing ? "drawing" : ""}" data-test="region-editor" ref=${stage}
      onPointerDown=${(down) => drag(down, () => points, (at) => onClick(at.map(snapped)))}>
    ${children}
    <svg class="outlines" viewBox="0 0 1000 1000" preserveAspectRatio="none">
      ${order.map((i) => html`<polygon key=${i} class="outline ${i === chosen ? "chosen" : ""} ${i === chosen && bad ? "bad" : ""} ${i === chosen && drawing ? "open" : ""}" points=${outline(regions[i].points)}
        onPointerDown=${(down) => {
          if (drawing || (armed && i !== chosen)) return;
          if (i !== chosen) { down.stopPropagation(); down.preventDefault(); onChoose(i); } else drag(down, (from, to) => shifted(points, to[0] - from[0], to[1] - from[1]), (at) => onClick(at.map(snapped)));
        }} />`)}
      ${(boxes || []).map(({ box, kept }) => html`<rect class="found ${kept ? "kept" : "dropped"}" x=${box[0] * 1000} y=${box[1] * 1000} width=${(box[2] - box[0]) * 1000} height=${(box[3] - box[1]) * 1000} />`)}
      ${!drawing && points.map((point, i) => {
        const next = points[(i + 1) % points.length];
        return html`<line key=${`edge ${i}`} class="edge ${bad?.includes(i) ? "bad" : ""}" x1=${point[0] * 1000} y1=${point[1] * 1000} x2=${next[0] * 1000} y2=${next[1] * 1000}
          tabindex="0" role="button" aria-label="Edge ${i + 1}: Enter adds a corner" onKeyDown=${edgeKey(i)}
          onPointerDown=${(down) => drag(down, (from, to) => moved(split(points, i, from), i + 1, to.map(snapped)), (at) => onChange(split(points, i, at), true))} />`;
      })}
    </svg>
    ${regions.map((region, i) => region.points.length > 0 && html`<span key=${`name ${i}`} class="tag ${i === chosen ? "chosen" : ""}" style=${tagPlace(region.points)}>${region.name || `${word}-${i + 1}`}</span>`)}
    ${points.map(([x, y], i) => html`<button type="button" key=${`corner ${i}`} class="corner" data-test="region-point" style=${{ left: `${x * 100}%`, top: `${y * 100}%` }}
      aria-label="Corner ${i + 1} of ${points.length}, ${Math.round(x * 100)} % from the left, ${Math.round(y * 100)} % from the top" ...${corner(i)}></button>`)}
  </div>`;
}

function tagPlace(points) {
  const [x, y] = points.reduce((best, point) => (point[1] < best[1] ? point : best));
  return { left: `${Math.min(86, x * 100)}%`, top: `${Math.min(94, y * 100)}%` };
}
