// Signing in, where users are set; else why this browser is not served.
import { useState } from "preact/hooks";
import { Problem, html } from "../ui.mjs";
import { post } from "../api.mjs";
import { loadSession } from "../live.mjs";

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
      <div class="brand"><img src=${new URL("../icon.svg", import.meta.url).pathname} alt="" /> streamproc</div>
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
