// How smoothly a chat of ten thousand messages scrolls, beside a page that does nothing but scroll, in the same run.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, go } from "./house.js";
import { atTheInn, said, writeLong } from "./inn.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{median: number, p95: number, work: number, way: number}} Frames */

after(closeBrowser);

/** Frames of one measurement, and how often each page is measured, by turns. */
const FRAMES = 180;
const ROUNDS = 3;
/** Pixels a frame: as fast as one reads at most, and as fast as one flings. */
const STEPS = [20, 150];

/**
 * Scrolls up by so many pixels in each frame, and looks how long the frames took, and how long of it the page's own thread
 * was at work, which other programs lengthen less.
 * @param {Page} page @param {string} what @param {number} step @returns {Promise<Frames>}
 */
async function scroll(page, what, step) {
  const tools = await page.context().newCDPSession(page);
  await tools.send("Performance.enable", { timeDomain: "threadTicks" });
  const worked = async () =>
    (await tools.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN;
  const before = await worked();
  const { took, way } = await page.evaluate(
    async ({ what, step, most }) => {
      const scroller = document.querySelector(what);
      if (!scroller) throw new Error("nothing to scroll");
      const frame = () => new Promise(requestAnimationFrame);
      /** @type {number[]} */
      const took = [];
      let way = 0;
      let last = await frame();
      for (let n = 0; n < most; n += 1) {
        const before = scroller.scrollTop;
        scroller.scrollTop = before - step;
        way += before - scroller.scrollTop;
        const now = await frame();
        took.push(now - last);
        last = now;
      }
      return { took: took.sort((a, b) => a - b), way };
    },
    { what, step, most: FRAMES },
  );
  const work = ((await worked()) - before) * 1000;
  await tools.detach();
  return { median: took[FRAMES >> 1], p95: took[Math.floor(FRAMES * 0.95)], work: work / FRAMES, way };
}

/** @param {Frames[]} rounds @param {keyof Frames} what @returns {number[]} */
const sorted = (rounds, what) => rounds.map((one) => one[what]).sort((a, b) => a - b);

test("ten thousand messages scroll as a page does that only scrolls", async (t) => {
  const { tavern, page, program } = await atTheInn(t);
  const { chat } = await program.call("POST", "/api/v1/characters/Mirabel/chats", { name: "Long" });
  await writeLong(tavern, chat, 10_000);
  const plain = await page.context().newPage();
  const line = "<p>And so the evening went on, and so on.</p>";
  await plain.setContent(`<style>main{height:90vh;overflow:auto;font:18px/1.6 serif}</style><main>${line.repeat(10_000)}</main>`);
  for (const step of STEPS) {
    /** @type {Frames[]} */
    const ours = [];
    /** @type {Frames[]} */
    const theirs = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await plain.bringToFront();
      await plain.locator("main").evaluate((main) => main.scrollTo(0, main.scrollHeight));
      theirs.push(await scroll(plain, "main", step));
      await page.bringToFront();
      await go(page, tavern, `/chat?character=Mirabel&chat=${encodeURIComponent(chat)}`);
      await said(page, /^Line 9999 and/).waitFor();
      ours.push(await scroll(page, ".log", step));
    }
    for (const what of /** @type {const} */ (["median", "p95", "work"])) {
      const [our, their] = [sorted(ours, what), sorted(theirs, what)];
      const words = { median: "a frame, median", p95: "a frame, p95", work: "work in a frame" }[what];
      const middle = ROUNDS >> 1;
      t.diagnostic(
        `${step} pixels a frame, ${words}: ${our[middle].toFixed(1)} ms (${our[0].toFixed(1)} to ${our[ROUNDS - 1].toFixed(1)}), ` +
          `a page that only scrolls ${their[middle].toFixed(1)} ms (${their[0].toFixed(1)} to ${their[ROUNDS - 1].toFixed(1)}), ratio ${(our[middle] / their[middle]).toFixed(2)}`,
      );
    }
    assert.ok(sorted(ours, "way")[0] === step * FRAMES, "it never had to wait for what comes next");
    // The best rounds: a busy machine makes both sides slow now and then.
    assert.ok(sorted(ours, "median")[0] <= sorted(theirs, "median")[0] * 1.2, "half of the frames are in time");
    assert.ok(sorted(ours, "work")[0] <= 8, "a frame's work takes half of its time at most");
  }
});
