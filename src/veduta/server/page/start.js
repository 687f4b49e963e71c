// The page: which of its three views is shown (start, one photo, many), and what leads from one to another.

import * as alert from "./alert.js";
import * as answer from "./answer.js";
import * as api from "./api.js";
import * as batch from "./batch.js";
import * as bring from "./bring.js";
import * as header from "./header.js";
import { byId, safe } from "./dom.js";
import { askForKey } from "./key.js";
import * as options from "./options.js";
import { check, limit, link } from "./photos.js";
import { query, read, settings } from "./settings.js";
import * as words from "./words.js";

const { word } = words;
const memory = new Map();
let running = null;
let soon = null;
let scrolled = 0;

const say = (text) => { byId("said").textContent = text; };
const view = () => document.body.dataset.view;

// ---- views and the address

function show(name, { subject = null, push = true } = {}) {
  clearTimeout(soon);
  if (name !== "one") { running?.abort(); running = null; answer.leave(); }
  alert.clear();
  if (view() === "many") scrolled = scrollY;
  document.body.dataset.view = name;
  byId("answer").hidden = name !== "one";
  byId("many").hidden = name !== "many";
  byId("ways").classList.remove("open");
  byId("more").setAttribute("aria-expanded", "false");
  bring.mark(subject?.sample ?? null);
  document.title = subject ? `${safe(subject.name)} – Veduta` : "Veduta";
  if (push) history.pushState({ view: name, id: subject?.id ?? null }, "", address(subject));
  scrollTo(0, name === "many" && !push ? scrolled : 0);
}

const address = (subject) => `${location.pathname}${query(subject)}`;

function remember() {
  const subject = view() === "one" ? answer.shown() : null;
  history.replaceState({ view: view(), id: subject?.id ?? null }, "", address(subject));
  byId("about-link").href = `/about?language=${settings.language}`;
  byId("home").href = `/${query()}`;
}

function goBack(event) {
  const subject = memory.get(event.state?.id);
  read();
  settings.language = words.spoken();
  options.draw();
  if (event.state?.view === "one" && subject) one(subject, { push: false });
  else if (event.state?.view === "many" && batch.has()) many({ push: false });
  else if (event.state === null || event.state.view === "one") fromAddress();
  else show("start", { push: false });
}

function fromAddress() {
  const { source } = read();
  settings.language = words.spoken();
  const url = link(source?.url);
  if (source?.sample) one(sample(source.sample), { push: false });
  else if (url) one(remote(url), { push: false });
  else show("start", { push: false });
  if (source?.url && !url) complain("no_link");
}

// ---- subjects: a photo that is asked about, and all that is known of it

let last = 0;
function subject(about) {
  last += 1;
  const made = { id: last, ...about };
  memory.set(made.id, made);
  return made;
}

const sample = (id) => {
  const known = bring.sampleOf(id);
  return subject({ sample: id, name: id, credit: known?.credit, image: known?.image ?? `/v1/samples/${encodeURIComponent(id)}/image` });
};
const remote = (url) => subject({ url, name: decoded(new URL(url).pathname.split("/").pop()) || new URL(url).hostname });

function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

// ---- one photo

function one(about, { push = true } = {}) {
  const item = batch.itemOf(about);
  show("one", { subject: about, push });
  const steps = item && { count: batch.count(), previous: batch.beside(item, -1), next: batch.beside(item, 1) };
  answer.open(about, {
    explains: options.explains,
    heatOn: () => { if (!settings.heatmap) { settings.heatmap = true; options.drawHeat(); remember(); } },
    close: () => show("start"),
    back: item ? () => many() : null,
    step: (by) => { const to = batch.beside(item, by); if (to) opened(to, { push: false }); },
    steps,
  });
  if (!push) remember();
  if (!about.answer || (!item && stale(about))) look(about);
}

const stale = (about) => about.asked !== query();

async function look(about) {
  running?.abort();
  const mine = running = new AbortController();
  const asked = query();
  alert.clear();
  const progress = answer.wait(() => mine.abort());
  try {
    const told = await api.ask(about, { ...settings, heatmap: settings.heatmap && options.quickMaps(), preview: Boolean(about.url) }, { signal: mine.signal, tries: 1, onSent: about.file ? progress.sent : null, onWait: progress.waiting });
    if (about.answer && told.language !== about.answer.language) about.maps?.clear();
    Object.assign(about, { answer: told, asked });
    progress.over();
    if (answer.shown() !== about) return;
    answer.draw();
    say(answer.summary(told));
  } catch (error) {
    progress.over();
    if (answer.shown() !== about) return;
    if (error.code !== "cancelled") { alert.tell(error, { home: answer.home(), retry: () => look(about) }); return; }
    // By hand, and not because something newer is asked.
    if (running !== mine) return;
    say(word("cancelled"));
    if (!about.answer) show("start");
  }
}

// ---- many photos

function many({ push = true } = {}) {
  const from = answer.shown();
  show("many", { push });
  if (!push) remember();
  batch.drawState();
  const item = from && batch.itemOf(from);
  if (item) { scrollTo(0, scrolled); batch.focus(item); }
}

async function opened(item, { push = true } = {}) {
  const about = item.subject;
  if (!about.id) Object.assign(about, subject(about));
  memory.set(about.id, about);
  one(about, { push });
  byId("answer").querySelector(".headline h2")?.focus({ preventScroll: true });
  say(answer.summary(about.answer));
}

function files(list) {
  if (list.length > 1) {
    batch.begin(list, { open: opened, say });
    show("many");
    return;
  }
  const [file] = list;
  try {
    check(file);
  } catch (error) {
    alert.tell(error, { home: home() });
    return;
  }
  one(subject({ file, name: file.name || word("pasted") }));
}

const home = () => ({ one: byId("answer"), many: byId("many") })[view()] ?? null;
const complain = (code) => alert.tell(new api.Trouble(code), { home: home() });

// ---- settings and languages

function changed(what) {
  remember();
  if (view() === "many") batch.drawState();
  if (view() !== "one") return;
  if (what === "heat") { answer.heatChanged(); return; }
  clearTimeout(soon);
  soon = setTimeout(() => { if (answer.shown()) look(answer.shown()); }, 250);
}

async function speak(language) {
  await words.load(language, ["words"]);
  settings.language = language;
  header.draw();
  options.draw();
  bring.draw();
  remember();
}

async function changedLanguage(language) {
  try {
    await speak(language);
  } catch {
    complain("unreachable");
    header.draw();
    return;
  }
  if (batch.has()) batch.draw();
  const about = view() === "one" ? answer.shown() : null;
  if (!about) return;
  one(about, { push: false });
  if (batch.itemOf(about)) look(about);
}

function key(event) {
  const about = view() === "one" ? answer.shown() : null;
  const item = about && batch.itemOf(about);
  if (!item || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("input, select, textarea, pre")) return;
  if (event.key === "Escape") many();
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const to = by && batch.beside(item, by);
  if (to) opened(to, { push: false });
}

/** Learns which models and samples there are; what went wrong, or null. */
async function learn() {
  const [models, samples] = await Promise.allSettled([api.models(), api.samples()]);
  if (models.status === "fulfilled") {
    options.know(models.value);
    limit(models.value.max_upload_bytes);
    bring.drawHint();
  }
  if (samples.status === "fulfilled") await bring.offer(samples.value);
  return [models, samples].find((each) => each.status === "rejected")?.reason ?? null;
}

async function learnAgain() {
  const failed = await learn();
  if (failed) alert.tell(failed, { home: home(), retry: learnAgain });
}

async function start() {
  const { language } = read();
  api.onKeyNeeded(askForKey);
  settings.language = words.preferred(language);
  await words.load(settings.language, ["words"]);
  header.start(changedLanguage);
  options.start(changed);
  bring.start({
    files,
    url: (address) => one(remote(address)),
    sample: (each) => one(sample(each.id)),
    noLink: () => { complain("no_link"); byId("link").focus(); },
    noPhotos: () => complain("no_photos"),
  });
  addEventListener("popstate", goBack);
  document.addEventListener("keydown", key);
  byId("home").addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show("start");
  });
  header.draw();
  options.draw();
  bring.drawHint();
  document.documentElement.dataset.ready = "";
  const failed = await learn();
  fromAddress();
  if (failed) alert.tell(failed, { retry: learnAgain });
  remember();
}

start().catch((error) => {
  document.documentElement.dataset.ready = "";
  alert.tell(new api.Trouble("page", { values: { detail: error.message } }));
});
