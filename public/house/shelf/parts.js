// What the pages of the shelf are put together from: heads, empty rooms, large fields, folds, waiting before asking.
import { fill, h, uid } from "../dom.js";
import { icon } from "../icons.js";

/** @import {Child} from "../dom.js" */
/** @import {IconName} from "../icons.js" */

/** The head of a page. @param {Child | Child[]} title @param {Child} words @param {...Child} actions */
export function pageHead(title, words, ...actions) {
  return h(
    "div",
    { class: "page-head" },
    h("div", null, h("h1", null, title), words && h("p", { class: "section-words" }, words)),
    actions.some(Boolean) && h("div", { class: "actions" }, actions),
  );
}

/** A way back to a list. @param {string} href @param {string} words */
export const back = (href, words) => h("a", { class: "back", href }, icon("next"), words);

/** What stands where there is nothing yet: what this room is for and what to do first.
 * @param {IconName} drawing @param {string} title @param {Child | Child[]} words @param {...Child} actions */
export function emptyRoom(drawing, title, words, ...actions) {
  return h(
    "div",
    { class: "sheet empty-room" },
    icon(drawing),
    h("h2", null, title),
    h("p", null, words),
    actions.some(Boolean) && h("div", { class: "actions" }, actions),
  );
}

/** A button. @param {Child | Child[]} words @param {(event: MouseEvent) => void} onclick @param {string} [kind] @param {string} [label] */
export function button(words, onclick, kind = "", label) {
  return h("button", { type: "button", class: `button ${kind}`.trim(), "aria-label": label, onclick }, words);
}

/**
 * @typedef {object} Area a field for a long text
 * @property {HTMLElement} root
 * @property {HTMLTextAreaElement} input
 * @property {(text: string) => void} fail
 */

/**
 * @param {string} label @param {import("../dom.js").Props} props of the textarea @param {Child} [hint]
 * @param {{aside?: Child}} [options] `aside`: small words at the end of the label's line
 * @returns {Area}
 */
export function area(label, props, hint, { aside } = {}) {
  const id = uid("area");
  const input = h("textarea", {
    id,
    rows: 3,
    "aria-describedby": `${id}-error ${id}-hint`,
    dir: "auto",
    ...props,
  });
  const error = h("p", { class: "field-error", id: `${id}-error` });
  const root = h(
    "div",
    { class: "field wide" },
    h("div", { class: "label-row" }, h("label", { for: id }, label), aside),
    input,
    error,
    h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
  /** @param {string} text */
  const fail = (text) => {
    error.textContent = text;
    if (text) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  input.addEventListener("input", () => fail(""));
  return { root, input, fail };
}

/**
 * A choice out of a few.
 * @param {string} label @param {[value: string, words: string][]} options @param {string} value @param {Child} [hint]
 */
export function choice(label, options, value, hint) {
  const id = uid("choice");
  const input = h(
    "select",
    { id, "aria-describedby": `${id}-hint` },
    options.map(([own, words]) => h("option", { value: own }, words)),
  );
  if (!options.some(([own]) => own === value)) input.append(h("option", { value }, value));
  input.value = value;
  const words = h("p", { class: "hint", id: `${id}-hint` }, hint);
  const root = h("div", { class: "field" }, h("label", { for: id }, label), input, words);
  return { root, input, hint: (/** @type {Child} */ next) => fill(words, next) };
}

/**
 * A part of a page that opens; what is in it is made when it first does.
 * @param {Child | Child[]} title @param {() => Child | Child[]} inside @param {{open?: boolean, hint?: Child}} [options]
 */
export function fold(title, inside, { open = false, hint } = {}) {
  const body = h("div", { class: "fold-body" });
  const root = h(
    "details",
    { class: "fold" },
    h("summary", null, icon("next"), h("span", null, title), hint && h("span", { class: "hint" }, hint)),
    body,
  );
  const draw = () => {
    if (!body.hasChildNodes()) fill(body, inside());
  };
  root.addEventListener("toggle", () => root.open && draw());
  if (open) {
    draw();
    root.open = true;
  }
  return root;
}

/**
 * Runs `work` once nobody has asked for it during `ms`.
 * @param {number} ms @param {() => void} work
 */
export function settled(ms, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(work, ms);
  };
  later.now = () => {
    clearTimeout(timer);
    work();
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}

/** One value of the address, or "". @param {string} name */
export const asked = (name) => new URLSearchParams(location.search).get(name) ?? "";

/** Puts these values into the address without leaving the page; empty ones go. @param {Record<string, string>} values */
export function address(values) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(values)) {
    if (value) url.searchParams.set(name, value);
    else url.searchParams.delete(name);
  }
  history.replaceState(history.state, "", url);
}

/** A link into the chats. @param {{character: string, chat?: string, message?: number}} to */
export function chatPath({ character, chat, message }) {
  const query = new URLSearchParams({ character });
  if (chat) query.set("chat", chat);
  if (message !== undefined) query.set("message", String(message));
  return `/chat?${query}`;
}

/** A group's chat as a text to be taken along: groups are SillyTavern's. @param {string} chat */
export const groupChatPath = (chat) => `/api/v1/group-chats/${part(chat)}/export?format=text`;

/** An id as a part of a path. @param {string} id */
export const part = (id) => encodeURIComponent(id);

/** The address of a picture of ours; anything else is not loaded. @param {string | undefined} src */
export const ownPicture = (src) =>
  src && src.startsWith("/") && !src.startsWith("//") ? src : "/img/default-user.png";

/** The same picture, made small by the server. @param {string | undefined} src */
export const smallPicture = (src) => {
  const own = ownPicture(src);
  return own.startsWith("/api/") ? `${own}${own.includes("?") ? "&" : "?"}size=thumb` : own;
};
