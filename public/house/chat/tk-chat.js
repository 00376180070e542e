// The chat page: its side, the open chat, and what ties them to the address, the keys and the other windows.
import { ApiError, del, get, patch, post, upload } from "../api.js";
import { openDialog } from "../dialog.js";
import { define, fill, h } from "../dom.js";
import { moveDraft } from "../drafts.js";
import { ago, count } from "../format.js";
import { meOf, openPage } from "../frame.js";
import { icon } from "../icons.js";
import { keepListening } from "../live.js";
import { errorPanel, say, show, sorry } from "../messages.js";
import { asked, chatPath, part, settled } from "../shelf/parts.js";
import { forDays, isInTrash } from "../trash.js";
import { bar } from "./bar.js";
import { Composer } from "./composer.js";
import { Log } from "./log.js";
import { chatName } from "./names.js";
import { askDelete, askName, promptOf, showKeys, showPrompt } from "./panels.js";
import { Room, draftOf } from "./room.js";
import { Side } from "./side.js";
import { welcome } from "./welcome.js";

/** @import {Me} from "../types.js" */
/** @import {ChatItem, Connections, Message, Personas} from "./types.js" */

/** Where there is no room for the side beside the chat. */
const NARROW = "(max-width: 56rem)";

define("tk-chat", (element) => openPage(element, (place, known) => new Page(place, meOf(known)).start()));

export class Page {
  /** @param {HTMLElement} place @param {Me} me */
  constructor(place, me) {
    this.place = place;
    this.me = me;
    /** @type {Room | null} */
    this.room = null;
    /** @type {Log | null} */
    this.log = null;
    /** @type {Composer | null} */
    this.composer = null;
    /** @type {Personas} */
    this.personas = { default: null, items: [] };
    /** @type {Connections} */
    this.lines = { connections: [], default: null };
    this.connected = true;
    this.opening = 0;
    this.side = new Side({
      open: (character, chat, message) => void this.open(character, chat, message),
      close: () => this.drawer(false),
      current: () => this.room && { character: this.room.character, chat: this.room.name },
      pin: (item) => void this.pin(item).catch(sorry),
      rename: (item) => this.renameListed(item),
      remove: (item) => void this.removeListed(item).catch(sorry),
    });
    this.stage = h("section", { class: "stage", "aria-label": "Chat" });
    this.announcer = h("div", { class: "unseen", "aria-live": "polite", id: "chat-said" });
    this.veil = h("div", { class: "veil", onclick: () => this.drawer(false) });
  }

  async start() {
    fill(this.place, this.side.root, this.veil, this.stage, this.announcer);
    document.addEventListener("keydown", (event) => this.key(event));
    this.stage.addEventListener("dragover", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = this.composer ? "copy" : "none";
    });
    this.stage.addEventListener("drop", (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      this.composer?.take([...event.dataTransfer.files]);
    });
    matchMedia(NARROW).addEventListener("change", () => this.drawer(false));
    addEventListener("popstate", () => void this.fromAddress());
    addEventListener("offline", () => this.line());
    addEventListener("online", () => this.line());
    await Promise.all([
      this.side.load().catch((error) => this.side.failed(error)),
      this.learn(),
    ]);
    this.listen();
    await this.fromAddress();
  }

  /** Who one is here, and which models there are. */
  async learn() {
    const [personas, lines] = await Promise.all([
      get("/api/v1/personas").catch(() => this.personas),
      get("/api/v1/connections").catch(() => this.lines),
    ]);
    this.personas = personas;
    this.lines = lines;
  }

  get noModel() {
    return this.lines.connections.every((one) => one.kind === "echo");
  }

  /** What happens in other windows. */
  listen() {
    const lists = settled(250, () => void this.side.load().catch(() => {}));
    const chat = (/** @type {any} */ data) => {
      lists();
      const { room } = this;
      if (!room || data?.character !== room.character || data?.chat !== room.name) return;
      if (data.version === null || data.version === undefined) return;
      if (data.generation && data.generation !== room.running?.id) room.follow(data.generation);
      room.heard(data.version).catch(() => {});
    };
    const again = () => {
      lists();
      this.room?.heard().catch(() => {});
    };
    const leave = keepListening(
      "/api/v1/me/changes",
      {
        chat,
        chats: () => lists(),
        characters: () => lists(),
        personas: () => void this.learn().then(() => this.log?.reload()),
        connections: () => void this.learn().then(() => this.drawHint()),
        missed: again,
      },
      (line) => {
        const now = line === "open";
        if (now === this.connected) return;
        this.connected = now;
        this.line();
        // Whatever was said in between was not heard.
        if (now) again();
      },
    );
    addEventListener("pagehide", leave, { once: true });
  }

  line() {
    this.composer?.drawLine(this.connected && navigator.onLine);
  }

  async fromAddress() {
    const character = asked("character");
    const message = asked("message");
    if (character) {
      await this.open(character, asked("chat") || undefined, message === "" ? undefined : Number(message), true);
      return;
    }
    const recent = this.side.chats.find((chat) => chat.character !== undefined);
    if (recent) await this.open(recent.character, recent.chat, undefined, true);
    else this.empty();
  }

  /**
   * Opens a chat; without a name the newest of that character, or a first one.
   * @param {string} character @param {string} [chat] @param {number} [message] @param {boolean} [replace] the address
   */
  async open(character, chat, message, replace = false) {
    this.opening += 1;
    const { opening } = this;
    this.close();
    fill(this.stage, bar(this, null), h("p", { class: "waiting stage-waiting" }, "Finding the page…"));
    try {
      const name = chat ?? (await this.newest(character)) ?? (await this.make(character));
      if (opening !== this.opening) return;
      const room = new Room(this.me.handle, character, name);
      await room.open(message);
      if (opening !== this.opening) return room.leave();
      const path = chatPath({ character, chat: name });
      if (replace) history.replaceState(null, "", path);
      else if (location.pathname + location.search !== path) history.pushState(null, "", path);
      await this.enter(room, message);
    } catch (error) {
      if (opening !== this.opening) return;
      this.failed(error, () => void this.open(character, chat, message, replace));
    }
  }

  /** @param {unknown} error @param {() => void} retry */
  failed(error, retry) {
    const gone = error instanceof ApiError && error.status === 404;
    fill(
      this.stage,
      bar(this, null),
      h(
        "div",
        { class: "stage-empty" },
        gone
          ? [
              h("h1", null, "This chat is not here"),
              h("p", null, "It may have been renamed or deleted. What was deleted waits in the ", h("a", { href: "/trash" }, "trash"), ` ${forDays() || "for a moment"}.`),
            ]
          : errorPanel(error, retry),
      ),
    );
  }

  /** @param {string} character @returns {Promise<string | null>} */
  async newest(character) {
    const answer = await get(`/api/v1/characters/${part(character)}/chats`);
    /** @type {ChatItem[]} */
    const items = answer.items ?? answer.chats ?? [];
    items.sort((a, b) => (b.modified ?? 0) - (a.modified ?? 0));
    return items[0]?.chat ?? null;
  }

  /** @param {string} character @returns {Promise<string>} */
  async make(character) {
    const made = await post(`/api/v1/characters/${part(character)}/chats`, {});
    void this.side.load().catch(() => {});
    return made.chat;
  }

  close() {
    this.room?.leave();
    this.log?.leave();
    this.room = null;
    this.log = null;
    this.composer = null;
  }

  empty() {
    this.close();
    document.title = "Chat · Tavernkeep";
    fill(this.stage, bar(this, null), welcome({ noModel: this.noModel, some: this.side.characterTotal > 0, open: (id) => void this.open(id) }));
  }

  /** @param {Room} room @param {number} [message] */
  async enter(room, message) {
    this.room = room;
    const name = room.chat?.characterName || room.character;
    document.title = `${name} · Tavernkeep`;
    this.meter = h("button", { type: "button", class: "meter", hidden: true, title: "Show the prompt", onclick: () => showPrompt(room, room.draft) });
    this.hint = h("div", { class: "chat-hint" });
    const log = new Log(
      room,
      {
        avatarOf: (one) => this.face(one),
        isBusy: () => Boolean(room.running),
        count: () => room.count,
        edit: (index, what) => room.edit(index, what),
        remove: (index) => this.remove(index),
        branch: (index) => void this.branch(index).catch(sorry),
        move: (index, to) => void this.move(index, to).catch(sorry),
        askAnew: (index, text) => this.askAnew(index, text),
        isTroubled: () => room.trouble !== null,
        ask: (kind) => void room.ask(kind).catch(sorry),
        resized: (look) => log.resized(look),
      },
      `Messages with ${name}`,
    );
    this.log = log;
    this.trouble = h("div", { class: "trouble" });
    log.end.before(this.trouble);
    const measure = settled(900, () => void this.measure());
    const composer = new Composer(room, {
      name,
      ask: (kind) => void room.ask(kind).catch(sorry),
      editLast: () => this.editLast(),
      swipe: (by) => log.lastView()?.swipe(by),
      meter: this.meter,
    });
    composer.area.addEventListener("input", () => measure());
    this.composer = composer;
    fill(this.stage, bar(this, room), log.root, this.hint, composer.root);
    composer.fit();
    this.wire(room, log, composer, measure);
    this.drawHint();
    this.side.draw();
    if (message !== undefined && Number.isFinite(message)) await log.show(message);
    else await log.show();
    if (room.running) log.begin(room.running);
    if (!matchMedia("(pointer: coarse)").matches && message === undefined) composer.area.focus({ preventScroll: true });
    this.line();
    measure();
  }

  /** @param {Room} room @param {Log} log @param {Composer} composer @param {() => void} measure */
  wire(room, log, composer, measure) {
    /** @param {import("./room.js").What} what @param {(detail: any) => void} then */
    const on = (what, then) => room.addEventListener(what, (event) => then(/** @type {CustomEvent} */ (event).detail));
    on("messages", (detail) => {
      const begin = () => room.running && log.begin(room.running);
      if (detail?.reload) void log.reload().then(begin).catch(sorry);
      else {
        log.change(detail.index);
        begin();
      }
      if (room.trouble) this.drawTrouble();
      measure();
    });
    on("running", () => {
      composer.drawRunning();
      if (room.running) log.begin(room.running);
      log.lasts();
    });
    on("words", (detail) => {
      if (!room.running) return;
      if (room.running.kind === "impersonate") composer.area.value = room.running.whole;
      else log.come(room.running, detail.text);
    });
    on("finished", (detail) => {
      log.finish(detail?.message ?? null);
      composer.drawRunning();
      if (typeof detail?.impersonated === "string") composer.put(detail.impersonated);
      if (detail?.message) this.announce(detail.message);
      measure();
    });
    on("waiting", () => {
      composer.drawWaiting();
      // Whoever sends something wants to see it, wherever they were reading.
      if (room.waiting && room.waiting.error === undefined) void log.toEnd().catch(sorry);
      else log.settle();
    });
    on("line", () => this.line());
    on("trouble", () => {
      if (room.trouble) this.announcer.textContent = `The reply failed. ${room.trouble.message}`;
      this.drawTrouble();
    });
    on("chat", () => {
      const old = this.stage.querySelector(".chat-bar");
      old?.replaceWith(bar(this, room));
      measure();
    });
  }

  /** What a finished reply says, once, for whoever listens. @param {Message} message */
  announce(message) {
    const words = h("div", null);
    words.textContent = message.text.replace(/[*_`#>|~]+/g, "");
    const text = (words.textContent ?? "").slice(0, 1200);
    this.announcer.textContent = `${message.name}: ${text}`;
  }

  drawTrouble() {
    const { room, trouble } = this;
    if (!room || !trouble) return;
    this.log?.lasts();
    if (!room.trouble) {
      fill(trouble);
      return;
    }
    const last = room.last;
    fill(
      trouble,
      h(
        "div",
        { class: "alert" },
        icon("warn"),
        h("div", null, h("strong", null, troubleTitle(room)), " ", room.trouble.message),
        h(
          "button",
          { type: "button", class: "button small", onclick: () => void room.ask(last?.isUser ? "reply" : last?.unfinished ? "continue" : "swipe").catch(sorry) },
          icon("again"),
          last?.unfinished && !last.isUser ? "Continue" : "Try again",
        ),
        h("a", { class: "button small", href: "/connections" }, "Connections"),
      ),
    );
    this.log?.settle();
  }

  drawHint() {
    const { room, hint } = this;
    if (!hint || !room) return;
    fill(
      hint,
      this.noModel &&
        h(
          "p",
          null,
          icon("plug"),
          h("span", null, "No model is connected, so the echo answers: it says back what you write. ", h("a", { href: "/connections" }, "Connect a model")),
        ),
    );
  }

  /** How full the prompt is. */
  async measure() {
    const { room, meter } = this;
    if (!room || !meter || room.running) return;
    try {
      const prompt = await promptOf(room, room.draft);
      if (room !== this.room) return;
      const room_for = Math.max(1, prompt.context);
      const full = Math.min(1, prompt.tokens / room_for);
      meter.hidden = false;
      meter.classList.toggle("full", full > 0.9);
      const bar = h("span", { class: "meter-bar", "aria-hidden": "true" }, h("span", null));
      /** @type {HTMLElement} */ (bar.firstElementChild).style.inlineSize = `${(full * 100).toFixed(1)}%`;
      const of = `${prompt.exact ? "" : "≈ "}${prompt.tokens.toLocaleString()} / ${prompt.context.toLocaleString()}`;
      fill(meter, bar, h("span", null, of), h("span", { class: "unseen" }, " tokens. Show the prompt"));
    } catch {
      meter.hidden = true;
    }
  }

  /** Whose face a message has. @param {Message} message */
  face(message) {
    if (!message.isUser) return this.room?.chat?.avatar ?? `/api/v1/characters/${part(this.room?.character ?? "")}/picture?size=thumb`;
    const chosen = this.room?.chat?.metadata?.tavernkeep?.persona ?? this.personas.default;
    const persona = this.personas.items.find((one) => one.name === message.name) ?? this.personas.items.find((one) => one.id === chosen);
    return persona?.avatar ?? this.me.avatar;
  }

  /** @param {Room} room @param {(chat: string) => void} [then] */
  renameOpen(room, then) {
    askName(room.name, async (name) => {
      await room.set({ name });
      history.replaceState(null, "", chatPath({ character: room.character, chat: room.name }));
      await this.side.load().catch(() => {});
      then?.(room.name);
      say("The chat is renamed.");
    });
  }

  /** The open chat, if this one of the list is it. @param {ChatItem} item */
  opened(item) {
    const { room } = this;
    return room?.character === item.character && room.name === item.chat ? room : null;
  }

  /** @param {ChatItem} item */
  async pin(item) {
    const what = { pinned: !item.pinned };
    await (this.opened(item)?.set(what) ?? patch(pathOf(item), what));
    await this.side.load();
  }

  /** @param {ChatItem} item */
  renameListed(item) {
    // The dialog gives the focus back to a row that has another name now.
    const back = (/** @type {string} */ chat) => void setTimeout(() => this.side.focus(item.character, chat));
    const open = this.opened(item);
    if (open) return this.renameOpen(open, back);
    askName(item.chat, async (name) => {
      // Somebody may have written there since the dialog was opened: the list has heard of it.
      const now = this.side.chats.find((one) => pathOf(one) === pathOf(item)) ?? item;
      const { chat } = await patch(pathOf(item), { version: now.version, name });
      moveDraft(draftOf(this.me.handle, item.character, item.chat), draftOf(this.me.handle, item.character, chat));
      await this.side.load().catch(() => {});
      back(chat);
      say("The chat is renamed.");
    });
  }

  /** @param {ChatItem} item */
  async removeListed(item) {
    const open = this.opened(item);
    if (open) return this.removeChat(open);
    const gone = await del(`${pathOf(item)}?version=${part(item.version)}`);
    await this.side.load();
    this.undo(isInTrash("The chat"), async () => gone.trash, item.character, false);
  }

  /** @param {string} character */
  async fresh(character) {
    const chat = await this.make(character);
    await this.open(character, chat);
  }

  /** @param {string} character @param {string} name */
  all(character, name) {
    const place = h("div", null);
    const { close } = openDialog(`Chats with ${name}`, place);
    void show(place, async () => {
      const answer = await get(`/api/v1/characters/${part(character)}/chats`);
      /** @type {ChatItem[]} */
      const items = answer.items ?? answer.chats ?? [];
      return h(
        "ul",
        { class: "rows" },
        items.map((item) =>
          h(
            "li",
            null,
            h(
              "div",
              { class: "row-words" },
              h("strong", { title: item.chat }, chatName(item)),
              h("span", { class: "hint" }, `${count(item.messages, "message")} · ${ago(item.modified)}`),
              item.preview && h("span", { class: "hint one-line" }, item.preview),
            ),
            h("button", { type: "button", class: "button small", "aria-label": `Open ${chatName(item)}`, onclick: () => (close(), void this.open(character, item.chat)) }, "Open"),
          ),
        ),
      );
    });
  }

  /** @param {string} character */
  bring(character) {
    const file = h("input", { type: "file", accept: ".jsonl,.json,.txt,application/json", "aria-label": "Chat file" });
    file.addEventListener("change", () => {
      const [chosen] = file.files ?? [];
      if (!chosen) return;
      upload(`/api/v1/characters/${part(character)}/chats/import`, chosen, "application/octet-stream", () => {}, new AbortController().signal, {
        "X-File-Name": encodeURIComponent(chosen.name),
      })
        .then((answer) => {
          const [first] = answer.chats;
          const name = typeof first === "string" ? first : first?.chat;
          say(`${count(answer.chats.length, "chat")} brought in.`);
          if (name) void this.open(character, name);
        })
        .catch(sorry);
    });
    file.click();
  }

  /** @param {Room} room */
  async removeChat(room) {
    const { character } = room;
    const gone = await del(`${room.path}?version=${part(room.version)}`);
    this.close();
    await this.side.load();
    const next = this.side.chats.find((chat) => chat.character !== undefined);
    if (next) await this.open(next.character, next.chat);
    else {
      history.pushState(null, "", "/chat");
      this.empty();
    }
    this.undo(isInTrash("The chat"), async () => gone.trash, character);
  }

  /** @param {number} index */
  remove(index) {
    const { room } = this;
    if (!room) return;
    askDelete(index, room.count, async (after) => {
      await room.remove(index, after);
      // The chat as it was went into the trash; it comes back beside what has been said since.
      this.undo(`Deleted. ${isInTrash("The chat as it was")}`, () => newestVersion(room), room.character);
    });
  }

  /**
   * A note with a button that takes something out of the trash again, and opens it.
   * @param {string} words @param {() => Promise<string>} what its id there @param {string} character @param {boolean} [open] what came back
   */
  undo(words, what, character, open = true) {
    const button = h("button", { type: "button", class: "quiet undo" }, "Undo");
    button.addEventListener("click", async () => {
      button.closest(".note")?.remove();
      try {
        const back = await post(`/api/v1/trash/${part(await what())}/restore`);
        await this.side.load();
        if (open) await this.open(back.character ?? character, back.chat);
        say(back.renamed ? `It is back, as a chat of its own: “${back.chat}”.` : "It is back.");
      } catch (error) {
        sorry(error);
      }
    });
    say(words, button);
  }

  /** @param {number} index */
  async branch(index) {
    const { room } = this;
    if (!room) return;
    const made = await post(`${room.path}/branch`, { index });
    await this.open(room.character, made.chat);
    say("A new chat goes on from there. The old one stays.");
  }

  /** @param {number} index @param {number} to */
  async move(index, to) {
    const { room, log } = this;
    if (!room || !log) return;
    await room.move(index, to);
    await log.reload();
    const moved = log.views.get(to)?.root;
    moved?.focus({ preventScroll: true });
    moved?.scrollIntoView({ block: "nearest" });
    this.announcer.textContent = `Moved ${to < index ? "up" : "down"}.`;
  }

  /** Other words for what one said, and a reply to them; what followed goes to the trash. @param {number} index @param {string} text */
  async askAnew(index, text) {
    const { room } = this;
    if (!room) return;
    if (room.running) throw new ApiError(409, "busy_chat", "A reply is coming in. Stop it first, or wait for its end.");
    if (room.messages.get(index)?.text !== text) await room.edit(index, { text });
    if (index < room.count - 1) {
      await room.remove(index + 1, true);
      // What is gone is out of the page before a reply comes in at its place.
      await this.log?.reload();
      this.undo(`What came after is deleted. ${isInTrash("The chat as it was")}`, () => newestVersion(room), room.character);
    }
    await room.ask("reply");
  }

  editLast() {
    const { room, log } = this;
    if (!room || !log) return;
    for (let index = room.count - 1; index >= Math.max(0, room.count - 12); index -= 1) {
      if (!room.messages.get(index)?.isUser) continue;
      log.views.get(index)?.edit();
      return;
    }
  }

  /** The side as a drawer, where there is no room beside the chat. @param {boolean} open */
  drawer(open) {
    const was = this.place.classList.contains("side-shown");
    this.place.classList.toggle("side-shown", open);
    // What lies under the drawer is out of reach as long as it is open.
    this.stage.inert = open;
    for (const one of document.querySelectorAll("body > :is(.skip, header, footer)")) /** @type {HTMLElement} */ (one).inert = open;
    if (open) this.side.query.focus({ preventScroll: true });
    else if (was) /** @type {HTMLElement | null} */ (this.stage.querySelector(".side-open"))?.focus();
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const { target } = event;
    const writing = target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (matchMedia(NARROW).matches) this.drawer(true);
      this.side.query.focus();
      this.side.query.select();
    } else if (command && event.key === "Enter" && this.room) {
      event.preventDefault();
      const { last } = this.room;
      if (this.composer?.begun) this.composer.go();
      else if (!this.room.running && last) void this.room.ask(last.isUser ? "reply" : "regenerate").catch(sorry);
    } else if (event.key === "Escape") {
      if (this.place.classList.contains("side-shown")) this.drawer(false);
      else if (this.room?.running) void this.composer?.halt();
      else this.composer?.area.focus();
    } else if (event.key === "?" && (!writing || (target === this.composer?.area && target.value === ""))) {
      event.preventDefault();
      showKeys();
    } else if (event.key === "/" && !writing && !command && !event.altKey) {
      event.preventDefault();
      this.composer?.area.focus();
    }
  }
}

/** @param {{character: string, chat: string}} item */
const pathOf = ({ character, chat }) => `/api/v1/chats/${part(character)}/${part(chat)}`;

/** What went wrong, in short: there may be words already. @param {Room} room */
const troubleTitle = ({ last }) => (last?.unfinished && !last.isUser ? "The reply broke off." : "No reply.");

/** The last state of a chat that was put into the trash. @param {Room} room @returns {Promise<string>} */
async function newestVersion(room) {
  /** @type {{id: string, kind: string, of?: string, name: string, deleted: number}[]} */
  const entries = await get("/api/v1/trash");
  const fits = entries.filter((entry) => entry.kind === "version" && (!entry.of || entry.of === room.character));
  fits.sort((a, b) => b.deleted - a.deleted);
  if (!fits[0]) throw new ApiError(404, "not_found", "It is no longer in the trash.");
  return fits[0].id;
}
