// The switch between day and night. The choice stays in this browser; without one, the system's choice holds.
import { fill, h } from "./dom.js";
import { icon } from "./icons.js";

/** @returns {HTMLButtonElement} */
export function themeButton() {
  const button = h("button", { type: "button", class: "quiet round", onclick: flip });
  const draw = () => {
    const dark = document.documentElement.dataset.theme === "dark";
    const label = dark ? "Switch to daylight" : "Switch to lamplight";
    button.setAttribute("aria-label", label);
    button.title = label;
    fill(button, icon(dark ? "sun" : "moon"));
  };
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  draw();
  return button;
}

function flip() {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  try {
    localStorage.setItem("tavernkeep-theme", next);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
  document.documentElement.dataset.theme = next;
}
