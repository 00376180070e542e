// The chat page, the whole way: a card comes in, a model on a real socket answers word by word, somebody leaves in the
// middle and finds the whole reply elsewhere; and everything that can be done with what was said.
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { cardOf } from "./card.js";
import { caller, checkAccess, checkWidth, closeBrowser, drawn, enter, go, openHouse, paint, shot, visit } from "./house.js";
import { startModel } from "./model.js";

after(closeBrowser);

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("./house.js").House} House */

const ada = { handle: "ada", name: "Ada", password: "by candlelight", role: "admin" };
const card = {
  name: "Mirabel",
  description: "{{char}} keeps the inn at the crossroads. She knows every road and most secrets.",
  personality: "warm, dry, curious",
  scenario: "{{user}} comes in out of the rain.",
  first_mes: "*The door creaks.* \"Come in, {{user}}, come in! The fire is **lit**.\"",
  alternate_greetings: ["*She does not look up.* \"We are closed.\""],
  mes_example: "<START>\n{{user}}: A room?\n{{char}}: \"Always one left.\"",
};

/**
 * A house with Ada in it, a model, and Mirabel on the shelf.
 * @param {import("node:test").TestContext} t @param {{width?: number, dark?: boolean, model?: boolean, cards?: boolean}} [wish]
 */
async function atTheInn(t, { width, dark, model: wanted = true, cards = true } = {}) {
  const model = await startModel();
  const tavern = await openHouse(t, { guests: [ada] });
  tavern.closing.push(() => model.close());
  const program = caller(tavern.url);
  await program.signIn("ada", "by candlelight");
  if (wanted) await connect(program, model.url);
  const { page, context } = await visit(tavern, { width, dark });
  await page.goto(`${tavern.url}/no-such-room`);
  const png = cardOf(await paint(page, 24), card);
  if (cards) await program.call("POST", "/api/v1/characters/import", new Uint8Array(png));
  await enter(page, tavern, "ada", "by candlelight", "/chat");
  return { tavern, page, context, program, model, png };
}

/** @param {ReturnType<typeof caller>} program @param {string} url */
const connect = (program, url) =>
  program.call("POST", "/api/v1/connections", { scope: "house", name: "The hearth", kind: "openai", baseUrl: url, model: "hearth-7b", key: "sk-test" });

/** @param {Page} page */
const field = (page) => page.getByLabel(/^Message to/);
/** @param {Page} page */
const messages = (page) => page.locator("article.message");
/** @param {Page} page */
const last = (page) => messages(page).last();
/** Nothing is coming in any more. @param {Page} page */
const quiet = async (page) => {
  await page.locator(".answers").waitFor();
  await page.locator(".unsent").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Send", exact: true }).waitFor();
};

/** @param {Page} page @param {string} text */
async function say(page, text) {
  await field(page).fill(text);
  await field(page).press("Enter");
}

/** Opens a chat with Mirabel. @param {Page} page */
async function meet(page) {
  await page.getByRole("link", { name: /Mirabel/ }).first().click();
  await page.getByText("The fire is lit.").waitFor();
}

test("a card comes in, the model answers, the page is closed in the middle, and the reply is whole elsewhere", async (t) => {
  const { tavern, page, model, png } = await atTheInn(t, { cards: false });
  await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
  const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.getByRole("button", { name: "Bring a card in" }).click()]);
  await chooser.setFiles({ name: "mirabel.png", mimeType: "image/png", buffer: png });
  await page.getByText("Come in, Ada, come in!").waitFor();
  assert.equal(await last(page).locator("strong", { hasText: "lit" }).count(), 1, "Markdown is rendered");
  assert.equal(await last(page).locator(".said").count(), 1, "speech is set apart");

  const words = "One by one the guests come down the stairs, and the last of them carries a lantern.";
  model.says({ text: words, holdAt: 6, pace: 15 });
  await say(page, "Good evening. Who else is here?");
  await page.getByText("One by one the guests come").waitFor();
  assert.ok(!(await last(page).innerText()).includes("lantern"));
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await page.close();
  model.letGo();

  const elsewhere = await visit(tavern, { width: 390 });
  await enter(elsewhere.page, tavern, "ada", "by candlelight", "/chat");
  await elsewhere.page.getByText(words).waitFor();
  await quiet(elsewhere.page);
  assert.equal(await messages(elsewhere.page).count(), 3);
  const asked = JSON.stringify(model.asked[0].messages);
  assert.ok(asked.includes("Good evening. Who else is here?") && asked.includes("Mirabel keeps the inn"), asked);
});

test("stop keeps what came, continue goes on from there", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({ text: "Once there was a road that led nowhere at all.", holdAt: 5 });
  await say(page, "Tell me a story.");
  await page.getByText("Once there was a road").waitFor();
  await page.getByRole("button", { name: "Stop" }).click();
  await quiet(page);
  assert.match(await last(page).locator(".words").innerText(), /^Once there was a ?(road)?$/);
  model.says("and nobody had ever come back from it.");
  await last(page).getByRole("button", { name: "Continue" }).last().click();
  await page.getByText(/Once there was a.*and nobody had ever come back/).waitFor();
  await quiet(page);
  assert.equal(await messages(page).count(), 3);
});

test("other versions of a reply, by button and by key", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  await page.getByRole("button", { name: "The next version" }).click();
  await page.getByText("We are closed.").waitFor();
  await page.getByRole("button", { name: "The version before" }).click();
  await page.getByText("The fire is lit.").waitFor();
  model.says("The first answer.", "The second answer.", "The third answer.");
  await say(page, "Hello?");
  await page.getByText("The first answer.").waitFor();
  await quiet(page);
  await page.getByRole("button", { name: "Another version" }).click();
  await page.getByText("The second answer.").waitFor();
  await page.getByText("2 / 2").waitFor();
  await field(page).press("ArrowLeft");
  await page.getByText("The first answer.").waitFor();
  await field(page).press("ArrowRight");
  await page.getByText("The second answer.").waitFor();
  await field(page).press("ArrowRight");
  await page.getByText("The third answer.").waitFor();
  await page.getByText("3 / 3").waitFor();
});

test("editing, branching, deleting, and bringing back", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says("A room with a **view**.");
  await say(page, "A romo, please.");
  await page.getByText("A room with a view.").waitFor();
  await quiet(page);
  await field(page).press("ArrowUp");
  const edit = page.getByRole("textbox", { name: "The message" });
  await edit.fill("A room, please.");
  await edit.press("Control+Enter");
  await page.getByText("A room, please.").waitFor();
  assert.equal(await page.getByText("A romo, please.").count(), 0);

  const mine = messages(page).nth(1);
  await mine.getByRole("button", { name: /What to do with/ }).click();
  await mine.getByRole("button", { name: "Branch: go on from here in a new chat" }).click();
  await page.getByText("A new chat goes on from there.").waitFor();
  assert.equal(await messages(page).count(), 2);
  assert.equal(await page.getByText("A room with a view.").count(), 0);

  await page.getByRole("button", { name: "More of this chat" }).click();
  await page.getByRole("button", { name: "Delete this chat" }).click();
  await page.getByText("The chat is in the trash.").waitFor();
  await page.getByText("A room with a view.").waitFor();
  await page.getByRole("button", { name: "Undo" }).click();
  await page.getByText("It is back.").waitFor();
  await messages(page).nth(1).waitFor();
  assert.equal(await messages(page).count(), 2);

  await page.getByRole("button", { name: "More of this chat" }).click();
  await page.getByRole("button", { name: "Rename…" }).click();
  await page.getByLabel("Name of the chat").fill("The rainy evening");
  await page.getByRole("button", { name: "Rename", exact: true }).click();
  await page.locator(".chat-title").getByText("The rainy evening").waitFor();
  await page.reload();
  await drawn(page);
  await page.locator(".chat-title").getByText("The rainy evening").waitFor();

  const first = messages(page).first();
  await first.getByRole("button", { name: /What to do with/ }).click();
  await first.getByRole("button", { name: "Delete…" }).click();
  await page.getByLabel("This and the 1 message after it").check();
  await page.getByRole("dialog").getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("Deleted. The chat as it was is in the trash.").waitFor();
  assert.equal(await messages(page).count(), 0);
});

test("two windows show the same", async (t) => {
  const { tavern, page, model, context } = await atTheInn(t);
  await meet(page);
  const other = await context.newPage();
  await go(other, tavern, new URL(page.url()).pathname + new URL(page.url()).search);
  await other.getByText("The fire is lit.").waitFor();
  model.says({ text: "Both of you hear this.", pace: 40 });
  await say(page, "Can you hear me?");
  await other.getByText("Can you hear me?").waitFor();
  await other.getByText("Both of you hear this.").waitFor();
  await quiet(page);
  await quiet(other);
  model.says("And this.");
  await say(other, "And now?");
  await page.getByText("And this.").waitFor();
  await quiet(page);
  assert.equal(await messages(page).count(), 5);
  assert.equal(await messages(other).count(), 5);
});

test("a message is never sent twice, whatever the line does", async (t) => {
  const { page, model, context } = await atTheInn(t);
  await meet(page);
  // The server gets it, and its answer is lost on the way.
  await page.route("**/api/v1/generations", async (route) => {
    await route.fetch();
    await route.abort("connectionreset");
  }, { times: 1 });
  model.says("I heard you the first time.");
  await say(page, "Are you there?");
  const unsent = page.locator(".unsent.failed");
  await Promise.race([unsent.waitFor(), page.getByText("I heard you the first time.").waitFor()]);
  await page.getByText("I heard you the first time.").waitFor();
  await quiet(page);
  if (await unsent.count()) await unsent.getByRole("button", { name: "Send again" }).click();
  await unsent.waitFor({ state: "detached" });
  await quiet(page);
  assert.equal(await page.getByText("Are you there?", { exact: true }).count(), 1);

  // And now it never gets there; what was written is kept over a reload.
  await page.route("**/api/v1/generations", (route) => route.abort("connectionrefused"), { times: 1 });
  await say(page, "Still there?");
  await unsent.getByText("Not sent, as far as we can tell.").waitFor();
  await page.reload();
  await drawn(page);
  model.says("Still here.");
  await unsent.getByRole("button", { name: "Send again" }).click();
  await page.getByText("Still here.").waitFor();
  await quiet(page);
  assert.equal(await page.getByText("Still there?", { exact: true }).count(), 1);
  await field(page).fill("half a thou");
  await page.reload();
  await drawn(page);
  assert.equal(await field(page).inputValue(), "half a thou");
  await context.setOffline(true);
  await page.getByText("You are offline.").waitFor();
  await context.setOffline(false);
  await page.getByText("You are offline.").waitFor({ state: "detached" });
});

test("a model that refuses is told of in words, and asked again", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({ text: "", refuses: { status: 401, message: "Incorrect API key provided" } });
  await say(page, "Hello?");
  await page.getByText("No reply.").waitFor();
  assert.equal(await messages(page).count(), 2);
  model.says("Here I am.");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByText("Here I am.").waitFor();
  await quiet(page);
  assert.equal(await page.getByText("No reply.").count(), 0);
  model.says({ text: "The line goes dead in the middle of", cutAt: 5, pace: 30 });
  await say(page, "And then?");
  await page.getByText("The line goes dead in").waitFor();
  await page.getByText("Unfinished: the reply broke off here.").waitFor();
  model.says(" the night.");
  await page.locator(".unfinished").getByRole("button", { name: "Continue" }).click();
  await page.getByText(/The line goes dead in.*the night/).waitFor();
  await page.getByText("Unfinished: the reply broke off here.").waitFor({ state: "detached" });
});

test("thoughts are folded, code has colours, and what bites stays text", async (t) => {
  const { page, model } = await atTheInn(t);
  await meet(page);
  model.says({
    thinking: "They want code. <img src=x onerror=alert(1)> Let me think. ",
    text:
      "Here:\n\n```js\nconst a = \"<script>alert(1)</script>\"; // one\n```\n\n<script>alert(1)</script><img src=x onerror=alert(1)>" +
      "<iframe srcdoc='<script>alert(1)</script>'></iframe> [x](javascript:alert(1)) ![beacon](https://outside.invalid/?q=secret)" +
      "\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<style>*{display:none}</style> done",
    pace: 2,
  });
  await say(page, "Code, please.");
  await quiet(page);
  const reply = last(page);
  await reply.locator(".hl-keyword").first().waitFor();
  await reply.locator("td", { hasText: "2" }).waitFor();
  assert.equal(await reply.locator("script, iframe, style, [onerror], a[href^=javascript]").count(), 0);
  await reply.getByRole("link", { name: "picture: outside.invalid" }).waitFor();
  await reply.getByText("Thoughts").click();
  await reply.getByText("Let me think.").waitFor();
  await checkAccess(page, "a reply with everything");
});

test("with keys alone", async (t) => {
  const { page, model } = await atTheInn(t);
  await page.keyboard.press("Control+k");
  await page.keyboard.type("mira");
  await page.getByText("1 result").waitFor();
  await page.keyboard.press("Enter");
  await page.getByText("The fire is lit.").waitFor();
  await page.waitForFunction(() => document.activeElement?.matches(".composer textarea"));
  model.says({ text: "Typing is enough for me too.", holdAt: 4 });
  await page.keyboard.type("No mouse tonight.");
  await page.keyboard.press("Enter");
  await page.getByText("Typing is enough for").waitFor();
  await page.keyboard.press("Escape");
  await quiet(page);
  model.says("Written anew.");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Written anew.").waitFor();
  await quiet(page);
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keys" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowUp");
  await page.waitForFunction(() => document.activeElement?.matches(".edit"));
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.activeElement?.matches(".tools button"));
});

test("nobody here yet: the plain assistant and the echo", async (t) => {
  const { page } = await atTheInn(t, { model: false, cards: false });
  await page.getByText("No model is connected yet.").waitFor();
  await page.getByRole("button", { name: "Talk to the plain assistant" }).click();
  await field(page).waitFor();
  await page.getByText("so the echo answers").waitFor();
  await say(page, "Hello, echo.");
  await quiet(page);
  assert.ok((await last(page).innerText()).includes("Hello, echo."));
});

test("ten thousand messages: the page stays small and nothing jumps", async (t) => {
  const { tavern, page, program } = await atTheInn(t);
  const chat = await program.call("POST", "/api/v1/characters/Mirabel/chats", { name: "Long" });
  await writeLong(tavern, chat.chat, 10_000);
  await go(page, tavern, `/chat?character=Mirabel&chat=${encodeURIComponent(chat.chat)}`);
  await page.getByText("Line 9999 ").waitFor();
  const counted = () => page.locator("article.message").count();
  assert.ok((await counted()) <= 140);
  const seen = await page.evaluate(async () => {
    const log = document.querySelector(".log");
    if (!log) throw new Error("no log");
    /** @type {number[]} */
    const frames = [];
    let jumps = 0;
    let most = 0;
    for (let step = 0; step < 240; step += 1) {
      const before = performance.now();
      const mark = /** @type {HTMLElement | undefined} */ (
        [...document.querySelectorAll("article.message")].find((one) => one.getBoundingClientRect().top > 120)
      );
      const top = mark?.getBoundingClientRect().top ?? 0;
      log.scrollTop -= 300;
      await new Promise((next) => requestAnimationFrame(next));
      frames.push(performance.now() - before);
      const moved = (mark?.isConnected ? mark.getBoundingClientRect().top : top + 300) - top;
      if (Math.abs(moved - 300) > 4 && log.scrollTop > 400) jumps += 1;
      most = Math.max(most, document.querySelectorAll("article.message").length);
    }
    frames.sort((a, b) => a - b);
    return { first: Number(document.querySelector("article.message")?.getAttribute("data-index")), jumps, most, p95: frames[Math.floor(frames.length * 0.95)] };
  });
  t.diagnostic(`after 240 steps at message ${seen.first}, at most ${seen.most} in the page, frames p95 ${seen.p95.toFixed(1)} ms`);
  assert.equal(seen.jumps, 0, "nothing jumps");
  assert.ok(seen.first < 9_500, `went up to ${seen.first}`);
  assert.ok(seen.most <= 160, `${seen.most} in the page`);
  await page.locator(".log").press("Home");
  await page.getByText("Line 1 ").waitFor();
  assert.ok((await counted()) <= 140);
  await page.locator(".log").press("End");
  await page.getByText("Line 9999 ").waitFor();
});

/** @param {House} tavern @param {string} name @param {number} lines */
async function writeLong(tavern, name, lines) {
  const folder = join(tavern.data, "ada", "chats", "Mirabel");
  await mkdir(folder, { recursive: true });
  const out = [JSON.stringify({ user_name: "Ada", character_name: "Mirabel", chat_metadata: {} })];
  for (let n = 0; n < lines; n += 1) {
    const mine = n % 2 === 1;
    const words = "and so the evening went on ".repeat(1 + ((n * 7) % 11));
    out.push(JSON.stringify({ name: mine ? "Ada" : "Mirabel", is_user: mine, is_system: false, send_date: new Date(1.7e12 + n * 60_000).toISOString(), mes: `Line ${n} *${words}*`, extra: {} }));
  }
  await writeFile(join(folder, `${name}.jsonl`), `${out.join("\n")}\n`);
}

for (const width of [360, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`the chat page, ${look}`, async (t) => {
      const { page, model } = await atTheInn(t, { width, dark });
      /** @param {string} name */
      const check = async (name) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`);
      };
      await page.getByRole("heading", { name: "Pull up a chair" }).waitFor();
      await check("chat-welcome");
      if (width < 600) {
        await page.getByRole("button", { name: "Chats and characters" }).click();
        await page.getByLabel("Search chats and characters").waitFor();
        await page.waitForTimeout(300);
        await check("chat-side");
      }
      await meet(page);
      model.says({
        thinking: "She would be kind, and a little nosy. ",
        text:
          "*Mirabel hangs your coat by the fire, where it begins to steam.*\n\n\"You have walked the old road,\" she says. \"Nobody walks the old road.\" " +
          "*She sets down a bowl.*\n\n| Tonight | Price |\n|---|--:|\n| Stew | 2 |\n| A bed | 5 |\n\n```python\ndef open_door(guest):\n    # everyone is welcome\n    return f\"Come in, {guest}!\"\n```",
        pace: 1,
      });
      await say(page, "I came over the hills. Is there *anything* left to eat?");
      await quiet(page);
      await check("chat");
      await page.getByRole("button", { name: "More of this chat" }).click();
      await check("chat-menu");
      await page.getByRole("button", { name: "Show the prompt…" }).click();
      await page.locator(".prompt-parts li").first().waitFor();
      await check("chat-prompt");
      await page.keyboard.press("Escape");
      await field(page).press("ArrowUp");
      await check("chat-edit");
      await page.keyboard.press("Escape");
      model.says({ text: "\"Stay as long as you like. The rain", holdAt: 6 });
      await say(page, "Thank you.");
      await page.getByText("Stay as long as you").waitFor();
      await check("chat-live");
      model.letGo();
      await quiet(page);
    });
  }
}
