// What the node tells: one stream of server-sent events a tab, and the signals that pages show.
import { signal } from "@preact/signals";
import { get, Refused } from "./api.mjs";

export const session = signal(null);
export const processors = signal(null);
export const connected = signal(true);
/** Grows each time the stream (re)opens: lists load again then, so nothing between the two is missed. */
export const opened = signal(0);
/** The clock of ages ("3 s ago"), every five seconds. */
export const now = signal(Date.now());
const listeners = { event: new Set(), state: new Set(), health: new Set(), job: new Set() };
const HIDDEN_MS = 60_000;
const RETRY_MS = 2_000;
const POLL_MS = 3_000;

let source = null;
let hideTimer = 0;
let retryTimer = 0;
/** States that came while the list is being loaded, whose answer may be older. */
let meanwhile = null;

/** Call `heard(document)` for each message of a topic; returns what ends that. */
export function listen(topic, heard) {
  listeners[topic].add(heard);
  return () => listeners[topic].delete(heard);
}

export const may = (right) => Boolean(session.value?.may?.includes(right));

export async function loadSession() {
  session.value = await get("/api/session");
  return session.value;
}

export async function loadProcessors() {
  const heardSince = meanwhile = [];
  try {
    processors.value = await get("/api/processors");
    connected.value = true;
    if (meanwhile === heardSince) meanwhile = null;
    heardSince.forEach(stands);
  } catch (error) {
    if (meanwhile === heardSince) meanwhile = null;
    if (error.status === 401) session.value = { ...session.value, signed_in: false };
    else connected.value = false;
  }
}

/** The stream begins with how each processor stands and tells each change: what it says is the list, nobody asks for it again. */
function stands(document) {
  meanwhile?.push(document);
  if (!processors.value) return;
  const known = processors.value.find((one) => one.name === document.name);
  if (known && JSON.stringify(known) === JSON.stringify(document)) return;
  const others = processors.value.filter((one) => one !== known);
  processors.value = document.state === "deleted" ? others : [...others, document].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function heard(topic, message) {
  let document;
  try {
    document = JSON.parse(message.data);
  } catch {
    return;
  }
  if (topic === "state") stands(document);
  for (const listener of listeners[topic]) listener(document);
}

export function open() {
  close();
  source = new EventSource("/api/stream");
  source.onopen = () => {
    connected.value = true;
    opened.value += 1;
    loadProcessors();
  };
  for (const topic of Object.keys(listeners)) source.addEventListener(topic, (message) => heard(topic, message));
  source.addEventListener("resync", () => { opened.value += 1; loadProcessors(); });
  source.onerror = () => {
    connected.value = false;
    if (source && source.readyState === EventSource.CLOSED) {
      close();
      retryTimer = setTimeout(async () => {
        try {
          if ((await loadSession()).signed_in) open();
        } catch (error) {
          if (error instanceof Refused) open();
        }
      }, RETRY_MS);
    }
  };
}

export function close() {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hideTimer);
  if (document.hidden) hideTimer = setTimeout(close, HIDDEN_MS);
  else if (!source && session.value?.signed_in) open();
});
addEventListener("pagehide", close);
setInterval(() => { now.value = Date.now(); }, 5_000);
setInterval(() => { if (!document.hidden && !connected.value && session.value?.signed_in) loadProcessors(); }, POLL_MS);
