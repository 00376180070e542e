// The quiet door: a handle and a password are typed, and nothing tells who lives here.
import { h } from "./dom.js";
import { field, form, passwordField, refuse } from "./form.js";

/**
 * @param {string} handle
 * @param {(handle: string, password: string) => Promise<void>} signIn
 * @param {(handle: string) => void} forgot
 */
export function discreetForm(handle, signIn, forgot) {
  const who = field("Handle", {
    name: "username",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
    value: handle,
  });
  const password = passwordField("Password", "current-password", "Leave it empty if you have none.");
  const made = form({
    body: [who.root, password.root],
    submit: "Come in",
    run: async () => {
      const name = who.input.value.trim().toLowerCase();
      if (!name) refuse(who, "Type your handle first.");
      await signIn(name, password.input.value);
    },
  });
  const help = h(
    "button",
    { type: "button", class: "link", onclick: () => forgot(who.input.value.trim()) },
    "Forgot password?",
  );
  return h(
    "section",
    { class: "sheet narrow" },
    h("h1", null, "Who is at the door?"),
    made.root,
    h("p", { class: "aside" }, help),
  );
}
