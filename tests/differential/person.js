// Somebody who talks to one server only, where answers are not compared.
import assert from "node:assert/strict";
import { request } from "./servers.js";

/** Somebody at one server, while accounts are off. */
export class Person {
  constructor(server) {
    Object.assign(this, { server, cookies: new Map(), token: "" });
  }

  async send(method, path, { body, type = "application/json", headers = {} } = {}) {
    if (method !== "GET" && !this.token) {
      const told = await this.send("GET", "/csrf-token");
      this.token = JSON.parse(told.body.toString()).token;
    }
    const Cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await request(this.server, {
      method,
      path,
      body: body === undefined || Buffer.isBuffer(body) ? body : JSON.stringify(body),
      headers: { ...(body === undefined ? {} : { "Content-Type": type }), "X-CSRF-Token": this.token, Cookie, ...headers },
    });
    for (const cookie of answer.headers["set-cookie"] ?? []) {
      const [pair] = cookie.split(";");
      this.cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    }
    return answer;
  }

  async json(method, path, body, wish = {}) {
    const answer = await this.send(method, path, { body, ...wish });
    assert.ok(answer.status < 300, `${this.server.name}: ${method} ${path}: ${answer.status} ${answer.body}`);
    return answer.body.length === 0 ? undefined : JSON.parse(answer.body.toString());
  }
}
