// The page of personas: who you are in the chats.
import { del, get, patch, post, put } from "../api.js";
import { CARD_PICTURE } from "../cropper.js";
import { askDialog, openDialog } from "../dialog.js";
import { define, fill, h } from "../dom.js";
import { busy, complain, field, form, refuse } from "../form.js";
import { openPage, portrait } from "../frame.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { say, showing } from "../messages.js";
import { goesToTrash, isInTrash } from "../trash.js";
import { pictureEditor } from "../picture.js";
import { area, button, choice, emptyRoom, fold, ownPicture, pageHead, part } from "./parts.js";

/** @import {Persona} from "./types.js" */

define("tk-personas", (element) =>
  openPage(element, (place) => {
    const list = h("div", null);
    const { again, look } = showing(
      list,
      () => get("/api/v1/personas"),
      (/** @type {{default: string | null, items: Persona[]}} */ { items }, again) => draw(items, again),
      "Looking into the mirror…",
    );
    fill(
      place,
      pageHead(
        "Personas",
        "Who you are in the chats: {{user}} becomes their name, and the model reads their description.",
        make(again),
      ),
      list,
    );
    follow(["personas"], look);
    return again();
  }),
);

/** @param {() => Promise<void>} again */
const make = (again) => button([icon("plus"), "New persona"], () => newPersona(again), "primary");

/** @param {Persona[]} personas @param {() => Promise<void>} again */
function draw(personas, again) {
  if (personas.length === 0)
    return emptyRoom(
      "mask",
      "You go by your own name",
      "A persona gives you another name, a picture and a description in the chats. The default one is used where a chat names none.",
      make(again),
    );
  return h(
    "ul",
    { class: "shelf-rows personas" },
    personas.map((persona) => row(persona, again)),
  );
}

/** @param {Persona} persona @param {() => Promise<void>} again */
function row(persona, again) {
  const path = `/api/v1/personas/${part(persona.id)}`;
  const error = h("div", { class: "row-error", role: "alert" });
  const choose = button(
    "Make default",
    () => {
      void busy(choose, async () => {
        await post(`${path}/default`);
        say(`You are ${persona.name} from now on, where a chat says nothing else.`);
        await again();
      }).catch((reason) => complain(error, reason));
    },
    "small",
    `Make default: ${persona.name}`,
  );
  return h(
    "li",
    null,
    portrait(ownPicture(persona.avatar), "large"),
    h(
      "div",
      { class: "row-words" },
      h("strong", { dir: "auto" }, persona.name),
      h("span", { class: "hint persona-words", dir: "auto" }, persona.description || "No description yet."),
    ),
    persona.default && h("span", { class: "badge" }, icon("check"), "default"),
    h(
      "div",
      { class: "row-actions" },
      button("Edit", () => edit(persona, path, again), "small", `Edit ${persona.name}`),
      !persona.default && choose,
      button("Delete", () => remove(persona, path, again), "small", `Delete ${persona.name}`),
    ),
    error,
  );
}

/** The two fields that a persona has beside its picture. @param {string} name @param {string} description */
function personaFields(name, description) {
  return {
    name: field("Name", { value: name, maxlength: "100", autocomplete: "off", dir: "auto" }),
    description: area(
      "Description",
      { value: description, rows: 4 },
      "What the model should know about you here. Empty is fine.",
    ),
  };
}

/** Where a description can stand. @type {[string, string][]} */
const positions = [
  ["0", "Among the instructions"],
  ["2", "Above the author's note"],
  ["3", "Below the author's note"],
  ["4", "In the chat, at a depth"],
  ["9", "Nowhere: only the name is used"],
];

/** @type {[string, string][]} */
const roles = [
  ["0", "System"],
  ["1", "User"],
  ["2", "Character"],
];

/** Where the description stands in the prompt. @param {Persona} persona */
function placeFields(persona) {
  const position = choice("Where the description stands", positions, String(persona.position ?? 0));
  const depth = field(
    "Depth",
    { type: "number", min: "0", max: "999", value: persona.depth ?? 2, inputmode: "numeric" },
    "0 is below the last message.",
  );
  const role = choice("Said by", roles, String(persona.role ?? 0));
  const deep = h("div", { class: "grid-two" }, depth.root, role.root);
  const suit = () => (deep.hidden = position.input.value !== "4");
  position.input.addEventListener("change", suit);
  suit();
  /** Only what was changed: a file of SillyTavern's keeps what it does not say. */
  const read = () => ({
    ...(position.input.value === String(persona.position ?? 0) ? {} : { position: Number(position.input.value) }),
    ...(deep.hidden || !Number.isFinite(depth.input.valueAsNumber)
      ? {}
      : { depth: depth.input.valueAsNumber, role: Number(role.input.value) }),
  });
  return { root: [position.root, deep], read };
}

/** @param {() => Promise<void>} again */
function newPersona(again) {
  const { name, description } = personaFields("", "");
  askDialog({
    title: "A new persona",
    body: [name.root, description.root],
    submit: "Make it",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      await post("/api/v1/personas", { name: wanted, description: description.input.value });
      say(`${wanted} is there. A picture can be hung under “Edit”.`);
      await again();
    },
  });
}

/** @param {Persona} persona @param {string} path @param {() => Promise<void>} again */
function edit(persona, path, again) {
  const { name, description } = personaFields(persona.name, persona.description);
  const picture = pictureEditor(ownPicture(persona.avatar), false, `${path}/picture`, undefined, {
    form: CARD_PICTURE,
    put: async (png) => {
      const now = await put(`${path}/picture`, png);
      return { avatar: ownPicture(now.avatar) };
    },
  });
  const place = placeFields(persona);
  const made = form({
    body: [name.root, description.root, fold("More", () => place.root)],
    submit: "Save",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      await patch(path, { version: persona.version, name: wanted, description: description.input.value, ...place.read() });
      say(`${wanted} is saved.`);
      close();
    },
  });
  const { close } = openDialog(persona.name, h("div", { class: "persona-sheet" }, picture, made.root), {
    wide: true,
    onClose: () => void again(),
  });
  name.input.focus();
}

/** @param {Persona} persona @param {string} path @param {() => Promise<void>} again */
function remove(persona, path, again) {
  askDialog({
    title: `Delete ${persona.name}?`,
    body: [
      h(
        "p",
        null,
        `${goesToTrash()} What you said under this name stays in the chats.`,
      ),
    ],
    submit: "Delete",
    danger: true,
    run: async () => {
      await del(path);
      say(isInTrash(persona.name), h("a", { href: "/trash" }, "Look"));
      await again();
    },
  });
}
