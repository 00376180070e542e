// Asks before an account is deleted: what becomes of the data, and the handle typed, so that no slip does it.
import { del } from "./api.js";
import { askDialog } from "./dialog.js";
import { h } from "./dom.js";
import { field, refuse } from "./form.js";
import { say } from "./messages.js";
import { foldersForDays } from "./trash.js";

/** @import {User} from "./types.js" */

/** @param {User} user @param {() => Promise<void>} again */
export function deleteUser(user, again) {
  const keep = h("input", { type: "radio", name: "data", value: "keep", checked: true });
  const remove = h("input", { type: "radio", name: "data", value: "remove" });
  const typed = field(`Type ${user.handle} to confirm`, {
    autocomplete: "off",
    autocapitalize: "none",
    spellcheck: "false",
  });
  askDialog({
    title: `Delete ${user.name}?`,
    body: [
      h("p", null, "The account is deleted and its sessions end at once."),
      h(
        "fieldset",
        null,
        h("legend", null, "And their data?"),
        h(
          "label",
          { class: "tick" },
          keep,
          h(
            "span",
            null,
            "Keep the folder",
            h("span", { class: "hint" }, "A new account with the same handle would find everything there."),
          ),
        ),
        h(
          "label",
          { class: "tick" },
          remove,
          h(
            "span",
            null,
            "Move it to the trash",
            h("span", { class: "hint" }, foldersForDays() ? `It is kept there ${foldersForDays()}, then gone.` : "This house keeps nothing there: it is gone soon after."),
          ),
        ),
      ),
      typed.root,
    ],
    submit: "Delete the account",
    danger: true,
    run: async () => {
      if (typed.input.value.trim() !== user.handle) refuse(typed, `Type ${user.handle} exactly.`);
      await del(`/api/v1/users/${encodeURIComponent(user.handle)}?data=${remove.checked ? "remove" : "keep"}`);
      say(
        remove.checked
          ? `${user.name} has left; the data are in the trash ${foldersForDays()}.`
          : `${user.name} has left; the data are kept.`,
      );
      await again();
    },
  });
}
