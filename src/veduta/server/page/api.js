// Asking the server: one place that knows routes, keys, waiting and what can go wrong.

const MOST_WAIT = 120;

/** What went wrong: a problem that the server told, or a `code` of the page's own with values for its sentence. */
export class Trouble extends Error {
  constructor(code, { detail, status, choices, retryAfter, values } = {}) {
    super(detail ?? code);
    Object.assign(this, { code, detail, status, choices, retryAfter, values });
  }

  /** Whether the same may work a little later. */
  get passes() { return this.status === 429 || this.status === 503; }
}

let askForKey = async () => null;
export function onKeyNeeded(ask) { askForKey = ask; }

const KEY = "veduta.key";
export function key() {
  try { return sessionStorage.getItem(KEY) ?? ""; } catch { return ""; }
}
function keepKey(value) {
  try { sessionStorage.setItem(KEY, value); } catch { /* then it is asked for again */ }
}

// Several requests may be refused at once; one dialog serves them all.
let asking = null;
async function newKey(wrong) {
  asking ??= askForKey(wrong).finally(() => { asking = null; });
  const value = await asking;
  if (value) keepKey(value);
  return value;
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => { clearTimeout(timer); reject(new Trouble("cancelled")); }, { once: true });
});

function retryAfter(value) {
  if (!value) return null;
  const seconds = /^\d+$/.test(value.trim()) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(MOST_WAIT, Math.max(1, Math.ceil(seconds))) : null;
}

/** One request, with XMLHttpRequest since fetch doesn't tell how much of a photo has left. */
function send(method, path, body, { signal, onSent, type = "json" } = {}) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) { reject(new Trouble("cancelled")); return; }
    const request = new XMLHttpRequest();
    request.open(method, path);
    request.responseType = type === "blob" ? "blob" : "text";
    request.setRequestHeader("Accept", type === "blob" ? "image/*" : "application/json");
    const used = key();
    if (used) request.setRequestHeader("Authorization", `Bearer ${used}`);
    const abort = () => request.abort();
    signal?.addEventListener("abort", abort, { once: true });
    const over = (act) => () => { signal?.removeEventListener("abort", abort); act(); };
    if (onSent && body) request.upload.addEventListener("progress", (event) => { if (event.lengthComputable) onSent(event.loaded / event.total); });
    request.addEventListener("abort", over(() => reject(new Trouble("cancelled"))));
    request.addEventListener("error", over(() => reject(new Trouble(navigator.onLine === false ? "offline" : "unreachable"))));
    request.addEventListener("load", over(() => {
      if (request.status >= 200 && request.status < 300) resolve(request);
      else trouble(request).then(reject);
    }));
    request.send(body);
  });
}

async function trouble(request) {
  const about = { status: request.status, retryAfter: retryAfter(request.getResponseHeader("Retry-After")) };
  try {
    const text = request.responseType === "blob" ? await request.response.text() : request.responseText;
    const told = JSON.parse(text);
    if (typeof told.detail === "string") {
      return new Trouble(String(told.code), { ...about, detail: told.detail, choices: Array.isArray(told.choices) ? told.choices : null });
    }
  } catch { /* no problem+json: something between here and the server answered */ }
  return new Trouble("unexpected", { ...about, values: { status: request.status } });
}

/** A request that asks for a key where one is needed, and comes back `tries` times where the server is busy. */
async function patiently(method, path, body, { tries = 0, onWait, ...options } = {}) {
  let left = tries;
  let refused = false;
  for (;;) {
    try {
      return await send(method, path, body, options);
    } catch (error) {
      if (error.status === 401 && await newKey(refused || Boolean(key()))) { refused = true; continue; }
      if (!error.passes || left === 0) throw error;
      left -= 1;
      const seconds = error.retryAfter ?? 2;
      onWait?.(seconds, error);
      await pause(seconds, options.signal);
      onWait?.(0, error);
    }
  }
}

function parsed(request) {
  try {
    return JSON.parse(request.responseText);
  } catch {
    throw new Trouble("unexpected", { status: request.status, values: { status: request.status } });
  }
}

export const models = async () => parsed(await patiently("GET", "/v1/models", null, { tries: 1 }));
export const model = async (name) => parsed(await patiently("GET", `/v1/models/${encodeURIComponent(name)}`, null, { tries: 1 }));
export const samples = async () => parsed(await patiently("GET", "/v1/samples", null, { tries: 1 })).samples;

/** An address for an <img>: the server's own, or, where a key is needed, that of a copy. */
export async function picture(path) {
  if (!key()) return path;
  const request = await patiently("GET", path, null, { type: "blob" });
  return URL.createObjectURL(request.response);
}

/** What is asked, as the query of POST /v1/predictions. */
export function question({ models = [], topK = 5, heatmap = false, explain = [], attributes = true, preview = false, landmarks = false, language = "en" }) {
  const asked = [];
  if (models.length) asked.push(`models=${models.map(encodeURIComponent).join(",")}`);
  asked.push(`top_k=${topK}`);
  if (explain.length) asked.push(...explain.map((id) => `explain=${encodeURIComponent(id)}`));
  else if (heatmap) asked.push("heatmap=true");
  if (!attributes) asked.push("attributes=false");
  if (preview) asked.push("preview=true");
  if (landmarks) asked.push("landmarks=true");
  asked.push(`language=${language}`);
  return asked.join("&");
}

function form(subject) {
  if (subject.file) {
    const made = new FormData();
    made.append("file", subject.file, subject.name);
    return made;
  }
  return new URLSearchParams(subject.url ? { url: subject.url } : { sample: subject.sample });
}

/** What the models say about a photo: {file, name}, {url} or {sample}. */
export async function ask(subject, asked, options = {}) {
  return parsed(await patiently("POST", `/v1/predictions?${question(asked)}`, form(subject), options));
}
