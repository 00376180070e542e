// Two windows of one person: what is changed in one shows in the other, under whoever is at work there.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { caller, closeBrowser, drawn, enter, go, openHouse, visit } from "./house.js";

after(closeBrowser);

const guests = [{ handle: "ada", name: "Ada", password: "by candlelight" }];
/** What a change may take until it shows, in milliseconds: a second, and what a busy machine needs. */
const SOON = { timeout: 4_000 };

/** A house, a window, and a program that acts for the same person. @param {import("node:test").TestContext} t */
async function house(t) {
  const tavern = await openHouse(t, { guests });
  const program = caller(tavern.url);
  await program.signIn("ada", "by candlelight");
  const { page, context } = await visit(tavern);
  return { tavern, program, page, context };
}

/** @param {number} n */
const many = (n) => Array.from({ length: n }, (_, i) => `Guest ${String(i).padStart(3, "0")}`);

test("the shelf of cards follows: nobody is moved, and what has the focus keeps it", async (t) => {
  const { tavern, program, page, context } = await house(t);
  for (const name of many(60)) await program.call("POST", "/api/v1/characters", { name });
  await enter(page, tavern, "ada", "by candlelight", "/characters?sort=name");
  const link = (/** @type {string} */ name) => page.getByRole("link", { name, exact: true });
  await link("Guest 000").waitFor();
  await page.evaluate(() => scrollTo(0, 400));
  await page.waitForFunction(() => scrollY === 400);
  const star = page.getByRole("button", { name: "Favourite: Guest 020" });
  await star.focus();
  await page.waitForFunction(() => scrollY >= 400);
  const before = await page.evaluate(() => scrollY);

  const other = await context.newPage();
  await go(other, tavern, "/characters?sort=name");
  await other.getByRole("button", { name: "Favourite: Guest 019" }).click();
  await page.locator('[aria-label="Favourite: Guest 019"][aria-pressed=true]').waitFor(SOON);
  assert.equal(await page.evaluate(() => scrollY), before);
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Favourite: Guest 020");

  await program.call("POST", "/api/v1/characters", { name: "Guest 018b" });
  await link("Guest 018b").waitFor(SOON);
  await page.getByText("61 characters").waitFor(SOON);
  assert.equal(await page.evaluate(() => scrollY), before);
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Favourite: Guest 020");
  await program.call("DELETE", "/api/v1/characters/Guest%20018b");
  await link("Guest 018b").waitFor({ state: "detached", ...SOON });
});

test("an editor follows under whoever types: unsaved words, caret and folds stay", async (t) => {
  const { tavern, program, page } = await house(t);
  await program.call("POST", "/api/v1/characters", {
    name: "Wenzel",
    description: "A cook.",
    scenario: "A kitchen.",
  });
  await enter(page, tavern, "ada", "by candlelight", "/characters?id=Wenzel");
  const instructions = page.getByText("Instructions", { exact: true });
  await instructions.click();
  await page.getByLabel("After the chat").waitFor();
  const description = page.getByLabel("Description");
  await description.fill("A cook with a past.");
  await description.evaluate((field) => /** @type {HTMLTextAreaElement} */ (field).setSelectionRange(2, 6));

  // On another device: windows of one browser share their drafts.
  const { page: other } = await visit(tavern);
  await enter(other, tavern, "ada", "by candlelight", "/characters?id=Wenzel");
  await other.getByLabel("Scenario").fill("A kitchen at night.");
  await other.getByLabel("Tags").fill("cook, night");
  await other.getByRole("button", { name: "Save", exact: true }).click();
  await other.getByText("Saved.").waitFor();

  await page.waitForFunction(
    () =>
      [...document.querySelectorAll("textarea")].some((field) => field.value === "A kitchen at night."),
    null,
    SOON,
  );
  assert.equal(await description.inputValue(), "A cook with a past.");
  assert.equal(await page.getByLabel("Tags").inputValue(), "cook, night");
  assert.deepEqual(
    await page.evaluate(() => {
      const field = /** @type {HTMLTextAreaElement} */ (document.activeElement);
      return [field.labels?.[0]?.textContent, field.selectionStart, field.selectionEnd];
    }),
    ["Description", 2, 6],
  );
  assert.ok(await page.getByLabel("After the chat").isVisible(), "what was unfolded is");
  // Only this side changed the description, so nothing has to be chosen.
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved.").waitFor();
  const now = await program.call("GET", "/api/v1/characters/Wenzel");
  assert.deepEqual([now.description, now.scenario], ["A cook with a past.", "A kitchen at night."]);
  await other.waitForFunction(
    () => [...document.querySelectorAll("textarea")].some((field) => field.value === "A cook with a past."),
    null,
    SOON,
  );

  // Where both change the same, the words here stay, and saving asks.
  await description.fill("A cook, mine.");
  await other.getByLabel("Description").fill("A cook, theirs.");
  await other.getByRole("button", { name: "Save", exact: true }).click();
  await other.getByText("Saved.").waitFor();
  await page.waitForTimeout(700);
  assert.equal(await description.inputValue(), "A cook, mine.");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  const asks = page.getByRole("dialog", { name: "Somebody was here before you" });
  await asks.getByText("A cook, theirs.").waitFor();
  await asks.getByRole("button", { name: "Save these" }).click();
  await page.getByRole("button", { name: "Save", exact: true }).waitFor({ state: "hidden" });
  assert.equal((await program.call("GET", "/api/v1/characters/Wenzel")).description, "A cook, mine.");
});

test("personas, lorebooks and the trash follow", async (t) => {
  const { tavern, program, page } = await house(t);
  await enter(page, tavern, "ada", "by candlelight", "/personas");
  const persona = await program.call("POST", "/api/v1/personas", { name: "Bruno", description: "" });
  const edit = page.getByRole("button", { name: "Edit Bruno" });
  await edit.waitFor(SOON);
  await edit.focus();
  await program.call("PATCH", `/api/v1/personas/${persona.id}`, { version: persona.version, description: "A miller." });
  await page.getByText("A miller.").waitFor(SOON);
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Edit Bruno");

  await go(page, tavern, "/lorebooks");
  const entry = (/** @type {number} */ uid, /** @type {string} */ content) => ({ uid, key: ["ys"], comment: `Entry ${uid}`, content });
  const { version } = await program.call("PUT", "/api/v1/lorebooks/Ys", { entries: { 0: entry(0, "Under the sea.") } });
  await page.getByRole("link", { name: "Ys", exact: true }).waitFor(SOON);
  await page.getByText("1 entry").waitFor(SOON);

  await page.getByRole("link", { name: "Ys", exact: true }).click();
  await drawn(page);
  await page.getByText("Entry 0").click();
  const content = page.getByLabel("What is told").first();
  await content.fill("Under the sea, they say.");
  const { ok } = await page.request.fetch(`${tavern.url}/api/v1/lorebooks/Ys`, {
    method: "PUT",
    headers: {
      Origin: tavern.url,
      "If-Match": version,
      "X-CSRF-Token": (await (await page.request.get(`${tavern.url}/api/v1/house`)).json()).csrfToken,
    },
    data: { entries: { 0: entry(0, "Under the sea."), 1: entry(1, "A king.") } },
  }).then((answer) => ({ ok: answer.ok() }));
  assert.ok(ok);
  await page.getByText("Entry 1").waitFor(SOON);
  assert.equal(await content.inputValue(), "Under the sea, they say.");
  assert.ok(await content.evaluate((field) => field === document.activeElement));
  await page.getByRole("button", { name: "Discard" }).click();

  await go(page, tavern, "/trash");
  await program.call("DELETE", "/api/v1/lorebooks/Ys");
  await page.getByText("Ys", { exact: true }).waitFor(SOON);
  await program.call("DELETE", "/api/v1/trash");
  await page.getByRole("heading", { name: "Nothing here" }).waitFor(SOON);
});

test("the home and the search follow what is said", async (t) => {
  const { tavern, program, page, context } = await house(t);
  await program.call("POST", "/api/v1/characters", { name: "Wenzel", firstMessage: "Welcome to the lighthouse." });
  await enter(page, tavern, "ada", "by candlelight", "/");
  const search = await context.newPage();
  await go(search, tavern, "/search?q=lighthouse");
  await search.getByRole("heading", { name: "Nobody said that" }).waitFor();
  await program.call("POST", "/api/v1/characters/Wenzel/chats", {});
  await page.getByRole("link", { name: /Wenzel.*lighthouse/ }).waitFor(SOON);
  await search.getByRole("link", { name: /lighthouse/ }).waitFor(SOON);
  assert.equal(await search.evaluate(() => document.activeElement?.getAttribute("type")), "search");
});

test("a window that nobody looks at hangs up, and catches up when it is seen again", async (t) => {
  const { tavern, program, page } = await house(t);
  await page.clock.install();
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  await page.getByRole("heading", { name: "Nobody has moved in yet" }).waitFor();
  const show = (/** @type {string} */ state) =>
    page.evaluate((now) => {
      Object.defineProperty(document, "visibilityState", { value: now, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state);
  const hungUp = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/me/changes"));
  await show("hidden");
  await page.clock.fastForward(11_000);
  await hungUp;
  await program.call("POST", "/api/v1/characters", { name: "Wenzel" });
  await show("visible");
  await page.clock.runFor(1_000);
  await page.getByRole("link", { name: "Wenzel", exact: true }).waitFor(SOON);
});

test("drafts are their writer's: nobody else is shown them, and signing out forgets them", async (t) => {
  const tavern = await openHouse(t, { guests: [...guests, { handle: "ada-b", name: "Bea", password: "by daylight" }] });
  const chats = [];
  for (const [handle, password] of [
    ["ada", "by candlelight"],
    ["ada-b", "by daylight"],
  ]) {
    const program = caller(tavern.url);
    await program.signIn(handle, password);
    await program.call("POST", "/api/v1/characters", { name: "Wenzel", description: "A cook." });
    chats.push((await program.call("POST", "/api/v1/characters/Wenzel/chats", {})).chat);
  }
  const { page } = await visit(tavern);
  const kept = () => page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("tavernkeep-draft")));
  const box = page.getByRole("textbox", { name: /^Message/ });
  const [chat] = chats;
  const path = `/chat?character=Wenzel&chat=${encodeURIComponent(chat)}`;

  // Another's draft stays theirs, though the chat is called alike and nobody signed out.
  await enter(page, tavern, "ada-b", "by daylight", `/chat?character=Wenzel&chat=${encodeURIComponent(chats[1])}`);
  await box.fill("Bea's own words");
  await page.context().clearCookies();
  await enter(page, tavern, "ada", "by candlelight", path);
  assert.equal(await box.inputValue(), "");
  await box.fill("a secret between us");
  await go(page, tavern, "/characters?id=Wenzel");
  await page.getByLabel("Description").fill("A cook with a secret.");
  await page.getByText("1 change, not saved yet.").waitFor();
  await page.waitForFunction(() => Object.keys(localStorage).some((name) => name.startsWith("tavernkeep-draft:ada:character")));
  assert.equal((await kept()).length, 3);

  await page.getByRole("button", { name: "Sign out" }).click();
  const asks = page.getByRole("dialog", { name: "Sign out?" });
  await asks.getByText("2 drafts").waitFor();
  await asks.getByRole("button", { name: "Cancel" }).click();
  assert.equal((await kept()).length, 3);
  await page.getByRole("button", { name: "Sign out" }).click();
  await asks.getByRole("button", { name: "Forget it and sign out" }).click();
  await page.waitForURL("**/login?noauto=true");
  assert.deepEqual(await kept(), [`tavernkeep-draft:ada-b:Wenzel/${chats[1]}`]);

  await enter(page, tavern, "ada", "by candlelight", path);
  assert.equal(await box.inputValue(), "");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("**/login?noauto=true");
  await enter(page, tavern, "ada-b", "by daylight", `/chat?character=Wenzel&chat=${encodeURIComponent(chats[1])}`);
  assert.equal(await box.inputValue(), "Bea's own words");
});
