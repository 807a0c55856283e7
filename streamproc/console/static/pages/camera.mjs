// One camera: its picture, how it stands, what it announced.
import { useEffect, useState } from "preact/hooks";
import { Problem, Skeleton, State, age, clock, html, useLoaded, words } from "../ui.mjs";
import { address, api, get, post } from "../api.mjs";
import { cameraPath } from "../go.mjs";
import { may, now, opened, processors } from "../live.mjs";
import { Chart } from "../chart.mjs";
import { Outlines, Player } from "../player.mjs";
import { Row, useEvents } from "./events.mjs";
import { Still } from "./home.mjs";
import { Mode, standing } from "./mode.mjs";

const STILL_MS = 5000;
const HEAD = 12;
const EASED = { second_look: "no second look", half_rate: "half the rate", quarter_rate: "a quarter of the rate" };
const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

export function Camera({ name }) {
  const known = (processors.value || []).find((processor) => processor.name === name);
  const { value, error, again } = useLoaded(() => get(api(name)), [name, known?.state, known?.updated, opened.value]);
  const regions = useLoaded(() => get(api(name, "/regions")), [name, known?.updated]);
  const [live, setLive] = useState(true);
  const [lost, setLost] = useState(null);
  const [show, setShow] = useState({ regions: true, boxes: true });
  const [failed, setFailed] = useState(null);
  const told = useEvents({ processor: name }, HEAD);
  const processor = known ? { ...value, ...known } : value;
  const act = async (verb) => {
    setFailed(null);
    try {
      await post(api(name, `/${verb}`));
      again();
    } catch (refused) { setFailed(refused); }
  };
  if (!processor) return html`<h1>${name}</h1><${Problem} error=${error} />${error && html`<p><a href="/console/">To the cameras</a></p>`}${!error && html`<div class="card pad"><${Skeleton} lines=${6} /></div>`}`;
  const running = ["running", "starting"].includes(processor.state);
  const toggle = (key) => html`<label class="check"><input type="checkbox" checked=${show[key]} onChange=${() => setShow({ ...show, [key]: !show[key] })} />${capital(key)}</label>`;
  const drawn = regions.value?.regions || [];
  return html`<div class="head"><a class="crumb" href="/console/">Cameras</a><span class="dim" aria-hidden="true">/</span><h1>${name}</h1><${State} processor=${processor} />
      <div class="actions"><a class="button main" href=${cameraPath(name, "/regions")}>Regions</a>
        <a class="button" href=${address("/console/why", { camera: name })}>Why</a>
        ${may("control") && html`<button onClick=${() => act(running ? "stop" : "start")}>${running ? "Stop" : "Start"}</button>`}</div></div>
    <${Problem} error=${failed} />
    ${processor.message && html`<p class="note ${processor.state === "running" ? "warn" : "bad"}">${processor.message}${processor.state === "refused" && may("admin") && html` <a href=${address("/console/settings", { file: `processors/${name}.yaml` })}>Fix its file</a>`}</p>`}
    ${(processor.source?.type || processor.config?.source?.type) === "webrtc" && may("publish") && html`<p class="note row spread"><span>A phone or browser is this camera, once it opens <span class="mono">/publish/${name}</span>.</span>
      <a class="button" href="/publish/${encodeURIComponent(name)}" target="_blank" rel="noopener">Be it with this device</a></p>`}
    <div class="watch">
      <div class="stack">
        <div class="card picture">${live && !lost && processor.state === "running"
          ? html`<${Player} name=${name} regions=${drawn} show=${show} onFail=${setLost}><${Still} name=${name} running=${running} every=${STILL_MS} width=${1280} /></${Player}>`
          : html`<div class="player"><${Still} name=${name} running=${running} every=${STILL_MS} width=${1280} />${show.regions && html`<${Outlines} regions=${drawn} />`}</div>`}</div>
        <div class="row"><label class="check"><input type="checkbox" checked=${live && !lost} onChange=${() => { setLive(lost ? true : !live); setLost(null); }} />Live</label>${toggle("regions")}${toggle("boxes")}
          ${running && html`<a class="push small" href="/watch/${encodeURIComponent(name)}" target="_blank" rel="noopener">Alone in a window</a>`}
          ${lost && html`<span class="dim small">No live picture (${lost.message || "refused"}); a still every ${STILL_MS / 1000} s.</span>`}</div>
        ${processor.schedule && html`<section class="card pad row spread"><span data-test="standing">${standing(processor.schedule)}</span><${Mode} cameras=${[processor]} onSaid=${again} /></section>`}
        <${Now} processor=${processor} />
        <${Numbers} name=${name} running=${running} />
      </div>
      <section class="stack tight"><div class="row spread"><h2>Lately</h2><a href=${address("/console/events", { processor: name })}>All of them</a></div>
        <div class="card list"><ol>${(told.events || []).slice(0, HEAD).map((event) => html`<${Row} key=${event.id} event=${event} bare to="/console/events/${encodeURIComponent(event.id)}" />`)}
          ${told.events?.length === 0 && html`<li class="pad dim">Nothing announced yet.</li>`}</ol></div></section>
    </div>`;
}

function Now({ processor }) {
  const { session, source, metrics = {}, config = {} } = processor;
  const announced = Object.entries(session?.announced || {});
  const counts = Object.entries(session?.counts || {}).filter(([, count]) => count);
  return html`<section class="card pad"><dl class="facts">
    <dt>Source</dt><dd>${source?.type || config.source?.type} <span class="dim">${source?.why || source?.state || ""}</span></dd>
    ${config.labels && html`<dt>Looks for</dt><dd>${config.labels.classes?.join(", ").toLowerCase()}, at ${config.labels.min_confidence} % or more</dd>`}
    ${config.faces && may("review") && html`<dt>Faces</dt><dd>of the collection ${config.faces.collection}</dd>`}
    ${session && html`<dt>Session</dt><dd><span class="mono">${session.id}</span></dd>`}
    ${counts.length > 0 && html`<dt>Counted</dt><dd>${counts.map(([label, count]) => `${count} ${label.toLowerCase()}`).join(", ")}</dd>`}
    ${announced.length > 0 && html`<dt>Announced</dt><dd>${announced.map(([label, time]) => html`<div key=${label}>${label.toLowerCase().replace(/^face_\w+:/, "")} at ${clock(time)} <span class="dim">${age(time)}</span></div>`)}</dd>`}
    ${processor.tags && Object.keys(processor.tags).length > 0 && html`<dt>Tags</dt><dd>${Object.entries(processor.tags).map(([key, value]) => `${key}: ${value}`).join(", ")}</dd>`}
    ${metrics.fps != null && html`<dt>Looked at</dt><dd>${metrics.fps} frames a second</dd>`}
    ${metrics.latency_p95_ms != null && html`<dt>Latency</dt><dd>${Math.round(metrics.latency_p50_ms)} ms, 95 % within ${Math.round(metrics.latency_p95_ms)} ms</dd>`}
    ${Object.entries(metrics.drops || {}).some(([, count]) => count) && html`<dt>Dropped</dt><dd>${Object.entries(metrics.drops).map(([reason, count]) => `${count} ${reason}`).join(", ")}</dd>`}
    ${metrics.eased?.length > 0 && html`<dt>Eased</dt><dd>${metrics.eased.map((one) => `${EASED[one.step] || words(one.step)} (${one.why})`).join("; ")}</dd>`}
  </dl></section>`;
}

const SAMPLE_MS = 5000;
const SAMPLES = 240;

/** Figures of the camera since the page was opened: the node itself keeps none but the latest; Prometheus keeps them for good. */
function Numbers({ name, running }) {
  const [samples, setSamples] = useState([]);
  const turn = Math.floor(now.value / SAMPLE_MS);
  useEffect(() => {
    if (!running || document.hidden) return;
    get(api(name)).then(({ metrics }) => metrics && setSamples((before) => [...before, { at: Date.now(), ...metrics, lost: Object.values(metrics.drops || {}).reduce((sum, count) => sum + count, 0) }].slice(-SAMPLES)), () => {});
  }, [turn]);
  if (samples.length < 2) return null;
  const since = samples.map((one, i) => ({ at: one.at, value: i ? Math.max(0, one.lost - samples[i - 1].lost) : 0 }));
  const of = (key) => samples.filter((one) => one[key] != null).map((one) => ({ at: one.at, value: one[key] }));
  return html`<section class="card pad stack"><div class="row spread"><h2>Numbers</h2><span class="dim small">since this page was opened</span></div><div class="charts">
    <${Chart} title="Frames looked at a second" points=${of("fps")} digits=${1} />
    <${Chart} title="Latency, 95 % within, ms" points=${of("latency_p95_ms")} />
    <${Chart} title="Dropped in five seconds" points=${since} /></div></section>`;
}
