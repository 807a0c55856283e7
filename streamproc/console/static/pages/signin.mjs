// Signing in, where users are set; else why this browser is not served. The first user, by the set-up link.
import { useState } from "preact/hooks";
import { Problem, html, useLoaded } from "../ui.mjs";
import { get, post } from "../api.mjs";
import { go } from "../go.mjs";
import { loadSession } from "../live.mjs";

const Brand = () => html`<div class="brand"><img src=${new URL("../icon.svg", import.meta.url).pathname} alt="" /> streamproc</div>`;

/** `#SECRET` of the address is what the daemon's log showed. */
export function SetUp() {
  const { value, error } = useLoaded(() => get("/api/setup"), []);
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const make = async (submit) => {
    submit.preventDefault();
    const form = new FormData(submit.target);
    setBusy(true);
    setFailed(null);
    try {
      await post("/api/setup", { secret: location.hash.slice(1), name: form.get("name"), password: form.get("password") });
      await loadSession();
      go("/console/", true);
    } catch (refused) { setFailed(refused); }
    setBusy(false);
  };
  return html`<main class="signin"><div class="card pad stack"><${Brand} /><h1>Set up this node</h1><${Problem} error=${error} />
    ${value?.open === false && html`<p>This link has been used, or the daemon was started again since: its log shows the link that is good now.</p><a class="button" href="/console/">To the console</a>`}
    ${value?.open && html`<form class="stack" onSubmit=${make}>
      <p class="dim">The first user may do everything. From then on everybody signs in, also on the node itself; scripts take a token.</p>
      <label class="field">Name<input name="name" autocomplete="username" required autofocus /></label>
      <label class="field">Password, 8 characters or more<input name="password" type="password" autocomplete="new-password" minlength="8" required /></label>
      <${Problem} error=${failed} /><button class="main" disabled=${busy}>${busy ? "Setting up" : "Set up"}</button></form>`}
  </div></main>`;
}

export function SignIn({ session }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const enter = async (submit) => {
    submit.preventDefault();
    const form = new FormData(submit.target);
    setBusy(true);
    setError(null);
    try {
      await post("/api/session", { name: form.get("name"), password: form.get("password") });
      await loadSession();
    } catch (refused) {
      setError(refused);
    }
    setBusy(false);
  };
  return html`<main class="signin">
    <div class="card pad stack">
      <${Brand} />
      ${session.users
        ? html`<form class="stack" onSubmit=${enter}>
            <h1>Sign in</h1>
            <label class="field">Name<input name="name" autocomplete="username" required autofocus /></label>
            <label class="field">Password<input name="password" type="password" autocomplete="current-password" required /></label>
            <${Problem} error=${error} />
            <button class="main" disabled=${busy}>${busy ? "Signing in" : "Sign in"}</button>
          </form>`
        : html`<h1>Not from here</h1><p>${session.reason}</p>
            <p class="dim">To use the console from other machines, add users to <code>streamproc.yaml</code>:</p>
            <pre>${"server:\n  users:\n    - name: ann\n      password_hash_env: ANN_HASH\n      role: admin"}</pre>
            <p class="dim">and set <code>ANN_HASH</code> to the line that <code>streamproc passwd</code> prints.</p>`}
    </div>
  </main>`;
}
