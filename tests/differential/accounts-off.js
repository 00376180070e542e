// Accounts off: everybody is default-user, an admin, and nobody signs in.
import { after, test } from "node:test";
import { Pair, scene } from "./scenes.js";

const pair = new Pair({ enableUserAccounts: false });
after(() => pair.close());
test("open two houses without accounts", () => pair.open());

scene("off: the first calls of the client", async () => {
  const guest = pair.guest();
  await guest.get("/csrf-token");
  await guest.get("/csrf-token");
  await guest.get("/");
  await guest.get("/?a=b");
  await guest.get("/login");
  await guest.get("/login?noauto=true");
  await guest.get("/version", { differs: "version" });
  await guest.post("/api/ping");
  await guest.post("/api/ping?extend=1");
  await guest.post("/api/settings/get", {});
  await guest.get("/api/users/me");
  await guest.post("/api/users/list");
  await guest.post("/api/users/get");
});

scene("off: what is not there", async () => {
  const guest = pair.guest();
  await guest.get("/api/nowhere", { differs: "no such route" });
  await guest.post("/api/nowhere", {}, { differs: "no such route" });
  await guest.get("/nowhere");
  await guest.get("/nowhere/at/all.js");
  await guest.post("/nowhere", {}, { differs: "a file takes no post" });
});

scene("off: one's own account can be changed", async () => {
  const guest = pair.guest();
  await guest.post("/api/users/change-name", { handle: "default-user", name: "Keeper" });
  await guest.get("/api/users/me", { differs: "own name without accounts" });
  await guest.post("/api/users/list");
  await guest.post("/api/users/change-password", { handle: "default-user", newPassword: "", oldPassword: "" });
  await guest.post("/api/users/logout");
  await guest.refresh();
  await guest.get("/api/users/me", { differs: "own name without accounts" });
  await guest.post("/api/users/reset-settings", { password: "", handle: "default-user" });
  pair.sameFile("default-user/settings.json", "default settings");
});

scene("off: snapshots", async () => {
  const guest = pair.guest();
  await guest.post("/api/settings/save", { a: 1 });
  pair.sameFile("default-user/settings.json");
  await guest.post("/api/settings/make-snapshot");
  await guest.post("/api/settings/load-snapshot", { name: "settings_other_20240101-000000.json" });
});

test("close them", () => pair.close());
