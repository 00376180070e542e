// Shows a snapshot's JSON, laid out to be read. Large ones are put on the page bit by bit, as one scrolls.
import { getText } from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { count, fullDate, size } from "./format.js";
import { show } from "./messages.js";

/** @import {Snapshot} from "./types.js" */

/** Lines put on the page at a time. */
const LINES = 500;

/** @param {Snapshot} snapshot */
export function lookAtSnapshot(snapshot) {
  const place = h("div", { class: "look" });
  openDialog(
    `Settings of ${fullDate(snapshot.date)}`,
    [h("p", { class: "hint" }, `${snapshot.name} · ${size(snapshot.size)}`), place],
    { wide: true },
  );
  void show(
    place,
    async () => pages(pretty(await getText(`/api/v1/me/snapshots/${encodeURIComponent(snapshot.name)}`))),
    "Opening the book…",
  );
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {string} text */
function pages(text) {
  const lines = text.split("\n");
  const pre = h("pre", { tabindex: "0", "aria-label": "The snapshot's JSON" });
  const rest = h("button", { type: "button", class: "button" });
  let shown = 0;
  const more = () => {
    const until = Math.min(lines.length, shown + LINES);
    pre.append(lines.slice(shown, until).join("\n") + (until < lines.length ? "\n" : ""));
    shown = until;
    rest.hidden = shown >= lines.length;
    fill(rest, `Show more (${count(lines.length - shown, "line")} left)`);
  };
  rest.addEventListener("click", more);
  pre.addEventListener("scroll", () => {
    if (shown < lines.length && pre.scrollTop + pre.clientHeight > pre.scrollHeight - 400) more();
  });
  more();
  return [pre, rest];
}
