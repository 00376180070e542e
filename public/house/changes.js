// Tells the sections of a page of each other's changes: a restore makes an undo point, a reset makes a snapshot.

/** @typedef {"me" | "settings" | "snapshots" | "undo" | "sessions"} What */

/** @param {...What} whats */
export function changed(...whats) {
  for (const what of whats) document.dispatchEvent(new CustomEvent(`house:${what}`));
}

/** @param {What} what @param {() => void} then */
export function onChange(what, then) {
  document.addEventListener(`house:${what}`, then);
}
