// What happened: a list that grows by itself only when asked to, its filters in the address, the detail beside it.
import { useEffect, useRef, useState } from "preact/hooks";
import { Crop, Empty, Link, Picture, Problem, Skeleton, age, clock, day, headline, html, kindOf, percent, spoken, subline, useLoaded, words } from "../ui.mjs";
import { address, get, picture } from "../api.mjs";
import { cameraPath, go } from "../go.mjs";
import { listen, may, opened, processors } from "../live.mjs";

const FILTERS = ["processor", "type", "class", "person", "region", "from", "to", "text"];
const PAGE = 60;
/** Of further pages: whoever scrolls on wants many. */
const MORE = 240;
const NARROW = 860;
const CHUNK = 60;
const ROW_PX = 73;

/** The list with filters; `id`: the event that is open. */
export function Events({ id, query }) {
  const filters = Object.fromEntries(FILTERS.map((key) => [key, query[key] || ""]));
  const at = (event) => address(event ? `/console/events/${encodeURIComponent(event)}` : "/console/events", filters);
  const list = useEvents(filters);
  const move = (key) => {
    if (!["ArrowDown", "ArrowUp", "Escape"].includes(key.key) || key.target.closest("input, select")) return;
    if (key.key === "Escape") return id && go(at(null));
    const rows = [...key.currentTarget.querySelectorAll("[data-test=event-row] a")];
    const here = rows.indexOf(document.activeElement);
    const next = rows[Math.min(rows.length - 1, Math.max(0, here + (key.key === "ArrowDown" ? 1 : -1)))];
    if (next) {
      key.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  };
  return html`
    <div class="head"><h1>Events</h1>
      ${list.waiting > 0 && html`<button class="main" onClick=${list.show}>${list.waiting} new</button>`}
      <span class="visually-hidden" aria-live="polite">${list.waiting ? `${list.waiting} new events` : ""}</span>
    </div>
    <${Filters} filters=${filters} onChange=${(changed) => go(address(id ? `/console/events/${encodeURIComponent(id)}` : "/console/events", { ...filters, ...changed }), true)} />
    <${Problem} error=${list.error} />
    <div class="split ${id ? "opened" : ""}" onKeyDown=${move}>
      <${List} list=${list} at=${at} open=${id} filtered=${Object.values(filters).some(Boolean)} />
      ${id && html`<${Detail} key=${id} id=${id} back=${at(null)} known=${list.events?.find((event) => event.id === id)} />`}
    </div>`;
}

/** Pages of events, and those that came since. At the top of the page new ones are shown at once. */
export function useEvents(filters, limit = PAGE) {
  const key = JSON.stringify(filters);
  const [state, setState] = useState({ key, events: null, next: null, fresh: [], error: null });
  // What came by the stream while a list was loading: the answer may be of before.
  const early = useRef([]);
  const without = (events, others) => {
    const known = new Set(others.map((event) => event.id));
    return events.filter((event) => !known.has(event.id));
  };
  const merge = (newer, older) => [...newer, ...without(older, newer)];
  useEffect(() => {
    let mine = true;
    early.current = [];
    get(address("/api/events", { ...filters, limit })).then(
      ({ events: loaded, next }) => mine && setState((before) => {
        const events = merge(without(early.current, loaded), loaded);
        const same = before.key === key && before.events;
        // After a reconnection: what came meanwhile goes on top; the pages that were opened stay.
        const joined = same && before.events.some((event) => events.some((one) => one.id === event.id));
        return { key, events: joined ? merge(events, before.events) : events, next: joined ? before.next : next, fresh: [], error: null };
      }),
      (error) => mine && setState((before) => ({ ...before, key, events: before.key === key ? before.events : null, error })),
    );
    return () => { mine = false; };
  }, [key, opened.value]);
  useEffect(() => listen("event", (event) => {
    if (!matches(event, filters)) return;
    early.current = [event, ...early.current].slice(0, limit);
    setState((before) => {
      if (!before.events || before.key !== key) return before;
      const known = [...before.fresh, ...before.events].some((one) => one.id === event.id);
      if (known) return before;
      return scrollY < 80 ? { ...before, events: merge([event, ...before.fresh], before.events), fresh: [] } : { ...before, fresh: [event, ...before.fresh] };
    });
  }), [key]);
  return {
    ...state,
    waiting: state.fresh.length,
    show: () => { setState((before) => ({ ...before, events: merge(before.fresh, before.events), fresh: [] })); scrollTo(0, 0); },
    more: async () => {
      try {
        const { events, next } = await get(address("/api/events", { ...filters, limit: MORE, before: state.next }));
        setState((before) => ({ ...before, events: merge(before.events, events), next, error: null }));
      } catch (error) { setState((before) => ({ ...before, error })); }
    },
  };
}

/** Whether an event that came by the stream belongs into the list. */
export function matches(event, { processor, type, class: label, person, region, from, to, text }) {
  const any = (wanted, value) => !wanted || wanted.split(",").includes(value);
  if (event.type === "face_record") return false;
  if (!any(processor, event.processor) || !any(type, event.type) || !any(label, event.class) || !any(person, event.person) || !any(region, event.region)) return false;
  const at = Date.parse(event.time);
  if ((from && at < Date.parse(from)) || (to && at >= Date.parse(to))) return false;
  const said = [event.processor, event.type, words(event.type), event.class, event.person, event.region, event.condition, event.reason].join("\n").toLowerCase();
  return (text || "").toLowerCase().split(/\s+/).every((word) => said.includes(word));
}

function Filters({ filters, onChange }) {
  const input = (name) => (change) => onChange({ [name]: change.target.value });
  const instant = (name) => (change) => onChange({ [name]: change.target.value ? new Date(change.target.value).toISOString() : "" });
  const { value: values = {} } = useLoaded(() => get("/api/events/values"), [opened.value]);
  const select = (name, title, options = []) => html`<label class="field">${title}<select value=${filters[name]} onChange=${input(name)}>
    <option value="">Any</option>${[...new Set([...options, ...(filters[name] ? [filters[name]] : [])])].map((option) => html`<option key=${option} value=${option} selected=${filters[name] === option}>${words(option)}</option>`)}</select></label>`;
  const used = FILTERS.filter((name) => filters[name]).length;
  const [wide, setWide] = useState(false);
  return html`<form class="filters ${wide ? "wide" : ""}" role="search" onSubmit=${(submit) => submit.preventDefault()}>
    <label class="field text">Search<input type="search" value=${filters.text} placeholder="porch person" onChange=${input("text")} /></label>
    <button type="button" class="toggle" aria-expanded=${wide} onClick=${() => setWide(!wide)}>Filters${used ? ` (${used})` : ""}</button>
    ${select("processor", "Camera", (processors.value || []).map((processor) => processor.name))}
    ${select("type", "Kind", values.type)}
    ${select("class", "Class", values.class)}
    ${select("region", "Region", values.region)}
    ${may("review") && values.person?.length > 0 && select("person", "Person", values.person)}
    <label class="field when">From<input type="datetime-local" value=${local(filters.from)} onChange=${instant("from")} /></label>
    <label class="field when">To<input type="datetime-local" value=${local(filters.to)} onChange=${instant("to")} /></label>
    ${used > 0 && html`<button type="button" class="plain" onClick=${() => onChange(Object.fromEntries(FILTERS.map((name) => [name, ""])))}>Clear</button>`}
  </form>`;
}

function local(time) {
  if (!time) return "";
  const at = new Date(time);
  return Number.isNaN(at.getTime()) ? "" : new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function List({ list, at, open, filtered }) {
  const end = useRef(null);
  useEffect(() => {
    if (!list.next || !end.current) return undefined;
    const watch = new IntersectionObserver(([entry]) => { if (entry.isIntersecting) list.more(); }, { rootMargin: "600px" });
    watch.observe(end.current);
    return () => watch.disconnect();
  }, [list.next]);
  if (!list.events) return list.error ? null : html`<div class="card pad"><${Skeleton} lines=${6} /></div>`;
  if (!list.events.length) {
    return filtered
      ? html`<${Empty} icon="events" title="Nothing like that"><p>No event fits these filters. Widen the time, or clear them.</p></${Empty}>`
      : html`<${Empty} icon="events" title="Nothing happened yet"><p>As soon as a camera announces something it appears here by itself. To know why nothing came, ask <a href="/console/why">why</a>.</p></${Empty}>`;
  }
  const chunks = Array.from({ length: Math.ceil(list.events.length / CHUNK) }, (_, i) => list.events.slice(i * CHUNK, (i + 1) * CHUNK));
  return html`<div class="card list">
    ${chunks.map((events, i) => html`<${Chunk} key=${i} events=${events} before=${i ? day(chunks[i - 1].at(-1).time) : ""} first=${i === 0} at=${at} open=${open} />`)}
    ${list.next && html`<div ref=${end} class="pad"><button onClick=${() => list.more()}>More</button></div>`}
  </div>`;
}

/** Some rows of the list: in the page only while they are near what is seen, so that ten thousand scroll as one hundred do. */
function Chunk({ events, before, first, at, open }) {
  const box = useRef(null);
  const height = useRef(events.length * ROW_PX);
  const [near, setNear] = useState(first);
  useEffect(() => {
    const watch = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting && entry.boundingClientRect.height) height.current = entry.boundingClientRect.height;
      setNear(entry.isIntersecting);
    }, { rootMargin: "1500px 0px" });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  if (!near) return html`<ol ref=${box} style=${{ height: `${height.current}px` }} aria-hidden="true"></ol>`;
  let shown = before;
  return html`<ol ref=${box}>${events.map((event) => {
    const today = day(event.time);
    const heading = today !== shown && html`<li class="day" key=${`day ${today}`}><h3>${today}</h3></li>`;
    shown = today;
    return [heading, html`<${Row} key=${event.id} event=${event} to=${at(event.id)} current=${event.id === open} />`];
  })}</ol>`;
}

/** `bare`: without the camera's name, where all rows are of one. */
export const Row = ({ event, to, current, bare }) => html`<li class="event ${current ? "current" : ""}" data-test="event-row" data-id=${event.id}>
  <${Link} to=${to} aria-current=${current ? "true" : undefined}>
    <${Crop} event=${event} />
    <span class="what"><b class="class-${kindOf(event)}">${headline(event)}</b>${event.confidence != null && html` <span class="sure">${percent(event.confidence)}</span>`}
      <span class="dim small line">${[bare ? "" : event.processor, subline(event)].filter(Boolean).join(" · ")}</span></span>
    <time class="dim small" datetime=${event.time} title=${event.time}>${clock(event.time)}</time>
  </${Link}></li>`;

function Detail({ id, known, back }) {
  const { value = known, error } = useLoaded(() => get(`/api/events/${encodeURIComponent(id)}`), [id]);
  const pane = useRef(null);
  // On a phone the list is gone; beside it the focus stays in the list, so that arrows go on from there.
  useEffect(() => { if (innerWidth <= NARROW) pane.current?.focus({ preventScroll: true }); }, [id, Boolean(value)]);
  const event = value?.event || value;
  if (!event) return html`<section class="card pad detail" data-test="event-detail"><${Problem} error=${error} />${!error && html`<${Skeleton} lines=${5} />`}</section>`;
  return html`<section class="card detail" data-test="event-detail" data-id=${event.id} tabindex="-1" ref=${pane} aria-label="Event ${spoken(event)}">
    <${Hero} event=${event} />
    <div class="pad stack">
      <div class="row spread"><h2 class="class-${kindOf(event)}">${headline(event)} ${percent(event.confidence)}</h2><a class="button" href=${back}>Close</a></div>
      <p class="dim">${day(event.time)}, ${clock(event.time)} · ${age(event.time)}</p>
      <dl class="facts">
        <dt>Camera</dt><dd><a href=${cameraPath(event.processor)}>${event.processor}</a></dd>
        ${event.region && html`<dt>Region</dt><dd>${event.region}${event.overlap != null && html` <span class="dim">${Math.round(event.overlap * 100)} % of the object inside</span>`}</dd>`}
        ${event.reason && html`<dt>Reason</dt><dd>${event.reason}</dd>`}
        ${event.counts && html`<dt>Counted</dt><dd>${subline(event) || "nothing"}</dd>`}
        ${event.condition && html`<dt>Condition</dt><dd>${event.condition} ${event.detail || ""}</dd>`}
        <dt>Into the video</dt><dd>${event.media_time_s?.toFixed(2)} s</dd>
        <dt>Session</dt><dd class="mono">${event.session}</dd>
        <dt>Event</dt><dd class="mono">${event.id}</dd>
      </dl>
      <div class="row">
        <a class="button main" href=${address("/console/why", { camera: event.processor, at: event.time })}>Why?</a>
        ${event.box && html`<a class="button" href=${address(cameraPath(event.processor, "/regions"), { box: event.box.join(",") })}>Region from this box</a>`}
        ${event.frame && html`<a class="button" download="${event.id}.jpg" href=${picture(event, "frame")}>Download</a>`}
      </div>
      <${Deliveries} deliveries=${value.deliveries || event.deliveries} />
    </div>
  </section>`;
}

const Deliveries = ({ deliveries }) => Array.isArray(deliveries) && deliveries.length > 0 && html`<div class="stack tight"><h3>Deliveries</h3>
  <ul class="plainlist">${deliveries.map((one) => html`<li key=${one.output} class="row"><span class="chip ${one.state === "delivered" ? "good" : one.state === "dead" ? "bad" : "warn"}">${one.state}</span>
    ${one.output}<span class="dim small">${one.reason || ""}</span></li>`)}</ul></div>`;

function Hero({ event }) {
  if (!event.frame) return null;
  const [left, top, right, bottom] = event.box || [];
  const box = event.box && { left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%` };
  return html`<div class="hero"><${Picture} src=${picture(event, "frame")} alt="The frame: ${spoken(event)}" />
    ${box && html`<div class="box class-${kindOf(event)}" style=${box} aria-hidden="true"></div>`}</div>`;
}
