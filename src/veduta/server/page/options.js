// The choices: models, how many labels, heat map. Each change is kept in the settings and told.

import { byId, element, foreign, safe } from "./dom.js";
import { settings } from "./settings.js";
import { word } from "./words.js";

const COUNTS = [1, 3, 5, 10, 20, 50, 100];
let known = { default: null, models: [] };

/** `changed(what)` hears "models", "labels" or "heat". */
export function start(changed) {
  byId("model-list").addEventListener("change", (event) => { chooseModel(event.target); changed("models"); });
  byId("top-k").addEventListener("change", (event) => { settings.topK = Number(event.target.value); changed("labels"); });
  byId("heat").addEventListener("click", () => { settings.heatmap = !settings.heatmap; drawHeat(); changed("heat"); });
  byId("more").addEventListener("click", () => {
    const open = byId("ways").classList.toggle("open");
    byId("more").setAttribute("aria-expanded", String(open));
  });
}

/** The one that answers by default first, what can't be used last, else by name. */
export function ordered({ default: first, models }) {
  const place = (each) => (each.name === first ? 0 : each.problem ? 2 : 1);
  return [...models].sort((a, b) => place(a) - place(b));
}

export function know(models) {
  known = { ...models, models: ordered(models) };
  settings.landmarks = Boolean(models.landmarks);
  draw();
}

/** Whether a model draws heat maps: what the list of models says, else whether it has drawn one. */
export function explains(prediction) {
  const about = known.models.find((each) => each.name === prediction.model.name);
  return about ? Boolean(about.heatmaps) : Boolean(prediction.heatmaps);
}

const usable = () => known.models.filter((each) => !each.problem).map((each) => each.name);
const all = () => settings.models.includes("all");
export const chosen = () => (all() ? usable() : settings.models.length ? settings.models : [known.default].filter(Boolean));

/** Whether heat maps cost next to nothing, so that an answer need not wait for them. */
export const quickMaps = () => !known.models.some((each) => each.heatmaps === "occlusion" && chosen().includes(each.name));

function chooseModel(box) {
  if (box.value === "all") {
    settings.models = box.checked ? ["all"] : [];
  } else {
    const picked = new Set(chosen());
    if (box.checked) picked.add(box.value); else picked.delete(box.value);
    const names = usable().filter((name) => picked.has(name));
    settings.models = names.length === 1 && names[0] === known.default ? [] : names;
  }
  drawChosen();
}

export function draw() {
  const names = usable();
  const boxes = known.models.map((each) => (each.problem ? unusable(each) : model(each)));
  if (names.length > 1) boxes.unshift(choice("all", element("span", { text: word("all_models") }), "models-all"));
  byId("model-list").replaceChildren(...boxes);
  byId("models").hidden = !known.models.length;
  const counts = COUNTS.includes(settings.topK) ? COUNTS : [...COUNTS, settings.topK].sort((a, b) => a - b);
  byId("top-k").replaceChildren(...counts.map((count) => element("option", { value: count, text: String(count), selected: count === settings.topK })));
  drawHeat();
  drawChosen();
}

const choice = (value, label, id) => element("label", { class: "model" }, element("input", { type: "checkbox", value, "data-testid": id, "data-model": value === "all" ? null : value }), label);

const model = (about) => choice(about.name, element("span", {}, foreign(about.name)), "model");

function unusable(about) {
  return element("label", { class: "model unusable", "data-testid": "model-unusable", "data-model": about.name },
    element("input", { type: "checkbox", disabled: true, value: about.name }), element("b", {}, foreign(about.name)), element("small", { text: safe(about.problem) }));
}

function drawChosen() {
  const picked = new Set(chosen());
  for (const box of byId("model-list").querySelectorAll("input:enabled")) box.checked = box.value === "all" ? all() : picked.has(box.value);
}

export function drawHeat() {
  byId("heat").setAttribute("aria-checked", String(settings.heatmap));
}
