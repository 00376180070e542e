// Everything that can be done about one person, in one dialog; what the rules forbid is shown shut, with the reason.
import { patch, put } from "./api.js";
import { runBackup, secretsWarning } from "./backup-run.js";
import { pictureEditor } from "./picture.js";
import { openDialog } from "./dialog.js";
import { fill, h, uid } from "./dom.js";
import { busy, checkPassword, complain, field, form, passwordField, refuse, tick } from "./form.js";
import { fullDate } from "./format.js";
import { say } from "./messages.js";
import { deleteUser } from "./user-delete.js";

/** @import {User} from "./types.js" */

/** @type {[string, string][]} */
const roles = [
  ["user", "User: their own things only"],
  ["moderator", "Moderator: as a user, and sees who lives here"],
  ["manager", "Manager: makes, changes and deletes accounts, but no admin's"],
  ["admin", "Admin: may do everything, also to accounts"],
];

/** @param {User} user @param {() => Promise<void>} again */
export function openUser(user, again) {
  const path = `/api/v1/users/${encodeURIComponent(user.handle)}`;
  const place = h("div", { class: "user-sheet" });
  const { close } = openDialog(user.name, place, { wide: true, onClose: () => void again() });
  /** @param {object} change @param {string} words */
  const save = async (change, words) => {
    Object.assign(user, await patch(path, change));
    say(words);
  };
  fill(
    place,
    h("p", { class: "hint" }, h("code", null, user.handle), ` · here since ${fullDate(user.created)}`),
    h(
      "div",
      { class: "two" },
      block("Name and picture", nameForm(user, save), pictureEditor(user.avatar, user.ownAvatar, `${path}/avatar`)),
      block("Role", roleForm(user, save)),
      block("Password", passwordForm(user, path)),
      block("State", stateForm(user, save)),
      block("Backup", backupForm(path)),
      block("Delete", deleteButton(user, close, again)),
    ),
  );
}

/** @param {string} title @param {...HTMLElement} inside */
function block(title, ...inside) {
  return h("section", { class: "block" }, h("h3", null, title), ...inside);
}

/** @typedef {(change: object, words: string) => Promise<void>} Save */

/** @param {User} user @param {Save} save */
function nameForm(user, save) {
  const name = field("Display name", { value: user.name, maxlength: "100", autocomplete: "off" });
  return form({
    body: [name.root],
    submit: "Rename",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      await save({ name: wanted }, `They are ${wanted} now.`);
    },
  }).root;
}

/** Why this person's role or state cannot be taken away, or "". @param {User} user */
function fixed(user) {
  if (user.isMe) return "This is you. Someone else has to do this, so that nobody locks themselves out.";
  if (user.lastAdmin) return "This is the last admin who can sign in. Make someone else an admin first.";
  return "";
}

/** @param {User} user @param {Save} save */
function roleForm(user, save) {
  const id = uid("role");
  const why = fixed(user);
  const select = h(
    "select",
    { id, disabled: why !== "", "aria-describedby": `${id}-why` },
    roles.map(([role, words]) => h("option", { value: role }, words)),
  );
  select.value = user.role;
  if (why)
    return h(
      "div",
      null,
      h("label", { for: id, class: "unseen" }, "Role"),
      select,
      h("p", { class: "hint", id: `${id}-why` }, why),
    );
  return form({
    body: [h("label", { for: id, class: "unseen" }, "Role"), select, h("p", { class: "hint", id: `${id}-why` }, "")],
    submit: "Change role",
    run: () => save({ role: select.value }, `${user.name} is ${select.value} now.`),
  }).root;
}

/** @param {User} user @param {string} path */
function passwordForm(user, path) {
  if (user.isMe) {
    return h(
      "p",
      { class: "hint" },
      "Your own is changed on ",
      h("a", { href: "/account#password" }, "your account page"),
      ".",
    );
  }
  const password = passwordField(
    "New password",
    "new-password",
    "Empty means none: anyone could then sign in as them. Their sessions end.",
  );
  return form({
    body: [
      h("input", { type: "text", autocomplete: "username", value: user.handle, readonly: true, hidden: true }),
      password.root,
    ],
    submit: user.hasPassword ? "Set a new password" : "Set password",
    run: async () => {
      checkPassword(password);
      await put(`${path}/password`, { newPassword: password.input.value });
      user.hasPassword = password.input.value !== "";
      password.input.value = "";
      say(user.hasPassword ? "The password is set. Tell it to them in person." : "They have no password now.");
    },
  }).root;
}

/** @param {User} user @param {Save} save */
function stateForm(user, save) {
  const id = uid("state");
  const why = user.enabled ? fixed(user) : "";
  const words = h("p", { class: "hint", id });
  const error = h("div", { role: "alert" });
  const button = h("button", { type: "button", class: "button", disabled: why !== "", "aria-describedby": id });
  const draw = () => {
    fill(button, user.enabled ? "Disable" : "Enable");
    fill(
      words,
      why ||
        (user.enabled
          ? "May sign in. Disabling ends their sessions at once and keeps all their data."
          : "May not sign in. Their data are kept."),
    );
  };
  button.addEventListener("click", () => {
    fill(error);
    void busy(button, async () => {
      await save(
        { enabled: !user.enabled },
        user.enabled ? `${user.name} may not sign in any more.` : `${user.name} may sign in again.`,
      );
      draw();
    }).catch((reason) => complain(error, reason));
  });
  draw();
  return h("div", null, words, h("div", { class: "actions" }, button), error);
}

/** @param {string} path */
function backupForm(path) {
  const progress = h("div", null);
  const secrets = tick(
    "With their secrets",
    false,
    secretsWarning.replace("Your", "Their").replace("you can", "they can"),
  );
  const made = form({
    body: [secrets.root],
    submit: "Download their backup",
    run: () => runBackup(`${path}/backups`, secrets.input.checked, progress),
  });
  made.button.classList.remove("primary");
  return h("div", null, made.root, progress);
}

/** @param {User} user @param {() => void} close @param {() => Promise<void>} again */
function deleteButton(user, close, again) {
  const id = uid("delete");
  const why = user.isDefault ? "The house's first account can be disabled, never deleted." : fixed(user);
  const button = h(
    "button",
    { type: "button", class: "button danger-quiet", disabled: why !== "", "aria-describedby": id },
    "Delete the account…",
  );
  button.addEventListener("click", () => {
    close();
    deleteUser(user, again);
  });
  return h(
    "div",
    null,
    h("p", { class: "hint", id }, why || "Their data can be kept or moved to the trash."),
    h("div", { class: "actions" }, button),
  );
}
