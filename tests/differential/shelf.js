// SillyTavern opens what we wrote: cards, lorebooks, personas; and we open what it wrote.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Person } from "./person.js";
import { startOurs, startSillyTavern } from "./servers.js";

const words = {
  name: "Ada Ünïcode 😀",
  description: "Writes notes.\nLikes {{user}}.",
  personality: "curious",
  scenario: "a library",
  firstMessage: "Hello, {{user}}!",
  alternateGreetings: ["Good evening.", "Oh!"],
  exampleMessages: "<START>\n{{char}}: Yes.",
  systemPrompt: "Be brief.",
  postHistoryInstructions: "Stay kind.",
  creator: "me",
  creatorNotes: "For tests.",
  characterVersion: "1.2",
  tags: ["notes", "tea"],
  favorite: true,
  talkativeness: 0.25,
  depthPrompt: { prompt: "Remember the tea.", depth: 2, role: "user" },
  world: "Tea",
  lorebook: { name: "Inside", entries: [{ id: 1, keys: ["tea"], content: "hot", enabled: true, insertion_order: 1, extensions: {} }], extensions: {} },
};

const CONFIG = { enableUserAccounts: false };

test("SillyTavern opens what lies on our shelf, and we what lies on its", async (told) => {
  /** A server that does not outlive the test, however that ends. */
  const here = async (starting) => {
    const server = await starting;
    told.after(() => server.stop());
    return server;
  };
  const ours = await here(startOurs(CONFIG));
  const me = new Person(ours);
  const made = await me.json("POST", "/api/v1/characters", words);
  const assistant = await me.json("POST", "/api/v1/characters/assistant", {});
  const copy = await me.json("POST", `/api/v1/characters/${encodeURIComponent(made.id)}/duplicate`, {});
  const renamed = await me.json("POST", `/api/v1/characters/${encodeURIComponent(copy.id)}/rename`, { name: "Bea" });
  const png = readFileSync(join(ours.data, `default-user/characters/${assistant.id}.png`));
  const crop = "/api/v1/characters/Bea/picture?crop=0,0,100,150";
  await me.json("PUT", crop, png, { type: "image/png" });
  const old = { name: "Old One", description: "of version 1", first_mes: "hi", mes_example: "", personality: "", scenario: "", strange: 7 };
  const v1 = await me.json("POST", "/api/v1/characters/import", Buffer.from(JSON.stringify(old)), { type: "application/octet-stream" });
  const book = await me.json("POST", `/api/v1/characters/${encodeURIComponent(made.id)}/lorebook`, {});
  const persona = await me.json("POST", "/api/v1/personas", { name: "Me", description: "somebody" });
  await me.json("POST", `/api/v1/personas/${encodeURIComponent(persona.id)}/default`, {});
  await ours.stop();

  const theirs = await here(startSillyTavern(CONFIG, ours.data));
  const there = new Person(theirs);
  const all = await there.json("POST", "/api/characters/all", {});
  const names = all.map((one) => one.avatar).sort();
  for (const id of [made.id, assistant.id, renamed.id, v1.id]) assert.ok(names.includes(`${id}.png`), `${id} is not among ${names}`);
  const seen = await there.json("POST", "/api/characters/get", { avatar_url: `${made.id}.png` });
  assert.equal(seen.name, words.name);
  assert.equal(seen.first_mes, words.firstMessage);
  assert.equal(seen.fav, true);
  assert.equal(seen.spec, "chara_card_v3");
  const { data } = seen;
  assert.equal(data.description, words.description);
  assert.equal(data.system_prompt, words.systemPrompt);
  assert.equal(data.post_history_instructions, words.postHistoryInstructions);
  assert.deepEqual(data.alternate_greetings, words.alternateGreetings);
  assert.deepEqual(data.tags, words.tags);
  assert.deepEqual(data.extensions.depth_prompt, words.depthPrompt);
  assert.equal(data.extensions.world, words.world);
  assert.deepEqual(data.character_book, words.lorebook);
  const bea = await there.json("POST", "/api/characters/get", { avatar_url: "Bea.png" });
  assert.equal(bea.name, "Bea");
  assert.equal(bea.data.description, words.description);
  const first = await there.json("POST", "/api/characters/get", { avatar_url: `${v1.id}.png` });
  assert.equal(first.data.description, "of version 1");
  const world = await there.json("POST", "/api/worldinfo/get", { name: book.name });
  assert.deepEqual(Object.values(world.entries)[0].key, ["tea"]);
  const avatars = await there.json("POST", "/api/avatars/get", {});
  assert.ok(avatars.includes(persona.id), `${persona.id} is not among ${avatars}`);
  const settings = JSON.parse((await there.json("POST", "/api/settings/get", {})).settings);
  assert.equal(settings.power_user.personas[persona.id], "Me");
  assert.equal(settings.power_user.persona_descriptions[persona.id].description, "somebody");
  const thumbnail = await there.send("GET", `/thumbnail?type=avatar&file=${encodeURIComponent("Bea.png")}`);
  assert.equal(thumbnail.status, 200);

  // It changes one, in its own way, and brings another one in.
  const changed = await there.send("POST", "/api/characters/merge-attributes", {
    body: { avatar: `${made.id}.png`, data: { description: "theirs", extensions: { foreign: { deep: [1, 2.5] } } } },
  });
  assert.equal(changed.status, 200, String(changed.body));
  await theirs.stop();

  const again = await here(startOurs(CONFIG, (data) => cpSync(theirs.data, data, { recursive: true })));
  const back = new Person(again);
  const list = await back.json("GET", "/api/v1/characters?sort=name");
  assert.ok(list.items.every((item) => !item.damaged), JSON.stringify(list.items.filter((item) => item.damaged)));
  const path = `/api/v1/characters/${encodeURIComponent(made.id)}`;
  const now = await back.json("GET", path);
  assert.equal(now.description, "theirs");
  for (const name of ["name", "firstMessage", "alternateGreetings", "tags", "favorite", "talkativeness", "depthPrompt", "world", "lorebook"]) {
    assert.deepEqual(now[name], words[name], name);
  }
  // What we write over it keeps what it wrote.
  await back.json("PATCH", path, { version: now.version, description: "ours again" });
  const json = await back.json("GET", `${path}/export?format=json`);
  assert.deepEqual(json.data.extensions.foreign, { deep: [1, 2.5] });
  // A card of its own leaves us as it came, byte for byte.
  const seraphina = list.items.find((item) => item.name === "Seraphina");
  assert.ok(seraphina, "SillyTavern's own character is there");
  const file = join(again.data, `default-user/characters/${seraphina.id}.png`);
  const folder = mkdtempSync(join(tmpdir(), "shelf-"));
  cpSync(file, join(folder, "before.png"));
  const out = await back.send("GET", `/api/v1/characters/${encodeURIComponent(seraphina.id)}/export?format=png`);
  const before = readFileSync(join(folder, "before.png"));
  rmSync(folder, { recursive: true });
  const brought = await back.json("POST", "/api/v1/characters/import", out.body, { type: "application/octet-stream" });
  assert.deepEqual(readFileSync(join(again.data, `default-user/characters/${brought.id}.png`)), out.body);
  if (!json.chat) assert.deepEqual(readFileSync(file), before);
  await again.stop();
});
