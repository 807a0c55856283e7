// Who is told: what waits, what was refused, and a try.
import { useState } from "preact/hooks";
import { Empty, Problem, Skeleton, age, clock, headline, html, useLoaded } from "../ui.mjs";
import { get, post } from "../api.mjs";
import { may, now, opened } from "../live.mjs";

const EVERY_MS = 10_000;
const place = (output, rest) => `/api/outputs/${encodeURIComponent(output.processor)}/${encodeURIComponent(output.name)}/${rest}`;

export function Outputs() {
  const { value, error, again } = useLoaded(() => get("/api/outputs"), [opened.value, Math.floor(now.value / EVERY_MS)]);
  if (!value) return html`<h1>Outputs</h1><${Problem} error=${error} />${!error && html`<div class="card pad"><${Skeleton} /></div>`}`;
  return html`<div class="head"><h1>Outputs</h1></div>
    ${value.outputs.length === 0 ? html`<${Empty} icon="outputs" title="Nobody is told yet"><p>Give a camera <code>outputs</code>: a file, a webhook, Kafka, MQTT and others. Events are kept here whether or not there are any.</p></${Empty}>`
      : html`<ul class="plainlist stack">${value.outputs.map((output) => html`<${Output} key=${output.output} output=${output} onDone=${again} />`)}</ul>`}`;
}

function Output({ output, onDone }) {
  const [tried, setTried] = useState(null);
  const [failed, setFailed] = useState(null);
  const [wide, setWide] = useState(false);
  const test = async () => {
    setTried({ busy: true });
    try { setTried(await post(place(output, "test"))); } catch (refused) { setTried(null); setFailed(refused); }
  };
  return html`<li class="card pad stack tight"><div class="row spread"><h2>${output.processor} <span class="dim">to</span> ${output.name}</h2>
      <div class="row">${output.type ? html`<span class="dim">${output.type}</span>` : html`<span class="chip warn">not configured any more</span>`}
        ${output.dead > 0 && html`<span class="chip bad">${output.dead} refused</span>`}<span class="chip ${output.waiting ? "warn" : "good"}">${output.waiting ? `${output.waiting} waiting` : "all delivered"}</span></div></div>
    ${output.oldest && html`<p class="dim small">The oldest waits since ${age(output.oldest)}.</p>`}
    ${output.last_error && html`<p class="small bad-text">${output.last_error}</p>`}
    <${Problem} error=${failed} />
    <div class="row">${may("control") && output.type && html`<button onClick=${test} disabled=${tried?.busy}>Send a test event</button>`}
      ${output.dead > 0 && html`<button onClick=${() => setWide(!wide)} aria-expanded=${wide}>Refused events</button>`}
      ${tried && !tried.busy && html`<span role="status" class="chip ${tried.delivered ? "good" : "bad"}">${tried.delivered ? `delivered in ${tried.ms} ms` : tried.error}</span>`}</div>
    ${wide && html`<${Dead} output=${output} onDone=${onDone} />`}</li>`;
}

function Dead({ output, onDone }) {
  const { value, error, again } = useLoaded(() => get(place(output, "deliveries?state=dead")), [output.output, output.dead]);
  const [failed, setFailed] = useState(null);
  const act = (verb, body) => async () => {
    try { await post(place(output, verb), body); again(); onDone(); } catch (refused) { setFailed(refused); }
  };
  if (!value) return error ? html`<${Problem} error=${error} />` : html`<${Skeleton} />`;
  return html`<div class="scroll"><table class="table"><thead><tr><th scope="col">When</th><th scope="col">Event</th><th scope="col">Why it was refused</th><th scope="col"><span class="visually-hidden">Do</span></th></tr></thead><tbody>
    ${value.deliveries.map(({ event, reason, stored }) => html`<tr key=${event.id}><td class="nowrap">${clock(stored)}</td><td><a href="/console/events/${encodeURIComponent(event.id)}">${headline(event)}</a></td><td class="small">${reason}</td>
      <td>${may("control") && html`<div class="row"><button onClick=${act("retry", { event: event.id })}>Retry</button><button class="danger" onClick=${act("drop", { event: event.id })}>Drop</button></div>`}</td></tr>`)}</tbody></table></div>
    <${Problem} error=${failed} />${may("control") && html`<div class="row"><button onClick=${act("retry", {})}>Retry all</button></div>`}`;
}
