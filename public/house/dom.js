// Builds the page from nodes, never from strings of HTML: whatever a name contains, it stays text.

/** @typedef {Node | string | number | null | undefined | false} Child */
/** @typedef {Record<string, unknown>} Props */

/**
 * An element with attributes, listeners (`onclick: fn`) and children. `true` sets an empty attribute; `false`, `null`
 * and `undefined` set none. `value`, `checked` and `indeterminate` are set as properties.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Props | null} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  element.append(...nodes(children));
  return element;
}

/** @param {HTMLElement} element @param {string} name @param {unknown} value */
function set(element, name, value) {
  if (value === undefined || value === null || value === false) return;
  if (name.startsWith("on") && typeof value === "function") {
    element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
  } else if (name === "value" || name === "checked" || name === "indeterminate") {
    Reflect.set(element, name, value);
  } else if (name === "style" || name.startsWith("on")) {
    throw new TypeError(`${name} is not set as an attribute here`);
  } else {
    element.setAttribute(name, value === true ? "" : unturned(String(value)));
  }
}

/**
 * A text without marks that turn the direction of whatever stands beside it: they come in names that others chose, and
 * names stand in the midst of sentences. Letters have their direction without them.
 * @param {string} text
 */
export function unturned(text) {
  return text.replace(/[\u202A-\u202E\u2066-\u2069]/g, "");
}

/** @param {(Child | Child[])[]} children @returns {(Node | string)[]} */
function nodes(children) {
  /** @type {(Node | string)[]} */
  const out = [];
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    out.push(child instanceof Node ? child : unturned(String(child)));
  }
  return out;
}

/** Puts these children in place of what is there. @param {Element} parent @param {...(Child | Child[])} children */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
}

/** A link target inside this site. Anything else becomes the home page. @param {string | null} path */
export function ownPath(path) {
  if (!path || !path.startsWith("/")) return "/";
  try {
    const url = new URL(path, location.origin);
    return url.origin === location.origin ? url.pathname + url.search + url.hash : "/";
  } catch {
    return "/";
  }
}

/**
 * Makes `<name>` an element of ours: `draw` fills it when it first comes onto the page.
 * @param {string} name
 * @param {(place: HTMLElement) => unknown} draw
 */
export function define(name, draw) {
  customElements.define(
    name,
    class extends HTMLElement {
      #drawn = false;
      connectedCallback() {
        if (this.#drawn) return;
        this.#drawn = true;
        draw(this);
      }
    },
  );
}

/** What tells an element from its neighbours: its key if it has one, else what names it for its reader. @param {Element} element */
const named = (element) =>
  element.getAttribute("data-key") ?? element.getAttribute("aria-label") ?? element.textContent;

/**
 * Keeps the focus where the reader was when its element has been drawn anew: on the one of the same name in `place`,
 * else on the first that can be pressed there, else on the place itself.
 * @param {Element} old @param {HTMLElement} place
 */
export function refocus(old, place) {
  const all = [...place.querySelectorAll("button:not([hidden]), a[href], input:not([hidden])")];
  const next = all.find((element) => named(element) === named(old)) ?? all[0] ?? place;
  if (next === place) place.tabIndex = -1;
  /** @type {HTMLElement} */ (next).focus({ preventScroll: true });
}

/**
 * Draws `place` anew under somebody who is there: what was unfolded, the focus with its selection, and the scrolling stay.
 * Elements are known again by their names.
 * @param {HTMLElement} place @param {() => void} draw
 */
export function undisturbed(place, draw) {
  /** Where to find an element again. @param {Element} element @returns {() => Element | undefined} */
  const mark = (element) => {
    const name = nameOf(element);
    const alike = () => [...place.querySelectorAll(element.localName)].filter((other) => nameOf(other) === name);
    const at = alike().indexOf(element);
    return () => alike()[at];
  };
  const folds = [...place.querySelectorAll("details")].map((fold) => ({ open: fold.open, again: mark(fold) }));
  const held = document.activeElement;
  const again = held && place.contains(held) ? mark(held) : null;
  const { scrollX, scrollY } = window;
  const text = held instanceof HTMLTextAreaElement || held instanceof HTMLInputElement ? held : null;
  const selected = text && { from: text.selectionStart, to: text.selectionEnd, top: text.scrollTop };
  draw();
  for (const fold of folds) {
    const found = fold.again();
    if (!(found instanceof HTMLDetailsElement) || found.open === fold.open) continue;
    found.open = fold.open;
    // The browser tells of it later, and what is in it is made when it does.
    found.dispatchEvent(new Event("toggle"));
  }
  const now = again?.();
  if (now instanceof HTMLElement) now.focus({ preventScroll: true });
  else if (again && held) refocus(held, place);
  if (selected && (now instanceof HTMLTextAreaElement || now instanceof HTMLInputElement)) {
    // Numbers and ticks have none.
    if (selected.from !== null) now.setSelectionRange(selected.from, selected.to);
    now.scrollTop = selected.top;
  }
  scrollTo(scrollX, scrollY);
}

/** @param {Element} element */
function nameOf(element) {
  if (element instanceof HTMLDetailsElement) return element.querySelector("summary")?.textContent;
  const { labels } = /** @type {HTMLInputElement} */ (element);
  return labels?.[0]?.textContent ?? named(element);
}

let counter = 0;

/** An id no other element has. @param {string} [prefix] */
export function uid(prefix = "tk") {
  counter += 1;
  return `${prefix}-${counter}`;
}
