// A table of answers, made in the browser: RFC 4180, one row for each photo and model.

import { found } from "./landmark.js";
import { first, fits } from "./parts.js";

const RUNNERS = [2, 3, 4, 5];
const COLUMNS = ["file", "scene_id", "scene_name", "probability", "everyday_id", "everyday_name", "everyday_probability",
  "environment", "outdoor_probability", "fits", ...RUNNERS.flatMap((n) => [`scene_${n}_id`, `scene_${n}_probability`]), "landmark_id", "landmark_name", "landmark_similarity", "model", "bundle_id", "error"];

/** A spreadsheet takes a text that begins so for a formula; an apostrophe before it keeps it text. */
const guarded = (text) => (/^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text);

function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "number" || typeof value === "boolean" ? String(value) : guarded(String(value).replace(/[\ud800-\udfff]/gu, "\ufffd"));
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function row(name, prediction, landmark) {
  const shown = found(landmark);
  const { scene, everyday } = first(prediction);
  const { environment } = prediction;
  const runners = RUNNERS.flatMap((n) => [prediction.scores[n - 1]?.id, prediction.scores[n - 1]?.probability]);
  return [name, scene?.id, scene?.name, scene?.probability, everyday?.id, everyday?.name, everyday?.probability,
    environment?.kind, environment?.outdoor_probability, prediction.evidence ? fits(prediction) : null, ...runners,
    shown?.id, shown?.name, shown?.similarity, prediction.model.name, prediction.model.bundle_id, null];
}

const failed = (name, error, model = null) => [name, ...Array(COLUMNS.length - 4).fill(null), model, null, error];

/** The whole table; an item is {name, answer} or {name, error}. */
export function table(items) {
  const rows = items.flatMap(({ name, answer, error }) => (answer
    ? [...answer.predictions.map((each) => row(name, each, answer.landmark)), ...answer.failures.map((each) => failed(name, each.detail, each.model))]
    : [failed(name, error)]));
  return `\ufeff${[COLUMNS, ...rows].map((each) => each.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** Hands the table to the browser as a download. */
export function save(items, name = "veduta.csv") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table(items)], { type: "text/csv;charset=utf-8" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
