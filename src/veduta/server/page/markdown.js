// As much Markdown as the cards of models use: headings, paragraphs, lists, tables, code, bold, emphasis, links.
// Everything becomes text and elements made here; markup in a card is shown as it stands, and no picture is loaded.

import { element } from "./dom.js";

const LEVEL = 3;
const BULLET = /^\s*[-*+]\s+/;
const NUMBER = /^\s*\d{1,4}[.)]\s+/;
const RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** The elements of a text. Headings begin at <h4>, for they stand within a page that has its own. */
export function markdown(text) {
  const lines = String(text).replace(/\r\n?/g, "\n").split("\n");
  const made = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    if (!line.trim()) { at += 1; continue; }
    if (/^\s*```/.test(line)) {
      const end = lines.findIndex((each, index) => index > at && /^\s*```/.test(each));
      const last = end < 0 ? lines.length : end;
      made.push(element("pre", { tabindex: "0" }, element("code", { text: lines.slice(at + 1, last).join("\n") })));
      at = last + 1;
    } else if (heading) {
      made.push(element(`h${Math.min(6, Math.max(4, heading[1].length + LEVEL - 1))}`, {}, inline(heading[2])));
      at += 1;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      made.push(element("hr"));
      at += 1;
    } else if (line.includes("|") && RULE.test(lines[at + 1] ?? "")) {
      const end = until(lines, at + 2, (each) => !each.includes("|"));
      made.push(table(lines.slice(at, end)));
      at = end;
    } else if (BULLET.test(line) || NUMBER.test(line)) {
      const marker = BULLET.test(line) ? BULLET : NUMBER;
      const end = until(lines, at + 1, (each) => !each.trim() || starts(each) && !marker.test(each));
      made.push(list(lines.slice(at, end), marker));
      at = end;
    } else {
      const end = until(lines, at + 1, (each) => !each.trim() || starts(each));
      made.push(element("p", {}, inline(lines.slice(at, end).map((each) => each.trim()).join(" "))));
      at = end;
    }
  }
  return made;
}

const starts = (line) => /^(#{1,6}\s|\s*```)/.test(line) || BULLET.test(line) || NUMBER.test(line);

function until(lines, from, stops) {
  let at = from;
  while (at < lines.length && !stops(lines[at])) at += 1;
  return at;
}

function list(lines, marker) {
  const items = [];
  for (const line of lines) {
    if (marker.test(line) || !items.length) items.push(line.replace(marker, ""));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return element(marker === BULLET ? "ul" : "ol", {}, items.map((item) => element("li", {}, inline(item))));
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));

function table([head, rule, ...rows]) {
  const ends = cells(rule).map((each) => (each.endsWith(":") ? "end" : null));
  const row = (line, tag) => element("tr", {}, cells(line).map((cell, index) => element(tag, { class: ends[index], scope: tag === "th" ? "col" : null }, inline(cell))));
  const made = element("table", {}, element("thead", {}, row(head, "th")), element("tbody", {}, rows.map((each) => row(each, "td"))));
  return element("div", { class: "scroll", tabindex: "0", role: "group" }, made);
}

// Code first, for nothing within it means anything; an empty name of a picture is left out with it.
const PIECES = /(`+)(.+?)\1|!\[([^\]]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*\)|\[([^\]]+)\]\(([^()\s]*(?:\([^()\s]*\)[^()\s]*)*)\)|\*\*(.+?)\*\*|\*(?=\S)(.+?)(?<=\S)\*|(?<!\w)_(?=\S)(.+?)(?<=\S)_(?!\w)|<(https?:\/\/[^>\s]+)>/g;

function inline(text) {
  const made = [];
  let from = 0;
  for (const found of text.matchAll(PIECES)) {
    if (found.index > from) made.push(plain(text.slice(from, found.index)));
    const [all, , code, picture, name, target, bold, star, underline, bare] = found;
    if (code !== undefined) made.push(element("code", { text: code }));
    else if (picture !== undefined) made.push(picture ? element("em", { text: picture }) : "");
    else if (name !== undefined) made.push(link(target, inline(name)));
    else if (bold !== undefined) made.push(element("strong", {}, inline(bold)));
    else if (bare !== undefined) made.push(link(bare, [bare]));
    else made.push(element("em", {}, inline(star ?? underline)));
    from = found.index + all.length;
  }
  if (from < text.length) made.push(plain(text.slice(from)));
  return made;
}

const plain = (text) => text.replace(/\\([\\`*_{}[\]()#+\-.!|])/g, "$1");

/** A link to http and https alone; any other target leaves the words without one. */
function link(target, inside) {
  let url = null;
  try { url = new URL(target); } catch { /* relative to a file that isn't here */ }
  if (!["http:", "https:"].includes(url?.protocol)) return element("span", {}, inside);
  return element("a", { href: url.href, rel: "noopener noreferrer", target: "_blank" }, inside);
}
