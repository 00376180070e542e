// The plan of a restore: a table of parts with what would be added, replaced and removed, and ticks to choose by.
import { h } from "./dom.js";
import { count, fullDate, size } from "./format.js";
import { icon } from "./icons.js";

/** @import {Part, Plan} from "./types.js" */

/** @param {Plan} plan */
export function planView(plan) {
  const ticks = plan.parts.map((part) =>
    h("input", { type: "checkbox", checked: part.add + part.replace + part.remove > 0, "aria-label": part.title }),
  );
  const chosenParts = () => plan.parts.filter((_, i) => ticks[i].checked);
  const root = h(
    "div",
    { class: "plan", tabindex: "-1", role: "group", "aria-label": "What the backup would change" },
    h("p", null, origin(plan)),
    plan.source === "tavernkeep" &&
      h(
        "p",
        { class: `state ${plan.verified ? "good" : "open"}` },
        icon(plan.verified ? "check" : "warn"),
        plan.verified
          ? "Every file matches the archive's own list: nothing was damaged on the way."
          : "This archive carries no list to check its files against.",
      ),
    plan.parts.length === 0
      ? h("p", { class: "empty" }, "There is nothing in it that this house knows how to bring back.")
      : h(
          "table",
          { class: "cards", role: "table" },
          h(
            "thead",
            null,
            h(
              "tr",
              { role: "row" },
              ["Part", "In the backup", "Added", "Replaced", "Removed"].map((words) =>
                h("th", { scope: "col", role: "columnheader" }, words),
              ),
            ),
          ),
          h(
            "tbody",
            null,
            plan.parts.map((part, i) => row(part, ticks[i])),
          ),
        ),
    plan.notIncluded.length > 0 &&
      h("p", { class: "hint" }, `Not in this backup, and left as they are: ${plan.notIncluded.join(", ")}.`),
  );
  return {
    root,
    chosen: () => chosenParts().map((part) => part.part),
    removes: () => chosenParts().some((part) => part.remove > 0),
    sentence: () => {
      /** @param {"add" | "replace" | "remove"} what */
      const sum = (what) => chosenParts().reduce((n, part) => n + part[what], 0);
      return `${count(chosenParts().length, "part")}: ${count(sum("add"), "file")} added, ${sum("replace").toLocaleString()} replaced, ${sum("remove").toLocaleString()} removed.`;
    },
  };
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
