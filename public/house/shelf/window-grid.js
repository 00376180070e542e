// A grid of very many cards of which only those near the window are in the page: 20,000 scroll like 20.

import { undisturbed } from "../dom.js";

/**
 * @template T
 * @typedef {object} Source
 * @property {(offset: number, limit: number) => Promise<{total: number, items: T[]}>} load
 * @property {(item: T) => HTMLElement} draw makes the `<li>` of one
 * @property {() => HTMLElement} blank stands where one is still on its way
 * @property {(total: number) => void} counted
 * @property {(error: unknown, retry: () => void) => void} failed
 */

/** So many are asked for at once. */
const PAGE = 60;
/** Rows that are drawn above and below what is seen. */
const MARGIN = 3;

/** @template T */
export class WindowGrid {
  /** @type {Map<number, T>} */
  #items = new Map();
  /** Pages that are here or on their way. @type {Set<number>} */
  #pages = new Set();
  /** What is drawn, by its place in the whole. @type {Map<number, {element: HTMLElement, item: T | undefined}>} */
  #drawn = new Map();
  #total = 0;
  /** Counts the questions, so that an answer to an older one is not taken for the present one's. */
  #question = 0;
  #frame = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #rest;

  /** @param {HTMLElement} host a grid with rows of a fixed height @param {Source<T>} source */
  constructor(host, source) {
    this.host = host;
    this.source = source;
    const soon = () => this.#soon();
    addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(soon).observe(host);
    addEventListener("resize", soon);
  }

  /** Asks anew from the beginning; what is drawn stays until the answer is there. */
  async reset() {
    const question = ++this.#question;
    this.host.setAttribute("aria-busy", "true");
    try {
      const { total, items } = await this.source.load(0, PAGE);
      if (question !== this.#question) return;
      this.#items = new Map(items.map((item, index) => [index, item]));
      this.#pages = new Set([0]);
      this.#total = total;
      this.source.counted(total);
      this.#draw();
    } catch (error) {
      if (question === this.#question) this.source.failed(error, () => void this.reset());
    } finally {
      if (question === this.#question) this.host.removeAttribute("aria-busy");
    }
  }

  /** Asks anew for what is in view; nobody is moved, and what is as it was is not drawn again. */
  async refresh() {
    const question = ++this.#question;
    const pages = new Set([0, ...[...this.#drawn.keys()].map((index) => Math.floor(index / PAGE))]);
    try {
      const answers = await Promise.all(
        [...pages].map(async (page) => ({ page, ...(await this.source.load(page * PAGE, PAGE)) })),
      );
      if (question !== this.#question) return;
      const before = this.#items;
      this.#items = new Map();
      for (const { page, items } of answers)
        for (const [nth, item] of items.entries()) {
          const old = before.get(page * PAGE + nth);
          this.#items.set(page * PAGE + nth, JSON.stringify(old) === JSON.stringify(item) ? old ?? item : item);
        }
      this.#pages = pages;
      this.#total = answers[0].total;
      this.source.counted(this.#total);
      undisturbed(this.host, () => this.#draw());
    } catch {
      // What is shown stays; whoever looks further is told what is wrong.
      this.#pages = new Set();
    }
  }

  /** Draws one anew after it has changed. @param {(item: T) => boolean} which @param {T} item */
  replace(which, item) {
    for (const [index, old] of this.#items) if (which(old)) this.#items.set(index, item);
    this.#draw();
  }

  #soon() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  /** How many columns there are, and how high a row is with its gap. */
  #measure() {
    const style = getComputedStyle(this.host);
    const columns = style.gridTemplateColumns.split(" ").filter((width) => width.endsWith("px")).length || 1;
    const row = (Number.parseFloat(style.gridAutoRows) || 200) + (Number.parseFloat(style.rowGap) || 0);
    return { columns, row };
  }

  #draw() {
    if (!this.host.isConnected) return;
    const { columns, row } = this.#measure();
    const rows = Math.ceil(this.#total / columns);
    const above = -this.host.getBoundingClientRect().top;
    const first = Math.min(Math.max(0, Math.floor(above / row) - MARGIN), Math.max(0, rows - 1));
    const last = Math.min(rows, Math.max(first, Math.ceil((above + innerHeight) / row) + MARGIN));
    this.host.style.paddingTop = `${first * row}px`;
    this.host.style.paddingBottom = `${Math.max(0, rows - last) * row}px`;
    const from = first * columns;
    const to = Math.min(this.#total, last * columns);
    for (const [index, { element }] of this.#drawn) {
      if (index >= from && index < to) continue;
      element.remove();
      this.#drawn.delete(index);
    }
    /** @type {HTMLElement | null} */
    let before = null;
    for (let index = from; index < to; index += 1) before = this.#place(index, before);
    this.#fetch(from, to);
  }

  /** Puts the one at `index` behind `before`, and draws it if it is not there as it should be.
   * @param {number} index @param {HTMLElement | null} before */
  #place(index, before) {
    const item = this.#items.get(index);
    let held = this.#drawn.get(index);
    if (!held || held.item !== item) {
      const element = item === undefined ? this.source.blank() : this.source.draw(item);
      held?.element.remove();
      held = { element, item };
      this.#drawn.set(index, held);
    }
    held.element.setAttribute("aria-posinset", String(index + 1));
    held.element.setAttribute("aria-setsize", String(this.#total));
    const next = before ? before.nextElementSibling : this.host.firstElementChild;
    if (next !== held.element) this.host.insertBefore(held.element, next);
    return held.element;
  }

  /** Fetches the pages of what is in view once the scrolling rests: whoever flies over 300 pages asks for the last.
   * @param {number} from @param {number} to */
  #fetch(from, to) {
    clearTimeout(this.#rest);
    /** @type {number[]} */
    const missing = [];
    for (let page = Math.floor(from / PAGE); page * PAGE < to; page += 1)
      if (!this.#pages.has(page)) missing.push(page);
    if (missing.length === 0) return;
    this.#rest = setTimeout(() => missing.forEach((page) => void this.#load(page)), 90);
  }

  /** @param {number} page */
  async #load(page) {
    if (this.#pages.has(page)) return;
    const question = this.#question;
    this.#pages.add(page);
    try {
      const { total, items } = await this.source.load(page * PAGE, PAGE);
      if (question !== this.#question) return;
      items.forEach((item, index) => this.#items.set(page * PAGE + index, item));
      if (total !== this.#total) {
        this.#total = total;
        this.source.counted(total);
      }
      this.#draw();
    } catch (error) {
      if (question !== this.#question) return;
      this.#pages.delete(page);
      this.source.failed(error, () => void this.#load(page));
    }
  }
}
