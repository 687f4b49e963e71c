"use strict";
// Runs before the first paint, so that a page chosen to be dark never flashes white. No module, for those run later.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("veduta.theme"); } catch { /* some browsers forbid it */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
