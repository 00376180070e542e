// Server-Sent Events. The browser connects again by itself and names the last event that it has seen; here is what it
// does not do: notice that it is for good, and say how the line is.

import { settled } from "./shelf/parts.js";

/** How long a window may be out of sight before its line is given up: a browser has few for all windows of a house. */
const HIDDEN = 10_000;

/** @typedef {"open" | "waiting" | "closed"} Line */

/**
 * @param {string} path
 * @param {Record<string, (data: any, id: string) => void>} hears
 * @param {(line: Line) => void} [line] `closed`: it will not come back by itself
 * @returns {() => void} ends it
 */
export function listen(path, hears, line = () => {}) {
  const source = new EventSource(path);
  for (const [name, hear] of Object.entries(hears)) {
    source.addEventListener(name, (event) => {
      // An error of the line is an event of the same name, without data.
      if (!(event instanceof MessageEvent)) return;
      hear(parse(event.data), event.lastEventId);
    });
  }
  source.onopen = () => line("open");
  source.onerror = () => line(source.readyState === EventSource.CLOSED ? "closed" : "waiting");
  return () => source.close();
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * A line that is opened anew when the browser gives it up, as after a server that answered with an error; slower each time.
 * It rests while nobody looks at the window.
 * @param {string} path @param {Record<string, (data: any, id: string) => void>} hears @param {(line: Line) => void} line
 */
export function keepListening(path, hears, line) {
  let wait = 1000;
  let ended = false;
  /** @type {() => void} */
  let end = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const open = () => {
    clearTimeout(timer);
    if (ended) return;
    end();
    end = listen(path, hears, (state) => {
      if (state === "open") wait = 1000;
      if (state === "closed") {
        timer = setTimeout(open, wait);
        wait = Math.min(wait * 2, 30_000);
      }
      line(state === "open" ? "open" : "waiting");
    });
  };
  const soon = () => {
    wait = 1000;
    if (document.visibilityState === "visible") open();
  };
  let asleep = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let tired;
  const sleep = () => {
    asleep = true;
    clearTimeout(timer);
    end();
    line("waiting");
  };
  const seen = () => {
    clearTimeout(tired);
    if (document.visibilityState === "hidden") tired = setTimeout(sleep, HIDDEN);
    else if (asleep) {
      asleep = false;
      soon();
    }
  };
  addEventListener("online", soon);
  document.addEventListener("visibilitychange", seen);
  open();
  seen();
  return () => {
    ended = true;
    clearTimeout(timer);
    clearTimeout(tired);
    removeEventListener("online", soon);
    document.removeEventListener("visibilitychange", seen);
    end();
  };
}

/** @typedef {"chat" | "chats" | "characters" | "personas" | "lorebooks" | "connections" | "trash"} Kind */

/**
 * Looks again whenever one of these kinds of things changed in another window, and when that may have gone unheard.
 * @param {Kind[]} kinds @param {() => unknown} look @param {number} [rest] how long it has to be quiet first, in milliseconds
 */
export function follow(kinds, look, rest = 150) {
  const soon = settled(rest, () => void look());
  let heard = true;
  const leave = keepListening(
    "/api/v1/me/changes",
    Object.fromEntries([...kinds, "missed"].map((kind) => [kind, soon])),
    (line) => {
      if (line === "open" && !heard) soon();
      heard = line === "open";
    },
  );
  addEventListener("pagehide", leave, { once: true });
}
