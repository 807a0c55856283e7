// The node's documents as text, checked line by line before they are written.
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, Skeleton, html, useLoaded } from "../ui.mjs";
import { address, get, post, put } from "../api.mjs";
import { go } from "../go.mjs";

const CHECK_MS = 500;

export function Settings({ query }) {
  const { value, error } = useLoaded(() => get(address("/api/settings", { file: query.file })), [query.file]);
  if (!value) return html`<h1>Settings</h1><${Problem} error=${error} />${error?.status === 404 && html`<p><a href="/console/settings">To the files that are there</a></p>`}${!error && html`<div class="card pad"><${Skeleton} lines=${8} /></div>`}`;
  return html`<div class="head"><h1>Settings</h1><label class="field inline">File<select value=${value.file} onChange=${(input) => go(address("/console/settings", { file: input.target.value }))}>
      ${value.files.map((file) => html`<option key=${file} value=${file} selected=${file === value.file}>${file}</option>`)}</select></label></div>
    <${Document} key=${value.file} document=${value} />`;
}

function Document({ document }) {
  const [text, setText] = useState(document.text);
  const [mark, setMark] = useState(document.mark);
  const [faults, setFaults] = useState([]);
  const [said, setSaid] = useState("");
  const [failed, setFailed] = useState(null);
  const area = useRef(null);
  useEffect(() => {
    const timer = setTimeout(() => post("/api/settings/check", { file: document.file, text }).then((found) => setFaults(found.faults), setFailed), CHECK_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const save = async () => {
    setFailed(null);
    try {
      const saved = await put("/api/settings", { file: document.file, text, mark });
      setFaults(saved.faults);
      if (saved.saved) {
        setMark(saved.mark);
        setSaid(document.file === "streamproc.yaml" ? "Saved. cpu_target, outbox and outputs count at once; other keys after a restart or reload." : "Saved. It is read at once.");
      }
    } catch (refused) { setFailed(refused); }
  };
  const show = (line) => {
    const before = text.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.current.focus();
    area.current.setSelectionRange(before, before + (text.split("\n")[line - 1] || "").length);
  };
  const lines = text.split("\n").length;
  const marked = new Set(faults.map((fault) => fault.line));
  return html`<div class="code card"><ol aria-hidden="true">${Array.from({ length: lines }, (_, i) => html`<li key=${i} class=${marked.has(i + 1) ? "bad" : ""}>${i + 1}</li>`)}</ol>
      <textarea ref=${area} aria-label="Text of ${document.file}" spellcheck="false" wrap="off" rows=${Math.max(14, lines + 1)} value=${text} onInput=${(input) => { setText(input.target.value); setSaid(""); }}></textarea></div>
    ${faults.length > 0 ? html`<ul class="plainlist stack tight" role="alert">${faults.map((fault, i) => html`<li key=${i} class="note bad row"><span>${fault.line ? html`<button class="plain" onClick=${() => show(fault.line)}>line ${fault.line}</button>` : ""} <b>${fault.field}</b> ${fault.message}</span></li>`)}</ul>`
      : html`<p class="dim" role="status">${said || "The document is good."}</p>`}
    <${Problem} error=${failed} />
    <div class="row"><button class="main" onClick=${save} disabled=${faults.length > 0 || text === document.text && mark === document.mark || !document.writable}>Save</button>${!document.writable && html`<span class="dim">This file is read-only here.</span>`}</div>`;
}
