// Lets the browser install the house as an app. The worker needs a secure origin: HTTPS, or this very machine.

const types = /** @type {any} */ (globalThis).trustedTypes;

/** The one script that may become a worker. */
const script = "/sw.js";

/** Signs the worker on, once the page is at rest. */
export function beInstallable() {
  if (!("serviceWorker" in navigator) || !isSecureContext) return;
  const begin = () => {
    const url = types
      ? types.createPolicy("tavernkeep-worker", { createScriptURL: () => script }).createScriptURL("")
      : script;
    navigator.serviceWorker
      .register(url, { updateViaCache: "none" })
      .catch((reason) => console.warn("the worker was not taken on", reason));
  };
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, { once: true });
}
