// The other ways in: discreet login, limits, and a data folder that is taken over.
import { after, test } from "node:test";
import { asAdmin, newcomer, pair } from "./pairs.js";
import { same } from "./compare.js";
import { attributes } from "./guests.js";
import { startOurs } from "./servers.js";
import { Pair, scene, takeOver } from "./scenes.js";

const discreet = new Pair({ enableUserAccounts: true, enableDiscreetLogin: true, sessionTimeout: 3600 });
after(() => discreet.close());
test("open two discreet houses with limits", () => discreet.open());

scene("discreet: what strangers are told", async () => {
  const guest = discreet.guest();
  await guest.post("/api/users/list");
  await guest.get("/login");
  await guest.get("/api/users/me");
  await guest.refresh();
  await guest.post("/api/users/list");
  await guest.post("/api/users/create", { handle: "ada", name: "Ada", password: "engine" });
  await guest.post("/api/users/create", { handle: "bob", name: "Bob", password: "bob" });
  for (const handle of ["ada", "bob"]) discreet.copyFolder(handle);
  await guest.post("/api/users/disable", { handle: "bob" });
  await guest.post("/api/users/get");
  const stranger = discreet.guest();
  await stranger.get("/login");
  await stranger.post("/api/users/list");
  await stranger.post("/api/users/login", { handle: "nobody", password: "x" });
  await stranger.post("/api/users/login", { handle: "bob", password: "bob" }, { differs: "discreet: disabled" });
  await stranger.post("/api/users/recover-step1", { handle: "nobody" }, { differs: "discreet: unknown" });
  await stranger.post("/api/users/recover-step1", { handle: "bob" }, { differs: "discreet: recovery of a disabled account" });
  await stranger.post("/api/users/recover-step2", { handle: "nobody", code: "123456" }, { differs: "discreet: unknown code" });
  const inside = await stranger.post("/api/users/login", { handle: "ada", password: "engine" });
  same("a session of an hour", attributes(inside.theirs, /^session-\w+=/), attributes(inside.ours, /^session-\w+=/));
});

scene("limits: starting afresh", async () => {
  const ada = discreet.guest();
  await ada.signIn("ada", "engine");
  await ada.post("/api/users/reset-step1");
  for (let n = 0; n < 6; n++) await ada.post("/api/users/reset-step2", { password: "engine", code: "x" });
  await ada.post("/api/users/reset-step1");
});

scene("limits: signing in", async () => {
  const guest = discreet.guest();
  await guest.refresh();
  for (let n = 0; n < 5; n++) await guest.post("/api/users/login", { handle: n % 2 ? "ada" : "nobody", password: "wrong" });
  await guest.post("/api/users/login", { handle: "ada", password: "wrong" });
  await guest.post("/api/users/login", { handle: "ada", password: "engine" });
  await guest.post("/api/users/login", {});
});

scene("limits: recovery", async () => {
  const guest = discreet.guest();
  await guest.refresh();
  // A right code clears what was counted before.
  discreet.mark();
  await guest.post("/api/users/recover-step1", { handle: "ada" });
  const codes = await discreet.hear(/your password recovery code is: (\d{6})\b/);
  const bodies = Object.entries(codes).map(([side, code]) => [side, { handle: "ada", newPassword: "engine", code }]);
  await guest.each("/api/users/recover-step2", Object.fromEntries(bodies));
  for (let n = 0; n < 6; n++) await guest.post("/api/users/recover-step1", { handle: "ada" });
  await guest.post("/api/users/recover-step2", { handle: "ada", code: "x" });
});

scene("a data folder is taken over", async () => {
  const tess = await newcomer("tess", { name: "Tess ü", password: "grün 李" });
  const admin = await asAdmin();
  await admin.post("/api/users/create", { handle: "ulf", name: "Ulf", password: "u" });
  await admin.post("/api/users/promote", { handle: "ulf" });
  await admin.post("/api/users/create", { handle: "vera", name: "Vera" });
  await admin.post("/api/users/disable", { handle: "vera" });
  await tess.post("/api/users/change-avatar", { handle: "tess", avatar: "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7" });
  const moved = new Pair(pair.config);
  moved.theirs = pair.theirs;
  moved.ours = await startOurs(pair.config, (data) => takeOver(pair.theirs.data, data));
  try {
    const guest = moved.guest();
    await guest.post("/api/users/list");
    await guest.post("/api/users/login", { handle: "tess", password: "wrong" });
    await guest.signIn("tess", "grün 李");
    await guest.get("/api/users/me");
    await guest.signOut();
    await guest.signIn("tess", "grün 李");
    await guest.post("/api/settings/get", {});
    await guest.signOut();
    await guest.post("/api/users/login", { handle: "vera", password: "" });
    await guest.signIn("ulf", "u");
    await guest.post("/api/users/get");
  } finally {
    await moved.ours.stop();
  }
});
