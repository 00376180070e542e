// The page of connections: which model servers there are, one's own and the house's; whether they answer; what they have used.
import { del, get, post, put } from "../api.js";
import { askDialog } from "../dialog.js";
import { define, fill, h } from "../dom.js";
import { busy, complain } from "../form.js";
import { count } from "../format.js";
import { meOf, openPage } from "../frame.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { say, show, showing } from "../messages.js";
import { connectionForm } from "./connection-form.js";
import { lookAround } from "./discovery.js";
import { button, pageHead, part } from "./parts.js";
import { testWords } from "./test-words.js";
import { drawUsage } from "./usage.js";

/** @import {Connection, Connections} from "./types.js" */
/** @import {Me} from "../types.js" */

/** What each dialect is called. @type {Record<string, string>} */
const kindNames = {
  openai: "OpenAI's dialect",
  anthropic: "Anthropic",
  gemini: "Google Gemini",
  ollama: "Ollama",
  llamacpp: "llama.cpp",
  koboldcpp: "KoboldCpp",
  text: "Plain text",
  echo: "Built in",
};

define("tk-connections", (element) =>
  openPage(element, (place, known) => {
    const me = meOf(known);
    const list = h("div", null);
    const discovered = h("div", { "aria-live": "polite" });
    const usage = h("div", null);
    let first = true;
    const { again, look: seen } = showing(
      list,
      () => get("/api/v1/connections"),
      (/** @type {Connections} */ now, again) => {
        const none = now.connections.every((connection) => connection.kind === "echo");
        if (first && none && may(me, "connections.own")) void lookAround(discovered, again, true);
        first = false;
        return draw(now, me, again);
      },
      "Listening for the models…",
    );
    const add = button([icon("plus"), "Add a model server"], () => void connectionForm(null, me, again), "primary");
    const look = button(
      [icon("search"), "Look on this machine"],
      () => void busy(look, () => lookAround(discovered, again, false)),
    );
    fill(
      place,
      pageHead(
        "Connections",
        "Who answers when you write: model servers on this machine, or providers you have a key for.",
        may(me, "connections.own") && look,
        may(me, "connections.own") && add,
      ),
      discovered,
      list,
      h(
        "section",
        { class: "sheet usage", "aria-labelledby": "usage" },
        h("h2", { id: "usage" }, "What was used"),
        h(
          "p",
          { class: "section-words" },
          "Your last 30 days, in tokens, as the servers report them; where they do not, as counted here.",
        ),
        usage,
      ),
    );
    follow(["connections"], seen);
    const drawn = again();
    // What was used is told by the names of the connections.
    const used = async () => {
      const [told] = await Promise.all([get("/api/v1/me/usage?days=30"), drawn]);
      return drawUsage(told, names);
    };
    void show(usage, used, "Counting…");
    return drawn;
  }),
);

/** Names of connections by id, for the list of what was used. @type {Map<string, string>} */
const names = new Map();

/** @param {Me} me @param {string} what */
const may = (me, what) => me.permissions.includes(what);

/** @param {Connections} now @param {Me} me @param {() => Promise<void>} again */
function draw(now, me, again) {
  for (const connection of now.connections) names.set(connection.id, connection.name);
  const own = now.connections.filter((connection) => connection.scope === "own");
  const house = now.connections.filter((connection) => connection.scope === "house" && connection.kind !== "echo");
  const echo = now.connections.filter((connection) => connection.kind === "echo");
  /** @param {Connection} connection */
  const item = (connection) => row(connection, now.default === connection.id, me, again);
  const keeper = may(me, "connections.house");
  const damaged = now.damaged?.length ?? 0;
  return [
    damaged > 0 &&
      h(
        "div",
        { class: "alert", role: "alert" },
        icon("warn"),
        h(
          "div",
          null,
          h("strong", null, `${count(damaged, "connection")} cannot be read. `),
          `The file is left as it is: ${now.damaged?.join(", ")}.`,
        ),
      ),
    own.length > 0 && group("Yours", "Only you use these, with your keys.", own.map(item)),
    (house.length > 0 || keeper) &&
      group(
        "The house's",
        keeper
          ? "Everybody can use these; nobody can read their keys."
          : "Whoever runs the house offers these to everybody.",
        house.map(item),
        keeper &&
          h(
            "div",
            { class: "actions" },
            button([icon("plus"), "Add one for the house"], () => void connectionForm(null, me, again, "house")),
          ),
      ),
    group("To try things out", "Needs no model and no network.", echo.map(item)),
  ];
}

/** @param {string} title @param {string} words @param {HTMLElement[]} rows @param {import("../dom.js").Child} [foot] */
function group(title, words, rows, foot) {
  return h(
    "section",
    { class: "connection-group" },
    h("h2", null, title),
    h("p", { class: "section-words" }, words),
    h("ul", { class: "shelf-rows" }, rows),
    foot,
  );
}

/** @param {Connection & {keyLost?: boolean}} connection @param {boolean} isDefault @param {Me} me @param {() => Promise<void>} again */
function row(connection, isDefault, me, again) {
  const echo = connection.kind === "echo";
  const outcome = h("div", { class: "outcome", role: "status" });
  const mine = connection.scope === "own" ? may(me, "connections.own") : may(me, "connections.house");
  const test = button(
    "Test",
    () => {
      fill(outcome, h("p", { class: "hint" }, "Asking for a few words…"));
      void busy(test, async () => {
        const result = await post(`/api/v1/connections/${part(connection.id)}/test`, {});
        fill(outcome, testWords(result));
      }).catch((reason) => complain(outcome, reason));
    },
    "small",
    `Test ${connection.name}`,
  );
  const choose = button(
    "Make default",
    () => {
      void busy(choose, async () => {
        await put("/api/v1/connections/default", { id: connection.id });
        say(`${connection.name} answers from now on, unless a chat says otherwise.`);
        await again();
      }).catch((reason) => complain(outcome, reason));
    },
    "small",
    `Make default: ${connection.name}`,
  );
  return h(
    "li",
    { class: "connection" },
    icon(echo ? "chat" : "plug"),
    h(
      "div",
      { class: "row-words" },
      h("strong", { dir: "auto" }, connection.name),
      h(
        "span",
        { class: "hint" },
        [
          echo ? "not a model; for trying things out" : (kindNames[connection.kind] ?? connection.kind),
          !echo && connection.model,
          connection.baseUrl,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
    isDefault && h("span", { class: "badge default" }, icon("check"), "default"),
    connection.hasKey && h("span", { class: "badge" }, icon("key"), "has a key"),
    connection.keyLost && h("span", { class: "badge bad" }, icon("warn"), "key lost: enter it again"),
    h(
      "div",
      { class: "row-actions" },
      test,
      !isDefault && choose,
      mine &&
        !echo &&
        button("Edit", () => void connectionForm(connection, me, again), "small", `Edit ${connection.name}`),
      mine && !echo && button("Delete", () => remove(connection, again), "small", `Delete ${connection.name}`),
    ),
    outcome,
  );
}

/** @param {Connection} connection @param {() => Promise<void>} again */
function remove(connection, again) {
  askDialog({
    title: `Delete ${connection.name}?`,
    body: [
      h(
        "p",
        null,
        connection.hasKey
          ? "The connection and its key are gone for good then. Your chats stay; the key is still valid at its provider."
          : "The connection is gone for good then. Your chats stay.",
      ),
    ],
    submit: "Delete",
    danger: true,
    run: async () => {
      await del(`/api/v1/connections/${part(connection.id)}`);
      say(`${connection.name} is deleted.`);
      await again();
    },
  });
}
