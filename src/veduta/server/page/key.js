// Asks for an API key where the server wants one; the key stays in this tab.

import { element } from "./dom.js";
import { word } from "./words.js";

/** The key that somebody gave, or null. `wrong` says that one was refused. */
export function askForKey(wrong) {
  return new Promise((resolve) => {
    const field = element("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false", "data-testid": "key-field" });
    const cancel = element("button", { type: "button", class: "button", text: word("cancel"), "data-testid": "key-cancel" });
    const use = element("button", { type: "submit", class: "button main", text: word("key_use"), "data-testid": "key-use" });
    const form = element("form", { novalidate: true },
      element("h2", { id: "key-title", text: word("key_title") }),
      element("p", { text: word("key_about") }),
      wrong && element("p", { class: "wrong", role: "alert", text: word("key_wrong") }),
      element("label", { for: "key", text: word("key_label") }), field,
      element("div", { class: "row" }, use, cancel));
    const dialog = element("dialog", { "aria-labelledby": "key-title", "data-testid": "key-dialog" }, form);
    let given = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      given = field.value.trim() || null;
      if (given) dialog.close(); else field.focus();
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(given); });
    document.body.append(dialog);
    dialog.showModal();
    field.focus();
  });
}
