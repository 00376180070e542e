// Account, "Where you are signed in": each session with its device, and the ways to end it.
import { del, get } from "./api.js";
import { onChange } from "./changes.js";
import { fill, h } from "./dom.js";
import { busy, complain } from "./form.js";
import { ago, count, device, fullDate } from "./format.js";
import { defineSection } from "./frame.js";
import { icon } from "./icons.js";
import { say, show } from "./messages.js";

/** @import {Session} from "./types.js" */

defineSection("tk-sessions", accountSessions);

/** @param {HTMLElement} place */
function accountSessions(place) {
  const load = () => show(place, () => draw(load), "Looking who is in…");
  onChange("sessions", load);
  void load();
}

/** @param {() => Promise<void>} again */
async function draw(again) {
  /** @type {Session[]} */
  const sessions = await get("/api/v1/me/sessions");
  sessions.sort((a, b) => Number(b.current) - Number(a.current) || b.lastUsed - a.lastUsed);
  const error = h("div", { role: "alert" });
  const others = sessions.filter((session) => !session.current).length;
  const endAll = h("button", { type: "button", class: "button" }, "End all the others");
  endAll.addEventListener("click", () => {
    void busy(endAll, async () => {
      const { ended } = await del("/api/v1/me/sessions");
      say(`${count(ended, "session")} ended.`);
      await again();
    }).catch((reason) => complain(error, reason));
  });
  if (sessions.length === 0)
    return h("p", { class: "empty" }, "This house has no accounts, so there are no sessions to show.");
  return [
    h(
      "ul",
      { class: "rows" },
      sessions.map((session) => row(session, error, again)),
    ),
    error,
    others > 0 ? h("div", { class: "actions" }, endAll) : h("p", { class: "hint" }, "Nobody else is signed in as you."),
  ];
}

/** @param {Session} session @param {HTMLElement} error @param {() => Promise<void>} again */
function row(session, error, again) {
  const what = device(session.device);
  const end = h("button", { type: "button", class: "button", "aria-label": `End ${what.name}` }, "End");
  end.addEventListener("click", () => {
    fill(error);
    void busy(end, async () => {
      await del(`/api/v1/me/sessions/${encodeURIComponent(session.id)}`);
      say(`${what.name} is signed out.`);
      await again();
    }).catch((reason) => complain(error, reason));
  });
  return h(
    "li",
    null,
    icon(what.small ? "phone" : "screen"),
    h(
      "div",
      { class: "row-words" },
      h("strong", { title: session.device }, what.name),
      h(
        "span",
        { class: "hint" },
        `${session.address} · `,
        h(
          "time",
          { title: fullDate(session.lastUsed) },
          session.current ? "in use now" : `last used ${ago(session.lastUsed)}`,
        ),
      ),
    ),
    session.current ? h("span", { class: "badge" }, "this one") : end,
  );
}
