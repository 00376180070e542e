// By keys alone: whatever opens takes the focus, keeps it while it is modal, closes with Escape and gives the focus back.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, closeBrowser, drawn, go } from "./house.js";
import { atTheInn, meet } from "./inn.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").Locator} Locator */

after(closeBrowser);

/** What the focus is on, in words. @param {Page} page */
const held = (page) =>
  page.evaluate(() => {
    const at = document.activeElement;
    return at && at !== document.body ? (at.getAttribute("aria-label") ?? at.textContent ?? "").trim() : "";
  });

/** Opens a dialog from `button`, walks around in it and leaves it. @param {Page} page @param {Locator} button @param {string | RegExp} name */
async function through(page, button, name) {
  await button.focus();
  const from = await held(page);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name });
  await dialog.waitFor();
  const inside = () => dialog.evaluate((one) => one.contains(document.activeElement) || document.activeElement === document.body);
  await page.waitForFunction(() => document.querySelector("dialog[open]")?.contains(document.activeElement));
  for (const key of [...Array(12).fill("Tab"), ...Array(14).fill("Shift+Tab")]) {
    await page.keyboard.press(key);
    assert.ok(await inside(), `${name} keeps the focus, which is on ${await held(page)}`);
  }
  await checkAccess(page, String(name));
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement !== document.body);
  assert.equal(await held(page), from, `after ${name}`);
}

/** Opens the dialog behind an entry of a menu. @param {Page} page @param {Locator} button @param {string} entry @param {string | RegExp} name */
async function throughMenu(page, button, entry, name) {
  await button.focus();
  const from = await held(page);
  await page.keyboard.press("Enter");
  const list = page.locator(".menu-list:popover-open");
  await list.waitFor();
  await page.waitForFunction(() => document.querySelector(".menu-list:popover-open")?.contains(document.activeElement));
  await list.getByRole("button", { name: entry, exact: true }).focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name });
  await dialog.waitFor();
  await page.waitForFunction(() => document.querySelector("dialog[open]")?.contains(document.activeElement));
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.waitForFunction(() => document.activeElement !== document.body);
  assert.equal(await held(page), from, `after ${name}`);
}

test("every dialog of the chat page", async (t) => {
  const { page } = await atTheInn(t);
  await meet(page);
  // A chat that has been opened puts the focus into its field, once it is all there.
  await page.waitForFunction(() => document.activeElement?.matches(".composer textarea"));
  const more = page.getByRole("button", { name: "More of this chat" });
  for (const [entry, name] of /** @type {[string, string][]} */ ([
    ["All chats with Mirabel…", "Chats with Mirabel"],
    ["Who speaks here…", "Who speaks here"],
    ["Author's note…", "Author's note"],
    ["Show the prompt…", "What the model is sent"],
    ["Rename…", "Rename the chat"],
    ["Download…", "Download the chat"],
    ["Keys…", "Keys"],
  ]))
    await throughMenu(page, more, entry, name);
  const row = page.getByRole("button", { name: /What to do with the chat/ }).first();
  await throughMenu(page, row, "Rename…", "Rename the chat");
  await through(page, page.getByRole("button", { name: /Show the prompt/ }), "What the model is sent");
  await page.locator("article.message").first().focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".menu-list:popover-open")?.contains(document.activeElement));
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: "Delete the message?" }).waitFor();
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.closest("article.message"));
});

test("every dialog of the other pages", async (t) => {
  const { tavern, page, program } = await atTheInn(t);
  await program.call("PUT", "/api/v1/lorebooks/Woods", { entries: {} });
  await program.call("POST", "/api/v1/users", { handle: "bob", name: "Bob" });
  await program.saveSettings({ theme: "Dusk" });
  await program.call("POST", "/api/v1/me/snapshots");
  await program.saveSettings({ theme: "Dawn" });
  // Personas live in the settings.
  await program.call("POST", "/api/v1/personas", { name: "Captain Kay" });
  /** @type {[string, string | RegExp, string | RegExp][]} */
  const doors = [
    ["/characters", /^New/, "A new character"],
    ["/characters?id=Mirabel", "Rename", /Mirabel/],
    ["/characters?id=Mirabel", "Delete", "Delete Mirabel?"],
    ["/personas", "Edit Captain Kay", /Captain Kay/],
    ["/personas", "Delete Captain Kay", "Delete Captain Kay?"],
    ["/lorebooks", /^New/, "A new lorebook"],
    ["/lorebooks", "Delete Woods", "Delete “Woods”?"],
    ["/connections", "Add a model server", "A model server"],
    ["/connections", "Edit The hearth", "Edit The hearth"],
    ["/connections", "Delete The hearth", "Delete The hearth?"],
    ["/account", /^Compare/, /^What changed since/],
    ["/account", /^Look/, /^Settings of/],
    ["/account", "Remove password", "Remove your password?"],
    ["/account", "Reset settings", "Reset your settings?"],
    ["/account", "Reset everything", "Reset everything?"],
    ["/users", "Let someone in", "Let someone in"],
    ["/users", "Manage Bob", /Bob/],
  ];
  let at = "";
  for (const [path, button, name] of doors) {
    if (path !== at) await go(page, tavern, path);
    at = path;
    await through(page, page.locator("main").getByRole("button", { name: button }).first(), name);
  }
});

test("the drawer and the rooms behind More, on a phone", async (t) => {
  const { page } = await atTheInn(t, { width: 390 });
  const open = page.getByRole("button", { name: "Chats and characters" });
  await open.focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector(".side")?.contains(document.activeElement));
  for (let n = 0; n < 8; n += 1) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector(".side")?.contains(document.activeElement)));
  }
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.matches(".side-open"));
  await page.getByRole("button", { name: "More", exact: true }).focus();
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.waitForFunction(() => document.querySelector(".more-list")?.contains(document.activeElement));
  await page.keyboard.press("Escape");
  assert.equal(await held(page), "More");
  await drawn(page);
});
