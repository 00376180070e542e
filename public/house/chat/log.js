// The messages, in a window: however long the chat, only what is near the eye is in the page. Pages come in above and
// below while somebody reads, and nothing that they look at moves.
import { fill, h } from "../dom.js";
import { icon } from "../icons.js";
import { errorPanel } from "../messages.js";
import { MessageView } from "./message.js";
import { PAGE } from "./room.js";

/** @import {Message, Running} from "./types.js" */
/** @import {Host} from "./message.js" */
/** @import {Room} from "./room.js" */

/** So many are shown at once on each side of where one looks, so many are added in one frame, and so many may be there. */
const SIDE = 20;
const STEP = 5;
const MOST = 120;
/** How near the end of what is there more is fetched, in pixels. */
const NEAR = 1600;

export class Log {
  /** @param {Room} room @param {Host} host @param {string} label */
  constructor(room, host, label) {
    this.room = room;
    this.host = host;
    /** @type {Map<number, MessageView>} */
    this.views = new Map();
    this.low = 0;
    this.high = 0;
    this.sticks = true;
    this.working = false;
    this.fetching = false;
    /** @type {MessageView | null} */
    this.live = null;
    this.start = h("div", { class: "log-start" });
    this.list = h("div", { class: "log-list" });
    this.end = h("div", { class: "log-end" });
    this.inner = h("div", { class: "log-inner" }, this.start, this.list, this.end);
    this.scroller = h(
      "div",
      { class: "log", role: "log", "aria-live": "off", "aria-label": label, tabindex: 0 },
      this.inner,
    );
    this.newest = h("button", { type: "button", class: "button small newest", hidden: true, onclick: () => this.toEnd() }, icon("down"), "Newest");
    this.root = h("div", { class: "log-frame" }, this.scroller, this.newest);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    this.watcher = new ResizeObserver(() => this.settle());
    this.watcher.observe(this.inner);
    this.watcher.observe(this.scroller);
  }

  leave() {
    this.watcher.disconnect();
  }

  /** Shows the end, or a message. @param {number} [at] */
  async show(at) {
    const { count } = this.room;
    const low = at === undefined ? Math.max(0, count - SIDE * 2) : Math.max(0, at - SIDE);
    const messages = await this.room.range(low, at === undefined ? count : Math.min(count, at + SIDE));
    this.views.clear();
    this.list.replaceChildren();
    this.low = messages[0]?.index ?? count;
    this.high = this.low;
    this.append(messages);
    this.sticks = at === undefined;
    this.edges();
    this.settle();
    const target = at === undefined ? null : this.views.get(at);
    if (target) {
      target.root.scrollIntoView({ block: "center" });
      target.root.classList.add("found");
      target.root.focus({ preventScroll: true });
    }
    this.more();
  }

  /** @param {Message} message */
  view(message) {
    const view = new MessageView(message, this.host);
    this.views.set(message.index, view);
    return view;
  }

  /** @param {Message[]} messages */
  append(messages) {
    const views = messages.map((message) => this.view(message));
    // A reply may have begun to come in before what it answers was heard of.
    const { live } = this;
    const before = live?.root.parentElement === this.list && live.index > (messages[0]?.index ?? 0) ? live.root : null;
    for (const { root } of views) this.list.insertBefore(root, before);
    if (messages.length > 0) this.high = messages[messages.length - 1].index + 1;
  }

  /** Does something around a message without moving it. @param {number} index @param {() => void} work */
  still(index, work) {
    const top = () => this.views.get(index)?.root.getBoundingClientRect().top ?? 0;
    const before = top();
    work();
    this.scroller.scrollTop += top() - before;
  }

  /** Fetches what comes into reach next, one page at a time. @param {number} from @param {number} to */
  ahead(from, to) {
    if (this.fetching) return;
    this.fetching = true;
    this.room
      .range(from, to)
      .catch(() => {})
      .finally(() => (this.fetching = false));
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    this.sticks = this.high >= this.room.count && scrollHeight - scrollTop - clientHeight < 60;
    this.newest.hidden = this.high >= this.room.count && scrollHeight - scrollTop - clientHeight < 400;
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.more();
    });
  }

  /** Fetches what is near, one step at a time. */
  more() {
    if (this.working || this.scroller.clientHeight === 0) return;
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const above = scrollTop < NEAR && this.low > 0;
    // What is next may be there already, as the reply that is coming in.
    const below = scrollHeight - scrollTop - clientHeight < NEAR && this.high < this.room.count && this.high !== this.live?.index;
    if (!above && !below) return;
    this.working = true;
    (above ? this.up() : this.down())
      .then(() => {
        this.working = false;
        this.edges();
        requestAnimationFrame(() => this.more());
      })
      .catch((error) => {
        fill(
          above ? this.start : this.end,
          errorPanel(error, () => {
            this.working = false;
            this.edges();
            this.more();
          }),
        );
      });
  }

  async up() {
    const { low } = this;
    const messages = await this.room.range(low - STEP, low);
    if (low !== this.low || messages.length === 0) return;
    this.still(low, () => {
      this.list.prepend(...messages.map((message) => this.view(message).root));
      this.low = messages[0].index;
      while (this.high - this.low > MOST && !this.live) this.drop(this.high - 1);
    });
    this.ahead(this.low - PAGE, this.low);
  }

  async down() {
    const { high } = this;
    const messages = await this.room.range(high, high + STEP);
    if (high !== this.high || messages.length === 0 || high === this.live?.index) return;
    this.still(high - 1, () => {
      this.append(messages);
      while (this.high - this.low > MOST) this.drop(this.low);
    });
    this.ahead(this.high, this.high + PAGE);
  }

  /** Takes the first or last one out of the page. @param {number} index */
  drop(index) {
    this.views.get(index)?.root.remove();
    this.views.delete(index);
    if (index === this.low) this.low += 1;
    else this.high = index;
  }

  edges() {
    const waits = this.low > 0;
    if (waits !== Boolean(this.start.querySelector(".waiting")) || this.start.querySelector(".alert"))
      fill(this.start, waits && h("p", { class: "waiting" }, "Earlier messages…"));
    if (!this.end.querySelector(".alert")) fill(this.end);
  }

  /** Keeps the end in sight while it grows, for somebody who looks at it. */
  settle() {
    if (this.sticks) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Something here has another height now. @param {HTMLElement} [look] what somebody works on: it stays in sight */
  resized(look) {
    if (look) {
      this.sticks = false;
      look.scrollIntoView({ block: "nearest" });
    } else this.settle();
  }

  async toEnd() {
    if (this.high < this.room.count) await this.show();
    this.sticks = true;
    this.settle();
  }

  /** One message changed, or was added. @param {number} index */
  change(index) {
    const message = this.room.messages.get(index);
    if (!message) return;
    const known = this.views.get(index);
    if (known && known !== this.live) known.update(message);
    else if (!known && this.isNext(message)) this.append([message]);
    this.lasts();
    this.settle();
  }

  /** Whether a message is to be put at the end. The reply that is coming in stands there already. @param {Message} message */
  isNext(message) {
    return message.index === this.high && message.index !== this.live?.index;
  }

  /** Everything may have changed: what is shown is compared with what there is now. */
  async reload() {
    const { count } = this.room;
    const atEnd = this.sticks || this.views.size === 0;
    const messages = await this.room.range(this.low, atEnd ? count : Math.min(this.high, count));
    if (messages.length === 0 && count > 0) return this.show();
    while (this.high > Math.max(this.low, count)) this.drop(this.high - 1);
    for (const message of messages) {
      const known = this.views.get(message.index);
      if (known) {
        if (known !== this.live) known.update(message);
        this.high = Math.max(this.high, message.index + 1);
      } else if (this.isNext(message)) this.append([message]);
    }
    this.lasts();
    this.edges();
    this.settle();
    this.more();
    return undefined;
  }

  /** What only the last message has is drawn anew where the last one was and is. */
  lasts() {
    for (const [index, view] of this.views) {
      if (index < this.room.count - 3 || view.live) continue;
      view.drawBelow();
    }
  }

  /** @param {Running} running */
  begin(running) {
    if (running.kind === "impersonate" || !running.started) return;
    if (this.live) {
      this.live.waits(running);
      return;
    }
    const index = running.index ?? this.room.count;
    let view = this.views.get(index);
    if (!view) {
      // Not before what comes before it: this is asked again when that is here.
      if (this.high < this.room.count || index > this.room.count) return;
      const name = this.room.chat?.characterName ?? "";
      view = this.view({ index, name, isUser: false, isSystem: false, sentAt: Date.now(), text: "", html: "" });
      this.list.append(view.root);
    }
    this.live = view;
    view.goLive(running);
    this.lasts();
    this.settle();
  }

  /** @param {Running} running @param {string} [more] */
  come(running, more) {
    if (!this.live) this.begin(running);
    else this.live.come(running, more);
    this.settle();
  }

  /** The reply has ended. @param {Message | null} message */
  finish(message) {
    const { live } = this;
    this.live = null;
    if (live && message) {
      live.live = true;
      live.update(message);
      this.views.set(message.index, live);
      this.high = Math.max(this.high, message.index + 1);
    } else if (live) {
      live.live = false;
      const known = this.room.messages.get(live.index);
      if (this.views.get(live.index) === live && known) {
        live.live = true;
        live.update(known);
      } else {
        live.root.remove();
        if (this.views.get(live.index) === live) this.views.delete(live.index);
      }
    } else if (message && message.index > this.high) void this.reload().catch(() => {});
    else if (message) this.change(message.index);
    this.lasts();
    this.settle();
  }

  /** @returns {MessageView | null} */
  lastView() {
    return this.views.get(this.room.count - 1) ?? null;
  }

  /** Moves among the messages. @param {KeyboardEvent} event */
  key(event) {
    if (!(event.target instanceof HTMLElement) || event.altKey || event.ctrlKey || event.metaKey) return;
    const article = event.target.closest("article");
    const onMessage = event.target === this.scroller || event.target === article;
    if (!onMessage) return;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const all = /** @type {HTMLElement[]} */ ([...this.list.children]);
      const here = article ? all.indexOf(article) : event.key === "ArrowUp" ? all.length : all.length - 2;
      const next = all[here + (event.key === "ArrowUp" ? -1 : 1)];
      if (!next) return;
      event.preventDefault();
      next.focus({ preventScroll: true });
      next.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && article) {
      event.preventDefault();
      this.views.get(Number(article.dataset.index))?.showTools();
    } else if (event.key === "End") {
      event.preventDefault();
      void this.toEnd();
    } else if (event.key === "Home") {
      event.preventDefault();
      void this.show(0);
    }
  }
}
