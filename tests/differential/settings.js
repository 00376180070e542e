// Settings and their snapshots.
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, deflateSync, brotliCompressSync } from "node:zlib";
import { same } from "./compare.js";
import { newcomer, pair } from "./pairs.js";
import { nextSecond, scene } from "./scenes.js";

const file = "sam/settings.json";

scene("what the client loads at start", async () => {
  const sam = await newcomer("sam", { name: "Sam" });
  await sam.post("/api/settings/get", {});
  await sam.post("/api/settings/get");
  pair.onBoth((data) => {
    const at = (name) => join(data, "sam", name);
    for (const name of ["ä", "Z", "a", "B", "10", "9", "_x", "Ω", "a b", "é"]) {
      writeFileSync(at(`KoboldAI Settings/${name}.json`), `{ "n": 1.0, "name": ${JSON.stringify(name)} }`);
      writeFileSync(at(`OpenAI Settings/${name}.json`), `{"name":${JSON.stringify(name)}}`);
      writeFileSync(at(`themes/${name}.json`), JSON.stringify({ name, 10: 1, 9: 2, b: 1.5 }));
      writeFileSync(at(`instruct/${name}.json`), JSON.stringify({ name }));
      writeFileSync(at(`worlds/${name}.json`), "{}");
    }
    writeFileSync(at("TextGen Settings/twice.json.json"), "{}");
    writeFileSync(at("TextGen Settings/broken.json"), "{");
    writeFileSync(at("TextGen Settings/note.txt"), "{}");
    writeFileSync(at("TextGen Settings/UPPER.JSON"), "{}");
    writeFileSync(at("context/broken.json"), "{");
    writeFileSync(at("context/list.json"), "[1]");
    writeFileSync(at("context/note.txt"), "x");
    writeFileSync(at("context/empty.json"), "");
    writeFileSync(at("worlds/note.txt"), "x");
    writeFileSync(at("worlds/broken.json"), "{");
  });
  await sam.post("/api/settings/get", {});
});

scene("settings go there and back", async () => {
  const sam = await newcomer("sam2");
  const round = async (raw, differs, fileDiffers = differs) => {
    await sam.ask("POST", "/api/settings/save", { raw });
    pair.sameFile("sam2/settings.json", fileDiffers);
    await sam.post("/api/settings/get", {}, { differs });
  };
  await round(JSON.stringify({ firstRun: false, username: "Ada", power_user: { personas: { "a.png": "Ada" } } }));
  await round('{"z":1,"a":2,"_":[],"m":{},"B":{"y":null,"x":true}}');
  await round('{ "spaced" :\n\t[ 1 ,2,   3 ] , "e" : { } , "l":[ ] }');
  await round(JSON.stringify({ text: "ä ß 李 🙂 \u2028 \" \\ / \b \f \n \r \t", "kéy 李": "" }));
  await round(JSON.stringify({ deep: { a: { b: { c: [[[{ d: 1 }]]] } } }, list: [null, true, false, "", 0] }));
  await round('{"n":[0,1,-1,1.5,0.1,1e-7,123456789012]}');
  await round(JSON.stringify({ big: "x".repeat(300_000) }));
  await round('{"__proto__x":1,"constructor":{"a":1},"toString":1}');
  await round('{"b":1,"10":2,"9":3,"a":4}', "key order", "key order in the file");
  await round('{"n":[1.0,1e21,-0,12345678901234567890,1E2,0.10]}', "number text", "number text in the file");
  await round('{"s":"\\u00e4\\/\\u0041"}', "escapes", "escapes in the file");
  await round('{"a":1,"b":2,"a":3}', "a key twice", "a key twice in the file");
  await round('{"s":"\\ud800"}');
  await sam.ask("POST", "/api/settings/save", { raw: '{"__proto__":{"a":1},"b":1}' });
  pair.sameFile("sam2/settings.json", );
  const packed = JSON.stringify({ packed: "yes".repeat(1000) });
  await sam.ask("POST", "/api/settings/save", { raw: gzipSync(packed), headers: { "Content-Encoding": "gzip" } });
  pair.sameFile("sam2/settings.json");
  await sam.ask("POST", "/api/settings/save", { raw: deflateSync(packed.replace("yes", "no")), headers: { "Content-Encoding": "deflate" } });
  pair.sameFile("sam2/settings.json");
  await sam.ask("POST", "/api/settings/save", { raw: brotliCompressSync(packed), headers: { "Content-Encoding": "br" }, differs: "bad body" });
  pair.sameFile("sam2/settings.json");
});

scene("settings that are none", async () => {
  const sam = await newcomer("sam3");
  await sam.post("/api/settings/save", { good: true });
  for (const raw of ["{", "null", '"x"', "5", '{"a":}', '{"a":1}x']) {
    await sam.ask("POST", "/api/settings/save", { raw, differs: "bad body" });
    pair.sameFile("sam3/settings.json");
  }
  const wipe = async (wish) => {
    await sam.ask("POST", "/api/settings/save", { ...wish, differs: "no settings" });
    pair.sameFile("sam3/settings.json", "no settings in the file");
    await sam.post("/api/settings/save", { good: true });
  };
  for (const raw of ["", "[]", "[1]", "{}", " {} ", "\ufeff{}"]) await wipe({ raw });
  await wipe({});
  await wipe({ raw: '{"a":1}', type: "text/plain" });
  await wipe({ raw: "a=1&b=2", type: "application/x-www-form-urlencoded" });
  await sam.ask("POST", "/api/settings/save", { raw: '{"a":1}', type: "application/json; charset=UTF-8" });
  pair.sameFile("sam3/settings.json");
});

scene("damaged and missing settings", async () => {
  const sam = await newcomer("sam4");
  pair.onBoth((data) => writeFileSync(join(data, "sam4/settings.json"), "{ damaged"));
  await sam.post("/api/settings/get", {}, { differs: "damaged settings" });
  pair.onBoth((data) => rmSync(join(data, "sam4/settings.json"), { force: true }));
  await sam.post("/api/settings/get", {}, { differs: "missing settings" });
  await sam.post("/api/settings/save", { back: true });
  await sam.post("/api/settings/get", {});
});

/** The settings of somebody as they are: a save that leaves keys of them out is answered by a snapshot of ours. */
const present = async (person) => {
  const answers = await person.post("/api/settings/get", {});
  return JSON.parse(JSON.parse(answers.theirs.body.toString()).settings);
};

scene("snapshots", async () => {
  const sam = await newcomer("sam5");
  const base = await present(sam);
  await sam.post("/api/settings/get-snapshots");
  await sam.post("/api/settings/save", { ...base, version: 1 });
  await new Promise((next) => setTimeout(next, 500));
  const list = async () => {
    const answers = await sam.post("/api/settings/get-snapshots");
    pair.sameNames("sam5/backups");
    const newest = (answer) => JSON.parse(answer.body.toString()).sort((a, b) => b.date - a.date)[0]?.name;
    return { theirs: { name: newest(answers.theirs) }, ours: { name: newest(answers.ours) } };
  };
  const first = await list();
  await sam.each("/api/settings/load-snapshot", first);
  await nextSecond();
  await sam.post("/api/settings/save", { ...base, version: 2, a: 1 });
  await sam.post("/api/settings/make-snapshot");
  const second = await list();
  await sam.each("/api/settings/load-snapshot", second);
  await nextSecond();
  await sam.post("/api/settings/save", { ...base, version: 3, a: 1 });
  await sam.post("/api/settings/make-snapshot", {});
  await list();
  await nextSecond();
  await sam.each("/api/settings/restore-snapshot", second);
  pair.sameFile("sam5/settings.json");
  await sam.post("/api/settings/get", {});
  await list();
  await nextSecond();
  await sam.each("/api/settings/restore-snapshot", first);
  pair.sameFile("sam5/settings.json");
  pair.sameNames("sam5/backups", "the present is kept before a restore");
});

scene("the same snapshot twice", async () => {
  const sam = await newcomer("sam6");
  await sam.post("/api/settings/make-snapshot");
  await nextSecond();
  await sam.post("/api/settings/make-snapshot");
  pair.sameNames("sam6/backups", "a snapshot twice");
});

scene("two snapshots in a second", async () => {
  const sam = await newcomer("sam7");
  const base = await present(sam);
  await nextSecond();
  for (const version of [1, 2]) {
    await sam.post("/api/settings/save", { ...base, version });
    await sam.post("/api/settings/make-snapshot");
  }
  pair.sameNames("sam7/backups", "two snapshots in a second");
});

scene("a save that leaves out keys", async () => {
  const sam = await newcomer("sam-keys");
  const base = await present(sam);
  await sam.post("/api/settings/save", { ...base, version: 1 });
  await sam.post("/api/settings/save", { ...base, version: 2 });
  await nextSecond();
  await sam.post("/api/settings/save", { version: 3 });
  pair.sameNames("sam-keys/backups", "what a save leaves out is kept");
});

scene("snapshots that are none", async () => {
  const sam = await newcomer("sam8");
  await sam.post("/api/settings/make-snapshot");
  for (const route of ["load-snapshot", "restore-snapshot"]) {
    for (const body of [{}, { name: "" }, { name: null }, undefined]) await sam.post(`/api/settings/${route}`, body);
    await sam.post(`/api/settings/${route}`, { name: 5 }, { differs: "wrong type (500)" });
    await sam.post(`/api/settings/${route}`, { name: ["settings_sam8_x.json"] }, { differs: "wrong type (500)" });
    await sam.post(`/api/settings/${route}`, { name: "settings_sam8_20200101-000000.json" }, { differs: "no such snapshot" });
    await sam.post(`/api/settings/${route}`, { name: "settings_sam_20200101-000000.json" });
    await sam.post(`/api/settings/${route}`, { name: "settings.json" });
    for (const name of ["../settings.json", "settings_sam8_/../../settings.json", "settings_sam8_\u0000.json"]) {
      await sam.post(`/api/settings/${route}`, { name }, { differs: "not the name of a snapshot" });
    }
    const name = "settings_sam8_\\..\\x.json";
    await sam.post(`/api/settings/${route}`, { name }, { differs: "a backslash in the name of a snapshot" });
    pair.sameFile("sam8/settings.json");
  }
  pair.onBoth((data) => {
    writeFileSync(join(data, "sam8/backups/settings_sam8_20200101-000000.json"), "{ damaged");
    writeFileSync(join(data, "sam8/backups/settings_sam8_byhand.json"), '{"by":"hand"}');
    writeFileSync(join(data, "sam8/backups/settings_sam8_note.txt"), '{"a":"note"}');
    writeFileSync(join(data, "sam8/backups/chat_x.jsonl"), "{}");
  });
  await sam.post("/api/settings/get-snapshots");
  await sam.post("/api/settings/load-snapshot", { name: "settings_sam8_20200101-000000.json" });
  const damaged = { name: "settings_sam8_20200101-000000.json" };
  await sam.post("/api/settings/restore-snapshot", damaged, { differs: "a damaged snapshot" });
  pair.sameFile("sam8/settings.json", "a damaged snapshot, afterwards");
  await sam.post("/api/settings/restore-snapshot", { name: "settings_sam8_byhand.json" });
  pair.sameFile("sam8/settings.json");
});
