// The login page: sends on who is in already, else shows the picker or the discreet form.
import { house, post } from "./api.js";
import { define, fill, h, ownPath } from "./dom.js";
import { openPage } from "./frame.js";
import { discreetForm } from "./login-discreet.js";
import { picker } from "./login-picker.js";
import { recovery } from "./login-recovery.js";

/** @import {House} from "./types.js" */

const asked = new URLSearchParams(location.search);

/** Goes where the person wanted to go; only pages of this house are followed. */
function goOn() {
  const path = ownPath(asked.get("then"));
  location.assign(path.startsWith("/login") ? "/" : path);
}

/** @param {string} handle @param {string} password */
async function signIn(handle, password) {
  await post("/api/v1/session", { handle, password });
  await house(true);
  goOn();
}

/** @param {HTMLElement} place @param {House} known @param {string} [handle] */
function draw(place, known, handle = "") {
  const back = () => {
    draw(place, known);
    /** @type {HTMLElement | null} */ (place.querySelector("input, button"))?.focus();
  };
  const forgot = (/** @type {string} */ who) => {
    fill(place, doorway(known, recovery(known, who, signIn, back)));
    place.querySelector("input")?.focus();
  };
  const people = known.people ?? [];
  const inside = known.login === "picker" ? picker(people, signIn, forgot) : discreetForm(handle, signIn, forgot);
  fill(place, doorway(known, inside));
}

/** The hanging lantern and what stands beneath it. @param {House} known @param {HTMLElement} inside */
function doorway(known, inside) {
  return h(
    "div",
    { class: "doorway" },
    h(
      "div",
      { class: "sign" },
      h("img", { class: "lantern", src: "/house/lantern.svg", alt: "", width: 112, height: 160 }),
      h("p", { class: "house-name" }, known.name),
    ),
    inside,
  );
}

define("tk-login", (element) =>
  openPage(
    element,
    async (place, known) => {
      if (!known.accounts || known.login === "none" || known.me) return goOn();
      draw(place, known);
    },
    { stranger: true },
  ),
);
