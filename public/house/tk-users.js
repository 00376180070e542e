// The users page: everyone of the house in one list, for those who may see to them.
import { get } from "./api.js";
import { define, fill, h } from "./dom.js";
import { ago, count, fullDate, size } from "./format.js";
import { maySeeUsers, meOf, openPage, portrait, roleName } from "./frame.js";
import { icon } from "./icons.js";
import { show } from "./messages.js";
import { newUser } from "./user-new.js";
import { openUser } from "./user-sheet.js";

/** @import {User} from "./types.js" */

define("tk-users", (element) =>
  openPage(element, (place, known) => {
    if (!maySeeUsers(meOf(known))) {
      fill(place, notForYou());
      return;
    }
    if (!known.accounts) {
      fill(place, noAccounts());
      return;
    }
    const list = h("div", null);
    const load = () => show(list, () => draw(load), "Calling everyone in…");
    fill(
      place,
      h(
        "div",
        { class: "page-head" },
        h(
          "div",
          null,
          h("h1", null, "Users"),
          h("p", { class: "section-words" }, "Everyone who has a room in this house."),
        ),
        h(
          "button",
          { type: "button", class: "button primary", onclick: () => newUser(load) },
          icon("plus"),
          "Let someone in",
        ),
      ),
      list,
    );
    return load();
  }),
);

/** Accounts are off: what that means, and what to set to have them. */
function noAccounts() {
  return h(
    "div",
    { class: "sheet narrow" },
    h("h1", null, "Users"),
    h(
      "p",
      null,
      "Accounts are switched off: there is one user, and whoever reaches this house is that one. Nobody is asked for a name or a password.",
    ),
    h("p", null, "To have several users, each with a folder, a password and rights of their own, set this in config.yaml and start the server anew:"),
    h("pre", { tabindex: "0" }, "enableUserAccounts: true"),
    h("p", { class: "hint" }, "What is here now stays, as the folder of the first user. Set a password for it before you let others in."),
  );
}

function notForYou() {
  return h(
    "div",
    { class: "sheet narrow centred" },
    icon("key"),
    h("h1", null, "This room is the innkeeper's"),
    h(
      "p",
      null,
      "Here accounts are made and changed, and yours may not do that. Nothing is wrong. If you need it, ask whoever runs the house.",
    ),
    h("p", null, h("a", { class: "button", href: "/" }, "Back to the hearth")),
  );
}

/** @param {() => Promise<void>} again */
async function draw(again) {
  /** @type {User[]} */
  const users = await get("/api/v1/users");
  const able = users.filter((user) => user.enabled).length;
  return [
    h(
      "table",
      { class: "cards users", role: "table" },
      h("caption", { class: "unseen" }, "Users of this house"),
      h(
        "thead",
        null,
        h(
          "tr",
          { role: "row" },
          ["Name", "Role", "State", "Data", "Last seen", "Manage"].map((words) =>
            h("th", { scope: "col", role: "columnheader" }, words),
          ),
        ),
      ),
      h(
        "tbody",
        null,
        users.map((user) => row(user, again)),
      ),
    ),
    h("p", { class: "hint" }, `${count(users.length, "account")}, ${able} enabled.`),
  ];
}

/** @param {User} user @param {() => Promise<void>} again */
function row(user, again) {
  const data = h("span", { class: "hint" }, "…");
  const place = h("td", { role: "cell", "data-label": "Data" }, data);
  whenSeen(place, async () => {
    try {
      const counted = await get(`/api/v1/users/${encodeURIComponent(user.handle)}/size`);
      fill(place, h("span", { title: count(counted.files, "file") }, size(counted.bytes)));
    } catch {
      data.textContent = "not known";
    }
  });
  return h(
    "tr",
    { role: "row", class: user.enabled ? undefined : "asleep" },
    h(
      "th",
      { scope: "row", role: "rowheader" },
      h(
        "div",
        { class: "who" },
        portrait(user.avatar),
        h(
          "div",
          null,
          h("strong", { dir: "auto" }, user.name),
          user.isMe && h("span", { class: "badge" }, "you"),
          h("span", { class: "handle" }, user.handle),
        ),
      ),
    ),
    h(
      "td",
      { role: "cell", "data-label": "Role" },
      h("span", { class: `role role-${user.role}` }, roleName(user.role)),
    ),
    h(
      "td",
      { role: "cell", "data-label": "State" },
      h(
        "span",
        { class: "state-cell" },
        icon(user.hasPassword ? "locked" : "open", user.hasPassword ? "has a password" : "no password"),
        user.enabled ? "Enabled" : "Disabled",
      ),
    ),
    place,
    h(
      "td",
      { role: "cell", "data-label": "Last seen" },
      user.lastSeen
        ? h("time", { title: fullDate(user.lastSeen) }, ago(user.lastSeen))
        : h("span", { class: "hint" }, "never"),
    ),
    h(
      "td",
      { role: "cell", class: "last" },
      h(
        "button",
        {
          type: "button",
          class: "button small",
          "data-key": user.handle,
          "aria-label": `Manage ${user.name}`,
          onclick: () => openUser(user, again),
        },
        "Manage",
      ),
    ),
  );
}

/** Runs `then` once, when `element` comes near the window: counting a folder costs the server something. @param {Element} element @param {() => void} then */
function whenSeen(element, then) {
  const watch = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      watch.disconnect();
      then();
    },
    { rootMargin: "200px" },
  );
  watch.observe(element);
}
