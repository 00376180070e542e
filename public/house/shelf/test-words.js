// What asking a model server for a few words has shown.
import { h } from "../dom.js";
import { count } from "../format.js";
import { icon } from "../icons.js";

/** @import {TestResult} from "./types.js" */

/** What a test has shown, in words. @param {TestResult} result */
export function testWords(result) {
  const models = Array.isArray(result.models) ? result.models.length : result.models;
  return h(
    "div",
    { class: result.ok ? "state good" : "alert" },
    icon(result.ok ? "check" : "warn"),
    h(
      "div",
      null,
      result.message,
      result.ok && result.reply && h("span", { class: "heard", dir: "auto" }, `“${result.reply.trim()}”`),
      result.ok && models && h("span", { class: "hint" }, `It has ${count(models, "model")}.`),
    ),
  );
}
