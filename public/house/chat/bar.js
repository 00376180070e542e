// The bar over the chat: who is there, who speaks, and the menu of what can be done with the chat as a whole.
import { h, uid } from "../dom.js";
import { icon } from "../icons.js";
import { sorry } from "../messages.js";
import { ownPicture } from "../shelf/parts.js";
import { chatName } from "./names.js";
import { chooseVoices, editNote, exportChat, rename, showKeys, showPrompt } from "./panels.js";

/** @import {Page} from "./tk-chat.js" */
/** @import {Room} from "./room.js" */
/** @import {Message} from "./types.js" */

/** @param {Page} page @param {Room | null} room */
export function bar(page, room) {
  const open = h(
    "button",
    { type: "button", class: "quiet round side-open", "aria-label": "Chats and characters", "aria-controls": "chat-side", onclick: () => page.drawer(true) },
    icon("side"),
  );
  const chat = room?.chat;
  if (!room || !chat) return h("div", { class: "chat-bar" }, open);
  const face = h("img", { class: "portrait", src: ownPicture(chat.avatar ?? page.face(/** @type {Message} */ ({ isUser: false }))), alt: "", width: 48, height: 53 });
  face.addEventListener("error", () => (face.src = "/img/default-user.png"), { once: true });
  const meta = chat.metadata?.tavernkeep ?? {};
  const id = meta.connection ?? page.lines.default;
  const connection = page.lines.connections.find((one) => one.id === id) ?? page.lines.connections[0];
  const voice = meta.model || connection?.model || connection?.name || "Model";
  return h(
    "div",
    { class: "chat-bar" },
    open,
    face,
    h(
      "div",
      { class: "chat-title" },
      h("h1", null, h("bdi", null, chat.characterName || room.character)),
      h("p", null, chat.pinned && icon("pin", "Pinned"), h("span", { title: room.name }, chatName({ chat: room.name, characterName: chat.characterName }))),
    ),
    h("button", { type: "button", class: "button small voice", title: "Persona, connection and model", onclick: () => void chooseVoices(room) }, icon("plug"), h("span", null, voice)),
    menu(page, room),
  );
}

/** @param {Page} page @param {Room} room */
function menu(page, room) {
  const id = uid("menu");
  const name = room.chat?.characterName || room.character;
  /** @param {import("../icons.js").IconName} drawing @param {string} words @param {() => void} run */
  const entry = (drawing, words, run) =>
    h(
      "li",
      null,
      h("button", { type: "button", class: "quiet", onclick: () => (toggle(false), run()) }, icon(drawing), h("span", null, words)),
    );
  const list = h(
    "ul",
    { id, class: "menu-list", hidden: true },
    entry("plus", `New chat with ${name}`, () => void page.fresh(room.character).catch(sorry)),
    entry("chat", `All chats with ${name}…`, () => page.all(room.character, name)),
    entry("plug", "Who speaks here…", () => void chooseVoices(room)),
    entry("pen", "Author's note…", () => editNote(room)),
    entry("eye", "Show the prompt…", () => showPrompt(room, room.draft)),
    entry("person", "Write my next line", () => void room.ask("impersonate").catch(sorry)),
    entry("pin", room.chat?.pinned ? "Unpin" : "Pin to the top", () => void room.set({ pinned: !room.chat?.pinned }).catch(sorry)),
    entry("scroll", "Rename…", () => rename(room, (chat) => page.renamed(room, chat))),
    entry("take", "Take it with you…", () => exportChat(room)),
    entry("bring", "Bring a chat in…", () => page.bring(room.character)),
    entry("trash", "Delete this chat", () => void page.removeChat(room).catch(sorry)),
    entry("ask", "Keys…", showKeys),
  );
  const button = h("button", { type: "button", class: "quiet round", "aria-label": "More of this chat", "aria-expanded": "false", "aria-controls": id }, icon("dots"));
  const root = h("div", { class: "menu" }, button, list);
  /** @param {boolean} shown */
  const toggle = (shown) => {
    list.hidden = !shown;
    button.setAttribute("aria-expanded", String(shown));
    if (shown) document.addEventListener("pointerdown", outside);
    else document.removeEventListener("pointerdown", outside);
  };
  const outside = (/** @type {PointerEvent} */ event) => {
    if (!(event.target instanceof Node) || !root.contains(event.target)) toggle(false);
  };
  button.addEventListener("click", () => toggle(list.hidden));
  root.addEventListener("keydown", (event) => {
    const all = /** @type {HTMLElement[]} */ ([...list.querySelectorAll("button")]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (event.key === "Escape" && !list.hidden) {
      event.stopPropagation();
      toggle(false);
      button.focus();
    } else if (event.key === "ArrowDown" && !list.hidden) {
      event.preventDefault();
      all[Math.min(all.length - 1, at + 1)]?.focus();
    } else if (event.key === "ArrowUp" && !list.hidden) {
      event.preventDefault();
      all[Math.max(0, at - 1)]?.focus();
    }
  });
  return root;
}
