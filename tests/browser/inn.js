// A house with somebody at the fire: what the tests of the chat page begin with.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cardOf } from "./card.js";
import { caller, enter, openHouse, paint, visit } from "./house.js";
import { startModel } from "./speaker.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./house.js").House} House */

export const ada = { handle: "ada", name: "Ada", password: "by candlelight", role: "admin" };
export const card = {
  name: "Mirabel",
  description: "{{char}} keeps the inn at the crossroads. She knows every road and most secrets.",
  personality: "warm, dry, curious",
  scenario: "{{user}} comes in out of the rain.",
  first_mes: "*The door creaks.* \"Come in, {{user}}, come in! The fire is **lit**.\"",
  alternate_greetings: ["*She does not look up.* \"We are closed.\""],
  mes_example: "<START>\n{{user}}: A room?\n{{char}}: \"Always one left.\"",
};

/**
 * A house with Ada in it, a model, and Mirabel on the shelf.
 * @param {import("node:test").TestContext} t @param {{width?: number, dark?: boolean, model?: boolean, cards?: boolean, zone?: string}} [wish]
 */
export async function atTheInn(t, { width, dark, zone, model: wanted = true, cards = true } = {}) {
  const model = await startModel();
  const tavern = await openHouse(t, { guests: [ada] });
  tavern.closing.push(() => model.close());
  const program = caller(tavern.url);
  await program.signIn("ada", "by candlelight");
  if (wanted) await connect(program, model.url);
  const { page, context } = await visit(tavern, { width, dark, zone });
  await page.goto(`${tavern.url}/no-such-room`);
  const png = cardOf(await paint(page, 24), card);
  if (cards) await program.call("POST", "/api/v1/characters/import", new Uint8Array(png));
  await enter(page, tavern, "ada", "by candlelight", "/chat");
  return { tavern, page, context, program, model, png };
}

/** @param {ReturnType<typeof caller>} program @param {string} url */
const connect = (program, url) =>
  program.call("POST", "/api/v1/connections", { scope: "house", name: "The hearth", kind: "openai", baseUrl: url, model: "hearth-7b", key: "sk-test" });

/** @param {Page} page */
export const field = (page) => page.getByLabel(/^Message to/);
/** @param {Page} page */
export const messages = (page) => page.locator("article.message");
/** @param {Page} page */
export const last = (page) => messages(page).last();
/** Nothing is coming in any more. @param {Page} page */
export const quiet = async (page) => {
  await page.locator(".answers").waitFor();
  await page.locator(".unsent").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
};

/** @param {Page} page @param {string} text */
export async function say(page, text) {
  await field(page).fill(text);
  await field(page).press("Enter");
}

/** Opens a chat with Mirabel. @param {Page} page */
export async function meet(page) {
  await page.getByRole("link", { name: /Mirabel/ }).first().click();
  await said(page, "The fire is lit.").waitFor();
}

/** What was said in the chat, not what its side tells of it. @param {Page} page @param {string | RegExp} words */
export const said = (page, words) => page.locator(".log").getByText(words);

/** A chat of so many lines, written as SillyTavern would. @param {House} tavern @param {string} name @param {number} lines */
export async function writeLong(tavern, name, lines) {
  const folder = join(tavern.data, "ada", "chats", "Mirabel");
  await mkdir(folder, { recursive: true });
  const out = [JSON.stringify({ user_name: "Ada", character_name: "Mirabel", chat_metadata: {} })];
  for (let n = 0; n < lines; n += 1) {
    const mine = n % 2 === 1;
    const words = "and so the evening went on ".repeat(1 + ((n * 7) % 11));
    out.push(JSON.stringify({ name: mine ? "Ada" : "Mirabel", is_user: mine, is_system: false, send_date: new Date(1.7e12 + n * 60_000).toISOString(), mes: `Line ${n} *${words.trim()}*`, extra: {} }));
  }
  await writeFile(join(folder, `${name}.jsonl`), `${out.join("\n")}\n`);
}
