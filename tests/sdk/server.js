// A house with one person, an API key, and a model server that speaks OpenAI's dialect and notes who leaves.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

const WORDS = ["Good ", "evening, ", "friend."];

/** A model server. `asked` is what it was asked, `left` how many did not stay to the end. */
export async function startModel() {
  const state = { asked: [], left: 0, base: "", close: () => server.close() };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const json = (status, value) => {
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(JSON.stringify(value));
    };
    if (request.url === "/v1/models") return json(200, { object: "list", data: [{ id: "small", object: "model" }] });
    const body = JSON.parse(Buffer.concat(chunks).toString());
    state.asked.push(body);
    if (body.model === "broken") return json(400, { error: { message: "This model is broken." } });
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    let ended = false;
    response.on("close", () => {
      if (!ended) state.left += 1;
    });
    const say = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
    const piece = (delta, finish_reason = null) => say({ choices: [{ index: 0, delta, finish_reason }] });
    const words = body.model === "endless" ? Array(10_000).fill("on and ") : WORDS;
    for (const content of words) {
      if (response.destroyed) return;
      piece({ content });
      await new Promise((next) => setTimeout(next, 10));
    }
    piece({}, "stop");
    say({ choices: [], usage: { prompt_tokens: 11, completion_tokens: 4, total_tokens: 15 } });
    ended = true;
    response.end("data: [DONE]\n\n");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  state.base = `http://127.0.0.1:${server.address().port}/v1`;
  return state;
}

/** Starts a server in a folder of its own; `base` and `key` are what a library needs. */
export async function openHouse(model) {
  const folder = await mkdtemp(join(tmpdir(), "tavernkeep-sdk-"));
  const config = 'enableUserAccounts: true\nmodels:\n  allowPrivateHosts: ["*"]\n';
  await writeFile(join(folder, "config.yaml"), config);
  const options = ["--config", join(folder, "config.yaml"), "--data-root", join(folder, "data"), "--port", "0"];
  const child = spawn(process.env.TAVERNKEEP_BIN, options, { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((done) => child.once("exit", done));
  const url = await new Promise((found, failed) => {
    let said = "";
    child.stdout.on("data", (chunk) => {
      said += chunk;
      const match = /Tavernkeep is open at (http:\/\/\S+?)\/?\s/.exec(said);
      if (match) found(match[1]);
    });
    child.once("exit", () => failed(new Error(`the server ended:\n${said}`)));
  });

  const cookies = new Map();
  let token = "";
  const call = async (method, path, body) => {
    const headers = { "X-CSRF-Token": token, Cookie: [...cookies].map((pair) => pair.join("=")).join("; ") };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const answer = await fetch(url + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(";", 1)[0].split("=", 2);
      cookies.set(name, value);
    }
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  };
  const fresh = async () => (token = (await call("GET", "/api/v1/house")).csrfToken);
  await fresh();
  await call("POST", "/api/v1/session", { handle: "default-user", password: "" });
  await fresh();
  const connection = await call("POST", "/api/v1/connections", {
    name: "Model", kind: "openai", baseUrl: model.base, model: "small", key: "sk-provider",
  });
  const { key } = await call("POST", "/api/v1/me/keys", { name: "library" });
  const close = async () => {
    child.kill("SIGTERM");
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return { url, base: `${url}/v1`, key, connection: connection.id, call, close };
}
