// Account, "Password": set, change, remove. The old one is asked for only where there is one.
import { put } from "./api.js";
import { changed } from "./changes.js";
import { askDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { checkPassword, form, passwordField, PASSWORD_BYTES, refuse } from "./form.js";
import { defineSection } from "./frame.js";
import { icon } from "./icons.js";
import { say } from "./messages.js";

/** @import {House, Me} from "./types.js" */

defineSection("tk-password", accountPassword);

/** @param {HTMLElement} place @param {Me} me @param {House} known */
function accountPassword(place, me, known) {
  const old = passwordField("Password now", "current-password");
  const fresh = passwordField(
    "New password",
    "new-password",
    `Long beats clever: a few words you remember. At most ${PASSWORD_BYTES} bytes.`,
  );
  const user = h("input", { type: "text", autocomplete: "username", value: me.handle, readonly: true, hidden: true });
  const remove = h(
    "button",
    { type: "button", class: "button", onclick: () => removePassword(place, me, known) },
    "Remove password",
  );
  const made = form({
    body: [user, me.hasPassword && old.root, fresh.root],
    submit: me.hasPassword ? "Change password" : "Set password",
    beside: [me.hasPassword && remove],
    run: async () => {
      if (!fresh.input.value) refuse(fresh, "Type the new password first.");
      checkPassword(fresh);
      await put("/api/v1/me/password", {
        oldPassword: me.hasPassword ? old.input.value : "",
        newPassword: fresh.input.value,
      });
      done(place, me, known, true, "Your password is set. All your other sessions were ended.");
    },
  });
  fill(
    place,
    h(
      "p",
      { class: `state ${known.accounts && me.hasPassword ? "good" : "open"}` },
      icon(known.accounts && me.hasPassword ? "locked" : "open"),
      passwordState(known.accounts, me.hasPassword),
    ),
    made.root,
  );
}

/** @param {boolean} accounts @param {boolean} has */
function passwordState(accounts, has) {
  if (!accounts) return `Nobody is asked for a password while accounts are off. ${has ? "Yours is kept" : "One that you set now counts"} for when they are on.`;
  return has ? "Your door is locked with a password." : "Your door is open: anyone who reaches this house can come in as you.";
}

/** @param {HTMLElement} place @param {Me} me @param {House} known */
function removePassword(place, me, known) {
  const old = passwordField("Password now", "current-password");
  askDialog({
    title: "Remove your password?",
    body: [h("p", null, "Then anyone who can open this page can sign in as you. Your other sessions end."), old.root],
    submit: "Remove password",
    danger: true,
    run: async () => {
      await put("/api/v1/me/password", { oldPassword: old.input.value, newPassword: "" });
      done(place, me, known, false, "Your password is removed.");
    },
  });
}

/** @param {HTMLElement} place @param {Me} me @param {House} known @param {boolean} has @param {string} words */
function done(place, me, known, has, words) {
  me.hasPassword = has;
  accountPassword(place, me, known);
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
  say(words);
  changed("me", "sessions");
}
