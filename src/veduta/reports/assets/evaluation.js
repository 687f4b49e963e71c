"use strict";
// What a page of figures does: light or dark, and tables that sort by the column that is clicked.
(() => {
  const root = document.documentElement;

  function turn() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  }

  // Numbers sort as numbers, the largest first at the first click; words from a to z.
  function sort(table, column, head) {
    const body = table.tBodies[0];
    const numbers = head.classList.contains("number");
    const before = head.getAttribute("aria-sort");
    const falling = before ? before === "ascending" : numbers;
    const key = (row) => row.cells[column].dataset.key;
    const compare = numbers ? (a, b) => Number(key(a)) - Number(key(b)) : (a, b) => key(a).localeCompare(key(b));
    const rows = [...body.rows].sort(compare);
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", falling ? "descending" : "ascending");
    body.replaceChildren(...(falling ? rows.reverse() : rows));
  }

  document.getElementById("theme").addEventListener("click", turn);
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => head.querySelector("button").addEventListener("click", () => sort(table, column, head)));
  }
})();
