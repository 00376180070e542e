// Settings snapshots: made, looked at, compared, restored, deleted; and a settings file that is damaged.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { caller, closeBrowser, enter, go, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const ada = { handle: "ada", name: "Ada", password: "by candlelight" };

/** @param {import("node:test").TestContext} t @param {number} [width] */
async function withSettings(t, width) {
  const tavern = await openHouse(t, { guests: [ada] });
  const program = caller(tavern.url);
  await program.signIn("ada", ada.password);
  const { page } = await visit(tavern, { width });
  return { tavern, program, page };
}

test("made, looked at, compared, restored, deleted", async (t) => {
  const { tavern, program, page } = await withSettings(t);
  const first = { power_user: { theme: "Dusk", gone: 4 }, list: [1, 2, 3] };
  await program.saveSettings(first);
  await program.call("POST", "/api/v1/me/snapshots");
  await program.saveSettings({ power_user: { theme: "<img src=x onerror=alert(1)>", fresh: true }, list: [1, 2, 3] });
  await enter(page, tavern, "ada", ada.password, "/account#snapshots");
  const section = page.locator("#snapshots");
  await section.getByText("Your settings are well").waitFor();
  const old = section
    .locator("li")
    .filter({ has: page.getByRole("button", { name: /^Compare/ }) })
    .first();

  await old.getByRole("button", { name: /^Look/ }).click();
  const look = page.getByRole("dialog");
  await look.getByText('"theme": "Dusk"').waitFor();
  await page.keyboard.press("Escape");
  await look.waitFor({ state: "detached" });
  assert.match(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? ""), /^Look/);

  await old.getByRole("button", { name: /^Compare/ }).click();
  const diff = page.getByRole("dialog");
  await diff.getByText("1 changed").waitFor();
  await shot(page, "account-compare-desktop-light");
  const theme = diff.locator("li.changed").filter({ hasText: "theme" });
  assert.match(await theme.locator(".crumbs").innerText(), /power_user\s*›\s*theme/);
  assert.match(await theme.locator("del").innerText(), /Dusk/);
  assert.match(await theme.locator("ins").innerText(), /<img src=x onerror=alert\(1\)>/);
  await diff.locator("li.added").filter({ hasText: "fresh" }).waitFor();
  await diff.locator("li.removed").filter({ hasText: "gone" }).waitFor();

  await diff.getByRole("button", { name: "Go back to this snapshot" }).click();
  await page
    .getByRole("dialog", { name: "Go back to these settings?" })
    .getByRole("button", { name: "Restore" })
    .click();
  await page.getByText("Your settings are restored.").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), first);

  await section.getByText("same as now").first().waitFor();
  const before = await section.locator("li").count();
  await section
    .getByRole("button", { name: /^Delete/ })
    .last()
    .click();
  await page.getByRole("dialog", { name: "Delete this snapshot?" }).getByRole("button", { name: "Delete" }).click();
  await page.getByText("The snapshot is deleted.").waitFor();
  await page.waitForFunction((n) => document.querySelectorAll("#snapshots li").length === n, before - 1);
  assert.equal(
    await page.evaluate(() => document.activeElement?.closest("section")?.id),
    "snapshots",
    "the focus stays in the section",
  );
});

test("making one says whether there was anything new to keep", async (t) => {
  const { tavern, program, page } = await withSettings(t, 375);
  await program.saveSettings({ lamp: "lit" });
  await enter(page, tavern, "ada", ada.password, "/account");
  const make = page.getByRole("button", { name: "Make a snapshot now" });
  await make.click();
  await page
    .getByRole("status")
    .filter({ hasText: /snapshot/ })
    .first()
    .waitFor();
  await make.click();
  await page.getByText("Nothing has changed since the newest snapshot").first().waitFor();
  await page.locator("#snapshots").getByText("same as now").first().waitFor();
});

test("a large snapshot is shown bit by bit", async (t) => {
  const { tavern, program, page } = await withSettings(t);
  await program.saveSettings(Object.fromEntries(Array.from({ length: 4000 }, (_, i) => [`key_${i}`, `value ${i}`])));
  await program.call("POST", "/api/v1/me/snapshots");
  await enter(page, tavern, "ada", ada.password, "/account");
  await page.getByRole("button", { name: /^Look/ }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: /^Show more/ }).waitFor();
  assert.ok(((await dialog.locator("pre").textContent()) ?? "").length < 40_000);
  await dialog.locator("pre").evaluate((pre) => pre.scrollTo(0, pre.scrollHeight));
  await page.waitForFunction(() => (document.querySelector("dialog pre")?.textContent ?? "").includes('"key_700"'));
});

test("damaged settings: what happened is said, and the last good snapshot helps", async (t) => {
  const { tavern, program, page } = await withSettings(t);
  const good = { theme: "Dusk" };
  await program.saveSettings(good);
  await program.call("POST", "/api/v1/me/snapshots");
  await writeFile(join(tavern.data, "ada", "settings.json"), '{"theme": "Du');
  await enter(page, tavern, "ada", ada.password, "/account#snapshots");
  const section = page.locator("#snapshots");
  await section.getByText("Your settings file was damaged.").waitFor();
  await shot(page, "account-damaged-desktop-light");
  await section.getByRole("button", { name: "Use the last good snapshot" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restore" }).click();
  await section.getByText("Your settings are well").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), good);
});

test("an empty shelf is said kindly", async (t) => {
  const tavern = await openHouse(t, { guests: [{ handle: "bob", name: "Bob" }] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "bob", "", "/account");
  const program = caller(tavern.url);
  await program.signIn("bob", "");
  for (const { name } of await program.call("GET", "/api/v1/me/snapshots")) {
    await program.call("DELETE", `/api/v1/me/snapshots/${encodeURIComponent(name)}`);
  }
  await go(page, tavern, "/account");
  await page.getByText("The shelf is empty.").waitFor();
});
