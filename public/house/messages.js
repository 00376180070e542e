// What the house says: short notes at the foot of the page, and what an error means, what is safe and what to do.
import { ApiError } from "./api.js";
import { fill, h, refocus } from "./dom.js";
import { wait } from "./format.js";
import { icon } from "./icons.js";

/** @type {HTMLElement | null} */
let shelf = null;

/** A note that is also read aloud, and goes away by itself. @param {string} text @param {HTMLElement} [action] */
export function say(text, action) {
  shelf ??= document.body.appendChild(h("div", { class: "notes", role: "status", "aria-live": "polite" }));
  // A modal dialog covers everything outside it, so the notes move into it while it is open.
  const open = [...document.querySelectorAll("dialog[open]")].at(-1);
  (open ?? document.body).append(shelf);
  // The same words again replace themselves: one event, one note.
  for (const old of shelf.children) if (old.textContent === text) old.remove();
  const note = h(
    "div",
    { class: "note" },
    icon("check"),
    h("span", null, text),
    action,
    h(
      "button",
      { type: "button", class: "quiet round", "aria-label": "Dismiss", onclick: () => note.remove() },
      icon("close"),
    ),
  );
  shelf.append(note);
  setTimeout(() => note.remove(), action ? 20_000 : 7_000);
}

/** Puts the notes back on the page when a dialog that held them closes. */
export function rescueNotes() {
  if (shelf && shelf.parentElement !== document.body) document.body.append(shelf);
}

/**
 * @param {unknown} error
 * @returns {{title: string, text: string}}
 */
export function explain(error) {
  if (!(error instanceof ApiError)) {
    console.error(error);
    return {
      title: "Something in this page broke.",
      text: "Nothing you had saved is lost. Load the page again and retry.",
    };
  }
  if (error.code === "network") {
    return {
      title: "The house does not answer.",
      text: "Nothing was changed. Check that you are connected and that the server is running, then try again.",
    };
  }
  if (error.code === "network_write") {
    return {
      title: "The house does not answer.",
      text: "We cannot tell whether this arrived. What was saved before is safe. Check your connection, then look again before you repeat it.",
    };
  }
  if (error.status === 401)
    return { title: "You are signed out.", text: "Nothing is lost. Sign in and you come back here." };
  if (error.status === 429) {
    const text = error.retryAfter
      ? `Please wait ${wait(error.retryAfter)}, then try again.`
      : "Please wait a little, then try again.";
    return { title: "Too many tries.", text };
  }
  if (error.status === 503)
    return { title: "The house is busy.", text: `${error.message} Nothing was changed; try again in a moment.` };
  if (error.status >= 500) {
    return {
      title: "The server could not do this.",
      text: `${error.message} What was saved before is safe. Whoever runs the house finds the reason in its log.`,
    };
  }
  return { title: "", text: error.message };
}

/** Says in a note what went wrong with something small. @param {unknown} error */
export function sorry(error) {
  const { title, text } = explain(error);
  say(`${title} ${text}`.trim());
}

/**
 * A panel that tells of an error, with a button to try again where that makes sense.
 * @param {unknown} error @param {() => void} [retry] @returns {HTMLElement}
 */
export function errorPanel(error, retry) {
  if (isSignedOut(error)) return signedOut(error, false);
  const { title, text } = explain(error);
  const panel = h(
    "div",
    { class: "alert", role: "alert" },
    icon("warn"),
    h("div", null, title && h("strong", null, title), title && " ", text),
  );
  if (retry) panel.append(h("button", { type: "button", class: "button", onclick: retry }, "Try again"));
  return panel;
}

/** @param {unknown} error */
export const isSignedOut = (error) => error instanceof ApiError && error.status === 401;

/** @type {HTMLElement | null} */
let wayBack = null;

/**
 * A session ends once, however many requests find out: one alert leads back in. It stands where somebody acted last, else
 * where it was noticed first; what is not shown elsewhere only says so.
 * @param {unknown} error @param {boolean} acted
 */
export function signedOut(error, acted) {
  const nothing = () => h("p", { class: "empty" }, "Not shown while you are signed out.");
  if (wayBack?.isConnected && !acted) return nothing();
  // What an act complained of leaves no gap.
  if (wayBack?.hasAttribute("role")) wayBack.replaceWith(nothing());
  else wayBack?.remove();
  const { title, text } = explain(error);
  wayBack = h(
    "div",
    // Acts are complained of in places that are read aloud by themselves.
    { class: "alert", role: acted ? undefined : "alert" },
    icon("warn"),
    h("div", null, h("strong", null, title), " ", text),
    h("a", { class: "button", href: loginPath() }, "Sign in"),
  );
  return wayBack;
}

/** Where signing in leads back to this page. */
export function loginPath() {
  return `/login?then=${encodeURIComponent(location.pathname + location.search + location.hash)}`;
}

/**
 * Shows what `load` makes; a placeholder while it loads and an error with "Try again" if it fails.
 * @param {HTMLElement} place
 * @param {() => Promise<import("./dom.js").Child | import("./dom.js").Child[]>} load
 * @param {string} [waiting]
 */
export async function show(place, load, waiting = "One moment…") {
  place.setAttribute("aria-busy", "true");
  if (!place.hasChildNodes()) fill(place, h("p", { class: "waiting" }, waiting));
  try {
    const made = await load();
    const at = document.activeElement;
    const inside = at !== null && place.contains(at);
    fill(place, made);
    if (inside) refocus(at, place);
  } catch (error) {
    fill(
      place,
      errorPanel(error, () => show(place, load, waiting)),
    );
  } finally {
    place.removeAttribute("aria-busy");
  }
}

/**
 * Shows what `draw` makes of what `load` fetches, and of the way to fetch it again. `again` does so anew, and `look` only where something is different now:
 * what stands in the rows meanwhile, as the outcome of a test, stays.
 * @template T
 * @param {HTMLElement} place @param {() => Promise<T>} load
 * @param {(now: T, again: () => Promise<void>) => import("./dom.js").Child | import("./dom.js").Child[]} draw
 * @param {string} waiting
 */
export function showing(place, load, draw, waiting) {
  let shown = "";
  /** @param {T} now */
  const take = (now) => {
    shown = JSON.stringify(now);
    return draw(now, again);
  };
  /** @returns {Promise<void>} */
  const again = () => show(place, async () => take(await load()), waiting);
  return {
    again,
    look: async () => {
      // Whoever only looks on is not told that there is no answer just now.
      const now = await load().catch(() => undefined);
      if (now !== undefined && JSON.stringify(now) !== shown) await show(place, async () => take(now));
    },
  };
}
