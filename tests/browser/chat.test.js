// The chat page, the whole way: a card comes in, a model on a real socket answers word by word, somebody leaves in the
// middle and finds the whole reply elsewhere; and everything that can be done with what was said.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, closeBrowser, drawn, enter, go, visit } from "./house.js";
import { atTheInn, field, last, meet, messages, quiet, said, say } from "./inn.js";

after(closeBrowser);

test("a card comes in, the model answers, the page is closed in the middle, and the reply is whole elsewhere", async (t) => {
  const { tavern, page, model, png } = await atTheInn(t, { cards: false });
  await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Bring a card in" }).click()]);
  await chooser.setFiles({ name: "mirabel.png", mimeType: "image/png", buffer: png });
  await said(page, "Come in, Ada, come in!").waitFor();
  assert.equal(await last(page).locator("strong", { hasText: "lit" }).count(), 1, "Markdown is rendered");
  assert.equal(await last(page).locator(".said").count(), 1, "speech is set apart");

  const words = "One by one the guests come down the stairs, and the last of them carries a lantern.";
  model.says({ text: words, holdAt: 6, pace: 15 });
  await say(page, "Good evening. Who else is here?");
  await said(page, "One by one the guests come").waitFor();
  assert.ok(!(await last(page).innerText()).includes("lantern"));
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.close();
  model.letGo();

  const elsewhere = await visit(tavern, { width: 390 });
  await enter(elsewhere.page, tavern, "ada", "by candlelight", "/chat");
  await said(elsewhere.page, words).waitFor();
  await quiet(elsewhere.page);
  assert.equal(await messages(elsewhere.page).count(), 3);
  const asked = JSON.stringify(model.asked[0].messages);
  assert.ok(asked.includes("Good evening. Who else is here?") && asked.includes("Mirabel keeps the inn"), asked);
});

test("stop keeps what came, continue goes on from there", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({ text: "Once there was a road that led nowhere at all.", holdAt: 5 });
  await say(page, "Tell me a story.");
  await said(page, "Once there was a road").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await quiet(page);
  assert.match(await last(page).locator(".words").innerText(), /^Once there was a ?(road)?$/);
  model.says("and nobody had ever come back from it.");
  await last(page).getByRole("button", { name: "Continue" }).last().click();
  await said(page, /Once there was a.*and nobody had ever come back/).waitFor();
  await quiet(page);
  assert.equal(await messages(page).count(), 3);
});

test("other versions of a reply, by button and by key", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  await page.getByRole("button", { name: "The next version" }).click();
  await said(page, "We are closed.").waitFor();
  await page.getByRole("button", { name: "The version before" }).click();
  await said(page, "The fire is lit.").waitFor();
  model.says("The first answer.", "The second answer.", "The third answer.");
  await say(page, "Hello?");
  await said(page, "The first answer.").waitFor();
  await quiet(page);
  await page.getByRole("button", { name: "Another version" }).click();
  await said(page, "The second answer.").waitFor();
  await page.getByText("2 / 2").waitFor();
  await field(page).press("ArrowLeft");
  await said(page, "The first answer.").waitFor();
  await field(page).press("ArrowRight");
  await said(page, "The second answer.").waitFor();
  await field(page).press("ArrowRight");
  await said(page, "The third answer.").waitFor();
  await page.getByText("3 / 3").waitFor();
});

test("editing, branching, deleting, and bringing back", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says("A room with a **view**.");
  await say(page, "A romo, please.");
  await said(page, "A room with a view.").waitFor();
  await quiet(page);
  await field(page).press("ArrowUp");
  const edit = page.getByRole("textbox", { name: "The message" });
  await edit.fill("A room, please.");
  await edit.press("Control+Enter");
  await said(page, "A room, please.").waitFor();
  assert.equal(await said(page, "A romo, please.").count(), 0);

  const mine = messages(page).nth(1);
  await mine.getByRole("button", { name: /What to do with/ }).click();
  await mine.getByRole("button", { name: "Branch: go on from here in a new chat" }).click();
  await page.getByText("A new chat goes on from there.").waitFor();
  await last(page).getByRole("button", { name: "Ask for a reply" }).waitFor();
  assert.equal(await messages(page).count(), 2);
  assert.equal(await said(page, "A room with a view.").count(), 0);

  await page.getByRole("button", { name: "More of this chat" }).click();
  await page.getByRole("button", { name: "Delete this chat" }).click();
  await page.getByText("The chat is in the trash.").waitFor();
  await said(page, "A room with a view.").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("It is back.").waitFor();
  await messages(page).nth(1).waitFor();
  assert.equal(await messages(page).count(), 2);

  await page.getByRole("button", { name: "More of this chat" }).click();
  await page.getByRole("button", { name: "Rename…" }).click();
  await page.getByLabel("Name of the chat").fill("The rainy evening");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.locator(".chat-title").getByText("The rainy evening").waitFor();
  await page.reload();
  await drawn(page);
  await page.locator(".chat-title").getByText("The rainy evening").waitFor();

  const first = messages(page).first();
  await first.getByRole("button", { name: /What to do with/ }).click();
  await first.getByRole("button", { name: "Delete…" }).click();
  await page.getByLabel("This and the 1 message after it").check();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("Deleted. The chat as it was is in the trash.").waitFor();
  assert.equal(await messages(page).count(), 0);
});

test("two windows show the same", async (t) => {
  const { tavern, page, model, context } = await atTheInn(t);
  await meet(page);
  const other = await context.newPage();
  await go(other, tavern, new URL(page.url()).pathname + new URL(page.url()).search);
  await said(other, "The fire is lit.").waitFor();
  model.says({ text: "Both of you hear this.", pace: 40 });
  await say(page, "Can you hear me?");
  await said(other, "Can you hear me?").waitFor();
  await said(other, "Both of you hear this.").waitFor();
  await quiet(page);
  await quiet(other);
  model.says("And this.");
  await say(other, "And now?");
  await said(page, "And this.").waitFor();
  await quiet(page);
  assert.equal(await messages(page).count(), 5);
  assert.equal(await messages(other).count(), 5);
});

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
  model.says("Here I am.");
  await page.getByRole("button", { name: "Try again" }).click();
  await said(page, "Here I am.").waitFor();
  await quiet(page);
  assert.equal(await page.getByText("No reply.").count(), 0);
  model.says({ text: "The line goes dead in the middle of", cutAt: 5, pace: 30 });
  await say(page, "And then?");
  await said(page, "The line goes dead in").waitFor();
  await page.getByText("Unfinished: the reply broke off here.").waitFor();
  model.says(" the night.");
  await page.locator(".unfinished").getByRole("button", { name: "Continue" }).click();
  await said(page, /The line goes dead in.*the night/).waitFor();
  await page.getByText("Unfinished: the reply broke off here.").waitFor({ state: "detached" });
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
