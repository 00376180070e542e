// Account, "Bring a backup back": a zip is handed over, the plan is shown, parts are chosen, and it can be undone.
import { del, post, upload } from "./api.js";
import { changed } from "./changes.js";
import { askDialog } from "./dialog.js";
import { fill, h } from "./dom.js";
import { busy, complain, Refusal } from "./form.js";
import { size } from "./format.js";
import { defineSection } from "./frame.js";
import { icon } from "./icons.js";
import { say } from "./messages.js";
import { planView } from "./restore-plan.js";

/** @import {Plan} from "./types.js" */

defineSection("tk-restore", accountRestore);

/** @param {HTMLElement} place */
function accountRestore(place) {
  const file = h("input", {
    type: "file",
    accept: ".zip,application/zip",
    class: "unseen",
    tabindex: "-1",
    "aria-label": "Backup file",
  });
  const choose = h(
    "button",
    { type: "button", class: "button", onclick: () => file.click() },
    icon("bring"),
    "Choose a zip",
  );
  const drop = h("div", { class: "drop" }, h("p", null, "Drop a backup here, or"), choose, file);
  const below = h("div", { role: "alert" });

  const start = () => fill(place, drop, below);
  /** @param {File} chosen */
  const take = (chosen) => {
    fill(below);
    void send(place, chosen)
      .then((sent) => showPlan(place, sent.id, sent.plan, start))
      .catch((reason) => {
        start();
        complain(below, reason);
      });
  };
  file.addEventListener("change", () => {
    const chosen = file.files?.[0];
    file.value = "";
    if (chosen) take(chosen);
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const chosen = event.dataTransfer?.files[0];
    if (chosen) take(chosen);
  });
  start();
}

/** Uploads, showing how far it is. @param {HTMLElement} place @param {File} chosen @returns {Promise<{id: string, plan: Plan}>} */
async function send(place, chosen) {
  if (chosen.size === 0) throw new Refusal(`${chosen.name} is empty. Nothing was changed.`);
  const stop = new AbortController();
  const bar = h("progress", { max: "1", value: 0, "aria-label": "Upload" });
  const figures = h("p", { class: "hint" }, `0 of ${size(chosen.size)}`);
  const words = h("p", { role: "status" }, "Handing over ", h("strong", null, chosen.name));
  const cancel = h("button", { type: "button", class: "button", onclick: () => stop.abort() }, "Stop");
  fill(place, h("div", { class: "progress" }, words, bar, figures, h("div", { class: "actions" }, cancel)));
  return upload(
    "/api/v1/me/restores",
    chosen,
    "application/zip",
    (done, total) => {
      bar.value = done / total;
      figures.textContent = done < total ? `${size(done)} of ${size(total)}` : "All there. The house is reading it…";
      if (done >= total) bar.removeAttribute("value");
    },
    stop.signal,
  );
}

/** @param {HTMLElement} place @param {string} id @param {Plan} plan @param {() => void} start */
function showPlan(place, id, plan, start) {
  const view = planView(plan);
  const error = h("div", { role: "alert" });
  const path = `/api/v1/me/restores/${encodeURIComponent(id)}`;
  const apply = h("button", { type: "button", class: "button primary" }, "Bring these back");
  const forget = h("button", { type: "button", class: "button" }, "Never mind");
  forget.addEventListener("click", () => {
    void busy(forget, async () => {
      await del(path);
      start();
    }).catch((reason) => complain(error, reason));
  });
  apply.addEventListener("click", () => {
    fill(error);
    const parts = view.chosen();
    if (parts.length === 0) return complain(error, new Refusal("Choose at least one part."));
    askDialog({
      title: "Bring these parts back?",
      body: [
        h("p", null, view.sentence()),
        h("p", null, "What is here now is put aside as an undo point first. Either all of it happens or nothing."),
      ],
      submit: "Bring them back",
      danger: view.removes(),
      run: async () => {
        const { undo } = await post(`${path}/apply`, { parts });
        showDone(place, undo, start);
        changed("settings", "undo");
      },
    });
  });
  fill(place, view.root, error, h("div", { class: "actions" }, view.changes && apply, forget));
  view.root.focus();
}

/** @param {HTMLElement} place @param {string} undo @param {() => void} start */
function showDone(place, undo, start) {
  const error = h("div", { role: "alert" });
  const back = h("button", { type: "button", class: "button" }, icon("undo"), "Undo it");
  back.addEventListener("click", () => {
    void busy(back, async () => {
      await post(`/api/v1/me/undo/${encodeURIComponent(undo)}`);
      say("Undone: everything is as it was before.");
      changed("settings", "undo");
      start();
    }).catch((reason) => complain(error, reason));
  });
  const words = h(
    "p",
    { class: "state good", tabindex: "-1", role: "status" },
    icon("check"),
    "Your backup is back. If it is not what you wanted, undo it here, now or later under “Undo points”.",
  );
  fill(
    place,
    words,
    h("div", { class: "actions" }, back, h("button", { type: "button", class: "button", onclick: start }, "Good")),
    error,
  );
  queueMicrotask(() => words.focus());
}
