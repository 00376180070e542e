// Starts the two servers, each on a data folder and a port of its own, with one configuration for both.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const here = import.meta.dirname;
/** A cold start bundles the client first, which takes a while on a busy machine. */
const START = 150_000;
const COLOURS = /\u001b(\[[0-9;]*m|\][^\u0007]*\u0007)/g;

/** SillyTavern's folder. */
const peer = resolve(process.env.SILLYTAVERN_DIR ?? join(here, "node_modules/sillytavern"));
assert.equal(
  JSON.parse(readFileSync(join(peer, "package.json"), "utf8")).version,
  "1.19.0",
  "the SillyTavern beside us has another version than the contract",
);

const ours = resolve(process.env.TAVERNKEEP_BIN ?? join(here, "../../target/release/tavernkeep"));
assert.ok(existsSync(ours), "build the server first (cargo build --release), or name it in TAVERNKEEP_BIN");

/** What both are told unless a scene wishes otherwise. Each passes over the keys that only the other knows. */
const BOTH = {
  listen: false,
  whitelistMode: true,
  browserLaunch: { enabled: false },
  whitelistDockerHosts: false,
  recovery: { codeLength: 6 },
  passwords: { bcryptCost: 4 },
};
export const NO_LIMITS = {
  rateLimiting: { accountsLoginMaxAttempts: 0, accountsRecoverMaxAttempts: 0, accountsResetMaxAttempts: 0 },
};

/** Where a finished bundle of SillyTavern's client is kept for the next start. */
let bundle = "";
const running = new Set();
const folders = new Set();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

class Server {
  constructor(name, url, data, child) {
    Object.assign(this, { name, url, data, child, said: "" });
  }

  /** What the console said from now on. */
  mark() {
    this.from = this.said.length;
  }

  /** The first group of `pattern` once the console has said it, after the last `mark`. */
  async hear(pattern) {
    const until = Date.now() + 10_000;
    while (Date.now() < until) {
      const found = this.said.slice(this.from ?? 0).match(pattern);
      if (found) return found[1];
      await new Promise((next) => setTimeout(next, 25));
    }
    throw new Error(`${this.name} never said ${pattern}`);
  }

  async stop() {
    if (!running.delete(this.child)) return;
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGTERM");
    const late = setTimeout(() => this.child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(late);
  }
}

async function start(name, folder, port, program, args) {
  // SillyTavern names the git revision that it finds around itself, which would be this repository's.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: here };
  const child = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const server = new Server(name, `http://127.0.0.1:${port}`, join(folder, "data"), child);
  const listen = (chunk) => (server.said += String(chunk).replace(COLOURS, ""));
  child.stdout.on("data", listen);
  child.stderr.on("data", listen);
  const until = Date.now() + START;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`${name} ended at its start:\n${server.said.slice(-2000)}`);
    if (Date.now() > until) throw new Error(`${name} did not start:\n${server.said.slice(-2000)}`);
    const there = await request(server, { method: "GET", path: "/csrf-token" }).catch(() => null);
    if (there?.status === 200) return server;
    await new Promise((next) => setTimeout(next, 100));
  }
}

const freePort = () =>
  new Promise((done, fail) => {
    const socket = net.createServer();
    socket.once("error", fail);
    socket.listen(0, "127.0.0.1", () => {
      const { port } = socket.address();
      socket.close(() => done(port));
    });
  });

function makeFolder(name, config, port) {
  const folder = mkdtempSync(join(tmpdir(), `differential-${name}-`));
  folders.add(folder);
  // JSON is YAML.
  writeFileSync(join(folder, "config.yaml"), JSON.stringify({ ...BOTH, ...config, port, dataRoot: "./data" }));
  return folder;
}

/** SillyTavern with `config`, on a fresh data folder or on a copy of the one at `data`. */
export async function startSillyTavern(config, data) {
  const port = await freePort();
  const folder = makeFolder("theirs", config, port);
  const root = join(folder, "data");
  if (data) cpSync(data, root, { recursive: true });
  if (bundle && !existsSync(join(root, "_webpack"))) cpSync(bundle, join(root, "_webpack"), { recursive: true });
  const args = [join(peer, "server.js"), "--configPath", join(folder, "config.yaml"), "--dataRoot", root];
  const server = await start("SillyTavern", folder, port, process.execPath, args);
  const made = join(root, "_webpack");
  if (!bundle && existsSync(made)) bundle = made;
  return server;
}

/** Ours with `config`; `prepare` is called with the data folder before the start. */
export async function startOurs(config, prepare = () => {}) {
  const port = await freePort();
  const folder = makeFolder("ours", config, port);
  prepare(join(folder, "data"));
  const args = ["--config", join(folder, "config.yaml"), "--data-root", join(folder, "data")];
  return start("Tavernkeep", folder, port, ours, args);
}

/** One request, one connection, nothing followed and nothing unpacked. */
export function request(server, { method, path, headers = {}, body }) {
  return new Promise((done, fail) => {
    const length = body === undefined ? {} : { "Content-Length": Buffer.byteLength(body) };
    const call = http.request(
      server.url,
      { method, path, headers: { ...length, ...headers }, agent: false, timeout: 60_000 },
      (answer) => {
        const parts = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("error", fail);
        answer.on("end", () =>
          done({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts) }),
        );
      },
    );
    call.on("timeout", () => call.destroy(new Error(`${server.name} did not answer ${method} ${path}`)));
    call.on("error", fail);
    if (method === "POST" && body === undefined) call.setHeader("Content-Length", 0);
    call.end(body);
  });
}
