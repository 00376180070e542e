// Lets someone new in: the handle grows from the name as it is typed, and is seen before it is saved.
import { get, post } from "./api.js";
import { askDialog } from "./dialog.js";
import { h } from "./dom.js";
import { checkPassword, field, passwordField, refuse } from "./form.js";
import { say } from "./messages.js";

/** @import {Slug} from "./types.js" */

/** @param {() => Promise<void>} again */
export function newUser(again) {
  const name = field("Name", { maxlength: "100", autocomplete: "off", required: true });
  const handle = field(
    "Handle",
    { autocomplete: "off", autocapitalize: "none", spellcheck: "false" },
    "Grows from the name. It names the folder and cannot be changed later.",
  );
  const password = passwordField("Password", "new-password", "May be left empty and set by themselves later.");
  let own = false;
  const check = follow(handle);
  name.input.addEventListener("input", () => {
    if (!own) check(name.input.value, true);
  });
  handle.input.addEventListener("input", () => {
    own = handle.input.value !== "";
    check(handle.input.value, false);
  });
  askDialog({
    title: "Let someone in",
    body: [
      h("p", null, "They start as an ordinary user; you can give them another role afterwards."),
      name.root,
      handle.root,
      password.root,
    ],
    submit: "Make the account",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "Type a name first.");
      /** @type {Slug} */
      const slug = await get(slugPath(handle.input.value || wanted));
      if (!slug.handle) refuse(handle, "A handle needs at least one letter or digit: a to z, 0 to 9, dashes.");
      if (slug.handle !== handle.input.value) {
        handle.input.value = slug.handle;
        refuse(handle, `The handle will be ${slug.handle}. If that is right, press the button again.`);
      }
      if (slug.taken) refuse(handle, `${slug.handle} lives here already. Choose another handle.`);
      checkPassword(password);
      const body = { handle: slug.handle, name: wanted };
      await post("/api/v1/users", password.input.value ? { ...body, password: password.input.value } : body);
      say(`${wanted} has a room now.`);
      await again();
    },
  });
}

/** @param {string} text */
const slugPath = (text) => `/api/v1/handles/slug?text=${encodeURIComponent(text)}`;

/** Asks the server, a moment after the last key, what handle a text gives. @param {import("./form.js").Field} handle */
function follow(handle) {
  let asked = 0;
  let timer = 0;
  /** @param {string} text @param {boolean} write */
  return (text, write) => {
    clearTimeout(timer);
    asked += 1;
    const mine = asked;
    timer = window.setTimeout(async () => {
      if (!text.trim()) {
        if (write) handle.input.value = "";
        handle.fail("");
        return;
      }
      try {
        /** @type {Slug} */
        const slug = await get(slugPath(text));
        if (mine !== asked) return;
        if (write) handle.input.value = slug.handle;
        handle.fail(slug.taken ? `${slug.handle} lives here already.` : "");
        if (slug.taken) return;
        if (!slug.handle) handle.hint("Nothing of this fits in a handle: a to z, 0 to 9 and dashes do.");
        else if (slug.hasData)
          handle.hint(
            `A folder named ${slug.handle} is already there, from someone who lived here before. The new account takes it over with all it holds.`,
          );
        else if (!write && slug.handle !== text) handle.hint(`It will be saved as ${slug.handle}.`);
        else handle.hint(`${slug.handle} is free. It names the folder and cannot be changed later.`);
      } catch {
        // Only a suggestion: saving asks again and says what is wrong.
      }
    }, 180);
  };
}
