// The frame around every page: where one is, who one is, and which page shows it.
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { Icon, Link, html } from "./ui.mjs";
import { remove } from "./api.mjs";
import { go } from "./go.mjs";
import * as live from "./live.mjs";
import { SetUp, SignIn } from "./pages/signin.mjs";
import { Add } from "./pages/add.mjs";
import { Home } from "./pages/home.mjs";
import { Camera } from "./pages/camera.mjs";
import { Regions } from "./pages/regions.mjs";
import { Events } from "./pages/events.mjs";
import { Why } from "./pages/why.mjs";
import { Faces } from "./pages/faces.mjs";
import { Jobs } from "./pages/jobs.mjs";
import { Outputs } from "./pages/outputs.mjs";
import { Nodes } from "./pages/nodes.mjs";
import { Settings } from "./pages/settings.mjs";

const BASE = "/console";
const PAGES = [
  ["", "Cameras", "home", Home, "view"],
  ["events", "Events", "events", Events, "view"],
  ["why", "Why", "why", Why, "view"],
  ["faces", "Faces", "faces", Faces, "review"],
  ["jobs", "Jobs", "jobs", Jobs, "review"],
  ["outputs", "Outputs", "outputs", Outputs, "view"],
  ["nodes", "Nodes", "nodes", Nodes, "view"],
  ["settings", "Settings", "settings", Settings, "admin"],
];

const place = signal(read());

function read() {
  const parts = location.pathname.slice(BASE.length).split("/").filter(Boolean).map(decodeURIComponent);
  return { parts, query: Object.fromEntries(new URLSearchParams(location.search)) };
}

addEventListener("popstate", () => { place.value = read(); });
addEventListener("click", (click) => {
  const link = click.target.closest?.("a[href]");
  const plain = click.button === 0 && !click.metaKey && !click.ctrlKey && !click.shiftKey && !click.altKey;
  if (!link || !plain || click.defaultPrevented || link.target || link.hasAttribute("download")) return;
  const to = new URL(link.href);
  if (to.origin !== location.origin || !to.pathname.startsWith(`${BASE}/`)) return;
  click.preventDefault();
  go(to.pathname + to.search);
  window.scrollTo(0, 0);
});

function Side({ current }) {
  const { name, users } = live.session.value;
  const leave = async () => {
    live.close();
    await remove("/api/session");
    await live.loadSession();
  };
  return html`<div class="side">
    <${Link} class="brand" to="${BASE}/"><img src=${new URL("icon.svg", import.meta.url).pathname} alt="" />streamproc</${Link}>
    <nav aria-label="Console">${PAGES.filter((page) => live.may(page[4]) && (page[0] !== "nodes" || live.session.value.nodes)).map(([path, title, icon]) => html`
      <${Link} key=${path} to="${BASE}/${path}" aria-current=${current === path ? "page" : undefined}><${Icon} name=${icon} /><span>${title}</span></${Link}>`)}
    </nav>
    <div class="foot">
      <span role="status">${live.connected.value ? html`<span class="chip good">connected</span>` : html`<span class="chip warn">reconnecting</span>`}</span>
      ${users && html`<span>Signed in as ${name}</span><button onClick=${leave}>Sign out</button>`}
    </div>
  </div>`;
}

function page({ parts, query }) {
  const [first = "", second, third] = parts;
  if (first === "cameras" && second) {
    return third === "regions" || third === "masks"
      ? { current: "", title: `${third === "masks" ? "Masks" : "Regions"} of ${second}`, body: html`<${Regions} key=${`${second} ${third}`} name=${second} kind=${third} query=${query} />` }
      : { current: "", title: second, body: html`<${Camera} key=${second} name=${second} />` };
  }
  if (first === "add" && live.may("control")) return { current: "", title: "Add a camera", body: html`<${Add} />` };
  const found = PAGES.find(([path]) => path === first);
  if (!found) return { current: null, title: "Not found", body: html`<h1>There is no such page</h1><p><a href="/console/">To the cameras</a></p>` };
  const [path, title, , Page, right] = found;
  if (!live.may(right)) return { current: path, title, body: html`<h1>${title}</h1><p class="note warn">Your role may not see this page. Ask for the role ${right}.</p>` };
  return { current: path, title, body: html`<${Page} id=${second} query=${query} />` };
}

function App() {
  const main = useRef(null);
  const session = live.session.value;
  const where = place.value;
  const shown = session?.signed_in ? page(where) : null;
  useEffect(() => {
    document.title = shown ? `${shown.title} · streamproc` : "streamproc";
  });
  useEffect(() => {
    if (session?.signed_in) {
      live.loadProcessors();
      live.open();
    } else live.close();
  }, [session?.signed_in]);
  if (where.parts[0] === "setup") return html`<${SetUp} />`;
  if (!session) return html`<main aria-busy="true"><div class="skeleton" style=${{ height: "40px" }} /></main>`;
  if (!session.signed_in) return html`<${SignIn} session=${session} />`;
  return html`<a class="skip" href="#main" onClick=${(click) => { click.preventDefault(); main.current.focus(); }}>To the content</a>
    <div class="frame"><${Side} current=${shown.current} /><main id="main" tabindex="-1" ref=${main}>${shown.body}</main></div>`;
}

render(html`<${App} />`, document.getElementById("app"));
live.loadSession().catch((error) => { live.session.value = { signed_in: false, users: false, reason: error.message }; });
