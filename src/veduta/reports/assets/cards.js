"use strict";
// Everything that is drawn: cards, details, suggestions. Data enters the page as text alone, never as markup.
veduta.cards = (() => {
  const { store } = veduta;
  const SHOWN = 5;
  let words = {};
  let percent = null;
  let decimal = null;
  let integer = null;

  function speak(head) {
    words = head.words;
    percent = new Intl.NumberFormat(head.language, { style: "percent", maximumFractionDigits: 0 });
    decimal = new Intl.NumberFormat(head.language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
    integer = new Intl.NumberFormat(head.language);
  }

  const word = (key, values = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);

  function element(tag, { text, ...properties } = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (value === undefined || value === null || value === false) continue;
      made.setAttribute(name, value === true ? "" : value);
    }
    if (text !== undefined) made.textContent = text;
    made.append(...children.filter(Boolean));
    return made;
  }

  // A file name may hold line ends, half characters and marks that turn the direction of what follows; shown as
  // escapes they can pretend nothing.
  function safe(text) {
    const pattern = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
    return String(text).replace(pattern, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  }

  const base = (path) => safe(String(path).replace(/[\\/]+$/, "").split(/[\\/]/).pop() || path);
  const share = (value) => (value < 0.005 ? `<${percent.format(0.01)}` : percent.format(value));
  const fits = (row) => !row.evidence || row.evidence.fits !== false;
  const name = (table, number) => safe(store.head[table][number][1]);
  const picture = (row, kind) => `${kind}/${row.key.slice(0, 2)}/${row.key}.${row[kind]}`;

  function bars(scores, table, count = SHOWN) {
    const list = element("ol", { class: "bars" });
    for (const [number, probability] of scores.slice(0, count)) {
      const fill = element("i", { "aria-hidden": "true" });
      fill.style.width = `${Math.max(0, Math.min(1, probability)) * 100}%`;
      const label = name(table, number);
      list.append(element("li", { title: label }, fill, element("span", { text: label, dir: "auto" }), element("b", { text: share(probability) })));
    }
    return list;
  }

  function thumb(row, lazy) {
    const label = row.scores.length ? name("labels", row.scores[0][0]) : "";
    const frame = element("span", { class: "thumb" });
    if (row.thumbs) {
      const alt = word("picture_of", { file: base(row.path), label });
      frame.append(element("img", { src: picture(row, "thumbs"), alt, loading: lazy && "lazy", decoding: "async" }));
    } else {
      frame.append(element("span", { class: "blank", text: word("no_thumb") }));
    }
    if (row.heat) frame.append(element("img", { class: "heat", src: picture(row, "heat"), alt: "", loading: lazy && "lazy", decoding: "async" }));
    return frame;
  }

  function tags(row) {
    const list = element("p", { class: "tags" });
    // Kind of place and environment follow from labels, so where none fits they would be guesses.
    if (row.coarse.length && fits(row)) list.append(element("span", { class: "tag kind", text: name("coarse", row.coarse[0][0]) }));
    const surroundings = fits(row) && row.environment;
    if (surroundings) {
      const kind = surroundings.kind === "outdoor" ? "outdoor" : "indoor";
      list.append(element("span", { class: `tag ${kind}` }, element("span", { text: word(kind) }), element("small", { text: word("margin", { n: decimal.format(surroundings.margin) }) })));
    }
    if (row.landmark?.name) list.append(element("span", { class: "tag landmark", title: word("landmark") }, element("span", { text: safe(row.landmark.name), dir: "auto" }), element("small", { text: decimal.format(row.landmark.similarity) })));
    for (const mark of row.facts?.marks ?? []) list.append(element("span", { class: "tag mark", text: word(safe(mark)) }));
    return list;
  }

  // They follow from labels, as kind of place does; what the photo itself had no say in is told as such.
  const attributes = (row) => (fits(row) ? row.attributes ?? [] : []);

  function chips(told) {
    const list = element("p", { class: "tags" });
    for (const [number, probability, byScene] of told) {
      const source = word(byScene ? "from_scene" : "from_photo");
      list.append(element("span", { class: byScene ? "tag attribute scene" : "tag attribute", title: source }, element("span", { text: name("attributes", number), dir: "auto" }), element("small", { text: share(probability) })));
    }
    return list;
  }

  function attributeGroups(row) {
    return [["from_photo", 0], ["from_scene", 1]].flatMap(([source, wanted]) => {
      const told = attributes(row).filter(([, , byScene]) => byScene === wanted);
      return told.length ? [element("h3", { text: `${word("attributes")} – ${word(source)}` }), chips(told)] : [];
    });
  }

  function card(row, number) {
    const made = element("article", { class: fits(row) ? "card" : "card misfit" });
    const first = row.scores[0];
    const heading = first
      ? element("h3", {}, element("span", { text: fits(row) ? name("labels", first[0]) : word("fits_note"), dir: "auto" }), fits(row) && element("b", { text: share(first[1]) }))
      : element("h3", { text: "–" });
    const file = base(row.path);
    const open = element("button", { type: "button", class: "open", "data-row": number, "aria-label": `${word("detail")}: ${file}` }, thumb(row, true));
    const reason = !fits(row) && row.evidence.reason && element("p", { class: "reason", text: safe(row.evidence.reason), dir: "auto" });
    made.append(open, element("div", { class: "text" }, heading, reason, bars(row.scores, "labels"), tags(row), attributes(row).length > 0 && chips(attributes(row).slice(0, SHOWN)), element("p", { class: "file", title: safe(row.path) }, element("bdi", { text: file })), veduta.corrections.control(row)));
    return made;
  }

  function fact(list, key, value, code = false) {
    if (value === undefined || value === null || value === "") return;
    list.append(element("dt", { text: word(key) }), element("dd", { class: code && "code" }, element("bdi", { text: safe(value) })));
  }

  function facts(row) {
    const list = element("dl", { class: "facts" });
    const about = row.facts ?? {};
    fact(list, "file", row.path, true);
    fact(list, "taken", about.taken && String(about.taken).replace("T", " "));
    if (about.position) fact(list, "position", about.position.map((degrees) => Number(degrees).toFixed(5)).join(", "));
    if (about.width) fact(list, "size", `${about.width} × ${about.height}`);
    fact(list, "format", about.format);
    fact(list, "marks", (about.marks ?? []).map((mark) => word(mark)).join(", "));
    if (row.environment) {
      fact(list, "outdoor_probability", share(row.environment.outdoor_probability));
      fact(list, "vote", decimal.format(row.environment.outdoor_vote));
    }
    if (row.evidence) fact(list, "evidence", `${decimal.format(row.evidence.value)} (${word("threshold", { n: decimal.format(row.evidence.threshold) })})`);
    if (row.scores.length) fact(list, "label_id", store.head.labels[row.scores[0][0]][0], true);
    fact(list, "digest", row.digest, true);
    fact(list, "model", row.model ?? store.head.model);
    fact(list, "bundle", row.bundle_id, true);
    fact(list, "precision", row.precision);
    return list;
  }

  // Which landmark and why, or why none; of the reference photos their names, since the index keeps the pictures.
  function landmark(row) {
    const told = row.landmark;
    if (!told) return [];
    const { name: called, city, similarity, threshold, reason, references } = told;
    const sentence = called ? `${decimal.format(similarity)} (${word("threshold", { n: decimal.format(threshold) })})` : safe(reason ?? "");
    const heading = called ? safe(city ? `${called}, ${city}` : called) : word("no_landmark");
    const files = references.map((path) => element("li", { title: safe(path) }, element("bdi", { text: base(path) })));
    return [
      element("h3", { text: word("landmark") }),
      element("p", { class: "landmark" }, element("strong", { text: heading, dir: "auto" }), element("span", { text: sentence, lang: called ? null : "en", dir: "auto" })),
      ...(files.length ? [element("ul", { class: "references" }, element("li", { text: word("references") }), ...files)] : []),
    ];
  }

  function answers(row) {
    if (!row.models) return [element("h3", { text: word("scenes") }), bars(row.scores, "labels", 20)];
    return row.models.flatMap((each) => [element("h3", { text: safe(each.model), dir: "auto" }), bars(each.scores, "labels", SHOWN)]);
  }

  function detail(row, dialog) {
    const title = row.scores.length && fits(row) ? name("labels", row.scores[0][0]) : word("fits_note");
    const close = element("button", { type: "button", class: "round close", "aria-label": word("close"), text: "×" });
    close.addEventListener("click", () => dialog.close());
    const reason = !fits(row) && row.evidence.reason && element("p", { class: "reason", text: safe(row.evidence.reason), dir: "auto" });
    const frame = thumb(row, false);
    if (row.facts?.width > 0 && row.facts?.height > 0) frame.style.setProperty("--aspect", row.facts.width / row.facts.height);
    const pictures = element("div", { class: "pictures" }, frame);
    const step = (id, sign, key) => element("button", { type: "button", class: "round", id, "aria-label": word(key), text: sign });
    const head = element("header", {}, element("h2", { id: "detail-title", text: title, dir: "auto" }), step("detail-previous", "‹", "previous"), step("detail-next", "›", "next"), close);
    const coarse = row.coarse.length > 0 && [element("h3", { text: word("coarse") }), bars(row.coarse, "coarse")];
    dialog.replaceChildren(head, element("div", { class: "columns" }, pictures, element("div", { class: "text" }, reason, tags(row), ...answers(row), ...(coarse || []), ...attributeGroups(row), ...landmark(row), facts(row))));
    if (row.heat) {
      pictures.classList.add("has-heat");
      pictures.append(element("button", { type: "button", class: "switch", id: "detail-heat", role: "switch" }, element("i", { "aria-hidden": "true" }), element("span", { text: word("heat") })));
    }
  }

  return {
    speak, word, element, safe, base, card, detail, share,
    number: (value) => (Number.isInteger(value) ? integer.format(value) : decimal.format(value)),
  };
})();
