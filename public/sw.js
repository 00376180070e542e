// The worker that makes the house installable. It keeps the house's own furniture (styles, scripts, drawings) and the page
// for when nobody answers. It never keeps an answer of `/api`, a picture of anybody's or a page: what is private stays with
// the server, and what is shown is never older than what the server has. The network always goes first.

const CACHE = "tavernkeep-furniture-1";
const OFFLINE = "/offline.html";

/** What the page for when nobody answers is made of. */
const FURNITURE = [
  OFFLINE,
  "/favicon.svg",
  "/house/theme-early.js",
  "/house/offline.js",
  "/house/house.css",
  "/house/parts.css",
  "/house/login.css",
  "/house/lantern.svg",
  "/house/flourish.svg",
  "/house/grain.svg",
  "/house/wood.svg",
];

/** The worker's own global, which the types of pages do not know. */
const worker = /** @type {any} */ (globalThis);

worker.addEventListener("install", (/** @type {any} */ event) => {
  worker.skipWaiting();
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FURNITURE)));
});

worker.addEventListener("activate", (/** @type {any} */ event) => event.waitUntil(takeOver()));

async function takeOver() {
  for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
  await worker.clients.claim();
}

worker.addEventListener("fetch", (/** @type {any} */ event) => {
  /** @type {Request} */
  const request = event.request;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== worker.location.origin) return;
  if (request.mode === "navigate") event.respondWith(page(request));
  else if (isFurniture(url)) event.respondWith(furniture(request));
});

/** Only files that the program itself brings along. @param {URL} url */
function isFurniture(url) {
  return url.search === "" && (url.pathname.startsWith("/house/") || url.pathname === "/favicon.svg");
}

/** A page, as the server has it now. @param {Request} request @returns {Promise<Response>} */
async function page(request) {
  try {
    return await fetch(request);
  } catch {
    return (await caches.match(OFFLINE)) ?? Response.error();
  }
}

/** A file of the program: as the server has it now, and while nobody answers as it was last. @param {Request} request
 * @returns {Promise<Response>} */
async function furniture(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok && answer.type === "basic" && !answer.redirected) {
      const copy = answer.clone();
      void caches.open(CACHE).then((cache) => cache.put(request, copy));
    }
    return answer;
  } catch {
    return (await caches.match(request)) ?? Response.error();
  }
}
