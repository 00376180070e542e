// Where one writes: a field that grows, what is on its way, the line's state, the stop button.
import { ApiError, post } from "../api.js";
import { fill, h, uid } from "../dom.js";
import { busy } from "../form.js";
import { icon } from "../icons.js";
import { explain, loginPath, say, sorry } from "../messages.js";
import { ownPicture, part } from "../shelf/parts.js";
import { grow, tool } from "./message.js";

/** @import {Room} from "./room.js" */

/** The largest picture that goes with a message, in bytes. */
const PICTURE = 20 * 1024 * 1024;

export class Composer {
  /**
   * @param {Room} room
   * @param {{name: string, ask: (kind: import("./types.js").Kind) => void, editLast: () => void, swipe: (by: number) => void, meter: HTMLElement}} page
   */
  constructor(room, page) {
    this.room = room;
    this.page = page;
    const id = uid("write");
    this.area = h("textarea", {
      id,
      rows: 1,
      dir: "auto",
      placeholder: `Write to ${page.name}…`,
      value: room.draft,
      autocomplete: "off",
      enterkeyhint: coarse() ? "enter" : "send",
      "aria-describedby": `${id}-hint`,
    });
    this.send = h("button", { type: "submit", class: "button primary round-send", "aria-label": "Send", title: "Send" }, icon("send"));
    this.stop = h(
      "button",
      { type: "button", class: "button round-send", "aria-label": "Stop", title: "Stop (Esc)", hidden: true, onclick: () => this.halt() },
      icon("halt"),
    );
    /** What goes with the message: how the server calls it, and where it is to be seen. @type {{url: string, address: string}[]} */
    this.images = [];
    this.file = h("input", { type: "file", accept: "image/png,image/jpeg,image/webp,image/gif", multiple: true, hidden: true, "aria-label": "Pictures to attach" });
    this.file.addEventListener("change", () => this.attach([...(this.file.files ?? [])]));
    this.clip = tool("clip", "Attach a picture", () => this.file.click(), "clip");
    this.pictures = h("ul", { class: "attachments", hidden: true });
    this.line = h("div", { class: "line", role: "status" });
    this.outbox = h("div", { class: "outbox" });
    this.form = h(
      "form",
      { class: "composer", "aria-label": "Your message" },
      this.pictures,
      h(
        "div",
        { class: "write-row" },
        this.clip,
        this.file,
        h("label", { class: "unseen", for: id }, `Message to ${page.name}`),
        this.area,
        this.stop,
        this.send,
      ),
      h(
        "div",
        { class: "write-foot" },
        h("span", { class: "hint", id: `${id}-hint` }, coarse() ? "" : "Enter sends, Shift+Enter breaks the line, ? lists all keys."),
        page.meter,
      ),
    );
    this.root = h("div", { class: "composing" }, this.line, this.outbox, this.form);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.go();
    });
    this.area.addEventListener("input", () => {
      room.write(this.area.value);
      this.fit();
    });
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.area.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])].filter(isPicture);
      if (files.length === 0) return;
      event.preventDefault();
      this.attach(files);
    });
    // Notes of the house stand above it, however high it has grown.
    new ResizeObserver(() => document.body.style.setProperty("--foot", `${this.root.offsetHeight}px`)).observe(this.root);
    this.drawWaiting();
    this.drawRunning();
  }

  /** Whether there is something to send. */
  get begun() {
    return this.area.value.trim() !== "" || this.images.length > 0;
  }

  /** What was dropped onto the chat. @param {File[]} files */
  take(files) {
    const pictures = files.filter(isPicture);
    if (pictures.length < files.length) say("Only pictures go with a message. Cards and chats are brought in by their own menus.");
    this.attach(pictures);
  }

  fit() {
    grow(this.area);
  }

  /** @param {string} text */
  put(text) {
    this.area.value = text;
    this.room.write(text);
    this.fit();
    this.area.focus();
  }

  go() {
    const text = this.area.value.trimEnd();
    if (this.room.running) {
      say("A reply is coming in. Stop it first, or wait for its end.");
      return;
    }
    if (this.room.waiting) {
      say("One message of yours is not sent yet. Send it again, or take it back.");
      return;
    }
    if (!this.begun) return;
    const images = this.images.map((image) => image.url);
    this.images = [];
    this.drawPictures();
    this.area.value = "";
    this.fit();
    void this.room.send(text, images);
  }

  async halt() {
    try {
      await this.room.stop();
    } catch (error) {
      sorry(error);
    }
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.isComposing) return;
    const bare = !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey;
    const empty = this.area.value === "";
    if (event.key === "Enter" && bare && !coarse()) {
      event.preventDefault();
      this.go();
    } else if (event.key === "ArrowUp" && bare && empty) {
      event.preventDefault();
      this.page.editLast();
    } else if ((event.key === "ArrowLeft" || event.key === "ArrowRight") && bare && empty) {
      event.preventDefault();
      this.page.swipe(event.key === "ArrowLeft" ? -1 : 1);
    }
  }

  /** @param {File[]} files */
  attach(files) {
    this.file.value = "";
    for (const file of files) {
      if (!isPicture(file)) continue;
      if (file.size > PICTURE) {
        say(`${file.name} is too large: a picture may have 20 MB.`);
        continue;
      }
      void busy(this.clip, async () => {
        const kept = await post(`/api/v1/characters/${part(this.room.character)}/images`, file);
        this.images.push(kept);
        this.drawPictures();
      }).catch((error) => {
        sorry(error);
      });
    }
  }

  drawPictures() {
    this.pictures.hidden = this.images.length === 0;
    fill(
      this.pictures,
      this.images.map(({ address }, n) =>
        h(
          "li",
          null,
          h("img", { src: ownPicture(address), alt: `Picture ${n + 1} to send` }),
          tool("close", `Leave out picture ${n + 1}`, () => {
            this.images.splice(n, 1);
            this.drawPictures();
          }),
        ),
      ),
    );
  }

  drawRunning() {
    const running = Boolean(this.room.running);
    // Whoever stops by keyboard goes on writing.
    if (!running && document.activeElement === this.stop) this.area.focus();
    this.stop.hidden = !running;
    this.send.hidden = running;
  }

  /** @param {boolean} connected */
  drawLine(connected) {
    const lost = !connected || this.room.line === "waiting";
    const words = navigator.onLine
      ? "The house does not answer. Trying again; a reply under way goes on without us."
      : "You are offline. What you write stays here, and a reply under way goes on without us.";
    const shown = this.line.textContent ?? "";
    if (lost && shown !== words) fill(this.line, h("p", null, icon("plug"), words));
    if (!lost && shown) fill(this.line);
  }

  drawWaiting() {
    const { waiting } = this.room;
    if (!waiting) {
      fill(this.outbox);
      return;
    }
    const failed = waiting.error !== undefined;
    const { title, text } = failed ? whyNotSent(waiting.error) : { title: "", text: "" };
    fill(
      this.outbox,
      h(
        "div",
        { class: failed ? "unsent failed" : "unsent", role: failed ? "alert" : undefined },
        h("p", { class: "unsent-words", dir: "auto" }, waiting.text),
        failed ? h("p", null, icon("warn"), h("span", null, title && h("strong", null, title), title && " ", text)) : h("p", { class: "hint" }, "Sending…"),
        failed &&
          h(
            "div",
            { class: "actions" },
            waiting.error instanceof ApiError && waiting.error.status === 401
              ? h("a", { class: "button small primary", href: loginPath() }, "Sign in")
              : h("button", { type: "button", class: "button small primary", onclick: () => void this.room.sendAgain() }, icon("again"), "Send again"),
            h("button", { type: "button", class: "button small", onclick: () => this.put(joined(this.room.takeBack(), this.area.value)) }, "Take it back"),
          ),
      ),
    );
  }
}

/** @param {File} file */
const isPicture = (file) => file.type.startsWith("image/");

/** @param {string} a @param {string} b */
const joined = (a, b) => [a, b].filter(Boolean).join("\n");

/** A finger has no Shift: there Enter breaks the line. */
const coarse = () => matchMedia("(pointer: coarse)").matches;

/** @param {unknown} error */
function whyNotSent(error) {
  if (error instanceof ApiError && error.status === 0)
    return { title: "Not sent, as far as we can tell.", text: "The house did not answer. Sending again is safe: it counts once." };
  if (error instanceof ApiError && error.status === 409) {
    if (error.code === "busy_chat")
      return { title: "Not sent yet.", text: "A reply is coming in here, from another window. Send yours when it has ended." };
    return { title: "Not sent yet.", text: "The chat has gone on in another window. Have a look at it, then send yours." };
  }
  return explain(error);
}
