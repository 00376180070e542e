// The home page: who you are, and the ways to the rooms that are built.
import { define, fill, h } from "./dom.js";
import { maySeeUsers, meOf, openPage, portrait, roleName } from "./frame.js";
import { icon } from "./icons.js";

function greeting() {
  const hour = new Date().getHours();
  if (hour < 5) return "Still up";
  if (hour < 12) return "Good morning";
  if (hour < 18) return "Good day";
  return "Good evening";
}

/** @param {string} href @param {import("./icons.js").IconName} drawing @param {string} title @param {string} words */
function door(href, drawing, title, words) {
  return h(
    "li",
    null,
    h(
      "a",
      { class: "door", href },
      icon(drawing),
      h("span", null, h("strong", null, title), h("span", null, words)),
      icon("next"),
    ),
  );
}

define("tk-home", (element) =>
  openPage(element, (place, known) => {
    const me = meOf(known);
    fill(
      place,
      h(
        "div",
        { class: "hearth" },
        h("img", {
          class: "scene",
          src: "/house/scene.svg",
          alt: "An inn at dusk, its windows lit, under a hanging lantern sign",
          width: 1200,
          height: 480,
        }),
        h(
          "div",
          { class: "hearth-words" },
          portrait(me.avatar, "huge"),
          h(
            "div",
            null,
            h("h1", null, `${greeting()}, `, h("bdi", null, me.name)),
            h(
              "p",
              { class: "lead" },
              `Signed in as ${me.handle}`,
              me.role === "user" ? "" : `, ${roleName(me.role).toLowerCase()} of this house`,
              ".",
            ),
          ),
        ),
      ),
      h(
        "ul",
        { class: "doors" },
        door("/account", "key", "Your account", "Name and picture, password, settings snapshots, backup and sessions."),
        maySeeUsers(me) &&
          door("/users", "people", "The people", "Who lives here, what they may do, and how to let someone new in."),
      ),
      h(
        "section",
        { class: "sheet soon", "aria-labelledby": "soon" },
        h("h2", { id: "soon" }, "The common room is still being built"),
        h(
          "p",
          null,
          "Chatting in these pages comes in a later version; this one lays the house: accounts, everyone's own data, backups and the way back in. " +
            "Your characters and chats are safe in your folder until then.",
        ),
        h(
          "p",
          null,
          "A SillyTavern folder can move in already: its people sign in here with the passwords they know, and nothing " +
            "in it is changed.",
        ),
      ),
    );
  }),
);
