"use strict";
// What the page knows: 16 bytes for each photo from the start, and rows, names and failures from numbered files,
// which come as scripts because a page on a disk may not fetch its neighbours.
const veduta = (() => {
  const NONE = 0xffff;
  const BYTES = 16;
  const LABELS = 5;
  const KEPT = 400; // row files held in memory
  const loaded = { rows: new Map(), names: new Map(), failures: new Map() };
  const waiting = new Map();
  let head = null;
  let bytes = null;
  let started = null;

  function index(about, records) {
    head = about;
    const text = atob(records);
    const raw = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i += 1) raw[i] = text.charCodeAt(i);
    bytes = new DataView(raw.buffer);
    if (started) started();
  }

  const label = (row, place) => bytes.getUint16(row * BYTES + 2 * place, true);
  const coarse = (row) => bytes.getUint16(row * BYTES + 2 * LABELS, true);
  const probability = (row) => bytes.getUint16(row * BYTES + 12, true);
  const flags = (row) => bytes.getUint8(row * BYTES + 14);

  function arrived(kind) {
    return (number, entries) => {
      const held = loaded[kind];
      held.set(number, entries);
      if (kind === "rows" && held.size > KEPT) held.delete(held.keys().next().value);
    };
  }

  function file(kind, number) {
    const held = loaded[kind];
    if (held.has(number)) return Promise.resolve(held.get(number));
    const name = `data/${head.run}/${kind}-${String(number).padStart(5, "0")}.js`;
    if (!waiting.has(name)) {
      waiting.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        script.src = name;
        script.onload = () => { script.remove(); waiting.delete(name); resolve(held.get(number)); };
        script.onerror = () => { script.remove(); waiting.delete(name); reject(new Error(name)); };
        document.head.append(script);
      }));
    }
    return waiting.get(name);
  }

  async function rows(numbers) {
    const size = head.rows.size;
    const files = [...new Set(numbers.map((number) => Math.floor(number / size)))];
    const found = new Map();
    await Promise.all(files.map(async (number) => found.set(number, await file("rows", number))));
    return numbers.map((number) => found.get(Math.floor(number / size))[number % size]);
  }

  // The photos that pass: a label (at first place, or among the first five), a coarse label, an environment,
  // "nothing fits", and a set of rows that a search by name has found.
  function select(filter) {
    const count = head.rows.count;
    const places = filter.among ? LABELS : 1;
    const found = [];
    for (let row = 0; row < count; row += 1) {
      const flag = flags(row);
      if (filter.environment && !(flag & filter.environment)) continue;
      if (filter.nothing && !(flag & 4)) continue;
      if (filter.unsure && probability(row) >= Math.round(head.corrections.threshold * 65535)) continue;
      if (filter.coarse !== null && coarse(row) !== filter.coarse) continue;
      if (filter.label !== null) {
        let place = 0;
        while (place < places && label(row, place) !== filter.label) place += 1;
        if (place === places) continue;
      }
      if (filter.named && !filter.named.has(row)) continue;
      found.push(row);
    }
    if (filter.sort === "sure") found.sort((a, b) => probability(b) - probability(a) || a - b);
    if (filter.sort === "unsure") found.sort((a, b) => probability(a) - probability(b) || a - b);
    return found;
  }

  function count() {
    const totals = { labels: new Array(head.labels.length).fill(0), coarse: new Array(head.coarse.length).fill(0) };
    Object.assign(totals, { indoor: 0, outdoor: 0, nothing: 0, heat: 0 });
    for (let row = 0; row < head.rows.count; row += 1) {
      const first = label(row, 0);
      const kind = coarse(row);
      const flag = flags(row);
      if (first !== NONE) totals.labels[first] += 1;
      if (kind !== NONE) totals.coarse[kind] += 1;
      if (flag & 1) totals.indoor += 1;
      if (flag & 2) totals.outdoor += 1;
      if (flag & 4) totals.nothing += 1;
      if (flag & 8) totals.heat += 1;
    }
    return totals;
  }

  // Rows whose path contains the text, case aside; `stale` says that nobody waits for the answer any more.
  async function named(text, limit, stale) {
    const wanted = text.toLocaleLowerCase();
    const found = [];
    const size = head.names.size;
    const files = Math.ceil(head.names.count / size);
    for (let number = 0; number < files && found.length < limit; number += 1) {
      const names = await file("names", number);
      if (stale()) return null;
      for (let i = 0; i < names.length && found.length < limit; i += 1) {
        if (names[i].toLocaleLowerCase().includes(wanted)) found.push([number * size + i, names[i]]);
      }
    }
    return found;
  }

  return {
    index, rows: arrived("rows"), names: arrived("names"), failures: arrived("failures"),
    store: {
      get head() { return head; },
      onStart(call) { started = call; if (head) call(); },
      rows, file, select, count, named,
    },
  };
})();
