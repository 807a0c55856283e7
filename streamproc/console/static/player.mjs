// The live picture by WHEP, with what is in view as it is told; where that fails, the caller shows stills.
import { useEffect, useRef, useState } from "preact/hooks";
import { html, percent } from "./ui.mjs";
import { Refused } from "./api.mjs";

const LOOK_LASTS_MS = 1500;
const GATHER_MS = 1000;

async function connect(name, video, ended) {
  const peer = new RTCPeerConnection();
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.ontrack = (event) => { video.srcObject = new MediaStream([event.track]); video.play().catch(() => {}); };
  peer.onconnectionstatechange = () => { if (["failed", "closed", "disconnected"].includes(peer.connectionState)) ended(); };
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((done) => {
    if (peer.iceGatheringState === "complete") done();
    setTimeout(done, GATHER_MS);
    peer.addEventListener("icegatheringstatechange", () => peer.iceGatheringState === "complete" && done());
  });
  const answer = await fetch(`/whep/${encodeURIComponent(name)}`, { method: "POST", body: peer.localDescription.sdp, headers: { "Content-Type": "application/sdp" } });
  if (!answer.ok) {
    peer.close();
    throw new Refused(answer.status, answer.statusText);
  }
  const session = answer.headers.get("Location");
  await peer.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  const close = () => {
    peer.onconnectionstatechange = null;
    peer.close();
    fetch(session, { method: "DELETE", keepalive: true }).catch(() => {});
  };
  return { close, viewer: session.split("/").pop() };
}

/** `onFail(error)`: there is no live picture. `show`: {regions, boxes}. Children lie below it until it plays. */
export function Player({ name, regions, show, onFail, children }) {
  const video = useRef(null);
  const [look, setLook] = useState(null);
  useEffect(() => {
    let live = null;
    let feed = null;
    let over = false;
    let fade = 0;
    const fail = (error) => { if (!over) onFail(error); };
    connect(name, video.current, () => fail(new Refused(0, "the live picture ended"))).then((opened) => {
      if (over) return opened.close();
      live = opened;
      feed = new EventSource(`/watch/${encodeURIComponent(name)}/events?viewer=${opened.viewer}`);
      feed.addEventListener("look", (message) => {
        setLook(JSON.parse(message.data));
        clearTimeout(fade);
        fade = setTimeout(() => setLook(null), LOOK_LASTS_MS);
      });
      return undefined;
    }, fail);
    return () => {
      over = true;
      clearTimeout(fade);
      feed?.close();
      live?.close();
    };
  }, [name]);
  return html`<div class="player">${children}<video ref=${video} autoplay muted playsinline aria-label="Live picture of ${name}"></video>
    ${show.regions && html`<${Outlines} regions=${regions} />`}
    ${show.boxes && (look?.boxes || []).map(({ track, label, confidence, box: [left, top, right, bottom] }) => html`<div key=${`${label} ${track}`} class="box class-${label}"
      style=${{ left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%` }}><span>${label} ${percent(confidence)}</span></div>`)}
  </div>`;
}

export const Outlines = ({ regions }) => html`<svg class="outlines" viewBox="0 0 1000 1000" preserveAspectRatio="none" aria-hidden="true">
  ${(regions || []).map((region) => html`<polygon key=${region.name} class="outline" points=${region.points.map(([x, y]) => `${x * 1000},${y * 1000}`).join(" ")} />`)}</svg>`;
