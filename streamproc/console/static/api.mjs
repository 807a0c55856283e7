// Requests to this node and nothing else. Errors carry the server's own sentence.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function answer(response) {
  if (response.status === 204) return null;
  const isJson = (response.headers.get("Content-Type") || "").includes("json");
  const body = isJson ? await response.json() : await response.text();
  if (response.ok) return body;
  const said = isJson && body.error ? body.error.message || body.error : response.statusText;
  throw new Refused(response.status, said || `the node answered ${response.status}`);
}

async function ask(path, options) {
  try {
    return await answer(await fetch(path, { credentials: "same-origin", cache: "no-store", ...options }));
  } catch (error) {
    if (error instanceof TypeError) throw new Refused(0, "the node cannot be reached; trying again");
    throw error;
  }
}

const sent = (method) => (path, body = {}) =>
  ask(path, { method, body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });

export const get = (path) => ask(path);
export const post = sent("POST");
export const put = sent("PUT");
export const remove = sent("DELETE");

/** A file as the body of a request, with its own type. */
export const upload = (path, file, type = file.type || "application/octet-stream") =>
  ask(path, { method: "POST", body: file, headers: { "Content-Type": type } });

/** A camera's newest picture: where it lies in this page, and when it was taken, by this browser's clock. One that is had already is not sent again. */
export async function still(path) {
  const response = await fetch(path, { credentials: "same-origin", cache: "no-cache" });
  if (!response.ok) throw new Refused(response.status, response.statusText);
  const ago = Date.parse(response.headers.get("Date")) - Date.parse(response.headers.get("X-Frame-Time"));
  return { url: URL.createObjectURL(await response.blob()), at: Date.now() - (ago > 0 ? ago : 0) };
}

/** `/a?x=1` out of a path and values; empty values are left out. */
export function address(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== "" && value != null));
  return query.size ? `${path}?${query}` : path;
}

export const api = (name, rest = "") => `/api/processors/${encodeURIComponent(name)}${rest}`;
export const picture = (event, part) => `/api/events/${encodeURIComponent(event.id)}/${part}.jpg`;
