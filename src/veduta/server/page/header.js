// What both pages have at their head: the language and the theme.

import { ICONS, byId, element, icon } from "./dom.js";
import { LANGUAGES, keepLanguage, spoken, word } from "./words.js";

const THEMES = ["auto", "light", "dark"];

function theme() {
  try {
    const kept = localStorage.getItem("veduta.theme");
    return THEMES.includes(kept) ? kept : "auto";
  } catch {
    return document.documentElement.dataset.theme ?? "auto";
  }
}

function setTheme(chosen) {
  try {
    if (chosen === "auto") localStorage.removeItem("veduta.theme"); else localStorage.setItem("veduta.theme", chosen);
  } catch { /* then it holds for this page */ }
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  drawTheme(chosen);
}

function drawTheme(chosen) {
  const label = word("theme", { name: word(`theme_${chosen}`) });
  const button = byId("theme");
  button.setAttribute("aria-label", label);
  button.title = label;
  button.dataset.theme = chosen;
  button.replaceChildren(icon(ICONS[chosen]));
}

/** `changed(language)` hears of another language. */
export function start(changed) {
  byId("language").replaceChildren(...Object.entries(LANGUAGES).map(([value, text]) => element("option", { value, text, lang: value === "zh" ? "zh-Hans" : value })));
  byId("language").addEventListener("change", (event) => { keepLanguage(event.target.value); changed(event.target.value); });
  byId("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(byId("theme").dataset.theme) + 1) % THEMES.length]));
}

/** Puts the words of the present language there. */
export function draw() {
  byId("language").value = spoken();
  drawTheme(byId("theme").dataset.theme ?? theme());
}
