// How requests are read: paths, methods, bodies.
import { gzipSync } from "node:zlib";
import { asAdmin, newcomer, pair } from "./pairs.js";
import { scene } from "./scenes.js";

scene("paths", async () => {
  const admin = await asAdmin();
  await admin.get("/API/USERS/ME");
  await admin.get("/api/users/me/");
  await admin.get("/Api/Users/Me/");
  await admin.get("/api/users/me//");
  await admin.get("//api/users/me");
  await admin.get("/api//users/me");
  await admin.get("/api/users/m%65");
  await admin.get("/api/users/me?x=1");
  await admin.get("/api/users/me;x");
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
  await admin.get("/api/");
  await admin.get("/api/users");
  await admin.get("/api/users/");
  await admin.get("/api/users/nothing");
  await admin.post("/api/users/nothing", {});
  await admin.get("/%");
  await admin.get("/%ff");
  await admin.get("/../etc/passwd");
  await admin.get("/%2e%2e/etc/passwd");
});

scene("methods", async () => {
  const admin = await asAdmin();
  for (const path of ["list", "login", "recover-step1", "logout", "get", "create", "backup", "slugify"]) {
    await admin.get(`/api/users/${path}`);
  }
  for (const path of ["get", "save", "get-snapshots", "make-snapshot"]) await admin.get(`/api/settings/${path}`);
  await admin.get("/api/ping");
  await admin.post("/api/users/me", {});
  await admin.post("/version", {});
  await admin.post("/csrf-token", {});
  await admin.post("/login", {});
  await admin.post("/", {});
  await admin.ask("PUT", "/api/users/me", { body: {} });
  await admin.ask("DELETE", "/api/users/me");
  await admin.ask("PATCH", "/api/settings/save", { body: {} });
  await admin.ask("HEAD", "/api/users/me");
  await admin.ask("HEAD", "/version");
  await admin.ask("HEAD", "/");
  await admin.ask("HEAD", "/api/ping");
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
  await slug("text=A+b", { type: "application/x-www-form-urlencoded" });
  await slug(gzipSync('{"text":"A b"}'), { headers: { "Content-Encoding": "gzip" } });
  await slug(gzipSync('{"text":"A b"}'), { headers: { "Content-Encoding": "GZIP" } });
  await slug('{"text":"A b"}', { headers: { "Content-Encoding": "identity" } });
  await slug('{"text":"A b"}', { headers: { "Content-Encoding": "gzip" } });
  await slug('{"text":"A b"}', { headers: { "Content-Encoding": "br" } });
  await slug('{"text":"A b"}', { headers: { "Content-Encoding": "nothing" } });
  await slug("");
  await slug("  ");
  await slug("{");
  await slug("null");
  await slug("[]");
  await slug('["text"]');
  await slug('"text"');
  await slug("5");
  await slug('{"text":"A b"}x');
  await slug('{"text":"A","text":"B"}');
  await slug('{"Text":"A"}');
  await slug(Buffer.from('{"text":"A \xff b"}', "latin1"));
  await slug(Buffer.from('{"text":"\xe4"}', "latin1"), { type: "application/json; charset=latin1" });
  await slug(Buffer.from('{"text":"A b"}', "utf16le"), { type: "application/json; charset=utf-16" });
  await slug("\ufeff" + '{"text":"A b"}');
  await slug(JSON.stringify({ text: "a".repeat(100_000) }));
  await slug(`{"text":"A b","deep":${"[".repeat(200)}${"]".repeat(200)}}`);
  const stranger = pair.guest();
  await stranger.refresh();
  await stranger.ask("POST", "/api/users/login", { raw: "handle=default-user&password=", type: "application/x-www-form-urlencoded" });
  await stranger.refresh();
  await stranger.get("/api/users/me");
  const multipart = '--b\r\nContent-Disposition: form-data; name="text"\r\n\r\nA b\r\n--b--\r\n';
  await slug(multipart, { type: "multipart/form-data; boundary=b" });
});

scene("headers", async () => {
  const admin = await asAdmin();
  await admin.get("/api/users/me", { headers: { Origin: "http://elsewhere.example" } });
  await admin.post("/api/users/get", undefined, { headers: { Origin: "http://elsewhere.example" } });
  await admin.post("/api/users/get", undefined, { headers: { Origin: "null" } });
  await admin.post("/api/users/get", undefined, { headers: { "Sec-Fetch-Site": "cross-site" } });
  await admin.get("/api/users/me", { headers: { Host: "elsewhere.example" } });
  await admin.get("/api/users/me", { headers: { "X-Forwarded-For": "203.0.113.9" } });
  await admin.get("/api/users/me", { headers: { "X-Real-IP": "203.0.113.9" } });
  await admin.ask("OPTIONS", "/api/users/me");
  await admin.ask("OPTIONS", "/api/users/me", { headers: { Origin: "null", "Access-Control-Request-Method": "POST" } });
});
