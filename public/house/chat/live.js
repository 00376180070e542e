// Server-Sent Events. The browser connects again by itself and names the last event that it has seen; here is what it
// does not do: notice that it is for good, and say how the line is.

/** @typedef {"open" | "waiting" | "closed"} Line */

/**
 * @param {string} path
 * @param {Record<string, (data: any, id: string) => void>} hears
 * @param {(line: Line) => void} [line] `closed`: it will not come back by itself
 * @returns {() => void} ends it
 */
export function listen(path, hears, line = () => {}) {
  const source = new EventSource(path);
  for (const [name, hear] of Object.entries(hears)) {
    source.addEventListener(name, (event) => {
      // An error of the line is an event of the same name, without data.
      if (!(event instanceof MessageEvent)) return;
      hear(parse(event.data), event.lastEventId);
    });
  }
  source.onopen = () => line("open");
  source.onerror = () => line(source.readyState === EventSource.CLOSED ? "closed" : "waiting");
  return () => source.close();
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/**
 * A line that is opened anew when the browser gives it up, as after a server that answered with an error; slower each time.
 * @param {string} path @param {Record<string, (data: any, id: string) => void>} hears @param {(line: Line) => void} line
 */
export function keepListening(path, hears, line) {
  let wait = 1000;
  let ended = false;
  /** @type {() => void} */
  let end = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const open = () => {
    clearTimeout(timer);
    if (ended) return;
    end();
    end = listen(path, hears, (state) => {
      if (state === "open") wait = 1000;
      if (state === "closed") {
        timer = setTimeout(open, wait);
        wait = Math.min(wait * 2, 30_000);
      }
      line(state === "open" ? "open" : "waiting");
    });
  };
  const soon = () => {
    wait = 1000;
    if (document.visibilityState === "visible") open();
  };
  addEventListener("online", soon);
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    removeEventListener("online", soon);
    end();
  };
}
