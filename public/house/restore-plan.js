// The plan of a restore: a table of parts with what would be added, replaced and removed, and ticks to choose by.
import { h } from "./dom.js";
import { count, fullDate, size } from "./format.js";
import { icon } from "./icons.js";

/** @import {Part, Plan} from "./types.js" */

/** @param {Plan} plan */
export function planView(plan) {
  // A part that is already as in the backup needs no choice: bringing it back would change nothing.
  const parts = plan.parts.filter((part) => part.add + part.replace + part.remove > 0);
  const same = plan.parts.filter((part) => !parts.includes(part)).map((part) => part.title);
  const list = (/** @type {string[]} */ titles) => titles.map(small).join("; ");
  const ticks = parts.map((part) => h("input", { type: "checkbox", checked: true, "aria-label": part.title }));
  const chosenParts = () => parts.filter((_, i) => ticks[i].checked);
  const root = h(
    "div",
    { class: "plan", tabindex: "-1", role: "group", "aria-label": "What the backup would change" },
    h("p", null, origin(plan)),
    plan.source === "tavernkeep" && trust(plan.verified),
    parts.length > 0 && table(parts, ticks),
    parts.length === 0 &&
      h("p", { class: "empty" }, "Nothing to bring back: all of it is here already, just as in the backup."),
    parts.length > 0 && same.length > 0 && h("p", { class: "hint" }, `Already as in the backup: ${list(same)}.`),
    plan.notIncluded.length > 0 &&
      h("p", { class: "hint" }, `Not in this backup, and left as they are: ${list(plan.notIncluded)}.`),
  );
  return {
    root,
    /** Whether there is anything to choose. */
    changes: parts.length > 0,
    chosen: () => chosenParts().map((part) => part.part),
    removes: () => chosenParts().some((part) => part.remove > 0),
    sentence: () => {
      /** @param {"add" | "replace" | "remove"} what */
      const sum = (what) => chosenParts().reduce((n, part) => n + part[what], 0);
      return `${count(chosenParts().length, "part")}: ${count(sum("add"), "file")} added, ${sum("replace").toLocaleString()} replaced, ${sum("remove").toLocaleString()} removed.`;
    },
  };
}

/** A title within a sentence. @param {string} title */
const small = (title) => title.charAt(0).toLowerCase() + title.slice(1);

/** @param {boolean} verified */
function trust(verified) {
  const words = verified
    ? "Every file matches the archive's own list: nothing was damaged on the way."
    : "This archive carries no list to check its files against.";
  return h("p", { class: `state ${verified ? "good" : "open"}` }, icon(verified ? "check" : "warn"), words);
}

/** @param {Part[]} parts @param {HTMLInputElement[]} ticks */
function table(parts, ticks) {
  const heads = ["Part", "In the backup", "Added", "Replaced", "Removed"];
  return h(
    "table",
    { class: "cards", role: "table" },
    h(
      "thead",
      null,
      h(
        "tr",
        { role: "row" },
        heads.map((words) => h("th", { scope: "col", role: "columnheader" }, words)),
      ),
    ),
    h(
      "tbody",
      null,
      parts.map((part, i) => row(part, ticks[i])),
    ),
  );
}

/** @param {Plan} plan */
function origin(plan) {
  const from = plan.source === "sillytavern" ? "A SillyTavern user folder" : "A Tavernkeep backup";
  const whose = plan.handle ? ` of ${plan.handle}` : "";
  const when = plan.created ? `, made on ${fullDate(plan.created)}` : "";
  return `${from}${whose}${when}: ${count(plan.files, "file")}, ${size(plan.bytes)}. Nothing is changed yet; a part you choose becomes exactly as it is in the backup.`;
}

/** @param {Part} part @param {HTMLInputElement} ticked */
function row(part, ticked) {
  /** @param {string} label @param {number} n @param {string[]} examples @param {string} kind */
  const cell = (label, n, examples, kind) =>
    h(
      "td",
      { role: "cell", "data-label": label },
      n === 0 ? h("span", { class: "hint" }, "none") : h("span", { class: `mark ${kind}` }, n.toLocaleString()),
      examples.length > 0 &&
        h(
          "details",
          null,
          h("summary", null, "which"),
          h(
            "ul",
            { class: "examples" },
            examples.map((name) => h("li", { dir: "auto" }, name)),
            n > examples.length && h("li", { class: "hint" }, `and ${n - examples.length} more`),
          ),
        ),
    );
  return h(
    "tr",
    { role: "row" },
    h("th", { scope: "row", role: "rowheader" }, h("label", { class: "tick" }, ticked, h("span", null, part.title))),
    h("td", { role: "cell", "data-label": "In the backup" }, `${count(part.files, "file")}, ${size(part.bytes)}`),
    cell("Added", part.add, part.examples.add, "added"),
    cell("Replaced", part.replace, part.examples.replace, "changed"),
    cell("Removed", part.remove, part.examples.remove, "removed"),
  );
}
