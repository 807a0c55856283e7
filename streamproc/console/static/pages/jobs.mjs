// Stored video: hand a file in, see how far it is, and read what was found along the video.
import { useEffect, useRef, useState } from "preact/hooks";
import { Empty, Problem, Skeleton, age, html, useLoaded } from "../ui.mjs";
import { get, post, upload } from "../api.mjs";
import { listen, may, now, opened } from "../live.mjs";
import { lanes } from "../timeline.mjs";

const ANALYSES = [["labels", "Labels"], ["segments", "Shots and cues"], ["persons", "Persons"], ["faces", "Faces"], ["face-search", "Known faces"]];
const TITLES = Object.fromEntries(ANALYSES);
const EVERY_MS = 5000;
const SOON_MS = 300;
const KIND = { succeeded: "good", failed: "bad", cancelled: "" };

/** Jobs by the video that they share. */
function grouped(jobs) {
  const groups = new Map();
  for (const job of jobs) {
    const key = job.upload ? job.video : `${job.video} ${job.created}`;
    groups.set(key, [...(groups.get(key) || []), job]);
  }
  return [...groups.values()];
}
const title = (job) => job.tag || job.video.split("/").pop();
const running = (job) => !["succeeded", "failed", "cancelled"].includes(job.state);

/** All jobs; loaded anew when the stream tells of one, and now and then while one runs. */
function useJobs() {
  const [busy, setBusy] = useState(false);
  const loaded = useLoaded(() => get("/api/jobs"), [opened.value, busy ? Math.floor(now.value / EVERY_MS) : 0]);
  useEffect(() => setBusy(Boolean(loaded.value?.jobs.some(running))), [loaded.value]);
  useEffect(() => {
    let timer = 0;
    const end = listen("job", () => { clearTimeout(timer); timer = setTimeout(loaded.again, SOON_MS); });
    return () => { clearTimeout(timer); end(); };
  }, []);
  return loaded;
}

export function Jobs({ id }) {
  const { value, error, again } = useJobs();
  if (!value) return html`<h1>Jobs</h1><${Problem} error=${error} />${!error && html`<div class="card pad"><${Skeleton} /></div>`}`;
  const groups = grouped(value.jobs);
  const open = id && groups.find((jobs) => jobs.some((job) => job.id === id));
  if (open) return html`<${Result} key=${id} jobs=${open} />`;
  return html`<div class="head"><h1>Jobs</h1><span class="dim">analyse stored video</span></div>
    ${id && html`<p class="note warn" role="status">That analysis is not here any more; results are kept for seven days.</p>`}
    <${Start} onStarted=${again} />
    ${groups.length === 0 ? html`<${Empty} icon="jobs" title="No analysis yet"><p>Drop a video above, tick what to look for, and press Analyse. Results are kept for seven days.</p></${Empty}>`
      : html`<ul class="plainlist stack">${groups.map((jobs) => html`<${Line} key=${jobs[0].id} jobs=${jobs} onDone=${again} />`)}</ul>`}`;
}

function Line({ jobs, onDone }) {
  const [failed, setFailed] = useState(null);
  const cancel = async () => {
    try {
      for (const job of jobs.filter(running)) await post(`/api/jobs/${job.id}/cancel`);
      onDone();
    } catch (refused) { setFailed(refused); }
  };
  const busy = jobs.filter(running);
  return html`<li class="card pad job" data-test="job-row" data-id=${jobs[0].id}>
    <div class="row spread"><h2><a href="/console/jobs/${jobs[0].id}">${title(jobs[0])}</a></h2><span class="dim small">${age(jobs[0].created)}</span></div>
    <div class="row">${jobs.map((job) => html`<span key=${job.id} class="chip ${KIND[job.state] ?? "warn"}">${TITLES[job.kind] || job.kind}: ${job.state.replaceAll("_", " ")}</span>`)}
      ${busy.length > 0 && html`<button class="plain danger" onClick=${cancel}>Cancel</button>`}</div>
    ${busy.length > 0 && html`<progress aria-label="Progress of ${title(jobs[0])}" max=${busy[0].expected || undefined} value=${busy[0].expected ? busy[0].frames : undefined}></progress>`}
    ${jobs.filter((job) => job.message).map((job) => html`<p key=${job.id} class="small dim">${job.message}</p>`)}<${Problem} error=${failed} /></li>`;
}

function Start({ onStarted }) {
  const [file, setFile] = useState(null);
  const [url, setUrl] = useState("");
  const [chosen, setChosen] = useState(["labels", "segments"]);
  const [collection, setCollection] = useState("");
  const [over, setOver] = useState(false);
  const [busy, setBusy] = useState("");
  const [failed, setFailed] = useState(null);
  const collections = useLoaded(() => get("/api/faces"), []).value?.collections || [];
  const toggle = (kind) => setChosen(chosen.includes(kind) ? chosen.filter((one) => one !== kind) : [...chosen, kind]);
  const begin = async (submit) => {
    submit.preventDefault();
    setFailed(null);
    try {
      let video = url.trim();
      if (file) {
        setBusy("Sending the video");
        ({ video } = await upload(`/api/jobs/uploads?name=${encodeURIComponent(file.name)}`, file, file.type.startsWith("video/") ? file.type : "video/mp4"));
      }
      setBusy("Starting");
      await post("/api/jobs", { video, analyses: chosen, ...(chosen.includes("face-search") ? { collection: collection || collections[0]?.name } : {}) });
      setFile(null);
      setUrl("");
      onStarted();
    } catch (refused) { setFailed(refused); }
    setBusy("");
  };
  const dropped = (drop) => { drop.preventDefault(); setOver(false); if (drop.dataTransfer.files.length) setFile(drop.dataTransfer.files[0]); };
  return html`<form class="card pad stack" onSubmit=${begin}>
    <label class="drop ${over ? "over" : ""}" onDragOver=${(drag) => { drag.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${dropped}>
      <input class="visually-hidden" type="file" accept="video/*,.mkv,.mp4,.mov,.ts" onChange=${(input) => setFile(input.target.files[0] || null)} />
      <b>${file ? file.name : "Drop a video here, or choose one"}</b><span class="dim small">${file ? `${(file.size / 1e6).toFixed(1)} MB` : "it stays on this node"}</span></label>
    ${may("control") && html`<label class="field">or a path on the node, an s3:// or https:// address<input value=${url} disabled=${Boolean(file)} onInput=${(input) => setUrl(input.target.value)} /></label>`}
    <fieldset class="row"><legend class="visually-hidden">What to look for</legend>${ANALYSES.map(([kind, words]) => html`<label key=${kind} class="check"><input type="checkbox" checked=${chosen.includes(kind)} disabled=${kind === "face-search" && !collections.length} onChange=${() => toggle(kind)} />${words}</label>`)}
      ${chosen.includes("face-search") && html`<label class="field inline">of<select value=${collection} onChange=${(input) => setCollection(input.target.value)}>${collections.map(({ name }) => html`<option key=${name}>${name}</option>`)}</select></label>`}</fieldset>
    <${Problem} error=${failed} />
    <div class="row"><button class="main" disabled=${!(file || url.trim()) || !chosen.length || Boolean(busy)}>Analyse</button><span class="dim" role="status">${busy}</span></div></form>`;
}

function Result({ jobs }) {
  const video = useRef(null);
  const [at, setAt] = useState(0);
  const done = jobs.filter((job) => job.state === "succeeded");
  const { value, error } = useLoaded(() => Promise.all(done.map(async (job) => [job.kind, await get(`/api/jobs/${job.id}/result`)])), [done.length]);
  const length = Math.max(...jobs.map((job) => job.duration_ms || 0), 1);
  const rows = (value || []).flatMap(([kind, result]) => lanes(kind, result));
  const seek = (ms) => {
    setAt(ms);
    if (video.current) video.current.currentTime = ms / 1000;
  };
  const key = (press) => {
    const way = { ArrowLeft: -1000, ArrowRight: 1000 }[press.key];
    const from = video.current ? video.current.currentTime * 1000 : at;
    if (way) { press.preventDefault(); seek(Math.min(length, Math.max(0, from + way))); }
  };
  return html`<div class="head"><a class="crumb" href="/console/jobs">Jobs</a><span class="dim" aria-hidden="true">/</span><h1>${title(jobs[0])}</h1></div>
    <${Problem} error=${error} />
    <div class="row">${jobs.map((job) => html`<span key=${job.id} class="chip ${KIND[job.state] ?? "warn"}">${TITLES[job.kind] || job.kind}: ${job.state.replaceAll("_", " ")}</span>`)}</div>
    ${jobs[0].upload ? html`<div class="card picture"><video class="stored" ref=${video} src="/api/jobs/${jobs[0].id}/video" controls preload="metadata" onTimeUpdate=${(update) => setAt(update.target.currentTime * 1000)}></video></div>`
      : html`<p class="dim">The video lies elsewhere (${jobs[0].video}), so only what was found in it is shown.</p>`}
    <section class="card pad stack tight timeline" tabindex="0" role="slider" aria-label="Timeline; arrow keys move a second" aria-valuemin="0" aria-valuemax=${Math.round(length / 1000)} aria-valuenow=${Math.round(at / 1000)} onKeyDown=${key}>
      ${!value ? html`<${Skeleton} />` : rows.length === 0 ? html`<p class="dim">${done.length ? "Nothing was found." : "Nothing to show until an analysis is done."}</p>`
        : rows.map((row) => html`<div key=${row.name} class="lane"><span class="small">${row.name}</span>
          <svg viewBox="0 0 1000 24" preserveAspectRatio="none" onClick=${(click) => { const { left, width } = click.currentTarget.getBoundingClientRect(); seek(((click.clientX - left) / width) * length); }}>
            ${row.spans.map(({ from, to, words }, i) => html`<rect key=${i} class=${i % 2 && row.alternate ? "span other" : "span"} x=${(from / length) * 1000} width=${Math.max(2, ((to - from) / length) * 1000)} y="3" height="18"><title>${words}</title></rect>`)}
            <line class="cursor" x1=${(at / length) * 1000} x2=${(at / length) * 1000} y1="0" y2="24" /></svg></div>`)}
    </section>
    ${done.length > 0 && html`<p class="row">${done.map((job) => html`<a key=${job.id} class="button" href="/api/jobs/${job.id}/result" target="_blank" rel="noreferrer">${TITLES[job.kind]} as JSON</a>`)}</p>`}`;
}
