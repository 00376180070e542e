// How requests are read: paths, methods, bodies.
import { gzipSync } from "node:zlib";
import { same } from "./compare.js";
import { asAdmin, pair } from "./pairs.js";
import { scene } from "./scenes.js";

scene("paths", async () => {
  const admin = await asAdmin();
  await admin.get("/API/USERS/ME");
  await admin.get("/api/users/me/");
  await admin.get("/Api/Users/Me/");
  await admin.get("/api/users/me//", { differs: "no such route" });
  await admin.get("//api/users/me");
  await admin.get("/api//users/me", { differs: "no such route" });
  await admin.get("/api/users/m%65", { differs: "no such route" });
  await admin.get("/api/users/me?x=1");
  await admin.get("/api/users/me;x", { differs: "no such route" });
  await admin.get("/VERSION", { differs: "version" });
  await admin.get("/version/", { differs: "version" });
  await admin.get("/csrf-token/");
  await admin.get("/CSRF-TOKEN");
  await admin.get("/LOGIN");
  await admin.get("/login/");
  await admin.post("/API/PING");
  await admin.post("/api/ping/");
  await admin.post("/api/ping/?extend=1");
  await admin.post("/api/Users/Get/");
  await admin.post("/api/settings/GET-SNAPSHOTS");
  await admin.get("/api");
  for (const path of ["/api/", "/api/users", "/api/users/", "/api/users/nothing"]) {
    await admin.get(path, { differs: "no such route" });
  }
  await admin.post("/api/users/nothing", {}, { differs: "no such route" });
  await admin.get("/%");
  await admin.get("/%ff");
  await admin.get("/../etc/passwd");
  await admin.get("/%2e%2e/etc/passwd");
});

scene("methods", async () => {
  const admin = await asAdmin();
  for (const path of ["list", "login", "recover-step1", "logout", "get", "create", "backup", "slugify"]) {
    await admin.get(`/api/users/${path}`, { differs: "no such route" });
  }
  for (const path of ["get", "save", "get-snapshots", "make-snapshot"]) {
    await admin.get(`/api/settings/${path}`, { differs: "no such route" });
  }
  await admin.get("/api/ping", { differs: "no such route" });
  for (const path of ["/api/users/me", "/version", "/csrf-token"]) {
    await admin.post(path, {}, { differs: "no such route" });
  }
  for (const path of ["/login", "/"]) await admin.post(path, {}, { differs: "a file takes no post" });
  await admin.ask("PUT", "/api/users/me", { body: {}, differs: "no such route" });
  await admin.ask("DELETE", "/api/users/me", { differs: "no such route" });
  await admin.ask("PATCH", "/api/settings/save", { body: {}, differs: "no such route" });
  await admin.ask("HEAD", "/api/users/me");
  await admin.ask("HEAD", "/version");
  await admin.ask("HEAD", "/");
  await admin.ask("HEAD", "/api/ping", { differs: "no such route, head" });
  const stranger = pair.guest();
  for (const path of ["list", "login", "get"]) await stranger.get(`/api/users/${path}`);
  await stranger.get("/api/ping");
  await stranger.get("/api/settings/get");
});

scene("bodies", async () => {
  const admin = await asAdmin();
  const slug = (raw, wish = {}) => admin.ask("POST", "/api/users/slugify", { raw, ...wish });
  await slug('{"text":"A b"}');
  await slug('{"text":"A b","more":[1,{"x":null}]}');
  await slug('{"text":"A b"}', { type: "application/json;charset=utf-8" });
  await slug('{"text":"A b"}', { type: "APPLICATION/JSON" });
  await slug('{"text":"A b"}', { type: "text/plain" });
  await slug('{"text":"A b"}', { type: "" });
  await slug('{"text":"A b"}', { type: "application/vnd.api+json" });
  await slug("text=A+b", { type: "application/x-www-form-urlencoded", differs: "a form is no body" });
  await slug(gzipSync('{"text":"A b"}'), { headers: { "Content-Encoding": "gzip" } });
  await slug(gzipSync('{"text":"A b"}'), { headers: { "Content-Encoding": "GZIP" } });
  await slug('{"text":"A b"}', { headers: { "Content-Encoding": "identity" } });
  await slug('{"text":"A b"}', { headers: { "Content-Encoding": "gzip" }, differs: "bad body" });
  for (const coding of ["br", "nothing"]) {
    await slug('{"text":"A b"}', { headers: { "Content-Encoding": coding }, differs: "bad body" });
  }
  await slug("");
  for (const raw of ["  ", "{", "null", '"text"', "5", '{"text":"A b"}x']) await slug(raw, { differs: "bad body" });
  await slug("[]");
  await slug('["text"]');
  await slug('{"text":"A","text":"B"}', { differs: "a field twice" });
  await slug('{"Text":"A"}');
  await slug(Buffer.from('{"text":"A \xff b"}', "latin1"), { differs: "not UTF-8" });
  await slug(Buffer.from('{"text":"\xe4"}', "latin1"), {
    type: "application/json; charset=latin1",
    differs: "charset of another kind",
  });
  await slug(Buffer.from('{"text":"A b"}', "utf16le"), { type: "application/json; charset=utf-16", differs: "not UTF-8" });
  await slug("\ufeff" + '{"text":"A b"}', { differs: "not UTF-8" });
  await slug(JSON.stringify({ text: "a".repeat(100_000) }), { differs: "too large" });
  await slug(`{"text":"A b","deep":${"[".repeat(200)}${"]".repeat(200)}}`);
  const stranger = pair.guest();
  await stranger.refresh();
  await stranger.ask("POST", "/api/users/login", {
    raw: "handle=default-user&password=",
    type: "application/x-www-form-urlencoded",
    differs: "signing in by a form",
  });
  const multipart = '--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nA b\r\n--b--\r\n';
  await slug(multipart, { type: "multipart/form-data; boundary=b", differs: "a form is no body" });
});

/** Headers that say how a browser has to treat an answer. */
const TREATMENT = [
  "x-frame-options", "x-content-type-options", "cross-origin-opener-policy", "cross-origin-resource-policy",
  "referrer-policy", "strict-transport-security", "cache-control", "content-security-policy", "x-response-time", "etag",
  "access-control-allow-origin", "x-powered-by",
];

scene("headers", async () => {
  const admin = await asAdmin();
  const answers = await admin.get("/api/users/me");
  const pick = ({ headers }) => Object.fromEntries(TREATMENT.map((name) => [name, headers[name]]));
  same("how to treat an answer", pick(answers.theirs), pick(answers.ours), "security headers");
  await admin.get("/api/users/me", { headers: { Origin: "http://elsewhere.example" } });
  await admin.post("/api/users/get", undefined, { headers: { Origin: pair.theirs.url }, differs: "foreign origin" });
  for (const headers of [{ Origin: "http://elsewhere.example" }, { Origin: "null" }, { "Sec-Fetch-Site": "cross-site" }]) {
    await admin.post("/api/users/get", undefined, { headers, differs: "foreign origin" });
  }
  await admin.get("/api/users/me", { headers: { Host: "elsewhere.example" }, differs: "foreign host" });
  for (const header of ["X-Forwarded-For", "X-Real-IP"]) {
    await admin.get("/api/users/me", { headers: { [header]: "203.0.113.9" }, differs: "not on the whitelist" });
  }
  await admin.ask("OPTIONS", "/api/users/me", { differs: "no foreign origins" });
  await admin.ask("OPTIONS", "/api/users/me", { differs: "no foreign origins", headers: { Origin: "null", "Access-Control-Request-Method": "POST" } });
});
