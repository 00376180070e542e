// Compares a snapshot with the settings of now, key by key: where it is, what it was, what it is.
import { get } from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { count, fullDate } from "./format.js";
import { show } from "./messages.js";

/** @import {Change, Diff, Snapshot} from "./types.js" */

/** Changes put on the page at a time. */
const AT_ONCE = 100;

const marks = { changed: "changed", added: "added since", removed: "removed since" };

/** @param {Snapshot} snapshot @param {() => void} restore */
export function compareSnapshot(snapshot, restore) {
  const place = h("div", null);
  const { close } = openDialog(`What changed since ${fullDate(snapshot.date)}`, place, { wide: true });
  const back = h("button", { type: "button", class: "button primary" }, "Go back to this snapshot");
  back.addEventListener("click", () => {
    close();
    restore();
  });
  void show(
    place,
    async () => {
      /** @type {Diff} */
      const diff = await get(`/api/v1/me/snapshots/${encodeURIComponent(snapshot.name)}/diff`);
      if (diff.changes.length === 0)
        return h("p", { class: "empty" }, "Nothing. This snapshot and your settings of now say the same.");
      return [summary(diff), list(diff.changes), h("div", { class: "actions" }, back)];
    },
    "Laying the two side by side…",
  );
}

/** @param {Diff} diff */
function summary(diff) {
  /** @param {Change["kind"]} kind */
  const n = (kind) => diff.changes.filter((change) => change.kind === kind).length;
  const kinds = /** @type {const} */ (["changed", "added", "removed"]);
  return h(
    "p",
    { class: "diff-summary" },
    kinds.filter(n).map((kind) => h("span", { class: `mark ${kind}` }, `${n(kind)} ${marks[kind]}`)),
    diff.truncated && h("span", { class: "hint" }, "There are more; only the first are shown."),
  );
}

/** @param {Change[]} changes */
function list(changes) {
  const out = h("ul", { class: "diff" });
  const more = h("button", { type: "button", class: "button" });
  let shown = 0;
  const next = () => {
    out.append(...changes.slice(shown, shown + AT_ONCE).map(item));
    shown = Math.min(changes.length, shown + AT_ONCE);
    more.hidden = shown >= changes.length;
    fill(more, `Show more (${count(changes.length - shown, "change")} left)`);
  };
  more.addEventListener("click", next);
  next();
  return h("div", { class: "diff-scroll", tabindex: "0", role: "region", "aria-label": "Changes" }, out, more);
}

/** @param {Change} change */
function item(change) {
  const crumbs = change.path.flatMap((key, i) => [
    i > 0 && h("span", { class: "crumb-sep", "aria-hidden": "true" }, "›"),
    h("span", { class: "crumb" }, String(key)),
  ]);
  return h(
    "li",
    { class: change.kind },
    h(
      "p",
      { class: "crumbs" },
      change.path.length ? crumbs : h("span", { class: "crumb" }, "everything"),
      h("span", { class: `mark ${change.kind}` }, marks[change.kind]),
    ),
    h(
      "div",
      { class: "then-now" },
      change.kind !== "added" && h("del", null, h("span", { class: "unseen" }, "then: "), value(change.then)),
      change.kind === "changed" && h("span", { class: "arrow", "aria-hidden": "true" }, "→"),
      change.kind !== "removed" && h("ins", null, h("span", { class: "unseen" }, "now: "), value(change.now)),
    ),
  );
}

/** @param {unknown} json */
function value(json) {
  if (typeof json === "string") return json === "" ? "“”" : json;
  return JSON.stringify(json) ?? "nothing";
}
