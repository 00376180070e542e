// Runs before anything is painted, so that a dark room never flashes white. A classic script, on purpose.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("tavernkeep-theme");
    } catch {
      // Storage may be forbidden; then the system's choice holds.
    }
    document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
})();
