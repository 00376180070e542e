// What was used, day by day as bars and model by model as a table, made of plain elements.
import { h } from "../dom.js";
import { count } from "../format.js";

/** @import {Spent, Usage} from "./types.js" */

/** @param {Spent[]} rows @returns {Spent} */
function sum(rows) {
  const total = { prompt: 0, completion: 0, requests: 0 };
  for (const row of rows) {
    total.prompt += row.prompt;
    total.completion += row.completion;
    total.requests += row.requests;
  }
  return total;
}

/** @template T @param {T[]} rows @param {(row: T) => string} by @returns {Map<string, T[]>} */
function grouped(rows, by) {
  const groups = new Map();
  for (const row of rows) groups.set(by(row), [...(groups.get(by(row)) ?? []), row]);
  return groups;
}

/** A date without a time, as people here write it. @param {string} date `2026-11-22` */
const day = (date) => new Date(`${date}T12:00:00`).toLocaleDateString(undefined, { day: "numeric", month: "short" });

/** @param {Usage} usage @param {Map<string, string>} names of connections by id */
export function drawUsage(usage, names) {
  if (usage.days.length === 0)
    return h("p", { class: "empty" }, "Nothing yet. After the first reply you see here what it took.");
  const byDay = grouped(usage.days, (row) => row.date);
  const days = [...byDay].map(([date, rows]) => ({ date, ...sum(rows) })).sort((a, b) => (a.date < b.date ? -1 : 1));
  const byModel = grouped(usage.days, (row) => `${row.connection}\n${row.model}`);
  const models = [...byModel.values()]
    .map((rows) => ({ connection: rows[0].connection, model: rows[0].model, ...sum(rows) }))
    .sort((a, b) => b.prompt + b.completion - a.prompt - a.completion);
  const most = Math.max(...days.map((row) => row.prompt + row.completion), 1);
  const total = usage.total ?? sum(usage.days);
  return [
    h(
      "div",
      { class: "bars", role: "img", "aria-label": `Tokens per day. Most on one day: ${most.toLocaleString()}.` },
      days.map((row) => bar(row, most)),
    ),
    h(
      "p",
      { class: "bars-ends hint", "aria-hidden": "true" },
      h("span", null, day(days[0].date)),
      h("span", null, day(days[days.length - 1].date)),
    ),
    h(
      "table",
      { class: "cards" },
      h("caption", { class: "unseen" }, "Use by model"),
      h(
        "thead",
        null,
        h(
          "tr",
          null,
          ["Model", "Requests", "In", "Out"].map((words) => h("th", { scope: "col" }, words)),
        ),
      ),
      h(
        "tbody",
        null,
        models.map((row) =>
          h(
            "tr",
            null,
            h(
              "th",
              { scope: "row" },
              h("strong", null, row.model || "no name"),
              " ",
              h("span", { class: "hint" }, names.get(row.connection) ?? row.connection),
            ),
            h("td", { "data-label": "Requests" }, row.requests.toLocaleString()),
            h("td", { "data-label": "In" }, row.prompt.toLocaleString()),
            h("td", { "data-label": "Out" }, row.completion.toLocaleString()),
          ),
        ),
      ),
    ),
    h(
      "p",
      { class: "hint" },
      `In all ${count(total.requests, "request")}, ${(total.prompt + total.completion).toLocaleString()} tokens.`,
    ),
  ];
}

/** One day's bar: what went in below, what came out on top. @param {Spent & {date: string}} row @param {number} most */
function bar(row, most) {
  const into = h("span", { class: "bar-in" });
  const out = h("span", { class: "bar-out" });
  into.style.height = `${(row.prompt / most) * 100}%`;
  out.style.height = `${(row.completion / most) * 100}%`;
  const words = `${day(row.date)}: ${row.prompt.toLocaleString()} in, ${row.completion.toLocaleString()} out`;
  return h("span", { class: "bar", title: words }, out, into);
}
