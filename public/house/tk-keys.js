// Account, "API keys": for programs that speak OpenAI's dialect and are to use this house's models as you.
import { del, get, post } from "./api.js";
import { openDialog, askDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field, form, refuse } from "./form.js";
import { ago, fullDate } from "./format.js";
import { defineSection } from "./frame.js";
import { icon } from "./icons.js";
import { say, show } from "./messages.js";
import { choice } from "./shelf/parts.js";

/** @import {ApiKey} from "./shelf/types.js" */
/** @import {Me} from "./types.js" */

const DAY = 86_400_000;

/** How long a key may live. @type {[days: string, words: string][]} */
const lives = [
  ["30", "30 days"],
  ["90", "90 days"],
  ["365", "a year"],
  ["", "until I revoke it"],
];

defineSection("tk-keys", accountKeys);

/** @param {HTMLElement} place @param {Me} me */
function accountKeys(place, me) {
  if (!me.permissions.includes("keys.own")) {
    fill(place, h("p", { class: "empty" }, "Your account may not make keys. Whoever runs the house can change that."));
    return;
  }
  const list = h("div", null);
  const load = () => show(list, () => draw(load), "Looking at the key board…");
  const make = h("button", { type: "button", class: "button", onclick: () => newKey(load) }, icon("key"), "Make a key");
  fill(place, list, h("div", { class: "actions" }, make), howTo());
  void load();
}

/** @param {() => Promise<void>} again */
async function draw(again) {
  const answer = await get("/api/v1/me/keys");
  /** @type {ApiKey[]} */
  const keys = Array.isArray(answer) ? answer : answer.keys;
  if (keys.length === 0)
    return h("p", { class: "empty" }, "None yet. A key lets a program of yours ask the models of this house.");
  return h(
    "ul",
    { class: "rows" },
    keys.map((key) => row(key, again)),
  );
}

/** @param {ApiKey} key @param {() => Promise<void>} again */
function row(key, again) {
  const over = key.expires !== null && key.expires < Date.now();
  const ended = key.ended && !over;
  const ends = key.expires === null ? "does not expire" : `${over ? "expired" : "expires"} ${ago(key.expires)}`;
  const used = key.lastUsed ? `used ${ago(key.lastUsed)}` : "not used yet";
  return h(
    "li",
    null,
    icon("key"),
    h(
      "div",
      { class: "row-words" },
      h("strong", { dir: "auto" }, key.name),
      h("span", { class: "hint", title: fullDate(key.created) }, `made ${ago(key.created)} · ${ends} · ${used}`),
    ),
    over && h("span", { class: "badge" }, "expired"),
    ended &&
      h(
        "span",
        { class: "badge", title: "Your password or your rights have changed since." },
        "ended with your password",
      ),
    h(
      "button",
      { type: "button", class: "button small", "aria-label": `Revoke ${key.name}`, onclick: () => revoke(key, again) },
      "Revoke",
    ),
  );
}

/** @param {() => Promise<void>} again */
function newKey(again) {
  const name = field("Name", { maxlength: "100", autocomplete: "off" }, "Which program or device it is for.");
  const life = choice("Good for", lives, "90");
  askDialog({
    title: "A new API key",
    body: [name.root, life.root],
    submit: "Make it",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      const days = Number(life.input.value);
      const made = await post("/api/v1/me/keys", {
        name: wanted,
        ...(days > 0 ? { expires: Date.now() + days * DAY } : {}),
      });
      await again();
      setTimeout(() => showOnce(made), 0);
    },
  });
}

/** The one time that a key is seen. @param {ApiKey & {key: string}} made */
function showOnce(made) {
  const shown = h("input", {
    type: "text",
    readonly: true,
    value: made.key,
    class: "secret",
    "aria-label": "The key",
    spellcheck: "false",
  });
  const copied = form({
    body: [
      h(
        "p",
        null,
        "Copy it now: it is shown this once, and kept here only as a fingerprint. Whoever has it can ask models as you.",
      ),
      shown,
    ],
    submit: "Copy",
    beside: [h("button", { type: "button", class: "button", onclick: () => close() }, "Done")],
    run: async () => {
      shown.select();
      // Without HTTPS browsers keep the clipboard to themselves; the selected text can then be copied by hand.
      if (!navigator.clipboard) {
        say("It is selected: copy it with Ctrl+C.");
        return;
      }
      await navigator.clipboard.writeText(made.key);
      say("Copied.");
    },
  });
  const { close } = openDialog(`The key “${made.name}”`, copied.root);
  shown.focus();
  shown.select();
}

/** @param {ApiKey} key @param {() => Promise<void>} again */
function revoke(key, again) {
  askDialog({
    title: `Revoke “${key.name}”?`,
    body: [h("p", null, "The program that uses it is turned away from then on. Nothing else changes.")],
    submit: "Revoke",
    danger: true,
    run: async () => {
      await del(`/api/v1/me/keys/${encodeURIComponent(key.id)}`);
      say(`“${key.name}” opens nothing any more.`);
      await again();
    },
  });
}

function howTo() {
  const base = `${location.origin}/v1`;
  const code = [
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${base}", api_key="tk-…")`,
    "for model in client.models.list(): print(model.id)",
    'reply = client.chat.completions.create(model="character:Assistant",',
    '    messages=[{"role": "user", "content": "Good evening!"}])',
    "print(reply.choices[0].message.content)",
  ].join("\n");
  return h(
    "details",
    { class: "look" },
    h("summary", null, "How a program uses it"),
    h(
      "p",
      null,
      "Whatever speaks OpenAI's dialect works. Its base URL is ",
      h("code", null, base),
      ", its key one from above. Models are those of your connections, and ",
      h("code", null, "character:Name"),
      " for your characters.",
    ),
    h("pre", { tabindex: "0", "aria-label": "Example in Python" }, code),
  );
}
