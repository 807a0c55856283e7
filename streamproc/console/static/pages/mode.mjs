// What somebody says over the schedule of cameras: home, away, paused.
import { useState } from "preact/hooks";
import { Problem, clock, day, html } from "../ui.mjs";
import { api, put, remove } from "../api.mjs";
import { loadProcessors, may } from "../live.mjs";

const WAYS = { schedule: "By schedule", home: "Home", away: "Away", pause: "Pause 1 h" };
const SAID = { home: "Home: nothing is announced", away: "Away: everything is announced", pause: "Paused: nothing is announced" };
const when = (time) => `${clock(time)}${day(time) === "Today" ? "" : `, ${day(time)}`}`;

/** Whether a camera announces anything now, and until when, in a sentence. */
export function standing({ active, next, override }) {
  if (override) return `${SAID[override.mode]}${override.until ? ` until ${when(override.until)}` : ""}`;
  if (active) return next ? `By schedule: announces until ${when(next)}` : "Announces at any time";
  return `By schedule: announces nothing${next ? ` until ${when(next)}` : ""}`;
}

/** Buttons that say it; of several cameras, to all of them. */
export function Mode({ cameras, label = "Mode", onSaid = () => {} }) {
  const [failed, setFailed] = useState(null);
  const known = cameras.filter((camera) => camera.schedule);
  if (!known.length || !may("control")) return null;
  const modes = new Set(known.map((camera) => camera.schedule.override?.mode || "schedule"));
  const say = async (mode) => {
    setFailed(null);
    try {
      await Promise.all(known.map(({ name }) => mode === "schedule" ? remove(api(name, "/override")) : put(api(name, "/override"), mode === "pause" ? { mode, for: "1h" } : { mode })));
    } catch (refused) { setFailed(refused); }
    loadProcessors();
    onSaid();
  };
  return html`<div class="row modes" role="group" aria-label=${label}>${Object.entries(WAYS).map(([mode, words]) => html`<button key=${mode} data-mode=${mode} aria-pressed=${modes.size === 1 && modes.has(mode)} onClick=${() => say(mode)}>${words}</button>`)}<${Problem} error=${failed} /></div>`;
}
