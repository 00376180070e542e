// The page of models: adding, testing and changing connections, keys that are never shown, the house's ones, the first run.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { caller, checkAccess, checkWidth, closeBrowser, enter, go, openHouse, shot, visit } from "./house.js";
import { modelServer } from "./model.js";

/** @typedef {import("playwright-core").Page} Page */

after(closeBrowser);

const guests = [
  { handle: "ada", name: "Ada", password: "by candlelight", role: "admin" },
  { handle: "bob", name: "Bob", password: "by moonlight" },
];

/** Tells the page that these model servers, or none, are on this machine. @param {Page} page @param {object[]} found */
const onThisMachine = (page, found) =>
  page.route("**/api/v1/connections/discover", (route) => route.fulfill({ json: { found } }));

const today = new Date().toISOString().slice(0, 10);
const used = {
  days: [
    { date: "2026-11-01", connection: "echo", model: "echo", requests: 4, prompt: 900, completion: 120 },
    { date: today, connection: "echo", model: "echo", requests: 2, prompt: 2900, completion: 420 },
  ],
  total: { requests: 6, prompt: 3800, completion: 540 },
};

for (const width of [360, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`the page of connections, ${look}`, async (t) => {
      const tavern = await openHouse(t, { guests });
      const program = caller(tavern.url);
      await program.signIn("ada", "by candlelight");
      for (const [scope, name] of [
        ["own", "My own server with a rather long name"],
        ["house", "The house's Ollama"],
      ])
        await program.call("POST", "/api/v1/connections", {
          scope,
          name,
          kind: "openai",
          baseUrl: "http://127.0.0.1:9/v1",
          model: "some/model-with-a-long-name-7b",
          key: "canary-key",
        });
      const { page } = await visit(tavern, { width, dark });
      await page.route("**/api/v1/me/usage?*", (route) => route.fulfill({ json: used }));
      /** @param {string} name @param {boolean} [whole] */
      const check = async (name, whole = false) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`, whole);
      };
      await enter(page, tavern, "ada", "by candlelight", "/connections");
      await page.getByText("In all 6 requests").waitFor();
      await check("models", true);
      await page.getByRole("button", { name: "Add a model server" }).click();
      await page.getByRole("dialog").getByText("More", { exact: true }).click();
      await check("models-add");
      await page.keyboard.press("Escape");
      assert.ok(!(await page.content()).includes("canary-key"));
    });
  }
}

test("the first run offers what is found in one click", async (t) => {
  const tavern = await openHouse(t, { guests });
  const server = await modelServer(t);
  const { page } = await visit(tavern, { width: 360 });
  await onThisMachine(page, [
    { kind: "openai", name: "LM Studio", baseUrl: server.url, models: [{ id: "tiny-1" }, { id: "tiny-2" }] },
  ]);
  await enter(page, tavern, "bob", "by moonlight", "/connections");
  await page.getByRole("heading", { name: "There is a model server on this machine" }).waitFor();
  await checkAccess(page, "something found");
  await checkWidth(page, "something found");
  await shot(page, "models-found");
  await page.getByLabel("Model of LM Studio").selectOption("tiny-2");
  await page.getByRole("button", { name: "Use this: LM Studio" }).click();
  await page.getByText("LM Studio is connected").waitFor();
  const row = page.getByRole("listitem").filter({ hasText: "LM Studio" });
  await row.getByText("default", { exact: true }).waitFor();
  assert.match(await row.innerText(), /tiny-2/);
});

test("with no model server there is Echo, and it says what it is", async (t) => {
  const tavern = await openHouse(t, { guests });
  const { page } = await visit(tavern, { width: 360 });
  await onThisMachine(page, []);
  await enter(page, tavern, "bob", "by moonlight", "/connections");
  await page.getByRole("heading", { name: "No model yet" }).waitFor();
  await page.getByText("it is no model and only repeats what you say").waitFor();
  const echo = page.getByRole("listitem").filter({ hasText: "not a model" });
  await echo.getByRole("button", { name: "Test Echo" }).click();
  await echo.locator(".state.good").waitFor();
  await checkAccess(page, "nothing found");
  await shot(page, "models-none", true);
});

test("a server is added with a key, tested, and the key is never shown again", async (t) => {
  const tavern = await openHouse(t, {
    guests,
    config: 'enableUserAccounts: true\nmodels:\n  allowPrivateHosts: ["127.0.0.1"]\n',
  });
  const server = await modelServer(t, { key: "canary-of-bob", words: "Good evening, traveller." });
  const { page } = await visit(tavern);
  await onThisMachine(page, []);
  await enter(page, tavern, "bob", "by moonlight", "/connections");
  await page.getByRole("button", { name: "Add a model server" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Provider or program").selectOption("OpenRouter");
  assert.equal(await dialog.getByLabel("Name").inputValue(), "OpenRouter");
  await dialog.getByLabel("Name").fill("Tiny");
  await dialog.getByLabel("Address").fill(server.url);
  await dialog.getByLabel("Key", { exact: true }).fill("a wrong one");
  await dialog.getByLabel("Model", { exact: true }).fill("tiny-1");
  await dialog.getByRole("button", { name: "Test" }).click();
  await dialog.locator(".outcome .alert").waitFor();
  await dialog.getByLabel("Key", { exact: true }).fill("canary-of-bob");
  await dialog.getByRole("button", { name: "Test" }).click();
  await dialog.getByText("Good evening, traveller.").waitFor();
  await shot(page, "models-tested");
  await dialog.getByText("More", { exact: true }).click();
  await dialog.getByLabel("Temperature").fill("0.7");
  await dialog.getByLabel("Further fields").fill("{ not json");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await dialog.getByText("This has to be JSON").waitFor();
  await dialog.getByLabel("Further fields").fill('{"top_a": 0.2}');
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("Tiny is connected.").waitFor();
  const row = page.getByRole("listitem").filter({ hasText: "Tiny" });
  await row.getByText("has a key").waitFor();
  await row.getByRole("button", { name: "Test Tiny" }).click();
  await row.getByText("Good evening, traveller.").waitFor();
  assert.ok(
    server.asked.some((one) => one.body?.temperature === 0.7 && one.body?.top_a === 0.2),
    "it is asked as was said",
  );
  assert.ok(!(await page.content()).includes("canary-of-bob"));

  await row.getByRole("button", { name: "Edit Tiny" }).click();
  assert.equal(await dialog.getByLabel("Key", { exact: true }).inputValue(), "");
  await dialog.getByRole("button", { name: "Ask the server for its models" }).click();
  await dialog.getByText("2 to choose from").waitFor();
  await dialog.getByLabel("Model", { exact: true }).fill("tiny-2");
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("Tiny is saved.").waitFor();
  await row.getByText("tiny-2").waitFor();
  await row.getByText("has a key").waitFor();
  await row.getByRole("button", { name: "Edit Tiny" }).click();
  await dialog.getByRole("button", { name: "Remove the key" }).click();
  await dialog.getByRole("button", { name: "Save" }).click();
  await page.getByText("Tiny is saved.").waitFor();
  await row.getByText("has a key").waitFor({ state: "detached" });
  await row.getByText("default", { exact: true }).waitFor();
  await row.getByRole("button", { name: "Delete Tiny" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("Tiny is deleted.").waitFor();
  await row.waitFor({ state: "detached" });
});

test("the house's connections: kept by whoever may, used by everybody, their places shown to the keeper only", async (t) => {
  const tavern = await openHouse(t, { guests });
  const server = await modelServer(t, { key: "canary-of-the-house" });
  const { page } = await visit(tavern);
  await onThisMachine(page, []);
  await enter(page, tavern, "ada", "by candlelight", "/connections");
  await page.getByRole("button", { name: "Add one for the house" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("For everybody");
  await dialog.getByLabel("Address").fill(server.url);
  await dialog.getByLabel("Key", { exact: true }).fill("canary-of-the-house");
  await dialog.getByLabel("Model", { exact: true }).fill("tiny-1");
  await dialog.getByRole("button", { name: "Add", exact: true }).click();
  await page.getByText("For everybody is connected.").waitFor();
  const bob = await visit(tavern);
  await enter(bob.page, tavern, "bob", "by moonlight", "/connections");
  const row = bob.page.getByRole("listitem").filter({ hasText: "For everybody" });
  await row.getByRole("button", { name: "Test For everybody" }).click();
  await row.getByText("Good evening.").waitFor();
  assert.equal(await bob.page.getByRole("button", { name: "Edit For everybody" }).count(), 0);
  assert.equal(await bob.page.getByRole("button", { name: "Add one for the house" }).count(), 0);
  const text = await bob.page.content();
  assert.ok(!text.includes(server.url) && !text.includes("canary-of-the-house"));
});

test("API keys are made, shown once, and revoked", async (t) => {
  const tavern = await openHouse(t, { guests });
  const { page, context } = await visit(tavern, { width: 360 });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await enter(page, tavern, "bob", "by moonlight", "/account");
  const section = page.locator("#keys");
  await section.getByText("None yet.").waitFor();
  await section.getByRole("button", { name: "Make a key" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("My laptop");
  await page.getByRole("dialog").getByRole("button", { name: "Make it" }).click();
  const once = page.getByRole("dialog", { name: "The key “My laptop”" });
  const key = await once.getByLabel("The key").inputValue();
  assert.match(key, /^tk-/);
  await checkAccess(page, "a key");
  await checkWidth(page, "a key");
  await shot(page, "key-once");
  await once.getByRole("button", { name: "Copy" }).click();
  await page.getByText("Copied.").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await once.getByRole("button", { name: "Done" }).click();
  await section.getByText("My laptop").waitFor();
  assert.ok(!(await page.content()).includes(key));
  await section.getByText("How a program uses it").click();
  await section.getByText(`${tavern.url}/v1`).first().waitFor();
  await section.getByRole("button", { name: "Revoke My laptop" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await section.getByText("None yet.").waitFor();
  await go(page, tavern, "/account#keys");
});
