// What every page has around it: the beam with the lantern, the ways to the other rooms, the foot, and who is here.
import { del, house } from "./api.js";
import { askDialog } from "./dialog.js";
import { define, fill, h } from "./dom.js";
import { countDrafts, forgetDrafts } from "./drafts.js";
import { busy } from "./form.js";
import { count } from "./format.js";
import { icon } from "./icons.js";
import { errorPanel, isSignedOut, loginPath, say, sorry } from "./messages.js";
import { beInstallable } from "./pwa.js";
import { themeButton } from "./theme.js";
import { keepAs } from "./trash.js";
import { followKeyboard } from "./viewport.js";

/** @import {House, Me} from "./types.js" */

/** @param {Me} me */
export const maySeeUsers = (me) => me.permissions.includes("users.manage");

/** A role's name with a capital. @param {string} role */
export const roleName = (role) => role.charAt(0).toUpperCase() + role.slice(1);

/** A picture in its arched frame. Beside a name it needs no words. @param {string} src @param {string} [kind] */
export function portrait(src, kind = "") {
  const image = h("img", { class: `portrait ${kind}`, src, alt: "", width: 96, height: 96, decoding: "async" });
  image.addEventListener("error", () => (image.src = "/img/default-user.png"), { once: true });
  return image;
}

/**
 * The rooms of the house, in the order of the beam. `wide` ones stand on it where there is room, else behind "More" with
 * the rest.
 * @type {{path: string, drawing: import("./icons.js").IconName, words: string, place: "first" | "wide" | "more", may?: string}[]}
 */
const rooms = [
  { path: "/chat", drawing: "chat", words: "Chat", place: "first" },
  { path: "/characters", drawing: "cards", words: "Characters", place: "first" },
  { path: "/search", drawing: "search", words: "Search", place: "first" },
  { path: "/connections", drawing: "plug", words: "Connections", place: "wide" },
  { path: "/personas", drawing: "mask", words: "Personas", place: "more" },
  { path: "/lorebooks", drawing: "scroll", words: "Lorebooks", place: "more" },
  { path: "/trash", drawing: "trash", words: "Trash", place: "more" },
  { path: "/account", drawing: "person", words: "Account", place: "wide" },
  { path: "/users", drawing: "people", words: "Users", place: "more", may: "users.manage" },
];

/** @param {(typeof rooms)[number]} room @param {string} [kind] */
function way(room, kind) {
  const here = location.pathname === room.path ? "page" : undefined;
  return h(
    "a",
    { class: kind, href: room.path, "aria-current": here },
    icon(room.drawing),
    h("span", null, room.words),
  );
}

/** @param {House} known @param {Me} me */
function ways(known, me) {
  const open = rooms.filter((room) => !room.may || me.permissions.includes(room.may));
  return h(
    "nav",
    { "aria-label": "Rooms" },
    open
      .filter((room) => room.place !== "more")
      .map((room) => way(room, room.place === "wide" ? "wide-only" : undefined)),
    moreRooms(open, known.accounts ? signOutButton(me) : null),
  );
}

/**
 * The rooms that have no place on the beam: a button, and a list under it. Where the beam is narrow, the way out is there.
 * @param {typeof rooms} open @param {HTMLElement | null} out
 */
function moreRooms(open, out) {
  const list = h(
    "ul",
    { class: "more-list", id: "more-rooms", hidden: true },
    open
      .filter((room) => room.place !== "first")
      .map((room) => h("li", { class: room.place === "wide" ? "narrow-only" : undefined }, way(room))),
    out && h("li", { class: "narrow-only" }, out),
  );
  const here = open.find((room) => room.place !== "first" && room.path === location.pathname);
  const button = h(
    "button",
    {
      type: "button",
      class: here ? (here.place === "wide" ? "quiet is-here narrow-here" : "quiet is-here") : "quiet",
      "aria-expanded": "false",
      "aria-controls": "more-rooms",
    },
    icon("more"),
    h("span", null, "More"),
  );
  const root = h("div", { class: "more-rooms" }, button, list);
  /** @param {boolean} shown */
  const show = (shown) => {
    list.hidden = !shown;
    button.setAttribute("aria-expanded", String(shown));
  };
  button.addEventListener("click", () => show(list.hidden));
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || list.hidden) return;
    show(false);
    button.focus();
  });
  root.addEventListener("focusout", (event) => {
    if (event.relatedTarget instanceof Node && !root.contains(event.relatedTarget)) show(false);
  });
  document.addEventListener("pointerdown", (event) => {
    if (event.target instanceof Node && !root.contains(event.target)) show(false);
  });
  return root;
}

/** Builds the beam. @param {House | null} known */
function beam(known) {
  const me = known?.me ?? null;
  const header = h(
    "header",
    { class: "beam" },
    h(
      "div",
      { class: "beam-inner" },
      h(
        "a",
        { class: "brand", href: "/" },
        h("img", { class: "lantern", src: "/house/lantern.svg", alt: "", width: 56, height: 80 }),
        h("span", null, known?.name ?? "Tavernkeep"),
      ),
      known && me && ways(known, me),
      h(
        "div",
        { class: "beam-end" },
        themeButton(),
        me && known?.accounts && h("div", { class: "wide-only" }, signOutButton(me)),
      ),
    ),
  );
  document.querySelector("body > header")?.replaceWith(header);
}

/** @param {Me} me @returns {HTMLButtonElement} */
function signOutButton(me) {
  const button = h(
    "button",
    { type: "button", class: "quiet" },
    icon("leave"),
    h("span", null, "Sign out"),
  );
  const leave = async () => {
    await del("/api/v1/session").catch((error) => {
      // Whose session has ended already is out.
      if (!isSignedOut(error)) throw error;
    });
    forgetDrafts(me.handle);
    location.assign("/login?noauto=true");
  };
  button.addEventListener("click", () => {
    const drafts = countDrafts(me.handle);
    if (drafts > 0) {
      askDialog({
        title: "Sign out?",
        body: [
          h(
            "p",
            null,
            `What you began to write and have not sent or saved (${count(drafts, "draft")}) is kept in this browser only. It is forgotten when you sign out, so that nobody else here can read it.`,
          ),
        ],
        submit: "Forget it and sign out",
        danger: true,
        run: leave,
      });
      return;
    }
    void busy(button, leave).catch(sorry);
  });
  return button;
}

/**
 * Opens a page: asks who is here, draws the beam, hands the house to `draw`; says kindly if the house does not answer.
 * A page that needs somebody sends a stranger to the login and back.
 * @param {HTMLElement} place
 * @param {(place: HTMLElement, known: House) => void | Promise<void>} draw
 * @param {{stranger?: boolean}} [options] `stranger`: the page is for people who are not signed in
 */
export async function openPage(place, draw, { stranger = false } = {}) {
  const foot = document.querySelector("body > footer");
  try {
    const known = await house(true);
    if (!known.me && !stranger) {
      location.replace(loginPath());
      return;
    }
    keepAs(known);
    beam(known);
    if (foot) fill(foot, h("p", null, `${known.name} ${known.version}. Your files stay in this house.`));
    sayWhatWasLeft();
    await draw(place, known);
  } catch (error) {
    beam(null);
    fill(
      place,
      h(
        "div",
        { class: "sheet narrow" },
        h("h1", null, "The door is stuck"),
        errorPanel(error, () => location.reload()),
      ),
    );
  } finally {
    document.querySelector("main")?.removeAttribute("aria-busy");
  }
}

const LEFT = "tavernkeep-said";

/** Goes to another page of ours and says there what has happened here. @param {string} path @param {string} text */
export function sayThere(path, text) {
  try {
    sessionStorage.setItem(LEFT, text);
  } catch {
    // Storage may be forbidden; then the page is opened without words.
  }
  location.assign(path);
}

function sayWhatWasLeft() {
  try {
    const text = sessionStorage.getItem(LEFT);
    sessionStorage.removeItem(LEFT);
    if (text) say(text);
  } catch {
    // See above.
  }
}

/** @param {House} known @returns {Me} */
export function meOf(known) {
  if (!known.me) throw new Error("nobody is signed in");
  return known.me;
}

/** Makes `<name>` a section of a page for somebody who is signed in. @param {string} name @param {(place: HTMLElement, me: Me, known: House) => void} draw */
export function defineSection(name, draw) {
  define(name, async (place) => {
    const known = await house();
    return draw(place, meOf(known), known);
  });
}

beInstallable();
followKeyboard();

// A page that the browser kept in memory would show, after signing out, what was there before: load it anew.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
