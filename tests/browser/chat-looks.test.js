// How the chat page looks and scrolls: at phone and desktop width, by day and by lamplight, and with ten thousand messages.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkAccess, checkWidth, closeBrowser, go, shot } from "./house.js";
import { atTheInn, field, meet, quiet, said, say } from "./inn.js";

/** @typedef {import("./house.js").House} House */

after(closeBrowser);

test("ten thousand messages: the page stays small and nothing jumps", async (t) => {
  const { tavern, page, program } = await atTheInn(t);
  const chat = await program.call("POST", "/api/v1/characters/Mirabel/chats", { name: "Long" });
  await writeLong(tavern, chat.chat, 10_000);
  await go(page, tavern, `/chat?character=Mirabel&chat=${encodeURIComponent(chat.chat)}`);
  await said(page, "Line 9999 ").waitFor();
  const counted = () => page.locator("article.message").count();
  assert.ok((await counted()) <= 140);
  const seen = await page.evaluate(async () => {
    const log = document.querySelector(".log");
    if (!log) throw new Error("no log");
    /** @type {number[]} */
    const frames = [];
    let jumps = 0;
    let most = 0;
    for (let step = 0; step < 240; step += 1) {
      const before = performance.now();
      const mark = /** @type {HTMLElement | undefined} */ (
        [...document.querySelectorAll("article.message")].find((one) => one.getBoundingClientRect().top > 120)
      );
      const top = mark?.getBoundingClientRect().top ?? 0;
      log.scrollTop -= 300;
      await new Promise((next) => requestAnimationFrame(next));
      frames.push(performance.now() - before);
      const moved = (mark?.isConnected ? mark.getBoundingClientRect().top : top + 300) - top;
      if (Math.abs(moved - 300) > 4 && log.scrollTop > 400) jumps += 1;
      most = Math.max(most, document.querySelectorAll("article.message").length);
    }
    frames.sort((a, b) => a - b);
    return { first: Number(document.querySelector("article.message")?.getAttribute("data-index")), jumps, most, p95: frames[Math.floor(frames.length * 0.95)] };
  });
  t.diagnostic(`after 240 steps at message ${seen.first}, at most ${seen.most} in the page, frames p95 ${seen.p95.toFixed(1)} ms`);
  assert.equal(seen.jumps, 0, "nothing jumps");
  assert.ok(seen.first < 9_500, `went up to ${seen.first}`);
  assert.ok(seen.most <= 160, `${seen.most} in the page`);
  await page.locator(".log").press("Home");
  await said(page, "Line 1 ").waitFor();
  assert.ok((await counted()) <= 140);
  await page.locator(".log").press("End");
  await said(page, "Line 9999 ").waitFor();
});

/** @param {House} tavern @param {string} name @param {number} lines */
async function writeLong(tavern, name, lines) {
  const folder = join(tavern.data, "ada", "chats", "Mirabel");
  await mkdir(folder, { recursive: true });
  const out = [JSON.stringify({ user_name: "Ada", character_name: "Mirabel", chat_metadata: {} })];
  for (let n = 0; n < lines; n += 1) {
    const mine = n % 2 === 1;
    const words = "and so the evening went on ".repeat(1 + ((n * 7) % 11));
    out.push(JSON.stringify({ name: mine ? "Ada" : "Mirabel", is_user: mine, is_system: false, send_date: new Date(1.7e12 + n * 60_000).toISOString(), mes: `Line ${n} *${words}*`, extra: {} }));
  }
  await writeFile(join(folder, `${name}.jsonl`), `${out.join("\n")}\n`);
}

for (const width of [360, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`the chat page, ${look}`, async (t) => {
      const { page, model } = await atTheInn(t, { width, dark });
      /** @param {string} name */
      const check = async (name) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`);
      };
      await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
      await check("chat-welcome");
      if (width < 600) {
        await page.getByRole("button", { name: "Chats and characters" }).click();
        await page.getByLabel("Search chats and characters").waitFor();
        await page.waitForTimeout(300);
        await check("chat-side");
      }
      await meet(page);
      model.says({
        thinking: "She would be kind, and a little nosy. ",
        text:
          "*Mirabel hangs your coat by the fire, where it begins to steam.*\n\n\"You have walked the old road,\" she says. \"Nobody walks the old road.\" " +
          "*She sets down a bowl.*\n\n| Tonight | Price |\n|---|--:|\n| Stew | 2 |\n| A bed | 5 |\n\n```python\ndef open_door(guest):\n    # everyone is welcome\n    return f\"Come in, {guest}!\"\n```",
        pace: 1,
      });
      await say(page, "I came over the hills. Is there *anything* left to eat?");
      await quiet(page);
      await check("chat");
      await page.getByRole("button", { name: "More of this chat" }).click();
      await check("chat-menu");
      await page.getByRole("button", { name: "Show the prompt…" }).click();
      await page.locator(".prompt-parts li").first().waitFor();
      await check("chat-prompt");
      await page.keyboard.press("Escape");
      await field(page).press("ArrowUp");
      await check("chat-edit");
      await page.keyboard.press("Escape");
      model.says({ text: "\"Stay as long as you like. The rain", holdAt: 6 });
      await say(page, "Thank you.");
      await said(page, "Stay as long as you").waitFor();
      await check("chat-live");
      model.letGo();
      await quiet(page);
    });
  }
}
