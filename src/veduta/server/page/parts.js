// The pieces that answers are made of: bars, the scale between indoors and outdoors, crumbs, chips, facts.

import { element, foreign, safe } from "./dom.js";
import { decimal, share, word } from "./words.js";

const FEW = 10;

/** Kind of place, environment and attributes follow from the labels, so where none fits they would be guesses. */
export const fits = (prediction) => prediction.evidence?.fits !== false;

/** The wider labels, widest first, and the label itself where it is given. */
export function crumbs(ancestors, name = null) {
  const path = [...ancestors].reverse().map((each) => each.name);
  if (name) path.push(name);
  return path.length ? element("p", { class: "crumbs" }, path.map((each) => element("span", {}, foreign(each)))) : null;
}

/** Labels as bars; with `choose` each is a button that asks where in the photo it comes from. */
export function bars(scores, { faded = false, choose = null, chosen = null, small = false } = {}) {
  const list = element("ol", { class: faded ? "bars faded" : "bars" });
  const rows = scores.map((score) => element("li", {}, bar(score, choose, chosen, small)));
  list.append(...rows.slice(0, small ? rows.length : FEW));
  if (small || rows.length <= FEW) return list;
  const more = element("button", { type: "button", class: "plain", text: word("more", { n: rows.length }), on: { click: () => { list.append(...rows.slice(FEW)); more.remove(); rows[FEW].querySelector("button")?.focus(); } } });
  return element("div", {}, list, more);
}

function bar(score, choose, chosen, small) {
  const fill = element("i", { "aria-hidden": "true" });
  fill.style.setProperty("--share", `${Math.max(0, Math.min(1, score.probability)) * 100}%`);
  const wider = !small && score.ancestors?.length ? element("small", {}, foreign([...score.ancestors].reverse().map((each) => each.name).join(" › "))) : null;
  const what = element("span", { class: "what" }, foreign(score.name), wider);
  const about = { class: "score", "data-testid": small ? null : "bar", "data-id": score.id, title: small ? safe(score.name) : null };
  const inside = [fill, what, element("b", { text: share(score.probability) })];
  if (!choose) return element("div", about, inside);
  return element("button", { ...about, type: "button", "aria-pressed": String(score.id === chosen), title: word("explain_this"), on: { click: () => choose(score.id) } }, inside);
}

/** From indoors to outdoors: the coloured stretch from the middle is the margin. */
export function scale(environment) {
  const at = environment.outdoor_probability * 100;
  const outdoor = environment.kind === "outdoor";
  const track = element("div", { class: "track", "aria-hidden": "true" }, element("i", { class: "fill" }), element("i", { class: "knob" }));
  track.style.setProperty("--from", `${Math.min(50, at)}%`);
  track.style.setProperty("--wide", `${Math.abs(at - 50)}%`);
  track.style.setProperty("--at", `clamp(.525rem, ${at}%, 100% - .525rem)`);
  const end = (key, told) => element("span", { class: told ? "told" : null, text: word(key) });
  return element("div", { class: `scale ${outdoor ? "outdoor" : "indoor"}`, "data-testid": "environment" },
    element("p", { class: "ends" }, end("indoor", !outdoor), end("outdoor", outdoor)),
    track,
    element("p", { class: "margin", text: `${word(outdoor ? "outdoor" : "indoor")} · ${word("margin", { n: decimal(environment.margin) })}` }));
}

/** The attributes, those that the photo itself tells apart from those that are usual for its scene. */
export function attributes(told) {
  return [["photo", "from_photo"], ["scene", "from_scene"]].flatMap(([source, key]) => {
    const some = told.filter((each) => each.source === source);
    if (!some.length) return [];
    const chips = some.map((each) => element("li", { class: source === "scene" ? "tag attribute scene" : "tag attribute" }, foreign(each.name), element("small", { text: share(each.probability) })));
    return [element("section", { class: "block" }, element("h3", { text: `${word("attributes")} – ${word(key)}` }), element("ul", { class: "tags", "data-testid": `attributes-${source}` }, chips))];
  });
}

export function calibration(prediction) {
  const key = prediction.calibrated ? "calibrated" : "not_calibrated";
  return element("span", { class: "tag line", text: word(key), title: word(`${key}_about`, { share: share(0.7) }) });
}

/** A list of facts; a value is text, an element, or nothing. */
export function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element("dl", { class: "facts" }, rows.flatMap(([key, value]) => [
    element("dt", { text: word(key) }),
    element("dd", {}, value instanceof Node ? value : foreign(value)),
  ]));
}

export const code = (text, title = null) => element("span", { class: "code", title }, foreign(text));

/** What stands at the head of an answer: the everyday label where the model has any, else its first label. */
export function first(prediction) {
  const scene = prediction.scores[0] ?? null;
  const everyday = prediction.coarse?.[0] ?? null;
  const several = prediction.task === "multi_label" ? prediction.scores.filter((each) => each.probability >= 0.5) : [];
  return { top: everyday ?? scene, scene, everyday, several };
}

/** The headline of one model's answer; `level` is that of its heading. */
export function headline(prediction, level = "h2") {
  const { top, scene, everyday, several } = first(prediction);
  const heading = (text, attributes = {}) => element(level, { tabindex: level === "h2" ? "-1" : null, ...attributes }, foreign(text));
  if (!top) return element("section", { class: "headline" }, element("div", { class: "title" }, heading("–")));
  if (!fits(prediction)) {
    return element("section", { class: "headline unfit", "data-testid": "headline", "data-fits": "false" },
      element("div", { class: "title" }, heading(word("fits_note"))),
      element("p", { class: "reason" }, word(prediction.evidence.reason ? "fits_since" : "fits_about", { model: safe(prediction.model.name) }),
        prediction.evidence.reason && [" ", element("span", { lang: "en", text: `${safe(prediction.evidence.reason)}.` })]));
  }
  const section = element("section", { class: "headline", "data-testid": "headline", "data-fits": "true" });
  if (several.length > 1) {
    section.append(element("div", { class: "title" }, heading(several.map((each) => each.name).join(", "))), element("p", { class: "also soft", text: word("several") }));
  } else {
    section.append(...[
      everyday && crumbs(everyday.ancestors),
      element("div", { class: "title" }, heading(top.name), element("b", { text: share(top.probability) })),
      everyday && scene && (scene.name !== everyday.name || Math.abs(scene.probability - everyday.probability) > 0.005) && also(scene),
    ].filter(Boolean));
  }
  if (prediction.environment) section.append(scale(prediction.environment));
  return section;
}

function also(scene) {
  const [before, after] = word("also", { share: share(scene.probability) }).split("{name}");
  return element("p", { class: "also" }, before, element("strong", {}, foreign(scene.name)), after);
}
