// A model server for the tests: OpenAI's dialect on a port of its own, which counts what it is asked and how.
import { createServer } from "node:http";

/**
 * @param {import("node:test").TestContext} t
 * @param {{key?: string, words?: string}} [wish] `key`: what it wants to see; `words`: what it says
 */
export async function modelServer(t, { key = "", words = "Good evening." } = {}) {
  /** @type {{path: string, key: string, body: any}[]} */
  const asked = [];
  const server = createServer((request, answer) => {
    let text = "";
    request.on("data", (chunk) => (text += chunk));
    request.on("end", () => {
      const given = (request.headers.authorization ?? "").replace("Bearer ", "");
      const body = text ? JSON.parse(text) : null;
      asked.push({ path: request.url ?? "", key: given, body });
      if (key && given !== key) {
        answer.writeHead(401, { "Content-Type": "application/json" });
        answer.end(
          JSON.stringify({
            error: { message: "Incorrect API key provided", type: "invalid_request_error", code: "invalid_api_key" },
          }),
        );
      } else if (request.url === "/v1/models") {
        answer.writeHead(200, { "Content-Type": "application/json" });
        answer.end(
          JSON.stringify({
            object: "list",
            data: [
              { id: "tiny-1", object: "model" },
              { id: "tiny-2", object: "model" },
            ],
          }),
        );
      } else if (request.url === "/v1/chat/completions") {
        const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
        if (body?.stream) {
          answer.writeHead(200, { "Content-Type": "text/event-stream" });
          for (const word of words.split(" "))
            answer.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: `${word} ` } }] })}\n\n`);
          answer.write(
            `data: ${JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }], usage })}\n\n`,
          );
          answer.end("data: [DONE]\n\n");
        } else {
          answer.writeHead(200, { "Content-Type": "application/json" });
          answer.end(
            JSON.stringify({
              choices: [{ index: 0, message: { role: "assistant", content: words }, finish_reason: "stop" }],
              usage,
            }),
          );
        }
      } else {
        answer.writeHead(404).end();
      }
    });
  });
  await new Promise((/** @type {(value?: unknown) => void} */ done) => server.listen(0, "127.0.0.1", () => done()));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}/v1`, asked };
}
