// OpenAI's own libraries, for Node and for Python, against a running server.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import OpenAI from "openai";
import { openHouse, startModel } from "./server.js";

let model, house, client;
const messages = [{ role: "user", content: "Hello" }];

before(async () => {
  model = await startModel();
  house = await openHouse(model);
  client = new OpenAI({ baseURL: house.base, apiKey: house.key });
});

after(async () => {
  await house?.close();
  model?.close();
});

const until = async (what, is) => {
  for (let tries = 0; tries < 500; tries += 1) {
    if (is()) return;
    await new Promise((next) => setTimeout(next, 10));
  }
  assert.fail(`never: ${what}`);
};

test("the models are listed, and each can be looked up", async () => {
  const names = [];
  for await (const each of client.models.list()) names.push(each.id);
  assert.deepEqual(names.slice(0, 2), [`${house.connection}/small`, "echo/echo"]);
  assert.equal((await client.models.retrieve(names[0])).id, names[0]);
  await assert.rejects(client.models.retrieve("nothing/there"), OpenAI.NotFoundError);
});

test("an answer at once, with what was asked for", async () => {
  const answer = await client.chat.completions.create({
    model: "small", messages, temperature: 0.5, max_completion_tokens: 9, stop: ["END"], seed: 1,
  });
  assert.equal(answer.choices[0].message.content, "Good evening, friend.");
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.deepEqual(answer.usage, { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 });
  const { temperature, stop, seed } = model.asked.at(-1);
  assert.deepEqual([temperature, stop, seed], [0.5, ["END"], 1]);
});

test("an answer piece by piece, with usage", async () => {
  const stream = await client.chat.completions.create({
    model: `${house.connection}/small`, messages, stream: true, stream_options: { include_usage: true },
  });
  const pieces = [];
  let usage;
  for await (const chunk of stream) {
    pieces.push(chunk.choices[0]?.delta.content ?? "");
    usage = chunk.usage ?? usage;
  }
  assert.equal(pieces.join(""), "Good evening, friend.");
  assert.equal(usage.total_tokens, 15);
});

test("the library's own helper puts a stream together", async () => {
  const runner = client.chat.completions.stream({ model: "small", messages });
  assert.equal(await runner.finalContent(), "Good evening, friend.");
});

test("whoever stops reading stops the model", async () => {
  const left = model.left;
  const stream = await client.chat.completions.create({ model: "endless", messages, stream: true });
  let read = 0;
  for await (const _ of stream) if ((read += 1) === 5) break;
  await until("the model is left", () => model.left === left + 1);
});

test("errors are the library's errors", async () => {
  const stranger = new OpenAI({ baseURL: house.base, apiKey: "tk-wrong" });
  await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
  await assert.rejects(
    client.chat.completions.create({ model: "small", messages: [] }),
    (error) => error instanceof OpenAI.BadRequestError && error.param === "messages" && error.code === "invalid_value",
  );
  const before = model.asked.length;
  await assert.rejects(
    client.chat.completions.create({ model: "broken", messages }),
    (error) => error instanceof OpenAI.APIError && /This model is broken/.test(error.message),
  );
  assert.equal(model.asked.length, before + 1, "what cannot help is not repeated");
});

test("the library for Python", async () => {
  const env = { ...process.env, OPENAI_BASE_URL: house.base, OPENAI_API_KEY: house.key, CONNECTION: house.connection };
  const left = model.left;
  const { stdout } = await promisify(execFile)(process.env.PYTHON, ["check.py"], { cwd: import.meta.dirname, env });
  assert.match(stdout, /all is well/);
  await until("the model is left", () => model.left === left + 1);
});

test("it was all written down", async () => {
  const usage = await house.call("GET", "/api/v1/me/usage");
  assert.ok(usage.total.requests >= 7, JSON.stringify(usage));
});
