// What can be done in a chat besides talking: with a message, with pictures, and where one is afterwards.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, paint } from "./house.js";
import { atTheInn, field, last, meet, messages, quiet, said, say } from "./inn.js";

after(closeBrowser);

test("sending goes to what was sent, wherever one was reading; Ctrl+Enter sends what is written", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says(Array.from({ length: 60 }, (_, n) => `Verse ${n} of the ballad.`).join("\n\n"));
  await say(page, "Sing.");
  await said(page, "Verse 59 of the ballad.").waitFor();
  await quiet(page);
  await page.locator(".log").evaluate((log) => (log.scrollTop = 0));
  await page.getByRole("button", { name: "Newest" }).waitFor();
  model.says({ text: "You clap alone.", holdAt: 2 });
  await field(page).fill("Bravo!");
  await field(page).press("Control+Enter");
  const mine = said(page, "Bravo!");
  await mine.waitFor();
  await page.waitForFunction(() => {
    const log = document.querySelector(".log");
    return log !== null && log.scrollHeight - log.scrollTop - log.clientHeight < 4;
  });
  const box = await mine.boundingBox();
  assert.ok(box && box.y > 0 && box.y < 860, "what was sent is in sight");
  model.letGo();
  await said(page, "You clap alone.").waitFor();
  await quiet(page);
  assert.equal(await field(page).inputValue(), "");
  assert.equal(await messages(page).count(), 5, "nothing was written anew");
});

test("what can be done with a message opens where it is asked for, by name, and messages change places", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says(Array.from({ length: 80 }, (_, n) => `Verse ${n} of the ballad.`).join("\n\n"));
  await say(page, "Sing.");
  await said(page, "Verse 79 of the ballad.").waitFor();
  await quiet(page);
  await last(page).evaluate((message) => message.scrollIntoView({ block: "start" }));
  await last(page).getByRole("button", { name: /What to do with/ }).click();
  const edit = last(page).getByRole("button", { name: "Edit", exact: true });
  await edit.waitFor();
  for (const name of ["Copy", "Edit", "Move up", "Delete…"]) {
    const box = await last(page).getByRole("button", { name, exact: true }).boundingBox();
    assert.ok(box && box.y >= 0 && box.y + box.height <= 860 && box.height >= 44, `${name} is in sight: ${JSON.stringify(box)}`);
  }
  assert.ok(await last(page).getByRole("button", { name: "Move down" }).isDisabled());
  await edit.click();
  assert.equal(await last(page).getByRole("button", { name: /What to do with/ }).count(), 0, "not while it is edited");
  await page.keyboard.press("Escape");

  await messages(page).nth(1).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("ArrowUp");
  await messages(page).nth(1).getByRole("button", { name: "Move up" }).press("Enter");
  await messages(page).first().getByText("Sing.").waitFor();
  await page.waitForFunction(() => document.activeElement?.matches('article[data-index="0"]'));
  assert.equal(await messages(page).count(), 3);
});

test("other words for what one said are asked again; what followed waits in the trash", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says("Stew it is.", "Here is your bread.");
  await say(page, "Stew, please.");
  await said(page, "Stew it is.").waitFor();
  await quiet(page);
  await field(page).press("ArrowUp");
  await page.getByRole("textbox", { name: "The message" }).fill("Bread, please.");
  await page.getByRole("button", { name: "Save and ask again" }).click();
  await said(page, "Here is your bread.").waitFor();
  await quiet(page);
  assert.equal(await messages(page).count(), 3);
  assert.equal(await said(page, /Stew/).count(), 0);
  await page.getByRole("button", { name: "Undo" }).click();
  await said(page, "Stew it is.").waitFor();
});

test("a picture is dropped onto the chat, and shown large", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  const picture = [...(await paint(page, 120))];
  await page.evaluate((bytes) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], "sketch.png", { type: "image/png" }));
    document.querySelector(".log")?.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
  }, picture);
  await page.getByAltText("Picture 1 to send").waitFor();
  model.says("A fine likeness.");
  await say(page, "Do you like it?");
  await said(page, "A fine likeness.").waitFor();
  await quiet(page);
  await page.getByRole("button", { name: "Attached picture: show it large" }).click();
  const shown = page.getByRole("dialog", { name: "Attached picture" }).getByAltText("Attached picture");
  await shown.waitFor();
  assert.ok(await shown.evaluate((image) => /** @type {HTMLImageElement} */ (image).naturalWidth > 0));
});
