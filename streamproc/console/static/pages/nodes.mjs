// The nodes that share processors: which answers, what each runs, and taking one out.
import { useState } from "preact/hooks";
import { Empty, Link, Problem, Skeleton, html, useLoaded } from "../ui.mjs";
import { get, post } from "../api.mjs";
import { cameraPath } from "../go.mjs";
import { may, now, opened, session } from "../live.mjs";

const EVERY_MS = 5_000;

export function Nodes() {
  const alone = !session.value.nodes;
  const { value, error, again } = useLoaded(() => (alone ? Promise.resolve({ nodes: [] }) : get("/api/cluster")), [opened.value, Math.floor(now.value / EVERY_MS)]);
  if (!value) return html`<h1>Nodes</h1><${Problem} error=${error} />${!error && html`<div class="card pad"><${Skeleton} /></div>`}`;
  if (alone) {
    return html`<div class="head"><h1>Nodes</h1></div><${Empty} icon="nodes" title="This node is on its own">
      <p>Nodes with the same <code>cluster</code> in streamproc.yaml share their cameras: when one is lost another goes on with what it ran.</p></${Empty}>`;
  }
  const lost = value.nodes.filter((node) => !node.alive).length;
  return html`<div class="head"><h1>Nodes</h1><span class="chip ${value.moving || lost ? "warn" : "good"}" role="status">${value.moving ? `${value.moving} of ${value.slots} slots on their way` : lost ? `${lost} does not answer` : "all slots placed"}</span></div>
    <${Problem} error=${error} />
    <ul class="plainlist stack">${value.nodes.map((node) => html`<${Node} key=${node.id} node=${node} own=${node.id === value.node} onDone=${again} />`)}</ul>`;
}

function Node({ node, own, onDone }) {
  const [state, setState] = useState({});
  const drain = async () => {
    setState({ asked: true, busy: true });
    try { await post("/api/cluster/drain", { node: node.id }); setState({ done: true }); onDone(); } catch (failed) { setState({ failed }); }
  };
  return html`<li class="card pad stack tight" data-test="node-row" data-id=${node.id}>
    <div class="row spread"><h2>${node.id}${own && html` <span class="dim">this node</span>`}</h2>
      <div class="row">${node.version && html`<span class="dim small">${node.version}</span>`}<span class="chip ${node.alive ? "good" : "bad"}">${node.alive ? `${node.slots} slots` : "does not answer"}</span></div></div>
    ${node.address && html`<p class="dim small mono">${node.address}</p>`}
    ${node.alive && node.faces && html`<p class="small"><span class="chip warn">faces are not shared</span> ${node.faces}</p>`}
    ${node.processors.length > 0
      ? html`<ul class="plainlist row">${node.processors.map((name) => html`<li key=${name}><${Link} class="chip" to=${cameraPath(name)}>${name}</${Link}></li>`)}</ul>`
      : html`<p class="dim small">${node.alive ? "Runs nothing now." : "What it ran is taken over by the others."}</p>`}
    <${Problem} error=${state.failed} />
    ${may("control") && node.alive && html`<div class="row">${state.asked
      ? html`<button class="danger" disabled=${state.busy} onClick=${drain}>Hand everything over</button><button onClick=${() => setState({})}>Keep it</button>`
      : state.done ? html`<span role="status" class="chip good">Handed over; it joins again when it is restarted</span>` : html`<button onClick=${() => setState({ asked: true })}>Take out</button>`}</div>`}</li>`;
}
