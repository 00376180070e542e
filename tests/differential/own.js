// One's own account: the picture, the backup, starting afresh.
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { same } from "./compare.js";
import { asAdmin, newcomer, pair } from "./pairs.js";
import { scene } from "./scenes.js";
import { unzip } from "./zip.js";

/** The smallest pictures. */
const png = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const red = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";
const gif = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
const bytes = (url) => Buffer.from(url.split(",")[1], "base64");

scene("pictures", async () => {
  const pia = await newcomer("pia", { name: "Pia" });
  const look = async (differs) => {
    await pia.get("/api/users/me", { differs });
    await pia.post("/api/users/list", undefined, { differs: differs && `${differs} in the list` });
  };
  await look();
  await pia.post("/api/users/change-avatar", { handle: "pia", avatar: png });
  await look();
  await pia.post("/api/users/change-avatar", { handle: "pia", avatar: gif });
  await look();
  for (const body of [{}, { avatar: png }, { handle: "" }, undefined]) await pia.post("/api/users/change-avatar", body);
  for (const avatar of ["x", "/img/x.png", "http://example.org/x.png", "data:text/html;base64,PGI+"]) {
    await pia.post("/api/users/change-avatar", { handle: "pia", avatar });
  }
  await look();
  for (const data of ["png;base64,", "png,x", "svg+xml;base64,PHN2Zy8+", "png;base64,AAAA"]) {
    await pia.post("/api/users/change-avatar", { handle: "pia", avatar: `data:image/${data}` }, { differs: "not a picture" });
    await pia.get("/api/users/me", { differs: "not a picture, afterwards" });
    await pia.post("/api/users/change-avatar", { handle: "pia", avatar: gif });
  }
  await pia.post("/api/users/change-avatar", { handle: "pia", avatar: 5 }, { differs: "wrong type (500)" });
  for (const avatar of [undefined, null]) {
    await pia.post("/api/users/change-avatar", { handle: "pia", avatar }, { differs: "a picture left out" });
  }
  await look();
  await pia.post("/api/users/change-avatar", { handle: "pia", avatar: png });
  await pia.post("/api/users/change-avatar", { handle: "pia", avatar: "" });
  await look();

  pair.onBoth((data) => {
    mkdirSync(join(data, "pia/User Avatars"), { recursive: true });
    writeFileSync(join(data, "pia/User Avatars/one.png"), bytes(png));
    writeFileSync(join(data, "pia/User Avatars/zwei 李.png"), bytes(red));
    writeFileSync(join(data, "pia/User Avatars/moving.gif"), bytes(gif));
  });
  for (const settings of [
    { user_avatar: "one.png" },
    { user_avatar: "one.png", power_user: { default_persona: "zwei 李.png" } },
    { user_avatar: "one.png", power_user: { default_persona: null } },
    { user_avatar: "one.png", power_user: { default_persona: "" } },
    { user_avatar: "moving.gif", power_user: {} },
    { user_avatar: "missing.png", power_user: {} },
    { user_avatar: "../settings.json" },
    { user_avatar: "" },
    { user_avatar: null },
    { user_avatar: 5 },
    { power_user: 5 },
    {},
  ]) {
    await pia.ask("POST", "/api/settings/save", { raw: JSON.stringify({ ...settings, x: 1 }) });
    await look();
  }
  await pia.post("/api/settings/save", { user_avatar: "one.png", power_user: { default_persona: "missing.png" } });
  await look("a persona that is gone");
  await pia.post("/api/settings/save", { user_avatar: "one.png" });
  await pia.post("/api/users/change-avatar", { handle: "pia", avatar: red });
  await look();
  const admin = await asAdmin();
  await admin.post("/api/users/change-avatar", { handle: "pia", avatar: gif });
  await look();
  await admin.post("/api/users/change-avatar", { handle: "pia", avatar: "" });
  await admin.post("/api/users/change-avatar", { handle: "nobody", avatar: "" });
  await admin.post("/api/users/get");
});

scene("a backup", async () => {
  const max = await newcomer("max", { name: "Max", password: "moritz" });
  pair.onBoth((data) => {
    const at = (name) => join(data, "max", name);
    writeFileSync(at("secrets.json"), '{"api_key_openai":"sk-1"}');
    writeFileSync(at("characters/Ä 李.png"), bytes(png));
    mkdirSync(at("chats/Ä 李"), { recursive: true });
    writeFileSync(at("chats/Ä 李/one.jsonl"), '{"a":1}\n');
    mkdirSync(at("thumbnails/avatar"), { recursive: true });
    writeFileSync(at("thumbnails/avatar/one.png"), bytes(png));
    mkdirSync(at("vectors/openai"), { recursive: true });
    writeFileSync(at("vectors/openai/index.json"), "{}");
    mkdirSync(at("backups"), { recursive: true });
    writeFileSync(at("backups/chat_x_20200101-000000.jsonl"), "{}");
    writeFileSync(at(".hidden"), "x");
    mkdirSync(at("empty"), { recursive: true });
  });
  for (const body of [{}, { handle: "" }, undefined]) await max.post("/api/users/backup", body);
  const answers = await max.post("/api/users/backup", { handle: "max" });
  const [theirs, ours] = [answers.theirs, answers.ours].map((answer) => unzip(answer.body));
  const names = (zip) => [...zip.keys()].filter((name) => !name.endsWith("/"));
  const only = (one, other) => names(one).filter((name) => !other.has(name)).sort();
  same("what only one backup has", only(theirs, ours), only(ours, theirs), "backup");
  const both = names(theirs).filter((name) => ours.has(name));
  same("how much is in both", both.length > 100, true);
  same("their bytes", both.filter((name) => !theirs.get(name).equals(ours.get(name))), []);
  const admin = await asAdmin();
  await admin.post("/api/users/backup", { handle: "max" });
  await admin.post("/api/users/backup", { handle: "nobody" }, { differs: "backup of nobody" });
  await admin.post("/api/users/backup", { handle: "../max" }, { differs: "backup of nobody" });
});

scene("settings back to the defaults", async () => {
  const rae = await newcomer("rae", { name: "Rae", password: "ray" });
  await rae.post("/api/settings/save", { mine: true });
  for (const body of [{}, { handle: "rae" }, undefined]) {
    await rae.post("/api/users/reset-settings", body, { differs: "old password left out" });
  }
  for (const password of ["", "wrong"]) await rae.post("/api/users/reset-settings", { password, handle: "rae" });
  pair.sameFile("rae/settings.json");
  await rae.post("/api/users/reset-settings", { password: "ray", handle: "default-user" });
  const settings = pair.sameFile("rae/settings.json", "default settings");
  same("the first run", JSON.parse(settings).firstRun, JSON.parse(readFileSync(join(pair.ours.data, "rae/settings.json"), "utf8")).firstRun);
  pair.copyFolder("rae");
  const open = await newcomer("rob");
  await open.post("/api/users/reset-settings", { password: "", handle: "rob" });
  await open.post("/api/users/reset-settings", { password: "whatever" });
  pair.copyFolder("rob");
});

scene("starting afresh", async () => {
  const una = await newcomer("una", { name: "Una", password: "one" });
  pair.onBoth((data) => writeFileSync(join(data, "una/characters/Mine.png"), bytes(png)));
  for (const body of [{}, { password: "one" }, undefined]) await una.post("/api/users/reset-step2", body);
  await una.post("/api/users/reset-step2", { code: "123456" }, { differs: "password of a reset left out" });
  await una.post("/api/users/reset-step2", { password: "one", code: "123456" });
  const code = /your account reset code is: (\d{6})\b/;
  pair.mark();
  await una.post("/api/users/reset-step1");
  const codes = await pair.hear(code);
  await una.post("/api/users/reset-step2", { password: "one", code: "x" });
  await una.each("/api/users/reset-step2", { theirs: { password: "wrong", code: codes.theirs }, ours: { password: "wrong", code: codes.ours } });
  pair.mark();
  await una.post("/api/users/reset-step1", {});
  const again = await pair.hear(code);
  await una.each("/api/users/reset-step2", { theirs: { password: "one", code: again.theirs }, ours: { password: "one", code: again.ours } });
  await una.get("/api/users/me", { differs: "content of a new folder" });
  same("what was mine", ...[pair.theirs.data, pair.ours.data].map((data) => existsSync(join(data, "una/characters/Mine.png"))));
  const folders = (data) => readdirSync(join(data, "una"), { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort();
  same("the folders", folders(pair.theirs.data), folders(pair.ours.data));
  pair.copyFolder("una");
  await una.each("/api/users/reset-step2", { theirs: { password: "one", code: again.theirs }, ours: { password: "one", code: again.ours } });
});
