// The bar over the chat: who is there, who speaks, and the menu of what can be done with the chat as a whole.
import { h } from "../dom.js";
import { icon } from "../icons.js";
import { menu } from "../menu.js";
import { sorry } from "../messages.js";
import { ownPicture } from "../shelf/parts.js";
import { chatName } from "./names.js";
import { chooseVoices, downloadChat, editNote, showKeys, showPrompt } from "./panels.js";

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
      h("p", null, chat.pinned && icon("pin", "Pinned"), h("span", { title: room.name }, chatName({ chat: room.name, characterName: chat.characterName, begun: chat.begun }))),
    ),
    h("button", { type: "button", class: "button small voice", title: "Persona, connection and model", onclick: () => void chooseVoices(room) }, icon("plug"), h("span", null, voice)),
    whatToDo(page, room),
  );
}

/** @param {Page} page @param {Room} room */
function whatToDo(page, room) {
  const name = room.chat?.characterName || room.character;
  return menu("More of this chat", () => [
    { drawing: "plus", words: `New chat with ${name}`, run: () => void page.fresh(room.character).catch(sorry) },
    { drawing: "chat", words: `All chats with ${name}…`, run: () => page.all(room.character, name) },
    { drawing: "plug", words: "Who speaks here…", run: () => void chooseVoices(room) },
    { drawing: "pen", words: "Author's note…", run: () => editNote(room) },
    { drawing: "eye", words: "Show the prompt…", run: () => showPrompt(room, room.draft) },
    { drawing: "person", words: "Write my next line", run: () => void room.ask("impersonate").catch(sorry) },
    {
      drawing: "pin",
      words: room.chat?.pinned ? "Unpin" : "Pin to the top",
      run: () => void room.set({ pinned: !room.chat?.pinned }).catch(sorry),
    },
    { drawing: "scroll", words: "Rename…", run: () => page.renameOpen(room) },
    { drawing: "take", words: "Download…", run: () => downloadChat(room) },
    { drawing: "bring", words: "Bring a chat in…", run: () => page.bring(room.character) },
    { drawing: "trash", words: "Delete this chat", run: () => void page.removeChat(room).catch(sorry) },
    { drawing: "ask", words: "Keys…", run: showKeys },
  ]);
}
