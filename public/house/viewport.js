// How much of the window can be seen. Most browsers make the page smaller while a phone's keyboard is open
// (`interactive-widget` in the shell); those that lay it over the page tell only here.

/** Keeps `--seen`, the height that is in sight, up to date. */
export function followKeyboard() {
  const view = window.visualViewport;
  if (!view) return;
  const { style } = document.documentElement;
  const look = () => {
    // Whoever has zoomed in sees less, and wants no other layout for it.
    if (view.scale > 1.01 || innerHeight - view.height < 80) style.removeProperty("--seen");
    else {
      style.setProperty("--seen", `${view.height}px`);
      // Such a browser has moved the page, too, to show the field; it fits now.
      if (document.body.classList.contains("in-chat")) scrollTo(0, 0);
    }
  };
  view.addEventListener("resize", look);
  look();
}
