// One character: every field of the card, its picture, its lorebook, and what can be done with the whole of it.
import { del, get, patch, post, put } from "../api.js";
import { CARD_PICTURE } from "../cropper.js";
import { askDialog } from "../dialog.js";
import { fill, h, undisturbed } from "../dom.js";
import { busy, complain, field, refuse, tick } from "../form.js";
import { sayThere } from "../frame.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { setMarkup } from "../markup.js";
import { goesToTrash, isInTrash } from "../trash.js";
import { pictureEditor } from "../picture.js";
import { Editing } from "./editing.js";
import { blank, drawEntries, listed, nameOf } from "./entries.js";
import { area, back, button, chatPath, choice, fold, ownPicture, part } from "./parts.js";

/** @import {Area} from "./parts.js" */
/** @import {Book, Character, DepthPrompt} from "./types.js" */
/** @import {Me} from "../types.js" */

/** The fields of a card that the editor may change, with their names for people. @type {Record<string, string>} */
const fields = {
  description: "Description",
  personality: "Personality",
  scenario: "Scenario",
  firstMessage: "First message",
  alternateGreetings: "Other greetings",
  exampleMessages: "Example messages",
  systemPrompt: "System prompt",
  postHistoryInstructions: "After the chat",
  depthPrompt: "Note in the chat",
  talkativeness: "Talkativeness",
  world: "Lorebook that comes along",
  lorebook: "The card's own lorebook",
  tags: "Tags",
  creator: "Made by",
  characterVersion: "Version of the card",
  creatorNotes: "Notes of the maker",
};

/** @param {Character} view */
function stateOf(view) {
  const values = Object.fromEntries(Object.keys(fields).map((key) => [key, /** @type {any} */ (view)[key] ?? null]));
  return { version: view.version, values: { ...values, world: view.world ?? "" } };
}

/** A value of a field as people read it. @param {any} value @returns {string} */
function words(value) {
  if (Array.isArray(value)) return value.every((one) => one.length < 40) ? value.join(", ") : value.join("\n\n---\n\n");
  if (value && typeof value === "object") {
    if ("prompt" in value) return `${value.prompt}\n(depth ${value.depth}, ${value.role})`;
    const entries = listed(value.entries).map(([, entry]) => entry);
    return entries.length > 0
      ? entries.map((entry) => `${nameOf("card", entry)}: ${entry.content ?? ""}`).join("\n\n")
      : "No entries";
  }
  return String(value ?? "");
}

/** @param {HTMLElement} place @param {string} id @param {Me} me */
export async function characterEditor(place, id, me) {
  const path = `/api/v1/characters/${part(id)}`;
  /** @type {Character} */
  let view = await get(path);
  document.title = `${view.name} · Tavernkeep`;
  const sheets = h("div", { class: "sheets" });
  const notes = h("div", { class: "notes-shown" });
  const showNotes = () => {
    notes.hidden = !view.creatorNotesHtml;
    setMarkup(notes, view.creatorNotesHtml ?? "");
  };
  const editing = new Editing({
    draft: `${me.handle}:character:${id}`,
    load: async () => stateOf((view = await get(path))),
    save: async (version, changes) => {
      view = await patch(path, { version, ...changes });
      showNotes();
      return stateOf(view);
    },
    label: (key) => fields[key] ?? key,
    words,
    draw: (values) => fill(sheets, draw(values, editing, notes)),
    saved: "Saved.",
  });
  const besides = h("aside", { class: "one-side", "aria-label": "The card" });
  const drawSide = () =>
    fill(
      besides,
      side(
        path,
        editing,
        () => view,
        (next) => (view = next),
      ),
    );
  drawSide();
  fill(
    place,
    back("/characters", "All characters"),
    h("h1", null, h("bdi", null, view.name || id)),
    view.damaged &&
      h(
        "div",
        { class: "alert", role: "alert" },
        icon("warn"),
        h(
          "div",
          null,
          h("strong", null, "This card cannot be read. "),
          "The file is left as it is; its picture can still be seen. ",
          typeof view.damaged === "string" ? view.damaged : "",
        ),
      ),
    h(
      "div",
      { class: "one" },
      besides,
      h("div", null, sheets, editing.bar.root),
    ),
  );
  showNotes();
  follow(["characters"], async () => {
    const { avatar, favorite } = view;
    await editing.look(sheets);
    showNotes();
    if (avatar !== view.avatar || favorite !== view.favorite) undisturbed(besides, drawSide);
  });
  await editing.open();
}

/**
 * The picture, and what can be done with the card as a whole.
 * @param {string} path @param {Editing} editing @param {() => Character} now @param {(view: Character) => void} became
 */
function side(path, editing, now, became) {
  const error = h("div", { role: "alert" });
  /** Runs an act of a button and says what went wrong. @param {HTMLButtonElement} pressed @param {() => Promise<void>} work */
  const act = (pressed, work) => {
    fill(error);
    void busy(pressed, work).catch((reason) => complain(error, reason));
  };
  const picture = pictureEditor(ownPicture(now().avatar), false, `${path}/picture`, undefined, {
    form: CARD_PICTURE,
    put: async (png) => {
      became(await put(`${path}/picture`, png));
      editing.rebase(stateOf(now()));
      return { avatar: now().avatar };
    },
  });
  const star = button(
    [icon("star"), "Favourite"],
    () =>
      act(star, async () => {
        const favorite = star.getAttribute("aria-pressed") !== "true";
        const version = editing.dirty ? (await get(path)).version : editing.version;
        became(await patch(path, { version, favorite }));
        editing.rebase(stateOf(now()));
        star.setAttribute("aria-pressed", String(favorite));
      }),
    "toggle",
  );
  star.setAttribute("aria-pressed", String(now().favorite));
  const twin = button([icon("copy"), "Duplicate"], () =>
    act(twin, async () => {
      const made = await post(`${path}/duplicate`);
      sayThere(`/characters?id=${part(made.id)}`, "This is the copy.");
    }),
  );
  /** @param {string} format */
  const out = (format) =>
    h(
      "a",
      {
        class: "button",
        href: `${path}/export?format=${format}`,
        download: true,
        "aria-label": `Download as ${format.toUpperCase()}`,
      },
      format.toUpperCase(),
    );
  return [
    picture,
    h("a", { class: "button primary", href: chatPath({ character: now().id }) }, icon("chat"), "Talk"),
    star,
    h("hr", null),
    h("div", { class: "exports", role: "group", "aria-label": "Take it along" }, out("png"), out("json"), out("charx")),
    twin,
    button([icon("pen"), "Rename"], () => rename(path, now(), editing)),
    button([icon("trash"), "Delete"], () => remove(path, now()), "danger-quiet"),
    error,
  ];
}

/** @param {string} path @param {Character} view @param {Editing} editing */
function rename(path, view, editing) {
  const name = field(
    "Name",
    { value: view.name, maxlength: "100", autocomplete: "off" },
    "The card's file and its chats are renamed along.",
  );
  askDialog({
    title: `Rename ${view.name}`,
    body: [
      editing.dirty && h("p", { class: "warning" }, "Save or discard your changes first; they belong to the old name."),
      name.root,
    ],
    submit: "Rename",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      if (editing.dirty) refuse(name, "Save or discard your changes first.");
      const now = await post(`${path}/rename`, { name: wanted });
      sayThere(`/characters?id=${part(now.id)}`, `The name is ${now.name} now.`);
    },
  });
}

/** @param {string} path @param {Character} view */
function remove(path, view) {
  const chats = tick("Their chats as well", false, "Otherwise the chats stay, and come back into view with the card.");
  askDialog({
    title: `Delete ${view.name}?`,
    body: [h("p", null, goesToTrash()), chats.root],
    submit: "Delete",
    danger: true,
    run: async () => {
      await del(`${path}?chats=${chats.input.checked}`);
      sayThere("/characters", isInTrash(view.name));
    },
  });
}

/** All sheets of fields. @param {Record<string, any>} values @param {Editing} editing @param {HTMLElement} notes */
function draw(values, editing, notes) {
  /** @param {string} key @param {string} [hint] @param {number} [rows] */
  const text = (key, hint, rows = 3) =>
    measured(fields[key], values[key] ?? "", (value) => editing.set(key, value), hint, rows).root;
  /** @param {string} key @param {string} [hint] */
  const line = (key, hint) => {
    const made = field(fields[key], { value: values[key] ?? "", autocomplete: "off", dir: "auto" }, hint);
    made.input.addEventListener("input", () => editing.set(key, made.input.value));
    return made.root;
  };
  const greetings = /** @type {string[]} */ (values.alternateGreetings ?? []);
  const entries = listed(values.lorebook?.entries).length;
  return [
    h(
      "section",
      { class: "sheet", "aria-labelledby": "who" },
      h("h2", { id: "who" }, "Who they are"),
      text("description", "Looks, manner, history: whatever the model should always know.", 6),
      fold(
        "Personality and scenario",
        () => [text("personality", "In a few words."), text("scenario", "Where and when you meet.")],
        {
          open: Boolean(values.personality || values.scenario),
        },
      ),
      fold(
        "How it begins",
        () => [
          text("firstMessage", "What they say first. It sets tone and length of all that follows.", 5),
          greetingList(greetings, editing),
        ],
        {
          open: true,
          hint: greetings.length > 0 ? count(greetings.length + 1, "greeting") : undefined,
        },
      ),
      fold(
        "Example messages",
        () =>
          text(
            "exampleMessages",
            "Each example begins with a line <START>; {{user}}: and {{char}}: say who speaks.",
            5,
          ),
        {
          open: Boolean(values.exampleMessages),
        },
      ),
    ),
    h(
      "section",
      { class: "sheet", "aria-labelledby": "scenes" },
      h("h2", { id: "scenes" }, "Behind the scenes"),
      fold(
        "Instructions",
        () => [
          text("systemPrompt", "In place of your own system prompt; {{original}} puts that in."),
          text("postHistoryInstructions", "Told after the last message; {{original}} puts your own in."),
          depthPrompt(values.depthPrompt, editing),
          talkativeness(values.talkativeness, editing),
        ],
        { open: Boolean(values.systemPrompt || values.postHistoryInstructions || values.depthPrompt?.prompt) },
      ),
      fold("Lorebook", () => [worldChoice(values.world, editing), lorebook(values.lorebook, editing)], {
        hint: entries > 0 ? count(entries, "entry", "entries") : undefined,
        open: entries > 0 && entries <= 8,
      }),
    ),
    h(
      "section",
      { class: "sheet", "aria-labelledby": "about" },
      h("h2", { id: "about" }, "About the card"),
      tagsField(values.tags ?? [], editing),
      h("div", { class: "grid-two" }, line("creator"), line("characterVersion")),
      notes,
      fold(
        "Notes of the maker",
        () => text("creatorNotes", "For people; the model never sees them. Markdown works.", 4),
        { open: !values.creatorNotes },
      ),
    ),
  ];
}

/** A long text with its length in tokens, estimated. @param {string} label @param {string} value @param {(value: string) => void} put
 * @param {string} [hint] @param {number} [rows] @returns {Area} */
function measured(label, value, put, hint, rows = 3) {
  const aside = h("span", { class: "hint" });
  const made = area(label, { value, rows, spellcheck: "true" }, hint, { aside });
  const tell = () => {
    const about = Math.ceil(made.input.value.length / 4);
    aside.textContent = about > 0 ? `about ${count(about, "token")}` : "";
  };
  made.input.addEventListener("input", () => {
    tell();
    put(made.input.value);
  });
  tell();
  return made;
}

/** The other greetings, which can be swiped to at the beginning of a chat. @param {string[]} greetings @param {Editing} editing */
function greetingList(greetings, editing) {
  const place = h("div", { class: "greetings" });
  let now = [...greetings];
  /** @param {string[]} next @param {number} [focus] */
  const put = (next, focus) => {
    now = next;
    editing.set("alternateGreetings", [...now]);
    redraw(focus);
  };
  /** @param {number} [focus] */
  const redraw = (focus) => {
    fill(
      place,
      now.map((text, index) => {
        const made = measured(`Greeting ${index + 2}`, text, (value) => {
          now[index] = value;
          editing.set("alternateGreetings", [...now]);
        });
        const swapped = [...now];
        if (index > 0) [swapped[index - 1], swapped[index]] = [now[index], now[index - 1]];
        return h(
          "div",
          { class: "greeting" },
          made.root,
          h(
            "div",
            { class: "row-actions" },
            index > 0 &&
              button([icon("up"), "Earlier"], () => put(swapped, index - 1), "small", `Greeting ${index + 2}: earlier`),
            button(
              [icon("trash"), "Remove"],
              () =>
                put(
                  now.filter((_, at) => at !== index),
                  Math.max(0, index - 1),
                ),
              "small",
              `Remove greeting ${index + 2}`,
            ),
          ),
        );
      }),
      button([icon("plus"), "Another greeting"], () => put([...now, ""], now.length), "small"),
    );
    if (focus === undefined) return;
    const target = place.querySelectorAll("textarea")[focus] ?? place.querySelector("button");
    target?.focus();
  };
  redraw();
  return place;
}

/** @param {DepthPrompt | null} value @param {Editing} editing */
function depthPrompt(value, editing) {
  let now = { prompt: "", depth: 4, role: "system", ...value };
  /** @param {Partial<DepthPrompt>} change */
  const put = (change) => {
    now = { ...now, ...change };
    editing.set("depthPrompt", now.prompt === "" && !value ? null : now);
  };
  const prompt = measured(
    "Note in the chat",
    now.prompt,
    (text) => put({ prompt: text }),
    "Stands among the messages, so that it is not forgotten.",
  );
  const depth = field(
    "At depth",
    { type: "number", min: "0", max: "999", value: now.depth, inputmode: "numeric" },
    "0 is below the last message.",
  );
  depth.input.addEventListener("input", () => {
    if (Number.isFinite(depth.input.valueAsNumber)) put({ depth: depth.input.valueAsNumber });
  });
  const role = choice(
    "Said by",
    [
      ["system", "System"],
      ["user", "User"],
      ["assistant", "Character"],
    ],
    now.role,
  );
  role.input.addEventListener("change", () => put({ role: role.input.value }));
  return h("div", null, prompt.root, h("div", { class: "grid-two" }, depth.root, role.root));
}

/** @param {number | null} value @param {Editing} editing */
function talkativeness(value, editing) {
  const made = field(
    "Talkativeness",
    { type: "range", min: "0", max: "1", step: "0.05", value: value ?? 0.5 },
    "How often they speak up in a group: shy at the left, chatty at the right.",
  );
  made.input.addEventListener("input", () => editing.set("talkativeness", made.input.valueAsNumber));
  return made.root;
}

/** The lorebook file that comes along with the card. @param {string | null} world @param {Editing} editing */
function worldChoice(world, editing) {
  const made = choice(
    "Lorebook that comes along",
    [["", "None"]],
    world ?? "",
    "Used in every chat with this character, beside the card's own entries.",
  );
  made.input.addEventListener("change", () => editing.set("world", made.input.value));
  get("/api/v1/lorebooks").then(
    (/** @type {{name: string}[]} */ books) => {
      const known = new Set([...made.input.options].map((option) => option.value));
      made.input.append(
        ...books.filter((book) => !known.has(book.name)).map((book) => h("option", { value: book.name }, book.name)),
      );
    },
    () => made.hint("The list of lorebooks could not be fetched; what is chosen stays."),
  );
  return made.root;
}

/** @param {Book | null} book @param {Editing} editing */
function lorebook(book, editing) {
  const place = h("div", null);
  const entries = new Map(listed(book?.entries));
  const put = () => {
    const list = [...entries.values()];
    editing.set("lorebook", list.length === 0 && !book ? null : { extensions: {}, ...book, entries: list });
  };
  drawEntries(place, {
    kind: "card",
    entries: [...entries],
    add: () => {
      const ids = [...entries.values()].map((entry) => (typeof entry.id === "number" ? entry.id : 0));
      const id = Math.max(0, ...ids) + 1;
      return [`new-${id}`, blank("card", id)];
    },
    change: (key, entry) => {
      if (entry) entries.set(key, entry);
      else entries.delete(key);
      put();
    },
  });
  return h("div", null, h("h3", null, "The card's own entries"), place);
}

/** @param {string[]} tags @param {Editing} editing */
function tagsField(tags, editing) {
  const made = field("Tags", { value: tags.join(", "), autocomplete: "off", dir: "auto" }, "With commas between.");
  made.root.classList.add("wide");
  made.input.addEventListener("input", () =>
    editing.set(
      "tags",
      made.input.value
        .split(",")
        .map((tag) => tag.trim())
        .filter(Boolean),
    ),
  );
  return made.root;
}
