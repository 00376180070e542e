// Every page at phone and desktop width, by day and by lamplight: no sideways scrolling, nothing serious from axe, no
// complaint in the console, nothing loaded from outside, nothing that the content security policy has to stop.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  caller,
  checkAccess,
  checkWidth,
  closeBrowser,
  drawn,
  enter,
  go,
  openHouse,
  paint,
  shot,
  visit,
} from "./house.js";

after(closeBrowser);

const guests = [
  { handle: "ada", name: "Ada", password: "by candlelight", role: "admin" },
  { handle: "bob", name: "Bob" },
  { handle: "mira", name: "Mira Wolkenstein-Österreicher of the Long Name", role: "moderator" },
  { handle: "old-tom", name: "Old Tom", enabled: false },
];

for (const width of [375, 1280]) {
  for (const dark of [false, true]) {
    const look = `${width < 600 ? "phone" : "desktop"}-${dark ? "dark" : "light"}`;
    test(`every page, ${look}`, async (t) => {
      const tavern = await openHouse(t, { guests });
      const program = caller(tavern.url);
      await program.signIn("ada", "by candlelight");
      await program.saveSettings({ power_user: { theme: "Dusk" } });
      await program.call("POST", "/api/v1/me/snapshots");
      await program.saveSettings({ power_user: { theme: "Dawn" } });
      const { page } = await visit(tavern, { width, dark });
      await page.goto(`${tavern.url}/no-such-room`);
      for (const [handle, hue] of /** @type {[string, number][]} */ ([
        ["ada", 200],
        ["bob", 95],
        ["mira", 330],
        ["old-tom", 262],
      ])) {
        await program.call("PUT", `/api/v1/users/${handle}/avatar`, await paint(page, hue));
      }

      /** @param {string} name @param {boolean} [whole] */
      const check = async (name, whole = false) => {
        await checkWidth(page, name);
        await checkAccess(page, `${name} ${look}`);
        await shot(page, `${name}-${look}`, whole);
      };
      await go(page, tavern, "/login");
      await page.getByRole("button", { name: /^Ada/ }).waitFor();
      await check("login");
      await page.getByRole("button", { name: /^Ada/ }).click();
      await check("login-password");
      await page.getByRole("button", { name: "Forgot password?" }).click();
      await page.getByText("You run the house yourself?").click();
      await check("login-forgot");

      await enter(page, tavern, "ada", "by candlelight", "/");
      await check("home", true);
      await go(page, tavern, "/account");
      await page
        .getByRole("button", { name: /^Compare/ })
        .first()
        .waitFor();
      await page.locator("#sessions li").first().waitFor();
      await check("account", true);
      await page
        .getByRole("button", { name: /^Compare/ })
        .first()
        .click();
      await page.getByRole("dialog").getByText("Dusk").waitFor();
      await check("compare");
      await page.keyboard.press("Escape");
      await go(page, tavern, "/users");
      await page.getByRole("row").filter({ hasText: "Old Tom" }).waitFor();
      await check("users", true);
      await page.getByRole("button", { name: "Manage Bob" }).click();
      await page.getByRole("dialog").waitFor();
      await check("users-sheet");
      await page.goto(`${tavern.url}/no-such-room`);
      await page.getByRole("heading", { name: "There is no such room" }).waitFor();
      await check("404");
    });
  }
}

for (const width of [320, 360, 740, 768, 1024, 1045])
  test(`at ${width} pixels nothing scrolls sideways`, async (t) => {
    const tavern = await openHouse(t, { guests });
    const { page } = await visit(tavern, { width });
    await go(page, tavern, "/login");
    await checkWidth(page, "login");
    await enter(page, tavern, "ada", "by candlelight", "/");
    const rooms = ["/characters", "/personas", "/lorebooks", "/connections", "/search", "/trash"];
    for (const path of ["/", "/account", "/users", ...rooms, "/chat"]) {
      await go(page, tavern, path);
      // The chat page never scrolls as a whole: what does not fit there would be out of reach.
      if (path !== "/chat") await page.waitForLoadState("networkidle");
      await checkWidth(page, path);
      const beam = await page.locator(".beam-inner").evaluate((inner) => inner.scrollWidth - inner.clientWidth);
      assert.equal(beam, 0, `the beam of ${path}`);
    }
    await page.getByRole("button", { name: "More", exact: true }).click();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("button", { name: /^Ada/ }).waitFor();
  });

test("day and lamplight are switched by hand, and the choice stays", async (t) => {
  const tavern = await openHouse(t, { guests });
  const { page } = await visit(tavern, { dark: false });
  await go(page, tavern, "/login");
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const day = await ground();
  await page.getByRole("button", { name: "Switch to lamplight" }).click();
  const night = await ground();
  assert.notEqual(day, night);
  await page.reload();
  await drawn(page);
  assert.equal(await ground(), night);
  await page.getByRole("button", { name: "Switch to daylight" }).click();
  assert.equal(await ground(), day);
});

test("the policy that the pages are written for is sent", async (t) => {
  const tavern = await openHouse(t);
  for (const path of ["/login?noauto=true", "/house/api.js", "/no-such-room"]) {
    const policy = (await fetch(tavern.url + path)).headers.get("content-security-policy") ?? "";
    for (const part of [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types tavernkeep-markup tavernkeep-worker",
    ]) {
      assert.ok(policy.includes(part), `${path} sends ${part}, not: ${policy}`);
    }
    assert.doesNotMatch(policy, /unsafe/);
  }
});
