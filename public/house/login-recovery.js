// "Forgot password?": a code appears on the server's console; with it one sets a new password and is in.
import { post } from "./api.js";
import { fill, h } from "./dom.js";
import { checkPassword, field, form, passwordField, refuse } from "./form.js";

/** @import {House} from "./types.js" */

/**
 * @param {House} known
 * @param {string} handle "" when it has to be typed
 * @param {(handle: string, password: string) => Promise<void>} signIn
 * @param {() => void} back
 */
export function recovery(known, handle, signIn, back) {
  const root = h("section", { class: "sheet narrow slide", "aria-label": "Forgot password" });
  const leave = () => h("button", { type: "button", class: "button", onclick: back }, "Back");

  const askFor = () => {
    const who = field("Handle", {
      autocomplete: "username",
      autocapitalize: "none",
      spellcheck: "false",
      value: handle,
    });
    const made = form({
      body: [who.root],
      submit: "Ask for a code",
      beside: [leave()],
      run: async () => {
        const name = who.input.value.trim().toLowerCase();
        if (!name) refuse(who, "Type your handle first.");
        await post("/api/v1/recovery", { handle: name });
        redeem(name);
      },
    });
    fill(
      root,
      h("h1", null, "Forgot your password?"),
      h(
        "p",
        null,
        `Here you set a new one. A code of ${known.recoveryCodeLength} digits is written on the server's console, the window or log of the program on its machine; ask whoever runs it to read the code to you.`,
      ),
      made.root,
      forTheHost(handle),
    );
    who.input.focus();
  };

  /** @param {string} name */
  const redeem = (name) => {
    const code = field("Code from the console", {
      inputmode: "numeric",
      autocomplete: "one-time-code",
      maxlength: String(known.recoveryCodeLength + 4),
      class: "code",
    });
    const password = passwordField(
      "New password",
      "new-password",
      "May be left empty; then anyone who can open this page can sign in as you.",
    );
    const user = h("input", { type: "text", autocomplete: "username", value: name, readonly: true, hidden: true });
    const made = form({
      body: [user, code.root, password.root],
      submit: "Set it and come in",
      beside: [leave()],
      run: async () => {
        const digits = code.input.value.replace(/\s/g, "");
        if (digits.length !== known.recoveryCodeLength)
          refuse(code, `The code has ${known.recoveryCodeLength} digits.`);
        checkPassword(password);
        await post("/api/v1/recovery/redeem", { handle: name, code: digits, newPassword: password.input.value });
        await signIn(name, password.input.value);
      },
    });
    const again = h("button", { type: "button", class: "link", onclick: askFor }, "Ask for a new code");
    fill(
      root,
      h("h1", null, "Enter the code"),
      h(
        "p",
        { role: "status" },
        `If there is an account ${name}, a code now stands on the server's console. It is good for five minutes and for one use.`,
      ),
      made.root,
      h("p", { class: "aside" }, again),
    );
    code.input.focus();
  };

  askFor();
  return root;
}

/** @param {string} handle */
function forTheHost(handle) {
  return h(
    "details",
    { class: "aside" },
    h("summary", null, "You run the house yourself?"),
    h("p", null, "On the machine where it runs, this sets a new password at once:"),
    h("pre", { tabindex: "0" }, `scripts/recover.sh ${handle || "HANDLE"} -`),
  );
}
