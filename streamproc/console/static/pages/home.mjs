// Every camera at a glance.
import { useEffect, useRef, useState } from "preact/hooks";
import { Crop, Empty, Link, Picture, Skeleton, State, age, headline, html, percent } from "../ui.mjs";
import { address, api, get, still } from "../api.mjs";
import { cameraPath } from "../go.mjs";
import { Mode } from "./mode.mjs";
import { listen, may, now, opened, processors } from "../live.mjs";

const STILL_EVERY_MS = 10_000;
/** A picture that is so much older than the time between two is not how things are. */
const LATE_MS = 10_000;
const EXAMPLE = `# processors/front-door.yaml
source: {type: rtsp, url: "rtsp://192.168.1.20/stream1"}
labels: {classes: [PERSON, PET, PACKAGE]}`;

const tagsOf = (processor) => Object.entries(processor.tags || {}).map(([key, value]) => `${key}: ${value}`);

export function Home() {
  const all = processors.value;
  const [last, setLast] = useState({});
  const [wanted, setWanted] = useState("");
  const [tag, setTag] = useState("");
  useEffect(() => listen("event", (event) => event.crop && setLast((before) => ({ ...before, [event.processor]: event }))), []);
  const names = (all || []).map((processor) => processor.name).join("\n");
  useEffect(() => {
    for (const name of names ? names.split("\n") : []) {
      get(address("/api/events", { processor: name, limit: 5 })).then(
        ({ events }) => {
          const found = events.find((event) => event.crop);
          if (found) setLast((before) => ({ [name]: found, ...before }));
        },
        () => {},
      );
    }
  }, [names, opened.value]);
  if (!all) return html`<h1>Cameras</h1><div class="cameras">${[1, 2, 3].map((i) => html`<div class="card pad" key=${i}><${Skeleton} lines=${4} /></div>`)}</div>`;
  const tags = [...new Set(all.flatMap(tagsOf))].sort();
  const shown = all.filter((processor) => [processor.name, ...tagsOf(processor)].some((words) => words.toLowerCase().includes(wanted.toLowerCase())) && (!tag || tagsOf(processor).includes(tag)));
  const running = all.filter((processor) => processor.state === "running").length;
  return html`
    <div class="head"><h1>Cameras</h1>${all.length > 0 && html`<span class="dim">${running} of ${all.length} running</span>`}
      <div class="actions">${all.length > 6 && html`<label class="field"><span class="visually-hidden">Find a camera</span>
        <input type="search" placeholder="Find" value=${wanted} onInput=${(input) => setWanted(input.target.value)} /></label>`}
        ${tags.length > 1 && html`<label class="field"><span class="visually-hidden">Tag</span><select value=${tag} onChange=${(input) => setTag(input.target.value)}>
          <option value="">All tags</option>${tags.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}</select></label>`}
        ${all.length > 1 && html`<${Mode} cameras=${shown} label=${shown.length < all.length ? "Mode of the cameras shown" : "Mode of all cameras"} />`}
        ${all.length > 0 && may("control") && html`<a class="button main" href="/console/add">Add</a>`}</div>
    </div>
    ${all.length > 0 && html`<${Node} />`}
    ${all.length === 0
      ? html`<${Empty} icon="camera" title="No camera yet">
          ${may("control") ? html`<p>All it takes is the camera's address. Its picture is here a few seconds later.</p><a class="button main" href="/console/add">Add a camera</a>` : html`<p>Somebody with the role control can add one.</p>`}
          <details><summary>or write a file</summary><p>Put it into the config folder's <code>processors</code>; it is read at once, and its name becomes the camera's.</p><pre>${EXAMPLE}</pre></details></${Empty}>`
      : shown.length === 0 ? html`<p class="dim">No camera is called so, or has such a tag. <button class="plain" onClick=${() => { setWanted(""); setTag(""); }}>Show all</button></p>`
      : html`<div class="cameras">${shown.map((processor) => html`<${Card} key=${processor.name} processor=${processor} event=${last[processor.name]} />`)}</div>`}`;
}

const NODE_EVERY_MS = 10_000;
const gigabytes = (bytes) => (bytes < 1e11 ? (bytes / 1e9).toFixed(1) : Math.round(bytes / 1e9));

/** The node itself in a line. */
function Node() {
  const [node, setNode] = useState(null);
  const turn = Math.floor(now.value / NODE_EVERY_MS);
  useEffect(() => {
    if (!document.hidden) get("/api/node").then(setNode, () => {});
  }, [turn, opened.value]);
  if (!node) return html`<p class="node small"><span class="skeleton" style=${{ width: "260px" }} /></p>`;
  const { cpu, cpu_target: target, eased, waiting, disk } = node;
  const full = disk.free < disk.total * 0.05;
  return html`<dl class="node small" data-test="node">
    <div><dt>Node</dt><dd>${node.name} <span class="dim">${node.version}</span></dd></div>
    <div><dt>CPU</dt><dd><span class="meter" aria-hidden="true"><div class=${target && cpu > target ? "short" : "reached"} style=${{ width: `${Math.min(100, cpu)}%` }} />${target && html`<i style=${{ left: `${target}%` }} />`}</span>
      ${cpu} %${target ? html` <span class="dim">of at most ${target} %</span>` : ""}${eased.length > 0 && html` <span class="chip warn">eased</span>`}</dd></div>
    <div><dt>Deliveries</dt><dd>${waiting ? html`<a href="/console/outputs">${waiting} wait</a>` : "none wait"}</dd></div>
    <div><dt>Disk</dt><dd class=${full ? "bad-text" : ""}>${gigabytes(disk.free)} GB free</dd></div></dl>`;
}

function Card({ processor, event }) {
  const { name } = processor;
  return html`<article class="card camera" data-test="camera-card" data-name=${name}>
    <${Link} class="view" to=${cameraPath(name)} aria-label="Open ${name}"><${Still} name=${name} running=${processor.state === "running"} /></${Link}>
    <div class="body">
      <div class="row spread"><h2><${Link} to=${cameraPath(name)}>${name}</${Link}></h2><${State} processor=${processor} /></div>
      ${event
        ? html`<${Link} class="last" to="/console/events/${encodeURIComponent(event.id)}">
            <${Crop} event=${event} className="thumb" /><span><b>${headline(event)}</b> ${percent(event.confidence)}
            <span class="dim small">${age(event.time)}${event.region ? ` · ${event.region}` : ""}</span></span></${Link}>`
        : html`<p class="dim small">${processor.message || (processor.source?.state !== "running" && processor.source?.why) || "Nothing announced yet"}</p>`}
      <div class="row"><${Link} class="button" to=${cameraPath(name, "/regions")}>Regions</${Link}
        ><${Link} class="button" to=${address("/console/events", { processor: name })}>History</${Link}></div>
    </div>
  </article>`;
}

/** The newest picture of a camera, loaded anew now and then while it is in view; grey, with its age, where it is no longer how things are. */
export function Still({ name, running, every = STILL_EVERY_MS, width = 640, onLoad }) {
  const frame = useRef(null);
  const [seen, setSeen] = useState(false);
  const [newest, setNewest] = useState(null);
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => setSeen(entry.isIntersecting));
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  const turn = running ? Math.floor(now.value / every) : 0;
  useEffect(() => {
    if (!seen || document.hidden) return undefined;
    let mine = true;
    still(api(name, `/still.jpg?width=${width}`)).then((found) => (mine ? setNewest(found) : URL.revokeObjectURL(found.url)), () => {});
    return () => { mine = false; };
  }, [name, seen, turn]);
  useEffect(() => () => newest && URL.revokeObjectURL(newest.url), [newest]);
  const late = newest && now.value - newest.at > every + LATE_MS;
  return html`<div class="still ${late ? "late" : ""}" ref=${frame}><${Picture} src=${newest?.url} alt="Newest picture of ${name}" onLoad=${onLoad} />
    ${late && html`<span class="when">${age(newest.at)}</span>`}</div>`;
}
