// The page's own words in five languages, and how each writes numbers.

export const LANGUAGES = { en: "English", de: "Deutsch", ru: "Русский", pt: "Português", zh: "中文" };

let words = {};
let language = "en";
let formats = {};

/** Learns the words of a language from `<name>.<language>.json` for each name; one file a language, for a reader needs one. */
export async function load(chosen, names) {
  const read = await Promise.all(names.map(async (name) => {
    const answer = await fetch(`/page/${name}.${chosen}.json`);
    if (!answer.ok) throw new Error(`${name}.${chosen}.json: ${answer.status}`);
    return answer.json();
  }));
  words = Object.assign({}, ...read);
  speak(chosen);
}

/** The language to start with: the address, else the last choice, else the browser's, else English. */
export function preferred(asked) {
  let kept = null;
  try { kept = localStorage.getItem("veduta.language"); } catch { /* some browsers forbid it */ }
  const wished = [asked, kept, ...(navigator.languages ?? []).map((each) => each.slice(0, 2).toLowerCase())];
  return wished.find((each) => each && Object.hasOwn(LANGUAGES, each)) ?? "en";
}

function speak(chosen) {
  language = chosen;
  formats = {
    percent: new Intl.NumberFormat(chosen, { style: "percent", maximumFractionDigits: 0 }),
    finePercent: new Intl.NumberFormat(chosen, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    decimal: new Intl.NumberFormat(chosen, { minimumFractionDigits: 2, maximumFractionDigits: 2 }),
    thousandth: new Intl.NumberFormat(chosen, { minimumFractionDigits: 3, maximumFractionDigits: 3 }),
    plain: new Intl.NumberFormat(chosen, { maximumFractionDigits: 1 }),
  };
  const root = document.documentElement;
  root.lang = chosen === "zh" ? "zh-Hans" : chosen;
  for (const each of document.querySelectorAll("[data-word]")) each.textContent = word(each.dataset.word);
  for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", word(each.dataset.label));
}

export function keepLanguage(chosen) {
  try { localStorage.setItem("veduta.language", chosen); } catch { /* then it isn't kept */ }
}

export const spoken = () => language;
export const has = (key) => Object.hasOwn(words, key);

export function word(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

// Rounded from the value itself, as Python does, so that the page and a model's card agree in the last place.
const rounded = (value, places) => Number(value.toFixed(places));

/** A probability: below half a per cent it is there, but small. */
export const share = (value) => (value < 0.005 ? `<${formats.percent.format(0.01)}` : formats.percent.format(rounded(value, 2)));
export const percent = (value) => formats.finePercent.format(rounded(value, 3));
export const decimal = (value) => formats.decimal.format(rounded(value, 2));
export const thousandth = (value) => formats.thousandth.format(rounded(value, 3));
export const number = (value) => formats.plain.format(value);
export const list = (names) => [...names].join(language === "zh" ? "、" : ", ");
export const milliseconds = (value) => `${number(value < 10 ? value : Math.round(value))} ms`;
export const bytes = (value) => (value < 2 ** 20 ? `${number(Math.max(1, Math.round(value / 2 ** 10)))} kB` : `${number(value / 2 ** 20)} MB`);
