// Personas, lorebooks, the search and the trash.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { card, file } from "./cards.js";
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

after(closeBrowser);

const guests = [{ handle: "ada", name: "Ada", password: "by candlelight" }];

/** @param {import("node:test").TestContext} t */
async function house(t) {
  const tavern = await openHouse(t, { guests });
  const program = caller(tavern.url);
  await program.signIn("ada", "by candlelight");
  return { tavern, program };
}

const world = {
  entries: {
    0: {
      uid: 0,
      key: ["ys", "city"],
      keysecondary: [],
      comment: "The city",
      content: "It lies under the sea.",
      constant: false,
      selective: true,
      selectiveLogic: 0,
      order: 100,
      position: 0,
      disable: false,
      displayIndex: 4,
    },
    1: {
      uid: 1,
      key: ["king"],
      keysecondary: [],
      comment: "",
      content: "Gradlon.",
      constant: true,
      selective: true,
      selectiveLogic: 0,
      order: 50,
      position: 4,
      depth: 2,
      role: 0,
      disable: false,
    },
  },
  originalData: { made: "elsewhere" },
};

const found = (/** @type {string} */ q) => ({
  total: 2,
  hits: [
    {
      character: "Wenzel",
      characterName: "Wenzel",
      chat: "Wenzel - 2026-11-02@10h",
      index: 12,
      name: "Wenzel",
      isUser: false,
      sentAt: 1_790_000_000_000,
      snippet: `… the <mark>${q}</mark> on the roof &lt;b&gt; …`,
    },
    {
      character: "Wenzel",
      characterName: "Wenzel",
      chat: "Another",
      index: 3,
      name: "Ada",
      isUser: true,
      sentAt: "2026-11-02T10:00:00Z",
      snippet: `I like the <mark>${q}</mark>.`,
    },
  ],
});

const thrown = [
  {
    id: "t1",
    kind: "chat",
    name: "Wenzel - 2026-11-02@10h",
    of: "Wenzel",
    size: 12_345,
    deleted: Date.now() - 3_600_000,
    expires: Date.now() + 29 * 86_400_000,
  },
  {
    id: "t2",
    kind: "version",
    name: "Another",
    of: "Wenzel",
    size: 22_345,
    deleted: Date.now() - 90_000,
    expires: Date.now() + 86_400_000,
  },
  {
    id: "t3",
    kind: "character",
    name: "Mira of the Long Corridor and Its Many Doors",
    of: null,
    size: 812_345,
    deleted: Date.now(),
    expires: null,
  },
];

for (const width of [360, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`personas, lorebooks, search and trash, ${look}`, async (t) => {
      const { tavern, program } = await house(t);
      const { page } = await visit(tavern, { width, dark });
      await page.goto(`${tavern.url}/no-such-room`);
      /** @param {string} name @param {boolean} [whole] */
      const check = async (name, whole = false) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`, whole);
      };
      await enter(page, tavern, "ada", "by candlelight", "/personas");
      await page.getByRole("heading", { name: "You go by your own name" }).waitFor();
      await check("personas-empty");
      const persona = await program.call("POST", "/api/v1/personas", {
        name: "Captain Kay",
        description: "Was at sea for too long.\nKnows every knot.",
      });
      await program.call("PUT", `/api/v1/personas/${encodeURIComponent(persona.id)}/picture`, await paint(page, 20));
      await page.reload();
      await page.getByRole("listitem").filter({ hasText: "Captain Kay" }).waitFor();
      await check("personas");
      await page.getByRole("button", { name: "Edit Captain Kay" }).click();
      await check("persona");
      await go(page, tavern, "/lorebooks");
      await page.getByRole("heading", { name: "No lorebooks yet" }).waitFor();
      await check("lorebooks-empty");
      await program.call("PUT", "/api/v1/lorebooks/Ys", world);
      await page.reload();
      await page.getByRole("link", { name: "Ys", exact: true }).click();
      await page.getByText("The city").click();
      await page.getByRole("group").filter({ hasText: "The city" }).getByText("More", { exact: true }).click();
      await check("lorebook", true);

      await go(page, tavern, "/search");
      await page.getByRole("heading", { name: "Find what was said" }).waitFor();
      await check("search-empty");
      await page.route("**/api/v1/search?*", (route) => {
        const q = new URL(route.request().url()).searchParams.get("q") ?? "";
        return route.fulfill({ json: q === "rain" ? found(q) : { total: 0, hits: [] } });
      });
      await page.getByRole("searchbox").fill("rain");
      await page.locator("mark").first().waitFor();
      await check("search");
      await page.getByRole("searchbox").fill("sunshine");
      await page.getByRole("heading", { name: "Nobody said that" }).waitFor();
      await check("search-nothing");

      // The persona as it was before it got its picture.
      await program.call("DELETE", "/api/v1/trash");
      await go(page, tavern, "/trash");
      await page.getByRole("heading", { name: "Nothing here" }).waitFor();
      await check("trash-empty");
      await page.route("**/api/v1/trash", (route) => route.fulfill({ json: thrown }));
      await page.reload();
      await page.getByText("3 things").waitFor();
      await check("trash");
      await page.getByRole("button", { name: "Empty the trash" }).click();
      await check("trash-ask");
    });
  }
}

test("a persona is made, changed, made the default, deleted and brought back", async (t) => {
  const { tavern, program } = await house(t);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/personas");
  await page.getByRole("button", { name: "New persona" }).first().click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Captain Kay");
  await dialog.getByLabel("Description").fill("Was at sea.");
  await dialog.getByRole("button", { name: "Make it" }).click();
  const row = page.getByRole("listitem").filter({ hasText: "Captain Kay" });
  await row.waitFor();
  await row.getByRole("button", { name: "Edit Captain Kay" }).click();
  await dialog.getByLabel("Description").fill("Was at sea for too long.");
  await dialog.locator('input[type="file"]').setInputFiles(file("face.png", await paint(page, 200)));
  await page
    .getByRole("dialog", { name: "Fit your picture" })
    .getByRole("button", { name: "Use this picture" })
    .click();
  await page.getByText("The picture is hung.").waitFor();
  await dialog.getByRole("button", { name: "Save" }).click();
  await row.getByText("Was at sea for too long.").waitFor();
  await row.getByRole("button", { name: "Make default: Captain Kay" }).click();
  await row.getByText("default", { exact: true }).waitFor();
  assert.equal(
    (await program.call("GET", "/api/v1/personas")).items.find((/** @type {any} */ one) => one.default).name,
    "Captain Kay",
  );
  await row.getByRole("button", { name: "Delete Captain Kay" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText("Captain Kay is in the trash, for 30 days.").waitFor();
  await page.getByRole("link", { name: "Look" }).click();
  await page.getByRole("button", { name: "Bring back: Captain Kay" }).click();
  await page.getByText(/The persona .* is back\./).waitFor();
  await go(page, tavern, "/personas");
  await row.waitFor();
});

test("a lorebook comes in, is changed in two windows at once, and keeps what the page does not know", async (t) => {
  const { tavern, program } = await house(t);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/lorebooks");
  await page
    .locator("input[type=file]")
    .first()
    .setInputFiles([file("Ys.json", world), file("bad.json", "no book")]);
  await page.getByText("1 lorebook came in, 1 file did not.").waitFor();
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("link", { name: "Ys", exact: true }).click();
  await page.getByText("The city").click();
  await page.getByLabel("What is told").fill("It lies under the sea, and its bells ring.");
  await page.getByRole("button", { name: "New entry" }).click();
  await page.getByLabel("Title").last().fill("The bells");
  await page.getByLabel("Keys", { exact: true }).last().fill("bell, bells");
  const other = await visit(tavern);
  await enter(other.page, tavern, "ada", "by candlelight", "/lorebooks?name=Ys");
  await other.page.getByText("king", { exact: true }).click();
  await other.page.getByLabel("What is told").fill("Gradlon, who fled.");
  await other.page.getByRole("button", { name: "Save" }).click();
  await other.page.getByText("The lorebook is saved.").waitFor();
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("The lorebook is saved.").waitFor();
  const now = await program.call("GET", "/api/v1/lorebooks/Ys");
  assert.equal(now.entries[0].content, "It lies under the sea, and its bells ring.");
  assert.equal(now.entries[0].displayIndex, 4);
  assert.equal(now.entries[1].content, "Gradlon, who fled.");
  assert.deepEqual(now.entries[2].key, ["bell", "bells"]);
  assert.deepEqual(now.originalData, world.originalData);
});

test("a lorebook is begun, filled and deleted", async (t) => {
  const { tavern } = await house(t);
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/lorebooks");
  await page.getByRole("button", { name: "New lorebook" }).first().click();
  await page.getByRole("dialog").getByLabel("Name").fill("The woods");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "The woods" }).waitFor();
  await page.getByRole("button", { name: "New entry" }).click();
  await page.getByLabel("Title").fill("Wolves");
  await page.keyboard.press("Control+s");
  await page.getByText("The lorebook is saved.").waitFor();
  await page.getByRole("button", { name: "Remove this entry" }).click();
  await page.getByRole("button", { name: "Discard" }).click();
  await page.getByText("Wolves").waitFor();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("“The woods” is in the trash, for 30 days.").waitFor();
});

test("the search finds what was said and opens the chat at the place", async (t) => {
  const { tavern, program } = await house(t);
  const wenzel = await program.call(
    "POST",
    "/api/v1/characters/import",
    card("Wenzel", { first_mes: "The thunderstorm rattles the <b>shutters</b>." }),
  );
  await program.call("POST", `/api/v1/characters/${encodeURIComponent(wenzel.id)}/chats`, {});
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/search");
  await page.getByRole("searchbox").pressSequentially("thunder");
  const hit = page.getByRole("listitem").filter({ hasText: "Wenzel" }).first();
  await hit.locator("mark").waitFor();
  await page.keyboard.press("ArrowDown");
  assert.match(
    (await page.evaluate(() => /** @type {HTMLAnchorElement} */ (document.activeElement).href)) ?? "",
    /\/chat\?character=Wenzel&chat=.+&message=0$/,
  );
  assert.equal(new URL(page.url()).searchParams.get("q"), "thunder", "the address keeps the words");
  await page.keyboard.press("ArrowUp");
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "INPUT");
});

test("while the chats are still being read the search says so", async (t) => {
  const { tavern } = await house(t);
  const { page } = await visit(tavern);
  let asked = 0;
  await page.route("**/api/v1/search?*", (route) => {
    asked += 1;
    return route.fulfill({ json: asked === 1 ? { hits: [], indexing: { done: 12e6, total: 90e6 } } : found("rain") });
  });
  await enter(page, tavern, "ada", "by candlelight", "/search?q=rain");
  await page.getByText("Still reading your chats, 12 MB of 90 MB").waitFor();
  await page.locator("mark").first().waitFor();
});

test("what was deleted is brought back, erased, emptied", async (t) => {
  const { tavern, program } = await house(t);
  for (const name of ["Wenzel", "Mira", "Kestrel"]) {
    const { id } = await program.call("POST", "/api/v1/characters/import", card(name));
    await program.call("DELETE", `/api/v1/characters/${encodeURIComponent(id)}?chats=false`);
  }
  const { page } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/trash");
  await page.getByText("3 things").waitFor();
  await page.getByRole("button", { name: "Bring back: Wenzel" }).click();
  await page.getByText("Wenzel is back among the characters.").waitFor();
  await page.getByRole("button", { name: "Erase Mira" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
  await page.getByText("1 thing,").waitFor();
  await page.getByRole("button", { name: "Empty the trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Empty it" }).click();
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
  await page.reload();
  await drawn(page);
  await page.getByRole("heading", { name: "Nothing here" }).waitFor();
  const { items } = await program.call("GET", "/api/v1/characters");
  assert.deepEqual(
    items.map((/** @type {any} */ one) => one.name),
    ["Wenzel"],
  );
});

test("a chat goes back to what it was, and forth again", async (t) => {
  const { tavern, program } = await house(t);
  const { id } = await program.call("POST", "/api/v1/characters/import", card("Wenzel"));
  const begun = await program.call("POST", `/api/v1/characters/${encodeURIComponent(id)}/chats`, { name: "Rain" });
  const path = `/api/v1/chats/${encodeURIComponent(id)}/Rain`;
  const said = await program.call("POST", `${path}/messages`, { version: begun.version, text: "Is it still raining?" });
  await program.call("DELETE", `${path}/messages/${said.index}?version=${said.version}`);
  const { page, context } = await visit(tavern);
  await enter(page, tavern, "ada", "by candlelight", "/trash");
  const other = await context.newPage();
  await other.goto(`${tavern.url}/chat?character=${encodeURIComponent(id)}&chat=Rain`);
  await drawn(other);
  const question = other.locator("article.message").getByText("Is it still raining?");
  assert.equal(await question.count(), 0);
  await page.getByRole("button", { name: /^Go back to this/ }).click();
  await page.getByText("What was there is kept here.").waitFor();
  await question.waitFor();
  await page.getByText("1 thing,").waitFor();
  await page.getByRole("button", { name: /^Go back to this/ }).click();
  await question.waitFor({ state: "detached" });
});
