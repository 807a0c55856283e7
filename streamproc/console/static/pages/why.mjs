// Why something was, or was not, announced: the trace of an instant in sentences.
import { useState } from "preact/hooks";
import { Empty, Picture, Problem, Skeleton, clock, html, useLoaded } from "../ui.mjs";
import { address, api, get } from "../api.mjs";
import { cameraPath, go } from "../go.mjs";
import { processors } from "../live.mjs";

const SETTINGS = { score: "min_confidence", evidence: "labels.evidence", region: "regions", schedule: "schedule", mask: "masks", motion: "labels.motion_gate", announced: "session" };
const GATES = {
  motion: "nothing moved", detector: "too faint", score: "not sure enough", evidence: "too few looks", region: "in no region",
  announced: "announced already", schedule: "outside its hours", mask: "behind a mask", capacity: "too much to do",
};
const WINDOWS = ["5s", "10s", "30s", "2m", "10m"];

const local = (time) => {
  const at = time ? new Date(time) : new Date();
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
};

export function Why({ query }) {
  const names = (processors.value || []).map((processor) => processor.name);
  const camera = query.camera || query.processor || names[0] || "";
  const span = query.window || "10s";
  const move = (changed) => go(address("/console/why", { camera, at: query.at, window: query.window, ...changed }), true);
  return html`<div class="head"><h1>Why</h1><span class="dim">was something announced, or not?</span></div>
    <form class="filters wide" onSubmit=${(submit) => submit.preventDefault()}>
      <label class="field">Camera<select value=${camera} onChange=${(input) => move({ camera: input.target.value })}>${names.map((name) => html`<option key=${name} value=${name} selected=${name === camera}>${name}</option>`)}</select></label>
      <label class="field">At<input type="datetime-local" step="1" value=${local(query.at)} onChange=${(input) => input.target.value && move({ at: new Date(input.target.value).toISOString() })} /></label>
      <label class="field">Around it<select value=${span} onChange=${(input) => move({ window: input.target.value })}>${WINDOWS.map((one) => html`<option key=${one} value=${one} selected=${one === span}>${one}</option>`)}</select></label>
      <button type="button" onClick=${() => move({ at: new Date().toISOString() })}>Now</button>
    </form>
    <div data-test="why" class="stack">${camera
      ? html`<${Answer} camera=${camera} at=${query.at} span=${span} />`
      : html`<${Empty} icon="why" title="No camera yet"><p>Once a camera runs, ask here about any instant that the node still remembers.</p></${Empty}>`}</div>`;
}

function Answer({ camera, at, span }) {
  const { value, error } = useLoaded(() => get(address(api(camera, "/explain"), { at, window: span })), [camera, at, span]);
  const [pointed, setPointed] = useState(null);
  if (error) return html`<${Problem} error=${error.status === 404 ? new Error(`Nothing is remembered of ${camera} at that instant.`) : error} />`;
  if (!value) return html`<div class="card pad"><${Skeleton} lines=${4} /></div>`;
  return html`
    <section class="card pad stack"><p class="said">${value.text}</p>
      <dl class="row counts">${Object.entries(value.frames || {}).map(([key, count]) => html`<div key=${key}><dt class="dim small">${key}</dt><dd>${count}</dd></div>`)}
        <div><dt class="dim small">from</dt><dd>${clock(value.from)}</dd></div><div><dt class="dim small">to</dt><dd>${clock(value.to)}</dd></div></dl>
    </section>
    ${value.candidates?.length > 0 && html`<section class="why-grid">
      <ol class="card list">${value.candidates.map((one, i) => html`<${Candidate} key=${i} candidate=${one} camera=${camera} onPoint=${setPointed} />`)}</ol>
      ${value.candidates.some((one) => one.box) && html`<${Places} camera=${camera} candidates=${value.candidates} pointed=${pointed} />`}</section>`}`;
}

const number = (value) => (typeof value === "number" ? String(Math.round(value * 100) / 100) : value);

const Candidate = ({ candidate: one, camera, onPoint }) => html`<li class="candidate" onMouseEnter=${() => onPoint(one)} onMouseLeave=${() => onPoint(null)}>
  <div class="row"><span class="chip ${one.outcome === "announced" ? "good" : one.gate === "announced" ? "" : "bad"}" data-gate=${one.gate}>${one.outcome === "announced" ? "announced" : GATES[one.gate] || one.gate}</span>
    ${one.class && html`<b class="class-${one.class}">${one.class}</b>`}<time class="dim small">${clock(one.at)}</time></div>
  <p>${one.text}</p>
  ${one.measured != null && one.threshold != null && html`<div class="measure"><${Meter} measured=${one.measured} threshold=${one.threshold} /><span class="small dim">measured ${number(one.measured)}, needed ${number(one.threshold)}</span></div>`}
  ${one.outcome !== "announced" && SETTINGS[one.gate] && html`<a class="small" href=${one.gate === "region" ? cameraPath(camera, "/regions") : address("/console/settings", { file: `processors/${camera}.yaml` })}>Change ${SETTINGS[one.gate]}</a>`}
</li>`;

function Meter({ measured, threshold }) {
  if (typeof measured !== "number" || typeof threshold !== "number") return null;
  const most = Math.max(measured, threshold) * 1.15 || 1;
  return html`<div class="meter" aria-hidden="true"><div class=${measured >= threshold ? "reached" : "short"} style=${{ width: `${(measured / most) * 100}%` }} /><i style=${{ left: `${(threshold / most) * 100}%` }} /></div>`;
}

/** Where the candidates were, over the camera's newest picture. */
const Places = ({ camera, candidates, pointed }) => html`<figure class="card places"><div class="hero"><${Picture} src=${api(camera, "/still.jpg")} alt="Where the candidates were, over the newest picture" />
  <svg class="outlines" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">${candidates.filter((one) => one.box).slice(0, 50).map(({ box, outcome }, i) => html`
    <rect key=${i} class="found ${outcome === "announced" ? "kept" : "dropped"} ${pointed?.box === box ? "pointed" : ""}" x=${box[0] * 1000} y=${box[1] * 1000} width=${(box[2] - box[0]) * 1000} height=${(box[3] - box[1]) * 1000} />`)}</svg></div>
  <figcaption class="small dim">Where the candidates were, drawn over the newest picture, which is another one. Point at a candidate to see its box.</figcaption></figure>`;
