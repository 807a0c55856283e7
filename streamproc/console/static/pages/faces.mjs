// People: who is known, who was seen and is not, and what an enrolment would change before it is made.
import { useState } from "preact/hooks";
import { Crop, Empty, Picture, Problem, Skeleton, age, clock, headline, html, percent, useLoaded } from "../ui.mjs";
import { address, get, post, remove, upload } from "../api.mjs";
import { go } from "../go.mjs";
import { opened } from "../live.mjs";

const FIRST = "family";
const faces = (collection, rest = "") => `/api/faces/${encodeURIComponent(collection)}${rest}`;
const feedback = (event, body) => post(`/api/events/${encodeURIComponent(event.id)}/feedback`, body);

export function Faces({ query }) {
  const { value, error, again } = useLoaded(() => get("/api/faces"), [opened.value]);
  const [failed, setFailed] = useState(null);
  const names = (value?.collections || []).map((collection) => collection.name);
  const chosen = names.includes(query.collection) ? query.collection : names[0];
  const create = async (submit) => {
    submit.preventDefault();
    const name = new FormData(submit.target).get("name");
    try {
      await post("/api/faces", { name });
      setFailed(null);
      again();
      go(address("/console/faces", { collection: name }), true);
    } catch (refused) { setFailed(refused); }
  };
  if (!value) return html`<h1>Faces</h1><${Problem} error=${error} />${!error && html`<div class="card pad"><${Skeleton} /></div>`}`;
  return html`<div class="head"><h1>Faces</h1>${names.length > 0 && html`<label class="field inline">Collection<select value=${chosen} onChange=${(input) => go(address("/console/faces", { collection: input.target.value }))}>
      ${names.map((name) => html`<option key=${name} value=${name} selected=${name === chosen}>${name}</option>`)}</select></label>`}
      <form class="actions" onSubmit=${create}><label class="field"><span class="visually-hidden">Name of a new collection</span><input name="name" placeholder="new collection" pattern="[a-zA-Z0-9_.\\-]+" required /></label><button>Create</button></form></div>
    <${Problem} error=${failed} />
    ${chosen ? html`<${Collection} key=${chosen} name=${chosen} />` : html`<${Enrol} collection=${FIRST} create=${true} onDone=${again} /><${Empty} icon="faces" title="No collection yet">
      <p>A collection holds the people that cameras shall know, such as <code>family</code>. Enrol a photo above, which makes the collection <code>${FIRST}</code>, or create another; then name it in a camera's <code>faces</code>.</p></${Empty}>`}`;
}

function Collection({ name }) {
  const people = useLoaded(() => get(faces(name, "/people")), [name]);
  const audit = useLoaded(() => get(faces(name, "/audit")), [name, people.value]);
  return html`<${Enrol} collection=${name} onDone=${people.again} />
    <section class="stack tight"><h2>People</h2><${Problem} error=${people.error} />
      ${!people.value ? html`<${Skeleton} />` : people.value.people.length === 0 ? html`<p class="dim">Nobody yet. Enrol a photo above, or name an unknown face below.</p>`
        : html`<ul class="plainlist people">${people.value.people.map((person) => html`<${Person} key=${person.name} person=${person} collection=${name} audit=${audit.value} onDone=${people.again} />`)}</ul>`}
    </section>
    ${audit.value && html`<${Trust} audit=${audit.value} />`}
    <${Unknown} collection=${name} onDone=${people.again} names=${(people.value?.people || []).map((person) => person.name)} />
    <${Matches} names=${(people.value?.people || []).map((person) => person.name)} onDone=${people.again} />`;
}

function Person({ person, collection, audit, onDone }) {
  const [failed, setFailed] = useState(null);
  const [sure, setSure] = useState(false);
  const pair = (audit?.pairs || []).find((one) => one.person === person.name || one.other === person.name);
  const drop = async () => {
    if (!sure) return setSure(true);
    try {
      await remove(faces(collection, `/people/${encodeURIComponent(person.name)}`));
      return onDone();
    } catch (refused) { return setFailed(refused); }
  };
  return html`<li class="card person" data-test="face-person" data-name=${person.name}>
    <${Picture} className="portrait" src=${person.picture} alt="Best picture of ${person.name}" />
    <div class="stack tight"><b>${person.name}</b><span class="dim small">${person.faces} ${person.faces === 1 ? "photo" : "photos"}${person.last_seen ? `, seen ${age(person.last_seen)}` : ""}</span>
      ${pair && html`<span class="chip warn">like ${pair.person === person.name ? pair.other : pair.person} ${percent(pair.similarity)}</span>`}
      <${Problem} error=${failed} />
      <div class="row"><a class="small" href=${address("/console/events", { person: person.name })}>Seen</a><button class="plain danger" onClick=${drop} onBlur=${() => setSure(false)}>${sure ? "Really delete" : "Delete"}</button></div></div></li>`;
}

const rate = (value) => (value == null ? "unknown" : value < 0.0001 ? "under 1 in 10,000" : `1 in ${Math.round(1 / value).toLocaleString()}`);

/** What an enrolment would do to the measured rates. */
const Change = ({ before }) => before && html`<div class="note ${worse(before) ? "warn" : "good"}" role="status"><p>A stranger taken for somebody of this collection: now ${rate(before.now.false_alarm_rate)}, then ${rate(before.then.false_alarm_rate)}.
      One person taken for another: now ${rate(before.now.false_match_rate)}, then ${rate(before.then.false_match_rate)}.</p>
      ${before.nearest?.length > 0 && html`<p>Most alike: ${before.nearest.slice(0, 3).map((one) => `${one.person} ${percent(one.similarity)}`).join(", ")}.</p>`}
      ${before.then.person?.advice?.length > 0 && html`<p>${before.then.person.advice.join(" ")}</p>`}</div>`;

/** `create`: the collection is made with its first face. */
function Enrol({ collection, create = false, onDone }) {
  const [name, setName] = useState("");
  const [photos, setPhotos] = useState([]);
  const [before, setBefore] = useState(null);
  const [said, setSaid] = useState(null);
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const ready = name.trim() && photos.length;
  const run = async (work) => {
    setBusy(true);
    setFailed(null);
    try { await work(); } catch (refused) { setFailed(refused); }
    setBusy(false);
  };
  const look = () => run(async () => setBefore(await upload(address(faces(collection, "/preview"), { name: name.trim() }), photos[0])));
  const save = (submit) => {
    submit.preventDefault();
    return run(async () => {
      if (create) await post("/api/faces", { name: collection });
      let kept = 0;
      const refused = [];
      for (const photo of photos) {
        const answer = await upload(address(faces(collection, "/people"), { name: name.trim() }), photo);
        kept += answer.faces.length;
        if (!answer.faces.length) refused.push(`${photo.name}: ${answer.refused.flat().join(", ").toLowerCase().replaceAll("_", " ") || "no face found"}`);
      }
      setSaid({ kept, refused });
      setBefore(null);
      if (kept) onDone();
    });
  };
  return html`<form class="card pad stack" onSubmit=${save}><h2>Enrol somebody</h2>
    <div class="row fields"><label class="field">Name<input value=${name} name="name" pattern="[a-zA-Z0-9_.\\-:]+" title="Letters, digits, and _ . - :" onInput=${(input) => setName(input.target.value)} /></label>
      <label class="field">Photos, one face each<input type="file" accept="image/jpeg,image/png" multiple onChange=${(input) => { setPhotos([...input.target.files]); setBefore(null); setSaid(null); }} /></label>
      ${!create && html`<button type="button" disabled=${!ready || busy} onClick=${look}>What would change?</button>`}<button class="main" disabled=${!ready || busy}>Enrol</button></div>
    <${Problem} error=${failed} />
    <${Change} before=${before} />
    ${said && html`<p class="note ${said.kept ? "good" : "warn"}" role="status">${said.kept ? `Enrolled ${said.kept} ${said.kept === 1 ? "face" : "faces"}.` : "No face was enrolled."} ${said.refused.join("; ")}</p>`}
  </form>`;
}
const worse = ({ now, then }) => (then.false_match_rate ?? 0) > 2 * (now.false_match_rate ?? 0) + 1e-9 && (then.false_match_rate ?? 0) > 0.001;

const Trust = ({ audit }) => html`<section class="card pad stack tight"><h2>How far it can be trusted</h2><dl class="facts">
  <dt>Photos</dt><dd>${audit.faces} of ${audit.people.length} ${audit.people.length === 1 ? "person" : "people"}</dd>
  <dt>One taken for another</dt><dd>${rate(audit.false_match_rate)}</dd><dt>A stranger taken for somebody</dt><dd>${rate(audit.false_alarm_rate)}</dd>
  ${audit.missed != null && html`<dt>Missed</dt><dd>${percent(audit.missed * 100)} of pairs of one person's own photos</dd>`}
  ${audit.suggested_threshold != null && html`<dt>Suggested threshold</dt><dd>${audit.suggested_threshold.toFixed(1)}</dd>`}</dl></section>`;

/** Unknown faces by whom they show: named together, dismissed as strangers, or left. */
function Unknown({ collection, names, onDone }) {
  const { value, error, again } = useLoaded(() => get(faces(collection, "/unknown")), [collection, opened.value]);
  const done = () => { onDone(); again(); };
  return html`<section class="stack tight"><h2>Unknown faces</h2><${Problem} error=${error} />
    ${!value ? !error && html`<${Skeleton} lines=${2} />` : value.groups.length === 0
      ? html`<p class="dim">None lately. A camera keeps their pictures with <code>faces: {keep_unknown_crops: true}</code>.</p>`
      : html`<datalist id="people">${names.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
        <ul class="plainlist stack">${value.groups.map((group) => html`<${Stranger} key=${group.events[0].id} group=${group} collection=${collection} onDone=${done} />`)}</ul>`}</section>`;
}

function Stranger({ group, collection, onDone }) {
  const [left, setLeft] = useState([]);
  const [name, setName] = useState("");
  const [before, setBefore] = useState(null);
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const events = group.events.filter((event) => !left.includes(event.id));
  const toggle = (id) => { setLeft(left.includes(id) ? left.filter((one) => one !== id) : [...left, id]); setBefore(null); };
  const run = async (work) => {
    setBusy(true);
    setFailed(null);
    try { await work(); } catch (refused) { setFailed(refused); }
    setBusy(false);
  };
  const look = () => run(async () => setBefore(await post(faces(collection, "/preview"), { name: name.trim(), event: events[0].id })));
  const say = (body) => run(async () => {
    for (const event of events) await feedback(event, body);
    onDone();
  });
  const save = (submit) => { submit.preventDefault(); return say({ verdict: "wrong", person: name.trim() }); };
  const ready = name.trim() && events.length && !busy;
  return html`<li class="card pad stack" data-test="face-unknown" data-id=${group.events[0].id}>
    <div class="row spread"><b>${group.events.length === 1 ? "Seen once" : `Seen ${group.events.length} times`}</b><span class="dim small">${group.nearest ? `most like ${group.nearest.person}, ${percent(group.nearest.similarity)}` : ""}</span></div>
    <ul class="plainlist crops pick">${group.events.map((event) => html`<li key=${event.id}><label><input type="checkbox" checked=${!left.includes(event.id)} onChange=${() => toggle(event.id)} /><${Crop} event=${event} />
      <span class="small dim">${event.processor} ${clock(event.time)}</span></label></li>`)}</ul>
    <form class="row fields" onSubmit=${save}><label class="field">This is<input name="stranger" list="people" value=${name} onInput=${(input) => { setName(input.target.value); setBefore(null); }} placeholder="name" pattern="[a-zA-Z0-9_.\\-:]+" title="Letters, digits, and _ . - :" required /></label>
      <button type="button" disabled=${!ready} onClick=${look}>What would change?</button><button class="main" disabled=${!ready}>Name ${events.length || ""}</button>
      <button type="button" disabled=${!events.length || busy} onClick=${() => say({ verdict: "right" })}>A stranger</button></form>
    <${Problem} error=${failed} /><${Change} before=${before} /></li>`;
}

function Matches({ onDone }) {
  const { value } = useLoaded(() => get(address("/api/events", { type: "face_matched", limit: 12 })), [opened.value]);
  const [said, setSaid] = useState({});
  const [failed, setFailed] = useState(null);
  const judge = async (event, verdict) => {
    try {
      await feedback(event, { verdict });
      setSaid({ ...said, [event.id]: verdict });
      if (verdict === "wrong") onDone();
    } catch (refused) { setFailed(refused); }
  };
  const events = value?.events || [];
  return events.length > 0 && html`<section class="stack tight"><h2>Recognised lately</h2><${Problem} error=${failed} />
    <ul class="plainlist people">${events.map((event) => html`<li key=${event.id} class="card person"><${Crop} event=${event} className="portrait" /><div class="stack tight"><b>${headline(event)} ${percent(event.confidence)}</b>
      <span class="small dim">${event.processor}, ${age(event.time)}</span>
      ${said[event.id] ? html`<span class="chip ${said[event.id] === "right" ? "good" : "bad"}">${said[event.id]}</span>`
        : html`<div class="row"><button onClick=${() => judge(event, "right")}>Right</button><button class="danger" onClick=${() => judge(event, "wrong")}>Wrong</button></div>`}</div></li>`)}</ul></section>`;
}
