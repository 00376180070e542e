// Dialogs on the browser's own <dialog>: Escape closes, focus goes back to where it was.
import { h, refocus, uid } from "./dom.js";
import { form } from "./form.js";
import { icon } from "./icons.js";
import { rescueNotes } from "./messages.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * @param {string} title
 * @param {Child | Child[]} body
 * @param {{wide?: boolean, onClose?: () => void}} [options]
 * @returns {{dialog: HTMLDialogElement, close: () => void}}
 */
export function openDialog(title, body, { wide = false, onClose } = {}) {
  const before = document.activeElement;
  // What was pressed may be drawn anew meanwhile (a row that was renamed); then its place knows where to go on.
  const home = before?.closest("section > :last-child, main > * > *") ?? null;
  const id = uid("dialog");
  const dialog = h(
    "dialog",
    { class: wide ? "wide" : undefined, "aria-labelledby": id },
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id }, title),
      h(
        "button",
        { type: "button", class: "quiet round", "aria-label": "Close", onclick: () => dialog.close() },
        icon("close"),
      ),
    ),
    h("div", { class: "dialog-body" }, body),
  );
  dialog.addEventListener("close", () => {
    rescueNotes();
    dialog.remove();
    // This is told later than the browser closes: whoever has gone on meanwhile is not called back.
    const lost = !document.activeElement || document.activeElement === document.body;
    if (lost && before instanceof HTMLElement && before.isConnected) before.focus();
    else if (lost && before && home instanceof HTMLElement && home.isConnected) refocus(before, home);
    onClose?.();
  });
  document.body.append(dialog);
  dialog.showModal();
  return { dialog, close: () => dialog.close() };
}

/**
 * A dialog that does one thing: it stays open, and says why, when that fails.
 * @param {object} ask
 * @param {string} ask.title
 * @param {Child[]} ask.body
 * @param {string} ask.submit
 * @param {boolean} [ask.danger]
 * @param {() => Promise<void>} ask.run
 */
export function askDialog({ title, body, submit, danger, run }) {
  const cancel = h("button", { type: "button", class: "button" }, "Cancel");
  const made = form({
    body,
    submit,
    danger,
    beside: [cancel],
    run: async () => {
      await run();
      close();
    },
  });
  const { dialog, close } = openDialog(title, made.root);
  cancel.addEventListener("click", close);
  const first = dialog.querySelector("input:not([type=checkbox]):not([type=radio])");
  if (first instanceof HTMLElement) first.focus();
  else cancel.focus();
  return { dialog, close };
}
