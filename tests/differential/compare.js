// What counts as the same answer, the list of wanted differences, and the score.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { differences } from "./differences.js";

/** How often each entry of differences.js was met. */
const met = new Map(Object.keys(differences).map((name) => [name, 0]));
/** Requests per route. */
const score = new Map();
/** What differs in the scene that runs now and should not. */
let unexpected = [];

export const newScene = () => (unexpected = []);
export const endScene = () => assert.equal(unexpected.length, 0, `\n${unexpected.join("\n")}\n`);
export const count = (route) => score.set(route, (score.get(route) ?? 0) + 1);

/** Entries that nothing met: what they say is no longer tested, or no longer true. */
export const stale = () => [...met].filter(([, times]) => times === 0).map(([name]) => name);

export function report() {
  const rows = [...score].sort(([a], [b]) => a.localeCompare(b));
  const sum = rows.reduce((all, [, times]) => all + times, 0);
  const met_ = [...met.values()].reduce((all, times) => all + times, 0);
  return [
    `${sum} requests compared with SillyTavern 1.19.0, on ${rows.length} routes:`,
    ...rows.map(([route, times]) => `${String(times).padStart(5)}  ${route}`),
    `${met.size} wanted differences, met ${met_} times.`,
  ];
}

/** Times, tokens and file stamps, which nobody expects to be equal, as words. */
export function normal(value, key = "") {
  if (typeof value === "string") {
    if (key === "token" && /^[A-Za-z0-9_-]{32,}$/.test(value)) return "<token>";
    return value.replace(/\d{8}-\d{6}(_\d+)?/g, "<stamp>");
  }
  if (typeof value === "number" && (key === "created" || key === "date")) {
    return Math.abs(value - Date.now()) < 3_600_000 ? "<time>" : value;
  }
  if (Array.isArray(value)) return value.map((item) => normal(item));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, normal(item, name)]));
  }
  return value;
}

/** Two values, as the list of paths at which they differ. */
function differing(theirs, ours, path, found) {
  if (isDeepStrictEqual(theirs, ours)) return;
  const plain = (value) => value !== null && typeof value === "object";
  // A list of texts is told as one.
  const texts = (value) => Array.isArray(value) && value.length > 0 && !value.some(plain);
  if (plain(theirs) && plain(ours) && Array.isArray(theirs) === Array.isArray(ours) && !texts(theirs) && !texts(ours)) {
    for (const key of new Set([...Object.keys(theirs), ...Object.keys(ours)])) {
      differing(theirs[key], ours[key], `${path}.${key}`, found);
    }
  } else {
    found.push([path, theirs, ours]);
  }
}

const mediaType = (answer) => answer.headers["content-type"]?.toLowerCase().replace(/\s/g, "");

/** The body: parsed JSON, `<page>` for HTML pages, else text. */
export function content(answer) {
  const type = mediaType(answer) ?? "";
  const text = answer.body.toString();
  if (text === "") return "";
  if (type.startsWith("application/json")) {
    const value = normal(JSON.parse(text));
    // Snapshots are sorted by whoever shows them.
    return Array.isArray(value) && value[0]?.date ? value.sort((a, b) => (a.name === b.name ? a.size - b.size : a.name < b.name ? -1 : 1)) : value;
  }
  if (type.startsWith("text/html") && /^\s*<(!doctype|html)/i.test(text)) {
    return /<pre>\w*Error: /.test(text) ? "<error page>" : "<page>";
  }
  return type.startsWith("application/zip") ? "<zip>" : normal(text);
}

/** The parts of two answers that differ, as `[part, theirs, ours]`. */
export function compareAnswers(theirs, ours) {
  const found = [];
  const part = (name, of) => differing(of(theirs), of(ours), name, found);
  // What stands in the body of a redirection nobody reads.
  const redirected = theirs.status === 302 && ours.status === 302;
  part("status", (answer) => answer.status);
  if (!redirected) part("type", mediaType);
  part("disposition", (answer) => normal(answer.headers["content-disposition"]));
  part("location", (answer) => answer.headers.location);
  part("retry-after", (answer) => (answer.headers["retry-after"] === undefined ? undefined : "<seconds>"));
  if (theirs.status === ours.status && !redirected) part("body", content);
  else if (!redirected) found.push(["body", content(theirs), content(ours)]);
  return found;
}

const fits = (value, expected) =>
  expected instanceof RegExp
    ? typeof value === "string" && expected.test(value)
    : typeof expected === "function"
      ? expected(value)
      : isDeepStrictEqual(value, expected);

/** Two values for people to read: long ones from where they begin to differ. */
function show(...values) {
  const texts = values.map((value) => JSON.stringify(value) ?? "nothing");
  let from = 0;
  while (from < texts[0].length && texts[0][from] === texts[1][from]) from++;
  from = texts.some((text) => text.length > 160) ? Math.max(0, from - 40) : 0;
  return texts.map((text) => `${from ? "…" : ""}${text.slice(from, from + 160)}`);
}

/**
 * Judges what was found: nothing, or exactly what the entry `wanted` of differences.js says.
 * @param {string} label @param {[string, unknown, unknown][]} found @param {string} [wanted]
 */
export function judge(label, found, wanted) {
  const entry = differences[wanted] ?? { parts: {} };
  if (differences[wanted]) met.set(wanted, met.get(wanted) + 1);
  else if (wanted !== undefined) unexpected.push(`${label}: differences.js has no entry "${wanted}"`);
  const seen = new Set();
  for (const [part, theirs, ours] of found) {
    const name = part in entry.parts ? part : part.replace(/\.\d+(?=\.)/g, ".*");
    const expected = entry.parts[name];
    if (expected) seen.add(name);
    if (!expected || !fits(theirs, expected[0]) || !fits(ours, expected[1])) {
      const [their, our] = show(theirs, ours);
      unexpected.push(
        `${label}: ${part} differs\n    SillyTavern: ${their}\n    Tavernkeep:  ${our}` +
          (wanted ? `\n    (not as "${wanted}" says)` : ""),
      );
    }
  }
  for (const part of Object.keys(entry.parts)) {
    if (!seen.has(part)) unexpected.push(`${label}: ${part} does not differ, though "${wanted}" says so`);
  }
}

/** Compares any two values; an entry of differences.js names them `value`, or `value.<path>`. */
export function same(label, theirs, ours, wanted) {
  const found = [];
  differing(theirs, ours, "value", found);
  judge(label, found, wanted);
}
