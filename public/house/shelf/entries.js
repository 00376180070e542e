// The entries of a lorebook, in a card or in a file of its own: one editor for both, which keeps every field it does not know.
import { fill, h } from "../dom.js";
import { field, tick } from "../form.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { area, button, choice, fold, settled } from "./parts.js";

/** @import {Entry} from "./types.js" */

/** Where each kind of book keeps what: `card` is the lorebook inside a character card, `world` a file of its own.
 * @typedef {"card" | "world"} Kind */

/** @type {Record<Kind, Record<string, string[]>>} */
const places = {
  card: {
    title: ["comment"],
    keys: ["keys"],
    secondary: ["secondary_keys"],
    content: ["content"],
    constant: ["constant"],
    selective: ["selective"],
    enabled: ["enabled"],
    order: ["insertion_order"],
    position: ["extensions", "position"],
    depth: ["extensions", "depth"],
    role: ["extensions", "role"],
    probability: ["extensions", "probability"],
    logic: ["extensions", "selectiveLogic"],
    caseSensitive: ["extensions", "case_sensitive"],
    wholeWords: ["extensions", "match_whole_words"],
    scanDepth: ["extensions", "scan_depth"],
    notByOthers: ["extensions", "exclude_recursion"],
    callsNobody: ["extensions", "prevent_recursion"],
    group: ["extensions", "group"],
  },
  world: {
    title: ["comment"],
    keys: ["key"],
    secondary: ["keysecondary"],
    content: ["content"],
    constant: ["constant"],
    selective: ["selective"],
    enabled: ["disable"],
    order: ["order"],
    position: ["position"],
    depth: ["depth"],
    role: ["role"],
    probability: ["probability"],
    logic: ["selectiveLogic"],
    caseSensitive: ["caseSensitive"],
    wholeWords: ["matchWholeWords"],
    scanDepth: ["scanDepth"],
    notByOthers: ["excludeRecursion"],
    callsNobody: ["preventRecursion"],
    group: ["group"],
  },
};

/** @type {[string, string][]} */
const positions = [
  ["0", "Before the character"],
  ["1", "After the character"],
  ["5", "Before the example messages"],
  ["6", "After the example messages"],
  ["2", "Above the author's note"],
  ["3", "Below the author's note"],
  ["4", "In the chat, at a depth"],
];

/** @type {[string, string][]} */
const roles = [
  ["0", "System"],
  ["1", "User"],
  ["2", "Character"],
];

/** @type {[string, string][]} */
const logics = [
  ["0", "any of them is there too"],
  ["3", "all of them are there too"],
  ["2", "none of them is there"],
  ["1", "not all of them are there"],
];

/** @type {[string, string][]} */
const threeWays = [
  ["", "As the settings say"],
  ["true", "Yes"],
  ["false", "No"],
];

/** One thing of an entry. @param {Kind} kind @param {Entry} entry @param {string} what @returns {any} */
export function read(kind, entry, what) {
  if (what === "enabled") return kind === "world" ? entry.disable !== true : entry.enabled !== false;
  /** @type {any} */
  let value = entry;
  for (const step of places[kind][what]) value = value?.[step];
  if (what === "position" && kind === "card" && typeof value !== "number")
    return entry.position === "after_char" ? 1 : 0;
  return value;
}

/** The entry with one thing changed; all its other fields stay. @param {Kind} kind @param {Entry} entry @param {string} what
 * @param {any} value @returns {Entry} */
export function write(kind, entry, what, value) {
  const made = structuredClone(entry);
  if (what === "enabled") {
    if (kind === "world") made.disable = !value;
    else made.enabled = value;
    return made;
  }
  const [first, second] = places[kind][what];
  if (second) {
    const inner = /** @type {Entry} */ (made[first] && typeof made[first] === "object" ? made[first] : {});
    inner[second] = value;
    made[first] = inner;
  } else made[first] = value;
  if (kind === "card") {
    if (what === "position") made.position = value === 0 ? "before_char" : "after_char";
    if (what === "caseSensitive" && "case_sensitive" in made) made.case_sensitive = value;
    if (what === "probability") /** @type {Entry} */ (made.extensions).useProbability = true;
  } else if (what === "probability") made.useProbability = true;
  return made;
}

/** A new entry, as this kind of book has them. @param {Kind} kind @param {number} id @returns {Entry} */
export function blank(kind, id) {
  if (kind === "card")
    return {
      id,
      keys: [],
      secondary_keys: [],
      comment: "",
      content: "",
      constant: false,
      selective: false,
      insertion_order: 100,
      enabled: true,
      position: "before_char",
      extensions: { position: 0, depth: 4, role: 0, probability: 100, useProbability: true, selectiveLogic: 0 },
    };
  return {
    uid: id,
    key: [],
    keysecondary: [],
    comment: "",
    content: "",
    constant: false,
    selective: true,
    selectiveLogic: 0,
    order: 100,
    position: 0,
    disable: false,
    probability: 100,
    useProbability: true,
    depth: 4,
    role: 0,
  };
}

/** Keys as one line, and back. A key that is a pattern may hold commas between its slashes. @param {unknown} keys */
const joined = (keys) => (Array.isArray(keys) ? keys.join(", ") : "");

/** @param {string} text @returns {string[]} */
export function split(text) {
  const found = text.match(/\s*\/(?:\\.|[^\\/])+\/[a-z]*(?=\s*(?:,|$))|[^,]+/g) ?? [];
  return found.map((key) => key.trim()).filter(Boolean);
}

/** What names an entry to a reader. @param {Kind} kind @param {Entry} entry */
export function nameOf(kind, entry) {
  const title = read(kind, entry, "title") || (typeof entry.name === "string" ? entry.name : "");
  return title || joined(read(kind, entry, "keys")) || "Without a name";
}

/**
 * The list of entries with an editor under each.
 * @param {object} book
 * @param {Kind} book.kind
 * @param {[key: string, entry: Entry][]} book.entries
 * @param {(key: string, entry: Entry | undefined) => void} book.change
 * @param {() => [key: string, entry: Entry]} book.add makes a new one
 */
export function entryList({ kind, entries, change, add }) {
  const list = h("div", { class: "entries" });
  const tally = h("p", { class: "tally", role: "status" });
  /** @type {Map<string, {root: HTMLElement, entry: Entry}>} */
  const rows = new Map();
  const tell = () => (tally.textContent = rows.size === 0 ? "No entries yet." : count(rows.size, "entry", "entries"));
  /** @param {string} key @param {Entry} entry @param {boolean} [open] */
  const append = (key, entry, open) => {
    const held = {
      entry,
      root: row(kind, entry, {
        open,
        change: (next) => {
          held.entry = next;
          change(key, next);
        },
        remove: () => {
          held.root.remove();
          rows.delete(key);
          change(key, undefined);
          tell();
          more.focus();
        },
      }),
    };
    rows.set(key, held);
    list.append(held.root);
    return held.root;
  };
  for (const [key, entry] of entries) append(key, entry);
  const seek = h("input", { type: "search", placeholder: "Words or keys", "aria-label": "Search the entries" });
  const find = settled(120, () => {
    const wanted = seek.value.trim().toLowerCase();
    for (const { root, entry } of rows.values())
      root.hidden =
        wanted !== "" &&
        !`${nameOf(kind, entry)} ${joined(read(kind, entry, "keys"))} ${read(kind, entry, "content")}`
          .toLowerCase()
          .includes(wanted);
  });
  seek.addEventListener("input", find);
  const more = button([icon("plus"), "New entry"], () => {
    const [key, entry] = add();
    const made = append(key, entry, true);
    change(key, entry);
    tell();
    made.scrollIntoView({ block: "center" });
    made.querySelector("input")?.focus();
  });
  tell();
  return h(
    "div",
    null,
    entries.length > 8 && h("div", { class: "tools" }, h("div", { class: "seek" }, icon("search"), seek)),
    tally,
    list,
    h("div", { class: "actions" }, more),
  );
}

/** @param {Kind} kind @param {Entry} entry @param {{open?: boolean, change: (next: Entry) => void, remove: () => void}} act */
function row(kind, entry, { open, change, remove }) {
  const title = h("span", { class: "entry-title", dir: "auto" });
  const marks = h("span", { class: "hint" });
  /** @param {Entry} now */
  const head = (now) => {
    title.textContent = nameOf(kind, now);
    const said = [
      !read(kind, now, "enabled") && "off",
      read(kind, now, "constant") ? "always" : joined(read(kind, now, "keys")) === "" ? "no keys" : "",
      `order ${read(kind, now, "order") ?? 100}`,
    ];
    marks.textContent = said.filter(Boolean).join(" · ");
    root.classList.toggle("asleep", !read(kind, now, "enabled"));
  };
  const root = fold(title, () => editor(kind, entry, { change: (next) => (head(next), change(next)), remove }), {
    open,
    hint: marks,
  });
  root.classList.add("entry");
  head(entry);
  return root;
}

/** @param {Kind} kind @param {Entry} entry @param {{change: (next: Entry) => void, remove: () => void}} act */
function editor(kind, entry, { change, remove }) {
  let now = entry;
  /** @param {string} what @param {any} value */
  const put = (what, value) => {
    now = write(kind, now, what, value);
    change(now);
  };
  /** @param {string} what @returns {any} */
  const of = (what) => read(kind, now, what);
  /** @param {string} label @param {string} what @param {string} [hint] */
  const words = (label, what, hint) => {
    const made = field(label, { value: of(what) ?? "", autocomplete: "off", dir: "auto" }, hint);
    made.input.addEventListener("input", () => put(what, made.input.value));
    return made.root;
  };
  /** @param {string} label @param {string} what @param {string} [hint] */
  const keys = (label, what, hint) => {
    const made = field(label, { value: joined(of(what)), autocomplete: "off", spellcheck: "false", dir: "auto" }, hint);
    made.input.addEventListener("input", () => put(what, split(made.input.value)));
    return made.root;
  };
  /** @param {string} label @param {string} what @param {number} fallback @param {Record<string, string>} range @param {string} [hint] */
  const number = (label, what, fallback, range, hint) => {
    const made = field(
      label,
      { type: "number", value: of(what) ?? (Number.isNaN(fallback) ? "" : fallback), inputmode: "numeric", ...range },
      hint,
    );
    made.input.addEventListener("input", () => {
      const value = made.input.valueAsNumber;
      if (Number.isFinite(value)) put(what, value);
      else if (made.input.value === "" && Number.isNaN(fallback)) put(what, null);
    });
    return made.root;
  };
  /** @param {string} label @param {string} what @param {string} [hint] */
  const yes = (label, what, hint) => {
    const made = tick(label, of(what) === true, hint);
    made.input.addEventListener("change", () => put(what, made.input.checked));
    return made.root;
  };
  /** @param {string} label @param {string} what @param {[string, string][]} options @param {any} fallback @param {(value: string) => any} parse */
  const pick = (label, what, options, fallback, parse) => {
    const made = choice(label, options, String(of(what) ?? fallback));
    made.input.addEventListener("change", () => {
      put(what, parse(made.input.value));
      if (what === "position") depth.hidden = made.input.value !== "4";
    });
    return made.root;
  };
  /** @param {string} value */
  const three = (value) => (value === "" ? null : value === "true");
  const content = area(
    "What is told",
    { value: of("content") ?? "", rows: 4 },
    "Goes into the prompt when a key occurs in the last messages. Macros such as {{char}} and {{user}} work.",
  );
  content.input.addEventListener("input", () => put("content", content.input.value));
  const depth = h(
    "div",
    { class: "grid-two" },
    number("Depth", "depth", 4, { min: "0", max: "999" }, "0 is below the last message."),
    pick("Said by", "role", roles, 0, Number),
  );
  depth.hidden = String(of("position") ?? 0) !== "4";
  return [
    words("Title", "title", "For you; the model never sees it."),
    keys("Keys", "keys", "Words that call this up, with commas between; /patterns/i work too."),
    content.root,
    h(
      "div",
      { class: "ticks" },
      yes("In use", "enabled"),
      yes("Always told", "constant", "Whether or not a key occurs."),
    ),
    h(
      "div",
      { class: "grid-two" },
      pick("Where", "position", positions, 0, Number),
      number("Order", "order", 100, {}, "Higher stands nearer to the end and is kept longer."),
    ),
    depth,
    fold("More", () => [
      yes("Second keys as well", "selective"),
      keys("Second keys", "secondary"),
      pick("Told when", "logic", logics, 0, Number),
      h(
        "div",
        { class: "grid-three" },
        number("Chance in %", "probability", 100, { min: "0", max: "100" }),
        number(
          "Looks back",
          "scanDepth",
          NaN,
          { min: "0", max: "1000", placeholder: "as set" },
          "Messages; empty: as the settings say.",
        ),
        words("Group", "group", "Of one group only one is told."),
        pick("Capitals matter", "caseSensitive", threeWays, "", three),
        pick("Whole words only", "wholeWords", threeWays, "", three),
      ),
      yes("Not called up by other entries", "notByOthers"),
      yes("Calls up no other entries", "callsNobody"),
    ]),
    h("div", { class: "actions" }, button([icon("trash"), "Remove this entry"], remove, "danger-quiet small")),
  ];
}

/** A list of entries out of what a book holds, whatever its form: an array, or an object by number.
 * @param {unknown} entries @returns {[string, Entry][]} */
export function listed(entries) {
  if (!entries || typeof entries !== "object") return [];
  return Object.entries(entries).filter(([, entry]) => entry && typeof entry === "object");
}

/** Draws the entries of a place anew. @param {HTMLElement} place @param {Parameters<typeof entryList>[0]} book */
export const drawEntries = (place, book) => fill(place, entryList(book));
