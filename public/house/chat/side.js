// The side of the page: the chats one was in, the characters one has, and what is found as one types.
import { get } from "../api.js";
import { fill, h, uid } from "../dom.js";
import { ago, count } from "../format.js";
import { icon } from "../icons.js";
import { setMarkup } from "../markup.js";
import { menu } from "../menu.js";
import { errorPanel } from "../messages.js";
import { chatPath, groupChatPath, ownPicture, part, settled } from "../shelf/parts.js";
import { chatName } from "./names.js";
import { downloadChat } from "./panels.js";

/** @import {Character, ChatItem, Hit} from "./types.js" */

const CHATS = 40;
const CHARACTERS = 60;

/** @param {string | undefined} src */
const small = (src) => {
  const image = h("img", { class: "portrait", src: ownPicture(src), alt: "", width: 40, height: 44, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => (image.src = "/img/default-user.png"), { once: true });
  return image;
};

export class Side {
  /**
   * @param {{open: (character: string, chat?: string, message?: number) => void, close: () => void, current: () => {character: string, chat: string} | null,
   *   pin: (item: ChatItem) => void, rename: (item: ChatItem) => void, remove: (item: ChatItem) => void}} page
   */
  constructor(page) {
    this.page = page;
    const id = uid("seek");
    this.query = h("input", {
      type: "search",
      id,
      placeholder: "Search",
      autocomplete: "off",
      spellcheck: "false",
      "aria-label": "Search chats and characters",
    });
    this.results = h("div", { class: "side-list" });
    this.status = h("p", { class: "unseen", role: "status" });
    this.root = h(
      "div",
      { class: "side", id: "chat-side" },
      h(
        "div",
        { class: "side-head" },
        h("div", { class: "seek" }, icon("search"), this.query),
        h("a", { class: "quiet round", href: "/characters", "aria-label": "Characters: new, import, edit", title: "Characters" }, icon("plus")),
      ),
      this.status,
      this.results,
    );
    /** @type {ChatItem[]} */
    this.chats = [];
    this.total = 0;
    /** @type {Character[]} */
    this.characters = [];
    this.characterTotal = 0;
    this.asked = 0;
    /** Which chat a row is of. @type {WeakMap<Element, ChatItem>} */
    this.items = new WeakMap();
    /** Whether there is something to draw once a menu is closed that hangs in the list. */
    this.late = false;
    const look = settled(140, () => void this.find());
    this.query.addEventListener("input", () => look());
    this.query.addEventListener("keydown", (event) => this.key(event));
    this.results.addEventListener("keydown", (event) => this.key(event));
  }

  get isEmpty() {
    return this.total === 0 && this.characterTotal === 0;
  }

  async load() {
    const limit = Math.max(CHATS, this.chats.length);
    const [chats, characters] = await Promise.all([
      get(`/api/v1/chats?limit=${limit}`),
      get(`/api/v1/characters?limit=${CHARACTERS}&sort=recent`),
    ]);
    this.chats = chats.items;
    this.total = chats.total;
    this.characters = characters.items;
    this.characterTotal = characters.total;
    if (!this.query.value.trim()) this.draw();
  }

  async more() {
    const next = await get(`/api/v1/chats?limit=${CHATS}&offset=${this.chats.length}`);
    const known = new Set(this.chats.map((chat) => `${chat.character ?? ""}/${chat.chat}`));
    this.chats.push(...next.items.filter((/** @type {ChatItem} */ chat) => !known.has(`${chat.character ?? ""}/${chat.chat}`)));
    this.total = next.total;
    this.draw();
  }

  draw() {
    this.late = this.results.querySelector(":popover-open") !== null;
    if (this.late) return;
    const held = this.held();
    const scroll = this.results.scrollTop;
    fill(
      this.results,
      this.chats.length > 0 && section("Chats", this.chats.map((chat) => this.chat(chat))),
      this.chats.length < this.total &&
        h("button", { type: "button", class: "link side-more", onclick: () => this.more().catch((error) => this.failed(error)) }, "Older chats"),
      this.characters.length > 0 && section("Characters", this.characters.map((one) => this.character(one))),
      this.characters.length < this.characterTotal && h("a", { class: "link side-more", href: "/characters" }, `All ${count(this.characterTotal, "character")}`),
      this.isEmpty && h("p", { class: "empty" }, "Nobody here yet. Characters and chats gather here once you have some."),
    );
    this.results.scrollTop = scroll;
    held();
  }

  /** Draws what could not be drawn while a menu was open. */
  catchUp() {
    if (this.late && !this.query.value.trim()) this.draw();
  }

  /** Where the focus is in the list, and a way to put it there again: on the same thing, else on what took its place. */
  held() {
    const { activeElement: at } = document;
    if (!(at instanceof HTMLElement) || !this.results.contains(at)) return () => {};
    const rows = () => /** @type {HTMLElement[]} */ ([...this.results.querySelectorAll("a.side-row")]);
    const { key } = at.dataset;
    const row = rows().findIndex((one) => one.closest("li") === at.closest("li"));
    return () => {
      const same = key && this.results.querySelector(`[data-key="${CSS.escape(key)}"]`);
      if (same instanceof HTMLElement) same.focus({ preventScroll: true });
      else (rows()[Math.min(row, rows().length - 1)] ?? this.query).focus({ preventScroll: true });
    };
  }

  /** Puts the focus on the row of a chat. @param {string} character @param {string} chat */
  focus(character, chat) {
    const row = this.results.querySelector(`[data-key="${CSS.escape(`chat:${character}/${chat}`)}"]`);
    if (row instanceof HTMLElement) row.focus();
  }

  /** @param {unknown} error */
  failed(error) {
    fill(this.results, errorPanel(error, () => this.load().catch((again) => this.failed(again))));
  }

  /** @param {ChatItem} item */
  chat(item) {
    if (item.groupName !== undefined) return this.groupChat(item, item.preview);
    const now = this.page.current();
    const here = now?.character === item.character && now.chat === item.chat;
    const key = `chat:${item.character}/${item.chat}`;
    const named = chatName(item);
    const who = item.characterName || item.character;
    // A name that is a moment says no more than the time beside it.
    const own = item.begun === undefined && h("span", { class: "side-name" }, h("bdi", null, named));
    const last = item.generation ? "Writing…" : item.preview || (own ? "" : named);
    const words = [own, own && last && " · ", last];
    const row = this.row(
      key,
      chatPath(item),
      small(item.avatar),
      h("bdi", null, who),
      words,
      item.pinned ? icon("pin", "pinned") : h("span", { class: "when" }, item.modified ? ago(item.modified) : ""),
      () => this.page.open(item.character, item.chat),
      here,
    );
    const more = menu(`What to do with the chat: ${who}, ${named}`, () => this.whatToDo(item), { kind: "side-dots", key: `more:${key}`, onClose: () => this.catchUp() });
    row.append(more);
    const link = row.querySelector("a");
    if (link) this.items.set(link, item);
    return row;
  }

  /** @param {ChatItem} item @returns {import("../menu.js").Entry[]} */
  whatToDo(item) {
    return [
      { drawing: "pin", words: item.pinned ? "Unpin" : "Pin to the top", run: () => this.page.pin(item) },
      { drawing: "scroll", words: "Rename…", run: () => this.page.rename(item) },
      { drawing: "take", words: "Download…", run: () => downloadChat({ path: `/api/v1/chats/${part(item.character)}/${part(item.chat)}` }) },
      { drawing: "trash", words: "Delete", run: () => this.page.remove(item) },
    ];
  }

  /**
   * A chat of one of SillyTavern's groups: it can be taken along to read, and not be written to here.
   * @param {ChatItem | Hit} item @param {import("../dom.js").Child} words
   */
  groupChat(item, words) {
    const path = groupChatPath(item.chat);
    const index = "index" in item ? item.index : "";
    return this.row(
      `group:${item.chat}/${index}`,
      path,
      small(undefined),
      h("bdi", null, item.groupName ?? ""),
      words,
      h("span", { class: "when", title: "A group chat: read it here as a text, and write to it in SillyTavern" }, "Group"),
      () => location.assign(path),
    );
  }

  /** @param {Character} one */
  character(one) {
    return this.row(
      `character:${one.id}`,
      chatPath({ character: one.id }),
      small(one.avatar),
      h("bdi", null, one.name || one.id),
      named(one.summary ?? "", one.name) || (one.tags ?? []).slice(0, 3).join(", ") || "Start a chat",
      one.favorite && icon("star", "favourite"),
      () => this.page.open(one.id),
    );
  }

  /**
   * @param {string} key @param {string} href @param {HTMLElement} picture @param {import("../dom.js").Child} title
   * @param {import("../dom.js").Child | import("../dom.js").Child[]} words @param {import("../dom.js").Child} aside @param {() => void} open @param {boolean} [here]
   */
  row(key, href, picture, title, words, aside, open, here = false) {
    const link = h(
      "a",
      { class: "side-row", href, "data-key": key, "aria-current": here ? "page" : undefined },
      picture,
      h("span", { class: "side-words" }, h("strong", null, title), aside, h("span", { class: "side-more-words" }, words)),
    );
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
      event.preventDefault();
      this.page.close();
      open();
    });
    return h("li", { class: "side-item" }, link);
  }

  async find() {
    const words = this.query.value.trim();
    this.asked += 1;
    const { asked } = this;
    if (!words) {
      this.status.textContent = "";
      this.draw();
      return;
    }
    const low = words.toLowerCase();
    const chats = this.chats.filter((chat) => `${chat.characterName ?? chat.groupName} ${chat.chat} ${chat.preview ?? ""}`.toLowerCase().includes(low)).slice(0, 12);
    const query = encodeURIComponent(words);
    const [characters, hits] = await Promise.all([
      get(`/api/v1/characters?q=${query}&limit=20`).catch(() => ({ items: [], total: 0 })),
      get(`/api/v1/search?q=${query}&limit=12`).catch(() => ({ hits: [] })),
    ]);
    if (asked !== this.asked) return;
    const all = chats.length + characters.items.length + hits.hits.length;
    this.status.textContent = all === 0 ? "Nothing found" : count(all, "result");
    fill(
      this.results,
      chats.length > 0 && section("Chats", chats.map((chat) => this.chat(chat))),
      characters.items.length > 0 && section("Characters", characters.items.map((/** @type {Character} */ one) => this.character(one))),
      hits.hits.length > 0 && section("In messages", hits.hits.map((/** @type {Hit} */ hit) => this.hit(hit))),
      all === 0 && h("p", { class: "empty" }, "Nothing by that name, and nothing said."),
      hits.hits.length > 0 && h("a", { class: "link side-more", href: `/search?q=${query}` }, "Search everything"),
    );
    this.results.scrollTop = 0;
  }

  /** @param {Hit} hit */
  hit(hit) {
    const snippet = h("span", null);
    setMarkup(snippet, hit.snippet);
    if (hit.groupName !== undefined) return this.groupChat(hit, snippet);
    const face = this.characters.find((one) => one.id === hit.character)?.avatar ?? `/api/v1/characters/${encodeURIComponent(hit.character)}/picture`;
    return this.row(
      `hit:${hit.character}/${hit.chat}/${hit.index}`,
      chatPath({ character: hit.character, chat: hit.chat, message: hit.index }),
      small(face),
      h("bdi", null, hit.name || hit.characterName),
      snippet,
      null,
      () => this.page.open(hit.character, hit.chat, hit.index),
    );
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const rows = /** @type {HTMLElement[]} */ ([...this.results.querySelectorAll("a.side-row")]);
    const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (event.key === "Escape" && this.query.value) {
      event.preventDefault();
      event.stopPropagation();
      this.query.value = "";
      void this.find();
      this.query.focus();
    } else if (event.key === "ArrowDown" && at + 1 < rows.length) {
      event.preventDefault();
      rows[at + 1].focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      event.preventDefault();
      (at === 0 ? this.query : rows[at - 1]).focus();
    } else if (event.key === "Enter" && event.target === this.query && rows.length > 0 && this.query.value.trim()) {
      event.preventDefault();
      rows[0].click();
    } else if ((event.key === "Delete" || event.key === "F2") && at >= 0) {
      const item = this.items.get(rows[at]);
      if (!item) return;
      event.preventDefault();
      if (event.key === "Delete") this.page.remove(item);
      else this.page.rename(item);
    }
  }
}

/** A card's own words, with the names that they stand for. @param {string} text @param {string} name */
const named = (text, name) => text.replace(/\{\{char\}\}/gi, name).replace(/\{\{user\}\}/gi, "you");

/** @param {string} title @param {HTMLElement[]} rows */
function section(title, rows) {
  return h("section", null, h("h2", null, title), h("ul", null, rows));
}
