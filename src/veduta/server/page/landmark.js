// Which landmark a photo shows, or that it shows none, and the reference photos that this rests on.

import { element, foreign, safe } from "./dom.js";
import { decimal, word } from "./words.js";

/** The candidate that is the answer, or null where there is no landmark. */
export const found = (landmark) => (landmark?.id ? landmark.candidates.find((each) => each.id === landmark.id) ?? null : null);

/** The section of an answer; nothing where no landmark was asked for. */
export function landmarkSection(landmark) {
  if (!landmark) return null;
  const answer = found(landmark);
  return element("section", { class: answer ? "landmark" : "landmark none", "data-testid": "landmark", "data-id": landmark.id },
    element("h3", { text: word("landmark") }),
    answer ? named(answer, landmark) : refused(landmark.candidates[0]),
    references(landmark, answer ?? landmark.candidates[0]));
}

function named(answer, landmark) {
  // What stands before the answer was rejected, and is told in the raw answer.
  const rival = landmark.candidates[landmark.candidates.indexOf(answer) + 1];
  const needed = word("landmark_needed", { threshold: decimal(answer.threshold) });
  const told = rival ? `${needed} · ${word("landmark_next", { name: safe(rival.name), similarity: decimal(rival.similarity) })}` : needed;
  return element("div", {},
    element("p", { class: "name" }, element("strong", {}, foreign(answer.name)), answer.city && element("span", { class: "city" }, foreign(answer.city)), element("b", { text: decimal(answer.similarity), title: word("landmark_similarity") })),
    element("p", { class: "soft", text: told }));
}

function refused(nearest) {
  const values = nearest && { name: safe(nearest.name), similarity: decimal(nearest.similarity), threshold: decimal(nearest.threshold) };
  return element("div", {},
    element("p", { class: "name" }, element("strong", { text: word("landmark_none") })),
    nearest && element("p", { class: "soft", text: word(`landmark_against_${nearest.rejection ?? "similarity"}`, values) }));
}

function references(landmark, shown) {
  const pictures = landmark.references.filter((each) => each.image);
  if (!pictures.length) return null;
  const about = word("landmark_references", { name: safe(shown.name) });
  const list = element("ul", { class: "references" }, pictures.map((each) => element("li", {}, element("img", { src: each.image, alt: "", decoding: "async" }), element("small", { text: decimal(each.similarity) }))));
  // What speaks for a landmark is shown at once; what was not enough, to who asks.
  return landmark.id
    ? element("figure", {}, list, element("figcaption", { class: "soft", text: about }))
    : element("details", {}, element("summary", { class: "soft", text: about }), list);
}
