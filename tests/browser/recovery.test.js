// "Forgot password?": the code on the console opens the door again.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, go, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const ada = { handle: "ada", name: "Ada", password: "by candlelight" };

for (const discreet of [false, true]) {
  test(`a code from the console, ${discreet ? "discreet" : "picker"}`, async (t) => {
    const tavern = await openHouse(t, {
      config: `enableUserAccounts: true\nenableDiscreetLogin: ${discreet}\n`,
      guests: [ada],
    });
    const { page } = await visit(tavern);
    await go(page, tavern, "/login");
    if (!discreet) await page.getByRole("button", { name: /^Ada/ }).click();
    await page.getByRole("button", { name: "Forgot password?" }).click();
    await page.getByText("scripts/recover.sh").waitFor({ state: "attached" });
    await shot(page, `login-forgot-${discreet ? "discreet" : "picker"}`);
    const handle = page.getByLabel("Handle");
    if (!discreet) assert.equal(await handle.inputValue(), "ada");
    await handle.fill("ada");
    await page.getByRole("button", { name: "Ask for a code" }).click();
    const field = page.getByLabel("Code from the console");
    await field.waitFor();
    const code = await tavern.recoveryCode();
    await field.fill(code === "0000" ? "1111" : "0000");
    const password = page.getByRole("textbox", { name: "New password" });
    await password.fill("a new candle");
    await page.getByRole("button", { name: "Set it and come in" }).click();
    await page.locator(".form-error .alert").filter({ hasText: /code/i }).waitFor();
    await field.fill(code);
    await page.getByRole("button", { name: "Show: New password" }).click();
    assert.equal(await password.getAttribute("type"), "text");
    await page.getByRole("button", { name: "Set it and come in" }).click();
    await page.waitForURL(`${tavern.url}/`);
    await page.getByRole("heading", { name: /Ada/ }).waitFor();
  });
}

test("a stranger's handle is answered in discreet mode as anyone's", async (t) => {
  const tavern = await openHouse(t, { config: "enableUserAccounts: true\nenableDiscreetLogin: true\n", guests: [ada] });
  const { page } = await visit(tavern);
  await go(page, tavern, "/login");
  await page.getByRole("button", { name: "Forgot password?" }).click();
  await page.getByLabel("Handle").fill("nobody");
  await page.getByRole("button", { name: "Ask for a code" }).click();
  await page.getByText("If there is an account nobody, a code now stands on the server's console.").waitFor();
});

test("a password that is too long is refused before it is sent", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await go(page, tavern, "/login");
  await page.getByRole("button", { name: /^Ada/ }).click();
  await page.getByRole("button", { name: "Forgot password?" }).click();
  await page.getByRole("button", { name: "Ask for a code" }).click();
  await page.getByLabel("Code from the console").fill(await tavern.recoveryCode());
  const password = page.getByRole("textbox", { name: "New password" });
  await password.fill("x".repeat(65));
  await page.getByText("65 of 71 bytes.").waitFor();
  await password.fill("ü".repeat(36));
  await page.getByText("72 of 71 bytes: too long.").waitFor();
  await page.getByRole("button", { name: "Set it and come in" }).click();
  await page.getByText("At most 71 bytes, please.").waitFor();
});
