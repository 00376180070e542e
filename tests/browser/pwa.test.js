// The house as an app: installable, honest when nobody answers, and with nothing private in the browser's cache.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { checkAccess, checkWidth, closeBrowser, enter, openHouse, shot, visit } from "./house.js";

after(closeBrowser);

const guests = [{ handle: "ada", name: "Ada", password: "by candlelight" }];

/** Waits until the worker has taken the page over. @param {import("playwright-core").Page} page */
const taken = (page) => page.waitForFunction(() => navigator.serviceWorker.controller?.state === "activated");

test("the manifest says all that an installation needs", async (t) => {
  const tavern = await openHouse(t, { guests });
  const { page, context } = await visit(tavern, { worker: true });
  await enter(page, tavern, "ada", "by candlelight");
  await taken(page);
  const devtools = await context.newCDPSession(page);
  const { errors, data } = await devtools.send("Page.getAppManifest");
  assert.deepEqual(errors, []);
  const manifest = JSON.parse(data ?? "{}");
  assert.equal(manifest.name, "Tavernkeep");
  assert.equal(manifest.display, "standalone");
  assert.ok(manifest.icons.some((/** @type {any} */ icon) => icon.purpose === "maskable"));
  const files = [...manifest.icons, ...manifest.shortcuts.flatMap((/** @type {any} */ way) => way.icons)].map(
    (icon) => icon.src,
  );
  for (const path of new Set(files)) {
    const answer = await context.request.get(tavern.url + path);
    assert.equal(answer.status(), 200, path);
    assert.match(answer.headers()["content-type"], /^image\//, path);
  }
  for (const way of manifest.shortcuts) {
    const answer = await context.request.get(tavern.url + way.url);
    assert.equal(answer.status(), 200, way.url);
  }
  const { installabilityErrors } = await devtools.send("Page.getInstallabilityErrors");
  // The windows of tests are private ones, in which nothing is installed.
  assert.deepEqual(
    installabilityErrors.filter((error) => error.errorId !== "in-incognito"),
    [],
  );
});

test("what the worker keeps is the house's own furniture, and nothing of anybody's", async (t) => {
  const tavern = await openHouse(t, { guests });
  const { page } = await visit(tavern, { worker: true });
  await enter(page, tavern, "ada", "by candlelight");
  await taken(page);
  for (const path of ["/account", "/characters", "/search?q=secret", "/account"]) {
    await page.goto(tavern.url + path);
    await page.waitForLoadState("networkidle");
  }
  const kept = await page.evaluate(async () => {
    /** @type {string[]} */
    const all = [];
    for (const name of await caches.keys()) {
      const cache = await caches.open(name);
      for (const request of await cache.keys()) all.push(new URL(request.url).pathname + new URL(request.url).search);
    }
    return all;
  });
  assert.ok(kept.includes("/offline.html"));
  assert.ok(kept.includes("/house/api.js"), "what the pages are made of is kept");
  const strange = kept.filter((path) => !/^\/(house\/[\w./-]+|favicon\.svg|offline\.html)$/.test(path));
  assert.deepEqual(strange, []);
});

for (const [width, dark] of /** @type {[number, boolean][]} */ ([
  [360, false],
  [360, true],
  [1280, false],
  [1280, true],
]))
  test(`nobody answers, ${width}${dark ? " dark" : ""}`, async (t) => {
    const tavern = await openHouse(t, { guests });
    const { page, context } = await visit(tavern, { width, dark, worker: true });
    await enter(page, tavern, "ada", "by candlelight");
    await taken(page);
    await context.setOffline(true);
    await page.goto(`${tavern.url}/account`);
    await page.getByRole("heading", { name: "Nobody answers at the door" }).waitFor();
    assert.equal(await page.getByText("Profile").count(), 0, "no stale page");
    await checkWidth(page, "offline");
    await checkAccess(page, "offline");
    await shot(page, `offline-${width}${dark ? "-dark" : ""}`);
    await context.setOffline(false);
    // The address has stayed that of the page that was wanted.
    await page.getByRole("heading", { name: "Account", exact: true }).waitFor();
    // While it was offline the browser logged what it could not load.
    tavern.faults.splice(
      0,
      tavern.faults.length,
      ...tavern.faults.filter((fault) => !/ERR_INTERNET_DISCONNECTED|ERR_FAILED/.test(fault)),
    );
  });

test("a new version of a file is shown at once, not what was kept of the old one", async (t) => {
  const tavern = await openHouse(t, { guests });
  const { page } = await visit(tavern, { worker: true });
  await enter(page, tavern, "ada", "by candlelight");
  await taken(page);
  await page.evaluate(async () => {
    const cache = await caches.open((await caches.keys())[0]);
    await cache.put(
      "/house/format.js",
      new Response("throw new Error('an old one')", { headers: { "Content-Type": "text/javascript" } }),
    );
  });
  await page.goto(`${tavern.url}/account`);
  await page.getByRole("heading", { name: "Account", exact: true }).waitFor();
});
