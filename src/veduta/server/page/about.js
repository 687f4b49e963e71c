// The page about Veduta: the models with their cards, and examples for the API.

import { tell } from "./alert.js";
import * as api from "./api.js";
import { byId, element, foreign, safe } from "./dom.js";
import * as header from "./header.js";
import { askForKey } from "./key.js";
import { markdown } from "./markdown.js";
import { ordered } from "./options.js";
import { code, facts } from "./parts.js";
import * as words from "./words.js";

const { word } = words;
// These are counted in what they are, all others in shares.
const PLAIN = ["expected_calibration_error", "evidence_auroc", "attributes_mean_average_precision", "attributes_mean_average_precision_by_frequency"];

const FEW = 5;

let known = null;

function metricName(name) {
  return words.has(`metric_${name}`) ? word(`metric_${name}`) : safe(name.replaceAll("_", " "));
}

function metrics(told) {
  const shown = (name, value) => (PLAIN.includes(name) || value > 1 || value < 0 ? words.thousandth(value) : words.percent(value));
  const rows = told.map((each) => element("tr", {},
    element("th", { scope: "row", text: metricName(each.name) }),
    element("td", { class: "end", text: shown(each.name, each.value) }),
    element("td", { class: "end whole", text: each.interval ? each.interval.map((end) => shown(each.name, end)).join(" – ") : "–" }),
    element("td", {}, foreign(each.data)),
    element("td", { class: "end", text: words.number(each.count) })));
  const more = rows.length > FEW + 1 ? element("button", { type: "button", class: "plain", text: word("more", { n: rows.length }), on: { click: () => { body.append(...rows.slice(FEW)); more.remove(); } } }) : null;
  const body = element("tbody", {}, more ? rows.slice(0, FEW) : rows);
  const head = ["figure", "value", "interval", "data", "count"].map((key) => element("th", { scope: "col", class: ["value", "interval", "count"].includes(key) ? "end" : null, text: word(key) }));
  return element("div", {}, element("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": word("figures") }, element("table", { "data-testid": "metrics" }, element("thead", {}, element("tr", {}, head)), body)), more);
}

function about(model) {
  const yes = (value) => (value === undefined || value === null ? null : word(value ? "yes" : "no"));
  return facts([
    ["label_count", model.labels && words.number(model.labels)],
    ["task", model.task && word(`task_${model.task}`)],
    ["probabilities", model.calibrated === undefined || model.calibrated === null ? null : word(model.calibrated ? "calibrated" : "not_calibrated")],
    ["heat", model.heatmaps ? word(`method_${model.heatmaps}`) : word("no")],
    ["attributes", yes(model.attributes)],
    ["knows_strangers", yes(model.evidence)],
    ["license", model.license ?? word("not_told")],
    ["architecture", model.architecture],
    ["megabytes", model.megabytes && `${words.number(model.megabytes)} MB`],
    ["bundle", model.bundle_id && code(model.bundle_id.slice(0, 12), model.bundle_id)],
  ]);
}

function sheet(model) {
  const head = element("header", {}, element("h3", {}, foreign(model.name)),
    element("span", { class: "tag line", text: word(`place_${model.place}`) }),
    model.name === known.default && element("span", { class: "tag attribute", text: word("is_default") }));
  const made = element("article", { class: model.problem ? "sheet unusable" : "sheet", "data-testid": "about-model", "data-model": model.name }, head);
  if (model.problem) {
    made.append(element("p", { class: "problem", lang: "en" }, foreign(model.problem)));
    return made;
  }
  made.append(about(model));
  if (model.metrics?.length) made.append(metrics(model.metrics));
  const inside = element("div", { class: "card-text", lang: "en" });
  const labels = element("div", {});
  const card = folded("card", inside);
  const list = folded("all_labels", labels);
  let asked = null;
  for (const each of [card, list]) {
    each.addEventListener("toggle", () => {
      if (!each.open || asked) return;
      asked = fill(model.name, inside, labels).catch((error) => { asked = null; each.open = false; tell(error); });
    });
  }
  made.append(card, list);
  return made;
}

const folded = (key, inside) => element("details", { "data-testid": key }, element("summary", { text: word(key) }), inside);

async function fill(name, inside, labels) {
  const page = await api.model(name);
  // The card begins with the model's name, which stands above already.
  inside.replaceChildren(...markdown(page.card.replace(/^\s*# .*\n/, "")));
  labels.replaceChildren(element("ul", { class: "label-list" }, page.all_labels.map((each) => element("li", {}, foreign(each.name), each.environment && element("small", { text: ` ${word(each.environment)}` })))));
}

function drawModels() {
  if (!known) return;
  byId("model-cards").replaceChildren(...ordered(known).map(sheet));
  byId("model-cards").setAttribute("aria-busy", "false");
}

function drawExamples() {
  const at = `${location.origin}/v1`;
  const examples = [
    ["example_file", `curl -F file=@photo.jpg '${at}/predictions?top_k=3'`],
    ["example_all", `curl -F file=@photo.jpg '${at}/predictions?models=all&heatmap=true&language=de'`],
    ["example_url", `curl --data-urlencode url=https://example.org/photo.jpg '${at}/predictions'`],
    ["example_bars", `curl -F file=@photo.jpg -H 'Accept: image/png' ${at}/predictions > bars.png`],
    ["example_batch", `curl -F files=@one.jpg -F files=@two.jpg ${at}/predictions/batch`],
  ];
  byId("examples").replaceChildren(...examples.map(([key, text]) => element("div", { class: "example" },
    element("h3", { text: word(key) }), element("div", { class: "line" }, element("pre", { tabindex: "0", text })))));
}

function draw() {
  header.draw();
  document.title = word("about_title");
  const address = `?language=${words.spoken()}`;
  history.replaceState(history.state, "", `${location.pathname}${address}${location.hash}`);
  byId("home").href = `/${address}`;
  byId("about-link").href = `/about${address}`;
  drawModels();
  drawExamples();
}

const speak = (language) => words.load(language, ["words", "about"]);

async function learn() {
  try {
    known = await api.models();
    drawModels();
  } catch (error) {
    tell(error, { retry: learn });
  }
}

async function start() {
  api.onKeyNeeded(askForKey);
  await speak(words.preferred(new URLSearchParams(location.search).get("language")));
  header.start(async (language) => {
    try { await speak(language); } catch { tell(new api.Trouble("unreachable")); }
    draw();
  });
  draw();
  document.documentElement.dataset.ready = "";
  // The browser went to the part of the page in the address before there was any.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  await learn();
}

start().catch((error) => {
  document.documentElement.dataset.ready = "";
  tell(new api.Trouble("page", { values: { detail: error.message } }));
});
