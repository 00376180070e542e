// On a phone: what one writes with stays in sight, whatever the keyboard and the notes of the house do; forms that are long
// keep their buttons in reach; and a house without accounts does not speak of them.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, checkWidth, closeBrowser, go, openHouse, shot, visit } from "./house.js";
import { atTheInn, field, meet, quiet, said, say } from "./inn.js";

/** @typedef {import("playwright-core").Locator} Locator */

after(closeBrowser);

/** Where it ends, in pixels from the top of the window. @param {Locator} place */
async function bottom(place) {
  const box = await place.boundingBox();
  assert.ok(box, "it is there");
  return box.y + box.height;
}

test("the keyboard does not hide the field, and a note does not cover it", async (t) => {
  const { page, model } = await atTheInn(t, { width: 390 });
  await page.getByRole("button", { name: "Chats and characters" }).click();
  await meet(page);
  const send = page.getByRole("button", { name: "Send", exact: true });
  model.says("You are welcome.");
  await say(page, "Thank you.");
  await said(page, "You are welcome.").waitFor();
  await quiet(page);

  // A browser that lays the keyboard over the page tells how much of it can still be seen.
  await page.evaluate(() => {
    Object.defineProperty(window.visualViewport, "height", { value: 420, configurable: true });
    window.visualViewport?.dispatchEvent(new Event("resize"));
  });
  assert.ok((await bottom(send)) <= 420, "over the keyboard");
  await said(page, "You are welcome.").waitFor();
  assert.ok((await bottom(said(page, "You are welcome."))) < 420, "the last words, too");
  await page.evaluate(() => {
    Object.defineProperty(window.visualViewport, "height", { value: innerHeight, configurable: true });
    window.visualViewport?.dispatchEvent(new Event("resize"));
  });
  assert.ok((await bottom(send)) > 600, "back at the foot");

  // However high it has grown.
  await field(page).fill("one\ntwo\nthree\nfour\nfive\nsix");
  const composer = page.locator(".composing");
  const before = await composer.boundingBox();
  assert.ok(before && before.height > 150, "it has grown");
  await page.getByRole("button", { name: /What to do with/ }).last().click();
  await page.locator(".menu-list:popover-open").getByRole("button", { name: "Copy" }).click();
  const note = page.locator(".note");
  await note.waitFor();
  assert.ok((await bottom(note)) <= before.y + 1, "the note stands over the field");
});

test("the prompt tells the first words of each part, and opens to all of them", async (t) => {
  const { page } = await atTheInn(t, { width: 390 });
  await page.getByRole("button", { name: "Chats and characters" }).click();
  await meet(page);
  await page.getByRole("button", { name: /Show the prompt/ }).click();
  const dialog = page.getByRole("dialog", { name: "What the model is sent" });
  const part = dialog.locator("li").filter({ hasText: "Who the character is" });
  await part.locator(".first-words").getByText("Mirabel keeps the inn at the crossroads.").waitFor();
  await part.getByText(/^about \d+ tokens$/).waitFor();
  assert.equal(await dialog.evaluate((one) => one.scrollWidth - one.clientWidth), 0, "nothing scrolls sideways");
  await part.locator("summary").click();
  await part.locator("pre").getByText("She knows every road and most secrets.").waitFor();
});

test("the buttons of a long form stay in reach, and fields are not behind them", async (t) => {
  const { tavern, page } = await atTheInn(t, { width: 390 });
  await go(page, tavern, "/connections");
  await page.getByRole("button", { name: "Edit The hearth" }).click();
  const dialog = page.getByRole("dialog", { name: "Edit The hearth" });
  await dialog.getByText("More", { exact: true }).click();
  const actions = dialog.locator("form > .actions");
  const reach = async (/** @type {string} */ when) => {
    const box = await actions.boundingBox();
    assert.ok(box && box.y + box.height <= 740, `${when}: ${JSON.stringify(box)}`);
    return box.y;
  };
  await reach("at first");
  for (const name of ["Key", "Model", "Temperature", "Seed", "Further fields"]) {
    const one = dialog.getByLabel(name, { exact: true });
    await one.focus();
    const foot = await reach(name);
    assert.ok((await bottom(one)) <= foot + 1, `${name} is in sight`);
  }
  await dialog.getByRole("button", { name: "Test", exact: true }).click();
  const outcome = dialog.locator(".outcome .state, .outcome .alert");
  await outcome.waitFor();
  await page.waitForFunction(() => {
    const told = document.querySelector("dialog .outcome")?.getBoundingClientRect();
    const foot = document.querySelector("dialog form > .actions")?.getBoundingClientRect();
    return told && foot && told.bottom <= foot.top + 1;
  });
  await shot(page, "phone-connection");
});

for (const width of [390, 1280])
  test(`a house without accounts does not speak of letting people in, at ${width} pixels`, async (t) => {
    const tavern = await openHouse(t, { config: "enableUserAccounts: false\n" });
    const { page } = await visit(tavern, { width });
    for (const path of ["/", "/account", "/users"]) {
      await go(page, tavern, path);
      await page.waitForLoadState("networkidle");
      const words = await page.locator("body").innerText();
      assert.doesNotMatch(words, /signed in|let someone|sign out/i, path);
      await checkWidth(page, path);
      await checkAccess(page, `${path} without accounts`);
      await shot(page, `no-accounts${path.replace("/", "-")}-${width}`, true);
    }
    await page.getByText("enableUserAccounts: true").waitFor();
  });
