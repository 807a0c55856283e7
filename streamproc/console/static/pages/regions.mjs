// The editor of regions and of privacy masks: drawn over the newest picture, tried on the last day's events, saved where the processor's document is kept.
import { useEffect, useMemo, useState } from "preact/hooks";
import { Crop, Icon, Picture, Problem, Skeleton, clock, headline, html, percent, useLoaded } from "../ui.mjs";
import { Drawing } from "../drawing.mjs";
import { address, api, get, post, put } from "../api.mjs";
import { LIMITS, area, boxOf, fault, moved, within } from "../geometry.mjs";
import { cameraPath } from "../go.mjs";
import { may } from "../live.mjs";
import { Recording } from "./recording.mjs";

const RULES = {
  overlap: "enough of it is inside",
  feet: "the middle of its lower edge is inside",
  centre: "its middle is inside",
  intersect: "any part is inside",
  contain: "all of it is inside",
};
const FRESH = [[0.3, 0.3], [0.7, 0.3], [0.7, 0.7], [0.3, 0.7]];
const OWNERS = {
  store: () => "Saved in this node's own store.",
  file: (kind) => `Saved into the camera's file; only its ${kind} change, comments stay.`,
  "read-only": () => "The camera's file is read-only here: Save shows the change to make there.",
};
const WORDS = {
  regions: { one: "region", none: "Nothing is drawn: the whole picture counts. Add draws a region.", empty: "No region: everything in the picture counts." },
  masks: { one: "mask", none: "Nothing is masked. Add draws a mask.", empty: "No mask: the whole picture is seen." },
};
const CLOSE = 0.025;

/** What the API takes: a box that was not touched stays a box. */
const sent = (region) => {
  const { points, drawn, ...rest } = region;
  if (drawn && JSON.stringify(drawn) === JSON.stringify(points)) return rest;
  const { box, ...without } = rest;
  return { ...without, polygon: points };
};
const loaded = (document, kind) => document[kind].map((region) => ({ ...region, drawn: region.points }));

/** States with undo and redo; a change that is not `done` replaces the one before. */
function useHistory(first) {
  const [all, setAll] = useState({ past: [], now: first, future: [], base: null });
  const change = (value, done = true) => setAll(({ past, now, base }) => (done
    ? { past: [...past, base ?? now].slice(-100), now: value, future: [], base: null }
    : { past, now: value, future: [], base: base ?? now }));
  const undo = () => setAll((state) => (state.past.length ? { past: state.past.slice(0, -1), now: state.past.at(-1), future: [state.now, ...state.future], base: null } : state));
  const redo = () => setAll((state) => (state.future.length ? { past: [...state.past, state.now], now: state.future[0], future: state.future.slice(1), base: null } : state));
  return { value: all.now, change, undo, redo, canUndo: all.past.length > 0, canRedo: all.future.length > 0, reset: (value) => setAll({ past: [], now: value, future: [], base: null }) };
}

/** `kind`: regions or masks. */
export function Regions({ name, kind, query }) {
  const { value, error, again } = useLoaded(() => get(api(name, `/${kind}`)), [name, kind]);
  const tab = (one, words) => html`<a href=${cameraPath(name, `/${one}`)} aria-current=${one === kind ? "page" : undefined}>${words}</a>`;
  return html`<div class="head"><a class="crumb" href=${cameraPath(name)}>${name}</a><span class="dim" aria-hidden="true">/</span><h1>${kind === "masks" ? "Masks" : "Regions"}</h1>
      <nav class="tabs" aria-label="What to draw">${tab("regions", "Regions")}${tab("masks", "Masks")}</nav></div>
    ${kind === "masks" && html`<p class="dim">What a mask covers is black before anything is analysed, kept, shown or sent.</p>`}
    <${Problem} error=${error} />
    ${error?.status === 404 && html`<p><a href="/console/">To the cameras</a></p>`}
    ${value ? html`<${Editor} key=${`${name} ${kind}`} name=${name} kind=${kind} document=${value} query=${query} reload=${again} />` : !error && html`<div class="card pad"><${Skeleton} lines=${8} /></div>`}`;
}

function Editor({ name, kind, document, query, reload }) {
  const history = useHistory(loaded(document, kind));
  const said = WORDS[kind];
  const regions = history.value;
  const [chosen, setChosen] = useState(regions.length ? 0 : -1);
  const [drawing, setDrawing] = useState(false);
  const [fresh, setFresh] = useState(false);
  const [result, setResult] = useState(null);
  const [tried, setTried] = useState(null);
  const [mark, setMark] = useState(document.mark);
  const [replayed, setReplayed] = useState(null);
  const [failed, setFailed] = useState(null);
  const [ratio, setRatio] = useState(16 / 9);
  const [still] = useState(() => api(name, `/still.jpg?t=${Date.now()}`));
  const current = regions[chosen];
  const faults = useMemo(() => regions.map((region) => fault(region.points, LIMITS[kind])), [regions]);
  const dirty = JSON.stringify(regions.map(sent)) !== JSON.stringify(loaded(document, kind).map(sent));

  const edit = (changes, done = true) => {
    setResult(null);
    history.change(regions.map((region, i) => (i === chosen ? { ...region, ...changes } : region)), done);
  };
  const add = (points = FRESH) => {
    const names = new Set(regions.map((region, i) => region.name || `${said.one}-${i + 1}`));
    let number = regions.length + 1;
    while (names.has(`${said.one}-${number}`)) number += 1;
    history.change([...regions, { name: `${said.one}-${number}`, points }]);
    setChosen(regions.length);
    setFresh(points === FRESH);
    setDrawing(false);
    setResult(null);
  };
  const drop = () => {
    history.change(regions.filter((_, i) => i !== chosen));
    setChosen(Math.max(0, chosen - 1) < regions.length - 1 ? Math.max(0, chosen - 1) : regions.length - 2);
    setDrawing(false);
    setFresh(false);
  };
  /** Clicks where nothing is draw the new region's own outline; the shape that it began with gives way. */
  const click = (at) => {
    if (!current || !(fresh || drawing)) return;
    if (fresh) {
      setFresh(false);
      setDrawing(true);
      edit({ points: [at] });
    } else if (current.points.length > 2 && Math.hypot(at[0] - current.points[0][0], at[1] - current.points[0][1]) < CLOSE) setDrawing(false);
    else edit({ points: [...current.points, at] });
  };
  const change = (points, done, closed) => {
    setFresh(false);
    if (closed) setDrawing(false);
    edit({ points }, done);
  };
  /** `replaced`: the mark of what is to be replaced; without one, whatever is there. */
  const save = async (replaced) => {
    setDrawing(false);
    setFailed(null);
    try {
      const saved = await put(api(name, `/${kind}`), { [kind]: regions.map(sent), mark: replaced });
      setResult(saved);
      if (saved.saved) {
        setMark(saved.mark);
        reload();
      }
    } catch (refused) {
      setFailed(refused);
    }
  };
  const loadAnew = async () => {
    try {
      const fresh = await get(api(name, `/${kind}`));
      history.reset(loaded(fresh, kind));
      setMark(fresh.mark);
      setFailed(null);
      reload();
    } catch (refused) {
      setFailed(refused);
    }
  };
  const attempt = async () => {
    setFailed(null);
    try {
      setTried(await post(api(name, "/regions/try"), { regions: regions.map(sent) }));
    } catch (refused) {
      setFailed(refused);
    }
  };
  const keys = (key) => {
    if (key.target.closest("input, select, textarea")) return;
    const command = key.ctrlKey || key.metaKey;
    if (command && key.key.toLowerCase() === "z") {
      key.preventDefault();
      (key.shiftKey ? history.redo : history.undo)();
    } else if (command && key.key.toLowerCase() === "y") { key.preventDefault(); history.redo(); } else if (key.key === "Enter" && drawing && current.points.length > 2) setDrawing(false);
    else if (key.key === "Escape" && drawing) { setDrawing(false); history.undo(); }
  };
  useEffect(() => {
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });
  useEffect(() => {
    if (chosen >= regions.length) setChosen(regions.length - 1);
  }, [regions.length]);
  useEffect(() => {
    const box = (query.box || "").split(",").map(Number);
    if (kind === "regions" && box.length === 4 && box.every(Number.isFinite)) add(boxOf(box));
  }, []);
  useEffect(() => {
    if (!dirty) return undefined;
    const warn = (leave) => leave.preventDefault();
    addEventListener("beforeunload", warn);
    return () => removeEventListener("beforeunload", warn);
  }, [dirty]);
  const boxes = replayed || tried && [...tried.events.slice(0, 60), ...tried.appearing.slice(0, 60).map((one) => ({ ...one, kept: true }))];
  const blocked = faults.some(Boolean) || drawing && current?.points.length < 3;

  return html`<div class="editor">
    <div class="stack">
      <div class="row toolbar" role="toolbar" aria-label="Draw">
        <button class="main" onClick=${() => add()} disabled=${!may("control")}>Add</button>
        <button onClick=${history.undo} disabled=${!history.canUndo}>Undo</button>
        <button onClick=${history.redo} disabled=${!history.canRedo}>Redo</button>
        <button class="danger" onClick=${drop} disabled=${!current}>Delete</button>
        ${kind === "regions" && html`<button onClick=${attempt} disabled=${blocked}>Test</button>`}
        <button class="main push" data-test="region-save" onClick=${() => save(mark)} disabled=${blocked || !may("control")}>Save</button>
      </div>
      <div class="card canvas ${kind}" style=${{ "--ratio": ratio }}>
        <${Drawing} word=${said.one} regions=${regions} chosen=${chosen} drawing=${drawing} armed=${drawing || fresh} boxes=${boxes} onChoose=${(i) => { setChosen(i); setDrawing(false); setFresh(false); }} onChange=${change} onClick=${click}>
          <${Picture} wait=${true} src=${still} alt="Newest picture of ${name}" onLoad=${(load) => setRatio(load.target.naturalWidth / load.target.naturalHeight)} />
        </${Drawing}>
      </div>
      <p class="dim small" role="status">${hint({ current, drawing, fresh, said })}</p>
      ${faults.map((words, i) => words && !(drawing && i === chosen) && html`<p key=${i} class="note bad" role="alert">${regions[i].name}: ${words}</p>`)}
      <${Problem} error=${failed} />
      ${failed?.status === 409 && html`<div class="row"><button onClick=${loadAnew}>Load anew</button><button class="danger" onClick=${() => save(undefined)}>Save mine over them</button></div>`}
      <${Saved} result=${result} />
      <${Tried} name=${name} tried=${tried} />
      ${kind === "regions" && html`<${Recording} name=${name} regions=${regions.map(sent)} blocked=${blocked} tried=${Boolean(tried)} onShow=${setReplayed} />`}
    </div>
    <aside class="stack">
      <${RegionList} said=${said} regions=${regions} chosen=${chosen} onChoose=${(i) => { setChosen(i); setDrawing(false); setFresh(false); }} />
      ${current && html`<${Details} region=${current} edit=${edit} ruled=${kind === "regions"} />`}
      ${kind === "regions" && html`<${FromEvents} name=${name} onUse=${(event) => add(boxOf(event.box))} />`}
      <p class="dim small">${OWNERS[document.owner](kind)}${document.file ? html` <span class="mono">${document.file}</span>` : ""}</p>
    </aside>
  </div>`;
}

function hint({ current, drawing, fresh, said }) {
  if (!current) return said.none;
  if (fresh) return "Drag the corners, or click into the picture to draw your own outline, corner by corner.";
  if (drawing) return `${current.points.length} corner${current.points.length === 1 ? "" : "s"}. Click on for more; the first corner, Enter or Save closes the outline.`;
  return "Drag a corner or use the arrow keys (Shift: larger steps). Click an edge for another corner. Delete removes the corner that has the focus.";
}

const RegionList = ({ said, regions, chosen, onChoose }) => html`<section class="card pad stack tight"><h2>Drawn</h2>
  ${regions.length ? html`<ul class="plainlist choose">${regions.map((region, i) => html`<li key=${i}><button class="plain" aria-pressed=${i === chosen} onClick=${() => onChoose(i)}>
    <span>${region.name || `${said.one}-${i + 1}`}</span><span class="dim small">${Math.round(area(region.points) * 100)} %, ${region.points.length} corners</span></button></li>`)}</ul>`
    : html`<p class="dim">${said.empty}</p>`}</section>`;

function Details({ region, edit, ruled }) {
  const number = (index, axis) => (input) => {
    const value = Number(input.target.value);
    if (Number.isFinite(value)) edit({ points: moved(region.points, index, region.points[index].map((old, i) => (i === axis ? within(value / 100) : old))) });
  };
  return html`<section class="card pad stack">
    <label class="field">Name<input value=${region.name || ""} maxlength="128" onChange=${(input) => edit({ name: input.target.value.trim() || undefined })} /></label>
    ${ruled && html`<label class="field">An object counts when<select value=${region.rule || "overlap"} onChange=${(input) => edit({ rule: input.target.value })}>
      ${Object.entries(RULES).map(([rule, said]) => html`<option key=${rule} value=${rule} selected=${(region.rule || "overlap") === rule}>${said}</option>`)}</select></label>`}
    ${ruled && (region.rule || "overlap") === "overlap" && html`<label class="field">Enough is more than, %<input type="number" min="0" max="99" value=${Math.round((region.overlap ?? 0.5) * 100)}
      onChange=${(input) => edit({ overlap: Math.min(0.99, Math.max(0, Number(input.target.value) / 100)) })} /></label>`}
    <details><summary>Corners in numbers</summary><table class="table numbers"><thead><tr><th scope="col">Corner</th><th scope="col">From left, %</th><th scope="col">From top, %</th></tr></thead>
      <tbody>${region.points.map((point, i) => html`<tr key=${i}><th scope="row">${i + 1}</th>${point.map((value, axis) => html`<td key=${axis}><input type="number" min="0" max="100" step="0.1"
        aria-label="Corner ${i + 1} from the ${axis ? "top" : "left"}" value=${Math.round(value * 1000) / 10} onChange=${number(i, axis)} /></td>`)}</tr>`)}</tbody></table></details>
  </section>`;
}

function FromEvents({ name, onUse }) {
  const { value } = useLoaded(() => get(address("/api/events", { processor: name, limit: 30 })), [name]);
  const found = (value?.events || []).filter((event) => event.box).slice(0, 6);
  return found.length > 0 && html`<section class="card pad stack tight"><h2>From an event's box</h2><div class="crops">${found.map((event) => html`
    <button key=${event.id} class="plain" onClick=${() => onUse(event)} title="${headline(event)} ${clock(event.time)}"><${Crop} event=${event} /><span class="visually-hidden">Use this box</span></button>`)}</div></section>`;
}

const Saved = ({ result }) => result && (result.saved
  ? html`<p class="note good" role="status">Saved${result.file ? html` in <span class="mono">${result.file}</span>` : ""}.</p>`
  : html`<div class="stack tight"><p class="note warn" role="status">The file cannot be written here. Make this change where it is kept:</p>
      <pre>${result.patch}</pre><div><button onClick=${() => navigator.clipboard.writeText(result.patch)}>Copy the patch</button></div></div>`);

const Tried = ({ name, tried }) => tried && html`<section class="card pad stack tight" aria-live="polite"><h2>The last day with these regions</h2>
  ${tried.events.length + tried.appearing.length === 0 ? html`<p class="dim">Nothing was announced in the last day, and nothing was refused for being in no region, so there is nothing to try them on.</p>`
    : html`<p><b class="good-text">${tried.kept} would be announced</b>, <b class=${tried.dropped ? "bad-text" : "dim"}>${tried.dropped} would not</b>; <b>${tried.appearing.length} more</b> <span class="dim">were in no region then and would be in one.</span></p>
      <ul class="plainlist tried">${tried.appearing.slice(0, 30).map((row) => html`<li key=${`${row.time} ${row.class} ${row.box}`}><a href=${address("/console/why", { camera: name, at: row.time })}>
        <span class="sign thumb"><${Icon} name="regions" /></span><span class="chip warn">new in ${row.now || "the picture"}</span>
        <span class="small dim">${row.class} ${percent(row.score)} ${clock(row.time)}, ${percent(row.overlap * 100)} inside</span></a></li>`)}${tried.events.slice(0, 60).map((row) => html`<li key=${row.id}><a href="/console/events/${encodeURIComponent(row.id)}">
        <${Crop} event=${{ ...row, type: "label_detected", class: row.class || "OBJECT", crop: true }} className="thumb" />
        <span class="chip ${row.kept ? "good" : "bad"}">${row.kept ? `in ${row.now || "the picture"}` : "in none"}</span>
        <span class="small dim">${row.class} ${clock(row.time)}${row.kept ? `, ${percent(row.overlap * 100)} inside` : row.was ? `, was in ${row.was}` : ""}</span></a></li>`)}</ul>`}
</section>`;
