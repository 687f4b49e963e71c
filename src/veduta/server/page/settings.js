// What is asked for, and how it is written into the address, so that a link shows the same to somebody else.

const MOST_LABELS = 100;

/**
 * models: names, ["all"], or none for the server's default; source: {sample} or {url} of the photo, or null.
 * landmarks: whether the server names any, which no address says.
 */
export const settings = { models: [], topK: 5, heatmap: true, landmarks: false, language: "en" };

export function read(query = location.search) {
  const asked = new URLSearchParams(query);
  const models = asked.getAll("models").flatMap((each) => each.split(",")).map((each) => each.trim()).filter(Boolean);
  const count = Number.parseInt(asked.get("top_k") ?? "", 10);
  settings.models = models.includes("all") ? ["all"] : [...new Set(models)];
  settings.topK = Number.isInteger(count) ? Math.min(MOST_LABELS, Math.max(1, count)) : 5;
  settings.heatmap = !["false", "0"].includes(asked.get("heatmap"));
  const source = asked.get("sample") ? { sample: asked.get("sample") } : asked.get("url") ? { url: asked.get("url") } : null;
  return { language: asked.get("language"), source };
}

/** The query of the present settings; `all` writes also what is the default, for a link that must mean the same there. */
export function query(source = null, { all = false, models = settings.models } = {}) {
  const parts = [];
  if (models.length) parts.push(["models", models.map(encodeURIComponent).join(",")]);
  if (all || settings.topK !== 5) parts.push(["top_k", settings.topK]);
  if (all || !settings.heatmap) parts.push(["heatmap", settings.heatmap]);
  parts.push(["language", settings.language]);
  if (source?.sample) parts.push(["sample", encodeURIComponent(source.sample)]);
  if (source?.url) parts.push(["url", encodeURIComponent(source.url)]);
  return `?${parts.map((part) => part.join("=")).join("&")}`;
}
