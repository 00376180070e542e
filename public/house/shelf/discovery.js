// Looks for model servers on the machine of the house, and offers what it finds in one click.
import { post, put } from "../api.js";
import { fill, h } from "../dom.js";
import { busy, complain } from "../form.js";
import { count } from "../format.js";
import { icon } from "../icons.js";
import { explain, say } from "../messages.js";
import { button } from "./parts.js";

/** @import {Found, Model} from "./types.js" */

/** @param {Model | string} model */
const idOf = (model) => (typeof model === "string" ? model : model.id);

/**
 * @param {HTMLElement} place @param {() => Promise<void>} again after one was taken
 * @param {boolean} welcome whether this greets somebody who has none yet
 */
export async function lookAround(place, again, welcome) {
  fill(place, h("p", { class: "waiting" }, "Looking for model servers on this machine…"));
  /** @type {Found[]} */
  let found;
  try {
    ({ found } = await post("/api/v1/connections/discover"));
  } catch (reason) {
    const { title, text } = explain(reason);
    fill(place, welcome ? nothing(true) : h("p", { class: "warning", role: "alert" }, `${title} ${text}`));
    return;
  }
  if (found.length === 0) fill(place, nothing(welcome));
  else
    fill(
      place,
      h(
        "section",
        { class: "sheet discovered", "aria-labelledby": "found" },
        h(
          "h2",
          { id: "found" },
          found.length === 1 ? "There is a model server on this machine" : "There are model servers on this machine",
        ),
        h(
          "ul",
          { class: "rows" },
          found.map((server) => offer(server, place, again)),
        ),
      ),
    );
}

/** @param {Found} server @param {HTMLElement} place @param {() => Promise<void>} again */
function offer(server, place, again) {
  const error = h("div", { role: "alert" });
  const ids = server.models.map(idOf);
  const model = h(
    "select",
    { "aria-label": `Model of ${server.name}` },
    ids.map((id) => h("option", { value: id }, id)),
  );
  const take = button(
    "Use this",
    () => {
      void busy(take, async () => {
        const made = await post("/api/v1/connections", {
          scope: "own",
          name: server.name,
          kind: server.kind,
          baseUrl: server.baseUrl,
          ...(ids.length > 0 ? { model: model.value } : {}),
        });
        await put("/api/v1/connections/default", { id: made.id });
        fill(place);
        say(`${server.name} is connected, and answers from now on.`, h("a", { href: "/chat" }, "Start a chat"));
        await again();
      }).catch((reason) => complain(error, reason));
    },
    "primary",
    `Use this: ${server.name}`,
  );
  return h(
    "li",
    null,
    icon("plug"),
    h(
      "div",
      { class: "row-words" },
      h("strong", null, server.name),
      h(
        "span",
        { class: "hint" },
        `${server.baseUrl} · ${ids.length > 0 ? count(ids.length, "model") : "no models there yet"}`,
      ),
    ),
    ids.length > 1 && model,
    take,
    error,
  );
}

/** @param {boolean} welcome */
function nothing(welcome) {
  return h(
    "section",
    { class: "sheet discovered", "aria-labelledby": "found" },
    h("h2", { id: "found" }, welcome ? "No model yet" : "Nothing found"),
    h(
      "p",
      null,
      "On this machine nobody answers at the usual places of Ollama, llama.cpp, KoboldCpp, LM Studio or text-generation-webui. " +
        "Start one of them and look again, or add a provider that you have a key for.",
    ),
    welcome &&
      h(
        "p",
        null,
        "Until then there is ",
        h("strong", null, "Echo"),
        ": it is no model and only repeats what you say, but lets you try everything else.",
      ),
    welcome &&
      h("div", { class: "actions" }, h("a", { class: "button", href: "/chat" }, icon("chat"), "Try it with Echo")),
  );
}
