"use strict";
// Corrections of wrong answers: one click on a card, kept by this browser, exported as a table that a training takes.
veduta.corrections = (() => {
  const { store, cards } = veduta;
  const { word, element, safe } = cards;
  const MOST_BUTTONS = 6;
  const NONE = "";
  const kept = () => `veduta corrections ${location.pathname}`;
  let told = new Map(); // the path of a photo to a label's id, or NONE
  let changed = () => {};

  const on = () => Boolean(store.head.corrections);
  const labels = () => store.head.corrections.labels.map((number) => store.head.labels[number]);
  const answer = (row) => (row.sure ? store.head.labels[row.scores[0][0]][0] : undefined);

  // What a photo counts as: what somebody said, else the answer, else undefined.
  const of = (row) => (told.has(row.path) ? told.get(row.path) : answer(row));

  function say(row, label) {
    if (label === answer(row) || label === of(row)) told.delete(row.path);
    else told.set(row.path, label);
    try { localStorage.setItem(kept(), JSON.stringify([...told])); } catch { /* a browser may keep nothing for a disk */ }
    changed();
  }

  function control(row) {
    if (!on()) return null;
    const choices = [...labels(), [NONE, word("none_of_these")]];
    const group = element("div", { class: "correct", role: "group", "aria-label": word("correct") });
    const buttons = (now) => choices.map(([id, name]) => {
      const button = element("button", { type: "button", "aria-pressed": String(now === id), text: safe(name), dir: "auto" });
      button.addEventListener("click", () => { say(row, id); draw(); group.children[choices.findIndex((each) => each[0] === id)].focus(); });
      return button;
    });
    const list = (now) => {
      const select = element("select", { "aria-label": word("correct") });
      if (now === undefined) select.append(element("option", { value: "?", text: word("unsure"), selected: true }));
      for (const [id, name] of choices) select.append(element("option", { value: `=${id}`, text: safe(name), selected: now === id }));
      select.addEventListener("change", () => { say(row, select.value.slice(1)); draw(); group.firstChild.focus(); });
      return [select];
    };
    function draw() {
      group.classList.toggle("told", told.has(row.path));
      group.replaceChildren(...(labels().length <= MOST_BUTTONS ? buttons : list)(of(row)));
    }
    draw();
    return group;
  }

  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  // The manifest of all photos: corrected ones as they were corrected, unsure ones and others dropped, with the reason.
  async function table() {
    const lines = ["path,label,dropped"];
    const size = 500;
    for (let first = 0; first < store.head.rows.count; first += size) {
      const numbers = Array.from({ length: Math.min(size, store.head.rows.count - first) }, (_, at) => first + at);
      for (const row of await store.rows(numbers)) {
        const now = of(row);
        const guess = row.scores.length ? store.head.labels[row.scores[0][0]][0] : labels()[0][0];
        const reason = now === undefined ? "unsure: nobody said what it shows" : now === NONE ? "class: none of these" : "";
        lines.push([row.path, now || guess, reason].map(cell).join(","));
      }
    }
    return `${lines.join("\n")}\n`;
  }

  async function save() {
    const link = element("a", { href: URL.createObjectURL(new Blob([await table()], { type: "text/csv" })), download: "corrected.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function start(redraw) {
    changed = redraw;
    try { told = new Map(JSON.parse(localStorage.getItem(kept()) ?? "[]")); } catch { told = new Map(); }
  }

  return { on, control, save, start, table, count: () => told.size };
})();
