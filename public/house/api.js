// Speaks to the server: one function per verb, one kind of error, the CSRF token fetched and renewed by itself.

/** @import {House} from "./types.js" */

/** What went wrong, in the server's words. `status` 0 means that no answer came at all. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {number} retryAfter seconds to wait, or 0
   * @param {any} details what some errors say beside their words, as which version was found
   */
  constructor(status, code, message, retryAfter = 0, details = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
    this.details = details;
  }
}

/** @type {Promise<House> | null} */
let known = null;

/**
 * What the house says about itself and about who is asking. Asked once; `again` asks anew, as after signing in or
 * out, when the CSRF token changes.
 * @param {boolean} [again]
 * @returns {Promise<House>}
 */
export function house(again = false) {
  if (!known || again) {
    const asked = request("GET", "/api/v1/house");
    known = asked;
    asked.catch(() => {
      if (known === asked) known = null;
    });
  }
  return known;
}

/** @param {string} path @returns {Promise<any>} */
export const get = (path) => request("GET", path);

/** @param {string} path @param {object} [body] @returns {Promise<any>} */
export const post = (path, body) => change("POST", path, body);

/** @param {string} path @param {object | Blob} body @param {Record<string, string>} [headers] @returns {Promise<any>} */
export const put = (path, body, headers) => change("PUT", path, body, headers);

/** @param {string} path @param {object} body @returns {Promise<any>} */
export const patch = (path, body) => change("PATCH", path, body);

/** @param {string} path @returns {Promise<any>} */
export const del = (path) => change("DELETE", path);

/**
 * An answer together with the version that its `ETag` names.
 * @param {string} path @returns {Promise<{value: any, version: string}>}
 */
export async function getVersioned(path) {
  const answer = await reach("GET", path, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw await refused(answer);
  return { value: await answer.json(), version: answer.headers.get("ETag") ?? "" };
}

/** The text of an answer, untouched. @param {string} path @returns {Promise<string>} */
export async function getText(path) {
  const answer = await reach("GET", path, {});
  if (!answer.ok) throw await refused(answer);
  return answer.text();
}

/**
 * Sends a file and tells how far it is.
 * @param {string} path
 * @param {Blob} file
 * @param {string} type
 * @param {(done: number, total: number) => void} progress
 * @param {AbortSignal} stop
 * @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
export function upload(path, file, type, progress, stop, headers = {}) {
  return withToken((token) => sendFile(path, file, { ...headers, ...token, "Content-Type": type }, progress, stop));
}

/**
 * Fetch cannot tell how much of a body has gone out, XMLHttpRequest can.
 * @param {string} path
 * @param {Blob} file
 * @param {Record<string, string>} headers
 * @param {(done: number, total: number) => void} progress
 * @param {AbortSignal} stop
 * @returns {Promise<any>}
 */
function sendFile(path, file, headers, progress, stop) {
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    xhr.open("POST", path);
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = (event) => progress(event.loaded, event.total || file.size);
    xhr.onerror = () => reject(unreachable("POST"));
    xhr.onabort = () => reject(new ApiError(0, "stopped", "Stopped. Nothing was changed."));
    xhr.onload = () => {
      const body = parse(xhr.responseText);
      if (xhr.status >= 200 && xhr.status < 300) resolve(body);
      else reject(toError(xhr.status, body, xhr.getResponseHeader("Retry-After")));
    };
    stop.addEventListener("abort", () => xhr.abort());
    xhr.send(file);
  });
}

/**
 * A request that changes something.
 * @param {string} method @param {string} path @param {object | Blob} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
function change(method, path, body, headers = {}) {
  return withToken((token) => request(method, path, body, { ...headers, ...token }));
}

/**
 * Sends with the CSRF token. One that has gone stale (signed in anew in another window) is renewed once; the server has
 * refused the first try, so nothing can happen twice.
 * @template T
 * @param {(token: {"X-CSRF-Token": string}) => Promise<T>} send
 * @returns {Promise<T>}
 */
async function withToken(send) {
  const token = async (/** @type {boolean} */ again) => ({ "X-CSRF-Token": (await house(again)).csrfToken });
  const first = await token(false);
  try {
    return await send(first);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "csrf") throw error;
    return send(await token(true));
  }
}

/**
 * @param {string} method @param {string} path @param {object | Blob} [body] @param {Record<string, string>} [headers]
 * @returns {Promise<any>}
 */
async function request(method, path, body, headers = {}) {
  /** @type {RequestInit} */
  const init = { headers: { Accept: "application/json", ...headers } };
  if (body instanceof Blob) {
    init.body = body;
    init.headers = { ...init.headers, "Content-Type": body.type || "application/octet-stream" };
  } else if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { ...init.headers, "Content-Type": "application/json" };
  }
  const answer = await reach(method, path, init);
  if (!answer.ok) throw await refused(answer);
  return answer.status === 204 ? null : answer.json();
}

/** @param {string} method @param {string} path @param {RequestInit} init @returns {Promise<Response>} */
async function reach(method, path, init) {
  try {
    return await fetch(path, { ...init, method, credentials: "same-origin", cache: "no-store" });
  } catch {
    throw unreachable(method);
  }
}

/** @param {string} method @returns {ApiError} */
function unreachable(method) {
  return new ApiError(0, method === "GET" ? "network" : "network_write", "The house does not answer.");
}

/** @param {Response} answer @returns {Promise<ApiError>} */
async function refused(answer) {
  return toError(answer.status, parse(await answer.text().catch(() => "")), answer.headers.get("Retry-After"));
}

/** @param {number} status @param {any} body @param {string | null} retryAfter @returns {ApiError} */
function toError(status, body, retryAfter) {
  const message = typeof body?.error === "string" ? body.error : `The server answered with status ${status}.`;
  const code = typeof body?.code === "string" ? body.code : "unknown";
  const wait = Number.parseInt(retryAfter ?? "", 10);
  return new ApiError(status, code, message, Number.isFinite(wait) && wait > 0 ? wait : 0, body?.details ?? null);
}

/** @param {string} text @returns {any} */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
