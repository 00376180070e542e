// Menus: a button, and the list of what can be done that hangs at it, in front of everything. The focus goes into the list
// when it opens, walks it by the arrow keys, and comes back to the button when it closes.
import { fill, h, uid } from "./dom.js";
import { icon } from "./icons.js";

/** @typedef {{drawing: import("./icons.js").IconName, words: string, run: () => void, off?: boolean}} Entry */

/**
 * @param {string} label @param {() => Entry[]} entries asked for each time that it opens
 * @param {{kind?: string, key?: string, onClose?: () => void}} [options] `key`: by which the button is found again when it has been drawn anew
 */
export function menu(label, entries, { kind = "", key, onClose } = {}) {
  const button = h(
    "button",
    { type: "button", class: `quiet round ${kind}`.trim(), "aria-label": label, title: label, "data-key": key },
    icon("dots"),
  );
  const list = h("ul", { class: "menu-list" });
  hang(list, () => button, entries, { onClose });
  tie(button, list);
  return h("div", { class: "menu" }, button, list);
}

/** Makes a button open a list. @param {HTMLButtonElement} button @param {HTMLElement} list that hangs already */
export function tie(button, list) {
  button.popoverTargetElement = list;
  button.setAttribute("aria-controls", list.id);
  button.setAttribute("aria-expanded", String(list.matches(":popover-open")));
}

/**
 * Makes a list hang at a button, and go with it until that is out of sight. The button may be another one each time.
 * @param {HTMLElement} list @param {() => HTMLElement | undefined} at @param {() => Entry[]} entries
 * @param {{home?: () => HTMLElement | undefined, onClose?: () => void}} [options] `home`: who gets the focus back, if not the button
 */
export function hang(list, at, entries, { home = at, onClose } = {}) {
  list.id = uid("menu");
  list.popover = "auto";
  const draw = () =>
    fill(
      list,
      entries().map(({ drawing, words, run, off = false }) =>
        h(
          "li",
          null,
          h("button", { type: "button", class: "quiet", disabled: off, onclick: () => (list.hidePopover(), run()) }, icon(drawing), h("span", null, words)),
        ),
      ),
    );
  /** @type {AbortController | null} */
  let leave = null;
  list.addEventListener("beforetoggle", (event) => /** @type {ToggleEvent} */ (event).newState === "open" && draw());
  list.addEventListener("toggle", () => {
    const open = list.matches(":popover-open");
    at()?.setAttribute("aria-expanded", String(open));
    leave?.abort();
    leave = null;
    if (!open) return onClose?.();
    leave = new AbortController();
    place(list, at());
    const again = () => place(list, at());
    document.addEventListener("scroll", again, { capture: true, passive: true, signal: leave.signal });
    addEventListener("resize", again, { signal: leave.signal });
    if (!list.contains(document.activeElement)) walkable(list)[0]?.focus({ preventScroll: true });
  });
  list.addEventListener("keydown", (event) => walk(event, list, home));
  return draw;
}

/** @param {HTMLElement} list @returns {HTMLElement[]} */
const walkable = (list) => [...list.querySelectorAll("button:enabled")].filter((one) => one instanceof HTMLElement);

/** @param {KeyboardEvent} event @param {HTMLElement} list @param {() => HTMLElement | undefined} home */
function walk(event, list, home) {
  const all = walkable(list);
  const now = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const next = { ArrowUp: Math.max(0, now - 1), ArrowDown: Math.min(all.length - 1, now + 1), Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "Escape") {
    event.preventDefault();
    event.stopPropagation();
    list.hidePopover();
    home()?.focus({ preventScroll: true });
  } else if (event.key === "Tab") {
    // It goes on from the button, as if there were no list.
    list.hidePopover();
    home()?.focus({ preventScroll: true });
  } else if (next !== undefined) {
    event.preventDefault();
    event.stopPropagation();
    all[next]?.focus();
  }
}

/** @param {HTMLElement} list @param {HTMLElement | undefined} button */
function place(list, button) {
  if (!button || !list.matches(":popover-open")) return;
  const at = button.getBoundingClientRect();
  const frame = button.closest(".log, .side-list")?.getBoundingClientRect();
  if (!button.isConnected || (frame && (at.bottom < frame.top || at.top > frame.bottom))) return list.hidePopover();
  const { offsetWidth: wide, offsetHeight: high } = list;
  const top = at.bottom + high + 8 < innerHeight ? at.bottom : Math.max(8, at.top - high);
  list.style.top = `${Math.max(8, Math.min(top, innerHeight - high - 8))}px`;
  list.style.left = `${Math.max(8, Math.min(at.right, innerWidth - 8) - wide)}px`;
}
