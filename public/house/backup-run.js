// Starts a backup: asks for a ticket, lets the browser download it, and shows how far the server is.
import { get, post } from "./api.js";
import { fill, h, ownPath } from "./dom.js";
import { count, size } from "./format.js";
import { icon } from "./icons.js";
import { complain } from "./form.js";

/** @import {BackupState, Ticket} from "./types.js" */

/** After so long without a download beginning, the page offers the link to press by hand. */
const SLOW_START = 5_000;

/**
 * @param {string} path where the ticket is asked for
 * @param {boolean} secrets
 * @param {HTMLElement} place where the progress is shown
 */
export async function runBackup(path, secrets, place) {
  /** @type {Ticket} */
  const ticket = await post(path, { secrets });
  const link = h(
    "a",
    { href: ownPath(ticket.url), download: ticket.fileName, class: "button" },
    icon("take"),
    "Begin the download",
  );
  const bar = h("progress", { max: "1", value: 0, "aria-label": "Backup" });
  const figures = h("p", { class: "hint" }, "Beginning…");
  const words = h("p", { role: "status" }, "Packing ", h("strong", null, ticket.fileName));
  link.hidden = true;
  fill(place, h("div", { class: "progress" }, words, bar, figures, link));
  link.click();
  void follow(ticket, { link, bar, figures, words, place });
}

/**
 * @param {Ticket} ticket
 * @param {{link: HTMLElement, bar: HTMLProgressElement, figures: HTMLElement, words: HTMLElement, place: HTMLElement}} shown
 */
async function follow(ticket, { link, bar, figures, words, place }) {
  const begun = Date.now();
  let failures = 0;
  while (place.isConnected) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    /** @type {BackupState} */
    let now;
    try {
      now = await get(`/api/v1/me/backups/${encodeURIComponent(ticket.id)}`);
      failures = 0;
    } catch (reason) {
      failures += 1;
      if (failures < 6) continue;
      complain(place, reason);
      return;
    }
    bar.value = now.bytes > 0 ? now.bytesDone / now.bytes : now.state === "done" ? 1 : 0;
    figures.textContent = `${size(now.bytesDone)} of ${size(now.bytes)}, ${now.filesDone.toLocaleString()} of ${count(now.files, "file")}`;
    if (now.state === "waiting" && Date.now() - begun > SLOW_START) {
      link.hidden = false;
      figures.textContent = "The download has not begun. Your browser may have held it back.";
    } else if (now.state !== "waiting") link.hidden = true;
    if (now.state === "done") {
      bar.value = 1;
      fill(words, icon("check"), " Done: ", h("strong", null, ticket.fileName), " is in your downloads.");
      return;
    }
    if (now.state === "failed") {
      fill(
        place,
        h(
          "div",
          { class: "alert", role: "alert" },
          icon("warn"),
          h(
            "div",
            null,
            h("strong", null, "The backup did not finish. "),
            now.message ?? "",
            " Your data are untouched; delete the half file and try again.",
          ),
        ),
      );
      return;
    }
  }
}

/** The tick for secrets, with what it means. */
export const secretsWarning =
  "Your keys for model providers then lie readable in the zip. Keep it where only you can reach it.";
