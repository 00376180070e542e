// The account page: name, picture, password, sessions.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, drawn, enter, go, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const ada = { handle: "ada", name: "Ada", password: "by candlelight" };
const phone =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";

test("a new display name", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", ada.password, "/account");
  const name = page.getByLabel("Display name");
  await name.fill("");
  await page.getByRole("button", { name: "Save name" }).click();
  await page.getByText("A name needs at least one letter.").waitFor();
  await name.fill("Ada of the Hill");
  await page.getByRole("button", { name: "Save name" }).click();
  await page.getByRole("status").filter({ hasText: "Your name is saved." }).waitFor();
  await go(page, tavern, "/");
  await page.getByRole("heading", { name: /Ada of the Hill/ }).waitFor();
});

test("a picture is cropped in the page, hung, and taken down", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern, { width: 375 });
  await enter(page, tavern, "ada", ada.password, "/account");
  // A wide picture, red on the left and blue on the right: what is kept tells what the crop did.
  const wide = await page.evaluate(async () => {
    const canvas = new OffscreenCanvas(900, 300);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("no canvas");
    context.fillStyle = "#ff0000";
    context.fillRect(0, 0, 450, 300);
    context.fillStyle = "#0000ff";
    context.fillRect(450, 0, 450, 300);
    const blob = await canvas.convertToBlob({ type: "image/png" });
    return [...new Uint8Array(await blob.arrayBuffer())];
  });
  await page
    .locator("#profile input[type=file]")
    .setInputFiles({ name: "wide.png", mimeType: "image/png", buffer: Buffer.from(wide) });
  const dialog = page.getByRole("dialog", { name: "Fit your picture" });
  await dialog.waitFor();
  await shot(page, "account-crop-phone-light");
  const canvas = dialog.getByRole("application");
  await canvas.focus();
  for (let i = 0; i < 60; i += 1) await page.keyboard.press("ArrowRight");
  const size = dialog.getByRole("slider", { name: "Size" });
  await page.keyboard.press("+");
  const frame = await canvas.boundingBox();
  assert.ok(frame);
  const middle = { x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 };
  await page.mouse.move(middle.x, middle.y);
  await page.mouse.down();
  await page.mouse.move(middle.x + 500, middle.y, { steps: 8 });
  await page.mouse.up();
  await page.mouse.wheel(0, -300);
  assert.ok(Number(await size.inputValue()) > 1);
  for (let i = 0; i < 60; i += 1) await page.keyboard.press("ArrowLeft");
  await dialog.getByRole("button", { name: "Use this picture" }).click();
  await page.getByText("The picture is hung.").waitFor();
  const colour = await page.locator("#profile img").evaluate(async (element) => {
    const image = /** @type {HTMLImageElement} */ (element);
    await image.decode();
    if (image.naturalWidth !== image.naturalHeight) throw new Error(`${image.naturalWidth} by ${image.naturalHeight}`);
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context?.drawImage(image, 0, 0, 1, 1);
    return [...(context?.getImageData(0, 0, 1, 1).data ?? [])];
  });
  assert.ok(colour[0] > 200 || colour[2] > 200, `a plain red or blue, not ${colour}`);
  assert.ok(Math.min(colour[0], colour[2]) < 30, `one side only, not ${colour}`);
  await page.locator("#profile").getByRole("button", { name: "Remove" }).click();
  await page.getByText("The picture is taken down.").waitFor();
  await page.locator("#profile").getByRole("button", { name: "Remove" }).waitFor({ state: "hidden" });
});

test("a file that is no picture is refused with words", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", ada.password, "/account");
  await page.locator("#profile input[type=file]").setInputFiles({
    name: "<img src=x onerror=alert(1)>.png",
    mimeType: "image/png",
    buffer: Buffer.from("not a picture"),
  });
  await page.locator("#profile").getByText("cannot be read as a picture").waitFor();
});

test("a password is set, changed and removed; other sessions end", async (t) => {
  const tavern = await openHouse(t, { guests: [{ handle: "bob", name: "Bob" }] });
  const { page } = await visit(tavern);
  const other = await visit(tavern, { agent: phone });
  await enter(page, tavern, "bob", "", "/account");
  await enter(other.page, tavern, "bob", "", "/account");
  const section = page.locator("#password");
  await section.getByText("Your door is open").waitFor();
  assert.equal(await section.getByLabel("Password now").count(), 0);
  await section.getByRole("textbox", { name: "New password" }).fill("first candle");
  await section.getByRole("button", { name: "Set password" }).click();
  await section.getByText("Your door is locked").waitFor();
  await other.page.goto(`${tavern.url}/account`);
  await other.page.waitForURL((url) => url.pathname === "/login");

  await section.getByRole("textbox", { name: "Password now" }).fill("wrong candle");
  await section.getByRole("textbox", { name: "New password" }).fill("second candle");
  await section.getByRole("button", { name: "Change password" }).click();
  await section.locator(".form-error .alert").waitFor();
  await section.getByRole("textbox", { name: "Password now" }).fill("first candle");
  await section.getByRole("button", { name: "Change password" }).click();
  await page.getByText("Your password is set.").waitFor();

  await section.getByRole("button", { name: "Remove password" }).click();
  const dialog = page.getByRole("dialog", { name: "Remove your password?" });
  await dialog.getByRole("textbox", { name: "Password now" }).fill("second candle");
  await dialog.getByRole("button", { name: "Remove password" }).click();
  await section.getByText("Your door is open").waitFor();
});

test("sessions: devices are named, one is ended, all others are ended", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  const onPhone = await visit(tavern, { agent: phone, width: 375 });
  const third = await visit(tavern, {
    agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
  });
  for (const window of [onPhone, third]) await enter(window.page, tavern, "ada", ada.password);
  await enter(page, tavern, "ada", ada.password, "/account");
  const section = page.locator("#sessions");
  await section.getByText("Safari on iPhone").waitFor();
  await section.getByText("Firefox on Windows").waitFor();
  assert.equal(await section.getByText("this one").count(), 1);
  await section.getByRole("button", { name: "End Safari on iPhone" }).click();
  await section.getByText("Safari on iPhone").waitFor({ state: "detached" });
  await onPhone.page.goto(`${tavern.url}/`);
  await onPhone.page.waitForURL((url) => url.pathname === "/login");
  await section.getByRole("button", { name: "End all the others" }).click();
  await section.getByText("Nobody else is signed in as you.").waitFor();
  await third.page.goto(`${tavern.url}/`);
  await third.page.waitForURL((url) => url.pathname === "/login");
  await drawn(third.page);
});
