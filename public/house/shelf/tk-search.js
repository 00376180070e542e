// The page to search all chats as one types, with what was found marked, and a way to each place.
import { get } from "../api.js";
import { define, fill, h, undisturbed } from "../dom.js";
import { chatName } from "../chat/names.js";
import { ago, count, fullDate, size } from "../format.js";
import { openPage } from "../frame.js";
import { icon } from "../icons.js";
import { follow } from "../live.js";
import { setMarkup } from "../markup.js";
import { errorPanel } from "../messages.js";
import { address, asked, chatPath, emptyRoom, groupChatPath, pageHead, settled } from "./parts.js";

/** @import {Hit, Hits} from "./types.js" */

/** So many are asked for at first, and with each "More". */
const STEP = 40;

define("tk-search", (element) =>
  openPage(element, (place) => {
    const seek = h("input", {
      type: "search",
      value: asked("q"),
      placeholder: "Words that were said",
      "aria-label": "Search all chats",
      autocomplete: "off",
      enterkeyhint: "search",
      dir: "auto",
    });
    const tally = h("p", { class: "tally", role: "status" });
    const results = h("div", { class: "found" });
    let question = 0;
    let limit = STEP;
    const find = async () => {
      const q = seek.value.trim();
      address({ q });
      const mine = ++question;
      if (!q) {
        tally.textContent = "";
        fill(
          results,
          emptyRoom(
            "search",
            "Find what was said",
            "Type a word or a part of a sentence: every chat with every character is searched, as far back as they go.",
          ),
        );
        return;
      }
      try {
        /** @type {Hits} */
        const answer = await get(`/api/v1/search?${new URLSearchParams({ q, limit: String(limit) })}`);
        if (mine !== question) return;
        tell(answer);
        undisturbed(results, () => fill(results, draw(answer, q)));
        if (answer.indexing) again(mine);
      } catch (reason) {
        if (mine !== question) return;
        tally.textContent = "";
        fill(
          results,
          errorPanel(reason, () => void find()),
        );
      }
    };
    /** @param {Hits} answer */
    const tell = (answer) => {
      const { indexing } = answer;
      const found =
        answer.hits.length === 0 ? "" : `${count(Math.max(answer.total ?? 0, answer.hits.length), "place")}.`;
      const reading = indexing
        ? `Still reading your chats, ${size(indexing.done)} of ${size(indexing.total)}; more may turn up.`
        : "";
      tally.textContent = [found, reading].filter(Boolean).join(" ");
    };
    /** Asks once more while the chats are still being read. @param {number} mine */
    const again = (mine) => setTimeout(() => mine === question && seek.isConnected && void find(), 1500);
    /** @param {Hits} answer @param {string} q */
    const draw = (answer, q) => {
      if (answer.hits.length === 0)
        return answer.indexing
          ? h("p", { class: "waiting" }, "Your chats are still being read. This takes a moment; what is found appears by itself.")
          : emptyRoom(
              "search",
              "Nobody said that",
              `“${q}” is in none of your chats. Fewer words, or another form of them, may help.`,
            );
      return [
        h("ul", { class: "hits" }, answer.hits.map(hit)),
        answer.hits.length >= limit &&
          h(
            "div",
            { class: "actions" },
            h(
              "button",
              {
                type: "button",
                class: "button",
                onclick: () => {
                  limit += STEP;
                  void find();
                },
              },
              "More",
            ),
          ),
      ];
    };
    const typed = settled(120, () => {
      limit = STEP;
      void find();
    });
    seek.addEventListener("input", typed);
    seek.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      const first = results.querySelector("a");
      if (!first) return;
      event.preventDefault();
      first.focus();
    });
    results.addEventListener("keydown", (event) => walk(event, results, seek));
    fill(
      place,
      pageHead("Search", null),
      h("div", { class: "tools", role: "search" }, h("div", { class: "seek" }, icon("search"), seek)),
      tally,
      results,
    );
    seek.focus();
    // The server reads what was said anew no more often than every quarter of a second.
    follow(["chat", "chats", "characters"], find, 500);
    return find();
  }),
);

/** Arrow keys go from result to result, and from the first back to the words. @param {KeyboardEvent} event @param {HTMLElement} results
 * @param {HTMLElement} seek */
function walk(event, results, seek) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const links = [...results.querySelectorAll("a")];
  const at = links.indexOf(/** @type {HTMLAnchorElement} */ (document.activeElement));
  if (at < 0) return;
  event.preventDefault();
  (links[at + (event.key === "ArrowDown" ? 1 : -1)] ?? (event.key === "ArrowUp" ? seek : links[at])).focus();
}

/** @param {Hit} hit */
function hit(hit) {
  const snippet = h("span", { class: "snippet", dir: "auto" });
  setMarkup(snippet, hit.snippet);
  const when = hit.sentAt ? new Date(hit.sentAt).getTime() : Number.NaN;
  return h(
    "li",
    null,
    h(
      "a",
      { class: "hit", href: hit.groupName === undefined ? chatPath({ character: hit.character, chat: hit.chat, message: hit.index }) : groupChatPath(hit.chat) },
      h(
        "span",
        { class: "hit-head" },
        h("strong", null, h("bdi", null, hit.groupName ?? hit.characterName)),
        hit.groupName !== undefined && h("span", { class: "hint" }, "Group"),
        h("span", { class: "hint" }, h("bdi", null, chatName(hit))),
      ),
      h(
        "span",
        { class: "hit-words" },
        h("span", { class: hit.isUser ? "speaker own" : "speaker" }, h("bdi", null, hit.name), ":"),
        " ",
        snippet,
      ),
      Number.isFinite(when) && h("time", { class: "hint", title: fullDate(when) }, ago(when)),
    ),
  );
}
