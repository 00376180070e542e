// The one door through which markup comes into a page: what the server has rendered and cleaned. Everything else is made
// of nodes, and the content security policy lets no other string become markup.

/** Trusted types, where the browser knows them. */
const types = /** @type {any} */ (globalThis).trustedTypes;

/** @type {{createHTML: (text: string) => string}} */
const policy = types?.createPolicy("tavernkeep-markup", { createHTML: (/** @type {string} */ text) => text }) ?? {
  createHTML: (text) => text,
};

/**
 * Puts markup of the server into an element, in place of what is there.
 * @param {Element} element @param {string} html rendered and cleaned by the server
 */
export function setMarkup(element, html) {
  element.innerHTML = policy.createHTML(html);
}
