// The chat page, the whole way: a card comes in, a model on a real socket answers word by word, somebody leaves in the
// middle and finds the whole reply elsewhere; and everything that can be done with what was said.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, drawn, enter, go, visit } from "./house.js";
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
  await page.getByText("The chat is in the trash, for 30 days.").waitFor();
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
  await page.getByText("Deleted. The chat as it was is in the trash, for 30 days.").waitFor();
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
  for (const window of [page, other]) {
    const order = await messages(window).evaluateAll((all) => all.map((one) => one.getAttribute("data-index")));
    assert.deepEqual(order, ["0", "1", "2", "3", "4"]);
  }
});
