// One open chat: its messages in a window, what is on its way, and the reply that is coming in. Knows the server and no
// element; whoever shows it listens.
import { ApiError, del, get, patch, post } from "../api.js";
import { part } from "../shelf/parts.js";
import { keepDraft, moveDraft, readDraft } from "../drafts.js";
import { listen } from "../live.js";

/** @import {Chat, Kind, Message, Running, Waiting} from "./types.js" */

/** How many messages come with one question. */
export const PAGE = 60;

/** @typedef {"messages" | "running" | "finished" | "waiting" | "line" | "chat" | "trouble" | "words"} What */

/** What the draft of a chat is kept under. @param {string} handle @param {string} character @param {string} chat */
export const draftOf = (handle, character, chat) => `${handle}:${character}/${chat}`;

export class Room extends EventTarget {
  /** @param {string} handle whose chat it is @param {string} character @param {string} chat */
  constructor(handle, character, chat) {
    super();
    this.handle = handle;
    this.character = character;
    this.name = chat;
    /** @type {Chat | null} */
    this.chat = null;
    /** What has been loaded, by index. @type {Map<number, Message>} */
    this.messages = new Map();
    /** @type {Running | null} */
    this.running = null;
    const { text, waiting } = readDraft(this.draftName) ?? {};
    this.draft = typeof text === "string" ? text : "";
    /** @type {Waiting | null} */
    this.waiting = null;
    if (typeof waiting?.id === "string" && typeof waiting.text === "string")
      this.waiting = { ...waiting, images: [], error: new ApiError(0, "network_write", "") };
    /** Why the last reply ended badly. @type {{message: string, code: string} | null} */
    this.trouble = null;
    /** How the line to the running reply is. @type {import("../live.js").Line} */
    this.line = "open";
    /** Changes of ours that are under way; what others changed is looked at afterwards. */
    this.busy = 0;
    this.stale = false;
    this.left = false;
    this.end = () => {};
  }

  get draftName() {
    return draftOf(this.handle, this.character, this.name);
  }

  get path() {
    return `/api/v1/chats/${part(this.character)}/${part(this.name)}`;
  }

  get count() {
    return this.chat?.count ?? 0;
  }

  get version() {
    return this.chat?.version ?? "";
  }

  get last() {
    return this.messages.get(this.count - 1) ?? null;
  }

  /** @param {What} what @param {any} [detail] */
  tell(what, detail) {
    if (!this.left) this.dispatchEvent(new CustomEvent(what, { detail }));
  }

  /** Closes the door behind us; the reply goes on without us. */
  leave() {
    this.left = true;
    this.end();
  }

  /** Loads the chat at its end, or around a message. @param {number} [around] */
  async open(around) {
    const query = around === undefined ? `limit=${PAGE}` : `before=${around + PAGE / 2}&limit=${PAGE}`;
    /** @type {Chat} */
    const chat = await get(`${this.path}?${query}`);
    this.take(chat);
    if (this.waiting && this.arrived(this.waiting.id)) this.forgetWaiting();
    this.tell("chat");
    if (chat.generation) this.follow(chat.generation);
    return chat;
  }

  /** Remembers a page. @param {Chat} chat */
  take(chat) {
    this.chat = { ...chat, messages: [] };
    for (const message of chat.messages) this.messages.set(message.index, message);
    for (const index of this.messages.keys()) if (index >= chat.count) this.messages.delete(index);
  }

  /** Whether a message of ours is among the last ones. @param {string} id */
  arrived(id) {
    for (let index = this.count - 1; index >= Math.max(0, this.count - 6); index -= 1) {
      if (this.messages.get(index)?.extra?.tavernkeep?.id === id) return true;
    }
    return false;
  }

  /**
   * The messages from `from` up to before `to`, asked for where they are not here yet.
   * @param {number} from @param {number} to @returns {Promise<Message[]>}
   */
  async range(from, to) {
    const begin = Math.max(0, from);
    const end = Math.min(to, this.count);
    for (let index = end - 1; index >= begin; index -= 1) {
      if (this.messages.has(index)) continue;
      const page = await get(`${this.path}?before=${index + 1}&limit=${PAGE}`);
      if (page.version !== this.version) {
        // The chat changed in between: what is here is old.
        this.messages.clear();
        this.take(page);
        this.tell("messages", { reload: true });
      } else this.take(page);
      if (!this.messages.has(index)) break;
    }
    return this.here(begin, end);
  }

  /** Those of a range that are here. @param {number} from @param {number} to */
  here(from, to) {
    /** @type {Message[]} */
    const found = [];
    for (let index = from; index < to; index += 1) {
      const message = this.messages.get(index);
      if (message) found.push(message);
    }
    return found;
  }

  /** What others changed is fetched, unless it is what we have. @param {string} [version] */
  async heard(version) {
    if (this.left || !this.chat || version === this.version) return;
    if (this.busy > 0) {
      this.stale = true;
      return;
    }
    await this.refresh();
  }

  /** Fetches the end of the chat anew and forgets the rest, which comes again when somebody looks. */
  async refresh() {
    /** @type {Chat} */
    const chat = await get(`${this.path}?limit=${PAGE}`);
    if (this.left) return;
    const old = this.messages;
    this.messages = new Map();
    this.take(chat);
    // What has not changed since is kept as far as the end that we see tells nothing else.
    if (old.size > 0 && chat.first > 0) {
      for (const [index, message] of old) if (index < chat.first && !this.messages.has(index)) this.messages.set(index, message);
      if (!sameEnd(old, this.messages, chat)) for (const index of old.keys()) if (index < chat.first) this.messages.delete(index);
    }
    if (this.waiting && this.arrived(this.waiting.id)) this.forgetWaiting();
    this.tell("messages", { reload: true });
    if (chat.generation && chat.generation !== this.running?.id) this.follow(chat.generation);
  }

  /**
   * A change of ours. Others' changes meanwhile are looked at when it is done.
   * @template T @param {() => Promise<T>} work @returns {Promise<T>}
   */
  async change(work) {
    this.busy += 1;
    try {
      return await work();
    } catch (error) {
      if (error instanceof ApiError && (error.status === 409 || error.status === 404)) this.stale = true;
      throw error;
    } finally {
      this.busy -= 1;
      if (this.busy === 0 && this.stale) {
        this.stale = false;
        this.refresh().catch(() => {});
      }
    }
  }

  /** @param {string} version */
  now(version) {
    if (this.chat && version) this.chat.version = version;
  }

  /** @param {string} text */
  write(text) {
    this.draft = text;
    this.keep();
  }

  keep() {
    const { draft: text } = this;
    const waiting = this.waiting && { id: this.waiting.id, text: this.waiting.text };
    keepDraft(this.draftName, text || waiting ? { text, waiting } : null);
  }

  forgetWaiting() {
    this.waiting = null;
    this.keep();
    this.tell("waiting");
  }

  /** Sends what was written, and asks for a reply. @param {string} text @param {string[]} [images] */
  async send(text, images = []) {
    this.trouble = null;
    this.tell("trouble");
    this.waiting = { id: freshId(), text, images };
    this.write("");
    this.tell("waiting");
    await this.sendAgain();
  }

  /** The same message with the same id: however often it goes out, it is one. */
  async sendAgain() {
    const waiting = this.waiting;
    if (!waiting) return;
    waiting.error = undefined;
    this.tell("waiting");
    try {
      await this.change(async () => {
        const { text, id, images } = waiting;
        const body = { text, id, ...(images.length > 0 ? { images } : {}) };
        await this.start("reply", body);
      });
    } catch (error) {
      waiting.error = error;
      this.tell("waiting");
    }
  }

  /** Takes back what could not be sent. @returns {string} */
  takeBack() {
    const text = this.waiting?.text ?? "";
    this.forgetWaiting();
    return text;
  }

  /** @param {Kind} kind @param {object} [more] */
  async ask(kind, more = {}) {
    this.trouble = null;
    this.tell("trouble");
    try {
      await this.change(() => this.start(kind, more));
    } catch (error) {
      if (error instanceof ApiError && error.code === "busy_chat") {
        await this.refresh();
        return;
      }
      throw error;
    }
  }

  /** @param {Kind} kind @param {object} more */
  async start(kind, more) {
    const { character, name: chat, version } = this;
    const answer = await post("/api/v1/generations", { character, chat, version, kind, ...more });
    this.now(answer.version);
    if (answer.userMessage && this.chat) {
      this.messages.set(answer.userMessage.index, answer.userMessage);
      this.chat.count = Math.max(this.chat.count, answer.userMessage.index + 1);
      this.tell("messages", { index: answer.userMessage.index });
    }
    if (this.waiting) this.forgetWaiting();
    this.follow(answer.id, kind);
  }

  /** Listens to a reply that is coming in. @param {string} id @param {Kind} [kind] */
  follow(id, kind = "reply") {
    if (this.left || this.running?.id === id) return;
    this.end();
    /** @type {Running} */
    const running = { id, kind, index: null, text: "", html: "", reasoning: "", whole: "", before: "", started: false };
    this.running = running;
    this.tell("running");
    const over = () => {
      this.end();
      this.end = () => {};
      if (this.running === running) this.running = null;
    };
    this.end = listen(
      `/api/v1/generations/${part(id)}/events`,
      {
        start: (data) => {
          running.kind = data?.kind ?? kind;
          running.index = data?.index ?? null;
          running.before = data?.text ?? "";
          running.started = true;
          this.tell("running");
        },
        queued: (data) => {
          running.place = data?.place ?? null;
          this.tell("running");
        },
        text: (data) => {
          running.text += data?.text ?? "";
          running.whole += data?.text ?? "";
          this.tell("words", { text: data?.text ?? "" });
        },
        reasoning: (data) => {
          running.reasoning += data?.text ?? "";
          this.tell("words", { reasoning: true });
        },
        html: (data) => {
          running.html = data?.html ?? "";
          // Words that came while this was being rendered stay behind it.
          running.text = typeof data?.chars === "number" ? running.whole.slice(data.chars) : "";
          this.tell("words", { html: true });
        },
        done: (data) => {
          over();
          this.finish(running, data);
        },
        error: (data) => {
          over();
          this.trouble = { message: data?.message ?? "The reply broke off.", code: data?.code ?? "" };
          this.tell("finished", { failed: true });
          this.tell("trouble");
          this.refresh().catch(() => {});
        },
      },
      (line) => {
        this.line = line;
        this.tell("line");
        if (line !== "closed") return;
        // The server knows this reply no more: it has ended, and what came is in the chat.
        over();
        this.line = "open";
        this.tell("finished", { failed: true });
        this.refresh().catch(() => this.tell("line"));
      },
    );
  }

  /** @param {Running} running @param {any} data */
  finish(running, data) {
    if (running.kind === "impersonate") {
      this.tell("finished", { impersonated: data?.text ?? running.whole });
      return;
    }
    const message = data?.message;
    if (typeof message?.html === "string" && this.chat) {
      this.now(data.version);
      this.messages.set(message.index, message);
      this.chat.count = Math.max(this.chat.count, message.index + 1);
      this.tell("finished", { message });
      return;
    }
    // It is not in this chat any more, or nothing came: the chat itself says how it stands.
    this.refresh()
      .then(() => this.tell("finished", { message: this.messages.get(data?.index ?? -1) ?? null }))
      .catch(() => this.tell("finished", {}));
  }

  async stop() {
    const { running } = this;
    if (!running) return;
    try {
      await del(`/api/v1/generations/${part(running.id)}`);
    } catch (error) {
      // It ended in the meantime.
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
  }

  /** @param {number} index @param {object} what `text`, `swipe`, `hidden` or `reasoning` */
  async edit(index, what) {
    await this.change(async () => {
      const answer = await patch(`${this.path}/messages/${index}`, { version: this.version, ...what });
      this.now(answer.version);
      if (answer.message) {
        this.messages.set(index, answer.message);
        this.tell("messages", { index });
      } else await this.refresh();
    });
  }

  /** @param {number} index @param {boolean} after and all that come later */
  async remove(index, after) {
    await this.change(async () => {
      await del(`${this.path}/messages/${index}?version=${part(this.version)}${after ? "&after=true" : ""}`);
      this.trouble = null;
      this.tell("trouble");
      await this.refresh();
    });
  }

  /** @param {number} index @param {number} to where another is now */
  async move(index, to) {
    await this.change(async () => {
      const answer = await post(`${this.path}/messages/${index}/move`, { version: this.version, to });
      this.now(answer.version);
      // Where everything stands is asked anew.
      this.messages.clear();
      await this.refresh();
    });
  }

  /** @param {object} what */
  async set(what) {
    await this.change(async () => {
      const answer = await patch(this.path, { version: this.version, ...what });
      const before = this.draftName;
      if (typeof answer?.chat === "string") this.name = answer.chat;
      moveDraft(before, this.draftName);
      const chat = await get(`${this.path}?limit=1`);
      this.take(chat);
      this.tell("chat");
    });
  }
}

/** An id for a message: whoever gets it twice knows that it is one message. Works without a secure context, too. */
function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Whether two states of a chat agree in the messages that both know. @param {Map<number, Message>} old @param {Map<number, Message>} now @param {Chat} chat */
function sameEnd(old, now, chat) {
  const before = old.get(chat.first);
  const after = now.get(chat.first);
  return Boolean(before && after && before.text === after.text && before.name === after.name && before.sentAt === after.sentAt);
}
