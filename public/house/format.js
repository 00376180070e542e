// Numbers and moments as people read them: sizes, counts, "3 minutes ago", and what a browser calls itself.

const units = ["bytes", "kB", "MB", "GB", "TB"];

/** @param {number} bytes */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  if (unit === 0) return value === 1 ? "1 byte" : `${value} bytes`;
  return `${value.toLocaleString(undefined, { maximumFractionDigits: value < 10 ? 1 : 0 })} ${units[unit]}`;
}

/** `count(1, "file")` is "1 file", `count(2, "file")` is "2 files". @param {number} n @param {string} one @param {string} [many] */
export function count(n, one, many = `${one}s`) {
  return `${n.toLocaleString()} ${n === 1 ? one : many}`;
}

// Making one of these takes as long as a message does: each is made once.
const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "long", timeStyle: "short" });
const days = new Intl.DateTimeFormat();
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

/** @param {Intl.DateTimeFormat} format @param {number} ms */
const formatted = (format, ms) => (Number.isNaN(new Date(ms).getTime()) ? "" : format.format(ms));

/** @param {number} ms */
export const fullDate = (ms) => formatted(moments, ms);

/** The day alone. @param {number} ms */
export const day = (ms) => formatted(days, ms);

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const thisYear = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const otherYear = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

/** "today 14:05", "yesterday 9:30", "3 Nov, 14:05", and with the year where it is another. @param {number} ms @param {number} [now] */
export function moment(ms, now = Date.now()) {
  const [then, today] = [new Date(ms), new Date(now)];
  if (Number.isNaN(then.getTime())) return "";
  const yesterday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - 1);
  const isOn = (/** @type {Date} */ date) => then.toDateString() === date.toDateString();
  if (isOn(today)) return `${relative.format(0, "day")} ${clock.format(then)}`;
  if (isOn(yesterday)) return `${relative.format(-1, "day")} ${clock.format(then)}`;
  return (then.getFullYear() === today.getFullYear() ? thisYear : otherYear).format(then);
}

/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const steps = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "yesterday", "3 hours ago"; under a minute is "just now". @param {number} ms @param {number} [now] */
export function ago(ms, now = Date.now()) {
  const seconds = (ms - now) / 1000;
  for (const [unit, length] of steps) {
    if (Math.abs(seconds) >= length) return relative.format(Math.round(seconds / length), unit);
  }
  return "just now";
}

/** How long a wait is: "2 minutes 5 seconds". @param {number} seconds */
export function wait(seconds) {
  if (seconds < 60) return count(seconds, "second");
  const minutes = Math.floor(seconds / 60);
  const rest = seconds % 60;
  if (minutes >= 60) return `${count(Math.floor(minutes / 60), "hour")} ${count(minutes % 60, "minute")}`;
  return rest ? `${count(minutes, "minute")} ${count(rest, "second")}` : count(minutes, "minute");
}

/** @type {[RegExp, string][]} */
const browsers = [
  [/\bEdgA?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/\bSamsungBrowser\//, "Samsung Internet"],
  [/\bFirefox\/|\bFxiOS\//, "Firefox"],
  [/\bHeadlessChrome\//, "Chrome"],
  [/\bChrome\/|\bCriOS\//, "Chrome"],
  [/\bSafari\//, "Safari"],
  [/^curl\//, "curl"],
];

/** @type {[RegExp, string][]} */
const systems = [
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/CrOS/, "ChromeOS"],
  [/Mac OS X|Macintosh/, "Mac"],
  [/Linux/, "Linux"],
];

/**
 * A user agent's words made short: "Firefox on Linux".
 * @param {string} agent
 * @returns {{name: string, small: boolean}}
 */
export function device(agent) {
  const browser = browsers.find(([pattern]) => pattern.test(agent))?.[1];
  const system = systems.find(([pattern]) => pattern.test(agent))?.[1];
  const small = /iPhone|Android.*Mobile|Mobile.*Firefox/.test(agent);
  if (browser && system) return { name: `${browser} on ${system}`, small };
  return { name: browser ?? system ?? (agent.slice(0, 60) || "An unknown device"), small };
}

/** Bytes of a text in UTF-8, which is what a password's length is counted in. @param {string} text */
export function byteLength(text) {
  return new TextEncoder().encode(text).length;
}
