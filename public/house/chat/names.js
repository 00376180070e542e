// What a chat is called: its file's name, and where that is only a moment, the moment in words.

const MOMENT = /^(.*?) - (\d{4})-(\d{1,2})-(\d{1,2}) ?@ ?(\d{1,2})h ?(\d{1,2})m/;

/** @param {{chat: string, characterName?: string}} item */
export function chatName({ chat, characterName }) {
  const found = MOMENT.exec(chat);
  if (!found || (characterName && found[1] !== characterName)) return chat;
  const [year, month, day, hour, minute] = found.slice(2).map(Number);
  // Such names are written in the world's time by us and in the writer's own by others; the day is what matters.
  const date = new Date(year, month - 1, day, hour, minute);
  return Number.isNaN(date.getTime()) ? chat : date.toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
}
