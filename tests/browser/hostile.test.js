// Names that are meant to become markup stay text, on every page that shows them. `visit` fails the test when a script
// opens a dialog, when anything outside is loaded, or when the content security policy had to stop something.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { caller, closeBrowser, enter, go, openHouse, visit } from "./house.js";

after(closeBrowser);

const names = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  '"><svg onload=alert(1)>',
  "<iframe srcdoc='<script>alert(1)</script>'>",
  "javascript:alert(1)",
  "<a href='javascript:alert(1)'>x</a>",
  "<style>*{display:none}</style>",
  "<img src='https://outside.invalid/x.png'>",
  "{{constructor.constructor('alert(1)')()}}",
  "' onmouseover='alert(1)",
  "</title><script>alert(1)</script>",
  "<math><mtext><img src=x onerror=alert(1)></math>",
];

test("display names of the kind that bite", async (t) => {
  const tavern = await openHouse(t, {
    guests: [
      { handle: "ada", name: "Ada", password: "by candlelight", role: "admin" },
      ...names.map((name, i) => ({ handle: `guest-${i}`, name })),
    ],
  });
  const { page } = await visit(tavern);
  /** Each name is on the page letter for letter, and none has become an element. @param {string} where */
  const harmless = async (where) => {
    const text = (await page.locator("main").textContent()) ?? "";
    for (const name of names) assert.ok(text.includes(name), `${name} is shown as it is on ${where}`);
    const made = await page.evaluate(
      () =>
        document.querySelectorAll(
          "main script, main iframe, main style, main svg[onload], main img[onerror], main math, main a[href^='javascript']",
        ).length,
    );
    assert.equal(made, 0, where);
  };
  await go(page, tavern, "/login");
  await page.getByRole("button", { name: /guest-11/ }).waitFor();
  await harmless("the login page");
  await enter(page, tavern, "ada", "by candlelight", "/users");
  await page.getByRole("row").filter({ hasText: "guest-11" }).waitFor();
  await harmless("the users page");
  for (const name of names.slice(0, 3)) {
    await page.getByRole("button", { name: `Manage ${name}`, exact: true }).click();
    await page.getByRole("dialog").getByRole("heading", { level: 2, name, exact: true }).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: "Delete the account…" }).click();
    await page
      .getByRole("dialog")
      .getByRole("heading", { level: 2, name: `Delete ${name}?`, exact: true })
      .waitFor();
    await page.keyboard.press("Escape");
  }
  await enter(page, tavern, "guest-1", "", "/");
  assert.ok((await page.getByRole("heading", { level: 1 }).innerText()).includes(names[1]));
});

test("keys and values of settings that bite", async (t) => {
  const tavern = await openHouse(t, { guests: [{ handle: "ada", name: "Ada" }] });
  const program = caller(tavern.url);
  await program.signIn("ada", "");
  await program.saveSettings(Object.fromEntries(names.map((name) => [name, name])));
  await program.call("POST", "/api/v1/me/snapshots");
  await program.saveSettings({});
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "", "/account");
  const old = page
    .locator("#snapshots li")
    .filter({ has: page.getByRole("button", { name: /^Compare/ }) })
    .first();
  await old.getByRole("button", { name: /^Look/ }).click();
  await page.getByRole("dialog").getByText("javascript:alert(1)").first().waitFor();
  await page.keyboard.press("Escape");
  await old.getByRole("button", { name: /^Compare/ }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText(`${names.length} removed since`).waitFor();
  const text = (await dialog.textContent()) ?? "";
  for (const name of names) assert.ok(text.includes(name));
});

test("names that would turn the words beside them", async (t) => {
  const tavern = await openHouse(t, { guests: [{ handle: "ada", name: "Ada\u202e\u200b" }] });
  const program = caller(tavern.url);
  await program.signIn("ada", "");
  const body = { name: "\u202egnp.pmal\u2066", kind: "openai", baseUrl: "http://127.0.0.1:9/v1", model: "\u202eledom" };
  await program.call("POST", "/api/v1/connections", body);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "", "/connections");
  await page.getByText("gnp.pmal", { exact: true }).first().waitFor();
  await page.getByRole("button", { name: "Delete gnp.pmal", exact: true }).click();
  await page.getByRole("dialog").getByRole("heading", { name: "Delete gnp.pmal?", exact: true }).waitFor();
  const html = await page.evaluate(() => document.body.innerHTML);
  assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(html), "no mark is on the page, in words or attributes");
});
