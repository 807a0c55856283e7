// Parts that several pages are made of.
import { h } from "preact";
import { useEffect, useState } from "preact/hooks";
import htm from "htm";
import { now } from "./live.mjs";
import { picture } from "./api.mjs";

export const html = htm.bind(h);

const PATHS = {
  home: "M4 11l8-7 8 7v8a1 1 0 0 1-1 1h-4v-6h-6v6H5a1 1 0 0 1-1-1z",
  events: "M4 6h16M4 12h16M4 18h10",
  why: "M12 17v.5M9 9a3 3 0 1 1 4 2.8c-.7.3-1 .8-1 1.6V14M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18z",
  faces: "M12 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c1-4 4-6 8-6s7 2 8 6",
  jobs: "M4 5h16v14H4zM10 9.5l5 2.5-5 2.5z",
  nodes: "M4 5h6v5H4zM14 14h6v5h-6zM7 10v6h7M17 14V8h-7",
  outputs: "M4 12h12M12 7l5 5-5 5M20 4v16",
  settings: "M5 7h9M18 7h1M5 17h1M10 17h9M16 5v4M8 15v4",
  regions: "M5 6l9-2 6 8-6 8-9-4z",
  camera: "M3 7h11v10H3zM14 11l7-4v10l-7-4z",
  done: "M5 12.5l4.5 4.5L19 7",
  gap: "M3 12h5M16 12h5M10.5 8.5l3 7",
};
export const Icon = ({ name }) => html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;

/** `useLoaded(load, [keys])`: {value, error, again}; keeps the old value while loading anew. */
export function useLoaded(load, keys) {
  const [state, setState] = useState({ value: undefined, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let mine = true;
    load().then(
      (value) => mine && setState({ value, error: null }),
      (error) => mine && setState((before) => ({ value: before.value, error })),
    );
    return () => { mine = false; };
  }, [...keys, turn]);
  return { ...state, again: () => setTurn((number) => number + 1), set: (value) => setState({ value, error: null }) };
}

export const Empty = ({ icon, title, children }) => html`
  <section class="card empty"><${Icon} name=${icon} /><h2>${title}</h2>${children}</section>`;

export const Problem = ({ error }) => error && html`<p class="note bad" role="alert">${error.message || String(error)}</p>`;

export const Skeleton = ({ lines = 3 }) => html`
  <div class="stack tight" aria-busy="true" aria-label="loading">${Array.from({ length: lines }, (_, i) => html`<div class="skeleton" key=${i} style=${{ height: "20px", width: `${90 - i * 17}%` }} />`)}</div>`;

const KINDS = { running: "good", starting: "warn", stopping: "warn", stopped: "", failed: "bad", refused: "bad" };

/** The state of a processor in a word, and how it is coloured. */
export function condition(processor) {
  const source = processor.source || {};
  const health = processor.health || [];
  if (processor.state !== "running") return [processor.state, KINDS[processor.state] ?? "warn"];
  if (health.length) return [health.join(", "), "bad"];
  if (source.state === "gap") return [source.why ? `gap: ${source.why}` : "gap", "bad"];
  if (processor.schedule?.active === false) return [{ home: "home", pause: "paused" }[processor.schedule.override?.mode] || "outside its schedule", ""];
  if (source.state === "idle") return ["no picture yet", "warn"];
  return source.state === "running" ? ["running", "good"] : [source.state || "starting", "warn"];
}
export const State = ({ processor }) => {
  const [words, kind] = condition(processor);
  return html`<span class="chip ${kind}" title=${words}>${words}</span>`;
};

export const percent = (value) => (value == null ? "" : `${Math.round(value)} %`);
export const words = (type) => type.replaceAll("_", " ");

/** An event in a few words: what, and how sure. */
export function headline(event) {
  switch (event.type) {
    case "label_detected": return event.class.charAt(0) + event.class.slice(1).toLowerCase();
    case "face_matched": return event.person || "Known face";
    case "face_unknown": return "Unknown face";
    case "source_gap": return event.seconds == null ? "Source gap" : `Source gap of ${Math.round(event.seconds)} s`;
    case "session_complete": return "Session complete";
    case "camera_health": return `Camera ${event.condition?.replace("_", " ")}${event.active === false ? " is over" : ""}`;
    default: return words(event.type);
  }
}
export const kindOf = (event) => event.class || (event.type.startsWith("face") ? "FACE" : "");
export function subline(event) {
  if (event.type === "session_complete") return Object.entries(event.counts || {}).filter(([, count]) => count).map(([name, count]) => `${count} ${name.toLowerCase()}`).join(", ");
  if (event.type === "source_gap") return event.reason || "";
  if (event.type === "camera_health") return event.detail || "";
  return event.region ? event.region : "";
}
/** What a screen reader hears of the picture. */
export const spoken = (event) => [headline(event), percent(event.confidence), event.region, event.processor, clock(event.time)].filter(Boolean).join(", ");

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });
export const clock = (time) => (time ? timeFormat.format(new Date(time)) : "");
export const day = (time) => {
  const at = new Date(time);
  return at.toDateString() === new Date().toDateString() ? "Today" : dayFormat.format(at);
};
export function age(time) {
  const seconds = Math.max(0, (now.value - new Date(time).getTime()) / 1000);
  if (seconds < 10) return "just now";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129_600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86_400)} days ago`;
}

const AGAIN_MS = 3000;

/** A picture that says so where it is not kept any more. `wait`: it may be there later, so it is asked for again. */
export function Picture({ src, alt, className = "", wait = false, onLoad }) {
  const [failed, setFailed] = useState(false);
  useEffect(() => setFailed(false), [src]);
  useEffect(() => {
    const timer = failed && wait ? setTimeout(() => setFailed(false), AGAIN_MS) : 0;
    return () => clearTimeout(timer);
  }, [failed]);
  return failed || !src
    ? html`<div class="nopicture ${className}" role="img" aria-label=${alt}><${Icon} name="camera" /></div>`
    : html`<img class=${className} src=${src} alt=${alt} loading="lazy" decoding="async" onError=${() => setFailed(true)} onLoad=${onLoad} />`;
}
const SIGNS = { session_complete: "done", source_gap: "gap", camera_health: "camera" };
export const Crop = ({ event, className = "crop" }) => SIGNS[event.type] ? html`<span class="sign ${className}"><${Icon} name=${SIGNS[event.type]} /></span>` : html`<${Picture} className=${className} src=${event.crop ? picture(event, "crop") : null} alt=${spoken(event)} />`;

/** A link within the console that does not load the page anew. */
export const Link = ({ to, children, ...rest }) => html`<a href=${to} ...${rest}>${children}</a>`;
