// A line over time as SVG: enough for a handful of figures, in 40 lines instead of a library's 50 KB.
import { clock, html } from "./ui.mjs";

const WIDTH = 300;
const HEIGHT = 64;

/** `points`: [{at, value}], oldest first; `at` in milliseconds. What it shows is also said in words. */
export function Chart({ title, points, digits = 0 }) {
  if (!points.length) return null;
  const values = points.map((point) => point.value);
  const [most, newest] = [Math.max(...values), values.at(-1)];
  const [first, last] = [points[0].at, points.at(-1).at];
  const x = (at) => (last > first ? ((at - first) / (last - first)) * WIDTH : WIDTH);
  const y = (value) => HEIGHT - 2 - (most > 0 ? (value / most) * (HEIGHT - 6) : 0);
  const line = points.map(({ at, value }) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  const said = (value) => value.toFixed(digits);
  return html`<figure class="chart"><figcaption><span>${title}</span><b>${said(newest)}</b></figcaption>
    <svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}: now ${said(newest)}, at most ${said(most)} since ${clock(first)}">
      <polygon class="area" points="0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}" /><polyline class="line" points=${line} /></svg>
    <div class="row spread dim small"><span>${clock(first)}</span><span>at most ${said(most)}</span></div></figure>`;
}
