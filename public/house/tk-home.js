// The home page: who you are, and your chats of late, and the ways to the rooms.
import { get } from "./api.js";
import { define, fill, h, undisturbed } from "./dom.js";
import { ago, fullDate } from "./format.js";
import { maySeeUsers, meOf, openPage, portrait, roleName } from "./frame.js";
import { icon } from "./icons.js";
import { follow } from "./live.js";
import { chatPath, smallPicture } from "./shelf/parts.js";
import { forDays } from "./trash.js";

/** @typedef {{character: string, characterName: string, groupName?: string, avatar?: string, chat: string, modified: number, preview?: string, generation?: string | null}} ChatItem */

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
    const recent = h("section", { "aria-labelledby": "recent", hidden: true });
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
              known.accounts
                ? `Signed in as ${me.handle}${me.role === "user" ? "" : `, ${roleName(me.role).toLowerCase()} of this house`}.`
                : "This house has no accounts: whoever reaches it is you.",
            ),
          ),
        ),
      ),
      recent,
      h(
        "ul",
        { class: "doors" },
        door("/chat", "chat", "Chat", "Sit down and talk; the reply goes on when you put the phone away."),
        door("/characters", "cards", "Characters", "Everyone you can talk to. Bring cards in, write your own."),
        door("/connections", "plug", "Connections", "The models that answer: on this machine, or at a provider you have a key for."),
        door("/search", "search", "Search", "Everything that was said, as you type."),
        door("/personas", "mask", "Personas", "Who you are in the chats: names, faces, a few words about you."),
        door("/lorebooks", "scroll", "Lorebooks", "What the model should know when it comes up."),
        door("/trash", "trash", "Trash", forDays() ? `What you deleted; it can be brought back ${forDays()}.` : "This house keeps nothing of what is deleted."),
        door(
          "/account",
          "person",
          "Account",
          known.accounts ? "Name and picture, password, backups, sessions, API keys." : "Name and picture, password, backups, snapshots, API keys.",
        ),
        maySeeUsers(me) &&
          door("/users", "people", "Users", known.accounts ? "Who lives here, what they may do, and how to let someone new in." : "One, as long as accounts are off. How to have more."),
      ),
    );
    follow(["chat", "chats", "characters"], () => takeUp(recent));
    return takeUp(recent);
  }),
);

/** The chats of late, to be taken up again. Whoever has none finds the doors below. @param {HTMLElement} place */
async function takeUp(place) {
  /** @type {{items: ChatItem[]}} */
  const { items } = await get("/api/v1/chats?limit=4").catch(() => ({ items: [] }));
  // Groups' chats go on in SillyTavern.
  const own = items.filter((item) => item.groupName === undefined);
  undisturbed(place, () =>
    fill(place, h("h2", { id: "recent" }, "Where you left off"), h("ul", { class: "recent" }, own.map(chat))),
  );
  place.hidden = own.length === 0;
}

/** @param {ChatItem} item */
function chat(item) {
  return h(
    "li",
    null,
    h(
      "a",
      { class: "recent-chat", href: chatPath(item) },
      portrait(smallPicture(item.avatar)),
      h(
        "span",
        null,
        h("strong", null, h("bdi", null, item.characterName)),
        h("span", { class: "recent-words", dir: "auto" }, item.preview ?? ""),
        h("time", { title: fullDate(item.modified) }, item.generation ? "is writing now" : ago(item.modified)),
      ),
    ),
  );
}
