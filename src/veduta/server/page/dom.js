// Making and finding elements. Data enters the page as text alone, never as markup.

export const byId = (id) => document.getElementById(id);

/** An element with attributes, `text`, `on` (listeners by event) and children; what is null or false is left out. */
export function element(tag, { text, on, ...attributes } = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    made.setAttribute(name, value === true ? "" : value);
  }
  if (text !== undefined && text !== null) made.textContent = text;
  for (const [name, listener] of Object.entries(on ?? {})) made.addEventListener(name, listener);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** A line drawing of one path, 20 by 20. */
export function icon(path) {
  const space = "http://www.w3.org/2000/svg";
  const made = document.createElementNS(space, "svg");
  made.setAttribute("viewBox", "0 0 20 20");
  made.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  made.append(line);
  return made;
}

export const ICONS = {
  close: "M5 5l10 10M15 5L5 15",
  left: "M12 4l-6 6 6 6",
  right: "M8 4l6 6-6 6",
  link: "M8.5 11.5a3 3 0 0 0 4.3 0l3-3a3 3 0 0 0-4.3-4.3l-1 1M11.5 8.5a3 3 0 0 0-4.3 0l-3 3a3 3 0 0 0 4.3 4.3l1-1",
  agree: "M4 10.5l4 4 8-9",
  split: "M10 17v-6M10 11L4.5 4M10 11l5.5-7M4.5 8V4h3.5M15.5 8V4H12",
  auto: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  light: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.4 1.4M14.6 14.6L16 16M4 16l1.4-1.4M14.6 5.4L16 4",
  dark: "M16 12A6.5 6.5 0 0 1 8 4a6.5 6.5 0 1 0 8 8z",
};

// A file name may hold line ends, half characters and marks that turn the direction of what follows; shown as
// escapes they can pretend nothing.
const TRICKS = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
export const safe = (text) => String(text).replace(TRICKS, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** Text from outside, which keeps its direction to itself. */
export const foreign = (text, attributes = {}) => element("bdi", { text: safe(text), ...attributes });
