// What somebody has begun to write, and what could not be sent: kept in this browser, for each person and chat.

const BEGIN = "tavernkeep-draft:";
/** Older drafts are forgotten when there are more. */
const MOST = 60;

/** @param {string} handle @param {string} character @param {string} chat */
const key = (handle, character, chat) => `${BEGIN}${handle}:${character}/${chat}`;

/**
 * @param {string} handle @param {string} character @param {string} chat
 * @returns {{text: string, waiting: {id: string, text: string} | null}}
 */
export function readDraft(handle, character, chat) {
  try {
    const kept = JSON.parse(localStorage.getItem(key(handle, character, chat)) ?? "{}");
    const waiting = typeof kept.waiting?.id === "string" && typeof kept.waiting?.text === "string" ? kept.waiting : null;
    return { text: typeof kept.text === "string" ? kept.text : "", waiting };
  } catch {
    return { text: "", waiting: null };
  }
}

/**
 * @param {string} handle @param {string} character @param {string} chat
 * @param {string} text @param {{id: string, text: string} | null} waiting
 */
export function keepDraft(handle, character, chat, text, waiting) {
  const name = key(handle, character, chat);
  try {
    if (!text && !waiting) localStorage.removeItem(name);
    else {
      localStorage.setItem(name, JSON.stringify({ text, waiting, at: Date.now() }));
      tidy();
    }
  } catch {
    // Storage is forbidden or full; the text lasts as long as the page.
  }
}

function tidy() {
  const names = Object.keys(localStorage).filter((name) => name.startsWith(BEGIN));
  if (names.length <= MOST) return;
  const at = (/** @type {string} */ name) => Number(JSON.parse(localStorage.getItem(name) ?? "{}").at) || 0;
  names.sort((a, b) => at(a) - at(b));
  for (const name of names.slice(0, names.length - MOST)) localStorage.removeItem(name);
}

/** An id for a message: whoever gets it twice knows that it is one message. Works without a secure context, too. */
export function freshId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
