// One photo and what the models say about it.

import { question } from "./api.js";
import { comparison } from "./comparison.js";
import { ICONS, byId, element, foreign, icon, safe } from "./dom.js";
import { attributes, bars, calibration, code, facts, first, fits, headline } from "./parts.js";
import { landmarkSection } from "./landmark.js";
import { makePicture } from "./picture.js";
import { query, settings } from "./settings.js";
import { decimal, milliseconds, share, word } from "./words.js";

let view = null;

/** Builds the view of a subject; `actions`: explains(prediction), heatOn(), close(), and in a batch back(), step(by), steps. */
export function open(subject, actions) {
  view?.picture.stop();
  const home = byId("answer");
  const label = element("div", { class: "label" });
  const below = element("div", {});
  const cards = element("div", { class: "cards", hidden: true });
  const aside = element("div", { class: "aside" });
  const picture = makePicture(subject, { explains: actions.explains, onChoose: pressed });
  view = { subject, actions, home, label, below, cards, picture, aside, asked: null };
  home.replaceChildren(toolbar(), element("div", { class: "plate" }, element("div", { class: "left" }, picture.node, aside), label), cards, below);
  if (subject.answer) draw();
}

export const shown = () => view?.subject ?? null;
export const home = () => view?.home;
export const heatChanged = () => view?.picture.show();
export function leave() {
  view?.picture.stop();
  view = null;
}

function toolbar() {
  const { subject, actions } = view;
  const round = (key, path, act, enabled = true, id = null) => element("button", { type: "button", class: "round", "aria-label": word(key), title: word(key), disabled: !enabled, "data-testid": id, on: { click: act } }, icon(path));
  const copied = element("span", { class: "soft", role: "status" });
  const link = element("button", { type: "button", class: "button", "data-testid": "copy-link", on: { click: () => copyLink(copied) } }, icon(ICONS.link), element("span", { text: word("copy_link") }));
  return element("div", { class: "toolbar" },
    actions.back && element("button", { type: "button", class: "button", "data-testid": "back", on: { click: actions.back } }, icon(ICONS.left), element("span", { text: word("all_photos", { n: actions.steps.count }) })),
    element("p", { class: "file", title: safe(subject.name) }, foreign(subject.name), subject.credit && ` – ${safe(subject.credit)}`),
    copied, link,
    actions.back && round("previous", ICONS.left, () => actions.step(-1), actions.steps.previous, "previous"),
    actions.back && round("next", ICONS.right, () => actions.step(1), actions.steps.next, "next"),
    !actions.back && round("close_photo", ICONS.close, actions.close, true, "close"));
}

async function copyLink(copied) {
  const { subject } = view;
  const models = settings.models.length ? settings.models : subject.answer?.predictions.map((each) => each.model.name) ?? [];
  const address = `${location.origin}/${query(subject, { all: true, models })}`;
  const done = await copy(address);
  copied.textContent = word(!done ? "copy_failed" : subject.file ? "copied_settings" : "copied");
  setTimeout(() => { copied.textContent = ""; }, 6000);
}

/** Puts a text on the clipboard; browsers offer the modern way to safe origins alone. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea", { class: "out", readonly: true });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

/** Shows that an answer is awaited; returns what tells about its progress. */
export function wait(cancel) {
  const { subject, label, below, cards, aside } = view;
  const text = element("p", { text: word("looking") });
  const since = element("span", { class: "since" });
  const progress = element("progress", { "aria-label": word("looking"), max: 1 });
  const panel = element("div", { class: "waiting", "data-testid": "waiting" }, text, progress, since, element("button", { type: "button", class: "button", text: word("cancel"), "data-testid": "cancel", on: { click: cancel } }));
  const stale = Boolean(subject.answer);
  label.querySelector(".waiting")?.remove();
  if (!stale) { label.replaceChildren(); below.replaceChildren(); aside.replaceChildren(); cards.hidden = true; }
  const started = Date.now();
  const old = [...label.children, below, cards, aside];
  const show = () => { label.prepend(panel); if (stale) for (const each of old) each.classList.add("stale"); };
  // An answer takes milliseconds as a rule; what only flashes up disturbs.
  const shown = setTimeout(show, stale ? 400 : 120);
  const ticking = setInterval(() => {
    const seconds = Math.floor((Date.now() - started) / 1000);
    if (seconds >= 2) since.textContent = word(seconds >= 10 ? "slow" : "since", { n: seconds });
  }, 500);
  return {
    sent: (part) => {
      const sending = part < 1;
      text.textContent = word(sending ? "sending" : "looking", { share: share(part) });
      if (sending) progress.value = part; else progress.removeAttribute("value");
    },
    waiting: (seconds) => { clearTimeout(shown); show(); text.textContent = word(seconds ? "busy" : "looking", { n: seconds }); },
    over: () => {
      clearTimeout(shown);
      clearInterval(ticking);
      panel.remove();
      for (const each of [...label.children, below, cards, aside]) each.classList.remove("stale");
    },
  };
}

/** Draws the answer of the subject. */
export function draw() {
  const { subject, label, cards, below, home, picture, aside } = view;
  const { predictions, failures, comparison: compared, landmark } = subject.answer;
  const several = predictions.length + failures.length > 1;
  home.classList.toggle("misfit", predictions.length > 0 && predictions.every((each) => !fits(each)));
  cards.hidden = !several;
  if (several) {
    label.replaceChildren(compared && (compared.groups.length || compared.apart.length) ? comparison(compared, predictions) : headline(predictions[0] ?? empty()));
    if (landmark) label.append(landmarkSection(landmark));
    cards.replaceChildren(...predictions.map((each) => card(each, compared?.apart.includes(each.model.name))), ...failures.map(failure));
  } else {
    label.replaceChildren(...(predictions.length ? whole(predictions[0], landmark) : failures.map(failure)));
    cards.replaceChildren();
  }
  aside.replaceChildren(element("details", { class: "block", open: !several || null, "data-testid": "facts" }, element("summary", { text: word("details") }), answerFacts()));
  below.replaceChildren(raw());
  picture.update();
}

const empty = () => ({ model: { name: "" }, scores: [] });

function chooser(prediction) {
  const { actions, picture } = view;
  if (!actions.explains(prediction)) return null;
  return (id) => { actions.heatOn(); picture.choose(prediction.model.name, id); };
}

const section = (key, ...children) => element("section", {}, element("h3", { text: word(key) }), children);

/** One model's answer, piece by piece. */
function whole(prediction, landmark) {
  const fitting = fits(prediction);
  const made = [headline(prediction)];
  if (landmark) made.push(landmarkSection(landmark));
  const scenes = prediction.coarse || prediction.task === "multi_label" ? "scenes" : "labels";
  made.push(element("div", { "data-model": prediction.model.name, "data-testid": "scenes" }, section(fitting ? scenes : "nearest", bars(prediction.scores, { faded: !fitting, choose: chooser(prediction) }))));
  if (prediction.coarse?.length) made.push(element("div", { "data-testid": "everyday" }, section("coarse", bars(prediction.coarse, { faded: !fitting }))));
  if (fitting && prediction.attributes?.length) made.push(element("div", {}, attributes(prediction.attributes)));
  return made;
}

function card(prediction, apart) {
  const fitting = fits(prediction);
  const head = element("header", {}, element("h2", {}, foreign(prediction.model.name)), calibration(prediction));
  const rest = [
    prediction.coarse?.length && element("section", { class: "block" }, element("h3", { text: word("coarse") }), bars(prediction.coarse, { faded: !fitting })),
    fitting && prediction.attributes?.length && attributes(prediction.attributes),
    element("section", { class: "block" }, facts(modelFacts(prediction))),
  ].flat().filter(Boolean);
  const scenes = element("section", { class: "block", "data-testid": "scenes", "data-model": prediction.model.name },
    element("h3", { text: word(fitting ? (prediction.coarse ? "scenes" : "labels") : "nearest") }), bars(prediction.scores, { faded: !fitting, choose: chooser(prediction) }));
  return element("article", { class: apart ? "card apart" : "card", "data-testid": "model-card", "data-model": prediction.model.name }, head, headline(prediction, "h3"), scenes, element("details", { class: "block" }, element("summary", { text: word("details") }), rest));
}

function failure(told) {
  return element("article", { class: "card failed", "data-testid": "model-failure", "data-model": told.model },
    element("header", {}, element("h2", {}, foreign(told.model)), element("span", { class: "tag line", text: word("no_answer") })),
    element("p", { lang: "en" }, foreign(told.detail)));
}

/** Marks the bar that is being explained. */
function pressed(chosen) {
  for (const bar of view?.home.querySelectorAll("button.score") ?? []) {
    const model = bar.closest("[data-model]")?.dataset.model;
    bar.setAttribute("aria-pressed", String(Boolean(chosen) && model === chosen.model && bar.dataset.id === chosen.id));
  }
}

function modelFacts(prediction) {
  const { environment, evidence, model } = prediction;
  return [
    ["probabilities", word(prediction.calibrated ? "calibrated_about" : "not_calibrated_about", { share: share(0.7) })],
    ["outdoor_probability", environment && share(environment.outdoor_probability)],
    ["vote", environment && decimal(environment.outdoor_vote)],
    ["evidence", evidence && `${decimal(evidence.value)} (${word("threshold", { n: decimal(evidence.threshold) })})`],
    ["bundle", code(model.bundle_id.slice(0, 12), model.bundle_id)],
    ["precision", model.precision],
    ["time", milliseconds(prediction.milliseconds)],
  ];
}

function answerFacts() {
  const { photo, predictions, timings, version, id } = view.subject.answer;
  const marks = photo.marks.map((mark) => word(mark)).join(", ");
  const single = predictions.length === 1 && view.subject.answer.failures.length === 0;
  return facts([
    ["file", photo.name && code(photo.name)],
    ["format", photo.format],
    ["size", `${photo.width} × ${photo.height}`],
    ["marks", marks],
    ...(single ? [["model", code(predictions[0].model.name)], ...modelFacts(predictions[0])] : []),
    ["in_all", word("timings", { total: milliseconds(timings.total), receive: milliseconds(timings.receive), decode: milliseconds(timings.decode), predict: milliseconds(timings.predict) })],
    ["version", version],
    ["request", code(id.slice(0, 12), id)],
  ]);
}

function raw() {
  const text = JSON.stringify(view.subject.answer, null, 2);
  const copied = element("span", { class: "soft", role: "status" });
  const button = (key, content, id) => element("button", { type: "button", class: "button", text: word(key), "data-testid": id, on: { click: async () => { copied.textContent = word(await copy(content) ? "copied" : "copy_failed"); } } });
  const curl = command();
  return element("details", { class: "raw", "data-testid": "raw" }, element("summary", { text: word("raw") }),
    element("div", { class: "row" }, button("copy", text, "copy-json"), button("copy_curl", curl, "copy-curl"), copied),
    element("pre", { tabindex: "0", "data-testid": "raw-json", "aria-label": word("raw"), text }));
}

/** The same question for a shell. */
function command() {
  const { subject } = view;
  const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;
  const field = subject.url ? quoted(`url=${subject.url}`) : subject.sample ? quoted(`sample=${subject.sample}`) : "file=@photo.jpg";
  const flag = subject.file ? "-F" : "--data-urlencode";
  return `curl ${flag} ${field} ${quoted(`${location.origin}/v1/predictions?${question({ ...settings })}`)}`;
}

/** What a screen reader hears. */
export function summary(answer) {
  const group = answer.comparison?.groups[0];
  const top = group ? (group.coarse?.[0] ?? group.scores?.[0]) : null;
  if (top) return word("said", { name: safe(top.name), share: share(top.probability) });
  const prediction = answer.predictions[0];
  if (!prediction) return word("no_answer");
  if (!fits(prediction)) return word("fits_note");
  const told = first(prediction).top;
  return told ? word("said", { name: safe(told.name), share: share(told.probability) }) : word("no_answer");
}

