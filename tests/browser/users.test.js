// The users page: everything an admin does for others, and what the rules forbid.
import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { closeBrowser, enter, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const ada = { handle: "ada", name: "Ada", password: "by candlelight" };
const bob = { handle: "bob", name: "Bob" };

/** @param {import("node:test").TestContext} t @param {number} [width] */
async function asKeeper(t, width) {
  const tavern = await openHouse(t, { guests: [ada, bob], keeper: "the keeper" });
  const { page } = await visit(tavern, { width });
  await enter(page, tavern, "default-user", "the keeper", "/users");
  await page.getByRole("row").filter({ hasText: "Bob" }).waitFor();
  return { tavern, page };
}

/** @param {import("playwright-core").Page} page @param {string} name */
const manage = async (page, name) => {
  await page.getByRole("button", { name: `Manage ${name}`, exact: true }).click();
  return page.getByRole("dialog");
};

test("someone new is let in: the handle is seen before it is saved", async (t) => {
  const { tavern, page } = await asKeeper(t);
  await page.getByRole("button", { name: "Let someone in" }).click();
  const dialog = page.getByRole("dialog", { name: "Let someone in" });
  const handle = dialog.getByLabel("Handle");
  await dialog.getByLabel("Name", { exact: true }).pressSequentially("Ada");
  await dialog.getByText("ada lives here already.").waitFor();
  await dialog.getByLabel("Name", { exact: true }).fill("Böb the 2nd");
  await page.waitForFunction(() =>
    [...document.querySelectorAll("dialog input")].some(
      (i) => /** @type {HTMLInputElement} */ (i).value === "bob-the-2nd",
    ),
  );
  await dialog.getByText("bob-the-2nd is free.").waitFor();
  await shot(page, "users-new-desktop-light");
  assert.equal(await handle.inputValue(), "bob-the-2nd");
  await dialog.getByRole("textbox", { name: "Password" }).fill("a warm bed");
  await dialog.getByRole("button", { name: "Make the account" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("row").filter({ hasText: "bob-the-2nd" }).waitFor();
  const other = await visit(tavern);
  await enter(other.page, tavern, "bob-the-2nd", "a warm bed");
});

test("renamed, promoted, disabled and enabled, given a password", async (t) => {
  const { tavern, page } = await asKeeper(t);
  const bobs = await visit(tavern);
  await enter(bobs.page, tavern, "bob", "");
  let dialog = await manage(page, "Bob");
  await shot(page, "users-sheet-desktop-light");
  await dialog.getByLabel("Display name").fill("Bob the Bard");
  await dialog.getByRole("button", { name: "Rename" }).click();
  await page.getByText("They are Bob the Bard now.").waitFor();
  for (const role of ["moderator", "manager", "admin"]) {
    await dialog.getByLabel("Role").selectOption(role);
    await dialog.getByRole("button", { name: "Change role" }).click();
    await page.getByText(`Bob the Bard is ${role} now.`).waitFor();
  }
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.activeElement?.getAttribute("aria-label") === "Manage Bob the Bard");
  const row = page.getByRole("row").filter({ hasText: "Bob the Bard" });
  await row.getByText("Admin").waitFor();

  dialog = await manage(page, "Bob the Bard");
  await dialog.getByRole("button", { name: "Disable" }).click();
  await dialog.getByRole("button", { name: "Enable" }).waitFor();
  await bobs.page.goto(`${tavern.url}/`);
  await bobs.page.waitForURL((url) => url.pathname === "/login");
  await dialog.getByRole("button", { name: "Enable" }).click();
  await dialog.getByRole("button", { name: "Disable" }).waitFor();
  await dialog.getByRole("textbox", { name: "New password" }).fill("a lute string");
  await dialog.getByRole("button", { name: "Set password" }).click();
  await page.getByText("The password is set.").waitFor();
  await enter(bobs.page, tavern, "bob", "a lute string");
});

test("their backup is downloaded", async (t) => {
  const { page } = await asKeeper(t);
  const dialog = await manage(page, "Ada");
  const coming = page.waitForEvent("download");
  await dialog.getByRole("button", { name: "Download their backup" }).click();
  assert.match((await coming).suggestedFilename(), /^ada.*\.zip$/);
  await dialog.getByText("is in your downloads.").waitFor();
});

for (const keep of [true, false]) {
  test(`deleted, the data ${keep ? "kept" : "moved to the trash"}`, async (t) => {
    const { tavern, page } = await asKeeper(t, 375);
    const dialog = await manage(page, "Ada");
    await dialog.getByRole("button", { name: "Delete the account…" }).click();
    const ask = page.getByRole("dialog", { name: "Delete Ada?" });
    if (!keep) await ask.getByLabel(/Move it to the trash/).check();
    await ask.getByLabel("Type ada to confirm").fill("bob");
    await ask.getByRole("button", { name: "Delete the account" }).click();
    await ask.getByText("Type ada exactly.").waitFor();
    await ask.getByLabel("Type ada to confirm").fill("ada");
    await ask.getByRole("button", { name: "Delete the account" }).click();
    await ask.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Manage Ada" }).waitFor({ state: "detached" });
    const there = await access(join(tavern.data, "ada")).then(
      () => true,
      () => false,
    );
    assert.equal(there, keep);
  });
}

test("what the rules forbid is shut, with the reason", async (t) => {
  const { page } = await asKeeper(t);
  const row = page.getByRole("row").filter({ hasText: "default-user" });
  await row.getByRole("button", { name: /^Manage/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Role").waitFor();
  assert.equal(await dialog.getByLabel("Role").isDisabled(), true);
  assert.equal(await dialog.getByRole("button", { name: "Disable" }).isDisabled(), true);
  assert.equal(await dialog.getByRole("button", { name: "Delete the account…" }).isDisabled(), true);
  await dialog.getByText("This is you.").first().waitFor();
  await dialog.getByText("can be disabled, never deleted").waitFor();
});

test("who may not see to others meets a kind closed door", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", ada.password, "/users");
  await page.getByRole("heading", { name: "This room is the innkeeper's" }).waitFor();
  await shot(page, "users-forbidden-desktop-light");
  assert.equal(await page.getByRole("link", { name: "Users" }).count(), 0);
  await page.getByRole("link", { name: "Back to the hearth" }).click();
  await page.waitForURL(`${tavern.url}/`);
});

test("the size of everyone's data is counted row by row", async (t) => {
  const { page } = await asKeeper(t);
  const data = page.getByRole("row").filter({ hasText: "Ada" }).locator('[data-label="Data"]');
  await page.waitForFunction(
    (cell) => /\d+(\.\d)? (bytes?|KB|MB)/.test(cell?.textContent ?? ""),
    await data.elementHandle(),
  );
});
