// All scenes, in order. Three pairs of servers: accounts off, accounts on, discreet login with limits.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { report, stale } from "./compare.js";

await import("./accounts-off.js");
await import("./people.js");
await import("./settings.js");
await import("./own.js");
await import("./bodies.js");
await import("./doors.js");
await import("./shelf.js");
await import("./chats.js");

test("every entry of differences.js was met", { skip: process.argv.some((word) => word.includes("test-name-pattern")) }, () => {
  assert.deepEqual(stale(), []);
});

after(() => console.log(report().join("\n")));
