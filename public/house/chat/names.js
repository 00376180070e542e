// What a chat is called: its file's name, and where that is only a moment, the moment as its reader's clock has it.
import { moment } from "../format.js";

/** What a file's name cannot have. */
const BARRED = /[/?<>\\:*|"]/g;

/** @param {{chat: string, characterName?: string, begun?: number}} item `begun`: the moment that it is named after */
export function chatName({ chat, characterName = "", begun }) {
  if (begun === undefined) return chat;
  const at = chat.lastIndexOf("@");
  const whose = chat.slice(0, Math.max(0, chat.lastIndexOf(" - ", at)));
  // What tells a branch, a copy or an import from what it was made of.
  const rest = chat.slice(at + 1).replace(/^[\d hms]*[\s-]*/, "");
  const known = !whose || whose === characterName.replace(BARRED, "").trim();
  return [known ? "" : whose, moment(begun), rest].filter(Boolean).join(" · ");
}
