// Photos as files: which can be sent, where a drop or a paste holds them, and small pictures of them.

import { Trouble } from "./api.js";
import { bytes } from "./words.js";

// Until the server says what it takes.
let most = 20 * 2 ** 20;
/** The largest file that the server takes, in bytes. */
export const mostBytes = () => most;
export function limit(bytes) { if (bytes > 0) most = bytes; }

const THUMB = 360;
const AT_ONCE = 2;
// Some systems know no type for these, or not as a picture.
const ENDINGS = /\.(jpe?g|jpe|jfif|png|apng|gif|webp|avif|heic|heif|tiff?|bmp|dib|ico|jp2|j2k|jpx|ppm|pgm|pbm|pnm|tga|psd|qoi|dng|cr2|cr3|nef|arw)$/i;

/** Throws what is wrong with a file before it is sent. */
export function check(file) {
  const name = file.name;
  const picture = file.type.startsWith("image/") || ENDINGS.test(name) || (!file.type && !/\.\w{1,5}$/.test(name));
  if (!picture) throw new Trouble("not_image", { values: { name } });
  if (file.size === 0) throw new Trouble("empty", { values: { name } });
  if (file.size > most) throw new Trouble("too_big", { values: { name, size: bytes(file.size), limit: bytes(most) } });
}

/** All files of a drop, those in folders too, in the order of their paths. */
export async function dropped(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = await Promise.all(entries.filter(Boolean).map((entry) => (entry instanceof File ? [entry] : within(entry, true))));
  return found.flat();
}

async function within(entry, top = false) {
  if (entry.isFile) {
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    // A folder also holds notes and sidecars; a file that was dropped by itself was meant.
    const meant = file && (top || file.type.startsWith("image/") || ENDINGS.test(file.name));
    return meant ? [file] : [];
  }
  const reader = entry.createReader();
  const entries = [];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (!some.length) break;
    entries.push(...some);
  }
  entries.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return (await Promise.all(entries.filter((each) => !each.name.startsWith(".")).map((each) => within(each)))).flat();
}

/** An http or https address in a text, or null. */
export function link(text) {
  const first = String(text ?? "").trim().split(/\s+/)[0];
  try {
    const url = new URL(first);
    return ["http:", "https:"].includes(url.protocol) && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}

// Whole photos are large once decoded, so only a few are at a time, and what stays is a small picture.
const waiting = [];
let busy = 0;

/** The address of a small picture of a file; null where the browser can't read it. */
export function thumbnail(file) {
  return new Promise((resolve) => { waiting.push({ file, resolve }); next(); });
}

async function next() {
  if (busy >= AT_ONCE || !waiting.length) return;
  busy += 1;
  const { file, resolve } = waiting.shift();
  resolve(await shrunk(file).catch(() => null));
  busy -= 1;
  next();
}

async function shrunk(file) {
  // Some browsers know no options here.
  const bitmap = await createImageBitmap(file, { resizeWidth: THUMB, resizeQuality: "medium" }).catch(() => createImageBitmap(file));
  try {
    const canvas = document.createElement("canvas");
    const scale = Math.min(1, THUMB / bitmap.width, (THUMB * 1.5) / bitmap.height);
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/webp", 0.82));
    return blob && URL.createObjectURL(blob);
  } finally {
    bitmap.close();
  }
}
