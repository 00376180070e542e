// The home page: who you are, the chats that you were in last, and the ways to the other rooms.
import { get } from "./api.js";
import { define, fill, h } from "./dom.js";
import { ago } from "./format.js";
import { maySeeUsers, meOf, openPage, portrait, roleName } from "./frame.js";
import { icon } from "./icons.js";
import { show } from "./messages.js";
import { chatPath, ownPicture } from "./shelf/parts.js";

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
    const recent = h("section", { class: "sheet recent", "aria-labelledby": "recent" });
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
      recent,
      h(
        "ul",
        { class: "doors" },
        door("/characters", "cards", "Characters", "Who can sit at your table: bring cards in, write your own, change them."),
        door("/connections", "plug", "Models", "Who speaks for them: model servers in this house or elsewhere."),
        door("/account", "key", "Your account", "Name and picture, password, settings snapshots, backup and sessions."),
        maySeeUsers(me) &&
          door("/users", "people", "The people", "Who lives here, what they may do, and how to let someone new in."),
      ),
    );
    void show(recent, () => chats(), "Looking who was here…");
  }),
);

/** The chats that one was in last, one press away. */
async function chats() {
  /** @type {{total: number, items: import("./chat/types.js").ChatItem[]}} */
  const { items } = await get("/api/v1/chats?limit=6");
  if (items.length === 0) {
    return [
      h("h2", { id: "recent" }, "Pull up a chair"),
      h(
        "p",
        null,
        "The common room is open. Talk to the plain assistant, or bring a character in; your chats will wait here for you. A SillyTavern folder can move in as it is: nothing in it is changed.",
      ),
      h("div", { class: "actions" }, h("a", { class: "button primary", href: "/chat" }, icon("chat"), "To the common room")),
    ];
  }
  return [
    h("h2", { id: "recent" }, "Where you left off"),
    h(
      "ul",
      { class: "recent-chats" },
      items.map((item) =>
        h(
          "li",
          null,
          h(
            "a",
            { href: chatPath(item) },
            portrait(ownPicture(item.avatar)),
            h(
              "span",
              null,
              h("strong", null, h("bdi", null, item.characterName || item.character)),
              h("span", null, item.generation ? "Writing…" : item.preview || "No words yet"),
              h("small", null, item.modified ? ago(item.modified) : ""),
            ),
          ),
        ),
      ),
    ),
    h("div", { class: "actions" }, h("a", { class: "button primary", href: "/chat" }, icon("chat"), "To the common room")),
  ];
}
