// Somebody who calls both servers at once, with a cookie jar and a CSRF token for each.
import { compareAnswers, count, judge } from "./compare.js";
import { request } from "./servers.js";

const SIDES = ["theirs", "ours"];

function keep(jar, cookies = []) {
  for (const cookie of cookies) {
    const [pair, ...attributes] = cookie.split(";").map((part) => part.trim());
    const [name, value] = [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)];
    const gone = attributes.some((attribute) => {
      const [key, when] = attribute.split("=");
      return /^max-age$/i.test(key) ? Number(when) <= 0 : /^expires$/i.test(key) && Date.parse(when) <= Date.now();
    });
    if (gone) jar.delete(name);
    else jar.set(name, value);
  }
}

/** A Set-Cookie header without names and values: what the browser is told to do with it. */
export function attributes(answer, name) {
  const cookies = (answer.headers["set-cookie"] ?? []).filter((cookie) => name.test(cookie));
  return cookies.map((cookie) => {
    const told = { secure: false, httponly: false };
    for (const attribute of cookie.split(";").slice(1)) {
      const [key, value] = attribute.trim().toLowerCase().split("=");
      if (key === "expires") told.minutes = Math.round((Date.parse(value) - Date.now()) / 60_000);
      else if (key === "max-age") told.minutes = Math.round(Number(value) / 60);
      else told[key] = value ?? true;
    }
    if (told.minutes < 0) told.minutes = 0;
    return told;
  });
}

/** What a scene may say about one request. */
/** @typedef {{body?: unknown, bodies?: {theirs: unknown, ours: unknown}, raw?: string | Buffer, type?: string, headers?: Record<string, string>, csrf?: boolean | string, differs?: string}} Wish */

export class Guest {
  constructor(pair) {
    this.pair = pair;
    this.jars = { theirs: new Map(), ours: new Map() };
    this.tokens = { theirs: "", ours: "" };
  }

  /** A second window with the same cookies and tokens, which does not follow what the first one does. */
  twin() {
    const twin = new Guest(this.pair);
    for (const side of SIDES) twin.jars[side] = new Map(this.jars[side]);
    twin.tokens = { ...this.tokens };
    return twin;
  }

  /** Asks for new CSRF tokens, as a page that is loaded does. */
  async refresh() {
    const answers = await this.ask("GET", "/csrf-token");
    for (const side of SIDES) this.tokens[side] = JSON.parse(answers[side].body.toString()).token;
  }

  /** @param {string} path @param {unknown} [body] @param {Wish} [wish] */
  post(path, body, wish = {}) {
    return this.ask("POST", path, { ...wish, body });
  }

  /**
   * Posts to each what is meant for it, such as the code from its console.
   * @param {string} path @param {{theirs: unknown, ours: unknown}} bodies @param {Wish} [wish]
   */
  each(path, bodies, wish = {}) {
    return this.ask("POST", path, { ...wish, bodies });
  }

  /** @param {string} path @param {Wish} [wish] */
  get(path, wish) {
    return this.ask("GET", path, wish);
  }

  /**
   * Sends one request to both and compares the answers.
   * @param {string} method @param {string} path @param {Wish} [wish]
   */
  async ask(method, path, { body, bodies, raw, type = "application/json", headers = {}, csrf = true, differs } = {}) {
    const safe = method === "GET" || method === "HEAD";
    if (!safe && csrf === true && !this.tokens.ours) await this.refresh();
    /** @type {Record<string, any>} */
    const answers = {};
    await Promise.all(
      SIDES.map(async (side) => {
        const jar = this.jars[side];
        const value = bodies ? bodies[side] : body;
        const sent = raw ?? (value === undefined ? undefined : JSON.stringify(value));
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
        answers[side] = await request(this.pair[side], {
          method,
          path,
          body: sent,
          headers: {
            ...(cookie && { Cookie: cookie }),
            ...(sent !== undefined && type && { "Content-Type": type }),
            ...(!safe && csrf && { "X-CSRF-Token": csrf === true ? this.tokens[side] : csrf }),
            ...headers,
          },
        });
        keep(jar, answers[side].headers["set-cookie"]);
      }),
    );
    const [route] = path.split("?");
    count(`${method} ${route.replace(/^(\/api\/(users|settings)\/[a-z0-9-]+|\/[a-z-]+).*$/i, "$1").toLowerCase()}`);
    const about = String(raw ?? JSON.stringify(bodies?.ours ?? body) ?? "").slice(0, 80);
    judge(`${method} ${path} ${about}`, compareAnswers(answers.theirs, answers.ours), differs);
    return answers;
  }

  /** Signs in and loads the page. @param {Wish} [wish] */
  async signIn(handle, password = "", wish = {}) {
    await this.refresh();
    const answers = await this.post("/api/users/login", { handle, password }, wish);
    await this.refresh();
    return answers;
  }

  async signOut() {
    await this.post("/api/users/logout");
    await this.refresh();
  }
}
