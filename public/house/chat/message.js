// One message: who, when, the words, their other versions, and what can be done with it.
import { fill, h } from "../dom.js";
import { openDialog } from "../dialog.js";
import { ago, day, fullDate, wait } from "../format.js";
import { busy, complain } from "../form.js";
import { icon } from "../icons.js";
import { setMarkup } from "../markup.js";
import { hang, tie } from "../menu.js";
import { say } from "../messages.js";
import { ownPicture } from "../shelf/parts.js";

/** @import {Message, Running} from "./types.js" */
/** @import {IconName} from "../icons.js" */

/**
 * @typedef {object} Host what a message asks of the page
 * @property {(message: Message) => string} avatarOf
 * @property {() => boolean} isBusy whether a reply is coming in
 * @property {() => number} count
 * @property {(index: number, what: object) => Promise<void>} edit
 * @property {(index: number) => void} remove
 * @property {(index: number) => void} branch
 * @property {(index: number, to: number) => void} move
 * @property {(index: number, text: string) => Promise<void>} askAnew keeps these words, and asks again from there
 * @property {() => boolean} isTroubled whether it is told elsewhere why there is no reply, and what to do
 * @property {(kind: import("./types.js").Kind) => void} ask
 * @property {(look?: HTMLElement) => void} resized `look`: keeps this in sight
 */

/** @param {IconName} drawing @param {string} label @param {(event: MouseEvent) => void} onclick @param {string} [kind] */
export const tool = (drawing, label, onclick, kind = "") =>
  h("button", { type: "button", class: `quiet round ${kind}`.trim(), "aria-label": label, title: label, onclick }, icon(drawing));

/** A moment as the file has it: milliseconds, or whatever words stand there. @param {number | string | null | undefined} at */
function moment(at) {
  const ms = typeof at === "number" ? at : typeof at === "string" ? Date.parse(at) : NaN;
  if (!Number.isFinite(ms)) return null;
  const near = Date.now() - ms < 6 * 86_400_000;
  return h("time", { datetime: new Date(ms).toISOString(), title: fullDate(ms) }, near ? ago(ms) : day(ms));
}

/**
 * Puts rendered words in place of what is there, and leaves alone what has not changed: a reply that comes in grows at its
 * end, and what somebody has marked above stays marked.
 * @param {HTMLElement} place @param {string} html
 */
export function setWords(place, html) {
  const fresh = h("div", null);
  setMarkup(fresh, html);
  for (const pre of fresh.querySelectorAll("pre")) dressCode(pre);
  for (const table of fresh.querySelectorAll("table")) {
    const frame = h("div", { class: "wide-table", tabindex: 0, role: "group", "aria-label": "Table" });
    table.replaceWith(frame);
    frame.append(table);
  }
  const before = [...place.childNodes];
  const after = [...fresh.childNodes];
  let same = 0;
  while (same < before.length && same < after.length && before[same].isEqualNode(after[same])) same += 1;
  for (const node of before.slice(same)) node.remove();
  place.append(...after.slice(same));
}

/** Code can be scrolled by keyboard, and copied. @param {HTMLPreElement} pre */
function dressCode(pre) {
  const language = pre.dataset.lang ?? "";
  pre.tabIndex = 0;
  pre.setAttribute("role", "group");
  pre.setAttribute("aria-label", language ? `Code, ${language}` : "Code");
  const frame = h("div", { class: "code" }, h("div", { class: "code-head" }, h("span", null, language)));
  pre.replaceWith(frame);
  frame.append(pre);
  const words = () => pre.textContent ?? "";
  frame.firstElementChild?.append(
    h("button", { type: "button", class: "quiet", onclick: () => copy(words(), "The code is copied.") }, icon("copy"), "Copy"),
  );
}

/** @param {string} text @param {string} done */
export async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard but the old way.
    const area = h("textarea", { class: "unseen", value: text });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(done);
}

export class MessageView {
  /** @param {Message} message @param {Host} host */
  constructor(message, host) {
    this.host = host;
    this.message = message;
    this.words = h("div", { class: "words", dir: "auto" });
    this.head = h("div", { class: "message-head" });
    this.above = h("div", { class: "message-above" });
    this.below = h("div", { class: "message-below" });
    this.tools = h("ul", { class: "menu-list tools" });
    this.drawTools = hang(this.tools, () => this.moreButton, () => this.whatToDo(), { home: () => this.root });
    this.picture = h("img", { class: "portrait", alt: "", width: 48, height: 53, decoding: "async", loading: "lazy" });
    this.picture.addEventListener("error", () => (this.picture.src = "/img/default-user.png"), { once: true });
    this.root = h(
      "article",
      { class: "message", tabindex: -1 },
      this.picture,
      h("div", { class: "message-body" }, this.head, this.above, this.words, this.below, this.tools),
    );
    /** @type {HTMLElement | null} */
    this.editor = null;
    /** @type {HTMLElement | null} */
    this.tail = null;
    this.live = false;
    /** How long the thoughts took, in seconds, where that was seen. @type {number | undefined} */
    this.thoughtFor = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.clock = undefined;
    this.draw();
  }

  get index() {
    return this.message.index;
  }

  /** @param {Message} message @returns {boolean} whether anything changed */
  update(message) {
    const same = !this.live && JSON.stringify(message) === JSON.stringify(this.message);
    this.message = message;
    if (same) return false;
    this.live = false;
    if (!this.editor) this.draw();
    return true;
  }

  draw() {
    const { message, root } = this;
    root.dataset.index = String(message.index);
    root.classList.toggle("mine", message.isUser);
    root.classList.toggle("aside", message.isSystem);
    root.classList.toggle("damaged", Boolean(message.damaged));
    root.classList.remove("live");
    const src = ownPicture(this.host.avatarOf(message));
    if (this.picture.getAttribute("src") !== src) this.picture.src = src;
    this.drawHead();
    this.drawThinking(message.reasoningHtml ?? "", message.reasoning ?? "");
    this.tail = null;
    if (message.damaged) {
      fill(this.words, h("pre", { class: "raw", tabindex: 0, role: "group", "aria-label": "The line as it is" }, message.text));
    } else if (message.html) setWords(this.words, message.html);
    else fill(this.words, message.text && h("p", { class: "as-is" }, message.text));
    this.drawBelow();
    if (this.toolsOpen) this.drawTools();
  }

  drawHead() {
    const { message } = this;
    const name = message.name || (message.isUser ? "You" : "Nobody");
    this.root.setAttribute("aria-label", `${name}${message.unfinished ? ", unfinished" : ""}`);
    fill(
      this.head,
      h("strong", { class: "who" }, h("bdi", null, name)),
      moment(message.sentAt),
      message.isSystem && h("span", { class: "badge", title: "The model does not see this message" }, "hidden from the model"),
      message.damaged && h("span", { class: "mark removed" }, "damaged line"),
      this.more(),
    );
  }

  more() {
    const button = tool("dots", `What to do with the message of ${this.message.name || "nobody"}`, () => {}, "more-tools");
    tie(button, this.tools);
    button.tabIndex = -1;
    this.moreButton = button;
    return button;
  }

  get toolsOpen() {
    return this.tools.matches(":popover-open");
  }

  /** What can be done with it, by name. @returns {import("../menu.js").Entry[]} */
  whatToDo() {
    const { message, host } = this;
    const { index } = message;
    const { isSystem } = message;
    const hide = () => host.edit(index, { hidden: !isSystem }).catch((reason) => this.complain(reason));
    /** @type {(import("../menu.js").Entry | false)[]} */
    const entries = [
      { drawing: "copy", words: "Copy", run: () => void copy(message.text, "The message is copied.") },
      !message.damaged && { drawing: "pen", words: "Edit", run: () => this.edit() },
      !message.damaged && { drawing: "branch", words: "Branch: go on from here in a new chat", run: () => host.branch(index) },
      !message.damaged && { drawing: isSystem ? "eye" : "shut", words: isSystem ? "Show it to the model again" : "Hide it from the model", run: () => void hide() },
      { drawing: "up", words: "Move up", run: () => host.move(index, index - 1), off: index === 0 || host.isBusy() },
      { drawing: "down", words: "Move down", run: () => host.move(index, index + 1), off: index >= host.count() - 1 || host.isBusy() },
      { drawing: "trash", words: "Delete…", run: () => host.remove(index) },
    ];
    return entries.filter((entry) => entry !== false);
  }

  /** Opens the tools for somebody at the keys. */
  showTools() {
    if (!this.live && !this.editor) this.tools.showPopover();
  }

  /** @param {unknown} reason */
  complain(reason) {
    const place = h("div", { role: "alert", class: "message-trouble" });
    complain(place, reason);
    this.words.after(place);
    setTimeout(() => place.remove(), 12_000);
  }

  /** @param {string} html @param {string} text */
  drawThinking(html, text) {
    const old = this.above.querySelector("details");
    if (!html && !text) {
      old?.remove();
      return;
    }
    const details = old ?? h("details", { class: "thinking" }, h("summary", null), h("div", { class: "words", dir: "auto" }));
    const body = /** @type {HTMLElement} */ (details.lastElementChild);
    const summary = /** @type {HTMLElement} */ (details.firstElementChild);
    if (!this.live) summary.textContent = thoughts(this.thoughtFor);
    if (html) setWords(body, html);
    else body.textContent = text;
    if (!old) {
      this.above.append(details);
      details.addEventListener("toggle", () => this.host.resized());
    }
  }

  drawBelow() {
    const { message, host } = this;
    const isLast = message.index === host.count() - 1;
    const ask = (/** @type {import("./types.js").Kind} */ kind) => () => host.ask(kind);
    const quiet = host.isBusy();
    fill(
      this.below,
      (message.images ?? []).map((url) => attached(ownPicture(url))),
      message.unfinished &&
        !(isLast && host.isTroubled()) &&
        h(
          "p",
          { class: "unfinished" },
          icon("ember"),
          "Unfinished: the reply broke off here.",
          isLast && !message.isUser && h("button", { type: "button", class: "link", onclick: ask("continue"), disabled: quiet }, "Continue"),
        ),
      isLast && !message.isUser && !message.damaged && this.answers(message, quiet),
      isLast &&
        message.isUser &&
        !quiet &&
        !host.isTroubled() &&
        h("button", { type: "button", class: "button small", onclick: ask("reply") }, icon("chat"), "Ask for a reply"),
    );
  }

  /** Under the last reply: its other versions, and the ways on. @param {Message} message @param {boolean} quiet */
  answers(message, quiet) {
    const { at, count } = message.swipe ?? { at: 0, count: 1 };
    const back = tool("next", "The version before", () => this.swipe(-1), "back");
    const on = tool("next", at + 1 < count ? "The next version" : "Another version", () => this.swipe(1));
    back.disabled = at === 0 || quiet;
    on.disabled = quiet;
    const again = tool("again", "Write it anew", () => this.host.ask("regenerate"));
    // What broke off has its own way on.
    const longer = message.unfinished ? null : tool("on", "Continue", () => this.host.ask("continue"));
    again.disabled = quiet;
    if (longer) longer.disabled = quiet;
    return h(
      "div",
      { class: "answers" },
      back,
      h("span", { class: "swipe-count", "aria-label": `Version ${at + 1} of ${count}` }, `${at + 1} / ${count}`),
      on,
      again,
      longer,
    );
  }

  /** @param {number} by */
  swipe(by) {
    const { at, count } = this.message.swipe ?? { at: 0, count: 1 };
    const to = at + by;
    if (to < 0 || this.host.isBusy()) return;
    if (to >= count) {
      this.host.ask("swipe");
      return;
    }
    this.host.edit(this.index, { swipe: to }).catch((reason) => this.complain(reason));
  }

  /** The words become a field. */
  edit() {
    if (this.editor || this.live || this.message.damaged) return;
    const area = h("textarea", { class: "edit", "aria-label": "The message", dir: "auto", value: this.message.text });
    const error = h("div", { role: "alert" });
    const save = h("button", { type: "button", class: "button primary small" }, "Save");
    const cancel = h("button", { type: "button", class: "button small" }, "Cancel");
    const anew = this.message.isUser
      ? h("button", { type: "button", class: "button small", title: "What was said after it goes to the trash" }, "Save and ask again")
      : null;
    const end = () => {
      this.root.classList.remove("editing");
      this.editor?.replaceWith(this.words);
      this.editor = null;
      this.draw();
      this.root.focus({ preventScroll: true });
      this.host.resized();
    };
    const keep = () =>
      void busy(save, async () => {
        fill(error);
        if (area.value !== this.message.text) await this.host.edit(this.index, { text: area.value });
        end();
      }).catch((reason) => complain(error, reason));
    save.addEventListener("click", keep);
    anew?.addEventListener("click", () =>
      void busy(anew, async () => {
        fill(error);
        const text = area.value;
        await this.host.askAnew(this.index, text);
        end();
      }).catch((reason) => complain(error, reason)),
    );
    cancel.addEventListener("click", end);
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        end();
      } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        event.stopPropagation();
        keep();
      }
    });
    area.addEventListener("input", () => grow(area));
    this.editor = h("div", { class: "editor" }, area, error, h("div", { class: "actions" }, save, anew, cancel));
    this.root.classList.add("editing");
    this.words.replaceWith(this.editor);
    grow(area);
    area.focus();
    area.setSelectionRange(area.value.length, area.value.length);
    this.host.resized(this.root);
  }

  /** A reply begins to come in here. @param {Running} running */
  goLive(running) {
    this.live = true;
    this.root.classList.add("live");
    if (this.toolsOpen) this.tools.hidePopover();
    fill(this.below);
    this.tail = null;
    if (running.kind !== "continue") fill(this.words, dots(running));
    if (running.html || running.whole || running.reasoning) this.come(running);
  }

  /** It waits for its turn, or for the first word. @param {Running} running */
  waits(running) {
    if (!running.whole && !running.html && running.kind !== "continue") fill(this.words, dots(running));
  }

  /** It thinks aloud: how long already, and what, for whoever unfolds it. @param {Running} running */
  think(running) {
    running.thinkingSince ??= Date.now();
    this.drawThinking("", running.reasoning);
    const summary = this.above.querySelector("summary");
    if (!summary) return;
    const seconds = Math.round((Date.now() - running.thinkingSince) / 1000);
    if (running.whole || running.html) {
      running.thoughtFor ??= seconds;
      this.thoughtFor = running.thoughtFor;
      summary.textContent = thoughts(running.thoughtFor);
      return;
    }
    fill(this.words);
    summary.textContent = seconds > 0 ? `Thinking… ${wait(seconds)}` : "Thinking…";
    clearTimeout(this.clock);
    this.clock = setTimeout(() => this.live && this.root.isConnected && this.think(running), 1000);
  }

  /** What has come so far. @param {Running} running @param {string} [more] only these words are new */
  come(running, more) {
    if (running.reasoning) this.think(running);
    if (!running.html && !running.whole) return;
    if (more !== undefined && this.tail?.isConnected) {
      this.tail.append(more);
      return;
    }
    if (running.html) setWords(this.words, running.html);
    else if (running.kind !== "continue") fill(this.words);
    const text = running.html ? running.text || behind(this.words, running.whole) : running.whole;
    this.tail = h("span", { class: "tail" }, text);
    const end = this.words.lastElementChild;
    if (end instanceof HTMLParagraphElement) end.append(this.tail);
    else this.words.append(this.tail);
  }
}

/**
 * What came while these words were being rendered, and so is not among them yet. Letters are compared, since marks of
 * Markdown are not to be seen there any more.
 * @param {HTMLElement} words @param {string} whole
 */
function behind(words, whole) {
  const letter = /[\p{L}\p{N}]/u;
  const last = [...(words.textContent ?? "").slice(-120)].filter((one) => letter.test(one)).slice(-24).join("");
  if (!last) return "";
  const from = Math.max(0, whole.length - 800);
  let letters = "";
  /** @type {number[]} */
  const places = [];
  for (let at = from; at < whole.length; at += 1) {
    if (!letter.test(whole[at])) continue;
    letters += whole[at];
    places.push(at);
  }
  const found = letters.lastIndexOf(last);
  if (found < 0) return "";
  const rest = whole.slice(places[found + last.length - 1] + 1);
  return letter.test(rest) ? rest : "";
}

/** What thoughts are called that are over. @param {number} [seconds] how long they took, where that was seen */
const thoughts = (seconds) => (seconds ? `Thoughts, ${wait(seconds)} long` : "Thoughts");

/** A picture that came with a message; pressed, it is shown as large as there is room. @param {string} src */
function attached(src) {
  const show = () => openDialog("Attached picture", h("img", { class: "shown-large", src, alt: "Attached picture" }), { wide: true });
  return h(
    "button",
    { type: "button", class: "attached", "aria-label": "Attached picture: show it large", onclick: show },
    h("img", { src, alt: "", loading: "lazy" }),
  );
}

/** @param {Running} running */
function dots(running) {
  const words = running.place ? `Waiting for a turn, ${running.place} before this one` : "Writing…";
  return h("p", { class: "dots" }, h("span", { "aria-hidden": "true" }, h("i", null), h("i", null), h("i", null)), running.place ? words : h("span", { class: "unseen" }, words));
}

/** A field as high as its text, up to what its style allows. @param {HTMLTextAreaElement} area */
export function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight + 2}px`;
}
