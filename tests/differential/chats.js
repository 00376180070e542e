// SillyTavern opens a chat that we wrote, and saves it; we open what it wrote.
import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Person } from "./person.js";
import { startOurs, startSillyTavern } from "./servers.js";

const CONFIG = { enableUserAccounts: false };
const part = encodeURIComponent;

test("SillyTavern opens a chat that we wrote, and we one that it wrote", async () => {
  const ours = await startOurs(CONFIG);
  const me = new Person(ours);
  const { id } = await me.json("POST", "/api/v1/characters", { name: "Ada", firstMessage: "Hi {{user}}", alternateGreetings: ["Ho"] });
  const begun = await me.json("POST", `/api/v1/characters/${part(id)}/chats`, {});
  const path = `/api/v1/chats/${part(id)}/${part(begun.chat)}`;
  const say = async (text) => {
    const { version } = await me.json("GET", `${path}?limit=1`);
    return me.json("POST", `${path}/messages`, { version, text });
  };
  await say("One ü 😀\nline two");
  const two = await say("Two");
  const edited = await me.json("PATCH", `${path}/messages/1`, { version: two.version, text: "One, edited" });
  const { version } = await me.json("PATCH", `${path}/messages/0`, { version: edited.version, swipe: 1 });
  await me.json("PATCH", path, { version, note: { text: "rain", depth: 2, role: "user", interval: 1 } });
  const branch = await me.json("POST", `${path}/branch`, { index: 1 });
  const file = `default-user/chats/${id}/${begun.chat}.jsonl`;
  const written = readFileSync(join(ours.data, file), "utf8");
  assert.ok(!written.endsWith("\n"));
  await ours.stop();

  const theirs = await startSillyTavern(CONFIG, ours.data);
  const there = new Person(theirs);
  const named = { ch_name: "Ada", avatar_url: `${id}.png` };
  const chat = await there.json("POST", "/api/chats/get", { ...named, file_name: begun.chat });
  const [header, ...messages] = chat;
  assert.deepEqual(messages.map((message) => message.mes), ["Ho", "One, edited", "Two"]);
  assert.deepEqual([messages[0].swipes.length, messages[0].swipe_id, messages[0].swipe_info.length], [2, 1, 2]);
  assert.deepEqual(messages.map((message) => message.is_user), [false, true, true]);
  assert.match(header.chat_metadata.integrity, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([header.chat_metadata.note_prompt, header.chat_metadata.note_role], ["rain", 1]);
  const listed = await there.json("POST", "/api/chats/search", { query: "", avatar_url: `${id}.png` });
  assert.deepEqual(listed.map((one) => [one.file_name, one.message_count]).sort(), [[begun.chat, 3], [branch.chat, 2]].sort());

  // Its check of whose chat it is: ours passes, another one does not.
  const more = { name: "Ada", is_user: false, send_date: new Date().toISOString(), mes: "Three", extra: {} };
  const save = (integrity) =>
    there.send("POST", "/api/chats/save", {
      body: { ...named, file_name: begun.chat, chat: [{ ...header, chat_metadata: { ...header.chat_metadata, integrity } }, ...messages, more] },
    });
  const refused = await save("another");
  assert.deepEqual([refused.status, JSON.parse(refused.body.toString())], [400, { error: "integrity" }]);
  const saved = await save(header.chat_metadata.integrity);
  assert.equal(saved.status, 200, String(saved.body));
  const rewritten = readFileSync(join(theirs.data, file), "utf8");
  assert.ok(rewritten.startsWith(written), "it writes what it read as we had written it");
  await theirs.stop();

  const again = await startOurs(CONFIG, (data) => cpSync(theirs.data, data, { recursive: true }));
  const back = new Person(again);
  const opened = await back.json("GET", path);
  assert.deepEqual(opened.messages.map((message) => message.text), ["Ho", "One, edited", "Two", "Three"]);
  const said = await back.json("POST", `${path}/messages`, { version: opened.version, text: "Four" });
  assert.equal(said.index, 4);
  assert.ok(readFileSync(join(again.data, file), "utf8").startsWith(rewritten), "adding leaves every byte");
  await again.stop();
});
