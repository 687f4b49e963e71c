// Many photos: each is asked for by itself, so that cards fill as answers come; two at once, and politely.

import { ask } from "./api.js";
import { sentence, tell } from "./alert.js";
import { together } from "./comparison.js";
import { save } from "./csv.js";
import { byId, element, foreign, safe } from "./dom.js";
import { found } from "./landmark.js";
import { check, thumbnail } from "./photos.js";
import { bars, first, fits } from "./parts.js";
import { settings } from "./settings.js";
import { decimal, list, share, word } from "./words.js";

const AT_ONCE = 2;
const TRIES = 5;
const SHOWN = 3;
// After these no other photo would fare better.
const STOPS = ["unreachable", "offline"];

let batch = null;

/** `actions`: open(item), say(text). */
export function begin(files, actions) {
  end();
  const items = files.map((file, index) => {
    const item = { index, name: file.webkitRelativePath || file.name, file, state: "waiting", error: null, subject: { file, name: file.name } };
    try { check(file); } catch (error) { fail(item, error); }
    return item;
  });
  batch = { items, actions, asked: null, run: null, calmAt: 0, pause: 0, watcher: new IntersectionObserver(seen, { rootMargin: "600px" }) };
  draw();
  go();
}

/** Forgets the batch and its pictures. */
export function end() {
  if (!batch) return;
  batch.run?.abort();
  batch.watcher.disconnect();
  for (const { thumb, subject } of batch.items) for (const address of [thumb, subject.preview]) if (address) URL.revokeObjectURL(address);
  for (const { subject } of batch.items) subject.preview = null;
  batch = null;
  byId("many").replaceChildren();
}

export const has = () => batch !== null;
export const count = () => batch.items.length;
export const itemOf = (subject) => batch?.items.find((item) => item.subject === subject) ?? null;
export const focus = (item) => item.card?.querySelector(".open")?.focus();

/** The nearest answered item before (-1) or after (1) another, or null. */
export function beside(item, step) {
  for (let at = item.index + step; at >= 0 && at < batch.items.length; at += step) if (batch.items[at].subject.answer) return batch.items[at];
  return null;
}

function fail(item, error) {
  item.state = "failed";
  item.error = error;
}

// ---- asking

async function go() {
  const run = batch.run = new AbortController();
  const mine = batch;
  mine.asked = { ...settings, models: [...settings.models], heatmap: false };
  drawState();
  await Promise.all(Array.from({ length: AT_ONCE }, () => work(mine, run)));
  if (mine.run !== run) return;
  mine.run = null;
  if (mine !== batch) return;
  drawState();
  mine.actions.say(state().text);
}

async function work(mine, run) {
  for (;;) {
    // Where the server asked one of us to wait, the other waits as well.
    while (mine.calmAt > Date.now() && !run.signal.aborted) await new Promise((resolve) => { setTimeout(resolve, 200); });
    const item = run.signal.aborted ? null : mine.items.find((each) => each.state === "waiting");
    if (!item) return;
    item.state = "asking";
    drawCard(item);
    try {
      item.subject.answer = await ask(item.subject, mine.asked, { signal: run.signal, tries: TRIES, onWait: (seconds) => busy(mine, seconds) });
      item.subject.maps?.clear();
      item.state = "done";
    } catch (error) {
      if (error.code === "cancelled" || run.signal.aborted) item.state = "waiting";
      else if (STOPS.includes(error.code) || error.status === 401) { item.state = "waiting"; stop(mine, run, error); } else fail(item, error);
    }
    if (mine !== batch) return;
    drawCard(item);
    drawState();
  }
}

function busy(mine, seconds) {
  mine.calmAt = Date.now() + seconds * 1000;
  mine.pause = seconds;
  if (mine === batch) drawState();
}

function stop(mine, run, error) {
  run.abort();
  if (mine === batch) tell(error, { home: byId("many"), retry: go });
}

function again() {
  batch.run?.abort();
  for (const item of batch.items) {
    if (item.state !== "failed" || item.error.status) { item.state = "waiting"; item.error = null; }
    drawCard(item);
  }
  go();
}

// ---- drawing

export function draw() {
  const { items } = batch;
  const grid = element("ul", { class: "grid", "data-testid": "batch-grid" });
  for (const item of items) {
    item.card = element("li", { class: "photo", "data-testid": "batch-card" });
    batch.watcher.observe(item.card);
    grid.append(item.card);
  }
  byId("many").replaceChildren(element("div", { class: "state" }), grid);
  for (const item of items) drawCard(item);
  drawState();
}

function seen(entries) {
  for (const { isIntersecting, target } of entries) {
    const item = isIntersecting && batch?.items.find((each) => each.card === target);
    if (!item || item.thumb !== undefined) continue;
    item.thumb = null;
    thumbnail(item.file).then((address) => {
      item.thumb = address;
      item.blank = !address;
      if (batch?.items.includes(item)) picture(item); else if (address) URL.revokeObjectURL(address);
    });
  }
}

function picture(item) {
  const frame = item.card?.querySelector(".thumb");
  if (!frame) return;
  if (item.thumb) frame.replaceChildren(element("img", { src: item.thumb, alt: "", decoding: "async" }));
  else if (item.blank) frame.textContent = word("no_thumb");
}

function state() {
  const { items } = batch;
  const done = items.filter((each) => each.state === "done").length;
  const failed = items.filter((each) => each.state === "failed").length;
  const text = word("progress", { n: done + failed, all: items.length });
  return { done, failed, all: items.length, text: failed ? `${text}. ${word("failed", { n: failed })}` : text };
}

const differs = () => ["models", "topK", "language"].some((name) => String(batch.asked[name]) !== String(settings[name]));

/** What stands above the cards: how far it is, and what can be done. */
export function drawState() {
  if (!batch) return;
  const { done, failed, all } = state();
  const running = Boolean(batch.run) && !batch.run.signal.aborted;
  const left = all - done - failed;
  const button = (key, act, id, main = false) => element("button", { type: "button", class: main ? "button main" : "button", text: word(key), "data-testid": id, on: { click: act } });
  const waits = running && batch.calmAt > Date.now();
  const note = waits ? word("busy", { n: batch.pause }) : failed ? word("failed", { n: failed }) : "";
  const place = byId("many").querySelector(".state");
  const heading = element("h2", { tabindex: "-1", text: word("progress", { n: done + failed, all }), "data-testid": "batch-progress" });
  const bar = element("progress", { max: all, value: done + failed, "aria-label": word("progress", { n: done + failed, all }) });
  const buttons = [
    running && button("cancel", () => { batch.run.abort(); drawState(); }, "cancel"),
    !running && left > 0 && button("go_on", go, "go-on", true),
    !running && batch.asked && differs() && button("ask_again", again, "ask-again", true),
    done + failed > 0 && button("csv", download, "csv"),
  ].filter(Boolean);
  const offered = buttons.map((each) => each.dataset.testid).join(" ");
  if (place.dataset.offered === offered) {
    // A button that is made anew with each photo could not be clicked.
    place.querySelector("h2").textContent = heading.textContent;
    place.querySelector("p").textContent = note;
    place.querySelector("progress")?.replaceWith(bar);
    return;
  }
  const holds = document.activeElement?.dataset.testid;
  place.dataset.offered = offered;
  place.replaceChildren(...[heading, element("p", { class: "soft", text: note }), ...buttons, running && bar].filter(Boolean));
  if (holds) place.querySelector(`[data-testid="${holds}"]`)?.focus();
}

function download() {
  const over = batch.items.filter((each) => ["done", "failed"].includes(each.state));
  save(over.map(({ name, subject, error }) => ({ name, answer: error ? null : subject.answer, error: error && sentence(error) })));
}

function drawCard(item) {
  const { card, subject } = item;
  const answered = item.state === "done";
  const old = card.querySelector(".open");
  const held = document.activeElement === old;
  const told = answered ? content(subject.answer) : null;
  card.dataset.state = item.state;
  card.classList.toggle("unfit", Boolean(told?.unfit));
  const open = element("button", { type: "button", class: "open", disabled: !answered, "aria-label": word("open_photo", { name: safe(item.name) }), "data-testid": "batch-open", on: { click: () => batch.actions.open(item) } }, element("div", { class: "thumb" }));
  const file = element("p", { class: "file", title: safe(item.name) }, foreign(item.name));
  const inside = told ? told.nodes : item.error
    ? [element("p", { class: "error", "data-testid": "batch-error", text: sentence(item.error) })]
    : [element("p", { class: "pending", text: word(item.state === "asking" ? "looking" : "queued") })];
  card.replaceChildren(open, element("div", { class: "text" }, inside, file));
  picture(item);
  if (held) open.focus();
}

/** Whether the models of a group agree; who says that nothing fits has no vote, and that is said first. */
function verdict(group) {
  if (group.abstaining.length) return word("doubt", { list: list(group.abstaining.map(safe)) });
  return word(group.agree ? "agree_short" : "disagree_short");
}

/** What a card tells: of several models what they say together, else the first. */
function content(answer) {
  const group = answer.comparison?.groups[0];
  const prediction = answer.predictions[0];
  if (!prediction) return { nodes: answer.failures.map((each) => element("p", { class: "error", lang: "en" }, foreign(each.detail))) };
  const unfit = group ? answer.predictions.filter((each) => group.models.includes(each.model.name)).every((each) => !fits(each)) : !fits(prediction);
  const labels = group ? together(group) : prediction.scores;
  const top = group ? labels[0] : first(prediction).top;
  const environment = !unfit && (group ? group.environment : prediction.environment);
  const tags = [
    environment && element("li", { class: `tag ${environment.kind === "outdoor" ? "outdoor" : "indoor"}` }, element("span", { text: word(environment.kind) }), element("small", { text: decimal(environment.margin) })),
    group && element("li", { class: "tag line", text: verdict(group) }),
    found(answer.landmark) && element("li", { class: "tag landmark" }, foreign(answer.landmark.name)),
    ...answer.photo.marks.map((mark) => element("li", { class: "tag line", text: word(mark) })),
  ].filter(Boolean);
  const heading = unfit || !top
    ? element("h3", {}, foreign(word("fits_note")))
    : element("h3", {}, foreign(top.name), element("b", { text: share(top.probability) }));
  return { unfit, nodes: [heading, bars(labels.slice(0, SHOWN), { faded: unfit, small: true }), tags.length > 0 && element("ul", { class: "tags" }, tags)] };
}
