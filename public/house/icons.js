// The small drawings of the interface: one path per icon, 24 units wide, drawn with the colour of the text around.

const SVG = "http://www.w3.org/2000/svg";

const paths = {
  locked: "M7 11V8a5 5 0 0 1 10 0v3 M5.5 11h13v9.5h-13z M12 14.5v2.5",
  open: "M7 11V7.5a5 5 0 0 1 9.6-2 M5.5 11h13v9.5h-13z M12 14.5v2.5",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 0 0 0-8z M12 2.5v2 M12 19.5v2 M2.5 12h2 M19.5 12h2 M5.3 5.3l1.4 1.4 M17.3 17.3l1.4 1.4 M18.7 5.3l-1.4 1.4 M6.7 17.3l-1.4 1.4",
  moon: "M19.5 14.5A8 8 0 1 1 9.6 4.4a6.5 6.5 0 0 0 9.9 10.1z",
  home: "M4 11.5L12 4.5l8 7 M6 10v9.5h12V10 M10 19.5v-5.5a2 2 0 0 1 4 0v5.5",
  person: "M12 12.5a4 4 0 1 0 0-8a4 4 0 0 0 0 8z M4.5 20.5a7.5 7.5 0 0 1 15 0",
  people:
    "M9 12a3.5 3.5 0 1 0 0-7a3.5 3.5 0 0 0 0 7z M2.5 19.5a6.5 6.5 0 0 1 13 0 M15.5 5.4a3.4 3.4 0 0 1 0 6.4 M17.5 14a6.4 6.4 0 0 1 4 5.5",
  leave: "M14 4.5H5.5v15H14 M10.5 12h10 M17 8.5l3.5 3.5l-3.5 3.5",
  key: "M8 18.5a4 4 0 1 0 0-8a4 4 0 0 0 0 8z M11 11.6L19.5 4.5 M16 7.4l2.6 3 M13.7 9.4l1.8 2.1",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4z M12 16.5a3.4 3.4 0 1 0 0-6.8a3.4 3.4 0 0 0 0 6.8z",
  book: "M12 6.5c-2-1.6-5-2-8-1.6v13.2c3-.4 6 0 8 1.6c2-1.6 5-2 8-1.6V4.9c-3-.4-6 0-8 1.6z M12 6.5v13.2",
  chest: "M4 11V8.5a3 3 0 0 1 3-3h10a3 3 0 0 1 3 3V11 M4 11h16v8H4z M10.5 10h3v4h-3z",
  bring: "M12 15.5V4.5 M7.5 9L12 4.5L16.5 9 M4.5 15v5h15v-5",
  take: "M12 4.5v11 M7.5 11l4.5 4.5l4.5-4.5 M4.5 15v5h15v-5",
  undo: "M8.5 5L4 9.5L8.5 14 M4 9.5h10a5.5 5.5 0 0 1 0 11h-3",
  screen: "M3.5 5h17v11h-17z M8.5 20h7 M12 16v4",
  phone: "M7.5 3h9v18h-9z M11 18h2",
  ember: "M12 3c1 3.5 5.5 5.5 5.5 10.5a5.5 5.5 0 0 1-11 0C6.5 11 8 10 8.5 8c1 .8 1.7 1.8 2 3C12 9 12.5 6 12 3z",
  eye: "M2.5 12C5 7.5 8.5 5.5 12 5.5s7 2 9.5 6.5c-2.5 4.5-6 6.5-9.5 6.5s-7-2-9.5-6.5z M12 15a3 3 0 1 0 0-6a3 3 0 0 0 0 6z",
  shut: "M3 9c2.5 3.5 5.7 5.2 9 5.2S18.5 12.5 21 9 M12 14.5V18 M6.5 13L4.8 16 M17.5 13l1.7 3",
  trash: "M4.5 7h15 M9.5 7V4.5h5V7 M6.5 7l1 13h9l1-13 M10.5 10.5v6 M13.5 10.5v6",
  compare: "M4 8h13 M13.5 4.5L17 8l-3.5 3.5 M20 16H7 M10.5 12.5L7 16l3.5 3.5",
  plus: "M12 5v14 M5 12h14",
  close: "M6 6l12 12 M18 6L6 18",
  check: "M4.5 12.5l5 5l10-11",
  warn: "M12 4L2.8 20h18.4z M12 10v4.5 M12 17v.5",
  pen: "M4.5 19.5l1-4.5L16 4.5l3.5 3.5L9 18.5z M14 6.5l3.5 3.5",
  next: "M9 5l7 7l-7 7",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13a6.5 6.5 0 0 0 0 13z M15.3 15.3l5.2 5.2",
  chat: "M4 5h16v11.5H11.5L7 20.5v-4H4z M8 9.2h8 M8 12.4h5",
  cards: "M3.5 7.2l8.6-2.3l3.3 12.4l-8.6 2.3z M15 6.5h5.5v12.8h-5 M8.2 10.8a1.7 1.7 0 1 0 .9 3.3",
  mask: "M4 5.5c5 1.8 11 1.8 16 0c1 8-2 14-8 15c-6-1-9-7-8-15z M7.5 10.5c1-.9 2.2-.9 3.2 0 M13.3 10.5c1-.9 2.2-.9 3.2 0 M9 15c1.8 1.5 4.2 1.5 6 0",
  scroll: "M7 4.5h11.5v12 M7 4.5a2 2 0 0 0-2 2v2.5h4V6.500a2 2 0 0 0-2-2z M9 9v8.500a2 2 0 0 0 4 0v-1h8v1a2 2 0 0 1-2 2H11 M12 8.500h3.500 M12 12h3.500",
  plug: "M9 3.500v5 M15 3.500v5 M6 8.500h12v3a6 6 0 0 1-12 0z M12 17.500v3.500",
  more: "M4 7h16 M4 12h16 M4 17h16",
  star: "M12 3.800l2.500 5.300l5.800.7l-4.300 4l1.100 5.700l-5.100-2.800l-5.100 2.800L8 13.800l-4.300-4l5.800-.7z",
  copy: "M8.500 8.500h11v11h-11z M15.500 8.500v-4h-11v11h4",
  up: "M12 19V5.500 M6.500 11L12 5.500l5.500 5.500",
  down: "M12 5v13.500 M6.500 13l5.500 5.500l5.500-5.500",
  ask: "M9 9.300a3 3 0 1 1 4.300 2.700c-.9.500-1.300 1-1.300 2.200 M12 17.200v.5 M12 21a9 9 0 1 0 0-18a9 9 0 0 0 0 18z",
  branch: "M7 4v16 M7 9c0 4 10 2 10 7v1 M14 14.5l3 3l3-3",
  again: "M18.5 8.5A7.500 7.500 0 1 0 19.500 13 M19 4v4.700h-4.700",
  on: "M5 6l6.500 6L5 18z M13 6l6.500 6L13 18z",
  send: "M4 12L20 4.500L15.500 20l-4-6.500z M11.500 13.500L20 4.500",
  halt: "M7 7h10v10H7z",
  clip: "M16.500 7.500l-7 7a2 2 0 0 0 3 3l7.500-7.500a4 4 0 0 0-6-6L6 12a6 6 0 0 0 8.500 8.500l5-5",
  pin: "M9 4h6l-.7 6l3.200 3.500H6.500L9.700 10z M12 13.500v7",
  dots: "M5.500 12h.01 M12 12h.01 M18.500 12h.01",
  side: "M4 5h16v14H4z M9.500 5v14",
};

/** @typedef {keyof typeof paths} IconName */

/** A drawing beside words: hidden from screen readers unless it is given words of its own.
 * @param {IconName} name @param {string} [label] @returns {SVGSVGElement} */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", paths[name]);
  svg.append(path);
  return svg;
}
