// A model server on this machine that speaks OpenAI's protocol over a real socket, word by word, as slowly as a test wants
// it. Run by itself (`node speaker.js`) it says its address and goes on until it is stopped.
import { createServer } from "node:http";

/**
 * @typedef {object} Said
 * @property {string} text
 * @property {string} [thinking]
 * @property {number} [pace] milliseconds between two words
 * @property {number} [holdAt] stops before this word until `letGo`
 * @property {number} [cutAt] the connection breaks before this word
 * @property {{status: number, message: string}} [refuses]
 */

const USUAL = "The kettle sings. \"Sit down,\" she says, *wiping the counter*. \"You look like you have walked a long way.\"";

export async function startModel() {
  /** What is said next, in turn; then the usual. @type {Said[]} */
  const next = [];
  /** What was asked. @type {any[]} */
  const asked = [];
  /** @type {Set<() => void>} */
  const held = new Set();
  let open = 0;
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (request.url?.endsWith("/models")) {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [{ id: "hearth-7b", object: "model", context_length: 8192 }] }));
      return;
    }
    if (!request.url?.endsWith("/chat/completions")) {
      response.statusCode = 404;
      response.end("{}");
      return;
    }
    const wish = JSON.parse(body || "{}");
    asked.push(wish);
    const said = next.shift() ?? { text: USUAL };
    if (said.refuses) {
      response.statusCode = said.refuses.status;
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ error: { message: said.refuses.message, type: "invalid_request_error" } }));
      return;
    }
    open += 1;
    response.once("close", () => (open -= 1));
    const usage = { prompt_tokens: 42, completion_tokens: said.text.split(" ").length, total_tokens: 60 };
    if (!wish.stream) {
      response.setHeader("Content-Type", "application/json");
      const message = { role: "assistant", content: said.text };
      response.end(JSON.stringify({ id: "c", object: "chat.completion", model: wish.model, choices: [{ index: 0, message, finish_reason: "stop" }], usage }));
      return;
    }
    response.setHeader("Content-Type", "text/event-stream");
    /** @param {object} delta @param {string | null} [finish] */
    const send = (delta, finish = null) =>
      response.write(`data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: wish.model, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`);
    const pause = (/** @type {number} */ ms) => new Promise((done) => setTimeout(done, ms));
    send({ role: "assistant" });
    for (const word of said.thinking?.split(/(?<= )/) ?? []) {
      send({ reasoning_content: word });
      await pause(said.pace ?? 5);
    }
    for (const [n, word] of said.text.split(/(?<= )/).entries()) {
      if (said.holdAt === n) await new Promise((/** @type {(value?: unknown) => void} */ done) => held.add(done));
      if (said.cutAt === n) {
        response.destroy();
        return;
      }
      if (response.destroyed) return;
      send({ content: word });
      await pause(said.pace ?? 5);
    }
    send({}, "stop");
    response.write(`data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: wish.model, choices: [], usage })}\n\n`);
    response.end("data: [DONE]\n\n");
  });
  await new Promise((/** @type {(value?: unknown) => void} */ done) => server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    asked,
    /** @param {...(Said | string)} what */
    says: (...what) => void next.push(...what.map((one) => (typeof one === "string" ? { text: one } : one))),
    letGo: () => {
      for (const done of held) done();
      held.clear();
    },
    /** How many answers are under way. */
    open: () => open,
    close: async () => {
      for (const go of held) go();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const model = await startModel();
  console.log(`A model listens at ${model.url}`);
}
