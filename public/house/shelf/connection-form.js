// The form of one connection: chosen from a list of providers, with key, model and, under "More", how it is asked.
import { get, patch, post } from "../api.js";
import { openDialog } from "../dialog.js";
import { fill, h, uid } from "../dom.js";
import { busy, complain, field, form, passwordField, refuse } from "../form.js";
import { icon } from "../icons.js";
import { say } from "../messages.js";
import { area, button, choice, fold, part } from "./parts.js";
import { testWords } from "./test-words.js";

/** @import {Connection, Model, Preset, TestResult} from "./types.js" */
/** @import {Me} from "../types.js" */

/** Dialects that write a prompt as one text and need a template for it. */
const PLAIN = new Set(["llamacpp", "koboldcpp", "text"]);

/** @type {[string, string][]} */
const kinds = [
  ["openai", "OpenAI's chat, which most servers speak"],
  ["anthropic", "Anthropic's messages"],
  ["gemini", "Google's Gemini"],
  ["ollama", "Ollama's own"],
  ["llamacpp", "llama.cpp's own"],
  ["koboldcpp", "KoboldCpp's own"],
  ["text", "OpenAI's older plain text"],
];

/** Names of built-in instruct templates. */
const templates = ["ChatML", "Llama 3", "Mistral", "Mistral V3", "Gemma", "Alpaca", "Vicuna"];

/** How a model is asked. @type {[name: string, label: string, range: Record<string, string>, hint: string][]} */
const numbers = [
  ["temperature", "Temperature", { min: "0", max: "2", step: "0.05" }, "Higher is bolder."],
  ["maxTokens", "Longest reply", { min: "1", step: "1" }, "In tokens."],
  ["context", "Context", { min: "256", step: "1" }, "Prompt and reply together, in tokens. Empty: as the server tells, else 8192."],
  ["topP", "Top P", { min: "0", max: "1", step: "0.01" }, ""],
  ["topK", "Top K", { min: "0", step: "1" }, ""],
  ["minP", "Min P", { min: "0", max: "1", step: "0.01" }, ""],
  ["presencePenalty", "Presence penalty", { min: "-2", max: "2", step: "0.05" }, ""],
  ["frequencyPenalty", "Frequency penalty", { min: "-2", max: "2", step: "0.05" }, ""],
  ["repetitionPenalty", "Repetition penalty", { min: "0", max: "3", step: "0.01" }, "Of local servers; 1 is none."],
  ["seed", "Seed", { step: "1" }, ""],
];

/**
 * @param {Connection | null} connection to change, or none to make one @param {Me} me @param {() => Promise<void>} again
 * @param {"own" | "house"} [scope] of a new one
 */
export async function connectionForm(connection, me, again, scope = "own") {
  /** @type {Preset[]} */
  let presets = [];
  if (!connection) presets = await get("/api/v1/connections/kinds").catch(() => []);
  const name = field("Name", { value: connection?.name ?? "", maxlength: "100", autocomplete: "off" });
  const kind = choice("Dialect", kinds, connection?.kind ?? "openai", "What the server speaks.");
  const url = field("Address", {
    value: connection?.baseUrl ?? "",
    type: "url",
    inputmode: "url",
    autocomplete: "off",
    spellcheck: "false",
    autocapitalize: "none",
    placeholder: "http://127.0.0.1:11434",
  });
  const key = keyField(connection?.hasKey ?? false);
  const model = modelField(connection?.model ?? "");
  const whose = choice(
    "For whom",
    [
      ["own", "Only me"],
      ["house", "Everybody in the house"],
    ],
    connection?.scope ?? scope,
  );
  const template = templateField(connection?.template ?? "");
  const parameters = parameterFields(connection?.parameters ?? {});
  const outcome = h("div", { class: "outcome", role: "status" });

  const suit = () => {
    template.root.hidden = !PLAIN.has(kind.input.value);
  };
  kind.input.addEventListener("change", suit);
  const provider = providerChoice(presets, (preset) => {
    kind.input.value = preset.kind;
    url.input.value = preset.baseUrl;
    if (!name.input.value || presets.some((one) => one.name === name.input.value))
      name.input.value = preset.name.startsWith("Another") ? "" : preset.name;
    key.hint(preset.needsKey ? "" : "This one usually needs none.");
    model.forget();
    suit();
  });

  /** What the fields say, as the server takes it. */
  const filled = () => {
    const wanted = {
      name: name.input.value.trim() || "Model server",
      kind: kind.input.value,
      baseUrl: url.input.value.trim(),
      model: model.input.value.trim() || null,
      template: PLAIN.has(kind.input.value) ? template.input.value.trim() || null : null,
      parameters: parameters.read(),
    };
    const given = key.read();
    return given === undefined ? wanted : { ...wanted, key: given };
  };
  const check = () => {
    if (!url.input.value.trim()) refuse(url, "Where is it? An address begins with http:// or https://.");
  };
  /** Asks the server that is described, saved or not. @returns {Promise<TestResult>} */
  const ask = () => {
    check();
    // A key that is kept can only be used by the server: what was changed here is then not part of the test.
    if (
      connection &&
      key.read() === undefined &&
      connection.hasKey &&
      url.input.value.trim() === (connection.baseUrl ?? "")
    )
      return post(
        `/api/v1/connections/${part(connection.id)}/test`,
        model.input.value.trim() ? { model: model.input.value.trim() } : {},
      );
    return post("/api/v1/connections/test", { scope: whose.input.value, ...withoutNulls(filled()) });
  };
  const test = button("Test", () => {
    fill(outcome, h("p", { class: "hint" }, "Asking for a few words…"));
    void busy(test, async () => {
      const result = await ask();
      if (Array.isArray(result.models)) model.offer(result.models);
      fill(outcome, testWords(result));
      outcome.scrollIntoView({ block: "nearest" });
    }).catch((reason) => complain(outcome, reason));
  });
  model.list.addEventListener("click", () => {
    void busy(model.list, async () => {
      if (connection && key.read() === undefined)
        model.offer((await get(`/api/v1/connections/${part(connection.id)}/models`)).models);
      else {
        const result = await ask();
        if (!Array.isArray(result.models)) fill(outcome, testWords(result));
        else model.offer(result.models);
      }
    }).catch((reason) => complain(outcome, reason));
  });

  const made = form({
    body: [
      provider,
      h(
        "div",
        { class: "grid-two" },
        name.root,
        !connection && me.permissions.includes("connections.house") && whose.root,
      ),
      url.root,
      key.root,
      model.root,
      template.root,
      fold("More", () => [kind.root, parameters.root]),
      outcome,
    ],
    submit: connection ? "Save" : "Add",
    beside: [test],
    run: async () => {
      if (!name.input.value.trim()) refuse(name, "It needs a name that you recognise.");
      check();
      const wanted = filled();
      const saved = connection
        ? await patch(`/api/v1/connections/${part(connection.id)}`, wanted)
        : await post("/api/v1/connections", { scope: whose.input.value, ...withoutNulls(wanted) });
      close();
      const moved = saved.keyDropped ? " It leads to another server now, so its key was removed: enter the one for that server." : "";
      say(connection ? `${saved.name} is saved.${moved}` : `${saved.name} is connected.`);
      await again();
    },
  });
  suit();
  const { close } = openDialog(
    connection ? `Edit ${connection.name}` : scope === "house" ? "A model server for the house" : "A model server",
    made.root,
  );
  (connection ? name.input : (made.root.querySelector("select") ?? name.input)).focus();
}

/** @param {Record<string, any>} values */
const withoutNulls = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));

/** @param {Preset[]} presets @param {(preset: Preset) => void} choose */
function providerChoice(presets, choose) {
  if (presets.length === 0) return null;
  /** @param {boolean} paid @returns {HTMLOptionElement[]} */
  const those = (paid) =>
    presets.flatMap((preset, index) => (preset.needsKey === paid ? [h("option", { value: index }, preset.name)] : []));
  const id = uid("provider");
  const note = h("p", { class: "hint", id: `${id}-note` });
  const select = h(
    "select",
    { id, "aria-describedby": `${id}-note` },
    h("option", { value: "" }, "Choose, or fill in the rest yourself"),
    h("optgroup", { label: "On a machine of yours" }, those(false)),
    h("optgroup", { label: "Providers, with a key" }, those(true)),
  );
  select.addEventListener("change", () => {
    const preset = presets[Number(select.value)];
    if (select.value === "" || !preset) return;
    note.textContent = preset.note;
    choose(preset);
  });
  return h("div", { class: "field" }, h("label", { for: id }, "Provider or program"), select, note);
}

/** A key is written, never read: all that is shown is that there is one. @param {boolean} has */
function keyField(has) {
  const made = passwordField(
    "Key",
    "new-password",
    has ? "There is one. Leave this empty to keep it." : "Kept encrypted on this server, and never shown again.",
  );
  made.input.placeholder = has ? "••••••••" : "";
  let gone = false;
  const drop = h("button", { type: "button", class: "link", hidden: !has }, "Remove the key");
  drop.addEventListener("click", () => {
    gone = !gone;
    made.input.disabled = gone;
    drop.textContent = gone ? "Keep it after all" : "Remove the key";
  });
  made.root.append(drop);
  return {
    root: made.root,
    hint: (/** @type {string} */ words) => words && made.hint(words),
    /** @returns {string | null | undefined} a new one, none from now on, or as it was */
    read: () => (gone ? null : made.input.value.trim() || undefined),
  };
}

/** @param {string} value */
function modelField(value) {
  const id = uid("models");
  const made = field(
    "Model",
    { value, list: id, autocomplete: "off", spellcheck: "false", autocapitalize: "none" },
    "Press the list to ask the server what it has.",
  );
  const options = h("datalist", { id });
  const list = h(
    "button",
    { type: "button", class: "quiet round", "aria-label": "Ask the server for its models" },
    icon("more"),
  );
  made.input.after(list);
  made.root.append(options);
  return {
    ...made,
    list,
    forget: () => fill(options),
    /** @param {(Model | string)[]} models */
    offer: (models) => {
      const known = models.map((model) => (typeof model === "string" ? { id: model } : model));
      fill(
        options,
        known.map((model) => h("option", { value: model.id }, describe(model))),
      );
      if (!made.input.value && known.length > 0) made.input.value = known[0].id;
      made.hint(
        known.length > 0
          ? `${known.length} to choose from: empty the field to see them all.`
          : "The server names none.",
      );
    },
  };
}

/** @param {Model} model */
const describe = (model) =>
  [model.name, model.context && `${model.context.toLocaleString()} tokens`].filter(Boolean).join(" · ");

/** @param {string} value */
function templateField(value) {
  const id = uid("templates");
  const made = field(
    "Instruct template",
    { value, list: id, autocomplete: "off", spellcheck: "false" },
    "How messages become one text; it has to fit the model. A name, or SillyTavern's JSON of one. Empty: ChatML.",
  );
  made.root.append(
    h(
      "datalist",
      { id },
      templates.map((name) => h("option", { value: name })),
    ),
  );
  return made;
}

/** @param {Record<string, any>} parameters */
function parameterFields(parameters) {
  const made = numbers.map(([name, label, range, hint]) => ({
    name,
    ...field(
      label,
      { type: "number", value: parameters[name] ?? "", placeholder: "as it comes", inputmode: "decimal", ...range },
      hint,
    ),
  }));
  const effort = choice(
    "Thinking",
    [
      ["", "As it comes"],
      ["low", "Short"],
      ["medium", "Medium"],
      ["high", "Long"],
    ],
    parameters.reasoningEffort ?? "",
    "Of models that think first.",
  );
  const stop = area("Stop at", { value: (parameters.stop ?? []).join("\n"), rows: 1 }, "One in a line.");
  const extra = area(
    "Further fields",
    {
      value:
        parameters.extra && Object.keys(parameters.extra).length > 0 ? JSON.stringify(parameters.extra, null, 2) : "",
      rows: 1,
      spellcheck: "false",
    },
    "JSON, sent to the provider as it is.",
  );
  const root = h(
    "div",
    null,
    h(
      "div",
      { class: "grid-three" },
      made.map((one) => one.root),
    ),
    effort.root,
    stop.root,
    extra.root,
  );
  const read = () => {
    /** @type {Record<string, any>} */
    const values = { ...parameters };
    for (const { name, input } of made) {
      if (input.value.trim() === "") delete values[name];
      else if (!Number.isFinite(input.valueAsNumber)) refuse({ root, input, fail: () => {}, hint: () => {} }, "");
      else values[name] = input.valueAsNumber;
    }
    if (effort.input.value) values.reasoningEffort = effort.input.value;
    else delete values.reasoningEffort;
    values.stop = stop.input.value.split("\n").filter((line) => line !== "");
    values.extra = extraFields(extra);
    return values;
  };
  return { root, read };
}

/** @param {import("./parts.js").Area} at @returns {Record<string, unknown>} */
function extraFields(at) {
  const text = at.input.value.trim();
  if (!text) return {};
  try {
    const value = JSON.parse(text);
    if (value && typeof value === "object" && !Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  return refuse(/** @type {any} */ (at), 'This has to be JSON such as {"provider": {"order": ["a"]}}.');
}
