// What the tests stand on: a real server in a folder of its own, a real browser, and watchers that fail a test when a
// page logs an error, breaks the content security policy or reaches for anything outside the house.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import axe from "axe-core";
import { chromium } from "playwright-core";

/** @typedef {import("node:test").TestContext} TestContext */
/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{handle: string, name: string, password?: string, role?: string, enabled?: boolean}} Guest */

const here = import.meta.dirname;

/** The server to test. */
function binary() {
  const named = process.env.TAVERNKEEP_BIN;
  if (named) return resolve(named);
  const built = ["release", "debug"].map((kind) => resolve(here, `../../target/${kind}/tavernkeep`)).find(existsSync);
  assert.ok(built, "build the server first, or name it in TAVERNKEEP_BIN");
  return built;
}

/**
 * Starts a server with its own configuration and data, and lets people in: `default-user` is there from the start.
 * @param {TestContext} t
 * @param {{config?: string, guests?: Guest[], keeper?: string}} [wish] `keeper`: the password of `default-user`
 */
export async function openHouse(t, { config = "enableUserAccounts: true\n", guests = [], keeper = "" } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "tavernkeep-browser-"));
  // A cheap hash: what is tested here is the pages, and most tests sign in several times.
  await writeFile(join(folder, "config.yaml"), `${config}passwords:\n  bcryptCost: 4\n`);
  const data = join(folder, "data");
  const child = spawn(binary(), ["--config", join(folder, "config.yaml"), "--data-root", data, "--port", "0"], {
    cwd: folder,
    // The names of chats tell the time of the server's clock.
    env: { ...process.env, TZ: "UTC" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  let complained = "";
  child.stderr.on("data", (chunk) => (complained += chunk));
  const ended = new Promise((done) => child.once("exit", done));
  /** What went wrong in the windows of visitors. @type {string[]} */
  const faults = [];
  /** What has to be closed before the server goes: the windows of its visitors. @type {(() => Promise<void>)[]} */
  const closing = [];
  t.after(async () => {
    for (const close of closing) await close();
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(late);
    await rm(folder, { recursive: true, force: true });
    assert.deepEqual(faults, [], "what went wrong in a window");
  });

  /** The first group of `pattern`, once the server has said it on its console. @param {RegExp} pattern */
  const hear = async (pattern) => {
    const until = Date.now() + 15_000;
    while (Date.now() < until) {
      const found = [...said.matchAll(new RegExp(pattern, "g"))].at(-1);
      if (found) return found[1];
      assert.equal(child.exitCode, null, `the server ended:\n${said}\n${complained}`);
      await new Promise((next) => setTimeout(next, 25));
    }
    throw new Error(`the server never said ${pattern}:\n${said}\n${complained}`);
  };
  const url = (await hear(/Tavernkeep is open at (http:\/\/\S+?)\/?\s/)).replace(/\/$/, "");
  if (guests.length > 0 || keeper) await seed(url, guests, keeper);
  return {
    url,
    data,
    faults,
    closing,
    /** The code for a new password, as the console says it. */
    recoveryCode: () => hear(/your password recovery code is: (\d+)/),
    /** The code to start afresh, as the console says it. */
    resetCode: () => hear(/your account reset code is: (\d+)/),
  };
}

/** @typedef {Awaited<ReturnType<typeof openHouse>>} House */

/**
 * A program that speaks to the server as a page does: cookie, CSRF token, origin.
 * @param {string} url
 */
export function caller(url) {
  /** @type {Map<string, string>} */
  const cookies = new Map();
  let token = "";
  /** @param {string} method @param {string} path @param {unknown} [body] @returns {Promise<any>} */
  const call = async (method, path, body) => {
    const raw = body instanceof Uint8Array;
    const answer = await fetch(url + path, {
      method,
      headers: {
        Origin: url,
        Cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; "),
        "X-CSRF-Token": token,
        ...(body === undefined ? {} : { "Content-Type": raw ? "image/png" : "application/json" }),
      },
      body: body === undefined ? undefined : raw ? /** @type {any} */ (body) : JSON.stringify(body),
    });
    for (const cookie of answer.headers.getSetCookie()) {
      const [name, value] = cookie.split(";", 1)[0].split("=", 2);
      cookies.set(name, value);
    }
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : null;
  };
  const fresh = async () => (token = (await call("GET", "/api/v1/house")).csrfToken);
  return {
    call,
    /** @param {string} handle @param {string} password */
    signIn: async (handle, password) => {
      await fresh();
      await call("POST", "/api/v1/session", { handle, password });
      await fresh();
    },
    /** Writes the settings, whatever they were. @param {object} settings */
    saveSettings: async (settings) => {
      const cookie = [...cookies].map(([n, v]) => `${n}=${v}`).join("; ");
      const now = await fetch(`${url}/api/v1/me/settings`, { headers: { Cookie: cookie } });
      await now.arrayBuffer();
      const answer = await fetch(`${url}/api/v1/me/settings`, {
        method: "PUT",
        headers: {
          Origin: url,
          Cookie: cookie,
          "X-CSRF-Token": token,
          "Content-Type": "application/json",
          "If-Match": now.headers.get("ETag") ?? "*",
        },
        body: JSON.stringify(settings),
      });
      assert.ok(answer.ok, `saving settings: ${answer.status} ${await answer.text()}`);
    },
  };
}

/** @param {string} url @param {Guest[]} guests @param {string} keeper */
async function seed(url, guests, keeper) {
  const admin = caller(url);
  await admin.signIn("default-user", "");
  for (const { handle, name, password, role, enabled } of guests) {
    await admin.call("POST", "/api/v1/users", { handle, name, ...(password ? { password } : {}) });
    const change = { ...(role ? { role } : {}), ...(enabled === false ? { enabled } : {}) };
    if (Object.keys(change).length > 0) await admin.call("PATCH", `/api/v1/users/${handle}`, change);
  }
  if (keeper) await admin.call("PUT", "/api/v1/me/password", { oldPassword: "", newPassword: keeper });
  await admin.call("DELETE", "/api/v1/session");
}

/** @type {Promise<import("playwright-core").Browser> | null} */
let browser = null;

/** One browser for all tests of a file; close it in `after`. */
export const launch = () =>
  (browser ??= chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  }));

export const closeBrowser = async () => (await browser)?.close();

/**
 * A visitor with a window of their own. When the test ends, anything that went wrong in the window fails it.
 * @param {House} tavern
 * @param {{width?: number, dark?: boolean, agent?: string, worker?: boolean, zone?: string}} [window] `worker`: whether the page's service
 *   worker runs; what it fetches cannot be bent by a test
 */
export async function visit(tavern, { width = 1280, dark = false, agent, worker = false, zone } = {}) {
  const context = await (
    await launch()
  ).newContext({
    viewport: { width, height: width < 600 ? 740 : 860 },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    acceptDownloads: true,
    locale: "en-GB",
    timezoneId: zone,
    userAgent: agent,
    serviceWorkers: worker ? "allow" : "block",
  });
  const page = await context.newPage();
  const { faults } = tavern;
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    // A refusal that a page explains to its reader (4xx) is logged by the browser too; that is no fault.
    const refusal = /^Failed to load resource: .* status of 4\d\d/.test(message.text());
    if (message.type() === "error" && !refusal) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(`${tavern.url}/`) && !/^(blob|data):/.test(request.url()))
      faults.push(`outside: ${request.url()}`);
  });
  page.on("dialog", (dialog) => {
    faults.push(`a script opened a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`),
    );
  });
  page.setDefaultTimeout(20_000);
  tavern.closing.push(() => context.close());
  return { page, context };
}

/** Opens a page of the house and waits until it is drawn. @param {Page} page @param {House} tavern @param {string} path */
export async function go(page, tavern, path) {
  await page.goto(tavern.url + path);
  await drawn(page);
}

/** @param {Page} page */
export async function drawn(page) {
  await page.locator("main:not([aria-busy])").waitFor();
}

/**
 * Signs in over the API, with the cookies of this window, and opens `path`.
 * @param {Page} page @param {House} tavern @param {string} handle @param {string} password @param {string} [path]
 */
export async function enter(page, tavern, handle, password, path = "/") {
  const requests = page.context().request;
  const { csrfToken } = await (await requests.get(`${tavern.url}/api/v1/house`)).json();
  const answer = await requests.post(`${tavern.url}/api/v1/session`, {
    headers: { "X-CSRF-Token": csrfToken, Origin: tavern.url },
    data: { handle, password },
  });
  assert.equal(answer.status(), 200, await answer.text());
  await go(page, tavern, path);
}

/** Fails when axe finds anything serious or critical. @param {Page} page @param {string} where */
export async function checkAccess(page, where) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe.source });
  const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
    expression: `axe.run(document, { resultTypes: ["violations"] }).then((found) => JSON.stringify(found.violations
      .filter((rule) => rule.impact === "serious" || rule.impact === "critical")
      .map((rule) => rule.id + ": " + rule.nodes.slice(0, 4).map((node) => node.target + " (" + node.failureSummary + ")").join(" | "))))`,
    awaitPromise: true,
    returnByValue: true,
  });
  await session.detach();
  assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
  assert.deepEqual(JSON.parse(result.value), [], `axe on ${where}`);
}

/** Fails when the page is wider than the window. @param {Page} page @param {string} where */
export async function checkWidth(page, where) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(over, 0, `${where} scrolls sideways by ${over} pixels`);
}

/**
 * A little portrait, painted by the browser: people look less alike than with the drawing that all start with.
 * @param {Page} page @param {number} hue @returns {Promise<Uint8Array>} PNG
 */
export async function paint(page, hue) {
  const bytes = await page.evaluate(async (colour) => {
    const canvas = new OffscreenCanvas(256, 256);
    const brush = canvas.getContext("2d");
    if (!brush) throw new Error("no canvas");
    /** @param {number} x @param {number} y @param {number} wide @param {number} high @param {string} fill */
    const blot = (x, y, wide, high, fill) => {
      brush.fillStyle = fill;
      brush.beginPath();
      brush.ellipse(x, y, wide, high, 0, 0, 7);
      brush.fill();
    };
    const air = brush.createRadialGradient(128, 90, 20, 128, 128, 200);
    air.addColorStop(0, `hsl(${colour} 55% 82%)`);
    air.addColorStop(1, `hsl(${colour} 45% 38%)`);
    brush.fillStyle = air;
    brush.fillRect(0, 0, 256, 256);
    blot(128, 112, 66, 76, `hsl(${(colour + 150) % 360} 30% 20%)`);
    blot(128, 262, 100, 86, `hsl(${(colour + 180) % 360} 38% 30%)`);
    blot(128, 172, 24, 34, "hsl(28 48% 66%)");
    blot(128, 118, 46, 56, "hsl(28 55% 74%)");
    blot(128, 76, 50, 28, `hsl(${(colour + 150) % 360} 30% 20%)`);
    for (const x of [110, 146]) blot(x, 120, 4, 5, "hsl(20 40% 18%)");
    brush.strokeStyle = "hsl(12 45% 40%)";
    brush.lineWidth = 4;
    brush.lineCap = "round";
    brush.beginPath();
    brush.arc(128, 134, 15, 0.5, 2.64);
    brush.stroke();
    const blob = await canvas.convertToBlob({ type: "image/png" });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, hue);
  return new Uint8Array(bytes);
}

/** Keeps a picture of the page, with SHOTS=1. @param {Page} page @param {string} name @param {boolean} [whole] */
export async function shot(page, name, whole = false) {
  if (process.env.SHOTS !== "1") return;
  await mkdir(join(here, "shots"), { recursive: true });
  await page.screenshot({ path: join(here, "shots", `${name}.png`), fullPage: whole, animations: "disabled" });
}
