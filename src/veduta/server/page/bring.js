// The ways to bring a photo: drop, browse, camera, paste, a link, a sample.

import { picture } from "./api.js";
import { byId, element, foreign } from "./dom.js";
import { dropped, link, mostBytes } from "./photos.js";
import { bytes, word } from "./words.js";

let samples = [];
let act = null;

/** `act`: files(list), url(text), sample(sample), noLink(). */
export function start(actions) {
  act = actions;
  for (const id of ["file", "camera"]) {
    byId(id).addEventListener("change", (event) => {
      const files = [...event.target.files];
      // So that the same file can be chosen again.
      event.target.value = "";
      if (files.length) act.files(files);
    });
  }
  byId("link-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const address = link(byId("link").value);
    if (address) act.url(address); else act.noLink();
  });
  byId("sample-list").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) act.sample(samples.find((each) => each.id === button.dataset.sample));
  });
  dragging();
  document.addEventListener("paste", paste);
}

// Moving over an inner element leaves the outer one, so the enters are counted.
function dragging() {
  const root = document.documentElement;
  const carries = (event) => ["Files", "text/uri-list"].some((type) => event.dataTransfer?.types.includes(type)) && !document.querySelector("dialog[open]");
  let depth = 0;
  const over = () => { depth = 0; root.classList.remove("dragging"); };
  document.addEventListener("dragenter", (event) => { if (carries(event)) { event.preventDefault(); depth += 1; root.classList.add("dragging"); } });
  document.addEventListener("dragover", (event) => { if (carries(event)) { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; } });
  document.addEventListener("dragleave", (event) => { if (carries(event)) { depth -= 1; if (depth <= 0) over(); } });
  document.addEventListener("drop", async (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    over();
    const address = link(event.dataTransfer.getData("text/uri-list"));
    const files = await dropped(event.dataTransfer);
    if (files.length) act.files(files);
    else if (address) act.url(address);
    else act.noPhotos();
  });
}

function paste(event) {
  const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (files.length) {
    event.preventDefault();
    act.files(files);
    return;
  }
  if (event.target instanceof Element && event.target.closest("input, textarea, dialog")) return;
  const address = link(event.clipboardData?.getData("text/plain"));
  if (address) { event.preventDefault(); act.url(address); }
}

/** The samples that are here; none is no trouble. */
export async function offer(list) {
  samples = list;
  byId("samples").hidden = !list.length;
  await draw();
}

export const sampleOf = (id) => samples.find((each) => each.id === id) ?? null;

/** How large a photo may be; the server says so, and writes it for the reader's language. */
export function drawHint() {
  byId("drop-hint").textContent = word("drop_hint", { limit: bytes(mostBytes()) });
}

export async function draw() {
  drawHint();
  const made = samples.map((each) => {
    const image = element("img", { alt: "", width: 320, height: 240, decoding: "async" });
    picture(each.thumbnail).then((address) => { image.src = address; }, () => {});
    return element("li", {}, element("button", { type: "button", class: "sample", "data-testid": "sample", "data-sample": each.id, "aria-pressed": "false", "aria-label": word("try_sample", { name: each.shows }), title: each.shows },
      image, element("span", { lang: "en" }, foreign(each.shows)), element("small", { lang: "en" }, foreign(each.credit))));
  });
  byId("sample-list").replaceChildren(...made);
}

/** Marks the sample that is shown. */
export function mark(id) {
  for (const button of byId("sample-list").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.sample === id));
}
