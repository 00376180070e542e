// The page of lorebooks: the list of them, or the entries of the one that the address names.
import { del, get, getVersioned, put } from "../api.js";
import { askDialog } from "../dialog.js";
import { define, fill, h } from "../dom.js";
import { field, refuse } from "../form.js";
import { count } from "../format.js";
import { meOf, openPage, sayThere } from "../frame.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { say, showing } from "../messages.js";
import { goesToTrash, isInTrash } from "../trash.js";
import { arrivals, dropAnywhere, fileButton } from "./arrivals.js";
import { Editing } from "./editing.js";
import { blank, drawEntries, listed, nameOf } from "./entries.js";
import { asked, back, button, emptyRoom, pageHead, part } from "./parts.js";

/** @import {Book, Entry} from "./types.js" */
/** @import {Me} from "../types.js" */

define("tk-lorebooks", (element) =>
  openPage(element, (place, known) => {
    const name = asked("name");
    return name ? bookPage(place, name, meOf(known)) : bookList(place);
  }),
);

/** @param {string} name */
const pathOf = (name) => `/api/v1/lorebooks/${part(name)}`;

/** @param {HTMLElement} place */
function bookList(place) {
  const coming = h("div", null);
  const list = h("div", null);
  /** @param {File[]} files */
  const takeIn = (files) =>
    arrivals(coming, files, {
      path: "/api/v1/lorebooks/import",
      what: ["lorebook", "lorebooks"],
      href: (answer) => `/lorebooks?name=${part(answer.name)}`,
      name: (answer) => answer.name,
      done: () => void again(),
    });
  const bringIn = () => fileButton([icon("bring"), "Bring in"], ".json,application/json,.png", takeIn);
  const make = () => button([icon("plus"), "New lorebook"], newBook, "primary");
  const { again, look } = showing(
    list,
    () => get("/api/v1/lorebooks"),
    (/** @type {{name: string, entries: number, damaged?: boolean}[]} */ books, again) =>
      books.length === 0
        ? emptyRoom(
            "scroll",
            "No lorebooks yet",
            "A lorebook holds what the model should know only when it matters: an entry is told when one of its keys occurs in " +
              "the chat. Bring in SillyTavern's, or write your own.",
            bringIn(),
            make(),
          )
        : h(
            "ul",
            { class: "shelf-rows" },
            books.map((book) => row(book, again)),
          ),
    "Taking the books down…",
  );
  dropAnywhere(place, "Let go, and the lorebooks come in", takeIn);
  fill(
    place,
    pageHead("Lorebooks", "What the world knows, told when a key occurs in the chat.", bringIn(), make()),
    coming,
    list,
  );
  follow(["lorebooks"], look);
  return again();
}

/** @param {{name: string, entries: number, damaged?: boolean}} book @param {() => Promise<void>} again */
function row(book, again) {
  return h(
    "li",
    null,
    icon("scroll"),
    h(
      "div",
      { class: "row-words" },
      h("strong", { dir: "auto" }, h("a", { href: `/lorebooks?name=${part(book.name)}` }, book.name)),
      h(
        "span",
        { class: "hint" },
        book.damaged ? "cannot be read; the file is left as it is" : count(book.entries, "entry", "entries"),
      ),
    ),
    h(
      "div",
      { class: "row-actions" },
      h(
        "a",
        {
          class: "button small",
          href: pathOf(book.name),
          download: `${book.name}.json`,
          "aria-label": `Download ${book.name}`,
        },
        "Download",
      ),
      button(
        "Delete",
        () =>
          remove(book.name, async () => {
            say(isInTrash(`“${book.name}”`), h("a", { href: "/trash" }, "Look"));
            await again();
          }),
        "small",
        `Delete ${book.name}`,
      ),
    ),
  );
}

function newBook() {
  const name = field("Name", { maxlength: "100", autocomplete: "off", dir: "auto" });
  askDialog({
    title: "A new lorebook",
    body: [name.root],
    submit: "Begin",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      await put(pathOf(wanted), { entries: {} });
      location.assign(`/lorebooks?name=${part(wanted)}`);
    },
  });
}

/** @param {string} name @param {() => Promise<void>} done */
function remove(name, done) {
  askDialog({
    title: `Delete “${name}”?`,
    body: [
      h(
        "p",
        null,
        `${goesToTrash()} Characters that bring it along then come without it.`,
      ),
    ],
    submit: "Delete",
    danger: true,
    run: async () => {
      await del(pathOf(name));
      await done();
    },
  });
}

/**
 * The entries of one book. Each entry is a field of its own for saves that come too late: two windows that have changed
 * different entries both win.
 * @param {HTMLElement} place @param {string} name @param {Me} me
 */
async function bookPage(place, name, me) {
  const path = pathOf(name);
  /** All of the book beside its entries. @type {Book} */
  let rest = {};
  let isList = false;
  const load = async () => {
    const { value, version } = await getVersioned(path);
    ({ ...rest } = value);
    delete rest.entries;
    isList = Array.isArray(value.entries);
    return { version, values: Object.fromEntries(listed(value.entries)) };
  };
  const entries = h("section", { class: "sheet", "aria-label": "Entries" });
  /** @type {Editing} */
  const editing = new Editing({
    draft: `${me.handle}:lorebook:${name}`,
    load,
    save: async (version, changes) => {
      /** @type {Record<string, Entry>} */
      const all = { ...editing.current, ...changes };
      const kept = Object.entries(all).filter(([, entry]) => entry !== undefined);
      const body = { ...rest, entries: isList ? kept.map(([, entry]) => entry) : Object.fromEntries(kept) };
      await put(path, body, { "If-Match": version });
      return load();
    },
    label: (key) => nameOf("world", editing.current[key] ?? editing.mine[key] ?? {}),
    words: (entry) => `${nameOf("world", entry)}\n\n${entry.content ?? ""}`,
    draw: (values) =>
      drawEntries(entries, {
        kind: "world",
        entries: Object.entries(values).filter(([, entry]) => entry !== undefined),
        add: () => {
          const id = Math.max(-1, ...Object.keys(editing.values).map(Number).filter(Number.isFinite)) + 1;
          return [String(id), blank("world", id)];
        },
        change: (key, entry) => editing.set(key, entry),
      }),
    saved: "The lorebook is saved.",
  });
  document.title = `${name} · Tavernkeep`;
  fill(
    place,
    back("/lorebooks", "All lorebooks"),
    pageHead(
      h("bdi", null, name),
      null,
      h("a", { class: "button", href: path, download: `${name}.json` }, icon("take"), "Download"),
      button(
        [icon("trash"), "Delete"],
        () => remove(name, async () => sayThere("/lorebooks", isInTrash(`“${name}”`))),
        "danger-quiet",
      ),
    ),
    entries,
    editing.bar.root,
  );
  follow(["lorebooks"], () => editing.look(entries));
  await editing.open();
}
