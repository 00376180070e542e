// What deleting means in this house, in words: where things go, and for how long they can be brought back.
import { count } from "./format.js";

/** @import {House} from "./types.js" */

let days = 0;
let folders = 0;

/** For how long the house keeps what was deleted. @param {House} known */
export function keepAs({ trashDays, undoDays }) {
  days = trashDays;
  folders = undoDays;
}

/** @param {number} n */
const words = (n) => (n > 0 ? `for ${count(n, "day")}` : "");

/** "for 30 days", where anything is kept at all. */
export const forDays = () => words(days);

/** The same of the folder of a deleted account. */
export const foldersForDays = () => words(folders);

/** What happens to what is deleted, for the dialog that asks. */
export const goesToTrash = () =>
  days > 0
    ? `It goes to the trash and can be brought back ${forDays()}.`
    : "This house keeps nothing in the trash: it is gone for good soon after.";

/** What is said when it has happened. @param {string} what */
export const isInTrash = (what) => (days > 0 ? `${what} is in the trash, ${forDays()}.` : `${what} is deleted.`);
