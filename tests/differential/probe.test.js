import { after } from "node:test";
import { report } from "./compare.js";
for (const name of (process.env.PROBE ?? "").split(",")) await import(`./${name}.js`);
after(() => console.log(report().join("\n")));
