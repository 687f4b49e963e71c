// The one alert: a sentence, what could be chosen instead, and a way on, shown near where somebody acted.

import { ICONS, byId, element, icon, safe } from "./dom.js";
import { has, list, spoken, word } from "./words.js";

const alert = byId("bring-alert");

/** The sentence for people: the server's, which is English, or the page's own. */
export function sentence(error) {
  if (error.detail) return safe(error.detail);
  const key = `error_${error.code}`;
  const values = Object.fromEntries(Object.entries(error.values ?? {}).map(([name, value]) => [name, safe(value)]));
  return has(key) ? word(key, values) : word("error_page", { detail: safe(error.message ?? error) });
}

/** Whether asking the same again can help; a photo that can't be read stays so. */
const mayPass = ({ status }) => !status || status >= 500 || [401, 408, 429].includes(status);

/** Shows what went wrong at the top of `home`, or where it stands at the start; `retry` does the same again. */
export function tell(error, { home = null, retry = null } = {}) {
  clear();
  if (home) home.prepend(alert);
  const foreign = error.detail && spoken() !== "en" ? "en" : null;
  const text = element("div", {}, element("p", { text: sentence(error), lang: foreign }));
  if (error.choices?.length) text.append(element("p", { class: "choices", text: word("choices", { list: list(error.choices.slice(0, 12).map(safe)) }) }));
  if (!error.detail && error.passes && error.retryAfter) text.append(element("p", { class: "choices", text: word("come_back", { n: error.retryAfter }) }));
  const again = retry && mayPass(error) && element("button", { type: "button", class: "button", text: word("try_again"), "data-testid": "try-again", on: { click: () => { clear(); retry(); } } });
  const close = element("button", { type: "button", class: "round", "aria-label": word("dismiss"), "data-testid": "alert-close", on: { click: clear } }, icon(ICONS.close));
  alert.hidden = false;
  alert.append(...[text, again, close].filter(Boolean));
  if (alert.getBoundingClientRect().top < 0 || alert.getBoundingClientRect().bottom > innerHeight) alert.scrollIntoView({ block: "nearest" });
}

/** Takes it away, and back to where it stands at the start. */
export function clear() {
  alert.hidden = true;
  alert.replaceChildren();
  byId("ways").before(alert);
}
