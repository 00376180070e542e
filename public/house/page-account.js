// The account page: puts its sections in order and keeps the side list in step with what is in view.
import { accountAfresh } from "./account-afresh.js";
import { accountBackup } from "./account-backup.js";
import { accountPassword } from "./account-password.js";
import { accountProfile } from "./account-profile.js";
import { accountRestore } from "./account-restore.js";
import { accountSessions } from "./account-sessions.js";
import { accountSnapshots } from "./account-snapshots.js";
import { accountUndo } from "./account-undo.js";
import { fill, h } from "./dom.js";
import { meOf, openPage } from "./frame.js";
import { icon } from "./icons.js";

/** @import {Me} from "./types.js" */
/** @typedef {(place: HTMLElement, me: Me) => void} Section fills its place, now and whenever its own data change */

/** @type {[id: string, drawing: import("./icons.js").IconName, title: string, words: string, Section][]} */
const sections = [
  ["profile", "person", "Profile", "How the others in the house see you.", accountProfile],
  ["password", "key", "Password", "Keeps your room to yourself.", accountPassword],
  ["snapshots", "book", "Settings snapshots", "Earlier states of your settings, to look at and to go back to.", accountSnapshots],
  ["backup", "take", "Download a backup", "Everything of yours as one zip: plain files that you can open without this house.", accountBackup],
  ["restore", "bring", "Bring a backup back", "From this house, or a zip of a SillyTavern user folder. You see what would change before anything does.", accountRestore],
  ["undo", "undo", "Undo points", "What a restore or a reset put aside, for as long as you keep it.", accountUndo],
  ["sessions", "screen", "Sessions", "Where you are signed in. End what you do not know.", accountSessions],
  ["afresh", "ember", "Start afresh", "Both can be brought back by an undo point or a snapshot.", accountAfresh],
];

await openPage((place, known) => {
  const me = meOf(known);
  const links = new Map(
    sections.map(([id, drawing, title]) => [id, h("a", { href: `#${id}` }, icon(drawing), h("span", null, title))]),
  );
  const drawn = sections.map(([id, , title, words, draw]) => {
    const body = h("div", { class: "section-body" });
    const section = h("section", { class: "sheet", id, "aria-labelledby": `${id}-title` }, h("h2", { id: `${id}-title` }, title), h("p", { class: "section-words" }, words), body);
    draw(body, me);
    return section;
  });
  fill(
    place,
    h("h1", null, "Your account"),
    h("div", { class: "with-side" }, h("nav", { class: "side", "aria-label": "Sections" }, h("ul", null, [...links.values()].map((link) => h("li", null, link)))), h("div", { class: "sheets" }, drawn)),
  );
  follow(links, drawn);
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
});

/** Marks the link of the topmost section in view. @param {Map<string, HTMLElement>} links @param {HTMLElement[]} drawn */
function follow(links, drawn) {
  const seen = new Set();
  const watch = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting) seen.add(entry.target);
        else seen.delete(entry.target);
      }
      const top = drawn.find((section) => seen.has(section));
      for (const [id, link] of links) {
        if (top?.id === id) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-10% 0px -50% 0px" },
  );
  for (const section of drawn) watch.observe(section);
}
