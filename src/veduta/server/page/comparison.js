// What several models say together, where they disagree, and whose labels can't be compared.

import { ICONS, element, foreign, icon, safe } from "./dom.js";
import { bars, crumbs, fits, scale } from "./parts.js";
import { list, percent, share, word } from "./words.js";

/** The block of a whole comparison: a section for each group, and one for the models that stand apart. */
export function comparison(told, predictions) {
  const made = told.groups.map((each) => group(each, predictions));
  if (told.apart.length) {
    made.push(element("section", { class: "together apart" },
      element("p", { class: "over", text: word("apart") }),
      element("ul", { class: "tags" }, told.apart.map((name) => element("li", { class: "tag line" }, code(name)))),
      element("p", { class: "also soft", text: word("apart_about") })));
  }
  return element("div", { "data-testid": "comparison" }, made);
}

const code = (name) => foreign(name, { class: "code" });

/** What a group says first: its everyday labels where it has any, else its labels. */
export const together = (told) => (told.coarse?.length ? told.coarse : told.scores ?? []);

function group(told, predictions) {
  const labels = together(told);
  const top = labels[0];
  const doubters = predictions.filter((each) => told.models.includes(each.model.name) && !fits(each)).map((each) => each.model.name);
  const fitting = doubters.length < told.models.length;
  const section = element("section", { class: "together", "data-agree": String(told.agree) }, element("p", { class: "over", text: word("together", { n: told.models.length }) }));
  const head = element("section", { class: fitting ? "headline" : "headline unfit", "data-testid": "headline", "data-fits": String(fitting) });
  const heading = (text) => element("h2", { tabindex: "-1" }, foreign(text));
  head.append(...[
    fitting && top?.ancestors && crumbs(top.ancestors),
    fitting && top && element("div", { class: "title" }, heading(top.name), element("b", { text: share(top.probability) })),
    !fitting && element("div", { class: "title" }, heading(word("fits_note"))),
    doubters.length > 0 && element("p", { class: "reason", text: word("doubt", { list: list(doubters.map(safe)) }) }),
    fitting && told.environment && scale(told.environment),
  ].filter(Boolean));
  const block = (key, scores) => element("section", { class: "block" }, element("h3", { text: word(key) }), bars(scores, { faded: !fitting }));
  section.append(head, votes(told));
  if (told.coarse?.length) section.append(block("average_coarse", told.coarse));
  if (told.scores?.length) section.append(block("average_labels", told.scores));
  section.append(element("div", { class: "pair" }, surest(told, predictions), weights(told)));
  return section;
}

function votes(told) {
  // Of one voter alone it would say nothing that he agrees.
  const voters = told.votes.reduce((sum, vote) => sum + vote.models.length, 0);
  const verdict = voters > 1 && element("p", { class: told.agree ? "verdict agreed" : "verdict split" }, icon(told.agree ? ICONS.agree : ICONS.split), element("span", { text: word(told.agree ? "agree" : "disagree") }));
  const rows = told.votes.map((vote) => element("li", { "data-testid": "vote", "data-id": vote.id }, foreign(vote.name), element("span", { class: "by" }, foreign(list(vote.models.map(safe))))));
  return element("section", { class: "block" }, verdict || element("h3", { text: word("voted") }), element("ul", { class: "votes" }, rows));
}

/** Where some of the models are calibrated, only these are weighed against each other; where none is, that is said. */
function surest(told, predictions) {
  if (!told.surest) return "";
  const { name, model, probability } = told.surest;
  const calibrated = predictions.filter((each) => told.models.includes(each.model.name)).map((each) => each.calibrated);
  const key = calibrated.every(Boolean) ? "surest" : calibrated.some(Boolean) ? "surest_calibrated" : "surest_uncalibrated";
  return element("section", { class: "block surest" }, element("h3", { text: word(key) }), element("p", { "data-testid": "surest" }, code(model), ` – ${safe(name)}, ${share(probability)}`));
}

function weights(told) {
  const equal = told.weights.every((each) => Math.abs(each - told.weights[0]) < 1e-6);
  const text = equal ? word("weights_equal") : list(told.models.map((name, index) => `${safe(name)} ${percent(told.weights[index])}`));
  const on = told.weighted_on ? ` ${word("weights_on", { data: safe(told.weighted_on) })}` : "";
  return element("section", { class: "block" }, element("h3", { text: word("weights") }), element("p", { "data-testid": "weights", text: `${text}${on}` }));
}
