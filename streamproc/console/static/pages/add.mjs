// A new camera: where it is, what it sends, what to look for.
import { useState } from "preact/hooks";
import { Problem, html } from "../ui.mjs";
import { post } from "../api.mjs";
import { cameraPath, go } from "../go.mjs";

const CLASSES = [["PERSON", "People"], ["PET", "Pets"], ["PACKAGE", "Packages"]];
const BROWSER = "webrtc:";
const tidy = (words) => words.toLowerCase().replace(/[^a-z0-9_.-]+/g, "-").replace(/^[-.]+|-+$/g, "").slice(0, 128);

export function Add() {
  const [where, setWhere] = useState({ address: "", user: "", password: "" });
  const [name, setName] = useState("");
  const [classes, setClasses] = useState(["PERSON", "PET", "PACKAGE"]);
  const [found, setFound] = useState(null);
  const [busy, setBusy] = useState("");
  const [failed, setFailed] = useState(null);
  const set = (key) => (input) => { setWhere({ ...where, [key]: input.target.value }); setFound(null); };
  const toggle = (label) => setClasses(classes.includes(label) ? classes.filter((one) => one !== label) : [...classes, label]);
  const run = async (words, work) => {
    setBusy(words);
    setFailed(null);
    try { await work(); } catch (refused) { setFailed(refused); }
    setBusy("");
  };
  const look = () => run("Looking", async () => setFound(await post("/api/cameras/probe", where)));
  const save = (submit) => {
    submit.preventDefault();
    return run("Adding the camera", async () => {
      const made = await post("/api/cameras", { ...where, name: name.trim(), classes });
      go(cameraPath(made.name));
    });
  };
  const browser = where.address === BROWSER;
  const kind = (address, words) => html`<label class="check"><input type="radio" name="kind" checked=${browser === (address === BROWSER)} onChange=${() => { setWhere({ ...where, address }); setFound(null); }} />${words}</label>`;
  const camera = !where.address || /^rtsps?:/i.test(where.address);
  return html`<div class="head"><a class="crumb" href="/console/">Cameras</a><span class="dim" aria-hidden="true">/</span><h1>Add a camera</h1></div>
    <form class="card pad stack form" onSubmit=${save}>
      <fieldset class="row"><legend class="small dim">What it is</legend>${kind("", "A camera with an address")}${kind(BROWSER, "A phone or browser")}</fieldset>
      ${browser ? html`<p class="dim">It becomes the camera when its browser opens the page that the next step shows. Browsers give their camera to HTTPS pages and to localhost only.</p>` : html`<label class="field">Address<input name="address" value=${where.address} onInput=${set("address")} placeholder="rtsp://192.168.1.20/stream1" inputmode="url" autocapitalize="off" spellcheck="false" required autofocus />
        <span>As the camera's manual or its own page gives it. The path of a video on this node does as well.</span></label>`}
      ${camera && !browser && html`<div class="row fields"><label class="field">User<input name="user" value=${where.user} onInput=${set("user")} autocomplete="off" autocapitalize="off" /></label>
        <label class="field">Password<input name="password" type="password" value=${where.password} onInput=${set("password")} autocomplete="off" /></label></div>`}
      ${!browser && html`<div class="row"><button type="button" onClick=${look} disabled=${!where.address.trim() || Boolean(busy)}>Look</button><span class="dim small" role="status">${busy || (found ? "" : "tries whether pictures come from there")}</span></div>`}
      ${found && html`<div class="note good stack tight" role="status"><p><b>${found.width} x ${found.height}</b>, ${found.codec}${found.fps ? `, ${Math.round(found.fps * 10) / 10} frames a second` : ""}${found.gop_seconds ? `, a keyframe every ${Math.round(found.gop_seconds * 10) / 10} s` : ""}.</p>
        ${found.notes.map((words) => html`<p key=${words} class="small">${words}</p>`)}</div>`}
      <label class="field">Name<input name="name" value=${name} onInput=${(input) => setName(input.target.value)} onBlur=${() => setName(tidy(name))} placeholder="front-door" maxlength="128" required /></label>
      <fieldset class="row"><legend class="small dim">Announce</legend>${CLASSES.map(([label, words]) => html`<label key=${label} class="check"><input type="checkbox" checked=${classes.includes(label)} onChange=${() => toggle(label)} />${words}</label>`)}</fieldset>
      <${Problem} error=${failed} />
      <div class="row"><button class="main" disabled=${!where.address.trim() || !name.trim() || !classes.length || Boolean(busy)}>Add</button><a class="button" href="/console/">Cancel</a></div>
    </form>`;
}
