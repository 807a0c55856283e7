// The camera's recording with the drawn regions: asked for, followed, cancelled, and what would have been otherwise.
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, Problem, clock, day, headline, html, percent } from "../ui.mjs";
import { address, api, get, post, remove } from "../api.mjs";
import { may, now } from "../live.mjs";

const POLL_MS = 1000;
const SPANS = { "2m": "2 minutes", "10m": "10 minutes", "1h": "hour", "6h": "6 hours", "24h": "day" };
const SIGNS = { appears: ["warn", "appears"], vanishes: ["bad", "vanishes"], moves: ["", "moves"] };
const MOST_ROWS = 60;

const moment = (time) => `${day(time)}, ${clock(time)}`;

/** How long it may still take, out of how long it has taken. */
function left(replay) {
  if (replay.progress < 0.02) return "";
  const seconds = (Math.max(now.value, Date.now()) - new Date(replay.began).getTime()) / 1000 * (1 / replay.progress - 1);
  return seconds < 90 ? `, about ${Math.max(1, Math.round(seconds))} s left` : `, about ${Math.round(seconds / 60)} min left`;
}

/** Rows of a comparison, newest first. */
const rowsOf = (found) => [
  ...found.appears.map((event) => ({ kind: "appears", event })),
  ...found.vanishes.map((event) => ({ kind: "vanishes", event })),
  ...found.moves.map(({ before, after }) => ({ kind: "moves", event: after, before })),
].sort((one, other) => (one.event.time < other.event.time ? 1 : -1));

/** `regions`: as they would be saved. `tried`: the events were tried already. `onShow(boxes)`: draw these. */
export function Recording({ name, regions, blocked, tried, onShow }) {
  const [state, setState] = useState(null);
  const [span, setSpan] = useState("10m");
  const [failed, setFailed] = useState(null);
  const asked = useRef(null);
  const drawn = JSON.stringify(regions);
  const replay = state?.replay;
  const going = replay?.state === "running";
  const take = (answer) => {
    setState(answer);
    const found = answer.replay?.found;
    if (found && asked.current) onShow(rowsOf(found).slice(0, MOST_ROWS).map(({ kind, event }) => ({ box: event.box, kept: kind !== "vanishes" })));
  };
  const act = async (work) => {
    setFailed(null);
    try { take(await work()); } catch (refused) { setFailed(refused); }
  };
  const path = api(name, "/regions/replay");
  useEffect(() => { act(() => get(path)); }, [name]);
  useEffect(() => {
    const timer = going ? setTimeout(() => act(() => get(path)), POLL_MS) : 0;
    return () => clearTimeout(timer);
  }, [state]);
  const begin = () => {
    asked.current = drawn;
    onShow(null);
    act(() => post(path, { regions, for: span }));
  };
  if (!state?.recording) {
    return tried && state && html`<p class="dim small">This camera is not recorded. With <code>record: {keep: 24h}</code> in its document the recording can be replayed here with other regions.</p>`;
  }
  const elsewhere = state.busy && state.busy !== name;
  return html`<section class="card pad stack" data-test="recording"><h2>The recording with these regions</h2>
    <p class="dim small">Recorded since ${moment(state.recording.from)}. A replay runs the whole analysis twice, with the regions as saved and as drawn, and gives way to the cameras.</p>
    ${may("control") && !going && html`<div class="row"><label class="field inline">The newest<select value=${span} onChange=${(input) => setSpan(input.target.value)}>
        ${Object.entries(SPANS).map(([value, words]) => html`<option key=${value} value=${value} selected=${value === span}>${words}</option>`)}</select></label>
      <button onClick=${begin} disabled=${blocked || elsewhere}>Replay</button>${elsewhere && html`<span class="dim small">A recording of ${state.busy} is being replayed.</span>`}</div>`}
    ${going && html`<div class="row"><progress aria-label="Progress of the replay" max="1" value=${replay.progress || undefined}></progress>
      <span class="dim small">${moment(replay.from)} to ${clock(replay.to)}: ${Math.round(replay.progress * 100)} %${left(replay)}</span>
      ${may("control") && html`<button class="plain danger" onClick=${() => act(() => remove(path))}>Cancel</button>`}</div>`}
    <${Problem} error=${failed} />
    ${replay?.state === "failed" && html`<p class="note bad" role="alert">${replay.message}</p>`}
    ${replay?.state === "cancelled" && html`<p class="note" role="status">Cancelled at ${Math.round(replay.progress * 100)} %.</p>`}
    ${replay?.found && html`<${Found} name=${name} replay=${replay} old=${asked.current !== drawn} />`}
  </section>`;
}

function Found({ name, replay, old }) {
  const { found } = replay;
  const rows = rowsOf(found);
  return html`<div class="stack tight" aria-live="polite" data-test="replayed">
    <p><b>${found.appears.length} would appear</b>, <b class=${found.vanishes.length ? "bad-text" : ""}>${found.vanishes.length} would vanish</b>, <b>${found.moves.length} would move</b>;
      ${" "}<span class="dim">${found.same} stay as they are (${moment(replay.from)} to ${clock(replay.to)}).</span></p>
    ${old && html`<p class="note warn small">Of regions as they were drawn when this replay began.</p>`}
    <ul class="plainlist tried">${rows.slice(0, MOST_ROWS).map(({ kind, event, before }) => html`<li key=${`${kind} ${event.id}`}><a href=${address("/console/why", { camera: name, at: event.time })}>
      ${event.crop ? html`<img class="thumb" src="data:image/jpeg;base64,${event.crop}" alt="" />` : html`<span class="sign thumb"><${Icon} name="regions" /></span>`}
      <span class="chip ${SIGNS[kind][0]}">${SIGNS[kind][1]}</span>
      <span class="small dim">${headline(event)} ${percent(event.confidence)} ${clock(event.time)}${before ? `, ${before.region || "the picture"} at ${clock(before.time)} before, ${event.region || "the picture"} now` : event.region ? ` in ${event.region}` : ""}</span></a></li>`)}</ul>
    ${rows.length > MOST_ROWS && html`<p class="dim small">${rows.length - MOST_ROWS} more are not shown; a shorter part of the recording shows all of its own.</p>`}</div>`;
}
