"use strict";
// The page's state and what the reader does with it.
(() => {
  const { store, cards, corrections } = veduta;
  const { word, element, safe, number } = cards;
  const PAGE = 60;
  const FEW = 10;
  const MOST_NAMES = 100000;
  const INDOOR = 1;
  const OUTDOOR = 2;
  const byId = (id) => document.getElementById(id);
  const fresh = () => ({ label: null, coarse: null, environment: 0, nothing: false, unsure: false, among: false, text: "", named: null, sort: "input" });
  let filter = fresh();
  let found = [];
  let page = 0;
  let totals = null;
  let allKinds = false;
  let drawing = 0;
  let asking = 0;
  let failuresShown = 0;
  let openRow = -1;

  // ---- the grid

  async function draw(focus) {
    const turn = (drawing += 1);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(Math.max(0, page), pages - 1);
    const numbers = found.slice(page * PAGE, (page + 1) * PAGE);
    drawBar(pages);
    try {
      const rows = await store.rows(numbers);
      if (turn !== drawing) return;
      byId("grid").replaceChildren(...rows.map((row, i) => cards.card(row, numbers[i])));
      say(found.length ? "" : word(store.head.rows.count ? "none_match" : "empty"));
    } catch {
      say(word("broken"));
    }
    if (focus) {
      scrollTo({ top: 0 });
      byId("grid").querySelector(".open")?.focus({ preventScroll: true });
    }
    remember();
  }

  function drawBar(pages) {
    const all = store.head.rows.count;
    byId("shown").textContent = found.length === all ? `${word("photos")}: ${number(all)}` : word("shown", { n: number(found.length), all: number(all) });
    byId("pager").hidden = pages < 2;
    byId("page").value = page + 1;
    byId("page").max = pages;
    byId("pages").textContent = word("of", { n: number(pages) });
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === pages - 1;
    const chips = [];
    const chip = (name, undo) => {
      const made = element("button", { type: "button", class: "chip", "aria-label": word("remove", { name }) }, element("bdi", { text: name }), element("span", { "aria-hidden": "true", text: "×" }));
      made.addEventListener("click", () => { undo(); apply(); });
      chips.push(made);
    };
    if (filter.label !== null) chip(safe(store.head.labels[filter.label][1]), () => { filter.label = null; filter.among = false; });
    if (filter.coarse !== null) chip(safe(store.head.coarse[filter.coarse][1]), () => { filter.coarse = null; });
    if (filter.environment) chip(word(filter.environment === INDOOR ? "indoor" : "outdoor"), () => { filter.environment = 0; });
    if (filter.nothing) chip(word("nothing_fits"), () => { filter.nothing = false; });
    if (filter.text) chip(`“${safe(filter.text)}”`, () => { filter.text = ""; filter.named = null; });
    if (chips.length > 1) {
      const clear = element("button", { type: "button", class: "plain", text: word("clear") });
      clear.addEventListener("click", () => { filter = { ...fresh(), sort: filter.sort }; apply(); });
      chips.push(clear);
    }
    byId("chips").replaceChildren(...chips);
    byId("among-label").hidden = filter.label === null;
    byId("among").checked = filter.among;
    byId("nothing").checked = filter.nothing;
    byId("unsure").checked = filter.unsure;
    byId("sort").value = filter.sort;
    for (const button of byId("environment").children) button.setAttribute("aria-pressed", String(Number(button.dataset.value) === filter.environment));
    for (const button of byId("coarse").querySelectorAll("button")) button.setAttribute("aria-pressed", String(Number(button.dataset.value) === filter.coarse && filter.coarse !== null));
  }

  function drawCorrected() {
    byId("corrected").textContent = corrections.count() ? word("corrected", { n: number(corrections.count()) }) : "";
  }

  function apply(keepPage = false) {
    found = store.select(filter);
    if (!keepPage) page = 0;
    return draw();
  }

  function say(text) {
    byId("message").textContent = text;
    byId("message").hidden = !text;
  }

  function turn(step) {
    page += step;
    draw(true);
  }

  // ---- the summary

  function figure(key, value, kind) {
    const amount = kind === "bad" ? element("button", { type: "button", text: number(value) }) : number(value);
    if (kind === "bad") amount.addEventListener("click", () => byId("failures").scrollIntoView());
    return element("div", { class: kind }, element("dt", { text: word(key) }), element("dd", {}, amount));
  }

  function drawSummary() {
    const { head } = store;
    const figures = [figure("photos", head.rows.count), figure("failures", head.failures.count, head.failures.count ? "bad" : null)];
    if (totals.nothing) figures.push(figure("nothing_fits", totals.nothing));
    byId("figures").replaceChildren(...figures);
    const known = totals.indoor + totals.outdoor;
    byId("environments").hidden = !known;
    if (known) {
      byId("split").style.setProperty("--share", `${(totals.indoor / known) * 100}%`);
      byId("environment").replaceChildren(...[[0, "everywhere", known], [INDOOR, "indoor", totals.indoor], [OUTDOOR, "outdoor", totals.outdoor]].map(([value, key, count]) => {
        const button = element("button", { type: "button", "data-value": value, "aria-pressed": "false" }, element("span", { text: word(key) }), value && element("small", { text: number(count) }));
        button.addEventListener("click", () => { filter.environment = value; apply(); });
        return button;
      }));
    }
    byId("about").hidden = !head.summary.length;
    byId("run").replaceChildren(...head.summary.flatMap(([name, value]) => [element("dt", { text: safe(name) }), element("dd", { text: typeof value === "number" ? number(value) : safe(value) })]));
    byId("nothing-label").hidden = !totals.nothing;
    byId("heat").hidden = !totals.heat;
    drawKinds();
  }

  function drawKinds() {
    const kinds = totals.coarse.map((count, value) => ({ count, value })).filter((kind) => kind.count).sort((a, b) => b.count - a.count);
    byId("kinds").hidden = !kinds.length;
    const most = kinds[0]?.count ?? 1;
    byId("coarse").replaceChildren(...kinds.slice(0, allKinds ? kinds.length : FEW).map(({ count, value }) => {
      const fill = element("i", { "aria-hidden": "true" });
      fill.style.width = `${(count / most) * 100}%`;
      const name = safe(store.head.coarse[value][1]);
      const button = element("button", { type: "button", "data-value": value, "aria-pressed": String(filter.coarse === value) }, element("span", { text: name, dir: "auto" }), element("small", { text: number(count) }), fill);
      button.addEventListener("click", () => { filter.coarse = filter.coarse === value ? null : value; apply(); });
      return element("li", {}, button);
    }));
    byId("more").hidden = kinds.length <= FEW;
    byId("more").textContent = allKinds ? word("fewer") : word("more", { n: number(kinds.length) });
  }

  // ---- the search

  function suggestion(text, note, choose) {
    const made = element("li", { role: "option", id: `suggestion-${byId("suggestions").querySelectorAll("[role=option]").length}`, "aria-selected": "false" }, element("bdi", { text }), note && element("small", { text: note }));
    made.addEventListener("pointerdown", (event) => event.preventDefault());
    made.addEventListener("click", choose);
    byId("suggestions").append(made);
  }

  async function suggest() {
    const text = byId("search").value.trim();
    const asked = (asking += 1);
    if (!text) return fold();
    const list = byId("suggestions");
    const wanted = text.toLocaleLowerCase();
    const match = ([id, name]) => {
      const places = [name.toLocaleLowerCase().indexOf(wanted), id.toLocaleLowerCase().indexOf(wanted)].filter((at) => at >= 0);
      return places.length ? Math.min(...places) : -1;
    };
    const hits = (table, counts) => store.head[table].map((entry, value) => ({ table, value, name: entry[1], at: match(entry), count: counts[value] })).filter((hit) => hit.at >= 0);
    const labels = [...hits("labels", totals.labels), ...hits("coarse", totals.coarse)].sort((a, b) => (a.at > 0) - (b.at > 0) || b.count - a.count).slice(0, 8);
    list.replaceChildren();
    if (labels.length) list.append(element("li", { role: "presentation", class: "group", text: word("search_labels") }));
    for (const hit of labels) {
      const note = `${hit.table === "coarse" ? `${word("coarse")} · ` : ""}${number(hit.count)}`;
      suggestion(safe(hit.name), note, () => { filter[hit.table === "coarse" ? "coarse" : "label"] = hit.value; if (!hit.count) filter.among = true; done(); });
    }
    list.append(element("li", { role: "presentation", class: "group", text: word("search_files") }));
    suggestion(word("search_text", { text: safe(text) }), "", () => byName(text));
    unfold();
    const files = await store.named(text, 5, () => asked !== asking).catch(() => null);
    if (!files || asked !== asking) return undefined;
    for (const [row, path] of files) suggestion(cards.base(path), "", () => { fold(); open(row); });
    if (!files.length && !labels.length) list.replaceChildren(element("li", { role: "presentation", class: "group", text: word("search_none") }));
    return undefined;
  }

  async function byName(text) {
    const asked = (asking += 1);
    say(word("loading"));
    try {
      const hits = await store.named(text, MOST_NAMES, () => asked !== asking);
      if (!hits) return;
      filter.text = text;
      filter.named = new Set(hits.map(([row]) => row));
      done();
    } catch {
      say(word("broken"));
    }
  }

  function done() {
    byId("search").value = "";
    fold();
    apply();
  }

  function unfold() {
    byId("suggestions").hidden = false;
    byId("search").setAttribute("aria-expanded", "true");
    byId("search").removeAttribute("aria-activedescendant");
  }

  function fold() {
    asking += 1;
    byId("suggestions").hidden = true;
    byId("suggestions").replaceChildren();
    byId("search").setAttribute("aria-expanded", "false");
    byId("search").removeAttribute("aria-activedescendant");
  }

  function searchKey(event) {
    const options = [...byId("suggestions").querySelectorAll("[role=option]")];
    const at = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") { byId("search").value = ""; fold(); }
    if (event.key === "Enter" && options.length) { event.preventDefault(); options[Math.max(0, at)].click(); }
    if (!options.length || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const to = (at + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length;
    options.forEach((option, i) => option.setAttribute("aria-selected", String(i === to)));
    options[to].scrollIntoView({ block: "nearest" });
    byId("search").setAttribute("aria-activedescendant", options[to].id);
  }

  // ---- one photo

  async function open(row) {
    const dialog = byId("detail");
    try {
      const [content] = await store.rows([row]);
      cards.detail(content, dialog);
    } catch {
      say(word("broken"));
      return;
    }
    openRow = row;
    const at = found.indexOf(row);
    byId("detail-previous").disabled = at <= 0;
    byId("detail-next").disabled = at < 0 || at === found.length - 1;
    byId("detail-previous").addEventListener("click", () => step(-1));
    byId("detail-next").addEventListener("click", () => step(1));
    const toggle = byId("detail-heat");
    if (toggle) {
      const show = (on) => { dialog.classList.toggle("heated", on); toggle.setAttribute("aria-checked", String(on)); };
      show(true);
      toggle.addEventListener("click", () => show(!dialog.classList.contains("heated")));
    }
    if (!dialog.open) dialog.showModal();
  }

  function step(by) {
    const to = found.indexOf(openRow) + by;
    if (to >= 0 && to < found.length) open(found[to]);
  }

  // ---- failures

  async function moreFailures() {
    const { failures } = store.head;
    byId("failures").hidden = !failures.count;
    if (!failures.count) return;
    byId("failure-count").textContent = number(failures.count);
    try {
      const entries = await store.file("failures", Math.floor(failuresShown / failures.size));
      byId("failure-rows").append(...entries.map(([path, error, message]) => element("tr", {}, element("td", { class: "code" }, element("bdi", { text: safe(path) })), element("td", { class: "code", text: safe(error) }), element("td", {}, element("bdi", { text: safe(message) })))));
      failuresShown += entries.length;
    } catch {
      say(word("broken"));
    }
    byId("more-failures").hidden = failuresShown >= failures.count;
    byId("more-failures").textContent = word("shown", { n: number(failuresShown), all: number(failures.count) });
  }

  // ---- switches, keys, address

  function heat(on) {
    document.documentElement.classList.toggle("heated", on);
    byId("heat").setAttribute("aria-checked", String(on));
  }

  function theme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  }

  // The address keeps page, filters and order, so that going back or reloading shows the same photos.
  function remember() {
    const parts = new URLSearchParams();
    if (page) parts.set("page", page + 1);
    if (filter.label !== null) parts.set("label", store.head.labels[filter.label][0]);
    if (filter.coarse !== null) parts.set("kind", store.head.coarse[filter.coarse][0]);
    if (filter.environment) parts.set("in", filter.environment === INDOOR ? "indoor" : "outdoor");
    if (filter.nothing) parts.set("nothing", "1");
    if (filter.unsure) parts.set("unsure", "1");
    if (filter.among) parts.set("among", "1");
    if (filter.sort !== "input") parts.set("sort", filter.sort);
    const text = parts.toString();
    try { history.replaceState(null, "", text ? `#${text}` : "#"); } catch { /* some browsers forbid it on a disk */ }
  }

  function recall() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const find = (table, id) => { const at = store.head[table].findIndex((entry) => entry[0] === id); return at < 0 ? null : at; };
    filter.label = parts.has("label") ? find("labels", parts.get("label")) : null;
    filter.coarse = parts.has("kind") ? find("coarse", parts.get("kind")) : null;
    filter.environment = { indoor: INDOOR, outdoor: OUTDOOR }[parts.get("in")] ?? 0;
    filter.nothing = parts.has("nothing");
    filter.unsure = parts.has("unsure") && corrections.on();
    filter.among = parts.has("among") && filter.label !== null;
    filter.sort = ["sure", "unsure"].includes(parts.get("sort")) ? parts.get("sort") : "input";
    page = Math.max(0, (Number.parseInt(parts.get("page") ?? "1", 10) || 1) - 1);
    if (parts.get("theme") === "dark" || parts.get("theme") === "light") document.documentElement.dataset.theme = parts.get("theme");
    if (parts.has("heat")) heat(true);
  }

  function key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (byId("detail").open) {
      if (event.key === "ArrowLeft") step(-1);
      if (event.key === "ArrowRight") step(1);
      return;
    }
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
    if (event.key === "/") { event.preventDefault(); byId("search").focus(); }
    if (event.key === "ArrowLeft" && page > 0) turn(-1);
    if (event.key === "ArrowRight" && (page + 1) * PAGE < found.length) turn(1);
    if (event.key.toLowerCase() === "h" && totals.heat) heat(!document.documentElement.classList.contains("heated"));
  }

  function listen() {
    byId("search").addEventListener("input", suggest);
    byId("search").addEventListener("keydown", searchKey);
    byId("search").addEventListener("blur", fold);
    byId("heat").addEventListener("click", () => heat(!document.documentElement.classList.contains("heated")));
    byId("theme").addEventListener("click", theme);
    byId("sort").addEventListener("change", (event) => { filter.sort = event.target.value; apply(); });
    byId("nothing").addEventListener("change", (event) => { filter.nothing = event.target.checked; apply(); });
    byId("unsure").addEventListener("change", (event) => { filter.unsure = event.target.checked; apply(); });
    byId("save").addEventListener("click", () => corrections.save().catch(() => say(word("broken"))));
    byId("among").addEventListener("change", (event) => { filter.among = event.target.checked; apply(); });
    byId("more").addEventListener("click", () => { allKinds = !allKinds; drawKinds(); });
    byId("more-failures").addEventListener("click", moreFailures);
    byId("previous").addEventListener("click", () => turn(-1));
    byId("next").addEventListener("click", () => turn(1));
    byId("page").addEventListener("change", (event) => { page = (Number.parseInt(event.target.value, 10) || 1) - 1; draw(true); });
    byId("grid").addEventListener("click", (event) => { const button = event.target.closest(".open"); if (button) open(Number(button.dataset.row)); });
    byId("detail").addEventListener("click", (event) => { if (event.target === byId("detail")) byId("detail").close(); });
    document.addEventListener("keydown", key);
    addEventListener("hashchange", () => { recall(); apply(true); });
  }

  function start() {
    const { head } = store;
    cards.speak(head);
    document.title = safe(head.title);
    byId("title").textContent = safe(head.title);
    byId("subtitle").textContent = `${word("model")}: ${safe(head.model)}`;
    for (const each of document.querySelectorAll("[data-word]")) each.textContent = word(each.dataset.word);
    byId("search").placeholder = word("search");
    byId("search").setAttribute("aria-label", word("search"));
    byId("theme").setAttribute("aria-label", word("theme"));
    byId("environment").setAttribute("aria-label", word("environment"));
    byId("summary").setAttribute("aria-label", word("filters"));
    byId("sort").replaceChildren(...["input", "sure", "unsure"].map((value) => element("option", { value, text: word(`sort_${value}`) })));
    byId("unsure-label").hidden = byId("corrections").hidden = !corrections.on();
    corrections.start(drawCorrected);
    drawCorrected();
    totals = store.count();
    drawSummary();
    listen();
    recall();
    apply(true).then(() => { document.documentElement.dataset.ready = Math.round(performance.now()); });
    moreFailures();
  }

  store.onStart(start);
})();
