// Account, "Undo points": what restores and resets put aside.
import { del, get, post } from "./api.js";
import { changed, onChange } from "./changes.js";
import { askDialog } from "./dialog.js";
import { h } from "./dom.js";
import { ago, fullDate, size } from "./format.js";
import { defineSection } from "./frame.js";
import { icon } from "./icons.js";
import { say, show } from "./messages.js";

/** @import {UndoPoint} from "./types.js" */

const reasons = { restore: "Before a backup was brought back", reset: "Before a reset", undo: "Before an undo" };

defineSection("tk-undo", accountUndo);

/** @param {HTMLElement} place */
function accountUndo(place) {
  const load = () => show(place, draw, "Looking in the cellar…");
  onChange("undo", load);
  void load();
}

async function draw() {
  /** @type {UndoPoint[]} */
  const points = await get("/api/v1/me/undo");
  if (points.length === 0)
    return h("p", { class: "empty" }, "None yet. One appears here whenever a restore or a reset puts something aside.");
  return h("ul", { class: "rows" }, points.map(row));
}

/** @param {UndoPoint} point */
function row(point) {
  const when = fullDate(point.date);
  const what = point.parts.length > 0 ? point.parts.join(", ") : "everything";
  return h(
    "li",
    { class: "snapshot" },
    icon("undo"),
    h(
      "div",
      { class: "row-words" },
      h("strong", null, reasons[point.reason] ?? "Put aside"),
      h("span", { class: "hint" }, h("time", { title: when }, ago(point.date)), ` · ${size(point.bytes)} · ${what}`),
    ),
    h(
      "div",
      { class: "row-actions" },
      h(
        "button",
        {
          type: "button",
          class: "button small",
          "aria-label": `Bring back what was put aside on ${when}`,
          onclick: () => bringBack(point),
        },
        "Bring back",
      ),
      h(
        "button",
        {
          type: "button",
          class: "button small",
          "aria-label": `Delete the undo point of ${when}`,
          onclick: () => remove(point),
        },
        "Delete",
      ),
    ),
  );
}

/** @param {UndoPoint} point */
function bringBack(point) {
  askDialog({
    title: "Bring this back?",
    body: [
      h(
        "p",
        null,
        `What was here on ${fullDate(point.date)} comes back. How things stand now is kept as a new undo point.`,
      ),
    ],
    submit: "Bring back",
    run: async () => {
      await post(`/api/v1/me/undo/${encodeURIComponent(point.id)}`);
      say("It is back. How things stood is a new undo point.");
      changed("settings", "undo");
    },
  });
}

/** @param {UndoPoint} point */
function remove(point) {
  askDialog({
    title: "Delete this undo point?",
    body: [
      h(
        "p",
        null,
        `It frees ${size(point.bytes)}, and what it holds cannot be brought back afterwards. What you have now stays.`,
      ),
    ],
    submit: "Delete",
    danger: true,
    run: async () => {
      await del(`/api/v1/me/undo/${encodeURIComponent(point.id)}`);
      say("The undo point is deleted.");
      changed("undo");
    },
  });
}
