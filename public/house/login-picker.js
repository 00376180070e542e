// The board of people at the door: one card each, a lock on those with a password, which is asked on the spot.
import { fill, h, uid } from "./dom.js";
import { busy, complain, field, form, passwordField, refuse } from "./form.js";
import { portrait } from "./frame.js";
import { icon } from "./icons.js";

/** @import {Person} from "./types.js" */

/** From this many people on there is a field to find one's name with. */
const MANY = 12;

/**
 * @param {Person[]} people
 * @param {(handle: string, password: string) => Promise<void>} signIn
 * @param {(handle: string) => void} forgot
 */
export function picker(people, signIn, forgot) {
  const root = h("section", { class: "picker", "aria-labelledby": "who" });
  const list = h("ul", { class: "people", "aria-label": "People of this house" });
  const none = h("p", { class: "hint", role: "status" });
  const head = [h("h1", { id: "who" }, "Come in. Who are you?")];

  const board = () => {
    fill(root, head, people.length > MANY && search.root, list, none);
    if (people.length === 0)
      fill(none, "Nobody can sign in here yet. Whoever runs the house can let someone in with scripts/recover.sh.");
  };
  const search = field("Find your name", { type: "search", autocomplete: "off", class: "find" });
  search.input.addEventListener("input", () => {
    const wanted = search.input.value.trim().toLowerCase();
    let found = 0;
    people.forEach((person, i) => {
      const fits = `${person.name} ${person.handle}`.toLowerCase().includes(wanted);
      /** @type {HTMLElement} */ (list.children[i]).hidden = !fits;
      if (fits) found += 1;
    });
    none.textContent = wanted === "" ? "" : found === 0 ? "Nobody here goes by that name." : `${found} found`;
  });

  for (const person of people) {
    const error = h("div", { role: "alert" });
    const button = h("button", { type: "button", class: "person" }, ...card(person));
    button.addEventListener("click", () => {
      if (person.locked) return ask(person, button);
      fill(error);
      void busy(button, () => signIn(person.handle, "")).catch((reason) => complain(error, reason));
    });
    list.append(h("li", null, button, error));
  }
  list.addEventListener("keydown", (event) => step(list, event));

  /** @param {Person} person @param {HTMLElement} from */
  const ask = (person, from) => {
    const password = passwordField("Password", "current-password");
    const back = h("button", { type: "button", class: "button" }, "Someone else");
    back.addEventListener("click", () => {
      board();
      from.focus();
    });
    const help = h(
      "button",
      { type: "button", class: "link", onclick: () => forgot(person.handle) },
      "Forgot password?",
    );
    const user = h("input", {
      type: "text",
      name: "username",
      autocomplete: "username",
      value: person.handle,
      readonly: true,
      hidden: true,
    });
    const made = form({
      body: [user, password.root],
      submit: "Come in",
      beside: [back],
      run: async () => {
        if (!password.input.value) refuse(password, "Type your password first.");
        try {
          await signIn(person.handle, password.input.value);
        } catch (reason) {
          password.input.select();
          throw reason;
        }
      },
    });
    const title = uid("title");
    fill(
      root,
      h(
        "div",
        { class: "sheet narrow slide", role: "group", "aria-labelledby": title },
        h(
          "h1",
          { id: title, class: "with-portrait" },
          portrait(person.avatar),
          h("span", null, `Hello, ${person.name}`),
        ),
        made.root,
        h("p", { class: "aside" }, help),
      ),
    );
    password.input.focus();
  };

  board();
  return root;
}

/** @param {Person} person */
function card(person) {
  return [
    portrait(person.avatar, "large"),
    h("span", { class: "name", dir: "auto" }, person.name),
    h("span", { class: "handle" }, person.handle),
    h(
      "span",
      { class: "lock" },
      icon(person.locked ? "locked" : "open", person.locked ? "needs a password" : "no password"),
    ),
  ];
}

/** The arrow keys walk the board; Tab does so too. @param {HTMLElement} list @param {KeyboardEvent} event */
function step(list, event) {
  const buttons = [...list.querySelectorAll("li:not([hidden]) > button")];
  const at = buttons.indexOf(/** @type {Element} */ (document.activeElement));
  if (at < 0) return;
  const top = (/** @type {number} */ i) => /** @type {HTMLElement} */ (buttons[i].parentElement).offsetTop;
  const row = buttons.findIndex((_, i) => top(i) > top(0));
  const perRow = row > 0 ? row : buttons.length;
  /** @type {Record<string, number>} */
  const steps = {
    ArrowRight: 1,
    ArrowLeft: -1,
    ArrowDown: perRow,
    ArrowUp: -perRow,
    Home: -at,
    End: buttons.length - 1 - at,
  };
  const by = steps[event.key];
  const next = by === undefined ? null : buttons[at + by];
  if (by !== undefined) event.preventDefault();
  if (next instanceof HTMLElement) next.focus();
}
