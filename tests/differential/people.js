// Accounts on: the door, the users page, what others may not.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { scene } from "./scenes.js";
import { same } from "./compare.js";
import { attributes } from "./guests.js";
import { asAdmin, newcomer, pair } from "./pairs.js";

scene("before anybody has signed in", async () => {
  const guest = pair.guest();
  const first = await guest.get("/csrf-token");
  same("the visitor's cookie", attributes(first.theirs, /^session-\w+=/), attributes(first.ours, /^visitor-\w+=/), "visitor cookie");
  await guest.get("/");
  await guest.get("/?a=b&c=%20d");
  await guest.get("/login?noauto=true");
  await guest.get("/login/?noauto=true");
  await guest.get("/LOGIN?noauto=true");
  await guest.ask("HEAD", "/csrf-token");
  await guest.ask("HEAD", "/login?noauto=true");
  await guest.get("/version");
  await guest.post("/api/ping");
  await guest.get("/api/users/me");
  await guest.get("/api/nowhere");
  await guest.post("/api/nowhere", {});
  await guest.get("/nowhere", { differs: "no such file" });
  await guest.post("/nowhere", {}, { differs: "a file takes no post, outside" });
  await guest.post("/api/users/list");
  for (const route of ["get", "save", "get-snapshots", "make-snapshot", "load-snapshot", "restore-snapshot"]) {
    await guest.post(`/api/settings/${route}`, {});
  }
  for (const route of ["logout", "change-avatar", "change-password", "change-name", "backup", "reset-settings"]) {
    await guest.post(`/api/users/${route}`, { handle: "default-user" });
  }
  for (const route of ["reset-step1", "reset-step2", "get", "create", "delete", "enable", "disable", "promote", "demote", "slugify"]) {
    await guest.post(`/api/users/${route}`, { handle: "default-user" });
  }
});

scene("without the CSRF token", async () => {
  const guest = pair.guest();
  await guest.refresh();
  for (const csrf of [false, "wrong", "x".repeat(64)]) {
    await guest.post("/api/users/list", undefined, { csrf, differs: "csrf" });
    await guest.post("/api/users/login", { handle: "default-user", password: "" }, { csrf, differs: "csrf" });
  }
  for (const path of ["/api/users/me", "/api/settings/get", "/api/nowhere"]) {
    await guest.post(path, {}, { csrf: false, differs: "csrf behind the wall" });
  }
  const admin = await asAdmin();
  await admin.post("/api/settings/save", { a: 1 }, { csrf: false, differs: "csrf" });
  await admin.post("/api/users/create", { handle: "eve", name: "Eve" }, { csrf: "wrong", differs: "csrf" });
});

scene("a sole account without a password is let in", async () => {
  const guest = pair.guest();
  const answers = await guest.get("/login");
  same("the session's cookie", attributes(answers.theirs, /^session-\w+=/), attributes(answers.ours, /^session-\w+=/));
  await guest.get("/");
  await guest.get("/?a=b");
  await guest.get("/login");
  await guest.get("/api/users/me");
  await guest.get("/version", { differs: "version" });
  const other = pair.guest();
  await other.get("/login?a=b");
  const third = pair.guest();
  await third.get("/login?noauto=false");
  await third.get("/");
  const fourth = pair.guest();
  await fourth.get("/login?noauto");
  await fourth.get("/login?noauto=");
});

scene("signing in and out", async () => {
  const guest = pair.guest();
  await guest.refresh();
  for (const body of [{}, { handle: "" }, { password: "x" }, { handle: null }, undefined]) {
    await guest.post("/api/users/login", body);
  }
  await guest.post("/api/users/login", { handle: 5 }, { differs: "wrong type (403)" });
  await guest.post("/api/users/login", { handle: { a: 1 }, password: "" }, { differs: "wrong type (403)" });
  await guest.post("/api/users/login", { handle: ["default-user"], password: "" }, { differs: "wrong type (taken)" });
  await guest.post("/api/users/login", { handle: "nobody", password: "x" });
  await guest.post("/api/users/login", { handle: "../default-user", password: "x" });
  await guest.post("/api/users/login", { handle: "default-user", password: "what is not needed" });
  await guest.refresh();
  await guest.get("/api/users/me");
  await guest.post("/api/users/logout");
  await guest.get("/api/users/me");
  await guest.get("/?noauto=true");
  await guest.refresh();
  await guest.post("/api/users/logout");
  await guest.post("/api/users/login", { handle: "default-user" });
  await guest.refresh();
  await guest.get("/api/users/me");
  const before = guest.twin();
  const out = await guest.post("/api/users/logout");
  same("the cookies at the end", attributes(out.theirs, /^session-\w+=/), attributes(out.ours, /^session-\w+=/));
  await before.get("/api/users/me", { differs: "a session ends" });
});

scene("the token of the login page, after signing in", async () => {
  const guest = pair.guest();
  await guest.refresh();
  await guest.post("/api/users/login", { handle: "default-user", password: "" });
  await guest.post("/api/users/get", undefined, { differs: "token per session" });
});

scene("slugs", async () => {
  const admin = await asAdmin();
  const names = [
    "bob", "Bob", "BOB THE 2ND", " Bob  the  2nd ", "bob_the_2nd", "bob-the-2nd", "--bob--", "bob--the", "Bob's", "bob.smith",
    "bob@example.org", "a/b\\c", "../etc", "a\tb\nc", "x".repeat(64), "1", "007", "1.5", "é", "José", "Zoë Müller", "Ångström",
    "naïve café", "ÀÉÎÕÜ", "Dvořák", "Łukasz", "ñandú", "e\u0301", "İstanbul", "Straße", "Ærø", "Øystein", "Þór", "Đorđe",
    "œuvre", "🙂", "Bob 🙂", "a\u0000b", "camelCase", "HTTPServer", "v2beta", "bob2the3rd", "I’m",
  ];
  for (const text of names) await admin.post("/api/users/slugify", { text });
  const folded = ["李雷", "こんにちは", "Мария", "Ελένη", "שלום", "محمد", "①②③", "ｆｕｌｌ", "½", "𝓑𝓸𝓫", "ǅ"];
  for (const text of folded) await admin.post("/api/users/slugify", { text }, { differs: "slug in other scripts" });
  await admin.post("/api/users/slugify", { text: "ﬁne" }, { differs: "slug of a ligature" });
  for (const text of ["!!!", "   ", "-", "…"]) await admin.post("/api/users/slugify", { text });
  for (const body of [{}, { text: "" }, { text: null }, undefined]) {
    await admin.post("/api/users/slugify", body);
  }
  for (const text of [5, ["a"], { a: 1 }, true]) {
    await admin.post("/api/users/slugify", { text }, { differs: "wrong type (text)" });
  }
});

scene("making accounts", async () => {
  const admin = await asAdmin();
  await admin.post("/api/users/create", { handle: "Ada", name: "Ada L.", password: "engine" });
  await admin.post("/api/users/create", { handle: "ada", name: "Ada again" });
  await admin.post("/api/users/create", { handle: " A D A ", name: "Ada spaced" });
  await admin.post("/api/users/create", { handle: "bob", name: "Bob", password: "" });
  for (const handle of ["ada", "a-d-a", "bob"]) pair.copyFolder(handle);
  await admin.post("/api/users/create", { handle: "carol", name: "Carol", admin: true });
  pair.copyFolder("carol");
  await admin.post("/api/users/get", undefined, { differs: "admins are made by promoting" });
  await admin.post("/api/users/demote", { handle: "carol" });
  await admin.post("/api/users/create", { handle: "default-user", name: "x" });
  for (const body of [{}, { handle: "x" }, { name: "x" }, { handle: "", name: "x" }, { handle: "x", name: "" }, undefined]) {
    await admin.post("/api/users/create", body);
  }
  for (const handle of ["!!!", "-", "🙂"]) await admin.post("/api/users/create", { handle, name: "No handle" });
  await admin.post("/api/users/create", { handle: 5, name: "Five" }, { differs: "wrong type (taken)" });
  await admin.post("/api/users/create", { handle: ["x"], name: "List" }, { differs: "wrong type (taken)" });
  await admin.post("/api/users/create", { handle: "nameless", name: { a: 1 } }, { differs: "wrong type (taken)" });
  await admin.post("/api/users/create", { handle: "padded", name: "  Padded  " });
  await admin.post("/api/users/create", { handle: "long-name", name: "x".repeat(200) }, { differs: "a name has an end" });
  await admin.post("/api/users/create", { handle: "numbered", name: "N", password: 5 }, { differs: "wrong type (500)" });
  const long = { handle: "longpass", name: "L", password: "x".repeat(100) };
  await admin.post("/api/users/create", long, { differs: "a password has an end" });
  for (const handle of ["5", "five", "slight-smile", "nameless", "padded", "long-name", "numbered", "longpass", "x"]) {
    await admin.post("/api/users/delete", { handle, purge: true });
  }
  await admin.post("/api/users/get");
  await admin.post("/api/users/list");
  await pair.guest().post("/api/users/list");
});

scene("enabling, promoting, deleting", async () => {
  const admin = await asAdmin();
  for (const route of ["enable", "disable", "promote", "demote", "delete"]) {
    for (const body of [{}, { handle: "" }, { handle: null }, undefined]) await admin.post(`/api/users/${route}`, body);
    await admin.post(`/api/users/${route}`, { handle: 5 }, { differs: route === "delete" ? "wrong type (done)" : "wrong type (404)" });
    await admin.post(`/api/users/${route}`, { handle: "nobody" });
    await admin.post(`/api/users/${route}`, { handle: "../ada" });
    await admin.post(`/api/users/${route}`, { handle: "Ada" });
    await admin.post(`/api/users/${route}`, { handle: " ada " });
  }
  for (const route of ["disable", "demote", "delete"]) {
    await admin.post(`/api/users/${route}`, { handle: "default-user" }, { differs: "not oneself" });
  }
  await admin.post("/api/users/enable", { handle: "default-user" });
  await admin.post("/api/users/promote", { handle: "default-user" });
  for (const route of ["disable", "disable", "enable", "enable", "promote", "promote", "demote", "demote"]) {
    await admin.post(`/api/users/${route}`, { handle: "bob" });
    await admin.post("/api/users/get");
    await admin.post("/api/users/list");
  }
  await admin.post("/api/users/create", { handle: "dora", name: "Dora" });
  await admin.post("/api/users/delete", { handle: "dora" });
  same("a folder stays", ...onDisk("dora"));
  await admin.post("/api/users/create", { handle: "dora", name: "Dora" });
  await admin.post("/api/users/delete", { handle: "dora", purge: true });
  same("a folder goes", ...onDisk("dora"));
  await admin.post("/api/users/create", { handle: "dora", name: "Dora" });
  await admin.post("/api/users/delete", { handle: "dora", purge: "yes" }, { differs: "wrong type (done)" });
  await admin.post("/api/users/delete", { handle: "dora", purge: false });
  await admin.post("/api/users/get");
});

const onDisk = (path) => [pair.theirs.data, pair.ours.data].map((data) => existsSync(join(data, path)));

scene("a disabled account", async () => {
  const admin = await asAdmin();
  const bob = pair.guest();
  await bob.signIn("bob");
  await bob.get("/api/users/me");
  await admin.post("/api/users/disable", { handle: "bob" });
  await bob.get("/api/users/me");
  await bob.get("/");
  const again = pair.guest();
  await again.refresh();
  await again.post("/api/users/login", { handle: "bob", password: "" });
  await again.post("/api/users/recover-step1", { handle: "bob" });
  await again.post("/api/users/recover-step2", { handle: "bob", code: "123456" });
  await admin.post("/api/users/disable", { handle: "ada" });
  await again.post("/api/users/login", { handle: "ada", password: "wrong" });
  await again.post("/api/users/login", { handle: "ada", password: "engine" });
  await admin.post("/api/users/enable", { handle: "bob" });
  await admin.post("/api/users/enable", { handle: "ada" });
  await again.post("/api/users/login", { handle: "bob", password: "" });
});

scene("what others may not", async () => {
  const ada = pair.guest();
  await ada.signIn("ada", "engine");
  await ada.get("/api/users/me");
  for (const route of ["get", "create", "delete", "enable", "disable", "promote", "demote", "slugify"]) {
    await ada.post(`/api/users/${route}`, { handle: "bob", name: "x", text: "x" });
    await ada.post(`/api/users/${route}`);
  }
  for (const handle of ["bob", "default-user", "nobody", "Ada", "../ada"]) {
    await ada.post("/api/users/change-name", { handle, name: "x" });
    await ada.post("/api/users/change-avatar", { handle, avatar: "" });
    await ada.post("/api/users/change-password", { handle, newPassword: "x", oldPassword: "" });
    await ada.post("/api/users/backup", { handle });
  }
});

scene("names", async () => {
  const ada = pair.guest();
  await ada.signIn("ada", "engine");
  for (const body of [{}, { handle: "ada" }, { name: "x" }, { handle: "ada", name: "" }, undefined]) {
    await ada.post("/api/users/change-name", body);
  }
  await ada.post("/api/users/change-name", { handle: "ada", name: 5 }, { differs: "wrong type (done)" });
  await ada.post("/api/users/change-name", { handle: 5, name: "x" }, { differs: "wrong type (403)" });
  for (const name of ["Ada Lovelace", "Ada Ŀ 李 🙂", "<b>Ada</b>", "x".repeat(100)]) {
    await ada.post("/api/users/change-name", { handle: "ada", name });
    await ada.get("/api/users/me");
  }
  await ada.post("/api/users/change-name", { handle: "ada", name: " Ada " });
  for (const name of ["   ", "x".repeat(101), "a\nb"]) {
    await ada.post("/api/users/change-name", { handle: "ada", name }, { differs: "a changed name has an end" });
  }
  await ada.post("/api/users/change-name", { handle: "ada", name: "Ada" });
  const admin = await asAdmin();
  await admin.post("/api/users/change-name", { handle: "bob", name: "Robert" });
  await admin.post("/api/users/change-name", { handle: "nobody", name: "x" });
  await admin.post("/api/users/list");
});

scene("passwords", async () => {
  const ada = pair.guest();
  await ada.signIn("ada", "engine");
  const elsewhere = pair.guest();
  await elsewhere.signIn("ada", "engine");
  for (const body of [{}, { newPassword: "x" }, undefined]) await ada.post("/api/users/change-password", body);
  await ada.post("/api/users/change-password", { handle: "ada", newPassword: "x", oldPassword: "wrong" });
  await ada.post("/api/users/change-password", { handle: "ada", newPassword: "x", oldPassword: "" });
  await ada.post("/api/users/change-password", { handle: "ada", newPassword: "x" }, { differs: "old password left out" });
  const long = { handle: "ada", newPassword: "x".repeat(100), oldPassword: "wrong" };
  await ada.post("/api/users/change-password", long, { differs: "a changed password has an end" });
  await ada.get("/api/users/me");
  await ada.post("/api/users/change-password", { handle: "ada", newPassword: "käse 李", oldPassword: "engine" });
  await ada.get("/api/users/me");
  await ada.post("/api/users/list");
  await elsewhere.get("/api/users/me");
  await elsewhere.get("/");
  const again = pair.guest();
  await again.refresh();
  await again.post("/api/users/login", { handle: "ada", password: "engine" });
  await again.post("/api/users/login", { handle: "ada", password: "" });
  await again.post("/api/users/login", { handle: "ada" }, { differs: "password left out" });
  await again.post("/api/users/login", { handle: "ada", password: 5 }, { differs: "wrong type (500)" });
  await again.post("/api/users/login", { handle: "ada", password: "x".repeat(2000) }, { differs: "an endless password" });
  for (const handle of ["ADA", " ada "]) {
    await again.post("/api/users/login", { handle, password: "käse 李" }, { differs: "a handle as a phone writes it" });
    await again.refresh();
  }
  await again.signIn("ada", "käse 李");
  await again.post("/api/users/change-password", { handle: "ada", newPassword: "", oldPassword: "käse 李" });
  await again.get("/api/users/me");
  await ada.get("/api/users/me");
  await ada.refresh();
  await ada.signIn("ada", "");
  await ada.post("/api/users/change-password", { handle: "ada", newPassword: "engine", oldPassword: "" });
  const admin = await asAdmin();
  await admin.post("/api/users/change-password", { handle: "ada", newPassword: "by an admin" });
  await ada.get("/api/users/me");
  await admin.post("/api/users/change-password", { handle: "nobody", newPassword: "x" });
  await admin.post("/api/users/change-password", { handle: "default-user", newPassword: "own", oldPassword: "not asked" });
  await admin.get("/api/users/me");
  await admin.post("/api/users/change-password", { handle: "default-user", newPassword: "" });
  await admin.post("/api/users/disable", { handle: "bob" });
  await admin.post("/api/users/change-password", { handle: "bob", newPassword: "x", oldPassword: "" }, { differs: "password of a disabled account" });
  await admin.post("/api/users/enable", { handle: "bob" });
  await admin.post("/api/users/change-password", { handle: "bob", newPassword: "", oldPassword: "" });
  await admin.post("/api/users/change-password", { handle: "ada", newPassword: "engine" });
  await admin.post("/api/users/change-password", { handle: "ada", newPassword: 5 }, { differs: "wrong type (500)" });
  await admin.post("/api/users/change-password", { handle: "ada", newPassword: "engine" });
});

scene("recovery", async () => {
  const guest = pair.guest();
  await guest.refresh();
  for (const body of [{}, { handle: "" }, undefined]) {
    await guest.post("/api/users/recover-step1", body);
    await guest.post("/api/users/recover-step2", body);
  }
  await guest.post("/api/users/recover-step1", { handle: 5 }, { differs: "wrong type (404)" });
  await guest.post("/api/users/recover-step1", { handle: "nobody" });
  await guest.post("/api/users/recover-step2", { handle: "nobody", code: "123456" });
  await guest.post("/api/users/recover-step2", { handle: "ada" });
  await guest.post("/api/users/recover-step2", { handle: "ada", code: "123456", newPassword: "x" });
  const code = /your password recovery code is: (\d{6})\b/;
  const redeem = async (codes, wish) => {
    const bodies = { theirs: { handle: "ada", newPassword: "x", code: codes.theirs }, ours: { handle: "ada", newPassword: "x", code: codes.ours } };
    await guest.each("/api/users/recover-step2", bodies, wish);
  };
  pair.mark();
  await guest.post("/api/users/recover-step1", { handle: "ada" });
  const first = await pair.hear(code);
  await redeem({ theirs: "x", ours: "x" });
  await redeem({ theirs: Number(first.theirs), ours: Number(first.ours) }, { differs: "wrong type (403)" });
  pair.mark();
  await guest.post("/api/users/recover-step1", { handle: "ada" });
  const second = await pair.hear(code);
  await redeem(first);
  await redeem(second);
  await redeem(second);
  await guest.signIn("ada", "x");
  await guest.get("/api/users/me");
  pair.mark();
  await guest.post("/api/users/recover-step1", { handle: "ada" });
  const third = await pair.hear(code);
  const handle = "ada";
  await guest.each("/api/users/recover-step2", { theirs: { handle, code: third.theirs }, ours: { handle, code: third.ours } });
  await guest.get("/api/users/me", { differs: "recovery ends sessions" });
  await guest.refresh();
  await guest.signIn("ada", "");
  await guest.get("/api/users/me");
  await guest.post("/api/users/change-password", { handle, newPassword: "engine", oldPassword: "" });
  pair.mark();
  await guest.post("/api/users/recover-step1", { handle });
  const fourth = await pair.hear(code);
  for (let n = 0; n < 5; n++) await redeem({ theirs: "x", ours: "x" });
  await redeem(fourth, { differs: "a code is void after five wrong ones" });
});
