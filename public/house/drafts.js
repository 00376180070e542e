// What somebody has begun to write and not yet sent or saved: kept in this browser, under their own name, until they do or
// sign out.

const BEGIN = "tavernkeep-draft:";
/** Older drafts are forgotten when there are more. */
const MOST = 60;

/** Whether their owner has signed out here: what this page still holds is not to be kept again. */
let left = false;

/** @param {string} name begins with the handle of whose it is, and a colon @returns {any} null if nothing is kept */
export function readDraft(name) {
  try {
    return JSON.parse(localStorage.getItem(BEGIN + name) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} name as with {@link readDraft} @param {object | null} draft null forgets it */
export function keepDraft(name, draft) {
  try {
    if (!draft || left) localStorage.removeItem(BEGIN + name);
    else {
      localStorage.setItem(BEGIN + name, JSON.stringify({ ...draft, at: Date.now() }));
      tidy();
    }
  } catch {
    // Storage is forbidden or full; the text lasts as long as the page.
  }
}

/** Lets a draft follow what it belongs to, where that has another name now. @param {string} from @param {string} to */
export function moveDraft(from, to) {
  const draft = readDraft(from);
  if (!draft || from === to) return;
  keepDraft(to, draft);
  keepDraft(from, null);
}

/** @param {string} begin @returns {string[]} */
function kept(begin) {
  try {
    return Object.keys(localStorage).filter((name) => name.startsWith(BEGIN + begin));
  } catch {
    return [];
  }
}

function tidy() {
  const names = kept("");
  if (names.length <= MOST) return;
  const at = (/** @type {string} */ name) => Number(readDraft(name.slice(BEGIN.length))?.at) || 0;
  names.sort((a, b) => at(a) - at(b));
  for (const name of names.slice(0, names.length - MOST)) localStorage.removeItem(name);
}

/** How many drafts of theirs are kept here. @param {string} handle */
export const countDrafts = (handle) => kept(`${handle}:`).length;

/** Forgets all of somebody's who signs out: whoever uses this browser next is somebody else. @param {string} handle */
export function forgetDrafts(handle) {
  left = true;
  for (const name of kept(`${handle}:`)) localStorage.removeItem(name);
}

/** Whether what is not saved here is to be forgotten. */
export const hasLeft = () => left;
