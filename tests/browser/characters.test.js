// The page of characters and the editor: bringing cards in, finding them, changing them, two windows at once, drafts.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { card, file, intoPicture } from "./cards.js";
import {
  caller,
  checkAccess,
  checkWidth,
  closeBrowser,
  drawn,
  enter,
  go,
  openHouse,
  paint,
  shot,
  visit,
} from "./house.js";

/** @typedef {import("playwright-core").Page} Page */

after(closeBrowser);

const guests = [{ handle: "ada", name: "Ada", password: "by candlelight" }];

/** A house with these characters in it. @param {import("node:test").TestContext} t @param {Record<string, unknown>[]} cards */
async function withCards(t, cards) {
  const tavern = await openHouse(t, { guests });
  const program = caller(tavern.url);
  await program.signIn("ada", "by candlelight");
  const made = [];
  for (const one of cards) made.push(await program.call("POST", "/api/v1/characters/import", one));
  return { tavern, program, made };
}

/** Lets a page be left with unsaved changes, as a person who says yes. @param {Page} page */
function leaveWhenAsked(page) {
  page.removeAllListeners("dialog");
  page.on("dialog", (dialog) => void dialog.accept());
}

const lorebook = {
  name: "The inn",
  extensions: {},
  entries: [
    {
      id: 0,
      keys: ["cellar"],
      secondary_keys: [],
      comment: "The cellar",
      content: "Cold and full of barrels.",
      constant: false,
      selective: false,
      insertion_order: 100,
      enabled: true,
      position: "before_char",
      extensions: { mystery: 7 },
    },
    {
      id: 1,
      keys: ["king", "crown"],
      secondary_keys: [],
      comment: "",
      content: "The king has no crown.",
      constant: true,
      selective: false,
      insertion_order: 10,
      enabled: false,
      position: "after_char",
      extensions: {},
    },
  ],
};

for (const width of [360, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`the shelf and the editor, ${look}`, async (t) => {
      const { tavern, program, made } = await withCards(t, [
        card("Wenzel", { character_book: lorebook, alternate_greetings: ["Another one?"], tags: ["inn", "old"] }),
        card("Mira of the Long Corridor and Its Many Doors", { tags: ["inn", "ghost", "a tag that is rather long"] }),
        card("Kestrel"),
      ]);
      const { page } = await visit(tavern, { width, dark });
      /** @param {string} name @param {boolean} [whole] */
      const check = async (name, whole = false) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`, whole);
      };
      await page.goto(`${tavern.url}/no-such-room`);
      for (const [index, { id }] of made.entries()) {
        await program.call(
          "PUT",
          `/api/v1/characters/${encodeURIComponent(id)}/picture`,
          await paint(page, 40 + index * 110),
        );
      }
      await enter(page, tavern, "ada", "by candlelight", "/characters");
      await page.getByRole("link", { name: "Kestrel", exact: true }).waitFor();
      await page.waitForLoadState("networkidle");
      await check("characters");
      await page.getByRole("button", { name: "More" }).click();
      await check("ways");
      await go(page, tavern, `/characters?id=${encodeURIComponent(made[0].id)}`);
      await page.getByLabel("Description").waitFor();
      await page.getByText("The cellar").click();
      await page.getByLabel("What is told").fill("Cold, and full of barrels.");
      await page.getByText("1 change, not saved yet.").waitFor();
      await check("character", true);
      await page.getByRole("button", { name: "Delete" }).click();
      await check("character-delete");
    });
  }
}

test("an empty shelf says what to do, and several files come in at once", async (t) => {
  const { tavern } = await withCards(t, []);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  await page.getByRole("heading", { name: "Nobody has moved in yet" }).waitFor();
  await checkAccess(page, "an empty shelf");
  await shot(page, "characters-empty");
  const picture = await paint(page, 30);
  await page
    .locator("input[type=file]")
    .first()
    .setInputFiles([
      file("wenzel.png", intoPicture(picture, card("Wenzel"))),
      file("mira.json", card("Mira")),
      file("holiday.png", picture),
      file("broken.json", "{ this is no card"),
    ]);
  await page.getByText("2 characters came in, 2 files did not.").waitFor();
  await page.getByRole("link", { name: "Wenzel", exact: true }).first().waitFor();
  const failed = page
    .getByRole("region", { name: "Files on their way in" })
    .getByRole("listitem")
    .filter({ has: page.getByLabel("failed") });
  assert.equal(await failed.count(), 2);
  for (const words of await failed.allInnerTexts()) assert.ok(words.length > 30, `says why: ${words}`);
  await page.getByRole("button", { name: "Close" }).click();
  assert.equal(await page.locator(".card").count(), 2);
});

test("files that are dropped anywhere on the page come in", async (t) => {
  const { tavern } = await withCards(t, []);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  const data = await page.evaluateHandle(
    (text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], "kestrel.json", { type: "application/json" }));
      return transfer;
    },
    JSON.stringify(card("Kestrel")),
  );
  await page.dispatchEvent("body", "dragenter", { dataTransfer: data });
  await page.getByText("Let go, and the cards come in").waitFor();
  await page.dispatchEvent("body", "drop", { dataTransfer: data });
  await page.getByText("1 character came in.").waitFor();
  await page.getByRole("link", { name: "Kestrel", exact: true }).waitFor();
});

test("found as one types, by tag, by favourite; the address keeps what was asked", async (t) => {
  const { tavern } = await withCards(t, [
    card("Wenzel"),
    card("Mira", { tags: ["ghost"] }),
    card("Kestrel", { tags: ["ghost", "sky"] }),
  ]);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  const names = () => page.locator(".card-name").allInnerTexts();
  await page.getByRole("status").filter({ hasText: "3 characters" }).waitFor();
  await page.getByRole("searchbox").fill("wenz");
  await page.getByRole("status").filter({ hasText: "1 character" }).waitFor();
  assert.deepEqual(await names(), ["Wenzel"]);
  await page.getByRole("searchbox").fill("nobody at all");
  await page.getByRole("heading", { name: "Nobody by that name" }).waitFor();
  await page.getByRole("button", { name: "Show everyone" }).click();
  await page.getByRole("status").filter({ hasText: "3 characters" }).waitFor();
  await page.getByLabel("Tag").selectOption("ghost");
  await page.getByRole("status").filter({ hasText: "2 characters" }).waitFor();
  await page.getByLabel("Order").selectOption("name");
  await page.waitForFunction(() => document.querySelector(".card-name")?.textContent === "Kestrel");
  assert.deepEqual(await names(), ["Kestrel", "Mira"]);
  await page.reload();
  await drawn(page);
  assert.deepEqual(await names(), ["Kestrel", "Mira"]);
  const star = page.getByRole("button", { name: "Favourite: Mira" });
  await star.click();
  await page.locator('[aria-pressed="true"][aria-label="Favourite: Mira"]').waitFor();
  assert.equal(await star.evaluate((element) => element === document.activeElement), true, "the focus stays");
  await page.getByRole("button", { name: "Favourites", exact: true }).click();
  await page.getByRole("status").filter({ hasText: "1 character" }).waitFor();
  assert.deepEqual(await names(), ["Mira"]);
});

test("20,000 cards: only those near the window are in the page", async (t) => {
  const { tavern } = await withCards(t, []);
  const { page } = await visit(tavern, { width: 360 });
  let asked = 0;
  await page.route("**/api/v1/characters?*", async (route) => {
    asked += 1;
    const query = new URL(route.request().url()).searchParams;
    const offset = Number(query.get("offset"));
    const items = Array.from({ length: Math.min(60, 20_000 - offset) }, (_, index) => ({
      id: `c${offset + index}`,
      name: `Guest ${offset + index}`,
      avatar: "/img/default-user.png",
      tags: ["many"],
      favorite: false,
      creator: "",
      summary: "",
      added: 1,
      lastChat: null,
      chatSize: 0,
    }));
    await route.fulfill({ json: { total: 20_000, tags: [{ name: "many", count: 20_000 }], items } });
  });
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  await page.getByText("20,000 characters").waitFor();
  const inPage = () => page.locator(".card").count();
  assert.ok((await inPage()) < 60, `${await inPage()} are in the page`);
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.getByRole("link", { name: "Guest 19999", exact: true }).waitFor();
  assert.ok((await inPage()) < 60, `${await inPage()} are in the page at the end`);
  assert.equal(await page.locator(".card").last().getAttribute("aria-posinset"), "20000");
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight / 2));
  await page
    .getByRole("link", { name: /^Guest (99|100)\d\d$/ })
    .first()
    .waitFor();
  assert.ok(asked < 12, `flying over them asks for what is in view only: ${asked} questions`);
  await checkWidth(page, "20,000 cards");
});

test("every field is changed and kept, what the page does not know too", async (t) => {
  const { tavern, program, made } = await withCards(t, [
    card("Wenzel", { character_book: lorebook, extensions: { fav: false, other: { deep: [1, 2] } } }),
  ]);
  const { page } = await visit(tavern);
  const path = `/api/v1/characters/${encodeURIComponent(made[0].id)}`;
  await enter(page, tavern, "ada", "by candlelight", `/characters?id=${encodeURIComponent(made[0].id)}`);
  await page.getByLabel("Description").fill("Old, kind, deaf in one ear.");
  await page.getByLabel("Tags").fill("inn, deaf ,  kind");
  await page.getByRole("button", { name: "Another greeting" }).click();
  await page.getByRole("textbox", { name: "Greeting 2" }).fill("You again!");
  await page.getByText("Instructions").click();
  await page.getByLabel("System prompt").fill("Speak loudly.");
  await page.getByLabel("Note in the chat").fill("He does not hear well.");
  await page.getByText("The cellar").click();
  const cellar = page.locator(".entry").first();
  await cellar.getByLabel("Keys", { exact: true }).fill("cellar, /barrels?,? wine/i");
  await cellar.getByLabel("Where").selectOption("4");
  await cellar.getByLabel("Depth").fill("2");
  await page.keyboard.press("Control+s");
  await page.getByText("Saved.").waitFor();
  assert.equal(await page.locator(".save-bar").isVisible(), false);
  const now = await program.call("GET", path);
  assert.equal(now.description, "Old, kind, deaf in one ear.");
  assert.deepEqual(now.tags, ["inn", "deaf", "kind"]);
  assert.deepEqual(now.alternateGreetings, ["You again!"]);
  assert.equal(now.systemPrompt, "Speak loudly.");
  assert.equal(now.depthPrompt.prompt, "He does not hear well.");
  const [entry, other] = now.lorebook.entries;
  assert.deepEqual(entry.keys, ["cellar", "/barrels?,? wine/i"]);
  assert.deepEqual({ ...entry.extensions }, { mystery: 7, position: 4, depth: 2 });
  assert.deepEqual(other, lorebook.entries[1]);
});

test("what is not saved stays as a draft, and is warned about", async (t) => {
  const { tavern, made } = await withCards(t, [card("Wenzel")]);
  const { page } = await visit(tavern);
  leaveWhenAsked(page);
  const path = `/characters?id=${encodeURIComponent(made[0].id)}`;
  await enter(page, tavern, "ada", "by candlelight", path);
  await page.getByLabel("Description").fill("A draft of a description.");
  await page.getByText("1 change, not saved yet.").waitFor();
  const asked = page.waitForEvent("dialog");
  await page.goto(`${tavern.url}/characters`).catch(() => null);
  assert.equal((await asked).type(), "beforeunload");
  await go(page, tavern, path);
  await page.getByText(/Unsaved from .*kept in this browser\./).waitFor();
  assert.equal(await page.getByLabel("Description").inputValue(), "A draft of a description.");
  await page.getByRole("button", { name: "Discard" }).click();
  await page.waitForFunction(() => document.querySelector("textarea")?.value === "Wenzel keeps the door.");
  await page.reload();
  await drawn(page);
  assert.equal(await page.getByLabel("Description").inputValue(), "Wenzel keeps the door.");
});

test("a save that comes too late shows both sides, field by field", async (t) => {
  const { tavern, program, made } = await withCards(t, [card("Wenzel")]);
  const { page } = await visit(tavern);
  const path = `/api/v1/characters/${encodeURIComponent(made[0].id)}`;
  await enter(page, tavern, "ada", "by candlelight", `/characters?id=${encodeURIComponent(made[0].id)}`);
  await page.getByLabel("Description").fill("Mine.");
  await page.getByLabel("Personality").fill("Mine as well.");
  await page.getByLabel("Made by").fill("me");
  const { version } = await program.call("GET", path);
  await program.call("PATCH", path, {
    version,
    description: "Theirs.",
    personality: "Theirs as well.",
    scenario: "Only theirs.",
  });
  await page.getByRole("button", { name: "Save" }).click();
  const dialog = page.getByRole("dialog", { name: "Somebody was here before you" });
  await dialog.getByText("Theirs.", { exact: true }).waitFor();
  assert.equal(await dialog.getByRole("group").count(), 2, "only what both have changed is asked");
  await checkAccess(page, "both sides");
  await shot(page, "character-stale");
  await dialog.getByRole("group", { name: "Personality" }).getByText("Saved meanwhile").click();
  await dialog.getByRole("button", { name: "Save these" }).click();
  await page.getByText("Saved.", { exact: true }).waitFor();
  const now = await program.call("GET", path);
  assert.equal(now.description, "Mine.");
  assert.equal(now.personality, "Theirs as well.");
  assert.equal(now.scenario, "Only theirs.");
  assert.equal(now.creator, "me");
  assert.equal(await page.getByLabel("Scenario").inputValue(), "Only theirs.");
});

test("a picture is cropped and hung, the card is copied, renamed, exported and deleted", async (t) => {
  const { tavern, program, made } = await withCards(t, [card("Wenzel")]);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", `/characters?id=${encodeURIComponent(made[0].id)}`);
  const before = await page.locator(".one-side img").getAttribute("src");
  await page.locator('.one-side input[type="file"]').setInputFiles(file("face.png", await paint(page, 200)));
  await page
    .getByRole("dialog", { name: "Fit your picture" })
    .getByRole("button", { name: "Use this picture" })
    .click();
  await page.getByText("The picture is hung.").waitFor();
  assert.notEqual(await page.locator(".one-side img").getAttribute("src"), before);
  for (const format of ["PNG", "JSON", "CHARX"]) {
    const coming = page.waitForEvent("download");
    await page.getByRole("link", { name: `Download as ${format}` }).click();
    assert.match((await coming).suggestedFilename(), new RegExp(`\\.${format.toLowerCase()}$`));
  }
  await page.getByLabel("Description").fill("Saved after the picture.");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Saved.", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Duplicate" }).click();
  await page.getByText("This is the copy.").waitFor();
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("Wenzel the Younger");
  await page.getByRole("dialog").getByRole("button", { name: "Rename" }).click();
  await page.getByRole("heading", { level: 1, name: "Wenzel the Younger" }).waitFor();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("Wenzel the Younger is in the trash, for 30 days.").waitFor();
  const { items } = await program.call("GET", "/api/v1/characters");
  assert.deepEqual(
    items.map((/** @type {any} */ one) => one.name),
    ["Wenzel"],
  );
});

test("the plain assistant and a new character are one press away", async (t) => {
  const { tavern } = await withCards(t, []);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  await page.getByRole("button", { name: "New character" }).first().click();
  await page.getByRole("dialog").getByLabel("Name").fill("Ulla");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Ulla" }).waitFor();
  await go(page, tavern, "/characters");
  await page.getByRole("button", { name: "Assistant" }).click();
  await page.waitForURL(/\/chat\?character=Assistant/);
});

test("cards of the kind that bite stay text", async (t) => {
  const bites = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "<img src='https://outside.invalid/x.png'>",
    "</title><script>alert(1)</script>",
  ];
  const { tavern, made } = await withCards(
    t,
    bites.map((bite, index) =>
      card(`Bite ${index} ${bite.replaceAll("/", "")}`, {
        description: bite,
        creator: bite,
        tags: [bite],
        creator_notes: `${bite} **bold** [x](javascript:alert(1))`,
        alternate_greetings: [bite],
        character_book: {
          entries: [{ ...lorebook.entries[0], comment: bite, keys: [bite], content: bite }],
          extensions: {},
        },
      }),
    ),
  );
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/characters");
  await page
    .locator(".card")
    .nth(bites.length - 1)
    .waitFor();
  const elements = () =>
    page.evaluate(
      () =>
        document.querySelectorAll(
          "main script, main svg[onload], main [onerror], main img[src^='http'], main a[href^='javascript']",
        ).length,
    );
  assert.equal(await elements(), 0);
  for (const { id } of made) {
    await go(page, tavern, `/characters?id=${encodeURIComponent(id)}`);
    await page.getByLabel("Description").waitFor();
    assert.equal(await elements(), 0, id);
  }
});

test("a link to one character leads there through the login screen", async (t) => {
  const { tavern, made } = await withCards(t, [card("Wenzel & Sons")]);
  const { page } = await visit(tavern);
  await page.goto(`${tavern.url}/characters?id=${encodeURIComponent(made[0].id)}`);
  await page.getByRole("button", { name: /^Ada/ }).click();
  await page.getByLabel("Password", { exact: true }).fill("by candlelight");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Wenzel & Sons" }).waitFor();
});
