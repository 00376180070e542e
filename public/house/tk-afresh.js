// Account, "Start afresh": the settings alone, or everything. Each asks twice, and each can be brought back.
import { house, post } from "./api.js";
import { changed } from "./changes.js";
import { askDialog, openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field, form, passwordField, refuse } from "./form.js";
import { defineSection } from "./frame.js";
import { say } from "./messages.js";

/** @import {Me} from "./types.js" */

defineSection("tk-afresh", accountAfresh);

/** @param {HTMLElement} place @param {Me} me */
function accountAfresh(place, me) {
  fill(
    place,
    h(
      "ul",
      { class: "rows" },
      h(
        "li",
        null,
        h(
          "div",
          { class: "row-words" },
          h("strong", null, "Reset settings"),
          h(
            "span",
            { class: "hint" },
            "Back to the defaults. Characters, chats and files stay. A snapshot is made first.",
          ),
        ),
        h(
          "button",
          { type: "button", class: "button danger-quiet", onclick: () => resetSettings(me) },
          "Reset settings",
        ),
      ),
      h(
        "li",
        null,
        h(
          "div",
          { class: "row-words" },
          h("strong", null, "Reset everything"),
          h(
            "span",
            { class: "hint" },
            "Your whole folder starts anew: characters, chats, settings, files. It is put aside as an undo point first.",
          ),
        ),
        h(
          "button",
          { type: "button", class: "button danger-quiet", onclick: () => resetEverything(me) },
          "Reset everything",
        ),
      ),
    ),
  );
}

/** @param {Me} me */
function resetSettings(me) {
  const password = passwordField("Your password", "current-password");
  askDialog({
    title: "Reset your settings?",
    body: [
      h(
        "p",
        null,
        "Your settings become the defaults. The present ones are kept as a snapshot; your data are not touched.",
      ),
      me.hasPassword && password.root,
    ],
    submit: "Reset settings",
    danger: true,
    run: async () => {
      await post("/api/v1/me/settings/reset", { password: password.input.value });
      say("Your settings are the defaults again. The former ones are a snapshot.");
      changed("settings");
    },
  });
}

/** First a code is printed on the console, then it is asked for. @param {Me} me */
function resetEverything(me) {
  const body = h("div", null);
  const { close } = openDialog("Reset everything?", body);
  const cancel = () => h("button", { type: "button", class: "button", onclick: close }, "Cancel");
  const first = form({
    body: [
      h(
        "p",
        null,
        "Everything in your folder is put aside, and you start with an empty room: no characters, no chats, default settings. Your account, name and password stay.",
      ),
      h(
        "p",
        null,
        "To be sure that it is you, a code is written on the server's console. Ask whoever runs the house to read it to you.",
      ),
    ],
    submit: "Write the code",
    beside: [cancel()],
    run: async () => {
      await post("/api/v1/me/reset");
      const { recoveryCodeLength } = await house();
      second(recoveryCodeLength);
    },
  });
  /** @param {number} digits */
  const second = (digits) => {
    const code = field("Code from the console", {
      inputmode: "numeric",
      autocomplete: "one-time-code",
      maxlength: String(digits + 4),
      class: "code",
    });
    const password = passwordField("Your password", "current-password");
    const typed = field(`Type ${me.handle} to confirm`, {
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
    });
    const made = form({
      body: [
        h("p", { role: "status" }, `The code of ${digits} digits now stands on the server's console.`),
        code.root,
        me.hasPassword && password.root,
        typed.root,
      ],
      submit: "Reset everything",
      danger: true,
      beside: [cancel()],
      run: async () => {
        const number = code.input.value.replace(/\s/g, "");
        if (number.length !== digits) refuse(code, `The code has ${digits} digits.`);
        if (typed.input.value.trim() !== me.handle) refuse(typed, `Type ${me.handle} exactly.`);
        await post("/api/v1/me/reset/confirm", { password: password.input.value, code: number });
        close();
        say("You start afresh. What was here is an undo point.");
        changed("settings", "undo");
      },
    });
    fill(body, made.root);
    code.input.focus();
  };
  fill(body, first.root);
  first.button.focus();
}
