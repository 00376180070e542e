// All characters as cards: found as one types, narrowed by tag, sorted; brought in from files; opened for a chat.
import { get, patch, post } from "../api.js";
import { askDialog } from "../dialog.js";
import { fill, h } from "../dom.js";
import { busy, field, refuse } from "../form.js";
import { ago, count, fullDate } from "../format.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { errorPanel, sorry } from "../messages.js";
import { arrivals, dropAnywhere, fileButton } from "./arrivals.js";
import { address, asked, button, chatPath, emptyRoom, pageHead, part, settled, smallPicture } from "./parts.js";
import { WindowGrid } from "./window-grid.js";

/** @import {CardItem, CardPage, TagCount} from "./types.js" */

/** @type {[string, string][]} */
const orders = [
  ["recent", "Last talked to"],
  ["name", "By name"],
  ["added", "Newest first"],
  ["chats", "Most talked to"],
];

/** What the server can read. */
const CARD_FILES = ".png,.json,.charx,image/png,application/json";

/** @param {HTMLElement} place */
export async function characterList(place) {
  const seek = h("input", {
    type: "search",
    placeholder: "Name, tag, creator",
    "aria-label": "Search characters",
    value: asked("q"),
    autocomplete: "off",
    spellcheck: "false",
    enterkeyhint: "search",
  });
  const tag = h("select", { "aria-label": "Tag" }, h("option", { value: "" }, "All tags"));
  const sort = h(
    "select",
    { "aria-label": "Order" },
    orders.map(([value, words]) => h("option", { value }, words)),
  );
  sort.value = orders.some(([value]) => value === asked("sort")) ? asked("sort") : "recent";
  const loved = h(
    "button",
    { type: "button", class: "button toggle", "aria-pressed": String(asked("favorite") === "true") },
    icon("star"),
    wide("Favourites"),
  );
  const wish = () => ({
    q: seek.value.trim(),
    tag: tag.value || (tag.options.length === 1 ? asked("tag") : ""),
    favorite: loved.getAttribute("aria-pressed") === "true" ? "true" : "",
    sort: sort.value,
  });

  const tally = h("p", { class: "tally", role: "status" });
  const trouble = h("div", null);
  const empty = h("div", null);
  const cards = h("ul", { class: "card-grid", "aria-label": "Characters" });
  /** How many there are in all, when nothing narrows the list. @type {number | null} */
  let all = null;

  /** @param {number} total */
  const counted = (total) => {
    const { q, tag: chosen, favorite } = wish();
    const narrowed = Boolean(q || chosen || favorite);
    if (!narrowed) all = total;
    tools.hidden = all === 0;
    tally.textContent = total === 0 ? "" : count(total, "character");
    if (total > 0) fill(empty);
    else if (narrowed) fill(empty, nothingFound(q, clear));
    else fill(empty, firstCard(bringIn, make));
  };

  const grid = new WindowGrid(cards, {
    load: async (offset, limit) => {
      const query = new URLSearchParams({ offset: String(offset), limit: String(limit) });
      for (const [name, value] of Object.entries(wish())) if (value) query.set(name, value);
      /** @type {CardPage} */
      const page = await get(`/api/v1/characters?${query}`);
      if (offset === 0) offerTags(tag, page.tags, wish().tag);
      fill(trouble);
      return page;
    },
    draw: (item) => card(item, () => void favour(item)),
    blank: () => h("li", { class: "card blank" }),
    counted,
    failed: (error, retry) => fill(trouble, errorPanel(error, retry)),
  });

  /** @param {CardItem} item */
  const favour = async (item) => {
    try {
      const { favorite, avatar } = await setFavourite(item);
      const held = document.activeElement?.getAttribute("data-key");
      grid.replace((old) => old.id === item.id, { ...item, favorite, avatar });
      const star = held ? cards.querySelector(`[data-key="${CSS.escape(held)}"]`) : null;
      if (star instanceof HTMLElement) star.focus({ preventScroll: true });
    } catch (reason) {
      sorry(reason);
    }
  };
  const again = () => {
    const { sort: order, ...rest } = wish();
    address({ ...rest, sort: order === "recent" ? "" : order });
    return grid.reset();
  };
  const typed = settled(160, () => void again());
  seek.addEventListener("input", typed);
  tag.addEventListener("change", () => void again());
  sort.addEventListener("change", () => void again());
  loved.addEventListener("click", () => {
    loved.setAttribute("aria-pressed", String(loved.getAttribute("aria-pressed") !== "true"));
    void again();
  });
  const clear = () => {
    seek.value = "";
    tag.value = "";
    loved.setAttribute("aria-pressed", "false");
    seek.focus();
    void again();
  };

  const coming = h("div", null);
  /** @param {File[]} files */
  const takeIn = (files) =>
    arrivals(coming, files, {
      path: "/api/v1/characters/import",
      what: ["character", "characters"],
      href: (answer) => `/characters?id=${part(answer.id)}`,
      name: (answer) => answer.name,
      done: () => void grid.reset(),
    });
  const bringIn = () => fileButton([icon("bring"), "Bring in", wide(" cards")], CARD_FILES, takeIn, "primary");
  const make = () => button([icon("plus"), "New", wide(" character")], newCharacter);
  dropAnywhere(place, "Let go, and the cards come in", takeIn);

  const tools = h(
    "div",
    { class: "tools", role: "search" },
    h("div", { class: "seek" }, icon("search"), seek),
    tag,
    sort,
    loved,
  );
  fill(
    place,
    pageHead("Characters", "Everyone you can talk to.", assistantButton(), make(), bringIn()),
    coming,
    tools,
    tally,
    trouble,
    empty,
    cards,
  );
  follow(["characters", "chats", "chat"], () => grid.refresh());
  await grid.reset();
}

/** Words that only a reader with room, or with ears, gets. @param {string} words */
const wide = (words) => h("span", { class: "wide-words" }, words);

/** @param {HTMLSelectElement} select @param {TagCount[]} tags @param {string} chosen */
function offerTags(select, tags, chosen) {
  const shown = tags.some((tag) => tag.name === chosen) || !chosen ? tags : [{ name: chosen, count: 0 }, ...tags];
  fill(
    select,
    h("option", { value: "" }, "All tags"),
    shown.map((tag) => h("option", { value: tag.name }, tag.count ? `${tag.name} (${tag.count})` : tag.name)),
  );
  select.value = chosen;
  select.hidden = shown.length === 0;
}

/** @param {CardItem} item @param {() => void} favour */
function card(item, favour) {
  const star = h(
    "button",
    {
      type: "button",
      class: "quiet round favourite",
      "aria-pressed": String(item.favorite),
      "aria-label": `Favourite: ${item.name}`,
      "data-key": `star-${item.id}`,
      onclick: favour,
    },
    icon("star"),
  );
  const picture = h("img", {
    src: smallPicture(item.avatar),
    alt: "",
    width: 160,
    height: 220,
    loading: "lazy",
    decoding: "async",
  });
  picture.addEventListener("error", () => (picture.src = "/img/default-user.png"), { once: true });
  return h(
    "li",
    { class: item.damaged ? "card damaged" : "card" },
    picture,
    star,
    h(
      "div",
      { class: "card-words" },
      h(
        "a",
        {
          class: "card-name",
          href: item.damaged ? `/characters?id=${part(item.id)}` : chatPath({ character: item.id }),
        },
        h("bdi", null, item.name || item.id),
      ),
      h("p", { class: "card-tags" }, item.damaged ? "cannot be read" : item.tags.join(" · ")),
      h(
        "p",
        { class: "card-foot" },
        item.lastChat
          ? h("time", { title: fullDate(item.lastChat) }, ago(item.lastChat))
          : h("span", null, "not met yet"),
        h(
          "a",
          { class: "quiet round", href: `/characters?id=${part(item.id)}`, "aria-label": `Edit ${item.name}` },
          icon("pen"),
        ),
      ),
    ),
  );
}

/** Turns the mark of a favourite over. A change needs the version that it replaces, which the list does not hold. @param {CardItem} item */
async function setFavourite(item) {
  const path = `/api/v1/characters/${part(item.id)}`;
  const { version } = await get(path);
  return patch(path, { version, favorite: !item.favorite });
}

function newCharacter() {
  const name = field("Name", { maxlength: "100", autocomplete: "off", required: true }, "It can be changed later.");
  askDialog({
    title: "A new character",
    body: [name.root],
    submit: "Begin",
    run: async () => {
      const wanted = name.input.value.trim();
      if (!wanted) refuse(name, "A name needs at least one letter.");
      const made = await post("/api/v1/characters", { name: wanted });
      location.assign(`/characters?id=${part(made.id)}`);
    },
  });
}

/** The one to talk to who plays nobody: made when it is first wanted. */
function assistantButton() {
  const made = button([icon("chat"), "Assistant"], () => {
    void busy(made, async () => {
      try {
        const assistant = await post("/api/v1/characters/assistant");
        location.assign(chatPath({ character: assistant.id }));
      } catch (reason) {
        sorry(reason);
      }
    });
  });
  return made;
}

/** @param {() => HTMLElement} bringIn @param {() => HTMLElement} make */
function firstCard(bringIn, make) {
  return emptyRoom(
    "cards",
    "Nobody has moved in yet",
    "Bring in character cards (PNG, JSON or CHARX, as SillyTavern and card sites hand them out): press the button, or " +
      "drop the files anywhere on this page. Or write one of your own, or just talk to the plain assistant.",
    bringIn(),
    make(),
    assistantButton(),
  );
}

/** @param {string} q @param {() => void} clear */
function nothingFound(q, clear) {
  return emptyRoom(
    "search",
    "Nobody by that name",
    q ? `No character has “${q}” in name, tags or creator.` : "No character fits what you chose.",
    button("Show everyone", clear),
  );
}
