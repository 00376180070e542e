// Something that is being edited: what has changed, the draft of it that outlives the page, and saves that name the
// version they replace. A save that comes too late is laid beside what is there now, and the reader chooses.
import { ApiError } from "../api.js";
import { openDialog } from "../dialog.js";
import { fill, h, uid, undisturbed } from "../dom.js";
import { hasLeft, keepDraft, readDraft } from "../drafts.js";
import { busy, complain } from "../form.js";
import { ago, count } from "../format.js";
import { icon } from "../icons.js";
import { say } from "../messages.js";
import { button, settled } from "./parts.js";

/** @typedef {Record<string, any>} Values */
/** @typedef {{version: string, values: Values}} State */

/**
 * @typedef {object} Subject what is edited
 * @property {string} draft the name of its draft in this browser, which begins with whose it is
 * @property {() => Promise<State>} load
 * @property {(version: string, changes: Values) => Promise<State>} save
 * @property {(key: string) => string} label
 * @property {(value: any) => string} words a value as people read it
 * @property {(values: Values) => void} draw draws everything anew
 * @property {string} saved said when it is
 */

/** @param {unknown} a @param {unknown} b */
export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/**
 * Lays changes over a newer state. What only one side has touched is clear; the rest has to be chosen.
 * @param {Values} base what was there when the changes began @param {Values} mine @param {Values} theirs
 */
export function merge(base, mine, theirs) {
  /** @type {Values} */
  const clear = {};
  /** @type {string[]} */
  const conflicts = [];
  for (const [key, value] of Object.entries(mine)) {
    if (same(theirs[key], value)) continue;
    if (same(theirs[key], base[key])) clear[key] = value;
    else conflicts.push(key);
  }
  return { clear, conflicts };
}

export class Editing {
  /** What was there when a field was first changed. @type {Values} */
  base = {};
  /** @type {Values} */
  mine = {};
  version = "";
  /** Counts the states that were loaded or saved, so that an answer that comes late does not undo one. */
  turn = 0;
  /** What the server holds, as far as is known. @type {Values} */
  current = {};

  /** @param {Subject} subject */
  constructor(subject) {
    this.subject = subject;
    this.bar = this.#bar();
    this.keep = settled(400, () => this.#keep());
    addEventListener("beforeunload", (event) => {
      if (!this.dirty || hasLeft() || !this.bar.root.isConnected) return;
      this.keep.now();
      event.preventDefault();
    });
    addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || !this.bar.root.isConnected) return;
      event.preventDefault();
      if (this.dirty) this.bar.save.click();
    });
  }

  get dirty() {
    return Object.keys(this.mine).length > 0;
  }

  /** What the fields show: what the server has, and over it what was changed here. */
  get values() {
    return { ...this.current, ...this.mine };
  }

  /** Loads it, and the draft of it if there is one. */
  async open() {
    const state = await this.subject.load();
    this.#accept(state);
    const draft = this.#draft();
    if (draft) {
      this.version = draft.version;
      this.base = draft.base;
      for (const [key, value] of Object.entries(draft.mine))
        if (!same(value, this.current[key])) this.mine[key] = value;
      if (this.dirty) this.bar.kept = draft.at;
      else this.#accept(state);
    }
    this.subject.draw(this.values);
    this.#tell();
  }

  /** One field has a new value; `undefined` takes it away. @param {string} key @param {any} value */
  set(key, value) {
    if (same(value, this.current[key])) {
      delete this.mine[key];
      delete this.base[key];
    } else {
      if (!(key in this.mine)) this.base[key] = this.current[key];
      this.mine[key] = value;
    }
    this.bar.kept = 0;
    this.keep();
    this.#tell();
  }

  /** The server holds something newer, by another act of this page: a picture was hung. @param {State} state */
  rebase(state) {
    const { conflicts } = merge(this.base, this.mine, state.values);
    this.current = state.values;
    if (conflicts.length === 0) this.version = state.version;
  }

  /**
   * It may have been saved elsewhere: shows what is there now. What was changed here stays so; where both sides changed
   * the same, saving asks.
   * @param {HTMLElement} place what is drawn there
   */
  async look(place) {
    const { turn } = this;
    const state = await this.subject.load().catch(() => null);
    // Not there any more, or no answer: what is here stays, and saving says what is wrong.
    if (!state || turn !== this.turn) return;
    const shown = this.values;
    this.rebase(state);
    for (const [key, value] of Object.entries(this.mine)) this.set(key, value);
    if (!same(shown, this.values)) undisturbed(place, () => this.subject.draw(this.values));
  }

  /** @param {State} state */
  #accept(state) {
    this.turn += 1;
    this.version = state.version;
    this.current = state.values;
    this.base = {};
    this.mine = {};
  }

  async #save() {
    const changes = { ...this.mine };
    const state = await this.#send(changes);
    if (!state) return;
    // What was typed while the answer was on its way stays a change.
    const shown = this.values;
    const later = Object.entries(this.mine).filter(([key, value]) => !same(value, changes[key]));
    this.#accept(state);
    for (const [key, value] of later) this.set(key, value);
    this.keep.now();
    this.#tell();
    if (!same(shown, this.values)) this.subject.draw(this.values);
    say(this.subject.saved);
  }

  /** Saves; where somebody was quicker, asks what should hold. @param {Values} changes @returns {Promise<State | null>} */
  async #send(changes) {
    try {
      return await this.subject.save(this.version, changes);
    } catch (reason) {
      if (!(reason instanceof ApiError) || (reason.code !== "stale" && reason.status !== 412)) throw reason;
    }
    const now = await this.subject.load();
    const { clear, conflicts } = merge(this.base, changes, now.values);
    const chosen = conflicts.length > 0 ? await this.#choose(conflicts, changes, now.values) : {};
    if (!chosen) return null;
    const rest = { ...clear, ...chosen };
    this.current = now.values;
    this.version = now.version;
    return Object.keys(rest).length > 0 ? this.subject.save(now.version, rest) : now;
  }

  /** Both sides of each field that both have changed. @param {string[]} keys @param {Values} mine @param {Values} theirs
   * @returns {Promise<Values | null>} the values of this side that were chosen; null: neither yet */
  #choose(keys, mine, theirs) {
    const { label, words } = this.subject;
    return new Promise((resolve) => {
      /** @type {Values | null} */
      let answer = null;
      const choices = keys.map((key) => {
        const name = uid("side");
        const own = h("input", { type: "radio", name, checked: true });
        const other = h("input", { type: "radio", name });
        /** @param {HTMLInputElement} input @param {string} title @param {any} value */
        const side = (input, title, value) =>
          h(
            "label",
            { class: "side-choice" },
            h("span", null, input, title),
            h("blockquote", { dir: "auto" }, value === undefined ? "(removed)" : words(value) || "(empty)"),
          );
        const root = h(
          "fieldset",
          { class: "conflict" },
          h("legend", null, label(key)),
          h("div", { class: "sides" }, side(own, "Yours", mine[key]), side(other, "Saved meanwhile", theirs[key])),
        );
        return { key, own, root };
      });
      const save = button(
        "Save these",
        () => {
          answer = {};
          for (const { key, own } of choices) if (own.checked) answer[key] = mine[key];
          close();
        },
        "primary",
      );
      const { close } = openDialog(
        "Somebody was here before you",
        [
          h(
            "p",
            null,
            "It was saved in another window or on another device since you began. Nothing is lost: choose what should hold. What only one side changed is kept by itself.",
          ),
          ...choices.map((choice) => choice.root),
          h(
            "div",
            { class: "actions" },
            save,
            button("Not yet", () => close()),
          ),
        ],
        { wide: true, onClose: () => resolve(answer) },
      );
      choices[0]?.own.focus();
    });
  }

  /** Takes back what was changed here. */
  #discard() {
    this.#accept({ version: this.version, values: this.current });
    this.keep.now();
    void this.open();
  }

  #bar() {
    const words = h("p", { role: "status" });
    const error = h("div", { class: "form-error", role: "alert" });
    const save = button(
      "Save",
      () => {
        fill(error);
        void busy(save, () => this.#save()).catch((reason) => complain(error, reason));
      },
      "primary",
    );
    const drop = button("Discard", () => this.#discard());
    const root = h("div", { class: "save-bar", hidden: true }, words, drop, save, error);
    return { root, words, save, error, kept: 0 };
  }

  #tell() {
    const { root, words, error, kept } = this.bar;
    root.hidden = !this.dirty;
    if (!this.dirty) fill(error);
    const changes = count(Object.keys(this.mine).length, "change");
    const text = kept ? `Unsaved from ${ago(kept)}: ${changes}, kept in this browser.` : `${changes}, not saved yet.`;
    if (words.textContent !== text) fill(words, icon("pen"), " ", text);
  }

  #keep() {
    const { version, base, mine } = this;
    keepDraft(this.subject.draft, this.dirty ? { version, base, mine } : null);
  }

  /** @returns {{at: number, version: string, base: Values, mine: Values} | null} */
  #draft() {
    const draft = readDraft(this.subject.draft);
    return draft && typeof draft.version === "string" && draft.mine && draft.base ? draft : null;
  }
}
