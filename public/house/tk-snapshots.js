// Account, "Settings snapshots": how the settings are, and the list of their earlier states.
import { del, get, post } from "./api.js";
import { changed, onChange } from "./changes.js";
import { askDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { busy, complain } from "./form.js";
import { ago, fullDate, size } from "./format.js";
import { defineSection } from "./frame.js";
import { icon } from "./icons.js";
import { say, show } from "./messages.js";
import { compareSnapshot } from "./snapshot-diff.js";
import { lookAtSnapshot } from "./snapshot-look.js";

/** @import {SettingsState, Snapshot} from "./types.js" */

defineSection("tk-snapshots", accountSnapshots);

/** @param {HTMLElement} place */
function accountSnapshots(place) {
  const state = h("div", { class: "settings-state" });
  const list = h("div", null);
  const error = h("div", { role: "alert" });
  const make = h("button", { type: "button", class: "button" }, icon("plus"), "Make a snapshot now");
  make.addEventListener("click", () => {
    fill(error);
    void busy(make, async () => {
      const { made } = await post("/api/v1/me/snapshots");
      say(made ? "A snapshot is made." : "Nothing has changed since the newest snapshot, so it still stands for now.");
      changed("snapshots");
    }).catch((reason) => complain(error, reason));
  });
  fill(place, state, list, h("div", { class: "actions" }, make), error);
  const loadState = () => show(state, drawState, "Looking at your settings…");
  const loadList = () => show(list, drawList, "Looking through the shelf…");
  // The list first: reading it sets a damaged file aside, which the state then tells of.
  const loadBoth = () => loadList().then(loadState);
  onChange("settings", loadBoth);
  onChange("snapshots", loadList);
  void loadBoth();
}

async function drawState() {
  /** @type {SettingsState} */
  const now = await get("/api/v1/me/settings/state");
  if (now.state === "ok") {
    const when = now.modified ? `, last changed ${ago(now.modified)}` : "";
    return h("p", { class: "state good" }, icon("check"), `Your settings are well: ${size(now.size)}${when}.`);
  }
  if (now.state === "missing") {
    return h("p", { class: "state" }, icon("book"), "You have no settings yet. They appear when you first save some.");
  }
  const { lastGood } = now;
  const kept = now.damagedCopies.length > 0 ? ` The damaged file is kept as ${now.damagedCopies.join(", ")}.` : "";
  return h(
    "div",
    { class: "alert", role: "alert" },
    icon("warn"),
    h(
      "div",
      null,
      h("strong", null, "Your settings file was damaged. "),
      "It could not be read as JSON, perhaps because the power went or the disk was full. Nothing was thrown away: the damaged file was put aside, and the defaults stand in.",
      kept,
      lastGood
        ? " The last good snapshot can take its place."
        : " There is no good snapshot to offer; starting afresh gives you the defaults.",
    ),
    lastGood &&
      h(
        "button",
        { type: "button", class: "button primary", onclick: () => restore(lastGood, "the last good snapshot") },
        "Use the last good snapshot",
      ),
  );
}

async function drawList() {
  /** @type {Snapshot[]} */
  const snapshots = await get("/api/v1/me/snapshots");
  if (snapshots.length === 0) {
    return h(
      "p",
      { class: "empty" },
      "The shelf is empty. A snapshot is made by itself now and then, before each restore and reset, or when you ask for one.",
    );
  }
  return h("ul", { class: "rows" }, snapshots.map(row));
}

/** @param {Snapshot} snapshot */
function row(snapshot) {
  const when = fullDate(snapshot.date);
  /** @param {string} words @param {string} doing @param {() => void} onclick */
  const button = (words, doing, onclick) =>
    h("button", { type: "button", class: "button small", "aria-label": `${doing} ${when}`, onclick }, words);
  return h(
    "li",
    { class: "snapshot" },
    icon("book"),
    h(
      "div",
      { class: "row-words" },
      h("strong", { title: snapshot.name }, when),
      h("span", { class: "hint" }, `${ago(snapshot.date)} · ${size(snapshot.size)}`),
    ),
    snapshot.sameAsNow && h("span", { class: "badge" }, "same as now"),
    h(
      "div",
      { class: "row-actions" },
      button("Look", "Look at the snapshot of", () => lookAtSnapshot(snapshot)),
      !snapshot.sameAsNow &&
        button("Compare", "Compare with now the snapshot of", () =>
          compareSnapshot(snapshot, () => restore(snapshot.name, when)),
        ),
      !snapshot.sameAsNow && button("Restore", "Restore the snapshot of", () => restore(snapshot.name, when)),
      button("Delete", "Delete the snapshot of", () => remove(snapshot.name, when)),
    ),
  );
}

/** @param {string} name */
const path = (name) => `/api/v1/me/snapshots/${encodeURIComponent(name)}`;

/** @param {string} name @param {string} what */
function restore(name, what) {
  askDialog({
    title: "Go back to these settings?",
    body: [
      h(
        "p",
        null,
        `Your settings become those of ${what}. The present ones are kept as a snapshot first, so you can come back.`,
      ),
    ],
    submit: "Restore",
    run: async () => {
      await post(`${path(name)}/restore`);
      say("Your settings are restored. What they were is kept as a snapshot.");
      changed("settings");
    },
  });
}

/** @param {string} name @param {string} when */
function remove(name, when) {
  askDialog({
    title: "Delete this snapshot?",
    body: [h("p", null, `The snapshot of ${when} is gone for good then. Your settings themselves stay as they are.`)],
    submit: "Delete",
    danger: true,
    run: async () => {
      await del(path(name));
      say("The snapshot is deleted.");
      changed("snapshots");
    },
  });
}
