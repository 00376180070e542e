// The account page: puts its sections in order and keeps the side list in step with what is in view.
import { define, fill, h } from "./dom.js";
import { openPage } from "./frame.js";
import { icon } from "./icons.js";
import "./tk-afresh.js";
import "./tk-backup.js";
import "./tk-keys.js";
import "./tk-password.js";
import "./tk-profile.js";
import "./tk-restore.js";
import "./tk-sessions.js";
import "./tk-snapshots.js";
import "./tk-undo.js";

/** The section `id` is filled by the element `tk-id`.
 * @type {[id: string, drawing: import("./icons.js").IconName, title: string, words: string][]} */
const sections = [
  ["profile", "person", "Profile", "Your name and your picture."],
  ["password", "key", "Password", "Keeps your room to yourself."],
  ["snapshots", "book", "Settings snapshots", "Earlier states of your settings, to look at and to go back to."],
  [
    "backup",
    "take",
    "Download a backup",
    "Everything of yours as one zip: plain files that you can open without this house.",
  ],
  [
    "restore",
    "bring",
    "Bring a backup back",
    "From this house, or a zip of a SillyTavern user folder. You see what would change before anything does.",
  ],
  ["undo", "undo", "Undo points", "What restores and resets put aside, so that you can change your mind."],
  ["sessions", "screen", "Sessions", "Where you are signed in. End what you do not know."],
  [
    "keys",
    "plug",
    "API keys",
    "For programs of yours that speak OpenAI's dialect: they ask this house's models as you.",
  ],
  ["afresh", "ember", "Start afresh", "Both can be brought back by an undo point or a snapshot."],
];

define("tk-account", (element) =>
  openPage(element, (place, known) => {
    // Without accounts there is no session to end. A password can be set before they are switched on.
    const shown = sections.filter(([id]) => known.accounts || id !== "sessions");
    const links = new Map(
      shown.map(([id, drawing, title]) => [id, h("a", { href: `#${id}` }, icon(drawing), h("span", null, title))]),
    );
    const drawn = shown.map(([id, , title, words]) => {
      const body = document.createElement(`tk-${id}`);
      const section = h(
        "section",
        { class: "sheet", id, "aria-labelledby": `${id}-title` },
        h("h2", { id: `${id}-title` }, title),
        h("p", { class: "section-words" }, words),
        body,
      );
      return section;
    });
    fill(
      place,
      h("h1", null, "Account"),
      !known.accounts &&
        h(
          "p",
          { class: "state open" },
          icon("open"),
          h("span", null, "Accounts are switched off: whoever reaches this house is this user. ", h("code", null, "enableUserAccounts: true"), " in config.yaml switches them on."),
        ),
      h(
        "div",
        { class: "with-side" },
        h(
          "nav",
          { class: "side", "aria-label": "Sections" },
          h(
            "ul",
            null,
            [...links.values()].map((link) => h("li", null, link)),
          ),
        ),
        h("div", { class: "sheets" }, drawn),
      ),
    );
    follow(links, drawn);
    if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  }),
);

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
        if (top?.id === id) {
          link.setAttribute("aria-current", "true");
          const strip = link.closest("ul");
          strip?.scrollTo({ left: link.offsetLeft - strip.clientWidth / 3 });
        } else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-10% 0px -50% 0px" },
  );
  for (const section of drawn) watch.observe(section);
}
