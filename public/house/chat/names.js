// What a chat is called: its file's name, and where that is only a moment, the moment in words.

const MOMENT = /^(.*?) - (\d{4})-(\d{1,2})-(\d{1,2}) ?@ ?(\d{1,2})h ?(\d{1,2})m(?: ?\d{1,2}s)?(?: ?\d{1,3}ms)?(.*)$/;

/** @param {{chat: string, characterName?: string}} item */
export function chatName({ chat, characterName }) {
  const found = MOMENT.exec(chat);
  if (!found || (characterName && found[1] !== characterName)) return chat;
  const [year, month, day, hour, minute] = found.slice(2, 7).map(Number);
  // Such names are written in the world's time by us and in the writer's own by others; the day is what matters.
  const date = new Date(year, month - 1, day, hour, minute);
  if (Number.isNaN(date.getTime())) return chat;
  const moment = date.toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
  // What tells a branch, a copy or an import from what it was made of.
  const rest = found[7].replace(/^[\s-]+/, "");
  return rest ? `${moment} · ${rest}` : moment;
}
