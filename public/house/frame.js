// What every page has around it: the beam with the lantern, the ways to the other rooms, the foot, and who is here.
import { del, house } from "./api.js";
import { define, fill, h } from "./dom.js";
import { busy } from "./form.js";
import { icon } from "./icons.js";
import { errorPanel, explain, loginPath, say } from "./messages.js";
import { themeButton } from "./theme.js";

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

/** Builds the beam. @param {House | null} known */
function beam(known) {
  const me = known?.me ?? null;
  /** @param {string} path @param {import("./icons.js").IconName} drawing @param {string} words */
  const way = (path, drawing, words) =>
    h(
      "a",
      { href: path, "aria-current": location.pathname === path ? "page" : undefined },
      icon(drawing),
      h("span", null, words),
    );
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
      me &&
        h(
          "nav",
          { "aria-label": "Rooms" },
          way("/", "home", "Home"),
          way("/account", "person", "Account"),
          maySeeUsers(me) && way("/users", "people", "Users"),
        ),
      h("div", { class: "beam-end" }, themeButton(), me && known?.accounts && signOutButton()),
    ),
  );
  document.querySelector("body > header")?.replaceWith(header);
}

/** @returns {HTMLButtonElement} */
function signOutButton() {
  const button = h(
    "button",
    { type: "button", class: "quiet", id: "sign-out" },
    icon("leave"),
    h("span", null, "Sign out"),
  );
  button.addEventListener("click", () => {
    void busy(button, async () => {
      try {
        await del("/api/v1/session");
        location.assign("/login?noauto=true");
      } catch (error) {
        const { title, text } = explain(error);
        say(`${title} ${text}`.trim());
      }
    });
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
    beam(known);
    if (foot) fill(foot, h("p", null, `${known.name} ${known.version}. Your files stay in this house.`));
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

/** @param {House} known @returns {Me} */
export function meOf(known) {
  if (!known.me) throw new Error("nobody is signed in");
  return known.me;
}

/** Makes `<name>` a section of a page for somebody who is signed in. @param {string} name @param {(place: HTMLElement, me: Me) => void} draw */
export function defineSection(name, draw) {
  define(name, async (place) => draw(place, meOf(await house())));
}

// A page that the browser kept in memory would show, after signing out, what was there before: load it anew.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
