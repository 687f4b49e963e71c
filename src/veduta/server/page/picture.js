// The photo, large, and over it the heat map of the label that is being explained.

import { Trouble, ask, picture as address } from "./api.js";
import { tell } from "./alert.js";
import { element, foreign, safe } from "./dom.js";
import { fits } from "./parts.js";
import { settings } from "./settings.js";
import { word } from "./words.js";

const keyOf = (model, id) => `${model}\n${id}`;
let strength = 70;

/** The picture of one subject; `explains(name)` says whether a model draws heat maps, `onChoose` hears of a new choice. */
export function makePicture(subject, { explains, onChoose }) {
  subject.maps ??= new Map();
  const shown = element("img", { class: "shown", alt: "", decoding: "async" });
  const heat = element("img", { class: "heat", alt: "", hidden: true, "data-testid": "heat-layer" });
  const none = element("div", { class: "none", hidden: true });
  const frame = element("div", { class: "frame" }, shown, none, heat);
  const select = element("select", { id: "explain", "data-testid": "explain", on: { change: () => { const [model, id] = select.value.split("\n"); choose(model, id); } } });
  const slider = element("input", { id: "opacity", type: "range", "aria-label": word("opacity"), min: 0, max: 100, step: 1, value: strength, "data-testid": "opacity", on: { input: () => { strength = slider.valueAsNumber; fade(); } } });
  const note = element("p", { class: "note", role: "status" });
  const why = element("div", { class: "why", hidden: true },
    element("div", {}, element("label", { for: "explain", text: word("explain") }), select),
    element("div", {}, element("label", { for: "opacity", text: word("strength") }), slider), note);
  const print = element("figure", { class: "print" }, frame, why);
  let asking = null;
  let looking = null;

  function fade() { frame.style.setProperty("--strength", strength / 100); }
  fade();

  function fit(width, height) {
    if (!(width > 0 && height > 0)) return;
    frame.style.setProperty("--aspect", width / height);
    frame.style.setProperty("--most", `${Math.max(320, width * 2)}px`);
  }

  shown.addEventListener("load", () => { fit(shown.naturalWidth, shown.naturalHeight); none.hidden = true; });
  shown.addEventListener("error", () => missing());

  function missing() {
    shown.hidden = true;
    if (subject.answer && !subject.drawn && !looking) fetchPreview();
    none.hidden = false;
    none.replaceChildren(...[
      element("p", { text: word(subject.url ? "elsewhere" : "no_preview") }),
      subject.url && element("a", { href: subject.url, target: "_blank", rel: "noopener noreferrer" }, foreign(subject.url)),
    ].filter(Boolean));
  }

  /** A picture by the server, for what the browser must not fetch, or can't draw. */
  async function fetchPreview() {
    const mine = looking = new AbortController();
    try {
      const answer = await ask(subject, { models: subject.answer.predictions.slice(0, 1).map((each) => each.model.name), topK: 1, attributes: false, preview: true }, { signal: mine.signal, tries: 1 });
      if (!mine.signal.aborted) take(answer.photo.preview);
    } catch { /* then the frame stays empty, and says why */ }
  }

  function take(preview) {
    if (!preview) return;
    subject.preview = preview;
    subject.drawn = true;
    shown.hidden = false;
    shown.src = preview;
  }

  async function load() {
    if (subject.file) subject.preview ??= URL.createObjectURL(subject.file);
    if (subject.sample && !subject.preview && subject.image) subject.preview = await address(subject.image).catch(() => null);
    if (subject.preview) shown.src = subject.preview;
    else if (subject.url || subject.answer) missing();
  }
  load();

  function options() {
    const groups = subject.answer.predictions.filter((each) => explains(each)).map((each) => {
      const made = each.scores.map((score) => element("option", { value: keyOf(each.model.name, score.id), text: safe(score.name) }));
      return subject.answer.predictions.length > 1 ? element("optgroup", { label: safe(each.model.name) }, made) : made;
    });
    select.replaceChildren(element("option", { value: "", text: word("explain_none"), disabled: true, hidden: true }), ...groups.flat());
  }

  /** Takes a new answer: its maps, its labels to choose from, and what to show at first. */
  function update() {
    const { photo, predictions } = subject.answer;
    fit(photo.width, photo.height);
    if (photo.preview && !subject.drawn) take(photo.preview);
    else if (shown.hidden && !subject.drawn && !looking) fetchPreview();
    shown.alt = word("photo_alt", { name: safe(photo.name ?? subject.name) });
    for (const each of predictions) for (const map of each.heatmaps ?? []) subject.maps.set(keyOf(each.model.name, map.id), map);
    options();
    const offered = [...select.options].some((option) => subject.chosen && option.value === keyOf(subject.chosen.model, subject.chosen.id));
    if (!offered) {
      // Where no label fits, a map of one would suggest that it does; who asks for it sees it.
      const able = predictions.find((each) => explains(each) && fits(each) && each.scores.length);
      subject.chosen = able ? { model: able.model.name, id: able.scores[0].id } : null;
    }
    show();
  }

  function draw(map) {
    heat.hidden = !map;
    if (map) {
      heat.src = map.image;
      heat.dataset.label = map.id;
      note.textContent = word("where", { name: safe(map.name), method: word(`method_${map.method}`) });
    } else {
      heat.removeAttribute("src");
      note.textContent = select.options.length > 1 ? word("explain_hint") : "";
    }
  }

  function show() {
    asking?.abort();
    why.hidden = !settings.heatmap || !subject.answer || select.options.length < 2;
    const { chosen } = subject;
    select.value = chosen ? keyOf(chosen.model, chosen.id) : "";
    onChoose(settings.heatmap ? chosen : null);
    if (!settings.heatmap || !chosen) { draw(null); return; }
    const kept = subject.maps.get(select.value);
    if (kept) draw(kept);
    else fetchMap(chosen, select.value);
  }

  async function fetchMap(chosen, key) {
    const mine = asking = new AbortController();
    draw(null);
    note.textContent = word("drawing");
    try {
      const answer = await ask(subject, { models: [chosen.model], topK: 1, explain: [chosen.id], attributes: false, language: settings.language }, { signal: mine.signal, tries: 1 });
      const map = answer.predictions[0]?.heatmaps?.find((each) => each.id === chosen.id);
      if (!map) throw new Trouble("no_map", { detail: answer.failures[0]?.detail, values: { model: chosen.model } });
      subject.maps.set(key, map);
      if (!mine.signal.aborted) draw(map);
    } catch (error) {
      if (error.code === "cancelled" || mine.signal.aborted) return;
      note.textContent = "";
      tell(error, { home: print, retry: show });
    }
  }

  function choose(model, id) {
    subject.chosen = { model, id };
    show();
  }

  return { node: print, update, show, choose, stop: () => { asking?.abort(); looking?.abort(); } };
}
