// A backup is downloaded, brought back with a plan, undone; and starting afresh.
import assert from "node:assert/strict";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { caller, closeBrowser, enter, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const ada = { handle: "ada", name: "Ada", password: "by candlelight" };

/** @param {string} path */
const there = (path) =>
  access(path).then(
    () => true,
    () => false,
  );

/** @param {import("node:test").TestContext} t @param {number} [width] */
async function withData(t, width) {
  const tavern = await openHouse(t, { guests: [ada] });
  const program = caller(tavern.url);
  await program.signIn("ada", ada.password);
  await program.saveSettings({ theme: "Dusk" });
  const mine = join(tavern.data, "ada");
  await mkdir(join(mine, "characters"), { recursive: true });
  await writeFile(join(mine, "characters", "Seraphina.png"), Buffer.alloc(300_000, 7));
  const { page } = await visit(tavern, { width });
  await enter(page, tavern, "ada", ada.password, "/account");
  return { tavern, program, mine, page };
}

/** @param {import("playwright-core").Page} page */
async function download(page) {
  const coming = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download my backup" }).click();
  const zip = await coming;
  await page.locator("#backup").getByText("is in your downloads.").waitFor();
  return { name: zip.suggestedFilename(), bytes: await readFile(await zip.path()) };
}

test("the backup is a zip of the right name, and its progress is shown", async (t) => {
  const { page } = await withData(t);
  await page.getByLabel(/Put my secrets in too/).check();
  await page.getByText("lie readable in the zip").waitFor();
  await page.getByLabel(/Put my secrets in too/).uncheck();
  const zip = await download(page);
  assert.match(zip.name, /^ada.*\.zip$/);
  assert.equal(zip.bytes.subarray(0, 4).toString("latin1"), "PK\u0003\u0004");
  assert.ok(zip.bytes.includes("characters/Seraphina.png"));
  assert.match(await page.locator("#backup .progress .hint").innerText(), /of \d/);
});

test("brought back: a plan first, then done, then undone", async (t) => {
  const { tavern, program, mine, page } = await withData(t);
  const zip = await download(page);
  await program.saveSettings({ theme: "Dawn" });
  const evil = "<img src=x onerror=alert(1)>.png";
  await writeFile(join(mine, "characters", evil), "only here now");
  const section = page.locator("#restore");
  await section
    .locator("input[type=file]")
    .setInputFiles({ name: "<b>backup</b>.zip", mimeType: "application/zip", buffer: zip.bytes });
  await section.getByRole("table").waitFor();
  await section.scrollIntoViewIfNeeded();
  await shot(page, "account-plan-desktop-light");
  await section.getByText("Every file matches the archive's own list").waitFor();
  const removed = section.locator(".mark.removed").first();
  await removed.waitFor();
  await removed.locator("xpath=..").locator("summary").click();
  await section.getByText(evil).waitFor();
  await section.getByRole("button", { name: "Bring these back" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Bring them back" }).click();
  await section.getByText("Your backup is back.").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), { theme: "Dusk" });
  assert.equal(await there(join(mine, "characters", evil)), false);

  await section.getByRole("button", { name: "Undo it" }).click();
  await page.getByText("Undone: everything is as it was before.").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), { theme: "Dawn" });
  assert.equal(await there(join(tavern.data, "ada", "characters", evil)), true);

  const undo = page.locator("#undo");
  await undo.locator("li").first().waitFor();
  await undo
    .getByRole("button", { name: /^Delete/ })
    .last()
    .click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("The undo point is deleted.").waitFor();
});

test("only the chosen parts are brought back", async (t) => {
  const { program, mine, page } = await withData(t, 375);
  const zip = await download(page);
  await program.saveSettings({ theme: "Dawn" });
  await writeFile(join(mine, "characters", "Seraphina.png"), "changed since");
  const section = page.locator("#restore");
  await section
    .locator("input[type=file]")
    .setInputFiles({ name: "backup.zip", mimeType: "application/zip", buffer: zip.bytes });
  await section.getByRole("checkbox").first().waitFor();
  for (const box of await section.getByRole("checkbox").all()) await box.uncheck();
  await section.getByRole("button", { name: "Bring these back" }).click();
  await section.getByText("Choose at least one part.").waitFor();
  await section.getByRole("checkbox", { name: /character/i }).check();
  await section.getByRole("button", { name: "Bring these back" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Bring them back" }).click();
  await section.getByText("Your backup is back.").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), { theme: "Dawn" });
  assert.equal((await readFile(join(mine, "characters", "Seraphina.png"))).length, 300_000);
});

test("a file that is no backup is refused with the reason; never mind forgets one", async (t) => {
  const { page } = await withData(t);
  const section = page.locator("#restore");
  const input = section.locator("input[type=file]");
  await input.setInputFiles({
    name: "notes.zip",
    mimeType: "application/zip",
    buffer: Buffer.from("not a zip at all, only words"),
  });
  await section.locator(".alert").waitFor();
  await input.setInputFiles({ name: "empty.zip", mimeType: "application/zip", buffer: Buffer.alloc(0) });
  await section.getByText("empty.zip is empty.").waitFor();
  const zip = await download(page);
  await input.setInputFiles({ name: "backup.zip", mimeType: "application/zip", buffer: zip.bytes });
  await section.getByText("Nothing to bring back").waitFor();
  assert.equal(await section.getByRole("button", { name: "Bring these back" }).count(), 0);
  await section.getByRole("button", { name: "Never mind" }).click();
  await section.getByText("Drop a backup here").waitFor();
});

test("a handing over can be stopped, and nothing has changed then", async (t) => {
  const { program, page } = await withData(t);
  await page.route("**/api/v1/me/restores", () => {
    // Never answered: the handing over goes on until it is stopped.
  });
  const section = page.locator("#restore");
  await section
    .locator("input[type=file]")
    .setInputFiles({ name: "slow.zip", mimeType: "application/zip", buffer: Buffer.alloc(1000, 1) });
  await section.getByRole("button", { name: "Stop" }).click();
  await section.getByText("Stopped. Nothing was changed.").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), { theme: "Dusk" });
});

test("the settings start afresh", async (t) => {
  const { program, page } = await withData(t);
  await page.getByRole("button", { name: "Reset settings" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("textbox", { name: "Your password" }).fill("wrong candle");
  await dialog.getByRole("button", { name: "Reset settings" }).click();
  await dialog.locator(".form-error .alert").waitFor();
  assert.deepEqual(await program.call("GET", "/api/v1/me/settings"), { theme: "Dusk" });
  await dialog.getByRole("textbox", { name: "Your password" }).fill(ada.password);
  await dialog.getByRole("button", { name: "Reset settings" }).click();
  await page.getByText("Your settings are the defaults again.").waitFor();
  await page.locator("#snapshots li").first().waitFor();
});

test("everything starts afresh with a code from the console, and comes back by the undo point", async (t) => {
  const { tavern, mine, page } = await withData(t);
  const character = join(mine, "characters", "Seraphina.png");
  await page.getByRole("button", { name: "Reset everything" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Write the code" }).click();
  const code = await tavern.resetCode();
  await dialog.getByLabel("Code from the console").fill(code);
  await dialog.getByRole("textbox", { name: "Your password" }).fill(ada.password);
  await dialog.getByLabel("Type ada to confirm").fill("Ada");
  await dialog.getByRole("button", { name: "Reset everything" }).click();
  await dialog.getByText("Type ada exactly.").waitFor();
  assert.equal(await there(character), true);
  await dialog.getByLabel("Type ada to confirm").fill("ada");
  await shot(page, "account-afresh-desktop-light");
  await dialog.getByRole("button", { name: "Reset everything" }).click();
  await page.getByText("You start afresh.").waitFor();
  assert.equal(await there(character), false);
  await page
    .locator("#undo")
    .getByRole("button", { name: /^Bring back/ })
    .first()
    .click();
  await page.getByRole("dialog").getByRole("button", { name: "Bring back" }).click();
  await page.getByText("It is back.").waitFor();
  assert.equal(await there(character), true);
});
