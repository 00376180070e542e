// The login page: the picker, the discreet form, what a wrong password says, and where one lands.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, drawn, enter, go, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const ada = { handle: "ada", name: "Ada", password: "by candlelight" };
const bob = { handle: "bob", name: "Bob" };

/** @param {import("playwright-core").Page} page @param {string} path */
const landed = async (page, path) => {
  await page.waitForURL((url) => url.pathname === path);
  await drawn(page);
};

test("one account without a password skips the login", async (t) => {
  const tavern = await openHouse(t);
  const { page } = await visit(tavern);
  await page.goto(`${tavern.url}/`);
  await landed(page, "/");
  await page.getByRole("heading", { level: 1, name: /, / }).waitFor();
  assert.match((await page.locator("main").innerText()).replace(/\s+/g, " "), /default-user/);
  await page.getByRole("button", { name: "Sign out" }).click();
  await landed(page, "/login");
  await page.getByRole("button", { name: /default-user/ }).click();
  await landed(page, "/");
});

test("without accounts there is no login and nothing to sign out of", async (t) => {
  const tavern = await openHouse(t, { config: "enableUserAccounts: false\n" });
  const { page } = await visit(tavern);
  await page.goto(`${tavern.url}/login`);
  await landed(page, "/");
  assert.equal(await page.getByRole("button", { name: "Sign out" }).count(), 0);
});

test("a stranger is led to the login, and after it to where they wanted to go", async (t) => {
  const tavern = await openHouse(t, { guests: [ada, bob] });
  const { page } = await visit(tavern);
  await page.goto(`${tavern.url}/account`);
  await landed(page, "/login");
  await go(page, tavern, "/login?then=%2Faccount%23sessions");
  await page.getByRole("button", { name: /Bob/ }).click();
  await landed(page, "/account");
  assert.equal(new URL(page.url()).hash, "#sessions");
});

for (const then of ["//evil.example/x", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/login"]) {
  test(`after signing in, ${then} is not followed`, async (t) => {
    const tavern = await openHouse(t, { guests: [bob] });
    const { page } = await visit(tavern);
    await go(page, tavern, `/login?then=${encodeURIComponent(then)}`);
    await page.getByRole("button", { name: /Bob/ }).click();
    await landed(page, "/");
  });
}

test("the picker: names, locks, a wrong password, the right one, out again", async (t) => {
  const tavern = await openHouse(t, { guests: [ada, bob] });
  const { page } = await visit(tavern);
  await go(page, tavern, "/login");
  await shot(page, "login-picker-desktop-light");
  const card = page.getByRole("button", { name: /^Ada/ });
  await card.getByLabel("needs a password").waitFor();
  await page.getByRole("button", { name: /^Bob/ }).getByLabel("no password").waitFor();
  await card.click();
  const password = page.getByRole("textbox", { name: "Password" });
  await password.fill("by moonlight");
  await page.getByRole("button", { name: "Come in" }).click();
  await page.locator(".form-error .alert").waitFor();
  assert.equal(new URL(page.url()).pathname, "/login");
  await password.fill(ada.password);
  await page.keyboard.press("Enter");
  await landed(page, "/");
  await page.getByRole("heading", { name: /Ada/ }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await landed(page, "/login");
  await page.goto(`${tavern.url}/account`);
  await landed(page, "/login");
});

test("after signing out, going back shows nothing of before", async (t) => {
  const tavern = await openHouse(t, { guests: [bob] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "bob", "", "/account");
  await page.getByRole("button", { name: "Sign out" }).click();
  await landed(page, "/login");
  await page.goBack();
  await landed(page, "/login");
  assert.equal(await page.getByLabel("Display name").count(), 0);
});

test("a token that another window made stale is renewed unseen", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page, context } = await visit(tavern);
  await enter(page, tavern, "ada", ada.password, "/account");
  const other = await context.newPage();
  await other.goto(`${tavern.url}/`);
  await drawn(other);
  await other.getByRole("button", { name: "Sign out" }).click();
  await landed(other, "/login");
  await enter(other, tavern, "ada", ada.password);
  await page.getByLabel("Display name").fill("Ada the Second");
  await page.getByRole("button", { name: "Save name" }).click();
  await page.getByText("Your name is saved.").waitFor();
});

test("with the keyboard alone", async (t) => {
  const tavern = await openHouse(t, { guests: [ada, bob] });
  const { page } = await visit(tavern);
  await go(page, tavern, "/login");
  const name = () =>
    page.evaluate(() => document.activeElement?.querySelector(":scope.person > .name")?.textContent ?? "");
  for (let i = 0; i < 8 && (await name()) === ""; i += 1) await page.keyboard.press("Tab");
  assert.notEqual(await name(), "", "Tab reaches the people");
  await page.keyboard.press("Home");
  for (let i = 0; i < 3 && (await name()) !== "Ada"; i += 1) await page.keyboard.press("ArrowRight");
  assert.equal(await name(), "Ada", "the arrows walk the board");
  await page.keyboard.press("Enter");
  await page.keyboard.type(ada.password);
  await page.keyboard.press("Enter");
  await landed(page, "/");
});

test("in a full house one finds one's name by typing", async (t) => {
  const guests = Array.from({ length: 14 }, (_, i) => ({ handle: `guest-${i}`, name: `Guest ${i}` }));
  const tavern = await openHouse(t, { guests: [...guests, bob] });
  const { page } = await visit(tavern, { width: 375, dark: true });
  await go(page, tavern, "/login");
  await page.getByLabel("Find your name").fill("BOB");
  assert.equal(await page.locator(".people li:visible").count(), 1);
  await page.getByText("1 found").waitFor();
  await page.getByLabel("Find your name").fill("nobody");
  await page.getByText("Nobody here goes by that name.").waitFor();
  await page.getByLabel("Find your name").fill("");
  assert.equal(await page.locator(".people li:visible").count(), 16);
});

test("the discreet door shows nobody, and answers a wrong name as a wrong password", async (t) => {
  const open = await openHouse(t, { config: "enableUserAccounts: true\nenableDiscreetLogin: true\n", guests: [ada] });
  const { page } = await visit(open, { width: 375 });
  await go(page, open, "/login");
  await shot(page, "login-discreet-phone-light");
  assert.doesNotMatch(await page.locator("body").innerText(), /Ada/);
  /** @param {string} handle @param {string} password */
  const attempt = async (handle, password) => {
    await page.getByLabel("Handle").fill(handle);
    await page.getByRole("textbox", { name: "Password" }).fill(password);
    await page.getByRole("button", { name: "Come in" }).click();
    return page.locator(".form-error .alert").innerText();
  };
  const wrongPassword = await attempt("ada", "by moonlight");
  const wrongName = await attempt("nobody", "by moonlight");
  assert.equal(wrongName, wrongPassword);
  await page.getByLabel("Handle").fill("ada");
  await page.getByRole("textbox", { name: "Password" }).fill(ada.password);
  await page.keyboard.press("Enter");
  await landed(page, "/");
});

test("too many tries: the wait is said and counts down", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await go(page, tavern, "/login");
  await page.getByRole("button", { name: /^Ada/ }).click();
  const wait = page.locator(".countdown");
  for (let i = 0; i < 40 && (await wait.count()) === 0; i += 1) {
    await page.getByRole("textbox", { name: "Password" }).fill(`guess ${i}`);
    const answered = page.waitForResponse((answer) => answer.url().endsWith("/api/v1/session"));
    await page.keyboard.press("Enter");
    await answered;
    await page.locator(".form-error .alert").waitFor();
  }
  const first = await wait.innerText();
  assert.match(first, /You can try again in \d+ /);
  await shot(page, "login-wait-desktop-light");
  await page.waitForFunction((was) => document.querySelector(".countdown")?.textContent !== was, first);
});

test("one press signs in once, however often it is pressed", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await go(page, tavern, "/login");
  let asked = 0;
  await page.route("**/api/v1/session", async (route) => {
    asked += 1;
    await new Promise((next) => setTimeout(next, 400));
    await route.continue();
  });
  await page.getByRole("button", { name: /^Ada/ }).click();
  await page.getByRole("textbox", { name: "Password" }).fill(ada.password);
  const button = page.getByRole("button", { name: "Come in" });
  await button.evaluate((element) => {
    for (let i = 0; i < 4; i += 1) /** @type {HTMLButtonElement} */ (element).click();
  });
  await landed(page, "/");
  assert.equal(asked, 1);
});

test("the house does not answer: said kindly, with a way on", async (t) => {
  const tavern = await openHouse(t, { guests: [ada] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", ada.password, "/account");
  await page.route("**/api/v1/me/snapshots", (route) => route.abort());
  await page.getByRole("button", { name: "Make a snapshot now" }).click();
  await page.locator("#snapshots").getByRole("alert").filter({ hasText: "The house does not answer." }).waitFor();
  await page.unroute("**/api/v1/me/snapshots");
  await page.route("**/api/v1/house", (route) => route.abort());
  await page.reload();
  await page.getByRole("heading", { name: "The door is stuck" }).waitFor();
  await page.unroute("**/api/v1/house");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { name: "Account", exact: true }).waitFor();
  // The browser logs the requests that this test cut.
  assert.ok(tavern.faults.every((fault) => /net::ERR_FAILED/.test(fault)));
  tavern.faults.length = 0;
});

test("a session that ended elsewhere: a gentle word and a way back", async (t) => {
  const tavern = await openHouse(t, { guests: [bob] });
  const { page } = await visit(tavern);
  await enter(page, tavern, "bob", "", "/account");
  await page.context().clearCookies();
  await page.getByRole("button", { name: "Make a snapshot now" }).click();
  const alert = page
    .locator("#snapshots")
    .getByRole("alert")
    .filter({ hasText: /signed out/ });
  await alert.getByRole("link", { name: "Sign in" }).click();
  await landed(page, "/login");
  await page.getByRole("button", { name: /Bob/ }).click();
  await landed(page, "/account");
});
