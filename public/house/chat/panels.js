// The dialogs of a chat: the prompt part by part, the author's note, who speaks with what, rename, bring and take, keys.
import { get, post } from "../api.js";
import { askDialog, openDialog } from "../dialog.js";
import { fill, h } from "../dom.js";
import { field, refuse } from "../form.js";
import { count } from "../format.js";
import { errorPanel, say, show } from "../messages.js";
import { area, choice } from "../shelf/parts.js";
import { forDays } from "../trash.js";

/** @import {Room} from "./room.js" */
/** @import {Connections, Personas, Prompt} from "./types.js" */

/** @type {Record<string, string>} */
const parts = {
  main: "The first instruction",
  description: "Who the character is",
  personality: "Their nature",
  scenario: "The scene",
  persona: "Who you are",
  example: "Example talk",
  examples: "Example talk",
  history: "Message",
  note: "Author's note",
  lore: "Lorebook",
  "post-history": "The last instruction",
};

/** Who says how much the model can hold. */
const roomFrom = { set: "", model: " (as the model's server tells)", usual: " (nobody says how much it can hold)" };

/** @param {string} words */
const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** @param {string} name */
const partName = (name) => parts[name] ?? capital(name);

/** What the model would be sent now. @param {Room} room @param {string} draft @returns {Promise<Prompt>} */
export function promptOf(room, draft) {
  const { character, name: chat, version } = room;
  return post("/api/v1/prompts", { character, chat, version, kind: "reply", ...(draft.trim() ? { text: draft } : {}) });
}

/** @param {number} n @param {boolean} exact */
export const tokens = (n, exact) => `${exact ? "" : "about "}${count(n, "token")}`;

/** @param {Room} room @param {string} draft */
export function showPrompt(room, draft) {
  const place = h("div", { class: "prompt" });
  openDialog("What the model is sent", place, { wide: true });
  void show(
    place,
    async () => {
      const prompt = await promptOf(room, draft);
      const left = prompt.leftOut ?? { messages: 0, lore: 0, keys: 0 };
      return [
        h(
          "p",
          { class: "section-words" },
          `${capital(tokens(prompt.tokens, prompt.exact))} of ${prompt.context.toLocaleString()}${roomFrom[prompt.contextSource]}, ${prompt.reserved.toLocaleString()} of them kept free for the reply. `,
          prompt.exact ? "Counted with the model's own tokenizer." : "An estimate: this model's tokenizer is not known here.",
          left.messages > 0 && ` ${count(left.messages, "older message")} did not fit.`,
          left.lore > 0 && ` ${count(left.lore, "lorebook entry", "lorebook entries")} did not fit.`,
          left.keys > 0 && ` ${count(left.keys, "key")} of lorebooks ${left.keys === 1 ? "was" : "were"} not tried: too long, too hard, or too many.`,
        ),
        h(
          "ol",
          { class: "prompt-parts" },
          prompt.parts.map((one) =>
            h(
              "li",
              null,
              h(
                "details",
                null,
                h(
                  "summary",
                  null,
                  h("span", { class: "badge" }, one.role),
                  h("strong", null, partName(one.name)),
                  h("span", { class: "first-words", dir: "auto" }, one.text.slice(0, 240).replace(/\s+/g, " ").trim()),
                  h("span", { class: "hint" }, tokens(one.tokens, prompt.exact)),
                ),
                h("pre", { tabindex: 0, role: "group", "aria-label": partName(one.name), dir: "auto" }, one.text),
              ),
            ),
          ),
        ),
      ];
    },
    "Putting the prompt together…",
  );
}

/** @param {Room} room */
export function editNote(room) {
  const meta = room.chat?.metadata ?? {};
  const text = area("Note", { rows: 5, value: meta.note_prompt ?? "" }, "Goes into the prompt of this chat, near its end: a mood, a reminder, where the story should go.");
  const depth = field("Depth", { type: "number", min: 0, max: 10000, inputmode: "numeric", value: String(meta.note_depth ?? 4) }, "How many messages come after it. 0 puts it last.");
  const interval = field("Every … messages of yours", { type: "number", min: 0, max: 1000, inputmode: "numeric", value: String(meta.note_interval ?? 1) }, "1 sends it each time; 0 never.");
  const roles = ["system", "user", "assistant"];
  const role = choice(
    "Said by",
    [
      ["system", "The system"],
      ["user", "You"],
      ["assistant", "The character"],
    ],
    roles[Number(meta.note_role ?? 0)] ?? "system",
  );
  askDialog({
    title: "Author's note",
    body: [text.root, h("div", { class: "field-row" }, depth.root, interval.root, role.root)],
    submit: "Save",
    run: async () => {
      const number = (/** @type {HTMLInputElement} */ input) => Math.max(0, Math.round(Number(input.value)) || 0);
      await room.set({ note: { text: text.input.value, depth: number(depth.input), role: role.input.value, interval: number(interval.input) } });
      say("The note is kept with this chat.");
    },
  });
  text.input.focus();
}

/** Persona, connection and model of this chat. @param {Room} room */
export async function chooseVoices(room) {
  const place = h("div", null, h("p", { class: "waiting" }, "One moment…"));
  const { close } = openDialog("Who speaks here", place);
  try {
    /** @type {[Connections, Personas]} */
    const [lines, personas] = await Promise.all([get("/api/v1/connections"), get("/api/v1/personas").catch(() => ({ default: null, items: [] }))]);
    const ours = room.chat?.metadata?.tavernkeep ?? {};
    const usual = lines.connections.find((one) => one.id === lines.default);
    const connection = choice(
      "Model connection",
      [["", usual ? `Your usual one: ${usual.name}` : "Your usual one"], ...lines.connections.map((one) => /** @type {[string, string]} */ ([one.id, one.name]))],
      ours.connection ?? "",
      h("a", { href: "/connections" }, "Connections…"),
    );
    const list = h("datalist", { id: "chat-models" });
    const model = field("Model", { value: ours.model ?? "", list: "chat-models", autocomplete: "off", spellcheck: "false", placeholder: "The connection's own" }, "Empty means the connection's own.");
    const offer = async () => {
      fill(list);
      const id = connection.input.value || lines.default;
      if (!id) return;
      const found = await get(`/api/v1/connections/${encodeURIComponent(id)}/models`).catch(() => ({ models: [] }));
      fill(list, found.models.map((/** @type {{id: string, name?: string}} */ one) => h("option", { value: one.id }, one.name ?? one.id)));
    };
    connection.input.addEventListener("change", () => {
      model.input.value = "";
      void offer();
    });
    void offer();
    const persona = choice(
      "You are",
      [["", "Your usual self"], ...personas.items.map((one) => /** @type {[string, string]} */ ([one.id, one.name]))],
      ours.persona ?? "",
      h("a", { href: "/personas" }, "Personas…"),
    );
    close();
    askDialog({
      title: "Who speaks here",
      body: [connection.root, model.root, list, persona.root],
      submit: "Save",
      run: async () => {
        await room.set({ connection: connection.input.value || null, model: model.input.value.trim() || null, persona: persona.input.value || null });
        say("This chat remembers that.");
      },
    });
  } catch (error) {
    fill(
      place,
      errorPanel(error, () => {
        close();
        void chooseVoices(room);
      }),
    );
  }
}

/**
 * @param {string} now what it is called @param {(name: string) => Promise<void>} run
 */
export function askName(now, run) {
  const name = field("Name of the chat", { value: now, maxlength: 120, autocomplete: "off", dir: "auto" }, "It is the name of its file, too.");
  askDialog({
    title: "Rename the chat",
    body: [name.root],
    submit: "Rename",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      if (wanted !== now) await run(wanted);
    },
  });
  name.input.select();
}

/** @param {{path: string}} room */
export function downloadChat(room) {
  const link = (/** @type {string} */ format, /** @type {string} */ title, /** @type {string} */ words) =>
    h("li", null, h("a", { href: `${room.path}/export?format=${format}`, download: "" }, title), h("p", { class: "hint" }, words));
  openDialog(
    "Download the chat",
    h(
      "ul",
      { class: "ways" },
      link("jsonl", "As it is (JSONL)", "SillyTavern's format, with every version and note. Can be brought back here."),
      link("markdown", "To read and print (Markdown)", "Names and words."),
      link("text", "Plain text", "Names and words, nothing else."),
    ),
  );
}

const keys = [
  ["Enter", "Send"],
  ["Shift + Enter", "Break the line"],
  ["↑ in the empty field", "Edit your last message"],
  ["← → in the empty field", "Other versions of the last reply; → past the last one asks for another"],
  ["Ctrl + Enter", "Send; with an empty field, write the last reply anew"],
  ["Esc", "Stop the reply; close what is open"],
  ["F2, Delete in the list", "Rename a chat, move it to the trash"],
  ["Ctrl + K", "Search chats and characters"],
  ["↑ ↓ in the messages", "From message to message; Enter shows what can be done with one"],
  ["Home, End in the messages", "The first and the last message"],
  ["/", "Go to the field"],
  ["?", "This list"],
];

export function showKeys() {
  openDialog(
    "Keys",
    h(
      "dl",
      { class: "keys" },
      keys.map(([key, words]) => h("div", null, h("dt", null, h("kbd", null, key)), h("dd", null, words))),
    ),
  );
}

/** @param {number} index @param {number} total @param {(after: boolean) => Promise<void>} run */
export function askDelete(index, total, run) {
  const later = total - index - 1;
  const name = "what-goes";
  const only = h("input", { type: "radio", name, value: "one", checked: true });
  const after = h("input", { type: "radio", name, value: "after" });
  askDialog({
    title: "Delete the message?",
    body: [
      later > 0
        ? h(
            "fieldset",
            null,
            h("legend", { class: "unseen" }, "What goes"),
            h("label", { class: "tick" }, only, h("span", null, "Only this message")),
            h("label", { class: "tick" }, after, h("span", null, `This and the ${count(later, "message")} after it`)),
          )
        : null,
      h("p", null, forDays() ? `The chat as it is now stays in the trash ${forDays()}, so this can be undone.` : "This house keeps nothing in the trash: what is deleted is gone for good."),
    ],
    submit: "Delete",
    danger: true,
    run: () => run(after.checked),
  });
}
