// The list of chats: what it tells of each, and what can be done with a chat from there, by mouse, finger and keys.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkAccess, closeBrowser, drawn, shot } from "./house.js";
import { atTheInn, field, said } from "./inn.js";

/** @typedef {import("playwright-core").Page} Page */

after(closeBrowser);

/** Chats as SillyTavern would have written them. @param {import("./house.js").House} tavern @param {Record<string, string>} chats the last words by name */
async function write(tavern, chats) {
  const folder = join(tavern.data, "ada", "chats", "Mirabel");
  await mkdir(folder, { recursive: true });
  for (const [name, mes] of Object.entries(chats)) {
    const lines = [{ user_name: "Ada", character_name: "Mirabel", chat_metadata: {} }, { name: "Mirabel", is_user: false, mes }];
    await writeFile(join(folder, `${name}.jsonl`), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }
}

/** @param {Page} page @param {string} name */
const row = (page, name) => page.locator(".side-item").filter({ hasText: name });
/** @param {Page} page @param {string} name @param {string} what */
async function choose(page, name, what) {
  await row(page, name).getByRole("button", { name: /What to do with the chat/ }).click();
  await page.locator(".menu-list:popover-open").getByRole("button", { name: what, exact: true }).click();
}
/** @param {Page} page */
const names = (page) => page.locator(".side-name").allInnerTexts();
/** Whose row has the focus. @param {Page} page @param {string} name */
const focused = (page, name) =>
  page.waitForFunction((words) => document.activeElement?.closest(".side-item")?.textContent?.includes(words), name);

for (const width of [1280, 390])
  test(`a chat is pinned, renamed, deleted and brought back from the list, at ${width} pixels`, async (t) => {
    const { tavern, page } = await atTheInn(t, { width });
    await write(tavern, { Alder: "The first.", Birch: "The second.", Cedar: "The third." });
    await page.reload();
    await drawn(page);
    if (width < 600) await page.getByRole("button", { name: "Chats and characters" }).click();
    await choose(page, "Alder", "Pin to the top");
    await row(page, "Alder").getByLabel("pinned").waitFor();
    assert.equal((await names(page))[0], "Alder");
    await choose(page, "Alder", "Unpin");
    await row(page, "Alder").getByLabel("pinned").waitFor({ state: "detached" });

    await choose(page, "Birch", "Rename…");
    await page.getByLabel("Name of the chat").fill("Birch in the rain");
    await page.getByRole("button", { name: "Rename", exact: true }).click();
    await row(page, "Birch in the rain").waitFor();
    await focused(page, "Birch in the rain");

    await row(page, "Cedar").getByRole("button", { name: /What to do with the chat/ }).click();
    await checkAccess(page, `the menu of a chat, ${width}`);
    await shot(page, `chat-list-menu-${width}`);
    await page.keyboard.press("Escape");
    // Which of them is open is a matter of their times: one that is not.
    const other = (await page.locator(".side-item:not(:has([aria-current])) .side-name").allInnerTexts())[0];
    await choose(page, other, "Delete");
    await page.getByText("The chat is in the trash, for 30 days.").waitFor();
    await row(page, other).waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Undo" }).click();
    await page.getByText("It is back.").waitFor();
    await row(page, other).waitFor();
  });

test("the list by keys alone, and the open chat from the list", async (t) => {
  const { tavern, page } = await atTheInn(t);
  await write(tavern, { Alder: "The first.", Birch: "The second." });
  await page.goto(`${tavern.url}/chat?character=Mirabel&chat=Alder`);
  await drawn(page);
  await said(page, "The first.").waitFor();
  await field(page).fill("half a thou");
  await row(page, "Alder").locator("a").focus();
  await page.keyboard.press("F2");
  await page.getByLabel("Name of the chat").fill("Elder");
  await page.keyboard.press("Enter");
  await page.locator(".chat-title").getByText("Elder").waitFor();
  assert.match(page.url(), /chat=Elder/);
  await page.reload();
  await drawn(page);
  await said(page, "The first.").waitFor();
  assert.equal(await field(page).inputValue(), "half a thou", "the draft goes along");

  await row(page, "Birch").locator("a").focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.textContent === "Pin to the top");
  await page.keyboard.press("End");
  await page.waitForFunction(() => document.activeElement?.textContent === "Delete");
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.matches(".side-dots"));
  assert.equal(await page.locator(":popover-open").count(), 0);
  await row(page, "Birch").locator("a").focus();
  await page.keyboard.press("Delete");
  await page.getByText("The chat is in the trash").waitFor();
  await focused(page, "Elder");
  await page.keyboard.press("Delete");
  await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
});

test("the list tells plain words, and a moment as the reader's clock has it", async (t) => {
  const { tavern, page } = await atTheInn(t, { zone: "Asia/Tokyo" });
  const long = `*She looks up.* **Come in!** [A road](https://x.invalid/) ${"and on it goes ".repeat(60)}`;
  await write(tavern, { "Mirabel - 2025-03-04@05h06m07s008ms": long, "Mirabel - 2025-03-04@05h06m07s008ms - Branch #2": "x" });
  await page.goto(`${tavern.url}/chat?character=Mirabel&chat=${encodeURIComponent("Mirabel - 2025-03-04@05h06m07s008ms")}`);
  await drawn(page);
  const words = page.locator(".side-more-words", { hasText: "She looks up." });
  assert.match(await words.innerText(), /^She looks up\. Come in! A road and on .*\w…$/);
  const title = page.locator(".chat-title p");
  assert.equal(await title.innerText(), "4 Mar 2025, 14:06");
  assert.equal(await title.locator("[title]").getAttribute("title"), "Mirabel - 2025-03-04@05h06m07s008ms");
  await page.getByRole("button", { name: "What to do with the chat: Mirabel, 4 Mar 2025, 14:06 · Branch #2" }).waitFor();
  await page.goto(`${tavern.url}/`);
  await page.locator(".recent-words", { hasText: "She looks up. Come in! A road" }).waitFor();
});
