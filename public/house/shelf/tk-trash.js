// The page of the trash: what was deleted or replaced, until when it is kept, and the way back.
import { del, get, post } from "../api.js";
import { chatName } from "../chat/names.js";
import { askDialog } from "../dialog.js";
import { define, fill, h } from "../dom.js";
import { busy, complain } from "../form.js";
import { ago, count, fullDate, size } from "../format.js";
import { openPage } from "../frame.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { say, showing } from "../messages.js";
import { forDays } from "../trash.js";
import { button, chatPath, emptyRoom, pageHead, part } from "./parts.js";

/** @import {Thrown} from "./types.js" */
/** @import {IconName} from "../icons.js" */

/** What each kind is called. @type {Record<string, {drawing: IconName, words: string}>} */
const kinds = {
  chat: { drawing: "chat", words: "Chat" },
  character: { drawing: "cards", words: "Character" },
  lorebook: { drawing: "scroll", words: "Lorebook" },
  persona: { drawing: "mask", words: "Persona" },
};

define("tk-trash", (element) =>
  openPage(element, (place) => {
    const list = h("div", null);
    const empty = button([icon("trash"), "Empty the trash"], () => emptyAll(again), "danger-quiet");
    empty.hidden = true;
    const { again, look } = showing(
      list,
      () => get("/api/v1/trash"),
      (/** @type {Thrown[]} */ things, again) => {
        empty.hidden = things.length === 0;
        return draw(things, again);
      },
      "Looking into the bin…",
    );
    fill(
      place,
      pageHead("Trash", forDays() ? `What you deleted, and what was replaced. It can be brought back ${forDays()}.` : "What you deleted. This house keeps none of it: it is gone for good soon after.", empty),
      list,
    );
    follow(["trash"], look);
    return again();
  }),
);

/** @param {Thrown[]} things @param {() => Promise<void>} again */
function draw(things, again) {
  if (things.length === 0)
    return emptyRoom(
      "trash",
      "Nothing here",
      `What you delete, a chat, a character, a lorebook or a persona, ${forDays() ? `waits here ${forDays()}` : "passes through here"} before it is gone for good. So do earlier versions of chats that were changed.`,
      h("a", { class: "button", href: "/chat" }, icon("chat"), "Back to the chats"),
    );
  const total = things.reduce((sum, thing) => sum + thing.size, 0);
  return [
    h("p", { class: "tally" }, `${count(things.length, "thing")}, ${size(total)} in all.`),
    h(
      "ul",
      { class: "shelf-rows" },
      things.map((thing) => row(thing, again)),
    ),
  ];
}

/** What people call it. @param {Thrown} thing */
const nameOf = (thing) => (thing.of ? chatName({ chat: thing.name, characterName: thing.of, begun: thing.begun }) : thing.name);

/** @param {Thrown} thing @param {() => Promise<void>} again */
function row(thing, again) {
  const kind = kinds[thing.thing] ?? { drawing: "trash", words: thing.kind };
  const isVersion = thing.kind === "version";
  const what = isVersion ? `Earlier version of a ${kind.words.toLowerCase()}` : kind.words;
  const error = h("div", { class: "row-error", role: "alert" });
  /** @param {string} words @param {string} how */
  const way = (words, how) => {
    const back = button(
      [icon("undo"), words],
      () => {
        fill(error);
        void busy(back, async () => {
          const where = await post(`/api/v1/trash/${part(thing.id)}/restore${how}`);
          say(...whereTo(thing, where, isVersion && how !== ""));
          await again();
        }).catch((reason) => complain(error, reason));
      },
      "small",
      `${words}: ${thing.name}`,
    );
    return back;
  };
  // What a persona says is not in a file of its own that could take the other's place.
  const ways =
    isVersion && thing.thing !== "persona"
      ? [way("Go back to this", "?instead=true"), way("Bring back beside", "")]
      : [way(isVersion ? "Bring back beside" : "Bring back", "")];
  const left = thing.expires
    ? `kept until ${new Date(thing.expires).toLocaleDateString(undefined, { dateStyle: "medium" })}`
    : "";
  return h(
    "li",
    null,
    icon(isVersion ? "undo" : kind.drawing),
    h(
      "div",
      { class: "row-words" },
      h("strong", { dir: "auto" }, nameOf(thing)),
      h(
        "span",
        { class: "hint" },
        [what, thing.of && `of ${thing.of}`, size(thing.size)].filter(Boolean).join(" · "),
      ),
      h(
        "span",
        { class: "hint" },
        h("time", { title: fullDate(thing.deleted) }, `${isVersion ? "replaced" : "deleted"} ${ago(thing.deleted)}`),
        left && ` · ${left}`,
      ),
    ),
    h(
      "div",
      { class: "row-actions" },
      ways,
      button("Erase", () => erase(thing, again), "small", `Erase ${thing.name}`),
    ),
    error,
  );
}

/**
 * Where it went back to, in words, with the way there.
 * @param {Thrown} thing @param {{character?: string, chat?: string, lorebook?: string, renamed?: boolean} | null} where
 * @param {boolean} instead Whether it took the place of what was there.
 * @returns {[string, HTMLElement | undefined]}
 */
function whereTo(thing, where, instead) {
  const { character, chat, lorebook, renamed } = where ?? {};
  const other = instead
    ? " What was there is kept here."
    : renamed
      ? " Its old name was taken meanwhile."
      : "";
  /** @param {string} href @param {string} words */
  const door = (href, words) => h("a", { href }, words);
  if (character && chat)
    return [
      `It is back among the chats of ${character}, as “${chat}”.${other}`,
      door(chatPath({ character, chat }), "Open"),
    ];
  if (character)
    return [
      `${renamed ? character : thing.name} is back among the characters.${other}`,
      door(`/characters?id=${part(character)}`, "Look"),
    ];
  if (lorebook)
    return [`The lorebook “${lorebook}” is back.${other}`, door(`/lorebooks?name=${part(lorebook)}`, "Look")];
  if (thing.thing === "persona") return [`The persona ${thing.name} is back.`, door("/personas", "Look")];
  return [`“${thing.name}” is back.`, undefined];
}

/** @param {Thrown} thing @param {() => Promise<void>} again */
function erase(thing, again) {
  askDialog({
    title: "Erase it for good?",
    body: [
      h(
        "p",
        null,
        h("strong", { dir: "auto" }, thing.name),
        " cannot be brought back afterwards. Backups that you made before still hold it.",
      ),
    ],
    submit: "Erase",
    danger: true,
    run: async () => {
      await del(`/api/v1/trash/${part(thing.id)}`);
      say("It is erased.");
      await again();
    },
  });
}

/** @param {() => Promise<void>} again */
function emptyAll(again) {
  askDialog({
    title: "Empty the trash?",
    body: [
      h(
        "p",
        null,
        "Everything in it is gone for good then. What you have not deleted stays as it is, and so do backups that you made before.",
      ),
    ],
    submit: "Empty it",
    danger: true,
    run: async () => {
      await del("/api/v1/trash");
      say("The trash is empty.");
      await again();
    },
  });
}
