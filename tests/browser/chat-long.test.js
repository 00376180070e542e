// A chat of ten thousand messages: the page stays small, and nothing moves that somebody looks at.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, go } from "./house.js";
import { atTheInn, said, writeLong } from "./inn.js";

after(closeBrowser);

test("ten thousand messages: the page stays small and nothing jumps", async (t) => {
  const { tavern, page, program } = await atTheInn(t);
  const chat = await program.call("POST", "/api/v1/characters/Mirabel/chats", { name: "Long" });
  await writeLong(tavern, chat.chat, 10_000);
  await go(page, tavern, `/chat?character=Mirabel&chat=${encodeURIComponent(chat.chat)}`);
  await said(page, /^Line 9999 and/).waitFor();
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
      // What is fetched may take its time on a busy machine; at the very top there is nothing to scroll.
      for (let wait = 0; wait < 400 && log.scrollTop < 700; wait += 1) await new Promise((next) => requestAnimationFrame(next));
      const before = performance.now();
      const mark = /** @type {HTMLElement | undefined} */ (
        [...document.querySelectorAll("article.message")].find((one) => one.getBoundingClientRect().top > 120)
      );
      const top = mark?.getBoundingClientRect().top ?? 0;
      log.scrollTop -= 300;
      await new Promise((next) => requestAnimationFrame(next));
      frames.push(performance.now() - before);
      const moved = (mark?.isConnected ? mark.getBoundingClientRect().top : top + 300) - top;
      if (Math.abs(moved - 300) > 4) jumps += 1;
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
  await said(page, /^Line 1 and/).waitFor();
  assert.ok((await counted()) <= 140);
  await page.locator(".log").press("End");
  await said(page, /^Line 9999 and/).waitFor();
});
