// Fields with labels, hints and errors of their own, and forms that cannot be sent twice.
import { ApiError } from "./api.js";
import { fill, h, uid } from "./dom.js";
import { byteLength, wait } from "./format.js";
import { icon } from "./icons.js";
import { explain, isSignedOut, signedOut } from "./messages.js";

/** The most bytes a password may have; the server refuses more, because bcrypt would not read them. */
export const PASSWORD_BYTES = 71;

/**
 * @typedef {object} Field
 * @property {HTMLElement} root
 * @property {HTMLInputElement} input
 * @property {(text: string) => void} fail shows what is wrong with it; "" clears it
 * @property {(hint: import("./dom.js").Child) => void} hint
 */

/**
 * @param {string} label
 * @param {import("./dom.js").Props} props of the input
 * @param {import("./dom.js").Child} [hint]
 * @returns {Field}
 */
export function field(label, props, hint) {
  const id = uid("field");
  const input = h("input", { type: "text", id, "aria-describedby": `${id}-error ${id}-hint`, ...props });
  const hintPlace = h("p", { class: "hint", id: `${id}-hint` }, hint);
  const errorPlace = h("p", { class: "field-error", id: `${id}-error` });
  const root = h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    h("div", { class: "input-row" }, input),
    errorPlace,
    hintPlace,
  );
  /** @param {string} text */
  const fail = (text) => {
    errorPlace.textContent = text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => fail(""));
  return { root, input, fail, hint: (words) => fill(hintPlace, words) };
}

/**
 * A password field with a way to see what is typed, which speaks up when the text nears the limit.
 * @param {string} label
 * @param {"current-password" | "new-password"} autocomplete
 * @param {import("./dom.js").Child} [hint]
 * @returns {Field}
 */
export function passwordField(label, autocomplete, hint) {
  const made = field(label, { type: "password", autocomplete, spellcheck: "false", autocapitalize: "none" }, hint);
  const { input } = made;
  const eye = h(
    "button",
    { type: "button", class: "quiet round", "aria-label": `Show: ${label}`, "aria-pressed": "false" },
    icon("eye"),
  );
  eye.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    eye.setAttribute("aria-pressed", String(!shown));
    fill(eye, icon(shown ? "eye" : "shut"));
  });
  input.after(eye);
  if (autocomplete === "new-password") {
    input.addEventListener("input", () => {
      const bytes = byteLength(input.value);
      if (bytes > PASSWORD_BYTES)
        made.fail(
          `${bytes} of ${PASSWORD_BYTES} bytes: too long. Letters with accents and emoji count as more than one.`,
        );
      else if (bytes > PASSWORD_BYTES - 12) made.hint(`${bytes} of ${PASSWORD_BYTES} bytes.`);
      else made.hint(hint);
    });
  }
  return made;
}

/** @param {string} label @param {boolean} [checked] @param {import("./dom.js").Child} [hint] */
export function tick(label, checked = false, hint) {
  const input = h("input", { type: "checkbox", checked });
  return {
    root: h("label", { class: "tick" }, input, h("span", null, label, hint && h("span", { class: "hint" }, hint))),
    input,
  };
}

/**
 * Runs `work` while the button shows that it is busy; a second press meanwhile does nothing. The button keeps focus.
 * @template T
 * @param {HTMLButtonElement} button @param {() => Promise<T>} work @returns {Promise<T | undefined>}
 */
export async function busy(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return undefined;
  button.setAttribute("aria-disabled", "true");
  button.classList.add("busy");
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-disabled");
    button.classList.remove("busy");
  }
}

/**
 * A form: fields, one button that sends it, and a place where its errors are said. Enter sends it.
 * @param {object} parts
 * @param {import("./dom.js").Child[]} parts.body
 * @param {string} parts.submit
 * @param {boolean} [parts.danger]
 * @param {import("./dom.js").Child[]} [parts.beside] further buttons
 * @param {() => Promise<void>} parts.run throws what went wrong
 */
export function form({ body, submit, danger = false, beside = [], run }) {
  const error = h("div", { class: "form-error", role: "alert" });
  const button = h("button", { type: "submit", class: danger ? "button danger" : "button primary" }, submit);
  const root = h("form", { novalidate: true }, body, error, h("div", { class: "actions" }, button, beside));
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    fill(error);
    void busy(button, run).catch((reason) => complain(error, reason));
  });
  return { root, button, error };
}

/** Says in `place`, and brings into sight, what went wrong; a "wait" counts down. @param {HTMLElement} place @param {unknown} reason */
export function complain(place, reason) {
  tell(place, reason);
  place.scrollIntoView({ block: "nearest" });
}

/** @param {HTMLElement} place @param {unknown} reason */
function tell(place, reason) {
  if (reason instanceof Refusal) {
    if (reason.message) fill(place, h("div", { class: "alert" }, icon("warn"), reason.message));
    return;
  }
  if (isSignedOut(reason)) return fill(place, signedOut(reason, true));
  const { title, text } = explain(reason);
  const words = h("div", null, title && h("strong", null, title), title && " ", text);
  const panel = h("div", { class: "alert" }, icon("warn"), words);
  fill(place, panel);
  if (reason instanceof ApiError && reason.retryAfter) countDown(place, panel, words, reason.retryAfter);
}

/** @param {HTMLElement} place @param {HTMLElement} panel @param {HTMLElement} words @param {number} seconds */
function countDown(place, panel, words, seconds) {
  const until = Date.now() + seconds * 1000;
  const left = h("span", { class: "countdown", "aria-hidden": "true" });
  fill(
    words,
    h("strong", null, "Too many tries."),
    " ",
    h("span", { class: "unseen" }, `Please wait ${wait(seconds)}, then try again.`),
    left,
  );
  const beat = () => {
    if (!place.contains(panel)) return clearInterval(timer);
    const rest = Math.ceil((until - Date.now()) / 1000);
    if (rest > 0) left.textContent = `You can try again in ${wait(rest)}.`;
    else {
      clearInterval(timer);
      fill(words, "You can try again now.");
    }
  };
  const timer = setInterval(beat, 1000);
  beat();
}

/** Thrown by a form that found something wrong before asking the server; its field already says so if there are no words. */
export class Refusal extends Error {}

/** Stops a form at a field: says why and puts the cursor there. @param {Field} at @param {string} text @returns {never} */
export function refuse(at, text) {
  at.fail(text);
  at.input.focus();
  throw new Refusal("");
}

/** Refuses a new password that is too long. @param {Field} at */
export function checkPassword(at) {
  if (byteLength(at.input.value) > PASSWORD_BYTES)
    refuse(at, `At most ${PASSWORD_BYTES} bytes, please. Letters with accents and emoji count as more than one.`);
}
